//! Blocks: one digest, two forms, and no body that is not the header's.

use aval_codec::Hash;
use proptest::prelude::*;

use super::{bank, company, create, genesis, present, receipt, sd_hash, transaction};
use crate::{
    block::{
        Block, BlockError, BlockTransaction, HEADER_BYTES, Header, Mode, Witness, encode_body,
        transactions_root, validators_hash, witnesses_root,
    },
    genesis::Genesis,
    receipt::receipts_root,
};

pub(crate) fn transactions() -> Vec<BlockTransaction> {
    let (company, bank) = (company(), bank());
    let endorsed = transaction(create(&company, None), 1)
        .controller(company.control_kid())
        .endorser(bank.kid())
        .sign(&[&company.control, &bank.key])
        .unwrap();
    let presented =
        transaction(present(&bank), 2).sender(bank.kid()).presentation(sd_hash()).sign(&[&bank.key]).unwrap();
    vec![
        BlockTransaction { envelope: endorsed.to_envelope(), witness: Witness::None },
        BlockTransaction {
            envelope: presented.to_envelope(),
            witness: Witness::Full(b"<issuer-signed jwt>~<disclosure>~<kb-jwt>".to_vec()),
        },
    ]
}

pub(crate) fn block() -> Block {
    let genesis = genesis();
    let hash = Genesis::hash_of(&genesis.to_bytes());
    let first = genesis.header(hash, Hash::new([1; 32]));
    let transactions = transactions();
    let header = Header {
        height: 1,
        time_ms: genesis.time + 1500,
        epoch: 0,
        view: 3,
        parent_view: 0,
        leader: super::validator_key(1).public().to_ed25519(),
        parent: first.digest(),
        transactions_root: transactions_root(&transactions),
        witnesses_root: witnesses_root(&transactions),
        receipts_root: receipts_root(&receipt::all()),
        state_root: Hash::new([2; 32]),
        ..first
    };
    Block { header, transactions }
}

trait Ed25519Bytes {
    fn to_ed25519(&self) -> [u8; 32];
}

impl Ed25519Bytes for aval_did::PublicKey {
    fn to_ed25519(&self) -> [u8; 32] {
        match self {
            Self::Ed25519(bytes) => *bytes,
            Self::P256(_) => panic!("not an Ed25519 key"),
        }
    }
}

#[test]
fn a_block_reads_back_and_its_transactions_too() {
    let block = block();
    let bytes = block.encode();
    assert_eq!(bytes.len(), block.encoded_length());
    assert_eq!(Block::decode(&bytes, Mode::Full).unwrap(), block);
    assert_eq!(block.header.encode().len(), HEADER_BYTES);
    assert_eq!(Header::decode(&bytes[..HEADER_BYTES]).unwrap(), block.header);
    for transaction in &block.transactions {
        assert_eq!(transaction.transaction().unwrap().to_envelope(), transaction.envelope);
    }
}

#[test]
fn stripping_keeps_the_digest_and_loses_the_witness() {
    let block = block();
    let stripped = block.strip();
    assert_eq!(stripped.digest(), block.digest());
    assert_eq!(stripped.strip(), stripped);
    let bytes = stripped.encode();
    assert!(bytes.len() < block.encode().len());
    assert!(!bytes.windows(8).any(|window| window == b"<kb-jwt>"));
    assert_eq!(Block::decode(&bytes, Mode::Any).unwrap(), stripped);
    assert_eq!(Block::decode(&bytes, Mode::Full), Err(BlockError::Stripped));
}

#[test]
fn a_body_that_is_not_the_headers_is_refused() {
    let good = block();
    let refused = |change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        assert_eq!(Block::decode(&block.encode(), Mode::Any), Err(BlockError::BodyMismatch));
    };
    refused(&|block| drop(block.transactions.pop()));
    refused(&|block| block.transactions.clear());
    refused(&|block| block.transactions.swap(0, 1));
    refused(&|block| block.transactions.push(block.transactions[0].clone()));
    refused(&|block| block.transactions[0].envelope[100] ^= 1);
    refused(&|block| block.transactions[1].witness = Witness::None);
    refused(&|block| block.transactions[1].witness = Witness::Full(b"another".to_vec()));
    refused(&|block| block.transactions[0].witness = Witness::Stripped(Hash::new([5; 32])));
    refused(&|block| block.header.transactions_root = Hash::new([5; 32]));
    refused(&|block| block.header.witnesses_root = Hash::new([5; 32]));
}

#[test]
fn every_bit_of_the_header_is_in_the_digest() {
    let header = block().header;
    let bytes = header.encode();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match Header::decode(&changed) {
            Ok(other) => assert_ne!(other.digest(), header.digest()),
            Err(error) => assert_eq!((bit / 8, error.code()), (0, "block.malformed")),
        }
    }
}

#[test]
fn broken_layouts_are_malformed() {
    let bytes = block().encode();
    for length in 0..bytes.len() {
        assert!(
            matches!(Block::decode(&bytes[..length], Mode::Full), Err(BlockError::Malformed(_))),
            "{length}"
        );
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Block::decode(&longer, Mode::Full), Err(BlockError::Malformed(_))));
    // A count or length that promises far more than there is must not make the reader allocate or wait.
    for promise in [[0xff; 4], [0, 1, 0, 0]] {
        let mut greedy = bytes.clone();
        greedy[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&promise);
        assert!(matches!(Block::decode(&greedy, Mode::Full), Err(BlockError::Malformed(_))));
    }
    let empty = Block { header: block().header, transactions: Vec::new() };
    assert_eq!(encode_body(&empty.transactions), [0, 0, 0, 0]);
}

#[test]
fn the_hash_of_a_validator_set_does_not_depend_on_the_order() {
    let (a, b) = ([1; 32], [2; 32]);
    assert_eq!(validators_hash(&[a, b]), validators_hash(&[b, a]));
    assert_ne!(validators_hash(&[a, b]), validators_hash(&[a]));
    assert_ne!(validators_hash(&[a, b]), validators_hash(&[a, b, b]));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Block::decode(&bytes, Mode::Any);
        let _ = Header::decode(&bytes);
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = block().encode();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(block) = Block::decode(&bytes, Mode::Any) {
            prop_assert_eq!(block.encode(), bytes);
        }
    }
}
