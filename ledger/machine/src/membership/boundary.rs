//! The last block of an epoch: service levels are judged, and the next set is selected.

use aval_did::PublicKey;
use aval_types::node::{NodeRecord, Participation, Service, Suspension, SuspensionCause, key_bytes};
use aval_types::parameters::ValidatorParameters;
use aval_types::{Event, NodeKind, ValidatorEntry};

use super::end::Seat;
use super::selection::{Candidate, Cause, Incumbent, Leaving, select};
use super::{epoch_of, is_suspended, objection};
use crate::authorize::BlockContext;
use crate::effect::Effect;
use crate::state::{StateError, StateRead};
use crate::view::View;

/// Closes the epoch.
pub(super) fn close<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    mut seats: Vec<Seat>,
    counted: Option<Participation>,
    context: &BlockContext,
    effect: &mut Effect,
) -> Result<(), StateError> {
    let parameters = view.parameters()?.validators;
    let epoch = epoch_of(context.height, parameters.epoch_blocks);
    let counters = match counted {
        Some(counters) => Some(counters),
        None => view.participation()?.filter(|counters| counters.epoch == epoch),
    };
    if let Some(counters) = &counters {
        judge_service(&mut seats, counters, &parameters, context, effect)?;
        effect.put_participation(counters)?;
    }
    let queue = view.nodes()?;
    let incumbents = incumbents(&seats, &queue, context);
    let candidates = candidates(view, &seats, &queue, context)?;
    let next = select(&incumbents, &candidates, &parameters);
    write_set(view, seats, &next, epoch.saturating_add(1), effect)
}

/// Suspends who was seen too seldom.
fn judge_service(
    seats: &mut [Seat],
    counters: &Participation,
    parameters: &ValidatorParameters,
    context: &BlockContext,
    effect: &mut Effect,
) -> Result<(), StateError> {
    for (seat, present) in seats.iter_mut().zip(&counters.present) {
        let service = Service { epoch: counters.epoch, present: *present, windows: counters.windows };
        let is_barred = super::barred(&seat.record);
        if service.reaches(parameters.service_level_percent) || is_barred {
            continue;
        }
        // Whoever is still in the set while suspended starts over: the time counts from the last failure.
        let until = context.time_ms.saturating_add(parameters.suspension_ms);
        seat.record.suspended = Some(Suspension {
            since: context.time_ms,
            until: Some(until),
            cause: SuspensionCause::ServiceLevel(service),
        });
        seat.entry.leaving.get_or_insert(context.height);
        effect.put_node(&seat.record)?;
        effect.event(Event::ValidatorSuspended {
            node: seat.record.key,
            until,
            present: service.present,
            windows: service.windows,
        });
    }
    Ok(())
}

/// The validators in force in the order of their registration.
fn incumbents(seats: &[Seat], queue: &[PublicKey], context: &BlockContext) -> Vec<Incumbent> {
    let of_seat = |seat: &Seat| {
        let cause = if seat.objection.is_some() {
            Some(Cause::Standing)
        } else if is_suspended(&seat.record, context.time_ms) {
            Some(Cause::Suspended)
        } else {
            seat.record.leaving.then_some(Cause::Asked)
        };
        let since = seat.entry.leaving.unwrap_or(context.height);
        Some(Incumbent {
            key: key_bytes(&seat.entry.key)?,
            sector: seat.record.sector.clone(),
            region: seat.record.region.clone(),
            since: seat.entry.since,
            leaving: cause.map(|cause| Leaving { cause, since }),
        })
    };
    queue
        .iter()
        .filter_map(|key| seats.iter().find(|seat| seat.entry.key == *key))
        .filter_map(of_seat)
        .collect()
}

/// Who waits, in the order of registration.
fn candidates<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    seats: &[Seat],
    queue: &[PublicKey],
    context: &BlockContext,
) -> Result<Vec<Candidate>, StateError> {
    let mut candidates = Vec::new();
    for key in queue.iter().filter(|key| !seats.iter().any(|seat| seat.entry.key == **key)) {
        let record = view.node_expected(key)?;
        let waits = record.kind == NodeKind::Validator && !is_suspended(&record, context.time_ms);
        if !waits || objection(view, &record, context.time_ms)?.is_some() {
            continue;
        }
        if let Some(key) = key_bytes(key) {
            candidates.push(Candidate { key, sector: record.sector, region: record.region });
        }
    }
    Ok(candidates)
}

/// Writes the set that follows, and takes those off the register that asked to leave and are out.
fn write_set<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    seats: Vec<Seat>,
    next: &[[u8; 32]],
    epoch: u64,
    effect: &mut Effect,
) -> Result<(), StateError> {
    let entries: Vec<ValidatorEntry> = next
        .iter()
        .map(|key| {
            let key = PublicKey::Ed25519(*key);
            let seat = seats.iter().find(|seat| seat.entry.key == key);
            seat.map_or(ValidatorEntry { key, since: epoch, leaving: None }, |seat| seat.entry.clone())
        })
        .collect();
    let is_next = |key: &PublicKey| entries.iter().any(|entry| entry.key == *key);
    let left: Vec<NodeRecord> =
        seats.iter().filter(|seat| !is_next(&seat.entry.key)).map(|seat| seat.record.clone()).collect();
    let joined: Vec<PublicKey> = entries
        .iter()
        .filter(|entry| !seats.iter().any(|seat| seat.entry.key == entry.key))
        .map(|entry| entry.key)
        .collect();
    if view.validators()? != entries {
        effect.put_validators(&entries)?;
    }
    if !joined.is_empty() || !left.is_empty() {
        let left = left.iter().map(|record| record.key).collect();
        effect.event(Event::ValidatorsChanged { epoch, joined, left });
    }
    let gone: Vec<&NodeRecord> =
        left.iter().filter(|record| record.leaving && !super::barred(record)).collect();
    if !gone.is_empty() {
        let queue = view.nodes()?;
        let is_gone = |key: &PublicKey| gone.iter().any(|record| record.key == *key);
        effect.put_nodes(&queue.into_iter().filter(|key| !is_gone(key)).collect::<Vec<_>>())?;
        for record in gone {
            effect.remove_node(&record.key);
            effect.event(Event::NodeLeft { node: record.key, operator: record.operator.clone() });
        }
    }
    Ok(())
}
