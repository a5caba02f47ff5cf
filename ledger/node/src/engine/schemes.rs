//! The certificate schemes by epoch: which keys sign, and whether this node's is among them.
//!
//! An epoch's scheme is made when its set is known and kept for as long as certificates of the epoch may come in. After
//! a restart those of the epochs that are not delivered yet are made again from the committed state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Epoch;
use commonware_cryptography::certificate::{Provider, Scheme as _, Scoped};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_utils::ordered::Set;

use super::certificate::namespace;
use super::{EngineError, Membership, Settings, stack};

/// Epochs whose schemes are kept below the newest one. A block is delivered at most that late.
const EPOCHS_KEPT: u64 = 64;

/// The schemes that are known; a clone shares them.
#[derive(Clone)]
pub(super) struct Schemes {
    namespace: Arc<Vec<u8>>,
    key: PrivateKey,
    /// The last epoch in which this node must not vote, if there is one.
    silent_until: Option<u64>,
    membership: Arc<dyn Membership>,
    known: Arc<Mutex<BTreeMap<Epoch, Arc<Scheme>>>>,
}

impl Schemes {
    pub(super) fn new(settings: &Settings, membership: Arc<dyn Membership>) -> Result<Self, EngineError> {
        Ok(Self {
            namespace: Arc::new(namespace(&settings.network)),
            key: stack::private_key(settings)?,
            silent_until: settings.joined_height.map(|height| height / settings.epoch_blocks),
            membership,
            known: Arc::default(),
        })
    }

    /// The scheme of an epoch, made now if its set is known by now.
    pub(super) fn open(&self, epoch: Epoch) -> Result<Option<Arc<Scheme>>, EngineError> {
        if let Some(scheme) = self.get(epoch) {
            return Ok(Some(scheme));
        }
        let Some(keys) = self.membership.validators(epoch.get())? else { return Ok(None) };
        let keys = keys.iter().map(stack::public_key).collect::<Result<Vec<PublicKey>, _>>()?;
        let participants = Set::from_iter_dedup(keys);
        let may_vote = self.silent_until.is_none_or(|silent| epoch.get() > silent);
        let signer = may_vote
            .then(|| Scheme::signer(&self.namespace, participants.clone(), self.key.clone()))
            .flatten();
        let scheme = Arc::new(signer.unwrap_or_else(|| Scheme::verifier(&self.namespace, participants)));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(epoch, scheme.clone());
        let oldest = Epoch::new(epoch.get().saturating_sub(EPOCHS_KEPT));
        known.retain(|epoch, _| *epoch >= oldest);
        Ok(Some(scheme))
    }

    fn get(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }
}

/// Whether this node signs by the scheme.
pub(super) fn votes(scheme: &Scheme) -> bool {
    scheme.me().and_then(|me| me.signer()).is_some()
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.get(epoch).map(Scoped::scheme)
    }
}
