//! `aval accreditation grant`: make the credential, keep it, anchor its hash.

use std::path::PathBuf;

use aval_did::Did;
use aval_did::resolution::parse_time;
use aval_types::accreditation::Level;
use aval_types::action::AccreditationGrant;
use aval_types::{AccreditationKind, AccreditedType, Action};
use serde_json::json;

use super::credential::{AccreditationCredential, Terms};
use crate::acting::{self, Actor};
use crate::app::{App, now_s};
use crate::cli::{CapacityArg, GrantArgs};
use crate::error::WalletError;
use crate::home;
use crate::output::date_time;

const DAY_S: i64 = 24 * 60 * 60;

pub(super) fn run(app: &App, arguments: &GrantArgs) -> Result<(), WalletError> {
    let terms = terms(arguments)?;
    let connection = app.connection()?;
    let (network, ledger) = (connection.network_id()?, connection.ledger()?);
    let actor = Actor::find(app, &arguments.actor, &network, &ledger)?;
    let previous = super::record(&ledger, terms.subject.as_str())?.map_or(0, |record| record.version);
    let (key_id, key) = actor.assertion()?;
    let credential = AccreditationCredential::issue(&terms, actor.did(), &key_id, &key)?;
    let action = Action::AccreditationGrant(AccreditationGrant {
        subject: terms.subject.clone(),
        previous,
        kind: terms.kind,
        types: terms.types.clone(),
        depth: terms.depth,
        expires: u64::try_from(terms.expires_s).unwrap_or_default().saturating_mul(1000),
        credential: credential.hash(),
    });
    let file = place(app, arguments, &credential)?;
    home::write_output(&file, credential.as_str().as_bytes())?;
    let (id, receipt) = acting::carry_out_as(app, &actor, &arguments.actor, action, "Accredit it?")?;
    let value = json!({
        "transaction": id,
        "subject": terms.subject.to_string(),
        "by": actor.did().to_string(),
        "version": previous + 1,
        "credential": {"file": file, "sha256": credential.hash().to_string()},
        "height": receipt.height,
        "time": date_time(receipt.time_ms),
        "verified": receipt.proof.is_some(),
    });
    app.output.data(&value, |text| {
        text.done(&format!("{} is accredited", terms.subject));
        text.field("by", actor.did().as_str());
        text.field("credential", &file.display().to_string());
        text.field("its SHA-256", &credential.hash().to_string());
        text.field("transaction", &id);
        text.field("final in", &format!("block {} of {}", receipt.height, date_time(receipt.time_ms)));
    })
}

fn terms(arguments: &GrantArgs) -> Result<Terms, WalletError> {
    let subject: Did = arguments
        .subject
        .parse()
        .map_err(|error| WalletError::Usage(format!("{:?} is not a did:aval: {error}", arguments.subject)))?;
    let (kind, depth) = match arguments.kind {
        CapacityArg::Issuer => (AccreditationKind::Issuer, 0),
        CapacityArg::Body => (AccreditationKind::Body, arguments.depth),
    };
    let mut types = arguments.types.iter().map(|text| accredited(text)).collect::<Result<Vec<_>, _>>()?;
    types.sort();
    let now_s = now_s();
    let expires_s = match &arguments.expires {
        None => now_s.saturating_add(i64::from(arguments.days).saturating_mul(DAY_S)),
        Some(time) => parse_time(time)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .ok_or_else(|| WalletError::Usage("--expires is written as 2031-11-22T00:00:00Z".to_owned()))?,
    };
    Ok(Terms { subject, kind, types, depth, valid_from_s: now_s, expires_s })
}

/// `TYPE[:ROLE,ROLE][@LEVEL]`
fn accredited(text: &str) -> Result<AccreditedType, WalletError> {
    let (rest, level) = match text.split_once('@') {
        None => (text, Level::Low),
        Some((rest, "low")) => (rest, Level::Low),
        Some((rest, "substantial")) => (rest, Level::Substantial),
        Some((rest, "high")) => (rest, Level::High),
        Some(_) => {
            return Err(WalletError::Usage(format!("{text:?}: a level is low, substantial or high")));
        }
    };
    let (name, roles) = rest.split_once(':').unwrap_or((rest, ""));
    let mut roles: Vec<String> =
        roles.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect();
    roles.sort();
    roles.dedup();
    Ok(AccreditedType { credential_type: name.to_owned(), roles, level })
}

/// Where the credential is kept: by its hash, so that none replaces another.
fn place(
    app: &App,
    arguments: &GrantArgs,
    credential: &AccreditationCredential,
) -> Result<PathBuf, WalletError> {
    if let Some(file) = &arguments.out {
        return Ok(file.clone());
    }
    let folder = app.home.accreditations();
    home::make_folder(&folder)?;
    Ok(folder.join(format!("{}.sd-jwt", credential.hash())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_with_its_roles_and_level() {
        let entry = accredited("AvalMembershipCredential:member,endorser,member@high").unwrap();
        assert_eq!(entry.credential_type, "AvalMembershipCredential");
        assert_eq!(
            (entry.roles, entry.level),
            (vec!["endorser".to_owned(), "member".to_owned()], Level::High)
        );
        let plain = accredited("DiplomaCredential").unwrap();
        assert_eq!((plain.roles.len(), plain.level), (0, Level::Low));
        assert!(accredited("DiplomaCredential@highest").is_err());
    }
}
