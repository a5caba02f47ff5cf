//! What a simulated node sends, seen and changed on its way: reordered by a bad network, or rewritten by a
//! node that lies.
//!
//! A [`Courier`] stands between a node and the network. It is given every message with its channel, and says what is
//! sent instead, to whom and how much later. It speaks of votes and blocks in this project's terms; the engine's
//! encodings are known here alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aval_codec::Hash;
use aval_types::{Vote, VoteKind};
use bytes::Bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::varint::UInt;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalize, Notarize, Nullify, Proposal, Vote as EngineVote};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::certificate::Attestation;
use commonware_cryptography::ed25519::{PublicKey, Signature};
use commonware_cryptography::sha256::Digest;
use commonware_p2p::utils::mux;
use commonware_p2p::{CheckedSender, LimitedSender, Recipients, Sender as _, simulated};
use commonware_runtime::{IoBuf, IoBufs, deterministic};
use commonware_utils::Participant;
use futures::channel::mpsc;

use super::super::block::{EngineBlock, digest, public_key};
use super::super::faults::{finalize, nullify, proposed};
use super::super::{MESSAGE_BYTES_MAX, SealedBlock};

/// A channel between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// Votes of an epoch's engine.
    Votes,
    /// Its certificates.
    Certificates,
    /// Certificates and blocks of it that somebody asked for.
    Resolver,
    /// Final blocks that somebody asked for, and the asking.
    Backfill,
    /// Proposed blocks.
    Blocks,
    /// The nodes' own messages: transactions and heights.
    Messages,
}

/// Who is meant by a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Everybody who is connected.
    All,
    /// These, by key.
    Some(Vec<[u8; 32]>),
}

/// What is sent instead of a message.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// To whom.
    pub to: To,
    /// What.
    pub message: Bytes,
    /// How much later.
    pub after: Duration,
}

impl Parcel {
    /// A message that goes at once.
    pub fn now(to: To, message: Bytes) -> Self {
        Self { to, message, after: Duration::ZERO }
    }
}

/// Decides what becomes of the messages of a node.
pub trait Courier: Send + Sync + 'static {
    /// What is sent instead of this message.
    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel>;
}

/// A vote as it travels.
#[derive(Clone, Debug)]
pub struct TravellingVote {
    /// The voter's place in the set.
    pub signer: u32,
    /// The vote.
    pub vote: Vote,
}

impl TravellingVote {
    /// Reads a message of [`Wire::Votes`].
    pub fn read(message: &Bytes) -> Option<Self> {
        let (_, payload) = mux::parse(IoBuf::from(message.clone())).ok()?;
        let vote = EngineVote::<Scheme, Digest>::decode(payload).ok()?;
        let (signer, vote) = match &vote {
            EngineVote::Notarize(vote) => proposed(VoteKind::Notarize, &vote.proposal, &vote.attestation)?,
            EngineVote::Finalize(vote) => finalize(vote)?,
            EngineVote::Nullify(vote) => nullify(vote)?,
        };
        Some(Self { signer: u32::try_from(signer).ok()?, vote })
    }

    /// The message of it.
    pub fn write(&self) -> Option<Bytes> {
        let Vote { epoch, view, .. } = self.vote;
        let round = Round::new(Epoch::new(epoch), View::new(view));
        let signature = Signature::decode(Bytes::copy_from_slice(&self.vote.signature)).ok()?;
        let attestation = Attestation { signer: Participant::new(self.signer), signature: signature.into() };
        let proposal = self
            .vote
            .proposal()
            .map(|proposal| Proposal::new(round, View::new(proposal.parent_view), digest(&proposal.digest)));
        let vote: EngineVote<Scheme, Digest> = match (self.vote.kind, proposal) {
            (VoteKind::Notarize, Some(proposal)) => EngineVote::Notarize(Notarize { proposal, attestation }),
            (VoteKind::Finalize, Some(proposal)) => EngineVote::Finalize(Finalize { proposal, attestation }),
            (VoteKind::Nullify, None) => EngineVote::Nullify(Nullify { round, attestation }),
            _ => return None,
        };
        Some(Bytes::from([UInt(epoch).encode().to_vec(), vote.encode().to_vec()].concat()))
    }
}

/// The digest of the block in a message of [`Wire::Blocks`].
pub fn digest_of_block(message: &Bytes) -> Option<Hash> {
    let block = EngineBlock::decode_cfg(message.clone(), &aval_types::limits::BLOCK_BYTES_MAX).ok()?;
    Some(block.sealed().digest())
}

/// A block as a message of [`Wire::Blocks`].
pub fn message_of_block(block: &Arc<SealedBlock>) -> Option<Bytes> {
    Some(Bytes::from(EngineBlock::new(block.clone()).ok()?.encode().to_vec()))
}

type Plain = simulated::Sender<PublicKey, deterministic::Context>;

/// What waits to be sent later.
pub(super) type Late = (Plain, Duration, Recipients<PublicKey>, Bytes);

/// The sending end of a channel, with the courier if the node has one.
#[derive(Clone)]
pub(super) struct Carried {
    pub(super) sender: Plain,
    pub(super) wire: Wire,
    pub(super) courier: Option<Arc<dyn Courier>>,
    pub(super) late: mpsc::UnboundedSender<Late>,
}

pub(super) enum Checked<'a> {
    Plain(<Plain as LimitedSender>::Checked<'a>),
    Carried { end: Box<Carried>, courier: Arc<dyn Courier>, to: To, allowed: Vec<PublicKey> },
}

impl LimitedSender for Carried {
    type PublicKey = PublicKey;
    type Checked<'a> = Checked<'a>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked<'_>, SystemTime> {
        let Some(courier) = self.courier.clone() else {
            return self.sender.check(recipients).map(Checked::Plain);
        };
        let key = |key: &PublicKey| <[u8; 32]>::try_from(key.as_ref()).unwrap_or_default();
        let to = match &recipients {
            Recipients::All => To::All,
            Recipients::Some(keys) => To::Some(keys.iter().map(key).collect()),
            Recipients::One(one) => To::Some(vec![key(one)]),
        };
        let allowed = self.sender.check(recipients)?.recipients();
        Ok(Checked::Carried { end: Box::new(self.clone()), courier, to, allowed })
    }
}

impl CheckedSender for Checked<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        match self {
            Self::Plain(checked) => checked.recipients(),
            Self::Carried { allowed, .. } => allowed.clone(),
        }
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let (mut end, courier, to) = match self {
            Self::Plain(checked) => return checked.send(message, priority),
            Self::Carried { end, courier, to, .. } => (end, courier, to),
        };
        let message = Bytes::copy_from_slice(message.into().coalesce().as_ref());
        for Parcel { to, message, after } in courier.outgoing(end.wire, to, message) {
            // More than the network takes would stop the node that lies, which proves nothing.
            if message.len() > MESSAGE_BYTES_MAX {
                continue;
            }
            let recipients = match to {
                To::All => Recipients::All,
                To::Some(keys) => {
                    Recipients::Some(keys.iter().filter_map(|key| public_key(key).ok()).collect())
                }
            };
            if after.is_zero() {
                let _ = end.sender.send(recipients, message, priority);
            } else {
                let _ = end.late.unbounded_send((end.sender.clone(), after, recipients, message));
            }
        }
        Unreliable::new(Feedback::Ok)
    }
}
