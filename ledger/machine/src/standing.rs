//! Who somebody is on the ledger, for those who ask outside of a transaction: a node before it lets an auditor read.

use aval_did::{Did, DidRecord, PublicKey, Relationship};
use aval_types::Reject;

use crate::authorize::Stop;
use crate::grant;
use crate::state::{StateError, StateRead};
use crate::view::View;

/// May export ranges of the ledger through a node's audit interface.
pub const ROLE_AUDITOR: &str = "auditor";

/// Whether a DID is active and `key` is one of its authentication keys. The outer error means that nothing was decided.
pub fn expect_key<S: StateRead + ?Sized>(
    state: &S,
    did: &Did,
    key: &PublicKey,
) -> Result<Result<(), Reject>, StateError> {
    decide(|| keyed(&View::new(state), did, key).map(|_| ()))
}

/// As [`expect_key`], and whether the DID holds a live grant with `role` at a time.
pub fn expect_role<S: StateRead + ?Sized>(
    state: &S,
    did: &Did,
    key: &PublicKey,
    role: &str,
    time_ms: u64,
) -> Result<Result<(), Reject>, StateError> {
    let view = View::new(state);
    decide(|| grant::expect_role(&view, &keyed(&view, did, key)?, role, time_ms))
}

fn keyed<S: StateRead + ?Sized>(view: &View<'_, S>, did: &Did, key: &PublicKey) -> Result<DidRecord, Stop> {
    let record = view.did(did)?.ok_or(Reject::DidNotFound)?;
    if record.deactivated {
        return Err(Reject::DidDeactivated.into());
    }
    if record.document.contains_key(key, Relationship::Authentication) {
        Ok(record)
    } else {
        Err(Reject::DidKeyNotInDocument.into())
    }
}

fn decide(decision: impl FnOnce() -> Result<(), Stop>) -> Result<Result<(), Reject>, StateError> {
    match decision() {
        Ok(()) => Ok(Ok(())),
        Err(Stop::Reject(reject)) => Ok(Err(reject)),
        Err(Stop::State(error)) => Err(error),
    }
}
