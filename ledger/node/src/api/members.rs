//! The members of the network, as the operator of a node sees them: who is admitted, why, and whether it is there.

use std::net::SocketAddr;

use aval_did::{Did, PublicKey};
use aval_machine::{membership, state_key};
use aval_store::StoreError;
use aval_types::node::{NodeRecord, key_bytes};
use serde::Serialize;

use super::Context;
use super::problem::Problem;

/// A member counts as connected if it was heard within this time; each tells its height every 2 s.
const SILENCE_MS: u64 = 10_000;

/// A member.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    name: String,
    /// The network key, as a multikey.
    key: String,
    /// Who answers for it.
    operator: Did,
    /// `validator` or `observer`.
    kind: &'static str,
    /// How it stands: `validating`, `candidate`, `refused` and so on.
    status: &'static str,
    /// On what its admission stands, or the code of what speaks against it.
    why: &'static str,
    /// Whether other nodes connect with it.
    admitted: bool,
    addresses: Vec<SocketAddr>,
    sector: String,
    region: String,
    /// Whether it was heard in the last seconds.
    connected: bool,
    /// The height it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

/// The entry of a key in the registry of nodes.
pub(super) fn record(context: &Context, key: &str) -> Result<Option<NodeRecord>, StoreError> {
    let Some(key) = PublicKey::from_multikey(key).ok().as_ref().and_then(key_bytes) else { return Ok(None) };
    let entry = context.ledger().state(state_key::node(&key).as_bytes())?;
    let damaged = |_| StoreError::Corrupt { what: "an entry of the registry of nodes".to_owned() };
    entry.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
}

/// All members but this node, as of the newest block.
pub(super) fn members(context: &Context) -> Result<Vec<Member>, Problem> {
    let ledger = context.ledger();
    let head = ledger.require_head()?;
    let state = ledger.view_at(head.height())?;
    let members = membership::members(&state, head.header().time_ms).map_err(|error| {
        tracing::error!(code = error.code(), %error, "the members could not be read");
        Problem::internal()
    })?;
    let heard = context.parts.core.gossip.peers();
    let now_ms = context.now_ms();
    let own = context.parts.gate.node_key();
    let others = members.all().filter(|member| member.record.key.to_multikey() != own);
    Ok(others
        .map(|member| {
            let peer = heard.iter().find(|peer| peer.key == member.key);
            Member {
                name: member.record.name.clone(),
                key: member.record.key.to_multikey(),
                operator: member.operator().clone(),
                kind: member.record.kind.name(),
                status: member.status.name(),
                why: member.why(),
                admitted: member.status.is_connected(),
                addresses: member.addresses().to_vec(),
                sector: member.record.sector.clone(),
                region: member.record.region.clone(),
                connected: peer.is_some_and(|peer| now_ms.saturating_sub(peer.heard_ms) < SILENCE_MS),
                height: peer.map(|peer| peer.height),
            }
        })
        .collect())
}
