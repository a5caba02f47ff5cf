//! How often validators are seen: the service level, measured on the certified chain (R-CONS-3).
//!
//! An epoch is cut into windows of [`window_blocks`] blocks. A validator is seen in a window if the chain has a block
//! of that window which it proposed. Leaders take turns, so a validator that works proposes several blocks of each
//! window, however far away it is; one that is down proposes none. Every header names its leader and is under a
//! certificate, so all nodes count the same. specs/decisions/0007-participation.md says why leaders are counted and
//! not signers.

use crate::state::{StateError, StateRead};
use crate::view::View;

/// Windows of a long epoch.
const WINDOWS: u64 = 30;

/// Blocks of a window: enough for every validator to have had two turns, and not so few that counting costs.
pub fn window_blocks(validators: usize, epoch_blocks: u64) -> u64 {
    let turns = u64::try_from(validators).unwrap_or(u64::MAX).saturating_mul(2);
    turns.max(epoch_blocks / WINDOWS).max(1)
}

/// How many blocks, the one of this height included, are the window that ends with it; `None` if none does.
pub(crate) fn ending_window(height: u64, validators: usize, epoch_blocks: u64) -> Option<u64> {
    let blocks = window_blocks(validators, epoch_blocks);
    let place = height.checked_rem(epoch_blocks)?.checked_add(1)?;
    // The genesis block has no leader: the first window of epoch 0 is one short.
    (place.checked_rem(blocks)? == 0).then_some(blocks.min(height))
}

/// Of how many blocks, the one of this height included and going back, the machine wants to know the leaders
/// ([`crate::BlockContext::leaders`]) to execute the block of this height on `state`; usually none.
pub fn leaders_wanted<S: StateRead + ?Sized>(state: &S, height: u64) -> Result<u64, StateError> {
    let view = View::new(state);
    let epoch_blocks = view.parameters()?.validators.epoch_blocks;
    let count = view.validators()?.len();
    Ok(ending_window(height, count, epoch_blocks).unwrap_or(0))
}
