//! One transaction of each kind.

use aval_codec::{Json, Limits, json};
use aval_types::accreditation::Level;
use aval_types::action::{
    AccreditationGrant, AccreditationRevoke, AnchorCreate, CredentialPresent, DidCreate, NodeEvidence,
    NodeLeave, NodeUpdate, RegistryCreate, SchemaDeprecate, SchemaPublish, ServiceRegister, ServiceRemove,
    StatusChange,
};
use aval_types::governance::{
    Change, DenyAdd, DenyRemove, HoldLift, NodeExpel, PolicyChange, RootAdd, RootRemove,
};
use aval_types::parameters::{ParametersChange, QuotaChange};
use aval_types::supervision::{
    SupervisionAllow, SupervisionDeny, SupervisionHold, SupervisionRelease, Target,
};
use aval_types::{
    AccreditationKind, Action, Commitment, NodeKind, Purpose, RegistryId, SchemaHash, SubmittedTransaction,
    VoteKind,
};

use super::super::model::policy_without;
use super::super::{Credential, DIPLOMA, Draft, LIST_SIZE, MEMBERSHIP, Party, Terms, accredited};
use super::{ENDORSER, Effect, OPERATOR, REGULARS, SUPERVISOR, Workload};

/// The name of the status registry of those who are accredited later.
const BRANCH: &str = "branch";

/// Its only list.
fn branch_list(issuer: &Party) -> String {
    format!("https://issuer.example/status/{}", issuer.did.id())
}

/// The list of the issuer's registry of suspensions.
const SUSPENSIONS: &str = "https://issuer.example/status/suspensions";

impl Workload {
    /// A transaction of a kind, unless nobody can send one at the moment.
    pub(super) fn make(&mut self, kind: &str, height: u64) -> Option<SubmittedTransaction> {
        match kind {
            "did.create" => {
                let branches: Vec<usize> = self.branches.iter().copied().collect();
                match self.dice.pick(&branches).filter(|_| self.dice.chance(50)) {
                    Some(branch) => Some(self.join_by_branch(branch)),
                    None => {
                        let endorsed = self.dice.chance(40);
                        Some(self.create(endorsed))
                    }
                }
            }
            "did.update" => self.update(),
            "did.rotate" => {
                let actor = self.idle(0)?;
                let mut after = self.actors[actor].party.clone();
                let operation = after.rotation();
                let (nbf, exp) = self.window();
                let draft = Draft::new(&self.kit, Action::DidRotate(operation)).controllers(&after);
                let submitted = draft.window(nbf, exp).submit();
                self.note(&submitted, Effect::Moved { actor, after: Box::new(after), ended: false });
                Some(submitted)
            }
            "did.deactivate" => {
                let actor = self.idle(REGULARS + 2)?;
                let mut after = self.actors[actor].party.clone();
                let submitted = after.deactivate(&self.kit);
                self.note(&submitted, Effect::Moved { actor, after: Box::new(after), ended: true });
                Some(submitted)
            }
            "credential.present" => self.present(),
            "registry.create" => Some(self.branch().unwrap_or_else(|| self.registry())),
            "registry.update" => self.status(),
            "governance.propose" => {
                let change = self.change()?;
                Some(self.propose(change, height))
            }
            "governance.vote" => self.vote(),
            "anchor.create" => {
                let actor = self.idle(0)?;
                self.serial += 1;
                let commitment = Commitment::of(&[7; 32], &self.serial.to_be_bytes());
                let party = self.actors[actor].party.clone();
                let action = AnchorCreate { commitment, kind: "invoice".to_owned() };
                Some(self.send(&party, Action::AnchorCreate(action), Effect::Nothing))
            }
            "service.register" | "service.remove" => self.service(kind == "service.register"),
            _ if kind.starts_with("supervision.") => self.supervise(kind),
            _ if kind.starts_with("node.") => self.node(kind),
            _ => self.trust(kind),
        }
    }

    /// Somebody new joins with a credential.
    pub(super) fn join(&mut self, actor: usize, roles: &[&str]) -> SubmittedTransaction {
        let party = self.actors[actor].party.clone();
        let credential = self.kit.credential(&party, roles);
        let submitted = party.create_with(&self.kit, &credential);
        self.note(&submitted, Effect::Joined { actor, credential: Some(Box::new(credential)) });
        submitted
    }

    /// Whoever was accredited and has no status registry yet makes one.
    fn branch(&mut self) -> Option<SubmittedTransaction> {
        let live = self.accredited.iter().filter(|(_, (_, live))| *live).map(|(actor, _)| *actor);
        let new: Vec<usize> = live.filter(|actor| !self.branches.contains(actor)).collect();
        let actor = self.dice.pick(&new)?;
        let party = self.actors[actor].party.clone();
        let action = RegistryCreate {
            registry: BRANCH.to_owned(),
            purpose: Purpose::Revocation,
            bits: 1,
            size: LIST_SIZE,
            lists: vec![branch_list(&party)],
        };
        Some(self.send(&party, Action::RegistryCreate(action), Effect::Branch { actor }))
    }

    /// A new company joins with a credential of somebody who was accredited once, and may not be any more.
    fn join_by_branch(&mut self, branch: usize) -> SubmittedTransaction {
        let (actor, issuer) = (self.actor(), self.actors[branch].party.clone());
        let party = self.actors[actor].party.clone();
        let registry = RegistryId::new(issuer.did.clone(), BRANCH).expect("the name is one");
        let terms = Terms { registry, list: branch_list(&issuer), ..self.kit.terms(&party) };
        let credential = self.kit.issue(&issuer, terms);
        let submitted = party.create_with(&self.kit, &credential);
        self.note(&submitted, Effect::Joined { actor, credential: None });
        submitted
    }

    /// A new company, with a credential or endorsed.
    pub(super) fn create(&mut self, endorsed: bool) -> SubmittedTransaction {
        let actor = self.actor();
        if !endorsed || self.actors[ENDORSER].busy {
            return self.join(actor, &["member"]);
        }
        let (party, endorser) = (self.actors[actor].party.clone(), self.actors[ENDORSER].party.clone());
        let (nbf, exp) = self.window();
        let action = DidCreate { operation: party.inception(), grant: None };
        let draft = Draft::new(&self.kit, Action::DidCreate(action)).controllers(&party).endorser(&endorser);
        let submitted = draft.window(nbf, exp).submit();
        self.note(&submitted, Effect::Joined { actor, credential: None });
        submitted
    }

    fn update(&mut self) -> Option<SubmittedTransaction> {
        let actor = self.idle(0)?;
        self.serial += 1;
        let endorsed = self.actors[actor].credentials.is_empty() || self.dice.chance(15);
        let (nbf, exp) = self.window();
        let mut after = self.actors[actor].party.clone();
        let document = self.kit.document(&after, self.serial);
        let mut draft = after.update_draft(&self.kit, document).window(nbf, exp);
        if endorsed && actor != ENDORSER {
            draft = draft.endorser(&self.actors[ENDORSER].party);
        }
        let submitted = draft.submit();
        self.note(&submitted, Effect::Moved { actor, after: Box::new(after), ended: false });
        Some(submitted)
    }

    /// A further credential; where there is a registry of suspensions, one that can be suspended.
    fn present(&mut self) -> Option<SubmittedTransaction> {
        let actor = self.idle(1)?;
        let one = &self.actors[actor];
        if one.credentials.len() >= 6 {
            return None;
        }
        let party = one.party.clone();
        let mut terms = self.kit.terms(&party);
        if self.has_suspensions && one.credentials.len() == 1 {
            terms = Terms {
                registry: self.suspensions(),
                list: SUSPENSIONS.to_owned(),
                purpose: aval_credential::StatusPurpose::Suspension,
                ..terms
            };
        }
        let credential = self.kit.issue(&self.kit.issuer, terms);
        let (nbf, exp) = self.window();
        let action = Action::CredentialPresent(CredentialPresent { grant: credential.grant(&party.did) });
        let draft =
            Draft::new(&self.kit, action).sender(&party).presenting(&credential, &party.authentication);
        let submitted = draft.window(nbf, exp).submit();
        self.note(&submitted, Effect::Presented { actor, credential: Box::new(credential) });
        Some(submitted)
    }

    fn suspensions(&self) -> RegistryId {
        RegistryId::new(self.kit.issuer.did.clone(), "suspensions").expect("the name is one")
    }

    /// The registry of suspensions first, then others.
    fn registry(&mut self) -> SubmittedTransaction {
        if !self.has_suspensions {
            let submitted = self.kit.create_registry_of(Purpose::Suspension, "suspensions", 1, SUSPENSIONS);
            self.note(&submitted, Effect::Registry);
            return submitted;
        }
        self.registries += 1;
        let name = format!("messages-{}", self.registries);
        let lists = vec![format!("https://issuer.example/status/{name}")];
        let issuer = self.kit.issuer.clone();
        let action = RegistryCreate { registry: name, purpose: Purpose::Message, bits: 4, size: 4096, lists };
        self.send(&issuer, Action::RegistryCreate(action), Effect::Nothing)
    }

    /// Revokes somebody's credential, or suspends or restores one.
    fn status(&mut self) -> Option<SubmittedTransaction> {
        let from = if self.dice.chance(10) { 3 } else { REGULARS };
        let actor = self.idle(from)?;
        let credential: Credential = {
            let own = self.actors[actor].credentials.clone();
            self.dice.pick(&own)?
        };
        let suspendable = credential.terms.list == SUSPENSIONS;
        let is_suspended = self.suspended.contains(&actor);
        let (value, effect) = match suspendable {
            true => ((u8::from(is_suspended), u8::from(!is_suspended)), !is_suspended),
            false => ((0, 1), false),
        };
        let change = StatusChange {
            list: credential.terms.list.clone(),
            index: credential.terms.index,
            from: value.0,
            to: value.1,
        };
        let submitted = self.kit.change_registry(credential.terms.registry.clone(), vec![change]);
        let effect =
            if suspendable { Effect::Suspended { actor, suspended: effect } } else { Effect::Nothing };
        self.note(&submitted, effect);
        Some(submitted)
    }

    /// What governors come up with. Nothing that would end the network, and all that may come and go.
    fn change(&mut self) -> Option<Change> {
        let parameters = |change| Some(Change::Parameters(change));
        self.serial += 1;
        match self.dice.below(10) {
            0 => {
                let heartbeat_ms = Some(self.dice.between(300, 700));
                parameters(ParametersChange { heartbeat_ms, ..ParametersChange::default() })
            }
            1 => {
                let most = u32::try_from(self.dice.between(8, 64)).expect("a small number");
                let block_transactions_max = Some(most);
                parameters(ParametersChange { block_transactions_max, ..ParametersChange::default() })
            }
            2 => {
                let per_grant = Some(u32::try_from(self.dice.between(6, 40)).expect("a small number"));
                let quota = Some(QuotaChange { per_grant, ..QuotaChange::default() });
                parameters(ParametersChange { quota, ..ParametersChange::default() })
            }
            3 => {
                let kinds = ["anchor.create", "service.register", "schema.publish"];
                let kind = self.dice.pick(&kinds)?;
                let text = match self.dice.chance(50) {
                    true => policy_without(kind),
                    false => crate::policy::DEFAULT_POLICY.to_owned(),
                };
                Some(Change::Policy(PolicyChange { text }))
            }
            4 => {
                let mut governors = self.kit.genesis().governors.clone();
                governors.threshold = u32::try_from(self.dice.between(1, 2)).expect("a small number");
                if self.dice.chance(50) {
                    governors.members.push(self.actors[REGULARS - 1].party.did.clone());
                }
                Some(Change::Governors(governors))
            }
            5 => {
                let target = Target::Did(self.idle_party(REGULARS)?.did);
                Some(Change::DenyAdd(DenyAdd { target, reason: "a decision".to_owned() }))
            }
            6 => {
                let denials = self.denials.clone();
                let target = self.dice.pick(&denials)?;
                Some(Change::DenyRemove(DenyRemove { target }))
            }
            7 => self.root_change(),
            8 => {
                let nodes = self.nodes.clone();
                let number = self.dice.pick(&nodes)?;
                let key = self.kit.node_key(number).public();
                Some(Change::NodeExpel(NodeExpel { key, reason: "a decision".to_owned() }))
            }
            _ => {
                let holds = self.holds.clone();
                Some(Change::HoldLift(HoldLift { hold: self.dice.pick(&holds)? }))
            }
        }
    }

    /// A second root comes, and goes again.
    fn root_change(&mut self) -> Option<Change> {
        let did = self.actors[REGULARS - 1].party.did.clone();
        if self.dice.chance(30) {
            return Some(Change::RootRemove(RootRemove { did }));
        }
        let types = vec![accredited(DIPLOMA, &[], Level::Substantial)];
        let expires = (self.kit.now_s + 365 * 24 * 3600) * 1000;
        Some(Change::RootAdd(RootAdd { did, types, depth: 2, expires }))
    }

    fn supervise(&mut self, kind: &str) -> Option<SubmittedTransaction> {
        let reason = "a suspicion".to_owned();
        let now_ms = self.kit.now_s * 1000;
        let (action, effect) = match kind {
            "supervision.hold" => {
                let target = match self.dice.chance(70) {
                    true => Target::Did(self.idle_party(REGULARS)?.did),
                    false => Target::Action("service.register".to_owned()),
                };
                let expires = now_ms + self.dice.between(5_000, 60_000);
                let legal_basis = "section 1".to_owned();
                let action = SupervisionHold { target, reason, legal_basis, expires };
                (Action::SupervisionHold(action), Effect::Held)
            }
            "supervision.release" => {
                let holds = self.holds.clone();
                let hold = self.dice.pick(&holds)?;
                let effect = Effect::Released { hold };
                (Action::SupervisionRelease(SupervisionRelease { hold }), effect)
            }
            "supervision.deny" => {
                let target = match (self.dice.chance(60), self.nodes.first()) {
                    (false, Some(number)) => Target::Node(self.kit.node_key(*number).public()),
                    _ => Target::Did(self.idle_party(REGULARS)?.did),
                };
                let effect = Effect::Denied { target: target.clone() };
                (Action::SupervisionDeny(SupervisionDeny { target, reason }), effect)
            }
            _ => {
                let denials = self.denials.clone();
                let target = self.dice.pick(&denials)?;
                let effect = Effect::Allowed { target: target.clone() };
                (Action::SupervisionAllow(SupervisionAllow { target }), effect)
            }
        };
        let supervisor = self.actors[SUPERVISOR].party.clone();
        Some(self.send(&supervisor, action, effect))
    }

    /// Observers that are registered and never run.
    fn node(&mut self, kind: &str) -> Option<SubmittedTransaction> {
        let operator = self.actors[OPERATOR].party.clone();
        let nodes = self.nodes.clone();
        if kind == "node.register" {
            let number = self.next_node;
            if nodes.len() >= 4 {
                return None;
            }
            self.next_node += 1;
            let node = self.kit.registration(&operator, number, NodeKind::Observer, ("public", "north"));
            return Some(self.send(&operator, Action::NodeRegister(node), Effect::Registered { number }));
        }
        let number = self.dice.pick(&nodes)?;
        let signing = self.kit.node_key(number);
        let key = signing.public();
        match kind {
            "node.update" => {
                self.serial += 1;
                let port = u16::try_from(20_000 + self.serial % 20_000).expect("a port");
                let action = NodeUpdate { key, addresses: vec![([127, 0, 0, 1], port).into()] };
                Some(self.send(&operator, Action::NodeUpdate(action), Effect::Nothing))
            }
            "node.leave" => {
                let effect = Effect::Left { number };
                Some(self.send(&operator, Action::NodeLeave(NodeLeave { key }), effect))
            }
            _ => {
                let view = self.dice.between(2, 1_000);
                let first = self.kit.vote(&signing, VoteKind::Notarize, view, 1);
                let second = self.kit.vote(&signing, VoteKind::Notarize, view, 2);
                let action = Action::NodeEvidence(Box::new(NodeEvidence { key, first, second }));
                let sender = self.idle_party(0)?;
                Some(self.send(&sender, action, Effect::Evidence { number }))
            }
        }
    }

    fn trust(&mut self, kind: &str) -> Option<SubmittedTransaction> {
        let root = self.kit.root.clone();
        match kind {
            "accreditation.grant" => {
                let actor = self.idle(REGULARS)?;
                let previous = self.accredited.get(&actor).map_or(0, |(version, _)| *version);
                let body = self.dice.chance(40);
                let action = AccreditationGrant {
                    subject: self.actors[actor].party.did.clone(),
                    previous,
                    kind: if body { AccreditationKind::Body } else { AccreditationKind::Issuer },
                    types: vec![accredited(MEMBERSHIP, &["member"], Level::Substantial)],
                    depth: u8::from(body),
                    expires: (self.kit.now_s + 30 * 24 * 3600) * 1000,
                    credential: aval_codec::sha256(b"an accreditation credential"),
                };
                let effect = Effect::Accredited { actor, previous };
                Some(self.send(&root, Action::AccreditationGrant(action), effect))
            }
            "accreditation.revoke" => {
                let live: Vec<usize> =
                    self.accredited.iter().filter(|(_, (_, live))| *live).map(|(actor, _)| *actor).collect();
                let actor = self.dice.pick(&live)?;
                let subject = self.actors[actor].party.did.clone();
                let action = AccreditationRevoke { subject, reason: "a decision".to_owned() };
                let effect = Effect::Disaccredited { actor };
                Some(self.send(&root, Action::AccreditationRevoke(action), effect))
            }
            "schema.publish" => {
                self.serial += 1;
                let schema = schema(self.serial);
                let effect = Effect::Published { schema: SchemaHash::of(&schema) };
                let action = SchemaPublish { credential_type: DIPLOMA.to_owned(), schema };
                Some(self.send(&root, Action::SchemaPublish(action), effect))
            }
            _ => {
                let schemas = self.schemas.clone();
                let schema = self.dice.pick(&schemas)?;
                let effect = Effect::Deprecated { schema };
                Some(self.send(&root, Action::SchemaDeprecate(SchemaDeprecate { schema }), effect))
            }
        }
    }

    fn service(&mut self, register: bool) -> Option<SubmittedTransaction> {
        if register {
            let actor = self.idle(0)?;
            self.serial += 1;
            let name = format!("api-{}", self.serial);
            let action = ServiceRegister {
                name: name.clone(),
                kind: "api".to_owned(),
                endpoint: format!("https://{name}.example/"),
                description: None,
            };
            let party = self.actors[actor].party.clone();
            let effect = Effect::Listed { actor, name };
            return Some(self.send(&party, Action::ServiceRegister(action), effect));
        }
        let services = self.services.clone();
        let (actor, name) = self.dice.pick(&services)?;
        let party: Party = self.actors[actor].party.clone();
        let effect = Effect::Removed { actor, name: name.clone() };
        Some(self.send(&party, Action::ServiceRemove(ServiceRemove { name }), effect))
    }
}

fn schema(number: u64) -> Json {
    let text = format!(r#"{{"type":"object","title":"diploma {number}"}}"#);
    json::parse(text.as_bytes(), Limits::bytes(1024)).expect("it is JSON")
}
