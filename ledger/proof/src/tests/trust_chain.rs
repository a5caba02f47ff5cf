//! Changes of the validator set: what leads from genesis to the present, and what retired keys can no longer do.

use aval_codec::Hash;
use aval_did::SigningKey;
use aval_types::{Header, NetworkId, node::key_bytes};

use super::fixture::Chain;
use crate::{
    anchor::{Checkpoint, TrustAnchor},
    certificate::{Certificate, signed_bytes},
    error::ProofError,
    ledger_proof::{Claim, LedgerProof},
    trust_chain::{TrustChain, TrustLink},
    validators::ValidatorSet,
};

/// A validator set whose secrets are at hand.
#[derive(Clone)]
struct Set(Vec<SigningKey>);

impl Set {
    fn new(seeds: std::ops::RangeInclusive<u8>) -> Self {
        Self(seeds.map(|seed| SigningKey::from_seed(&[seed; 32])).collect())
    }

    fn public(&self) -> ValidatorSet {
        ValidatorSet::new(self.0.iter().map(|key| key_bytes(&key.public()).unwrap()).collect())
    }

    /// Everybody signs.
    fn certify(&self, header: &Header) -> Certificate {
        let (epoch, view, parent_view) = (header.epoch, header.view, header.parent_view);
        let message = signed_bytes(&header.genesis, epoch, view, parent_view, &header.digest());
        let set = self.public();
        let mut signed: Vec<(u32, [u8; 64])> = self
            .0
            .iter()
            .map(|key| {
                let bytes = key_bytes(&key.public()).unwrap();
                let place = set.keys().iter().position(|other| *other == bytes).unwrap();
                (u32::try_from(place).unwrap(), key.sign(&message))
            })
            .collect();
        signed.sort_unstable();
        let (signers, signatures) = signed.into_iter().unzip();
        Certificate { epoch, view, parent_view, signers, signatures }
    }
}

/// Four sets, each for three blocks: heights 1 to 3, 4 to 6, 7 to 9, 10 to 12. The third epoch keeps its set once.
struct History {
    genesis_bytes: Vec<u8>,
    network: NetworkId,
    headers: Vec<Header>,
    sets: Vec<Set>,
}

impl History {
    /// `variant` makes another history with the same sets.
    fn new(variant: u8) -> Self {
        let chain = Chain::new();
        let sets = vec![Set::new(101..=104), Set::new(102..=106), Set::new(102..=106), Set::new(105..=109)];
        let mut headers = vec![chain.headers[0].clone()];
        for height in 1..=12u64 {
            let parent = headers.last().unwrap().clone();
            let epoch = (height - 1) / 3;
            let place = usize::try_from(epoch).unwrap();
            let own = sets[place].public().hash();
            let next = if height % 3 == 0 { sets.get(place + 1).unwrap_or(&sets[3]) } else { &sets[place] };
            let next = next.public().hash();
            headers.push(Header {
                height,
                time_ms: parent.time_ms + 1000,
                epoch,
                view: height,
                parent_view: height - 1,
                parent: parent.digest(),
                state_root: Hash::new([variant; 32]),
                validators_hash: own,
                next_validators_hash: next,
                last_set_change: if own == next { parent.last_set_change } else { height },
                ..parent
            });
        }
        Self { genesis_bytes: chain.genesis_bytes, network: chain.network, headers, sets }
    }

    fn set(&self, height: usize) -> &Set {
        &self.sets[(height - 1) / 3]
    }

    fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.genesis_bytes).unwrap()
    }

    fn link(&self, height: usize) -> TrustLink {
        TrustLink {
            header: self.headers[height].clone(),
            certificate: self.set(height).certify(&self.headers[height]),
            next: self.set(height + 1).public(),
        }
    }

    fn chain(&self, heights: &[usize]) -> TrustChain {
        let links = heights.iter().map(|height| self.link(*height)).collect();
        TrustChain { network: self.network.clone(), links, more: false }
    }

    /// The proof of a header by the set that is in force there.
    fn proof(&self, height: usize) -> LedgerProof {
        LedgerProof {
            network: self.network.clone(),
            header: self.headers[height].clone(),
            path: Vec::new(),
            certificate: self.set(height).certify(&self.headers[height]),
            claim: Claim::Header,
        }
    }
}

fn code<T>(outcome: Result<T, ProofError>) -> &'static str {
    outcome.map_or_else(|error| error.code(), |_| "valid")
}

#[test]
fn a_chain_of_changes_leads_from_genesis_to_the_present_and_skips_epochs_without_one() {
    let history = History::new(1);
    let mut anchor = history.anchor();
    assert_eq!(code(history.proof(2).verify(&anchor)), "valid");
    assert_eq!(code(history.proof(11).verify(&anchor)), "proof.validator_set");
    // Three sets followed the first one, by two changes: height 6 kept its set.
    let chain = history.chain(&[3, 9]);
    assert_eq!(TrustChain::from_json(&chain.to_json()).unwrap(), chain);
    assert_eq!(anchor.extend(&chain), Ok(2));
    assert_eq!((anchor.last_change(), anchor.validators()), (9, &history.sets[3].public()));
    assert_eq!(code(history.proof(11).verify(&anchor)), "valid");
    assert_eq!(anchor.extend(&chain), Ok(0), "what is known is skipped");
    // The past is checked by the set of its time, and is no answer about the present.
    for height in [1, 3, 4, 6, 8, 9] {
        assert_eq!(code(history.proof(height).verify_past(&anchor)), "valid", "height {height}");
    }
    assert_eq!(code(history.proof(8).verify(&anchor)), "proof.behind");
}

#[test]
fn each_link_needs_the_certificate_of_the_set_before_it() {
    let history = History::new(1);
    let refused = |change: &dyn Fn(&mut TrustLink)| {
        let mut chain = history.chain(&[3, 9]);
        change(&mut chain.links[1]);
        let mut anchor = history.anchor();
        let outcome = code(anchor.extend(&chain));
        // The good link before it is kept, the bad one changes nothing.
        assert_eq!(anchor.last_change(), 3);
        outcome
    };
    assert_eq!(refused(&|link| link.next = history.sets[0].public()), "proof.validator_set");
    assert_eq!(
        refused(&|link| link.certificate = history.sets[3].certify(&link.header)),
        "proof.certificate"
    );
    assert_eq!(refused(&|link| link.certificate.view += 1), "proof.certificate");
    assert_eq!(refused(&|link| link.certificate.epoch += 1), "proof.certificate");
    assert_eq!(refused(&|link| link.certificate.signatures.truncate(4)), "proof.certificate");
    assert_eq!(refused(&|link| link.header.genesis = Hash::ZERO), "proof.network");
    assert_eq!(refused(&|link| link.header.validators_hash = Hash::ZERO), "proof.validator_set");
    assert_eq!(refused(&|link| link.header.last_set_change = 3), "proof.path");
    // A certified header that is no change is no link.
    assert_eq!(
        refused(&|link| *link = TrustLink { next: link_set(&history, 8), ..history.link(8) }),
        "proof.path"
    );
    // A link left out.
    let mut anchor = history.anchor();
    assert_eq!(code(anchor.extend(&history.chain(&[9]))), "proof.validator_set");
    let other = TrustChain { network: NetworkId::new("other", Hash::ZERO).unwrap(), ..history.chain(&[3]) };
    assert_eq!(code(anchor.extend(&other)), "proof.network");
}

fn link_set(history: &History, height: usize) -> ValidatorSet {
    history.set(height).public()
}

#[test]
fn a_verifier_whose_newest_block_decided_a_change_can_learn_the_change() {
    let (real, forged) = (History::new(1), History::new(2));
    let mut anchor = real.anchor();
    anchor.advance(&real.proof(3).verify(&anchor).unwrap()).unwrap();
    assert_eq!(code(anchor.clone().extend(&forged.chain(&[3]))), "proof.fork");
    assert_eq!(anchor.extend(&real.chain(&[3])), Ok(1));
    assert_eq!(code(real.proof(4).verify(&anchor)), "valid");
}

#[test]
fn retired_keys_that_sign_another_history_are_refused_by_one_who_has_a_checkpoint() {
    let (real, forged) = (History::new(1), History::new(2));
    // From genesis alone the two cannot be told apart: this is what the specification says.
    let mut naive = real.anchor();
    assert_eq!(naive.extend(&forged.chain(&[3, 9])), Ok(2));
    assert_eq!(code(forged.proof(12).verify(&naive)), "valid");

    let mut anchor = real.anchor();
    anchor.extend(&real.chain(&[3, 9])).unwrap();
    let seen = real.proof(11).verify(&anchor).unwrap();
    anchor.advance(&seen).unwrap();
    let kept = Checkpoint::from_json(&anchor.checkpoint().unwrap().to_json()).unwrap();
    let mut anchor = real.anchor().with_checkpoint(kept).unwrap();
    // Other changes of the set, at the same heights or at others.
    assert_eq!(code(anchor.extend(&forged.chain(&[3, 9]))), "proof.fork");
    let mut elsewhere = forged.headers[5].clone();
    elsewhere.next_validators_hash = forged.sets[0].public().hash();
    elsewhere.last_set_change = 5;
    let link = TrustLink {
        certificate: real.sets[1].certify(&elsewhere),
        header: elsewhere,
        next: real.sets[0].public(),
    };
    let chain = TrustChain { links: vec![link], ..real.chain(&[]) };
    assert_eq!(code(anchor.extend(&chain)), "proof.validator_set");
    // A history of their own that goes on above the checkpoint, with the names of the sets as they were or as they are.
    for set in &real.sets[..3] {
        for named in &real.sets {
            let mut header = real.headers[11].clone();
            (header.height, header.view, header.time_ms) = (13, 13, header.time_ms + 9000);
            header.validators_hash = named.public().hash();
            header.next_validators_hash = named.public().hash();
            let proof = LedgerProof { certificate: set.certify(&header), header, ..real.proof(11) };
            assert!(matches!(code(proof.verify(&anchor)), "proof.validator_set" | "proof.certificate"));
        }
    }
    // Present answers below the checkpoint, and other blocks at heights that are known.
    assert_eq!(code(forged.proof(8).verify(&anchor)), "proof.behind");
    for height in [3, 9, 11] {
        assert_eq!(code(forged.proof(height).verify_past(&anchor)), "proof.fork", "height {height}");
    }
    // A change at a height that the checkpoint knows to have had none, signed by keys that were in force there.
    let mut late = real.headers[11].clone();
    (late.height, late.view) = (10, 10);
    late.next_validators_hash = real.sets[0].public().hash();
    late.last_set_change = 10;
    let link =
        TrustLink { certificate: real.sets[3].certify(&late), header: late, next: real.sets[0].public() };
    let chain = TrustChain { links: vec![link], ..real.chain(&[]) };
    assert_eq!(code(anchor.extend(&chain)), "proof.fork");
    assert_eq!(anchor.checkpoint().unwrap().header, real.headers[11]);
}

#[test]
fn a_checkpoint_that_does_not_fit_its_changes_is_refused() {
    let history = History::new(1);
    let mut anchor = history.anchor();
    anchor.extend(&history.chain(&[3, 9])).unwrap();
    anchor.advance(&history.proof(12).verify(&anchor).unwrap()).unwrap();
    let good = anchor.checkpoint().unwrap();
    assert_eq!(code(history.anchor().with_checkpoint(good.clone())), "valid");
    let refused = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = good.clone();
        change(&mut checkpoint);
        code(history.anchor().with_checkpoint(checkpoint))
    };
    assert_eq!(refused(&|checkpoint| checkpoint.changes.clear()), "proof.validator_set");
    assert_eq!(refused(&|checkpoint| drop(checkpoint.changes.pop())), "proof.validator_set");
    assert_eq!(refused(&|checkpoint| checkpoint.changes.swap(0, 1)), "proof.anchor");
    assert_eq!(refused(&|checkpoint| checkpoint.changes[1].height = 20), "proof.anchor");
    assert_eq!(refused(&|checkpoint| checkpoint.header.genesis = Hash::ZERO), "proof.network");
}

#[test]
fn broken_chains_are_malformed() {
    let good = String::from_utf8(History::new(1).chain(&[3]).to_json()).unwrap();
    let refused = |text: String| code(TrustChain::from_json(text.as_bytes()));
    assert_eq!(refused(good.clone()), "valid");
    assert_eq!(refused(good.replace("\"more\":false", "\"more\":null")), "proof.malformed");
    assert_eq!(refused(good.replace("\"more\":false", "\"more\":false,\"x\":1")), "proof.malformed");
    assert_eq!(refused(good.replace("\"next\":[\"z", "\"next\":[\"y")), "proof.malformed");
    assert_eq!(refused(good[..good.len() - 1].to_owned()), "proof.malformed");
}

/// Chains that genesis does not lead into, with their codes.
fn invalid_chains(history: &History) -> Vec<(&'static str, TrustChain, &'static str)> {
    let changed = |change: &dyn Fn(&mut TrustLink)| {
        let mut chain = history.chain(&[3, 9]);
        change(&mut chain.links[0]);
        chain
    };
    vec![
        ("a link left out", history.chain(&[9]), "proof.validator_set"),
        (
            "another set than the header names",
            changed(&|link| link.next = history.sets[3].public()),
            "proof.validator_set",
        ),
        (
            "certified by the set after the change",
            changed(&|link| link.certificate = history.sets[1].certify(&link.header)),
            "proof.certificate",
        ),
        (
            "a signature less than a quorum",
            changed(&|link| {
                link.certificate.signers.truncate(2);
                link.certificate.signatures.truncate(2);
            }),
            "proof.certificate",
        ),
        (
            "a certified header that changes nothing",
            changed(&|link| *link = TrustLink { next: link_set(history, 2), ..history.link(2) }),
            "proof.path",
        ),
    ]
}

#[test]
fn trust_chains_are_as_the_vectors_say() {
    use super::support::{keep, object, pretty};
    let (history, forged) = (History::new(1), History::new(2));
    let text = |chain: &TrustChain| String::from_utf8(chain.to_json()).unwrap();
    let entry = |name: &str, chain: &TrustChain, code: &str| {
        object(&[("name", name.into()), ("chain", text(chain).into()), ("code", code.into())])
    };
    let invalid: Vec<_> = invalid_chains(&history)
        .iter()
        .map(|(name, chain, code)| {
            assert_eq!(self::code(history.anchor().extend(chain)), *code, "{name}");
            entry(name, chain, code)
        })
        .collect();
    let mut anchor = history.anchor();
    anchor.extend(&history.chain(&[3, 9])).unwrap();
    let held = forged.chain(&[3]);
    assert_eq!(code(anchor.extend(&held)), "proof.fork");
    let proof = String::from_utf8(history.proof(11).to_json()).unwrap();
    let about = "Trust chains of section 11 of wire.md, from genesis.json beside this file. The proof needs the chain. \
                 The last list is invalid for who knows the chain.";
    let file = object(&[
        ("about", about.into()),
        ("chain", text(&history.chain(&[3, 9])).into()),
        ("proof", proof.into()),
        ("invalid", invalid.into()),
        ("invalidWithChain", vec![entry("retired keys sign another change", &held, "proof.fork")].into()),
    ]);
    keep("vectors/trust-chain.json", &pretty(&file));
}
