//! `registry.create` and `registry.update`: an accredited issuer keeps the status of what it issued (D13).

use aval_types::action::{RegistryCreate, RegistryUpdate};
use aval_types::{Event, RegistryId, RegistryRecord, Reject};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::registry;
use crate::state::StateRead;

/// Decides `registry.create`.
pub(crate) fn create<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &RegistryCreate,
) -> Result<Effect, Stop> {
    let owner = case.expect_sender()?;
    case.expect_permit(&owner)?;
    let id =
        RegistryId::new(owner.did, &action.registry).ok_or(Reject::RegistryInvalid("the name".into()))?;
    if case.view.registry(&id)?.is_some() {
        return Err(Reject::RegistryExists.into());
    }
    let mut effect = Effect::default();
    for (list, uri) in (0u32..).zip(&action.lists) {
        if case.view.list(uri)?.is_some() {
            return Err(Reject::RegistryUriTaken.into());
        }
        effect.put_list(uri, &id, list)?;
    }
    effect.put_registry(&RegistryRecord {
        id: id.clone(),
        purpose: action.purpose,
        bits: action.bits,
        size: action.size,
        lists: action.lists.clone(),
        created: case.time_ms(),
    })?;
    effect.event(Event::RegistryCreated { registry: id });
    Ok(effect)
}

/// Decides `registry.update`. That the sender owns the registry is part of the registry's id.
pub(crate) fn update<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &RegistryUpdate,
) -> Result<Effect, Stop> {
    let owner = case.expect_sender()?;
    if action.registry.owner() != &owner.did {
        return Err(Reject::RegistryOwner.into());
    }
    case.expect_permit(&owner)?;
    let record = case.view.registry(&action.registry)?.ok_or(Reject::RegistryNotFound)?;
    let mut effect = Effect::default();
    let changed = registry::change(case.view, &record, &action.changes, &mut effect)?;
    effect.event(Event::RegistryUpdated { registry: record.id, changed });
    Ok(effect)
}
