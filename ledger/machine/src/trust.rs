//! Chains of accreditation on a state: who may issue, who may accredit, and how roots come and go (specs/trust.md).
//!
//! Liveness is asked at every use, so revoking a link ends what stands on it in the very block. A chain costs one read
//! for each link, two as a rule: the records say all there is to know, because deactivating a DID revokes its record.

use aval_did::Did;
use aval_types::accreditation::{
    AccreditedType, Broken, Capacity, Chain, Question, Why, chain, validate_scope,
};
use aval_types::{AccreditationKind, AccreditationRecord, Event, Reject};

use crate::authorize::{BlockContext, Stop};
use crate::effect::Effect;
use crate::state::{StateError, StateRead};
use crate::view::View;

/// Asks the question on a state.
pub(crate) fn ask<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    question: &Question<'_>,
) -> Result<Result<Chain, Broken>, StateError> {
    chain(question, |did| view.accreditation(did))
}

/// The chain of an issuer for a type and all of these roles, with the codes of a presented credential.
pub(crate) fn expect_issuer<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    issuer: &Did,
    credential_type: &str,
    roles: &[String],
    time_ms: u64,
) -> Result<Chain, Stop> {
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let question = Question {
        subject: issuer,
        capacity: Capacity::Issue,
        credential_type: Some(credential_type),
        roles: &roles,
        time_ms,
    };
    ask(view, &question)?.map_err(|broken| {
        Stop::Reject(match broken.why {
            Why::Type => Reject::CredentialTypeUnaccredited,
            Why::Role => Reject::CredentialRoleUnaccredited,
            _ => Reject::CredentialIssuerUnaccredited,
        })
    })
}

/// Whether an issuer's credentials of a type still give a role.
pub(crate) fn backs<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    issuer: &Did,
    credential_type: &str,
    role: &str,
    time_ms: u64,
) -> Result<bool, StateError> {
    let question = Question {
        subject: issuer,
        capacity: Capacity::Issue,
        credential_type: Some(credential_type),
        roles: &[role],
        time_ms,
    };
    Ok(ask(view, &question)?.is_ok())
}

/// Asks for a live issuer, of whatever types.
pub(crate) fn expect_any_issuer<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    did: &Did,
    time_ms: u64,
) -> Result<Chain, Stop> {
    let question =
        Question { subject: did, capacity: Capacity::Issue, credential_type: None, roles: &[], time_ms };
    ask(view, &question)?.map_err(|_| Reject::CredentialIssuerUnaccredited.into())
}

/// Asks for a live root or body.
pub(crate) fn expect_accreditor<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    did: &Did,
    time_ms: u64,
) -> Result<Chain, Stop> {
    let question =
        Question { subject: did, capacity: Capacity::Accredit, credential_type: None, roles: &[], time_ms };
    ask(view, &question)?.map_err(|_| Reject::AccreditationRequired.into())
}

/// Whether a record is live at this time, whatever its kind.
pub(crate) fn is_live<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &AccreditationRecord,
    time_ms: u64,
) -> Result<bool, StateError> {
    let capacity = if record.kind.accredits() { Capacity::Accredit } else { Capacity::Issue };
    let question =
        Question { subject: &record.subject, capacity, credential_type: None, roles: &[], time_ms };
    Ok(ask(view, &question)?.is_ok())
}

/// Whether `who` is a parent of `below`, or one above. Goes by the records alone, live or not: who stands above does
/// not change by a revocation in between.
pub(crate) fn is_above<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    who: &Did,
    below: &Did,
) -> Result<bool, StateError> {
    let mut current = below.clone();
    for _ in 1..aval_types::accreditation::LINKS_MAX {
        match view.accreditation(&current)?.and_then(|record| record.parent) {
            None => return Ok(false),
            Some(parent) if parent == *who => return Ok(true),
            Some(parent) => current = parent,
        }
    }
    Ok(false)
}

/// What governance says of a root: the members of a `root.add`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RootTerms<'a> {
    /// The root.
    pub(crate) did: &'a Did,
    /// Which credential types.
    pub(crate) types: &'a [AccreditedType],
    /// How many links may stand below it.
    pub(crate) depth: u8,
    /// When it ends, milliseconds since 1970.
    pub(crate) expires: u64,
}

/// Makes a root, or gives one other terms. Whatever the DID was before, it is a root now. For governance alone.
pub(crate) fn add_root<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    terms: RootTerms<'_>,
    context: &BlockContext,
    effect: &mut Effect,
) -> Result<(), Stop> {
    validate_scope(AccreditationKind::Root, terms.types, terms.depth)
        .map_err(|reason| Reject::AccreditationInvalid(reason.into()))?;
    if terms.expires <= context.time_ms {
        return Err(Reject::AccreditationExpiry.into());
    }
    let did = view.did(terms.did)?.ok_or(Reject::DidNotFound)?;
    if did.deactivated {
        return Err(Reject::DidDeactivated.into());
    }
    let version = view.accreditation(terms.did)?.map_or(1, |record| record.version.saturating_add(1));
    effect.put_accreditation(&AccreditationRecord {
        subject: terms.did.clone(),
        kind: AccreditationKind::Root,
        parent: None,
        types: terms.types.to_vec(),
        depth: terms.depth,
        expires: terms.expires,
        credential: None,
        version,
        height: context.height,
        revoked: None,
        revoked_by: None,
    })?;
    let subject = terms.did.clone();
    effect.event(Event::AccreditationGranted {
        subject,
        kind: AccreditationKind::Root,
        parent: None,
        version,
    });
    Ok(())
}

/// Takes a root's accreditation back, and with it all that stands on it. For governance alone.
pub(crate) fn remove_root<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    did: &Did,
    context: &BlockContext,
    effect: &mut Effect,
) -> Result<(), Stop> {
    let record = view.accreditation(did)?.ok_or(Reject::AccreditationNotFound)?;
    if record.kind != AccreditationKind::Root {
        return Err(Reject::AccreditationNotFound.into());
    }
    revoke(record, None, context.height, effect)
}

/// Writes that an accreditation is revoked; who may do so is decided by the caller.
pub(crate) fn revoke(
    mut record: AccreditationRecord,
    by: Option<&Did>,
    height: u64,
    effect: &mut Effect,
) -> Result<(), Stop> {
    if record.revoked.is_some() {
        return Err(Reject::AccreditationRevoked.into());
    }
    record.revoked = Some(height);
    record.revoked_by = by.cloned();
    record.version = record.version.saturating_add(1);
    effect.put_accreditation(&record)?;
    effect.event(Event::AccreditationRevoked {
        subject: record.subject,
        by: record.revoked_by,
        version: record.version,
    });
    Ok(())
}
