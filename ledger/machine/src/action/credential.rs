//! `credential.present`: a DID that is on the ledger turns a further credential into a grant (specs/rules.md,
//! sections 3 and 4).

use aval_types::action::CredentialPresent;

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::grant;
use crate::state::StateRead;

/// Decides `credential.present`: the sender is the grant's subject (checked with the shape) and the credential's
/// holder.
pub(crate) fn present<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &CredentialPresent,
) -> Result<Effect, Stop> {
    let mut record = case.expect_sender()?;
    case.expect_permit(&record)?;
    let mut effect = Effect::default();
    grant::make(case, &action.grant, &mut record, &mut effect)?;
    effect.put_did(&record)?;
    Ok(effect)
}
