//! Validators that contradict themselves, as the engine reports them, in our own terms: proofs that `node.evidence`
//! takes as they are.

use std::sync::Arc;

use aval_did::PublicKey;
use aval_types::action::NodeEvidence;
use aval_types::{Vote, VoteKind};
use commonware_actor::Feedback;
use commonware_codec::{Encode as _, ReadExt as _};
use commonware_consensus::Reporter;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Activity, Finalize, Notarize, Nullify, Proposal};
use commonware_cryptography::certificate::{Attestation, Scheme as _};
use commonware_cryptography::ed25519::PublicKey as EngineKey;
use commonware_cryptography::sha256::Digest;

use super::adapter::SharedApplication;
use super::block::hash;

/// Looks at everything that the engine of one epoch reports and hands on what proves a fault.
#[derive(Clone)]
pub(super) struct FaultReporter {
    application: SharedApplication,
    /// The validators of the epoch in the order of their indices.
    validators: Arc<Vec<[u8; 32]>>,
}

impl FaultReporter {
    pub(super) fn new(application: SharedApplication, scheme: &Scheme) -> Self {
        let key = |key: &EngineKey| <[u8; 32]>::try_from(key.as_ref()).unwrap_or_default();
        let validators = Arc::new(scheme.participants().iter().map(key).collect());
        Self { application, validators }
    }

    fn evidence(&self, activity: &Activity<Scheme, Digest>) -> Option<NodeEvidence> {
        // The engine shows the two votes of a pair only in their encoding, one behind the other.
        let ((signer, first), (_, second)) = match activity {
            Activity::ConflictingNotarize(pair) => {
                let mut bytes = pair.encode();
                let first = Notarize::<Scheme, Digest>::read(&mut bytes).ok()?;
                let second = Notarize::<Scheme, Digest>::read(&mut bytes).ok()?;
                let vote = |vote: &Notarize<Scheme, Digest>| {
                    proposed(VoteKind::Notarize, &vote.proposal, &vote.attestation)
                };
                (vote(&first)?, vote(&second)?)
            }
            Activity::ConflictingFinalize(pair) => {
                let mut bytes = pair.encode();
                let first = Finalize::<Scheme, Digest>::read(&mut bytes).ok()?;
                let second = Finalize::<Scheme, Digest>::read(&mut bytes).ok()?;
                (finalize(&first)?, finalize(&second)?)
            }
            Activity::NullifyFinalize(pair) => {
                let mut bytes = pair.encode();
                let first = Nullify::<Scheme>::read(&mut bytes).ok()?;
                let second = Finalize::<Scheme, Digest>::read(&mut bytes).ok()?;
                (nullify(&first)?, finalize(&second)?)
            }
            _ => return None,
        };
        let key = PublicKey::Ed25519(*self.validators.get(signer)?);
        Some(NodeEvidence { key, first, second })
    }
}

impl Reporter for FaultReporter {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(evidence) = self.evidence(&activity) {
            self.application.fault(evidence);
        }
        Feedback::Ok
    }
}

/// The signer's index and the vote.
pub(super) type Signed = (usize, Vote);

pub(super) fn finalize(vote: &Finalize<Scheme, Digest>) -> Option<Signed> {
    proposed(VoteKind::Finalize, &vote.proposal, &vote.attestation)
}

pub(super) fn nullify(vote: &Nullify<Scheme>) -> Option<Signed> {
    let (signer, signature) = signed(&vote.attestation)?;
    let (epoch, view) = (vote.round.epoch().get(), vote.round.view().get());
    let vote = Vote { kind: VoteKind::Nullify, epoch, view, parent_view: None, digest: None, signature };
    Some((signer, vote))
}

pub(super) fn proposed(
    kind: VoteKind,
    proposal: &Proposal<Digest>,
    attestation: &Attestation<Scheme>,
) -> Option<Signed> {
    let (signer, signature) = signed(attestation)?;
    let vote = Vote {
        kind,
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent_view: Some(proposal.parent.get()),
        digest: Some(hash(&proposal.payload)),
        signature,
    };
    Some((signer, vote))
}

fn signed(attestation: &Attestation<Scheme>) -> Option<(usize, [u8; 64])> {
    let signature = attestation.signature.get()?;
    let bytes = <[u8; 64]>::try_from(signature.as_ref()).ok()?;
    Some((usize::from(attestation.signer), bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aval_machine::testkit::Kit;
    use aval_proof::Certificate;
    use aval_types::vote::check_evidence;
    use bytes::Bytes;
    use commonware_codec::DecodeExt as _;
    use commonware_consensus::simplex::types::{ConflictingFinalize, ConflictingNotarize, NullifyFinalize};
    use commonware_consensus::types::{Epoch, Round, View};
    use commonware_cryptography::Signer as _;
    use commonware_cryptography::ed25519::PrivateKey;
    use commonware_utils::ordered::Set;
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::super::adapter::ErasedApplication;
    use super::super::certificate::namespace;
    use super::super::{Ancestry, Fatal, SealedBlock, Slot};
    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<NodeEvidence>>);

    impl ErasedApplication for Recorder {
        fn propose(&self, _: Slot, _: Ancestry) -> BoxFuture<'_, Option<Arc<SealedBlock>>> {
            async { None }.boxed()
        }

        fn verify(&self, _: Arc<SealedBlock>, _: Ancestry) -> BoxFuture<'_, bool> {
            async { false }.boxed()
        }

        fn finalized(&self, _: Arc<SealedBlock>, _: Option<Certificate>) -> BoxFuture<'_, Result<(), Fatal>> {
            async { Ok(()) }.boxed()
        }

        fn observe_tip(&self, _: u64) {}

        fn message(&self, _: [u8; 32], _: Bytes) {}

        fn fault(&self, evidence: NodeEvidence) {
            self.0.lock().unwrap().push(evidence);
        }
    }

    #[test]
    fn pairs_of_votes_that_the_engine_reports_are_evidence_on_the_ledger() {
        let kit = Kit::new(9);
        let genesis = kit.network().genesis();
        let keys: Vec<PrivateKey> = kit
            .validator_keys()
            .iter()
            .map(|key| PrivateKey::decode(Bytes::copy_from_slice(&*key.to_seed())).unwrap())
            .collect();
        let participants: Set<EngineKey> = Set::from_iter_dedup(keys.iter().map(PrivateKey::public_key));
        let faulty = keys[2].clone();
        let scheme = Scheme::signer(&namespace(&genesis), participants, faulty).unwrap();
        let round = Round::new(Epoch::new(3), View::new(300));
        let proposal = |block: u8| Proposal::new(round, View::new(298), Digest([block; 32]));
        let notarize = |block| Notarize::sign(&scheme, proposal(block)).unwrap();
        let finalize = |block| Finalize::sign(&scheme, proposal(block)).unwrap();
        let nullify = Nullify::sign::<Digest>(&scheme, round).unwrap();

        let recorder = Arc::new(Recorder::default());
        let mut reporter = FaultReporter::new(recorder.clone(), &scheme);
        reporter.report(Activity::Finalize(finalize(1)));
        reporter.report(Activity::ConflictingNotarize(ConflictingNotarize::new(notarize(1), notarize(2))));
        reporter.report(Activity::ConflictingFinalize(ConflictingFinalize::new(finalize(1), finalize(2))));
        reporter.report(Activity::NullifyFinalize(NullifyFinalize::new(nullify, finalize(1))));
        let seen = recorder.0.lock().unwrap();
        assert_eq!(seen.len(), 3, "a vote alone proves nothing");
        for evidence in seen.iter() {
            assert_eq!(evidence.key, kit.validator_keys()[2].public());
            check_evidence(&evidence.key, &evidence.first, &evidence.second, &genesis).unwrap();
        }
    }
}
