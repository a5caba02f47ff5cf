//! Nodes: registering them, and faults of their keys.

use aval_codec::Hash;
use aval_did::{PublicKey, SigningKey};
use aval_types::action::{NodeEvidence, NodeLeave, NodeRegister, NodeUpdate};
use aval_types::node::{Possession, key_bytes};
use aval_types::vote::{Vote, VoteKind, VotedProposal, signed_bytes};
use aval_types::{Action, NodeKind, SubmittedTransaction};

use super::{Credential, Draft, Kit, Party};
use crate::{Checked, ExecuteError, Executed};

impl Kit {
    /// A company with a live grant that lets it operate validators and observers, and its credential.
    pub fn operator(&mut self, number: u64) -> (Party, Credential) {
        let company = self.company(number);
        let credential = self.credential(&company, &["member", "observer", "operator"]);
        self.expect_applied(company.create_with(self, &credential));
        (company, credential)
    }

    /// The network key of a node that is not in genesis; the same number gives the same key.
    pub fn node_key(&self, number: u64) -> SigningKey {
        self.key(&format!("node/{number}"))
    }

    /// Registers node `number` of `operator` as it is usually done, and expects it to take effect.
    pub fn register(
        &mut self,
        operator: &Party,
        number: u64,
        kind: NodeKind,
        place: (&str, &str),
    ) -> [u8; 32] {
        let node = self.registration(operator, number, kind, place);
        let key = key_bytes(&node.key).expect("the kit's node keys are Ed25519 keys");
        self.expect_applied(operator.register(self, node));
        key
    }

    /// What registers node `number` of `operator` in a sector and region.
    pub fn registration(
        &self,
        operator: &Party,
        number: u64,
        kind: NodeKind,
        (sector, region): (&str, &str),
    ) -> NodeRegister {
        let key = self.node_key(number);
        let port = u16::try_from(9_000 + number).expect("a small number");
        NodeRegister {
            key: key.public(),
            kind,
            name: format!("node-{number}"),
            addresses: vec![([127, 0, 0, 1], port).into()],
            sector: sector.to_owned(),
            region: region.to_owned(),
            proof: self.possession(operator, &key),
        }
    }

    /// The signature of a node key for an operator.
    pub fn possession(&self, operator: &Party, key: &SigningKey) -> Possession {
        let bytes = key_bytes(&key.public()).expect("an Ed25519 key");
        Possession(key.sign(&Possession::signed_bytes(self.network(), &operator.did, &bytes)))
    }

    /// A vote of a key.
    pub fn vote(&self, key: &SigningKey, kind: VoteKind, view: u64, block: u8) -> Vote {
        let proposal = (kind != VoteKind::Nullify)
            .then_some(VotedProposal { parent_view: view - 1, digest: Hash::new([block; 32]) });
        let bytes = signed_bytes(&self.network().genesis(), kind, 0, view, proposal.as_ref());
        Vote {
            kind,
            epoch: 0,
            view,
            parent_view: proposal.map(|proposal| proposal.parent_view),
            digest: proposal.map(|proposal| proposal.digest),
            signature: key.sign(&bytes),
        }
    }

    /// Executes empty blocks until the newest one is the last of an epoch.
    pub fn finish_epoch(&mut self) -> Executed {
        let epoch_blocks = self.genesis().parameters.validators.epoch_blocks;
        loop {
            let executed = self.apply_block(&[]).expect("an empty block is valid");
            if crate::membership::is_boundary(self.ledger().height, epoch_blocks) {
                return executed;
            }
        }
    }

    /// As [`Kit::apply_block`], telling who proposed the blocks of the window that ends with it.
    pub fn apply_block_led(
        &mut self,
        transactions: &[Checked],
        leaders: &[[u8; 32]],
    ) -> Result<Executed, ExecuteError> {
        let context = crate::BlockContext { leaders: leaders.to_vec(), ..self.next_context() };
        self.apply_in(&context, transactions)
    }
}

impl Party {
    /// Registers a node.
    pub fn register(&self, kit: &Kit, node: NodeRegister) -> SubmittedTransaction {
        Draft::new(kit, Action::NodeRegister(node)).sender(self).submit()
    }

    /// Moves a node.
    pub fn update_node(&self, kit: &Kit, key: PublicKey, port: u16) -> SubmittedTransaction {
        let action = NodeUpdate { key, addresses: vec![([127, 0, 0, 1], port).into()] };
        Draft::new(kit, Action::NodeUpdate(action)).sender(self).submit()
    }

    /// Takes a node out.
    pub fn leave(&self, kit: &Kit, key: PublicKey) -> SubmittedTransaction {
        Draft::new(kit, Action::NodeLeave(NodeLeave { key })).sender(self).submit()
    }

    /// Shows two votes of a key.
    pub fn show(&self, kit: &Kit, key: PublicKey, first: Vote, second: Vote) -> SubmittedTransaction {
        let action = NodeEvidence { key, first, second };
        Draft::new(kit, Action::NodeEvidence(Box::new(action))).sender(self).submit()
    }
}
