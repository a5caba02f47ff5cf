//! `schema.publish` and `schema.deprecate`, and what schemas in force ask of a presented credential (specs/trust.md,
//! section 5).
//!
//! A body speaks for those below it: a schema binds the issuers whose chain its publisher is part of, and nobody else.

use aval_credential::{Presentation, Schema};
use aval_types::accreditation::{Capacity, Chain, Question};
use aval_types::action::{SchemaDeprecate, SchemaPublish};
use aval_types::limits::SCHEMAS_IN_FORCE_MAX;
use aval_types::schema::CREDENTIAL_SCHEMA_TYPE;
use aval_types::{Event, Reject, SchemaHash, SchemaRecord};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::state::{StateError, StateRead};
use crate::state_key;
use crate::trust;
use crate::view::View;

/// Decides `schema.publish`.
pub(crate) fn publish<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SchemaPublish,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let question = Question {
        subject: &sender.did,
        capacity: Capacity::Accredit,
        credential_type: Some(&action.credential_type),
        roles: &[],
        time_ms: case.time_ms(),
    };
    if trust::ask(case.view, &question)?.is_err() {
        return Err(Reject::SchemaPublisher.into());
    }
    Schema::compile(&action.schema).map_err(|error| Reject::SchemaInvalid(error.to_string().into()))?;
    let hash = SchemaHash::of(&action.schema);
    if case.view.schema(&hash)?.is_some() {
        return Err(Reject::SchemaExists.into());
    }
    let mut in_force = case.view.schemas(&action.credential_type, &sender.did)?;
    if in_force.schemas.len() >= SCHEMAS_IN_FORCE_MAX {
        return Err(Reject::SchemaFull.into());
    }
    in_force.schemas.push(hash);
    let mut effect = Effect::default();
    effect.put(state_key::schemas(&action.credential_type, &sender.did), &in_force)?;
    effect.put(
        state_key::schema(&hash),
        &SchemaRecord {
            credential_type: action.credential_type.clone(),
            publisher: sender.did.clone(),
            height: case.context.height,
            deprecated: None,
            schema: action.schema.clone(),
        },
    )?;
    effect.event(Event::SchemaPublished {
        schema: hash,
        credential_type: action.credential_type.clone(),
        publisher: sender.did,
    });
    Ok(effect)
}

/// Decides `schema.deprecate`: by its publisher or one above it, live.
pub(crate) fn deprecate<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &SchemaDeprecate,
) -> Result<Effect, Stop> {
    let sender = case.expect_sender()?;
    case.expect_permit(&sender)?;
    let mut record = case.view.schema(&action.schema)?.ok_or(Reject::SchemaNotFound)?;
    let speaks =
        sender.did == record.publisher || trust::is_above(case.view, &sender.did, &record.publisher)?;
    if !speaks {
        return Err(Reject::SchemaPublisher.into());
    }
    trust::expect_accreditor(case.view, &sender.did, case.time_ms())?;
    if record.deprecated.is_some() {
        return Err(Reject::SchemaDeprecated.into());
    }
    let mut in_force = case.view.schemas(&record.credential_type, &record.publisher)?;
    in_force.schemas.retain(|schema| *schema != action.schema);
    record.deprecated = Some(case.context.height);
    let mut effect = Effect::default();
    let key = state_key::schemas(&record.credential_type, &record.publisher);
    if in_force.schemas.is_empty() {
        effect.remove(key);
    } else {
        effect.put(key, &in_force)?;
    }
    effect.put(state_key::schema(&action.schema), &record)?;
    effect.event(Event::SchemaDeprecated { schema: action.schema });
    Ok(effect)
}

/// A credential of a type for which bodies above its issuer have schemas in force names one of these and fits it.
pub(crate) fn expect_fitting<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    credential_type: &str,
    chain: &Chain,
    presentation: &Presentation,
) -> Result<(), Stop> {
    let mut in_force: Vec<SchemaHash> = Vec::new();
    for body in chain.links().iter().skip(1) {
        in_force.extend(view.schemas(credential_type, &body.subject)?.schemas);
    }
    if in_force.is_empty() {
        return Ok(());
    }
    let named: Vec<SchemaHash> = presentation
        .schema_ids(CREDENTIAL_SCHEMA_TYPE)
        .filter_map(|id| SchemaHash::from_urn(id).ok())
        .collect();
    let Some(hash) = named.iter().find(|hash| in_force.contains(hash)) else {
        // Telling why costs one read, and only of the first that is named.
        let first = named.first().map(|hash| view.schema(hash)).transpose()?.flatten();
        let was_in_force = first.is_some_and(|record| record.deprecated.is_some());
        return Err(if was_in_force { Reject::SchemaDeprecated } else { Reject::SchemaRequired }.into());
    };
    let key = state_key::schema(hash);
    let record =
        view.schema(hash)?.ok_or_else(|| StateError::damaged(&key, "a schema in force is missing"))?;
    let schema = Schema::compile(&record.schema).map_err(|error| StateError::damaged(&key, error))?;
    schema
        .validate(presentation.claims())
        .map_err(|violation| Reject::SchemaMismatch(violation.to_string().into()).into())
}
