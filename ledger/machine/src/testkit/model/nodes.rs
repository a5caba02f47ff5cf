//! Nodes and validators: who may act on them, and what must hold of a change of the set.

use std::collections::BTreeSet;

use aval_did::Did;
use aval_types::node::key_bytes;
use aval_types::supervision::Target;
use aval_types::{Action, Event, NodeKind, limits, vote};

use super::decide::must;
use super::{FinalBlock, Model, ModelNode, No};

impl Model {
    pub(super) fn may_act_on_node(&self, sender: &Did, action: &Action, fresh: bool) -> Result<(), No> {
        match action {
            Action::NodeRegister(register) => {
                must(self.has_role(sender, register.kind.role()), "it may not operate such a node")?;
                let holds = !fresh || register.proof.holds(&self.network, sender, &register.key);
                must(holds, "the node's key did not agree")?;
                let key = key_bytes(&register.key).ok_or("the key is no node's")?;
                let target = Target::Node(register.key);
                must(!self.denials.contains_key(&target), "the node is denied")?;
                must(!self.nodes.contains_key(&key), "the node is registered")?;
                let shares = |other: &ModelNode| {
                    other.name == register.name
                        || other.addresses.iter().any(|address| register.addresses.contains(address))
                };
                must(!self.nodes.values().any(shares), "the name or an address is taken")?;
                let suspension_ms = self.parameters.validators.suspension_ms;
                let own: Vec<_> = self.nodes.values().filter(|node| node.operator == *sender).collect();
                let bars = |since: u64| self.time_ms < since + suspension_ms;
                must(!own.iter().any(|node| node.barred.is_some_and(bars)), "the operator is barred")?;
                must(self.nodes.len() < limits::NODES_MAX, "there are too many nodes")?;
                must(own.len() < limits::OPERATOR_NODES_MAX, "the operator has too many nodes")
            }
            Action::NodeUpdate(update) => {
                let key = key_bytes(&update.key).ok_or("the key is no node's")?;
                self.own_node(sender, &key)?;
                let mut others = self.nodes.iter().filter(|(other, _)| **other != key);
                let taken =
                    others.any(|(_, other)| other.addresses.iter().any(|one| update.addresses.contains(one)));
                must(!taken, "an address is taken")
            }
            Action::NodeLeave(leave) => {
                let key = key_bytes(&leave.key).ok_or("the key is no node's")?;
                let node = self.own_node(sender, &key)?;
                must(node.barred.is_none(), "the node is barred")?;
                must(!node.leaving, "it asked before")
            }
            Action::NodeEvidence(evidence) => {
                let key = key_bytes(&evidence.key).ok_or("the key is no node's")?;
                let node = self.nodes.get(&key).ok_or("there is no such node")?;
                must(!node.at_fault, "its fault is known")?;
                let genesis = self.network.genesis();
                let proven =
                    vote::check_evidence(&evidence.key, &evidence.first, &evidence.second, &genesis).is_ok();
                must(!fresh || proven, "the votes prove nothing")
            }
            _ => Err("it is no action on nodes"),
        }
    }

    fn own_node(&self, sender: &Did, key: &[u8; 32]) -> Result<&ModelNode, No> {
        let node = self.nodes.get(key).ok_or("there is no such node")?;
        must(node.operator == *sender, "the node is another's")?;
        Ok(node)
    }

    /// Whether something speaks against a node (specs/rules.md, section 8, "Standing").
    fn stands(&self, key: &[u8; 32], node: &ModelNode) -> bool {
        let denied = [Target::Node(aval_did::PublicKey::Ed25519(*key)), Target::Did(node.operator.clone())]
            .iter()
            .any(|target| self.denials.contains_key(target));
        let role = node.kind.role();
        let vouched = self.has_role(&node.operator, role)
            || (node.founding && !self.ever_had_role(&node.operator, role));
        !denied && node.barred.is_none() && self.did(&node.operator).is_ok() && vouched
    }

    /// What a block does to the set on its own.
    pub(super) fn end(&mut self, block: &FinalBlock) -> Result<(), String> {
        self.settle_founders();
        let mut told: Option<(Vec<[u8; 32]>, Vec<[u8; 32]>)> = None;
        for event in &block.events {
            let keys =
                |keys: &[aval_did::PublicKey]| keys.iter().filter_map(key_bytes).collect::<Vec<[u8; 32]>>();
            match event {
                Event::ValidatorSuspended { node, until, .. } => {
                    let node = key_bytes(node).and_then(|key| self.nodes.get_mut(&key));
                    node.ok_or("an unknown node is suspended")?.suspended_until = Some(*until);
                }
                Event::ValidatorsChanged { joined, left, .. } => told = Some((keys(joined), keys(left))),
                _ => {}
            }
        }
        let after: BTreeSet<[u8; 32]> = block.validators.iter().copied().collect();
        let joined: Vec<[u8; 32]> = after.difference(&self.validators).copied().collect();
        let left: Vec<[u8; 32]> = self.validators.difference(&after).copied().collect();
        if joined.is_empty() && left.is_empty() {
            return Ok(());
        }
        if !(block.height + 1).is_multiple_of(self.parameters.validators.epoch_blocks) {
            return Err("the validators changed in the middle of an epoch".to_owned());
        }
        let told = told.ok_or("the validators changed and nothing says so")?;
        let sorted = |keys: &[[u8; 32]]| keys.iter().copied().collect::<BTreeSet<_>>();
        if sorted(&told.0) != sorted(&joined) || sorted(&told.1) != sorted(&left) {
            return Err("others joined or left than the block says".to_owned());
        }
        self.check_change(&after, &joined, &left)?;
        for key in left {
            if self.nodes.get(&key).is_some_and(|node| node.leaving && node.barred.is_none()) {
                self.nodes.remove(&key);
            }
        }
        self.validators = after;
        Ok(())
    }

    /// A validator of genesis stands on its operator's grant as soon as there is one.
    fn settle_founders(&mut self) {
        let before = self.clone();
        for key in &before.validators {
            let Some(node) = before.nodes.get(key) else { continue };
            let granted = before.has_role(&node.operator, node.kind.role());
            if node.founding && granted && before.stands(key, node) {
                self.nodes.get_mut(key).expect("it is there").founding = false;
            }
        }
    }

    fn check_change(
        &self,
        after: &BTreeSet<[u8; 32]>,
        joined: &[[u8; 32]],
        left: &[[u8; 32]],
    ) -> Result<(), String> {
        let faults = |size: usize| size.saturating_sub(1) / 3;
        for key in joined {
            let node = self.nodes.get(key).ok_or("a node joined that is not registered")?;
            let suspended = node.suspended_until.is_some_and(|until| self.time_ms < until);
            if node.kind != NodeKind::Validator || suspended || !self.stands(key, node) {
                return Err(format!("{} joined, although something speaks against it", node.name));
            }
        }
        for key in left {
            let node = self.nodes.get(key).ok_or("a node left that is not registered")?;
            let suspended = node.suspended_until.is_some_and(|until| self.time_ms < until);
            let limits = &self.parameters.validators;
            let capped = self.validators.len() > limits.size_max as usize
                || self.validators.len() > limits.per_region_max.min(limits.per_sector_max) as usize;
            if self.stands(key, node) && !suspended && !node.leaving && !capped {
                return Err(format!("{} left, although nothing speaks against it", node.name));
            }
        }
        let (old, new) = (self.validators.len(), after.len());
        let floor = old.min(self.parameters.validators.size_min as usize);
        if left.len() > faults(old).max(1) || joined.len() > faults(new).max(1) || new < floor {
            return Err(format!("{} left and {} joined a set of {old}", left.len(), joined.len()));
        }
        Ok(())
    }
}
