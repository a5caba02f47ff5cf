//! Connections follow the committed state.
//!
//! The network keeps one set of peers, and closes connections with everybody who is not in the newest one.
//! Ids of sets have to rise, so a set has the height of the block after which it holds. A peer that
//! misbehaves is also blocked for a while, but that is a second lock: what shuts a node out for good is that
//! no set names it any more.

use std::sync::{Arc, PoisonError, RwLock};

use commonware_cryptography::ed25519::PublicKey;

use super::{EngineError, Membership, Peer, Peers, stack};

/// A set of peers as the network takes it.
pub(super) struct Tracked {
    /// Everybody calls these.
    pub(super) validators: Vec<(PublicKey, Peer)>,
    /// These are let in.
    pub(super) observers: Vec<(PublicKey, Peer)>,
}

/// The network's end of it.
pub(super) trait Connections: Send + 'static {
    /// Holds connections with these peers and with nobody else. Ids rise.
    fn track(&mut self, id: u64, peers: Tracked);
}

/// Keys that one task sets and another reads.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedKeys(Arc<RwLock<Vec<PublicKey>>>);

impl SharedKeys {
    pub(super) fn get(&self) -> Vec<PublicKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, keys: Vec<PublicKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

/// Keeps the network's set that of the newest committed block.
pub(super) struct Following<C> {
    connections: C,
    membership: Arc<dyn Membership>,
    own: PublicKey,
    tracked: Option<(u64, Arc<Peers>)>,
    validators: SharedKeys,
}

impl<C: Connections> Following<C> {
    pub(super) fn new(connections: C, membership: Arc<dyn Membership>, own: PublicKey) -> Self {
        Self { connections, membership, own, tracked: None, validators: SharedKeys::default() }
    }

    /// The keys of the validators in the newest set, without this node's.
    pub(super) fn validators(&self) -> SharedKeys {
        self.validators.clone()
    }

    /// Takes note that the block at `height` is committed. Blocks may come again after a restart.
    pub(super) fn follow(&mut self, height: u64) -> Result<(), EngineError> {
        let peers = self.membership.peers()?;
        if let Some((newest, tracked)) = &self.tracked
            && (Arc::ptr_eq(tracked, &peers) || **tracked == *peers || height <= *newest)
        {
            return Ok(());
        }
        let tracked =
            Tracked { validators: with_keys(&peers.validators)?, observers: with_keys(&peers.observers)? };
        let others = tracked.validators.iter().map(|(key, _)| key).filter(|key| **key != self.own);
        self.validators.set(others.cloned().collect());
        tracing::info!(
            height,
            validators = tracked.validators.len(),
            observers = tracked.observers.len(),
            "peers"
        );
        self.connections.track(height, tracked);
        self.tracked = Some((height, peers));
        Ok(())
    }
}

fn with_keys(peers: &[Peer]) -> Result<Vec<(PublicKey, Peer)>, EngineError> {
    peers.iter().map(|peer| Ok((stack::public_key(&peer.key)?, peer.clone()))).collect()
}
