//! What the decisions of governors do: the agenda of a height, and each kind of change (specs/rules.md, "Governance").
//!
//! A block executes what is due at its height before its transactions, in the order of the proposals. Only governors of
//! that moment count, and a change is checked again on what those before it left; one that is no longer possible fails
//! alone and changes nothing.

mod change;

use aval_types::governance::{ProposalOutcome, ProposalRecord, ProposalResult};
use aval_types::{Event, Parameters, Reject, TransactionId};

use crate::authorize::{BlockContext, Stop};
use crate::constitution::Constitution;
use crate::effect::Effect;
use crate::sabotage::{self, Sabotage};
use crate::state::{Changes, Overlay, StateError, StateRead};
use crate::state_key;
use crate::view::View;

pub(crate) use change::change;

/// When and by what a change is made, or would be.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// The block that makes it.
    pub(crate) block: BlockContext,
    /// The proposal.
    pub(crate) reference: TransactionId,
}

/// The version of the protocol that the block at `height` is under, on the state before it.
pub fn version_at<S: StateRead + ?Sized>(state: &S, height: u64) -> Result<u32, StateError> {
    let view = View::new(state);
    match view.upgrade()? {
        Some(upgrade) if upgrade.height <= height => Ok(upgrade.version),
        _ => Ok(parameters(state)?.version),
    }
}

/// The parameters in force.
pub fn parameters<S: StateRead + ?Sized>(state: &S) -> Result<Parameters, StateError> {
    View::new(state).parameters()
}

/// Does what is due at a block's height. `state` is the state before the block.
pub(crate) fn execute_agenda<S: StateRead + ?Sized>(
    state: &S,
    context: &BlockContext,
) -> Result<Effect, StateError> {
    let mut events = Vec::new();
    let mut overlay = Overlay::new(state);
    activate(&mut overlay, context, &mut events)?;
    let due = View::new(&overlay).agenda(context.height)?;
    if !due.is_empty() {
        for id in &due {
            let effect = conclude(&overlay, context, id)?;
            overlay.apply(effect.changes);
            events.extend(effect.events);
        }
        let mut open = View::new(&overlay).open_proposals()?;
        open.retain(|one| !due.contains(&one.id));
        let mut rest = Effect::default();
        rest.remove(state_key::agenda(context.height));
        match open.is_empty() {
            true => rest.remove(state_key::PROPOSALS.to_owned()),
            false => rest.put(state_key::PROPOSALS.to_owned(), &open)?,
        }
        overlay.apply(rest.changes);
    }
    let mut effect = Effect::default();
    merge(&mut effect, overlay.into_changes(), events);
    Ok(effect)
}

/// Puts a scheduled version of the protocol in force at its height.
fn activate<S: StateRead + ?Sized>(
    overlay: &mut Overlay<'_, S>,
    context: &BlockContext,
    events: &mut Vec<Event>,
) -> Result<(), StateError> {
    let view = View::new(&*overlay);
    let Some(upgrade) = view.upgrade()?.filter(|upgrade| upgrade.height <= context.height) else {
        return Ok(());
    };
    let mut parameters = parameters(&*overlay)?;
    parameters.version = upgrade.version;
    let mut effect = Effect::default();
    effect.put(state_key::PARAMETERS.to_owned(), &parameters)?;
    effect.remove(state_key::UPGRADE.to_owned());
    events.push(Event::UpgradeActivated { version: upgrade.version });
    overlay.apply(effect.changes);
    Ok(())
}

/// Counts the votes on a proposal and makes its change, if enough governors approve and it is still possible.
fn conclude<S: StateRead + ?Sized>(
    state: &S,
    context: &BlockContext,
    id: &TransactionId,
) -> Result<Effect, StateError> {
    let view = View::new(state);
    let key = state_key::proposal(id);
    let mut record = view
        .proposal(id)?
        .ok_or_else(|| StateError::damaged(&key, "the agenda names a proposal that does not exist"))?;
    let constitution = Constitution::of(state)?;
    let approvals = approvals(&record, &constitution);
    let threshold = constitution.governors.threshold;
    let (proposal, change) = (record.id, record.change.kind().to_owned());
    let outcome = |result, code| Some(ProposalOutcome { result, approvals, threshold, code });
    let mut effect = Effect::default();
    if approvals < threshold && !sabotage::is(Sabotage::GovernWithoutVotes) {
        record.outcome = outcome(ProposalResult::Rejected, None);
        effect.event(Event::GovernanceRejected { proposal, change, approvals, threshold });
    } else {
        let moment = Moment { block: context.clone(), reference: proposal };
        match change::change(&view, &constitution, &record.change, &moment) {
            Ok(changed) => {
                record.outcome = outcome(ProposalResult::Executed, None);
                effect.event(Event::GovernanceExecuted { proposal, change, approvals, threshold });
                let changed = changed.seal()?;
                merge(&mut effect, changed.changes, changed.events);
            }
            Err(Stop::Reject(reject)) => {
                effect.event(Event::GovernanceFailed { proposal, change, code: reject.clone() });
                record.outcome = outcome(ProposalResult::Failed, Some(bare(reject)));
            }
            Err(Stop::State(error)) => return Err(error),
        }
    }
    effect.put(key, &record)?;
    Ok(effect)
}

fn merge(effect: &mut Effect, changes: Changes, events: Vec<Event>) {
    effect.changes.extend(changes);
    effect.events.extend(events);
}

/// A code alone: details are for those who ask, not for the state.
fn bare(reject: Reject) -> Reject {
    Reject::from_code(reject.code()).unwrap_or(reject)
}

/// Approvals of those who govern now.
fn approvals(record: &ProposalRecord, constitution: &Constitution) -> u32 {
    let counted = record.votes.iter().filter(|vote| vote.approve && constitution.is_governor(&vote.governor));
    u32::try_from(counted.count()).unwrap_or(u32::MAX)
}
