//! What every block does after its transactions: notes who lost or regained its standing, counts who was seen, and, as
//! the last block of an epoch, decides on the next set.

use aval_types::node::{NodeRecord, Participation, key_bytes};
use aval_types::{Event, Reject, ValidatorEntry};

use super::{boundary, objection, participation};
use crate::authorize::BlockContext;
use crate::effect::Effect;
use crate::state::{StateError, StateRead};
use crate::view::View;

/// A validator in force, how it stands after the block.
pub(super) struct Seat {
    pub(super) entry: ValidatorEntry,
    pub(super) record: NodeRecord,
    pub(super) objection: Option<Reject>,
}

/// Everything that the end of a block does.
pub(crate) fn end<S: StateRead + ?Sized>(state: &S, context: &BlockContext) -> Result<Effect, StateError> {
    let view = View::new(state);
    let mut effect = Effect::default();
    let epoch_blocks = view.parameters()?.validators.epoch_blocks;
    let mut seats = seats(&view, context.time_ms)?;
    settle_founders(&view, &mut seats, context.time_ms, &mut effect)?;
    let before: Vec<ValidatorEntry> = seats.iter().map(|seat| seat.entry.clone()).collect();
    note_leaving(&mut seats, context, &mut effect);
    let counted = count(&view, &seats, context, epoch_blocks)?;
    if super::is_boundary(context.height, epoch_blocks) {
        boundary::close(&view, seats, counted, context, &mut effect)?;
        return Ok(effect);
    }
    if let Some(participation) = counted {
        effect.put_participation(&participation)?;
    }
    let after: Vec<ValidatorEntry> = seats.into_iter().map(|seat| seat.entry).collect();
    if after != before {
        effect.put_validators(&after)?;
    }
    Ok(effect)
}

fn seats<S: StateRead + ?Sized>(view: &View<'_, S>, time_ms: u64) -> Result<Vec<Seat>, StateError> {
    let seat = |entry: ValidatorEntry| {
        let record = view.node_expected(&entry.key)?;
        let objection = objection(view, &record, time_ms)?;
        Ok(Seat { entry, record, objection })
    };
    view.validators()?.into_iter().map(seat).collect()
}

/// A validator of genesis whose operator has a live grant stands on that grant from now on.
fn settle_founders<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    seats: &mut [Seat],
    time_ms: u64,
    effect: &mut Effect,
) -> Result<(), StateError> {
    for seat in seats.iter_mut().filter(|seat| seat.record.founding && seat.objection.is_none()) {
        let plain = NodeRecord { founding: false, ..seat.record.clone() };
        if objection(view, &plain, time_ms)?.is_none() {
            effect.put_node(&plain)?;
            effect.event(Event::NodeAccredited { node: plain.key, operator: plain.operator.clone() });
            seat.record = plain;
        }
    }
    Ok(())
}

/// Marks who has to leave, since when, and who need not any more.
fn note_leaving(seats: &mut [Seat], context: &BlockContext, effect: &mut Effect) {
    for seat in seats {
        let suspended = super::is_suspended(&seat.record, context.time_ms);
        let must_leave = seat.objection.is_some() || suspended || seat.record.leaving;
        match (must_leave, seat.entry.leaving) {
            (true, None) => {
                seat.entry.leaving = Some(context.height);
                let code = match &seat.objection {
                    Some(objection) => objection.clone(),
                    None if suspended => Reject::NodeSuspended,
                    None => Reject::NodeLeft,
                };
                effect.event(Event::ValidatorLeaving { node: seat.record.key, code });
            }
            (false, Some(_)) => {
                seat.entry.leaving = None;
                effect.event(Event::ValidatorRestored { node: seat.record.key });
            }
            _ => {}
        }
    }
}

/// The counters after this block, if a window ends with it.
fn count<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    seats: &[Seat],
    context: &BlockContext,
    epoch_blocks: u64,
) -> Result<Option<Participation>, StateError> {
    let epoch = super::epoch_of(context.height, epoch_blocks);
    let ends = participation::ending_window(context.height, seats.len(), epoch_blocks);
    if ends.is_none() || context.leaders.is_empty() {
        return Ok(None);
    }
    let mut counters = match view.participation()? {
        Some(counters) if counters.epoch == epoch && counters.present.len() == seats.len() => counters,
        _ => Participation { epoch, windows: 0, present: vec![0; seats.len()] },
    };
    counters.windows = counters.windows.saturating_add(1);
    for (seat, present) in seats.iter().zip(&mut counters.present) {
        if key_bytes(&seat.entry.key).is_some_and(|key| context.leaders.contains(&key)) {
            *present = present.saturating_add(1);
        }
    }
    Ok(Some(counters))
}
