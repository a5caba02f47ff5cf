//! `aval accreditation check`: whether a credential says what the ledger says, and who signed it.

use std::path::Path;

use aval_did::{Did, Relationship};
use serde_json::json;

use super::credential::AccreditationCredential;
use crate::app::App;
use crate::error::WalletError;
use crate::home;

pub(super) fn run(app: &App, file: &Path) -> Result<(), WalletError> {
    let credential = AccreditationCredential::read(&home::read_input(file)?)?;
    let ledger = app.connection()?.ledger()?;
    let subject = credential
        .subject()
        .ok_or_else(|| WalletError::Failed("the credential names no subject".to_owned()))?;
    let record = super::record(&ledger, subject)?;
    let differs = match &record {
        None => Some("record"),
        Some(record) => record.differs_from(&credential.statement()),
    };
    // A key that has left the issuer's document since does not matter for a hash that is on the ledger.
    let issuer: Option<Did> = credential.issuer().parse().ok();
    let key = match issuer {
        None => None,
        Some(issuer) => ledger.did_record(&issuer)?.value.and_then(|record| {
            record.verification_key(credential.key_id(), Relationship::AssertionMethod).ok()
        }),
    };
    let signature = match key {
        None => "unknown key",
        Some(key) if credential.verify(&key).is_ok() => "valid",
        Some(_) => "invalid",
    };
    let same = differs.is_none() && signature != "invalid";
    let revoked = record.as_ref().and_then(|record| record.revoked);
    let value = json!({
        "same": same,
        "differs": differs,
        "signature": signature,
        "sha256": credential.hash().to_string(),
        "issuer": credential.issuer(),
        "subject": subject,
        "revoked": revoked,
        "record": record,
    });
    app.output.data(&value, |text| {
        if same {
            text.done("the credential says what the ledger says");
        } else {
            text.failed("the credential is not what the ledger says");
        }
        if let Some(member) = differs {
            text.field("differs in", member);
        }
        text.field("issuer", credential.issuer());
        text.field("subject", subject);
        text.field("signature", signature);
        text.field("SHA-256", &credential.hash().to_string());
        if let Some(height) = revoked {
            text.field("revoked", &format!("in block {height}"));
        }
    })?;
    if same {
        Ok(())
    } else {
        Err(WalletError::Invalid {
            code: "accreditation.credential",
            message: "credential and record do not say the same".to_owned(),
        })
    }
}
