//! `node.register`, `node.update`, `node.leave`, `node.evidence`: operators and their nodes (specs/rules.md, "Nodes and
//! validators").

use aval_did::{DidRecord, PublicKey};
use aval_types::action::{NodeEvidence, NodeLeave, NodeRegister, NodeUpdate};
use aval_types::node::{EvidenceRecord, NodeRecord, Suspension, SuspensionCause, key_bytes};
use aval_types::{Event, Reject, limits, vote};
use std::net::SocketAddr;

use crate::authorize::{Case, Stop};
use crate::effect::Effect;
use crate::grant;
use crate::membership;
use crate::state::StateRead;
use crate::state_key;

/// Decides `node.register`. That the key agrees is checked without the state.
pub(crate) fn register<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &NodeRegister,
) -> Result<Effect, Stop> {
    let operator = case.expect_sender()?;
    case.expect_permit(&operator)?;
    grant::expect_role(case.view, &operator, action.kind.role(), case.time_ms())?;
    let key = key_bytes(&action.key).ok_or(Reject::NodeInvalid("the key is not an Ed25519 key".into()))?;
    if case.view.bytes(&state_key::deny_node(&key))?.is_some() {
        return Err(Reject::NodeDenied.into());
    }
    if case.view.node(&action.key)?.is_some() {
        return Err(Reject::NodeExists.into());
    }
    let mut queue = case.view.nodes()?;
    expect_room(case, &queue, action, &operator)?;
    queue.push(action.key);
    let record = NodeRecord {
        key: action.key,
        kind: action.kind,
        name: action.name.clone(),
        operator: operator.did,
        addresses: action.addresses.clone(),
        sector: action.sector.clone(),
        region: action.region.clone(),
        registered: case.context.height,
        founding: false,
        leaving: false,
        suspended: None,
    };
    let mut effect = Effect::default();
    effect.put_node(&record)?;
    effect.put_nodes(&queue)?;
    effect.event(Event::NodeRegistered { node: record.key, kind: record.kind, operator: record.operator });
    Ok(effect)
}

/// Decides `node.update`.
pub(crate) fn update<S: StateRead + ?Sized>(case: &Case<'_, S>, action: &NodeUpdate) -> Result<Effect, Stop> {
    let mut record = own_node(case, &action.key)?;
    aval_types::node::validate_addresses(Some(record.kind), &action.addresses)?;
    for key in case.view.nodes()?.iter().filter(|key| **key != record.key) {
        if shares_address(&case.view.node_expected(key)?, &action.addresses) {
            return Err(Reject::NodeExists.into());
        }
    }
    record.addresses.clone_from(&action.addresses);
    let mut effect = Effect::default();
    effect.put_node(&record)?;
    effect.event(Event::NodeUpdated { node: record.key, operator: record.operator });
    Ok(effect)
}

/// Decides `node.leave`: a node outside of the set goes at once, a validator in force when the rules let it.
pub(crate) fn leave<S: StateRead + ?Sized>(case: &Case<'_, S>, action: &NodeLeave) -> Result<Effect, Stop> {
    let mut record = own_node(case, &action.key)?;
    if membership::barred(&record) {
        // Its record has to stay, so that the key does not come back.
        return Err(Reject::NodeBarred.into());
    }
    if record.leaving {
        return Err(Reject::NodeLeft.into());
    }
    let mut effect = Effect::default();
    if case.view.validators()?.iter().any(|entry| entry.key == record.key) {
        record.leaving = true;
        effect.put_node(&record)?;
        effect.event(Event::NodeLeaving { node: record.key, operator: record.operator });
        return Ok(effect);
    }
    let queue: Vec<PublicKey> = case.view.nodes()?.into_iter().filter(|key| *key != record.key).collect();
    effect.put_nodes(&queue)?;
    effect.remove_node(&record.key);
    effect.event(Event::NodeLeft { node: record.key, operator: record.operator });
    Ok(effect)
}

/// Decides `node.evidence`. That the votes are a fault is checked without the state.
pub(crate) fn evidence<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    action: &NodeEvidence,
) -> Result<Effect, Stop> {
    let submitter = case.expect_sender()?;
    case.expect_permit(&submitter)?;
    let mut record = case.view.node(&action.key)?.ok_or(Reject::NodeNotFound)?;
    let known = record.suspended.as_ref().map(|suspended| &suspended.cause);
    if matches!(known, Some(SuspensionCause::Equivocation(_))) {
        return Err(Reject::NodeEvidenceKnown.into());
    }
    let key = key_bytes(&action.key).ok_or(Reject::NodeNotFound)?;
    let id = vote::evidence_id(&key, &action.first);
    let kept = EvidenceRecord {
        key: action.key,
        first: action.first.clone(),
        second: action.second.clone(),
        submitter: submitter.did,
        height: case.context.height,
        time: case.time_ms(),
    };
    record.suspended =
        Some(Suspension { since: case.time_ms(), until: None, cause: SuspensionCause::Equivocation(id) });
    let mut effect = Effect::default();
    effect.put(state_key::evidence(&id), &kept)?;
    effect.put_node(&record)?;
    effect.event(Event::NodeFault { node: record.key, operator: record.operator, evidence: id });
    Ok(effect)
}

/// The node, which the sender operates.
fn own_node<S: StateRead + ?Sized>(case: &Case<'_, S>, key: &PublicKey) -> Result<NodeRecord, Stop> {
    let operator = case.expect_sender()?;
    let record = case.view.node(key)?.ok_or(Reject::NodeNotFound)?;
    if record.operator != operator.did {
        return Err(Reject::NodeOperator.into());
    }
    case.expect_permit(&operator)?;
    Ok(record)
}

/// Name and addresses are free, there is room, and the operator is not barred.
fn expect_room<S: StateRead + ?Sized>(
    case: &Case<'_, S>,
    queue: &[PublicKey],
    action: &NodeRegister,
    operator: &DidRecord,
) -> Result<(), Stop> {
    let bar_ms = case.view.parameters()?.validators.suspension_ms;
    let mut own = 0usize;
    for key in queue {
        let other = case.view.node_expected(key)?;
        if other.name == action.name || shares_address(&other, &action.addresses) {
            return Err(Reject::NodeExists.into());
        }
        if other.operator != operator.did {
            continue;
        }
        own = own.saturating_add(1);
        let fault = other.suspended.as_ref().filter(|_| membership::barred(&other));
        if fault.is_some_and(|fault| case.time_ms() < fault.since.saturating_add(bar_ms)) {
            return Err(Reject::NodeBarred.into());
        }
    }
    if queue.len() >= limits::NODES_MAX || own >= limits::OPERATOR_NODES_MAX {
        return Err(Reject::NodeFull.into());
    }
    Ok(())
}

fn shares_address(record: &NodeRecord, addresses: &[SocketAddr]) -> bool {
    record.addresses.iter().any(|address| addresses.contains(address))
}
