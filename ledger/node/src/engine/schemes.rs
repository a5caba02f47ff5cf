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

/// When this node must not vote, because it does not know how its key voted before.
#[derive(Default)]
struct Silence {
    /// The last epoch in which it must not, if there is one.
    until: Option<u64>,
    /// Whether that epoch is not known yet, and whom to tell when it is.
    doubt: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    /// Milliseconds since 1970 after which a block's time shows that it was made after the start.
    started_ms: u64,
}

/// A block is at most two seconds ahead of a validator's clock (D11); the rest is for this machine's.
const CLOCK_SLACK_MS: u64 = 10_000;

/// The schemes that are known; a clone shares them.
#[derive(Clone)]
pub(super) struct Schemes {
    namespace: Arc<Vec<u8>>,
    key: PrivateKey,
    silence: Arc<Mutex<Silence>>,
    membership: Arc<dyn Membership>,
    known: Arc<Mutex<BTreeMap<Epoch, Arc<Scheme>>>>,
}

impl Schemes {
    /// `now_ms` is the time of the start.
    pub(super) fn new(
        settings: &Settings,
        membership: Arc<dyn Membership>,
        now_ms: u64,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            namespace: Arc::new(namespace(&settings.network)),
            key: stack::private_key(settings)?,
            silence: Arc::new(Mutex::new(Silence {
                until: settings.joined_height.map(|height| height / settings.epoch_blocks),
                doubt: settings.doubt.clone(),
                started_ms: now_ms,
            })),
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
        let may_vote = self.may_vote(epoch.get());
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

    fn may_vote(&self, epoch: u64) -> bool {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.doubt.is_none() && silence.until.is_none_or(|until| epoch > until)
    }

    /// Takes note of a committed block. Whatever the key signed before the start was signed in this block's epoch or an
    /// earlier one, if the block was made after the start.
    pub(super) fn committed(&self, epoch: u64, height: u64, time_ms: u64) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if silence.doubt.is_none() || time_ms <= silence.started_ms.saturating_add(CLOCK_SLACK_MS) {
            return;
        }
        silence.until = Some(silence.until.map_or(epoch, |until| until.max(epoch)));
        if let Some(tell) = silence.doubt.take() {
            tell(height);
        }
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
