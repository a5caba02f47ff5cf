//! `anchor.create`, `service.register` and `service.remove`: members commit to data that stays elsewhere and say what
//! they run (specs/trust.md, sections 6 and 7).

use aval_types::action::{AnchorCreate, ServiceRegister, ServiceRemove};
use aval_types::{AnchorRecord, Event, Reject, ServiceRecord};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::state::StateRead;
use crate::state_key;

/// Decides `anchor.create`. A commitment is there once: who comes second learns that it exists, and from when on.
pub(crate) fn anchor<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &AnchorCreate,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    if case.view.anchor(&action.commitment)?.is_some() {
        return Err(Reject::AnchorExists.into());
    }
    let mut effect = Effect::default();
    effect.put(
        state_key::anchor(&action.commitment),
        &AnchorRecord {
            owner: sender.did.clone(),
            kind: action.kind.clone(),
            height: case.context.height,
            time: case.time_ms(),
        },
    )?;
    effect.event(Event::AnchorCreated {
        commitment: action.commitment,
        owner: sender.did,
        kind: action.kind.clone(),
    });
    Ok(effect)
}

/// Decides `service.register`.
pub(crate) fn register<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &ServiceRegister,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let mut effect = Effect::default();
    effect.put(
        state_key::service(&sender.did, &action.name),
        &ServiceRecord {
            operator: sender.did.clone(),
            name: action.name.clone(),
            kind: action.kind.clone(),
            endpoint: action.endpoint.clone(),
            description: action.description.clone(),
            height: case.context.height,
            updated: case.time_ms(),
        },
    )?;
    effect.event(Event::ServiceRegistered {
        operator: sender.did,
        name: action.name.clone(),
        kind: action.kind.clone(),
    });
    Ok(effect)
}

/// Decides `service.remove`. Taking an entry out needs no grant: who has lost it can still tidy up.
pub(crate) fn remove<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &ServiceRemove,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let key = state_key::service(&sender.did, &action.name);
    if case.view.bytes(&key)?.is_none() {
        return Err(Reject::ServiceNotFound.into());
    }
    let mut effect = Effect::default();
    effect.remove(key);
    effect.event(Event::ServiceRemoved { operator: sender.did, name: action.name.clone() });
    Ok(effect)
}
