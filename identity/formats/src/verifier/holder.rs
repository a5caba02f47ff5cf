//! Holder binding: that who presents a credential is whom it was issued to.
//!
//! A credential that names a holder's key (`cnf`) is bound to that key, whatever was expected. One that names only a
//! subject may be presented by others (a guardian, an employer): the expectation says what that means.

use super::answer::{Check, Outcome, Problem};
use super::item::{Item, Role};
use super::secured::Secured;
use super::{Expectation, HolderPolicy, State};
use crate::{VerificationKey, vcdm};
use serde_json::Value;

/// Looks at each credential in the light of who presented it.
pub(super) fn check(items: &[Item], expectation: &Expectation, state: &mut State) {
    let presentation = items.iter().find(|item| *item.role() == Role::Presentation && !item.has_failed());
    let holder = presentation.and_then(Item::signer);
    let keys: Vec<(String, VerificationKey)> = presentation
        .map(|item| item.signers().iter().filter_map(|signer| signer.found.as_ref()))
        .into_iter()
        .flatten()
        .map(|method| (method.id.clone(), method.key))
        .collect();
    for item in items {
        let Role::Credential { presented } = item.role() else { continue };
        // The verdict is there already, and an SD-JWT that is bound by its own key binding needs no other.
        let (Some(secured), false, None) = (item.secured(), item.has_failed(), item.bound()) else {
            continue;
        };
        let asked = expectation.holder == HolderPolicy::Required || expectation.challenge.is_some();
        if !presented && !asked {
            continue;
        }
        let outcome = judge(secured, holder, &keys, expectation);
        let looked_at = holder.unwrap_or("no holder").to_owned();
        state.checks.push(Check { name: "holder_binding", part: item.part().to_owned(), looked_at, outcome });
    }
}

fn judge(
    secured: &Secured,
    holder: Option<&str>,
    keys: &[(String, VerificationKey)],
    expectation: &Expectation,
) -> Outcome {
    if let Some(confirmation) = secured.claims().and_then(|claims| claims.get("cnf")) {
        return if confirms(confirmation, keys) {
            Outcome::Passed
        } else {
            Outcome::Invalid(Problem::new("holder.confirmation", "the credential is bound to another key"))
        };
    }
    let of_claims = secured.document.get("sub").and_then(Value::as_str);
    let subjects: Vec<&str> = vcdm::subjects(&secured.document).into_iter().chain(of_claims).collect();
    if holder.is_some_and(|holder| subjects.contains(&holder)) {
        return Outcome::Passed;
    }
    let problem = if subjects.is_empty() {
        Problem::new("holder.bearer", "the credential says nothing of who may present it")
    } else {
        Problem::new("holder.subject", "the credential is about somebody else than its presenter")
    };
    match expectation.holder {
        HolderPolicy::Required => Outcome::Invalid(problem),
        HolderPolicy::Reported => Outcome::Warning(problem),
    }
}

/// Whether the key of a `cnf` (RFC 7800) is one that signed the presentation.
fn confirms(confirmation: &Value, keys: &[(String, VerificationKey)]) -> bool {
    if let Some(jwk) = confirmation.get("jwk") {
        let Ok(wanted) = VerificationKey::from_jwk(jwk) else { return false };
        return keys.iter().any(|(_, key)| *key == wanted);
    }
    let named = confirmation.get("kid").and_then(Value::as_str);
    named.is_some_and(|named| keys.iter().any(|(id, _)| id == named))
}
