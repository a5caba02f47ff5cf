//! The members of the network, as the operator of a node sees them: who is admitted, why, and whether it is there.

use aval_did::{Did, PublicKey};
use aval_store::StoreError;
use serde::{Deserialize, Serialize};

use super::Context;
use super::problem::Problem;

/// A member counts as connected if it was heard within this time; each tells its height every 2 s.
const SILENCE_MS: u64 = 10_000;

/// What the registry of nodes says of a key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Record {
    pub(super) operator: Did,
}

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
    /// On what its admission stands.
    why: &'static str,
    /// Whether it was heard in the last seconds.
    connected: bool,
    /// The height it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

/// The entry of a key in the registry of nodes.
pub(super) fn record(context: &Context, key: &str) -> Result<Option<Record>, StoreError> {
    let Ok(PublicKey::Ed25519(bytes)) = PublicKey::from_multikey(key) else { return Ok(None) };
    let entry = context.ledger().state(format!("node/{}", aval_codec::Hash::new(bytes)).as_bytes())?;
    let damaged = |_| StoreError::Corrupt { what: "an entry of the registry of nodes".to_owned() };
    entry.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
}

/// All members but this node.
pub(super) fn members(context: &Context) -> Result<Vec<Member>, Problem> {
    let heard = context.parts.core.gossip.peers();
    let now_ms = context.now_ms();
    let own = context.parts.gate.node_key();
    let others =
        context.parts.genesis.genesis.validators.iter().filter(|entry| entry.key.to_multikey() != own);
    Ok(others
        .map(|entry| {
            let peer = heard.iter().find(|peer| Some(peer.key) == entry.ed25519_key());
            Member {
                name: entry.name.clone(),
                key: entry.key.to_multikey(),
                operator: entry.operator.clone(),
                kind: "validator",
                why: "a validator of the genesis file",
                connected: peer.is_some_and(|peer| now_ms.saturating_sub(peer.heard_ms) < SILENCE_MS),
                height: peer.map(|peer| peer.height),
            }
        })
        .collect())
}
