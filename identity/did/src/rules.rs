//! The rules: what each operation demands of the record it changes, and the record that follows. Specification §6.
//!
//! Every function is pure. `signers` are the keys whose signatures over the operation have already been verified, one
//! entry a signature; whether a grant or an endorser pays for a creation or an update is decided elsewhere. Checks
//! come in one fixed order, so that an operation with several faults gets the same code on every node.

use crate::operation::{Create, Deactivate, Examined, Operation, Rotate, Update};
use crate::{Allowance, Control, DidError, DidRecord, Document, PublicKey, VersionId};

/// Rotations and deactivations that a DID may make in one window.
pub const ALLOWANCE_OPERATIONS_MAX: u32 = 8;

/// Length of the window.
pub const ALLOWANCE_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// Applies a creation. `existing` is the record that the ledger has of this DID, `network` the label of this network.
pub fn apply_create(
    existing: Option<&DidRecord>,
    network: &str,
    operation: &Create,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    if operation.did.network() != network {
        return Err(DidError::Network);
    }
    if existing.is_some() {
        return Err(DidError::Exists);
    }
    operation.validate()?;
    operation.control.authorize(signers)?;
    Ok(first_record(operation, time_ms))
}

/// The record of a DID that is part of genesis: reviewed by people instead of signed.
pub fn genesis_record(network: &str, operation: &Create, time_ms: u64) -> Result<DidRecord, DidError> {
    if operation.did.network() != network {
        return Err(DidError::Network);
    }
    operation.validate()?;
    Ok(first_record(operation, time_ms))
}

/// Applies an update: the document is replaced.
pub fn apply_update(
    record: &DidRecord,
    operation: &Update,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    apply_examined_update(record, operation, &operation.examine(), signers, time_ms)
}

/// The same for an operation that was examined before; `examined` must be [`Update::examine`]'s answer for this one.
pub fn apply_examined_update(
    record: &DidRecord,
    operation: &Update,
    examined: &Examined,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    require_current(record, operation.did.as_str(), &operation.previous)?;
    record.control.authorize(signers)?;
    examined.verdict.clone()?;
    operation.document.validate_apart_from(&record.control)?;
    let mut next = following(record, examined.version_id, time_ms);
    next.document = operation.document.clone();
    Ok(next)
}

/// Applies a rotation: the keys that the current control committed to become the current ones.
pub fn apply_rotate(
    record: &DidRecord,
    operation: &Rotate,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    require_current(record, operation.did.as_str(), &operation.previous)?;
    record.control.next.authorize(signers)?;
    operation.validate()?;
    let control = &operation.control;
    if !signers.iter().all(|key| control.contains(key)) {
        return Err(DidError::Control("a signing key is not in the new control"));
    }
    check_reuse(&record.control, control)?;
    let document = rotated_document(&record.document, operation.document.as_ref())?;
    document.validate_apart_from(control)?;
    let allowance = spend(record.allowance, time_ms)?;
    let mut next = following(record, operation.version_id(), time_ms);
    next.control = control.clone();
    next.document = document.clone();
    next.allowance = allowance;
    Ok(next)
}

/// Applies a deactivation. The document is emptied, so that no key of it can be found by mistake; grants stay listed.
pub fn apply_deactivate(
    record: &DidRecord,
    operation: &Deactivate,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    require_current(record, operation.did.as_str(), &operation.previous)?;
    record.control.authorize(signers)?;
    let allowance = spend(record.allowance, time_ms)?;
    let mut next = following(record, operation.version_id(), time_ms);
    next.document = Document::default();
    next.deactivated = true;
    next.allowance = allowance;
    Ok(next)
}

/// Applies any operation.
pub fn apply(
    existing: Option<&DidRecord>,
    network: &str,
    operation: &Operation,
    signers: &[PublicKey],
    time_ms: u64,
) -> Result<DidRecord, DidError> {
    let record = || existing.ok_or(DidError::NotFound);
    match operation {
        Operation::Create(operation) => apply_create(existing, network, operation, signers, time_ms),
        Operation::Update(operation) => apply_update(record()?, operation, signers, time_ms),
        Operation::Rotate(operation) => apply_rotate(record()?, operation, signers, time_ms),
        Operation::Deactivate(operation) => apply_deactivate(record()?, operation, signers, time_ms),
    }
}

fn first_record(operation: &Create, time_ms: u64) -> DidRecord {
    DidRecord {
        did: operation.did.clone(),
        version_id: VersionId { number: 1, hash: operation.did.inception() },
        control: operation.control.clone(),
        document: operation.document.clone(),
        deactivated: false,
        recovery: None,
        created: time_ms,
        updated: time_ms,
        grants: Vec::new(),
        allowance: Allowance { since: time_ms, used: 0 },
        used: Vec::new(),
    }
}

fn require_current(record: &DidRecord, did: &str, previous: &VersionId) -> Result<(), DidError> {
    if record.did.as_str() != did {
        return Err(DidError::NotFound);
    }
    record.require_active()?;
    if record.version_id != *previous {
        return Err(DidError::StaleVersion);
    }
    Ok(())
}

fn following(record: &DidRecord, version_id: VersionId, time_ms: u64) -> DidRecord {
    DidRecord { version_id, updated: time_ms, ..record.clone() }
}

/// A key that has been a control key does not come back: neither at once nor as a commitment.
fn check_reuse(old: &Control, new: &Control) -> Result<(), DidError> {
    if old.keys.iter().any(|key| new.contains(key)) {
        return Err(DidError::Control("a replaced key is in the new control"));
    }
    if old.keys.iter().any(|key| new.next.commits_to(key)) {
        return Err(DidError::Control("a replaced key is a next key"));
    }
    Ok(())
}

fn rotated_document<'a>(current: &'a Document, new: Option<&'a Document>) -> Result<&'a Document, DidError> {
    let Some(new) = new else { return Ok(current) };
    if new.service != current.service || new.also_known_as != current.also_known_as {
        return Err(DidError::Document("a rotation may change keys only"));
    }
    Ok(new)
}

fn spend(allowance: Allowance, time_ms: u64) -> Result<Allowance, DidError> {
    if time_ms.saturating_sub(allowance.since) >= ALLOWANCE_WINDOW_MS {
        return Ok(Allowance { since: time_ms, used: 1 });
    }
    if allowance.used >= ALLOWANCE_OPERATIONS_MAX {
        return Err(DidError::Allowance);
    }
    Ok(Allowance { since: allowance.since, used: allowance.used + 1 })
}
