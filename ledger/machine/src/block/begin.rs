//! What a block does before its transactions: the decisions of governance that are due at its height.

use crate::authorize::BlockContext;
use crate::effect::Effect;
use crate::governance;
use crate::state::{StateError, StateRead};

/// Executes what is due, in order. `state` is the state before the block.
pub(super) fn begin<S: StateRead + ?Sized>(state: &S, context: &BlockContext) -> Result<Effect, StateError> {
    governance::execute_agenda(state, context)
}
