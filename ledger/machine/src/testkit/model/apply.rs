//! What a transaction does.

use aval_did::{Did, Document};
use aval_types::node::key_bytes;
use aval_types::{Action, Grant, RegistryId, SchemaHash, SubmittedTransaction, TransactionId};

use super::{
    Model, ModelAccreditation, ModelDid, ModelHold, ModelNode, ModelProposal, ModelRegistry, ModelSchema,
};

impl Model {
    /// Makes it so. Only for what was decided upon.
    pub(super) fn apply(&mut self, id: TransactionId, submitted: &SubmittedTransaction) {
        if let Ok(Some(grant)) = self.payment(submitted) {
            self.charge(grant);
        }
        let payload = submitted.transaction.payload();
        let sender = payload.sender().map(|kid| kid.did().clone());
        match (&payload.action, sender) {
            (Action::DidCreate(create), _) => {
                let operation = &create.operation;
                let record = ModelDid {
                    version: aval_did::VersionId { number: 1, hash: operation.did.inception() },
                    control: operation.control.clone(),
                    document: operation.document.clone(),
                    deactivated: false,
                    grants: Vec::new(),
                    allowance: (self.time_ms, 0),
                };
                self.dids.insert(operation.did.clone(), record);
                if let Some(grant) = &create.grant {
                    self.grant(grant);
                }
            }
            (Action::DidUpdate(update), _) => {
                let record = self.did_mut(&update.did);
                record.version = update.version_id();
                record.document = update.document.clone();
            }
            (Action::DidRotate(rotate), _) => {
                self.spend_allowance(&rotate.did);
                let record = self.did_mut(&rotate.did);
                record.version = rotate.version_id();
                record.control = rotate.control.clone();
                if let Some(document) = &rotate.document {
                    record.document = document.clone();
                }
            }
            (Action::DidDeactivate(deactivate), _) => {
                self.spend_allowance(&deactivate.did);
                let record = self.did_mut(&deactivate.did);
                record.version = deactivate.version_id();
                record.document = Document::default();
                record.deactivated = true;
                if self.accreditations.get(&deactivate.did).is_some_and(|record| !record.revoked) {
                    self.disaccredit(&deactivate.did, Some(deactivate.did.clone()));
                }
            }
            (Action::CredentialPresent(present), _) => self.grant(&present.grant),
            (action, Some(sender)) => self.apply_of(id, action, sender),
            (_, None) => unreachable!("an action without a sender is a controller's"),
        }
    }

    fn apply_of(&mut self, id: TransactionId, action: &Action, sender: Did) {
        match action {
            Action::RegistryCreate(create) => {
                let registry = RegistryId::new(sender, &create.registry).expect("it was decided upon");
                let record = ModelRegistry {
                    purpose: create.purpose,
                    bits: create.bits,
                    size: create.size,
                    lists: create.lists.clone(),
                };
                self.registries.insert(registry, record);
            }
            Action::RegistryUpdate(update) => {
                for change in &update.changes {
                    self.entries.insert((change.list.clone(), change.index), change.to);
                }
            }
            Action::AccreditationGrant(grant) => {
                let record = ModelAccreditation {
                    kind: grant.kind,
                    parent: Some(sender),
                    types: grant.types.clone(),
                    depth: grant.depth,
                    expires: grant.expires,
                    version: grant.previous + 1,
                    revoked: false,
                    revoked_by: None,
                };
                self.accreditations.insert(grant.subject.clone(), record);
            }
            Action::AccreditationRevoke(revoke) => self.disaccredit(&revoke.subject, Some(sender)),
            Action::SchemaPublish(publish) => {
                let schema = ModelSchema {
                    credential_type: publish.credential_type.clone(),
                    publisher: sender,
                    deprecated: false,
                    schema: publish.schema.clone(),
                };
                self.schemas.insert(SchemaHash::of(&publish.schema), schema);
            }
            Action::SchemaDeprecate(deprecate) => {
                self.schemas.get_mut(&deprecate.schema).expect("it was decided upon").deprecated = true;
            }
            Action::AnchorCreate(anchor) => {
                self.anchors.insert(anchor.commitment);
            }
            Action::ServiceRegister(register) => {
                self.services.insert((sender, register.name.clone()));
            }
            Action::ServiceRemove(remove) => {
                self.services.remove(&(sender, remove.name.clone()));
            }
            Action::GovernancePropose(propose) => {
                let proposal = ModelProposal {
                    proposer: sender,
                    change: propose.change.clone(),
                    execute_at: propose.execute_at,
                    closes: self.time_ms + self.parameters.governance.voting_period_ms,
                    votes: Default::default(),
                    outcome: None,
                };
                self.proposals.insert(id, proposal);
                self.agenda.push(id);
            }
            Action::GovernanceVote(vote) => {
                let proposal = self.proposals.get_mut(&vote.proposal).expect("it was decided upon");
                proposal.votes.insert(sender, vote.approve);
            }
            Action::SupervisionHold(hold) => {
                let hold = ModelHold { target: hold.target.clone(), expires: hold.expires, released: false };
                self.holds.insert(id, hold);
            }
            Action::SupervisionRelease(release) => self.release(&release.hold),
            Action::SupervisionDeny(deny) => {
                self.denials.insert(deny.target.clone(), false);
            }
            Action::SupervisionAllow(allow) => {
                self.denials.remove(&allow.target);
            }
            _ => self.apply_to_node(action, sender),
        }
    }

    fn apply_to_node(&mut self, action: &Action, sender: Did) {
        let bytes = |key| key_bytes(key).expect("it was decided upon");
        match action {
            Action::NodeRegister(register) => {
                let node = ModelNode {
                    kind: register.kind,
                    name: register.name.clone(),
                    operator: sender,
                    addresses: register.addresses.clone(),
                    founding: false,
                    leaving: false,
                    barred: None,
                    at_fault: false,
                    suspended_until: None,
                };
                self.nodes.insert(bytes(&register.key), node);
            }
            Action::NodeUpdate(update) => {
                let node = self.nodes.get_mut(&bytes(&update.key)).expect("it was decided upon");
                node.addresses = update.addresses.clone();
            }
            Action::NodeLeave(leave) => {
                let key = bytes(&leave.key);
                if self.validators.contains(&key) {
                    self.nodes.get_mut(&key).expect("it was decided upon").leaving = true;
                } else {
                    self.nodes.remove(&key);
                }
            }
            Action::NodeEvidence(evidence) => {
                let node = self.nodes.get_mut(&bytes(&evidence.key)).expect("it was decided upon");
                node.barred = Some(self.time_ms);
                node.at_fault = true;
            }
            _ => unreachable!("the model decided upon an action that it does not know"),
        }
    }

    fn did_mut(&mut self, did: &Did) -> &mut ModelDid {
        self.dids.get_mut(did).expect("it was decided upon")
    }

    fn spend_allowance(&mut self, did: &Did) {
        let now = self.time_ms;
        let allowance = &mut self.did_mut(did).allowance;
        *allowance = match *allowance {
            (since, used) if now - since < 24 * 3600 * 1000 => (since, used + 1),
            _ => (now, 1),
        };
    }

    fn grant(&mut self, grant: &Grant) {
        if self.dids[&grant.subject].grants.len() >= 16 {
            let kept = self.dids[&grant.subject].grants.clone();
            let kept = kept.into_iter().filter(|id| self.takes_room(id)).collect();
            self.did_mut(&grant.subject).grants = kept;
        }
        self.grants.insert(grant.id(), grant.clone());
        self.did_mut(&grant.subject).grants.push(grant.id());
    }

    pub(super) fn disaccredit(&mut self, did: &Did, by: Option<Did>) {
        let record = self.accreditations.get_mut(did).expect("it was decided upon");
        record.revoked = true;
        record.revoked_by = by;
        record.version += 1;
    }
}
