//! What a verified document claims and somebody else must confirm: that the key was the issuer's when it signed, that
//! the
//! schemas hold, that no status speaks against it, that the issuer is accredited.

use super::answer::{Outcome, Problem};
use super::evidence::{Accreditation, Evidence, Want};
use super::item::{Item, Role, text_of};
use super::keys::{self, SigningParty};
use super::lists::{self, Entry};
use super::secured::{Model, Secured};
use super::{AccreditationPolicy, Expectation, State, schema};
use crate::jose::seconds;
use crate::vcdm::{self, Validity};
use crate::{FormatError, VerificationKey};
use serde_json::Value;

/// Most status entries and most schemas of one credential.
const ENTRIES_MAX: usize = 8;
/// Methods whose documents never change.
const UNCHANGING: [&str; 2] = ["did:key:", "did:jwk:"];

/// Looks up all that is claimed; true if that is done. Nothing is recorded before everything is there.
pub(super) fn advance(item: &mut Item, expectation: &Expectation, state: &mut State) -> bool {
    let Some(secured) = item.take_secured() else { return true };
    let found = look_up(item, &secured, expectation, state);
    item.put_secured(secured);
    let Some(found) = found else { return false };
    for (name, looked_at, outcome) in found {
        item.check(state, name, looked_at, outcome);
    }
    true
}

type Checks = Vec<(&'static str, String, Outcome)>;

/// All checks, or `None` while something is missing; everything is asked for before that is said.
fn look_up(item: &Item, secured: &Secured, expectation: &Expectation, state: &mut State) -> Option<Checks> {
    let mut found = Checks::new();
    let mut complete = true;
    let mut add = |result: Option<Checks>| match result {
        Some(mut checks) => found.append(&mut checks),
        None => complete = false,
    };
    for signer in item.signers() {
        add(history(item, signer, secured, expectation, state));
    }
    if let Role::Credential { .. } = item.role() {
        let schemas = several(secured.document.get("credentialSchema"));
        if schemas.len() > ENTRIES_MAX {
            let problem = Problem::new("schema.unsupported", "more schemas than are looked at");
            add(Some(vec![("schema", String::new(), Outcome::Undecided(problem))]));
        }
        for entry in schemas.into_iter().take(ENTRIES_MAX) {
            add(schema_of(entry, secured, state));
        }
        add(status(item, secured, expectation, state));
        add(accreditation(item, secured, expectation, state));
    }
    complete.then_some(found)
}

/// One entry, several, or none.
fn several(member: Option<&Value>) -> Vec<&Value> {
    match member {
        None => Vec::new(),
        Some(Value::Array(entries)) => entries.iter().collect(),
        Some(one) => vec![one],
    }
}

/// That the key was in the signer's document when it signed (and not only now).
fn history(
    item: &Item,
    signer: &SigningParty,
    secured: &Secured,
    expectation: &Expectation,
    state: &mut State,
) -> Option<Checks> {
    const NAME: &str = "key_at_signing";
    let Some(method) = &signer.found else { return Some(Vec::new()) };
    if signer.chain.is_some() {
        let problem = Problem::new("key.no_history", "the certificate was looked at as it is now");
        return Some(vec![(NAME, method.id.clone(), Outcome::Warning(problem))]);
    }
    if UNCHANGING.iter().any(|prefix| signer.did.starts_with(prefix)) {
        return Some(vec![(NAME, format!("{}, which never changes", signer.did), Outcome::Passed)]);
    }
    let stated_s = signer.signed_s.or_else(|| validity(secured).ok().and_then(|validity| validity.from_s));
    let Some(at_s) = stated_s else {
        let problem = Problem::new("key.time_unknown", "the document does not say when it was signed");
        return Some(vec![(NAME, method.id.clone(), Outcome::Warning(problem))]);
    };
    let looked_at = format!("{} at {}", method.id, text_of(at_s));
    if at_s >= expectation.now_s.saturating_sub(expectation.skew_s) {
        return Some(vec![(NAME, looked_at, Outcome::Passed)]);
    }
    let evidence = state.evidence(&Want::Did { did: signer.did.clone(), at_s: Some(at_s) })?;
    let outcome = match &evidence {
        Evidence::NoHistory => Outcome::Warning(Problem::new(
            "key.no_history",
            "the DID's method keeps no past versions; the key was looked at as it is now",
        )),
        Evidence::Unavailable(reason) => Outcome::Undecided(Problem::new("did.unavailable", reason.clone())),
        other => match keys::active(other) {
            Err(Outcome::Undecided(problem)) => Outcome::Undecided(problem),
            Err(_) => then_not("the DID did not exist or was deactivated at the time of signing"),
            Ok(document) => then(document, signer, item.purpose(), secured, &method.key, at_s),
        },
    };
    Some(vec![(NAME, looked_at, outcome)])
}

fn then_not(detail: &str) -> Outcome {
    Outcome::Invalid(Problem::new("key.at_signing", detail))
}

fn then(
    document: &Value,
    signer: &SigningParty,
    purpose: &str,
    secured: &Secured,
    key: &VerificationKey,
    at_s: i64,
) -> Outcome {
    match keys::find(document, signer, purpose, secured) {
        Err(FormatError::KeyUnsupported) => {
            then_not("the signer's document had another key at the time of signing")
        }
        Err(_) => then_not("the signer's document did not list the key at the time of signing"),
        Ok(method) if method.key != *key => {
            then_not("the signer's document had another key at the time of signing")
        }
        Ok(method) => match method.check_time(at_s) {
            Ok(()) => Outcome::Passed,
            Err(_) => then_not("the key was expired or revoked at the time of signing"),
        },
    }
}

/// The period of validity: of VCDM, or of the token.
pub(super) fn validity(secured: &Secured) -> Result<Validity, FormatError> {
    match secured.model {
        Model::Vcdm => vcdm::validity(&secured.document),
        Model::SdJwtVc | Model::StatusToken => {
            let empty = serde_json::Map::new();
            let claims = secured.document.as_object().unwrap_or(&empty);
            Ok(Validity { from_s: seconds(claims, "nbf")?, until_s: seconds(claims, "exp")? })
        }
    }
}

/// The types of a credential beside the one that all have.
pub(super) fn types(secured: &Secured) -> Vec<String> {
    match secured.model {
        Model::Vcdm => {
            let types = vcdm::types_of(&secured.document).into_iter();
            types.filter(|name| *name != "VerifiableCredential").map(str::to_owned).collect()
        }
        _ => secured.document.get("vct").and_then(Value::as_str).map(str::to_owned).into_iter().collect(),
    }
}

fn schema_of(entry: &Value, secured: &Secured, state: &mut State) -> Option<Checks> {
    const NAME: &str = "schema";
    let uri = entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !vcdm::types_of(entry).contains(&schema::TYPE) {
        let problem = Problem::new("schema.unsupported", "a kind of schema that is not known here");
        return Some(vec![(NAME, uri, Outcome::Undecided(problem))]);
    }
    let outcome = match state.evidence(&Want::Schema { uri: uri.clone() })? {
        Evidence::Schema(bytes) => {
            let mut credential = secured.document.clone();
            // The proof is about the credential and no part of what the schema describes.
            if let Some(members) = credential.as_object_mut() {
                members.remove("proof");
            }
            schema::check(&bytes, entry, &credential)
        }
        Evidence::Unavailable(reason) => Outcome::Undecided(Problem::new("schema.unavailable", reason)),
        _ => Outcome::Undecided(Problem::new("schema.unavailable", "the schema was not found")),
    };
    Some(vec![(NAME, uri, outcome)])
}

fn status(item: &Item, secured: &Secured, expectation: &Expectation, state: &mut State) -> Option<Checks> {
    const NAME: &str = "status";
    let entries = lists::entries(secured);
    if entries.is_empty() {
        let problem = Problem::new("status.missing", "the credential has no status entry");
        let required = expectation.status_required;
        return Some(if required {
            vec![(NAME, String::new(), Outcome::Invalid(problem))]
        } else {
            Vec::new()
        });
    }
    if entries.len() > ENTRIES_MAX {
        let problem = Problem::new("status.oversized", "more status entries than are looked at");
        return Some(vec![(NAME, String::new(), Outcome::Undecided(problem))]);
    }
    // All are asked for before the first is missing.
    let results: Vec<Option<(String, Outcome)>> = entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| match entry {
            Entry::Wrong(outcome) => Some((String::new(), outcome)),
            entry => lists::look_up(item, index, &entry, expectation, state),
        })
        .collect();
    let results: Option<Vec<_>> = results.into_iter().collect();
    Some(results?.into_iter().map(|(looked_at, outcome)| (NAME, looked_at, outcome)).collect())
}

fn accreditation(
    item: &Item,
    secured: &Secured,
    expectation: &Expectation,
    state: &mut State,
) -> Option<Checks> {
    let Some(issuer) = item.party().or_else(|| item.signer()).map(str::to_owned) else {
        return Some(Vec::new());
    };
    if !item.wants_accreditation(expectation) {
        let detail = match expectation.accreditation {
            AccreditationPolicy::Ignored => "it was not asked whether the issuer is accredited",
            _ => "the issuer is not on the ledger, so nobody vouches for it",
        };
        let problem = Problem::new("accreditation.none", detail);
        return Some(vec![("accreditation_now", issuer, Outcome::Warning(problem))]);
    }
    let mut types = types(secured);
    types.retain(|name| expectation.types.is_empty() || expectation.types.contains(name));
    if types.is_empty() {
        let problem =
            Problem::new("accreditation.type", "the credential has no type for which one can be accredited");
        return Some(vec![("accreditation_now", issuer, Outcome::Invalid(problem))]);
    }
    let signed_s =
        item.signers().iter().find(|signer| signer.did == issuer).and_then(|signer| signer.signed_s);
    let issued_s = signed_s.or_else(|| validity(secured).ok().and_then(|validity| validity.from_s));
    let past_s = issued_s.filter(|at| *at < expectation.now_s.saturating_sub(expectation.skew_s));
    let mut checks = Vec::new();
    let mut complete = true;
    for credential_type in &types {
        for (name, at_s) in [("accreditation_at_issuance", past_s), ("accreditation_now", None)] {
            if name == "accreditation_at_issuance" && at_s.is_none() {
                continue;
            }
            let want = Want::Accreditation {
                issuer: issuer.clone(),
                credential_type: credential_type.clone(),
                at_s,
            };
            match state.evidence(&want) {
                None => complete = false,
                Some(evidence) => {
                    let when = text_of(at_s.unwrap_or(expectation.now_s));
                    let (chain, outcome) = accredited(&evidence, at_s.is_some());
                    checks.push((name, format!("{credential_type} at {when}: {chain}"), outcome));
                }
            }
        }
    }
    complete.then_some(checks)
}

fn accredited(evidence: &Evidence, past: bool) -> (String, Outcome) {
    let code = if past { "accreditation.at_issuance" } else { "accreditation.now" };
    match evidence {
        Evidence::Accreditation(Accreditation::Accredited { chain }) if !chain.is_empty() => {
            (chain.join(" < "), Outcome::Passed)
        }
        Evidence::Accreditation(Accreditation::Accredited { .. }) => (
            String::new(),
            Outcome::Undecided(Problem::new("accreditation.unavailable", "the chain is empty")),
        ),
        Evidence::Accreditation(Accreditation::Refused { reason }) => (
            String::new(),
            Outcome::Invalid(Problem::new(code, format!("the issuer is not accredited: {reason}"))),
        ),
        Evidence::Unavailable(reason) => {
            (String::new(), Outcome::Undecided(Problem::new("accreditation.unavailable", reason.clone())))
        }
        _ => {
            let problem = Problem::new("accreditation.unavailable", "nothing is known of the accreditation");
            (String::new(), Outcome::Undecided(problem))
        }
    }
}
