//! What a block does after its transactions: participation, and at the end of an epoch the next validator set.

use crate::authorize::BlockContext;
use crate::effect::Effect;
use crate::membership;
use crate::state::{StateError, StateRead};

/// Ends the block. `state` is what its transactions left.
pub(super) fn end<S: StateRead + ?Sized>(state: &S, context: &BlockContext) -> Result<Effect, StateError> {
    membership::end(state, context)
}
