//! A small chain on the genesis file of the vectors, certified by its four validators.

use aval_codec::{Hash, merkle};
use aval_did::{Create, Did, DidRecord, SigningKey, rules::genesis_record};
use aval_types::{BlockReceipt, Event, Genesis, Header, NetworkId, Outcome, Receipt, Reject, TransactionId};

use super::{support::specs, tree::Tree};
use crate::{
    anchor::TrustAnchor,
    certificate::{Certificate, signed_bytes},
    ledger_proof::{Claim, LedgerProof, did_state_key},
    receipt_proof::ReceiptProof,
    validators::ValidatorSet,
};

pub(crate) struct Chain {
    pub(crate) genesis_bytes: Vec<u8>,
    pub(crate) network: NetworkId,
    pub(crate) validators: ValidatorSet,
    /// Private keys in the order of the validator set.
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) record: DidRecord,
    pub(crate) tree: Tree,
    pub(crate) receipts: Vec<Receipt>,
    /// What the block of height 2 did on its own.
    pub(crate) block_receipt: BlockReceipt,
    /// Headers of heights 0 to 4.
    pub(crate) headers: Vec<Header>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let genesis_bytes = std::fs::read(specs("vectors/genesis.json")).unwrap();
        let genesis = Genesis::parse(&genesis_bytes).unwrap();
        let hash = Genesis::hash_of(&genesis_bytes);
        let validators = ValidatorSet::of_genesis(&genesis);
        let mut keys: Vec<SigningKey> =
            (101..=104u8).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        keys.sort_by_key(SigningKey::public);
        let entry = &genesis.dids[0];
        let create = Create {
            did: entry.did.clone(),
            control: entry.control.clone(),
            document: entry.document.clone(),
        };
        let record = genesis_record("demo", &create, genesis.time).unwrap();
        let mut tree = Tree::default();
        let (key, value) = (did_state_key(&record.did), record.to_bytes());
        let others: Vec<String> =
            (0..20).map(|number| format!("list/https://issuer.example/{number}")).collect();
        let others = others.iter().map(|key| (key.as_bytes(), Some(b"{}".as_slice())));
        tree.change(others.chain([(key.as_bytes(), Some(value.as_slice()))]));
        let mut chain = Self {
            network: genesis.network_id(hash).unwrap(),
            receipts: receipts(&record, genesis.time + 2000),
            block_receipt: block_receipt(&validators, genesis.time + 2000),
            headers: vec![genesis.header(hash, tree.root())],
            genesis_bytes,
            validators,
            keys,
            record,
            tree,
        };
        for height in 1..=4 {
            chain.append(height);
        }
        chain
    }

    /// Adds a block; the receipts are in the one of height 2.
    fn append(&mut self, height: u64) {
        let parent = self.headers.last().unwrap().clone();
        let leaves = if height == 2 { self.leaves() } else { Vec::new() };
        self.headers.push(Header {
            height,
            time_ms: parent.time_ms + 1000,
            view: height + 300,
            parent_view: parent.view,
            leader: self.validators.keys()[0],
            parent: parent.digest(),
            receipts_root: merkle::root(&leaves),
            ..parent
        });
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.genesis_bytes).unwrap()
    }

    pub(crate) fn certificate(&self, header: &Header, signers: &[u32]) -> Certificate {
        let (epoch, view, parent_view) = (header.epoch, header.view, header.parent_view);
        let message = signed_bytes(&self.network.genesis(), epoch, view, parent_view, &header.digest());
        let signatures = signers.iter().map(|signer| self.keys[*signer as usize].sign(&message)).collect();
        Certificate { epoch, view, parent_view, signers: signers.to_vec(), signatures }
    }

    /// A proof that stands on the block of one height and is certified by the one of another.
    pub(crate) fn prove(&self, claim: Claim, height: usize, certified: usize) -> LedgerProof {
        LedgerProof {
            network: self.network.clone(),
            header: self.headers[height].clone(),
            path: self.headers[height + 1..=certified].to_vec(),
            certificate: self.certificate(&self.headers[certified], &[0, 1, 3]),
            claim,
        }
    }

    pub(crate) fn state(&self, key: &str) -> Claim {
        let (value, proof) = self.tree.prove(key);
        Claim::State { key: key.to_owned(), value, proof }
    }

    /// The leaves of the receipts root of height 2.
    pub(crate) fn leaves(&self) -> Vec<Vec<u8>> {
        self.receipts.iter().map(Receipt::encode).chain([self.block_receipt.encode()]).collect()
    }

    /// The receipt of a transaction of height 2, or, after those, the block's own.
    pub(crate) fn receipt(&self, index: usize) -> Claim {
        Claim::Receipt(ReceiptProof::of(&self.leaves(), index).unwrap())
    }

    /// A proof of each kind, with a name.
    pub(crate) fn proofs(&self) -> Vec<(&'static str, LedgerProof)> {
        let present = did_state_key(&self.record.did);
        let absent = self.absent(false);
        let other = self.absent(true);
        vec![
            ("a DID record, block certified itself", self.prove(self.state(&present), 2, 2)),
            (
                "a DID record in the genesis block, certified by the block after it",
                self.prove(self.state(&present), 0, 1),
            ),
            (
                "absence, nothing in the key's place, two headers up to a certified one",
                self.prove(self.state(&absent), 2, 4),
            ),
            ("absence, another key in the key's place", self.prove(self.state(&other), 3, 3)),
            ("a receipt", self.prove(self.receipt(2), 2, 3)),
            ("what a block did on its own", self.prove(self.receipt(5), 2, 3)),
            ("the header alone", self.prove(Claim::Header, 4, 4)),
        ]
    }

    /// The state key of a DID that is not there; with another key's leaf in its place or without one.
    pub(crate) fn absent(&self, with_leaf: bool) -> String {
        (0..=255u8)
            .map(|number| did_state_key(&Did::new("demo", &Hash::new([number; 32])).unwrap()))
            .find(|key| self.tree.prove(key).1.leaf.is_some() == with_leaf)
            .unwrap()
    }
}

fn block_receipt(validators: &ValidatorSet, time_ms: u64) -> BlockReceipt {
    let left = vec![aval_did::PublicKey::Ed25519(validators.keys()[3])];
    let events = vec![Event::ValidatorsChanged { epoch: 1, joined: Vec::new(), left }];
    BlockReceipt { height: 2, time_ms, events }
}

fn receipts(record: &DidRecord, time_ms: u64) -> Vec<Receipt> {
    (0..5u32)
        .map(|index| Receipt {
            transaction: TransactionId::of_payload(&[u8::try_from(index).unwrap()]),
            index,
            height: 2,
            time_ms,
            outcome: match index {
                4 => Outcome::Rejected(Reject::DidStaleVersion),
                _ => Outcome::Applied(vec![Event::DidUpdated {
                    did: record.did.clone(),
                    version_id: record.version_id,
                }]),
            },
        })
        .collect()
}
