//! Proposes two valid blocks in one view, one to each part of the network, and votes for both; and contradicts its own
//! votes on the blocks of others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aval_codec::Hash;
use aval_machine::testkit::workload::Dice;
use aval_types::vote::{VotedProposal, signed_bytes};
use aval_types::{Vote, VoteKind};
use bytes::Bytes;
use futures::future::BoxFuture;

use super::{Behaviour, Cast, Proposing, ancestry};
use crate::engine::SealedBlock;
use crate::engine::simulation::{Parcel, To, TravellingVote, Wire, digest_of_block, message_of_block};

pub(super) struct Equivocator {
    cast: Cast,
    dice: Mutex<Dice>,
    /// The other block of a view, by the digest of the one.
    twins: Mutex<BTreeMap<Hash, Arc<SealedBlock>>>,
}

impl Equivocator {
    pub(super) fn new(cast: &Cast) -> Self {
        Self { cast: cast.clone(), dice: cast.dice(), twins: Mutex::default() }
    }

    /// Another vote of its own in the place of one.
    fn sign(&self, own: &TravellingVote, kind: VoteKind, digest: Hash) -> Option<Bytes> {
        let Vote { epoch, view, .. } = own.vote;
        let proposal = match kind {
            VoteKind::Nullify => None,
            _ => Some(VotedProposal { parent_view: own.vote.parent_view?, digest }),
        };
        let bytes = signed_bytes(&self.cast.genesis, kind, epoch, view, proposal.as_ref());
        let vote = Vote {
            kind,
            epoch,
            view,
            parent_view: proposal.as_ref().map(|proposal| proposal.parent_view),
            digest: proposal.as_ref().map(|proposal| proposal.digest),
            signature: self.cast.key.sign(&bytes),
        };
        TravellingVote { signer: own.signer, vote }.write()
    }

    fn votes(&self, message: &Bytes) -> Option<Vec<Parcel>> {
        let own = TravellingVote::read(message)?;
        let (one, other) = self.cast.halves();
        let to = |keys: &[[u8; 32]], message| Parcel::now(To::Some(keys.to_vec()), message);
        let twin = own.vote.digest.and_then(|digest| self.twins.lock().unwrap().get(&digest).cloned());
        if let Some(twin) = twin {
            let second = self.sign(&own, own.vote.kind, twin.digest())?;
            // Each part gets the vote for its block, and both get the other one when it is too late for it.
            let mut late = vec![to(&other, message.clone()), to(&one, second.clone())];
            late.iter_mut().for_each(|parcel| parcel.after = std::time::Duration::from_millis(400));
            return Some([vec![to(&one, message.clone()), to(&other, second)], late].concat());
        }
        if !self.dice.lock().unwrap().chance(10) {
            return None;
        }
        let second = match own.vote.kind {
            VoteKind::Finalize => self.sign(&own, VoteKind::Nullify, Hash::ZERO)?,
            VoteKind::Notarize => self.sign(&own, VoteKind::Notarize, aval_codec::sha256(message))?,
            VoteKind::Nullify => return None,
        };
        Some(vec![to(&one, message.clone()), to(&other, second)])
    }
}

impl Behaviour for Equivocator {
    fn propose<'a>(&'a self, proposing: Proposing<'a>) -> BoxFuture<'a, Option<Arc<SealedBlock>>> {
        let Proposing { executor, slot, parent, block } = proposing;
        Box::pin(async move {
            // A little later the honest program makes another block, as good as the first.
            executor.pause(std::time::Duration::from_millis(3)).await;
            if let Some(twin) = executor.build_with(slot, ancestry(&parent), Vec::new()).await
                && twin.digest() != block.digest()
            {
                let mut twins = self.twins.lock().unwrap();
                twins.insert(block.digest(), twin);
                if twins.len() > 32 {
                    twins.pop_first();
                }
            }
            Some(block)
        })
    }

    fn outgoing(&self, wire: Wire, to: To, message: Bytes) -> Vec<Parcel> {
        let changed = match wire {
            Wire::Votes => self.votes(&message),
            Wire::Blocks => digest_of_block(&message)
                .and_then(|digest| self.twins.lock().unwrap().get(&digest).cloned())
                .and_then(|twin| message_of_block(&twin))
                .map(|second| {
                    let (one, other) = self.cast.halves();
                    vec![Parcel::now(To::Some(one), message.clone()), Parcel::now(To::Some(other), second)]
                }),
            _ => None,
        };
        changed.unwrap_or_else(|| vec![Parcel::now(to, message)])
    }
}
