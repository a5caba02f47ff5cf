//! Which version of the protocol the next block is under, and whether this program knows it.
//!
//! Governance names version and height of an upgrade in advance. A program that does not know the version
//! stops before that height, in order and with one sentence: it neither makes nor judges nor commits a block
//! whose rules it does not know.

use aval_machine::{StateError, StateRead, governance};
use aval_store::{Ledger, StoreError};

use super::execution::Rejection;

/// The newest version of the protocol that this program knows.
pub const PROTOCOL_VERSION: u32 = 1;

/// Why the next block is not for this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {height} is under protocol version {version}, and this program knows versions up to {supported}: install a \
     program that knows version {version} and start it in the same folder"
)]
pub(super) struct Unsupported {
    height: u64,
    version: u32,
    supported: u32,
}

/// Whether the block at `height` can be made or judged on the state before it.
pub(super) fn support<S: StateRead + ?Sized>(
    state: &S,
    height: u64,
    supported: u32,
) -> Result<Result<(), Unsupported>, StateError> {
    let version = governance::version_at(state, height)?;
    Ok(if version > supported { Err(Unsupported { height, version, supported }) } else { Ok(()) })
}

/// The sentence with which a node stops whose next block is not for this program; nothing if it can go on.
pub fn reason_to_stop(ledger: &Ledger, supported: u32) -> Result<Option<String>, StoreError> {
    let head = ledger.require_head()?;
    let view = ledger.view(&head.digest())?;
    match support(&view, head.height() + 1, supported) {
        Ok(answer) => Ok(answer.err().map(|unsupported| unsupported.to_string())),
        Err(error) => Err(StoreError::Corrupt { what: error.to_string() }),
    }
}

/// Refuses to make or to judge a block that is not for this program.
pub(super) fn expect_support(view: &aval_store::View, height: u64, supported: u32) -> Result<(), Rejection> {
    match support(view, height, supported) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(unsupported)) => Err(Rejection::Fault(unsupported.to_string())),
        Err(error) => Err(Rejection::Fault(error.to_string())),
    }
}
