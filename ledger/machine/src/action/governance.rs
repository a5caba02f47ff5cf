//! `governance.propose` and `governance.vote`. What becomes of a proposal is decided by the block at its height
//! ([`crate::governance`]).

use aval_types::governance::{
    AGENDA_MAX, AHEAD_BLOCKS_MAX, GovernancePropose, GovernanceVote, OPEN_PER_GOVERNOR_MAX, OpenProposal,
    ProposalRecord, Vote,
};
use aval_types::{Event, Reject};

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::governance;
use crate::state::StateRead;
use crate::state_key;

/// Decides `governance.propose`. A change that is impossible as the ledger stands, or that would lock the
/// network out of its own government, never comes to a vote.
pub(crate) fn propose<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &GovernancePropose,
) -> Result<Effect, Stop> {
    let proposer = case.expect_sender()?;
    case.expect_permit(&proposer)?;
    expect_governor(case, &proposer.did)?;
    let parameters = &case.constitution.parameters.governance;
    let earliest = case.context.height.saturating_add(parameters.notice_blocks);
    if action.execute_at < earliest || action.execute_at - earliest > AHEAD_BLOCKS_MAX {
        return Err(Reject::GovernanceExecuteAt.into());
    }
    let mut open = case.view.open_proposals()?;
    if open.iter().filter(|one| one.proposer == proposer.did).count() >= OPEN_PER_GOVERNOR_MAX {
        return Err(Reject::GovernanceTooMany.into());
    }
    let mut agenda = case.view.agenda(action.execute_at)?;
    if agenda.len() >= AGENDA_MAX {
        return Err(Reject::GovernanceAgendaFull.into());
    }
    let id = case.checked.id();
    let mut block = case.context.clone();
    block.height = action.execute_at;
    let moment = governance::Moment { block, reference: id };
    // What it would do if it were executed now.
    governance::change(case.view, case.constitution, &action.change, &moment)?;
    agenda.push(id);
    open.push(OpenProposal { id, proposer: proposer.did.clone(), execute_at: action.execute_at });
    let record = ProposalRecord {
        id,
        proposer: proposer.did.clone(),
        title: action.title.clone(),
        change: action.change.clone(),
        execute_at: action.execute_at,
        created: case.time_ms(),
        closes: case.time_ms().saturating_add(parameters.voting_period_ms),
        votes: Vec::new(),
        outcome: None,
    };
    let mut effect = Effect::default();
    effect.put(state_key::proposal(&id), &record)?;
    effect.put(state_key::agenda(action.execute_at), &agenda)?;
    effect.put(state_key::PROPOSALS.to_owned(), &open)?;
    effect.event(Event::GovernanceProposed {
        proposal: id,
        proposer: proposer.did,
        change: action.change.kind().to_owned(),
        execute_at: action.execute_at,
    });
    Ok(effect)
}

/// Decides `governance.vote`.
pub(crate) fn vote<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &GovernanceVote,
) -> Result<Effect, Stop> {
    let voter = case.expect_sender()?;
    case.expect_permit(&voter)?;
    expect_governor(case, &voter.did)?;
    let mut record = case.view.proposal(&action.proposal)?.ok_or(Reject::GovernanceNotFound)?;
    if record.outcome.is_some() || case.time_ms() >= record.closes {
        return Err(Reject::GovernanceClosed.into());
    }
    if record.votes.iter().any(|vote| vote.governor == voter.did) {
        return Err(Reject::GovernanceVoted.into());
    }
    let (proposal, governor, approve) = (record.id, voter.did, action.approve);
    record.votes.push(Vote { governor: governor.clone(), approve, time: case.time_ms() });
    let mut effect = Effect::default();
    effect.put(state_key::proposal(&proposal), &record)?;
    effect.event(Event::GovernanceVoted { proposal, governor, approve });
    Ok(effect)
}

/// Whatever a policy permits, nobody else governs.
fn expect_governor<S: StateRead + ?Sized>(case: &Case<'_, S>, did: &aval_did::Did) -> Result<(), Reject> {
    if case.constitution.is_governor(did) { Ok(()) } else { Err(Reject::GovernanceGovernor) }
}
