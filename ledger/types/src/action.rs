//! What a transaction does: one action, told apart by `type` (specs/wire.md, "Actions").
//!
//! An action is data and shape; what it means and who may do it is `aval-machine`'s. The rules of DID operations are
//! `aval-did`'s.

mod trust;

use aval_codec::{Json, JsonError, json};
use aval_did::{Create, Deactivate, Did, PublicKey, Rotate, Update};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

use crate::{
    governance::{GovernancePropose, GovernanceVote},
    grant::Grant,
    limits,
    node::{self, NodeKind, Possession},
    registry::{Purpose, RegistryId, Shape, is_list_uri, is_registry_name},
    reject::Reject,
    supervision::{SupervisionAllow, SupervisionDeny, SupervisionHold, SupervisionRelease},
    vote::Vote,
};

pub(crate) use trust::is_text;
pub use trust::{
    AccreditationGrant, AccreditationRevoke, AnchorCreate, SchemaDeprecate, SchemaPublish, ServiceRegister,
    ServiceRemove,
};

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Action {
    /// Brings a DID into being.
    #[serde(rename = "did.create")]
    DidCreate(DidCreate),
    /// Replaces a DID's document.
    #[serde(rename = "did.update")]
    DidUpdate(Update),
    /// Replaces a DID's control keys by the ones it committed to.
    #[serde(rename = "did.rotate")]
    DidRotate(Rotate),
    /// Ends a DID for good.
    #[serde(rename = "did.deactivate")]
    DidDeactivate(Deactivate),
    /// Turns a presented credential into a grant of the sender.
    #[serde(rename = "credential.present")]
    CredentialPresent(CredentialPresent),
    /// Makes a status registry that the sender owns.
    #[serde(rename = "registry.create")]
    RegistryCreate(RegistryCreate),
    /// Changes status entries of a registry that the sender owns.
    #[serde(rename = "registry.update")]
    RegistryUpdate(RegistryUpdate),
    /// Registers a node of the sender.
    #[serde(rename = "node.register")]
    NodeRegister(NodeRegister),
    /// Replaces the addresses of a node of the sender.
    #[serde(rename = "node.update")]
    NodeUpdate(NodeUpdate),
    /// Takes a node of the sender out.
    #[serde(rename = "node.leave")]
    NodeLeave(NodeLeave),
    /// Shows that a validator signed two votes that contradict each other.
    #[serde(rename = "node.evidence")]
    NodeEvidence(Box<NodeEvidence>),
    /// Accredits somebody below the sender.
    #[serde(rename = "accreditation.grant")]
    AccreditationGrant(AccreditationGrant),
    /// Takes an accreditation back.
    #[serde(rename = "accreditation.revoke")]
    AccreditationRevoke(AccreditationRevoke),
    /// Publishes the schema of a credential type.
    #[serde(rename = "schema.publish")]
    SchemaPublish(SchemaPublish),
    /// Takes a schema out of force.
    #[serde(rename = "schema.deprecate")]
    SchemaDeprecate(SchemaDeprecate),
    /// Commits to data that stays elsewhere.
    #[serde(rename = "anchor.create")]
    AnchorCreate(AnchorCreate),
    /// Makes or replaces an entry of the directory.
    #[serde(rename = "service.register")]
    ServiceRegister(ServiceRegister),
    /// Removes an entry of the directory.
    #[serde(rename = "service.remove")]
    ServiceRemove(ServiceRemove),
    /// A governor proposes a change of the rules.
    #[serde(rename = "governance.propose")]
    GovernancePropose(GovernancePropose),
    /// A governor votes on a proposal.
    #[serde(rename = "governance.vote")]
    GovernanceVote(GovernanceVote),
    /// A supervisor stops a DID or a kind of action for a time.
    #[serde(rename = "supervision.hold")]
    SupervisionHold(SupervisionHold),
    /// A supervisor ends a hold.
    #[serde(rename = "supervision.release")]
    SupervisionRelease(SupervisionRelease),
    /// A supervisor shuts out a DID or a node.
    #[serde(rename = "supervision.deny")]
    SupervisionDeny(SupervisionDeny),
    /// A supervisor lets it in again.
    #[serde(rename = "supervision.allow")]
    SupervisionAllow(SupervisionAllow),
}

/// `did.create`: the inception of a DID, and the grant of the credential that is presented with it, if one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DidCreate {
    /// The inception.
    #[serde(flatten)]
    pub operation: Create,
    /// The grant; without one, an endorser signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
}

/// `credential.present`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialPresent {
    /// The grant that the presentation stands for.
    pub grant: Grant,
}

/// `registry.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryCreate {
    /// The name, unique for the owner: `[a-z0-9-]{1,32}`.
    pub registry: String,
    /// What the entries mean.
    pub purpose: Purpose,
    /// Bits of an entry: 1, 2, 4 or 8.
    pub bits: u8,
    /// Entries of each list.
    pub size: u32,
    /// URIs of the lists.
    pub lists: Vec<String>,
}

/// `registry.update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryUpdate {
    /// The registry.
    pub registry: RegistryId,
    /// The changes, all or none of which take effect.
    pub changes: Vec<StatusChange>,
}

/// One status entry's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    /// The list's URI.
    pub list: String,
    /// The entry.
    pub index: u64,
    /// The value it has.
    pub from: u8,
    /// The value it gets.
    pub to: u8,
}

/// `node.register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRegister {
    /// The Ed25519 network key.
    pub key: PublicKey,
    /// What the node is there for.
    pub kind: NodeKind,
    /// What people call it: a label, unique among nodes.
    pub name: String,
    /// Where it listens for other nodes.
    pub addresses: Vec<SocketAddr>,
    /// The sector of its operator: a label.
    pub sector: String,
    /// The region that it stands in: a label.
    pub region: String,
    /// The key's signature over network, operator and key.
    pub proof: Possession,
}

/// `node.update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeUpdate {
    /// The node.
    pub key: PublicKey,
    /// Where it listens from now on.
    pub addresses: Vec<SocketAddr>,
}

/// `node.leave`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeLeave {
    /// The node.
    pub key: PublicKey,
}

/// `node.evidence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEvidence {
    /// The validator that signed both votes.
    pub key: PublicKey,
    /// One vote.
    pub first: Vote,
    /// Another one for the same view.
    pub second: Vote,
}

impl Action {
    /// Every `type` there is.
    pub const KINDS: &'static [&'static str] = &[
        "did.create",
        "did.update",
        "did.rotate",
        "did.deactivate",
        "credential.present",
        "registry.create",
        "registry.update",
        "governance.propose",
        "governance.vote",
        "supervision.hold",
        "supervision.release",
        "supervision.deny",
        "supervision.allow",
        "node.register",
        "node.update",
        "node.leave",
        "node.evidence",
        "accreditation.grant",
        "accreditation.revoke",
        "schema.publish",
        "schema.deprecate",
        "anchor.create",
        "service.register",
        "service.remove",
    ];

    /// Reads an action from strictly read JSON. Shapes are checked by [`Self::validate`].
    pub fn from_json(value: Json) -> Result<Self, Reject> {
        let (kind, members) = value.split_tag("type").map_err(malformed)?;
        match kind.as_str() {
            "did.create" => DidCreate::from_json(members).map(Self::DidCreate),
            "did.update" => json::from_json(members).map(Self::DidUpdate),
            "did.rotate" => json::from_json(members).map(Self::DidRotate),
            "did.deactivate" => json::from_json(members).map(Self::DidDeactivate),
            "credential.present" => json::from_json(members).map(Self::CredentialPresent),
            "registry.create" => json::from_json(members).map(Self::RegistryCreate),
            "registry.update" => json::from_json(members).map(Self::RegistryUpdate),
            "node.register" => json::from_json(members).map(Self::NodeRegister),
            "node.update" => json::from_json(members).map(Self::NodeUpdate),
            "node.leave" => json::from_json(members).map(Self::NodeLeave),
            "node.evidence" => json::from_json(members).map(Box::new).map(Self::NodeEvidence),
            "accreditation.grant" => json::from_json(members).map(Self::AccreditationGrant),
            "accreditation.revoke" => json::from_json(members).map(Self::AccreditationRevoke),
            "schema.publish" => json::from_json(members).map(Self::SchemaPublish),
            "schema.deprecate" => json::from_json(members).map(Self::SchemaDeprecate),
            "anchor.create" => json::from_json(members).map(Self::AnchorCreate),
            "service.register" => json::from_json(members).map(Self::ServiceRegister),
            "service.remove" => json::from_json(members).map(Self::ServiceRemove),
            "governance.propose" => GovernancePropose::from_json(members).map(Self::GovernancePropose),
            "governance.vote" => json::from_json(members).map(Self::GovernanceVote),
            "supervision.hold" => json::from_json(members).map(Self::SupervisionHold),
            "supervision.release" => json::from_json(members).map(Self::SupervisionRelease),
            "supervision.deny" => json::from_json(members).map(Self::SupervisionDeny),
            "supervision.allow" => json::from_json(members).map(Self::SupervisionAllow),
            _ => return Err(Reject::TransactionMalformed("there is no action of this type".into())),
        }
        .map_err(malformed)
    }

    /// The `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::DidCreate(_) => "did.create",
            Self::DidUpdate(_) => "did.update",
            Self::DidRotate(_) => "did.rotate",
            Self::DidDeactivate(_) => "did.deactivate",
            Self::CredentialPresent(_) => "credential.present",
            Self::RegistryCreate(_) => "registry.create",
            Self::RegistryUpdate(_) => "registry.update",
            Self::NodeRegister(_) => "node.register",
            Self::NodeUpdate(_) => "node.update",
            Self::NodeLeave(_) => "node.leave",
            Self::NodeEvidence(_) => "node.evidence",
            Self::AccreditationGrant(_) => "accreditation.grant",
            Self::AccreditationRevoke(_) => "accreditation.revoke",
            Self::SchemaPublish(_) => "schema.publish",
            Self::SchemaDeprecate(_) => "schema.deprecate",
            Self::AnchorCreate(_) => "anchor.create",
            Self::ServiceRegister(_) => "service.register",
            Self::ServiceRemove(_) => "service.remove",
            Self::GovernancePropose(_) => "governance.propose",
            Self::GovernanceVote(_) => "governance.vote",
            Self::SupervisionHold(_) => "supervision.hold",
            Self::SupervisionRelease(_) => "supervision.release",
            Self::SupervisionDeny(_) => "supervision.deny",
            Self::SupervisionAllow(_) => "supervision.allow",
        }
    }

    /// The grant that the action makes, if it makes one.
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::DidCreate(action) => action.grant.as_ref(),
            Self::CredentialPresent(action) => Some(&action.grant),
            _ => None,
        }
    }

    /// The DID whose control keys sign the action. Any other action is signed by its sender, with an authentication
    /// key.
    pub const fn controlled(&self) -> Option<&Did> {
        match self {
            Self::DidCreate(action) => Some(&action.operation.did),
            Self::DidUpdate(action) => Some(&action.did),
            Self::DidRotate(action) => Some(&action.did),
            Self::DidDeactivate(action) => Some(&action.did),
            _ => None,
        }
    }

    /// The DIDs that the action names.
    pub fn dids(&self) -> impl Iterator<Item = &Did> {
        let of_action = match self {
            Self::DidCreate(action) => Some(&action.operation.did),
            Self::DidUpdate(action) => Some(&action.did),
            Self::DidRotate(action) => Some(&action.did),
            Self::DidDeactivate(action) => Some(&action.did),
            Self::RegistryUpdate(action) => Some(action.registry.owner()),
            Self::AccreditationGrant(action) => Some(&action.subject),
            Self::AccreditationRevoke(action) => Some(&action.subject),
            Self::SupervisionHold(action) => action.target.did(),
            Self::SupervisionDeny(action) => action.target.did(),
            Self::SupervisionAllow(action) => action.target.did(),
            Self::CredentialPresent(_)
            | Self::RegistryCreate(_)
            | Self::GovernancePropose(_)
            | Self::GovernanceVote(_)
            | Self::SupervisionRelease(_)
            | Self::NodeRegister(_)
            | Self::NodeUpdate(_)
            | Self::NodeLeave(_)
            | Self::NodeEvidence(_)
            | Self::SchemaPublish(_)
            | Self::SchemaDeprecate(_)
            | Self::AnchorCreate(_)
            | Self::ServiceRegister(_)
            | Self::ServiceRemove(_) => None,
        };
        let of_change = match self {
            Self::GovernancePropose(action) => action.change.dids(),
            _ => Vec::new(),
        };
        let of_grant =
            self.grant().map(|grant| [&grant.subject, &grant.issuer, grant.status.registry.owner()]);
        of_action.into_iter().chain(of_grant.into_iter().flatten()).chain(of_change)
    }

    /// Checks shapes and bounds that are this crate's. Those of DID operations are checked when they are applied.
    pub fn validate(&self) -> Result<(), Reject> {
        match self {
            Self::RegistryCreate(action) => action.validate(),
            Self::RegistryUpdate(action) => action.validate(),
            Self::NodeRegister(action) => action.validate(),
            Self::NodeUpdate(action) => node::validate_addresses(None, &action.addresses),
            Self::AccreditationGrant(action) => action.validate(),
            Self::AccreditationRevoke(action) => action.validate(),
            Self::SchemaPublish(action) => action.validate(),
            Self::AnchorCreate(action) => action.validate(),
            Self::ServiceRegister(action) => action.validate(),
            Self::ServiceRemove(action) => action.validate(),
            Self::GovernancePropose(action) => action.validate(),
            Self::SupervisionHold(action) => action.validate(),
            Self::SupervisionDeny(action) => action.validate(),
            Self::SupervisionAllow(action) => action.validate(),
            _ => self.grant().map_or(Ok(()), Grant::validate),
        }
    }
}

impl NodeRegister {
    fn validate(&self) -> Result<(), Reject> {
        if node::key_bytes(&self.key).is_none() {
            return Err(Reject::NodeInvalid("the key is not an Ed25519 key".into()));
        }
        node::validate_label(&self.name, "the name is not a label")?;
        node::validate_label(&self.sector, "the sector is not a label")?;
        node::validate_label(&self.region, "the region is not a label")?;
        node::validate_addresses(Some(self.kind), &self.addresses)
    }
}

impl DidCreate {
    fn from_json(members: Json) -> Result<Self, JsonError> {
        let mut members = members.into_object().unwrap_or_default();
        let grant = members.remove("grant").map(json::from_json).transpose()?;
        Ok(Self { operation: json::from_json(Json::Object(members))?, grant })
    }
}

impl RegistryCreate {
    fn validate(&self) -> Result<(), Reject> {
        if !is_registry_name(&self.registry) {
            return Err(Reject::RegistryInvalid("the name is not 1 to 32 of a-z, 0-9 and -".into()));
        }
        Shape { purpose: self.purpose, bits: self.bits, size: self.size, lists: &self.lists }.validate()
    }
}

impl RegistryUpdate {
    fn validate(&self) -> Result<(), Reject> {
        if !(1..=limits::REGISTRY_CHANGES_MAX).contains(&self.changes.len()) {
            return Err(Reject::RegistryInvalid("an update has 1 to 256 changes".into()));
        }
        if !self.changes.iter().all(|change| is_list_uri(&change.list)) {
            return Err(Reject::RegistryInvalid("a list is not an http(s) URI".into()));
        }
        if self.changes.iter().any(|change| change.from == change.to) {
            return Err(Reject::RegistryInvalid("a change changes nothing".into()));
        }
        if self.changes.iter().any(|change| change.index >= u64::from(limits::REGISTRY_SIZE_MAX)) {
            return Err(Reject::RegistryOutOfRange);
        }
        let mut entries: Vec<(&str, u64)> =
            self.changes.iter().map(|change| (change.list.as_str(), change.index)).collect();
        entries.sort_unstable();
        entries.dedup();
        if entries.len() != self.changes.len() {
            return Err(Reject::RegistryInvalid("an entry is changed twice".into()));
        }
        Ok(())
    }
}

fn malformed(error: JsonError) -> Reject {
    Reject::TransactionMalformed(error.to_string().into())
}
