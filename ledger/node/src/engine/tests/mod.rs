//! The engine's side of blocks and certificates, without a network; and epochs, with one.

mod epochs;
mod sockets;

use std::sync::Arc;

use aval_codec::Hash;
use aval_did::SigningKey;
use aval_machine::testkit::Kit;
use aval_proof::ValidatorSet;
use aval_types::Witness;
use aval_types::block::{Block, BlockTransaction, Header, transactions_root, witnesses_root};
use bytes::Bytes;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalization, Finalize, Proposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_consensus::{Block as _, CertifiableBlock as _, Heightable as _};
use commonware_cryptography::ed25519::PrivateKey;
use commonware_cryptography::{Digestible as _, Signer as _};
use commonware_parallel::Sequential;
use commonware_utils::iter::NonEmpty;
use commonware_utils::ordered::Set;
use proptest::prelude::*;

use super::SealedBlock;
use super::block::{EngineBlock, digest, hash, slot};
use super::certificate::{from_engine, namespace, to_engine};
use super::stack::check_progress;

const BYTES_MAX: usize = 256 * 1024;

fn header(kit: &Kit) -> Header {
    let key = kit.validator_keys()[0].public();
    let aval_did::PublicKey::Ed25519(leader) = key else { panic!("validators have Ed25519 keys") };
    let mut header = kit.genesis().header(kit.network().genesis(), Hash::ZERO);
    header.height = 7;
    header.view = 9;
    header.parent_view = 8;
    header.leader = leader;
    header
}

fn block(kit: &Kit) -> Block {
    let company = kit.company(1);
    let submitted = company.create_with(kit, &kit.membership(&company));
    let transactions =
        vec![BlockTransaction { envelope: submitted.transaction.to_envelope(), witness: submitted.witness }];
    let mut header = header(kit);
    header.transactions_root = transactions_root(&transactions);
    header.witnesses_root = witnesses_root(&transactions);
    Block { header, transactions }
}

fn encode(block: Block) -> Bytes {
    EngineBlock::new(Arc::new(SealedBlock::new(block))).unwrap().encode()
}

#[test]
fn a_block_is_read_back_and_its_context_comes_from_its_header() {
    let kit = Kit::new(1);
    let block = block(&kit);
    let bytes = encode(block.clone());
    let read = EngineBlock::decode_cfg(bytes.clone(), &BYTES_MAX).unwrap();
    assert_eq!(read.encode(), bytes);
    assert_eq!(read.sealed().block(), &block);
    assert_eq!(hash(&read.digest()), block.header.digest());
    assert_eq!(hash(&read.parent()), block.header.parent);
    assert_eq!(read.height().get(), 7);
    let slot = slot(&read.context());
    assert_eq!((slot.epoch, slot.view, slot.parent_view), (0, 9, 8));
    assert_eq!((slot.leader, slot.parent), (block.header.leader, block.header.parent));
}

#[test]
fn the_genesis_block_has_a_context_although_nobody_led_it() {
    let kit = Kit::new(1);
    let block =
        Block { header: kit.genesis().header(kit.network().genesis(), Hash::ZERO), transactions: Vec::new() };
    let read = EngineBlock::decode_cfg(encode(block), &BYTES_MAX).unwrap();
    assert_eq!(slot(&read.context()).leader, [0; 32]);
}

#[test]
fn a_header_with_another_body_is_refused() {
    let kit = Kit::new(2);
    let good = block(&kit);
    let mut without = good.clone();
    without.transactions.clear();
    let mut twice = good.clone();
    twice.transactions.extend(good.transactions.clone());
    let mut other_witness = good.clone();
    other_witness.transactions[0].witness = Witness::None;
    let mut other_envelope = good;
    other_envelope.transactions[0].envelope[0] ^= 1;
    for block in [without, twice, other_witness, other_envelope] {
        assert!(EngineBlock::decode_cfg(encode(block), &BYTES_MAX).is_err());
    }
}

#[test]
fn a_stripped_block_is_refused_live_although_its_digest_is_right() {
    let kit = Kit::new(3);
    let block = block(&kit);
    assert_eq!(block.strip().digest(), block.digest());
    assert!(EngineBlock::decode_cfg(encode(block.strip()), &BYTES_MAX).is_err());
}

#[test]
fn a_block_above_the_bound_is_refused() {
    let kit = Kit::new(4);
    let block = block(&kit);
    let length = block.encoded_length();
    assert!(EngineBlock::decode_cfg(encode(block.clone()), &length).is_ok());
    assert!(EngineBlock::decode_cfg(encode(block), &(length - 1)).is_err());
}

#[test]
fn our_keys_are_the_engines_keys() {
    for seed in [[0; 32], [7; 32], [0xff; 32]] {
        let ours = SigningKey::from_seed(&seed);
        let engines = PrivateKey::decode(Bytes::copy_from_slice(&seed)).unwrap();
        let aval_did::PublicKey::Ed25519(key) = ours.public() else { panic!("an Ed25519 seed") };
        assert_eq!(engines.public_key().as_ref(), key);
    }
}

#[test]
fn a_finalization_of_the_engine_verifies_without_the_engine() {
    let kit = Kit::new(5);
    let genesis = kit.network().genesis();
    let block = block(&kit);
    let keys: Vec<PrivateKey> = kit
        .validator_keys()
        .iter()
        .map(|key| PrivateKey::decode(Bytes::copy_from_slice(&*key.to_seed())).unwrap())
        .collect();
    let participants = Set::from_iter_dedup(keys.iter().map(PrivateKey::public_key));
    let schemes: Vec<Scheme> = keys
        .into_iter()
        .map(|key| Scheme::signer(&namespace(&genesis), participants.clone(), key).unwrap())
        .collect();
    let proposal =
        Proposal::new(Round::new(Epoch::new(0), View::new(300)), View::new(8), digest(&block.digest()));
    for absent in 0..schemes.len() {
        let votes: Vec<_> = schemes
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != absent)
            .map(|(_, scheme)| Finalize::sign(scheme, proposal.clone()).unwrap())
            .collect();
        let finalization =
            Finalization::from_finalizes(&schemes[0], NonEmpty::try_new(votes.iter()).unwrap(), &Sequential)
                .unwrap();
        let certificate = from_engine(&finalization).unwrap();
        let validators = ValidatorSet::of_genesis(kit.genesis());
        certificate.verify(&genesis, &block.digest(), &validators).unwrap();
        assert!(certificate.verify(&genesis, &block.header.parent, &validators).is_err());
        assert_eq!(to_engine(&certificate, &block.digest(), 4).unwrap(), finalization);
        assert!(to_engine(&certificate, &block.digest(), 1).is_none());
    }
}

#[test]
fn journals_and_ledger_must_be_of_one_time() {
    for (delivered, committed) in [(0, 0), (5, 5), (5, 6), (5, 37)] {
        assert!(check_progress(delivered, committed).is_ok());
    }
    for (delivered, committed) in [(1, 0), (5, 38), (0, 1_000)] {
        assert_eq!(check_progress(delivered, committed).unwrap_err().code(), "engine.folders_apart");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = EngineBlock::decode_cfg(Bytes::from(bytes), &BYTES_MAX);
    }

    #[test]
    fn a_changed_byte_gives_another_block_or_none(at in 0_usize..4096, flip in 1_u8..=255) {
        let kit = Kit::new(6);
        let good = block(&kit);
        let mut bytes = encode(good.clone()).to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = EngineBlock::decode_cfg(Bytes::from(bytes), &BYTES_MAX) {
            prop_assert_ne!(read.sealed().digest(), good.digest());
        }
    }
}
