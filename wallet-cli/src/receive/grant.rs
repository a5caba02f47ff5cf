//! From a credential to the grant that the ledger would make of it (design D6): the action states it in full, and the
//! presentation must say the same.

use aval_client::ClientError;
use aval_codec::{Limits, json};
use aval_credential::{Presentation, StatusPurpose};
use aval_did::Did;
use aval_types::{AccreditationRecord, Grant, ListRecord, StatusEntry};

use crate::error::WalletError;
use crate::ledger::Ledger;

/// The type that every credential has and that says nothing.
const BASE_TYPE: &str = "VerifiableCredential";
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// A grant whose subject is still open: a DID that a credential makes is known only when everything else is.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    credential_type: String,
    issuer: Did,
    roles: Vec<String>,
    status: StatusEntry,
    expires: u64,
}

impl Terms {
    /// The grant for a subject.
    pub(crate) fn for_subject(&self, subject: &Did) -> Grant {
        Grant {
            subject: subject.clone(),
            credential_type: self.credential_type.clone(),
            issuer: self.issuer.clone(),
            roles: self.roles.clone(),
            status: self.status.clone(),
            expires: self.expires,
        }
    }
}

/// What this credential stands for, with the ledger's word on who answers for its status.
pub(crate) fn terms(ledger: &Ledger, presentation: &Presentation) -> Result<Terms, WalletError> {
    let issuer: Did = presentation.issuer().parse().map_err(|_| {
        WalletError::unauthorized(
            "credential.issuer_unaccredited",
            "the credential's issuer is not a DID of this ledger, so it makes no grant there",
        )
    })?;
    let credential_type = credential_type(ledger, presentation, &issuer)?;
    let expires =
        presentation.valid_until_s().and_then(|seconds| u64::try_from(seconds).ok()).ok_or_else(|| {
            WalletError::unauthorized("credential.expired", "the credential has no end of validity")
        })?;
    Ok(Terms {
        credential_type,
        issuer,
        roles: presentation.roles().to_vec(),
        status: status(ledger, presentation)?,
        expires,
    })
}

/// Of several types the one that the ledger accredits the issuer for.
fn credential_type(
    ledger: &Ledger,
    presentation: &Presentation,
    issuer: &Did,
) -> Result<String, WalletError> {
    let mut types = presentation.types().iter().filter(|name| *name != BASE_TYPE);
    let first = types.next().ok_or_else(|| {
        WalletError::unauthorized("credential.type_unaccredited", "the credential has no type of its own")
    })?;
    if types.next().is_none() {
        return Ok(first.clone());
    }
    let accredited: Option<AccreditationRecord> = read(ledger, &format!("accreditation/{issuer}"))?;
    let is_accredited =
        |name: &&String| accredited.as_ref().is_some_and(|record| record.of_type(name).is_some());
    Ok(presentation.types().iter().find(is_accredited).unwrap_or(first).clone())
}

fn status(ledger: &Ledger, presentation: &Presentation) -> Result<StatusEntry, WalletError> {
    let entry =
        presentation.status().iter().find(|entry| entry.purpose == StatusPurpose::Revocation).ok_or_else(
            || {
                WalletError::unauthorized(
                    "credential.registry_unknown",
                    "the credential cannot be revoked, and the ledger takes only those that can",
                )
            },
        )?;
    let list: Option<ListRecord> = read(ledger, &format!("list/{}", entry.list))?;
    let list = list.ok_or_else(|| {
        WalletError::unauthorized(
            "credential.registry_unknown",
            "the credential's status list is not registered on this ledger: its issuer is not one of this network, or \
             has not registered the list yet",
        )
    })?;
    Ok(StatusEntry { registry: list.registry, list: entry.list.clone(), index: entry.index })
}

fn read<T: serde::de::DeserializeOwned>(ledger: &Ledger, key: &str) -> Result<Option<T>, WalletError> {
    let Some(bytes) = ledger.state(key)?.value else { return Ok(None) };
    json::from_slice(&bytes, Limits::bytes(RECORD_BYTES_MAX))
        .map(Some)
        .map_err(|error| ClientError::Malformed(format!("the record {key}: {error}")).into())
}
