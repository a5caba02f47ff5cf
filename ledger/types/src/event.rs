//! What happened: the changes that a transaction made, and those that a block made on its own.
//!
//! An event names identifiers, never a claim and never a reason that somebody wrote. Its members are written
//! in the order of their declaration; the bytes are part of receipts.

use aval_codec::Hash;
use aval_did::{Did, PublicKey, VersionId};
use serde::{Deserialize, Serialize};

use crate::{
    accreditation::AccreditationKind, anchor::Commitment, grant::GrantId, node::NodeKind,
    registry::RegistryId, reject::Reject, schema::SchemaHash, supervision::Target,
    transaction::TransactionId,
};

/// A change that a transaction or a block made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Event {
    /// A DID came into being.
    #[serde(rename = "did.created", rename_all = "camelCase")]
    DidCreated {
        /// The DID.
        did: Did,
        /// Its first version.
        version_id: VersionId,
    },
    /// A DID's document was replaced.
    #[serde(rename = "did.updated", rename_all = "camelCase")]
    DidUpdated {
        /// The DID.
        did: Did,
        /// Its new version.
        version_id: VersionId,
    },
    /// A DID's control keys were rotated.
    #[serde(rename = "did.rotated", rename_all = "camelCase")]
    DidRotated {
        /// The DID.
        did: Did,
        /// Its new version.
        version_id: VersionId,
    },
    /// A DID was deactivated.
    #[serde(rename = "did.deactivated", rename_all = "camelCase")]
    DidDeactivated {
        /// The DID.
        did: Did,
        /// Its last version.
        version_id: VersionId,
    },
    /// A credential made a grant.
    #[serde(rename = "grant.created", rename_all = "camelCase")]
    GrantCreated {
        /// The grant.
        grant: GrantId,
        /// Who holds it.
        subject: Did,
        /// Who issued the credential.
        issuer: Did,
        /// The credential's type.
        credential_type: String,
    },
    /// A status registry came into being.
    #[serde(rename = "registry.created")]
    RegistryCreated {
        /// The registry.
        registry: RegistryId,
    },
    /// Status entries changed.
    #[serde(rename = "registry.updated")]
    RegistryUpdated {
        /// The registry.
        registry: RegistryId,
        /// How many entries.
        changed: u32,
    },
    /// A node was registered.
    #[serde(rename = "node.registered")]
    NodeRegistered {
        /// Its key.
        node: PublicKey,
        /// What it is there for.
        kind: NodeKind,
        /// Who operates it.
        operator: Did,
    },
    /// A node has other addresses.
    #[serde(rename = "node.updated")]
    NodeUpdated {
        /// Its key.
        node: PublicKey,
        /// Who operates it.
        operator: Did,
    },
    /// The operator of a validator in force asked to take it out.
    #[serde(rename = "node.leaving")]
    NodeLeaving {
        /// Its key.
        node: PublicKey,
        /// Who operates it.
        operator: Did,
    },
    /// A node is not registered any more.
    #[serde(rename = "node.left")]
    NodeLeft {
        /// Its key.
        node: PublicKey,
        /// Who operated it.
        operator: Did,
    },
    /// A validator of genesis stands on a credential from now on.
    #[serde(rename = "node.accredited")]
    NodeAccredited {
        /// Its key.
        node: PublicKey,
        /// Who operates it.
        operator: Did,
    },
    /// A validator was shown to have signed two votes that contradict each other.
    #[serde(rename = "node.fault")]
    NodeFault {
        /// Its key.
        node: PublicKey,
        /// Who operates it.
        operator: Did,
        /// The proof: `evidence/<id>`.
        evidence: Hash,
    },
    /// The governors have voted a node out.
    #[serde(rename = "node.expelled")]
    NodeExpelled {
        /// Its key.
        node: PublicKey,
        /// Who operates it.
        operator: Did,
    },
    /// A validator in force has to leave the set.
    #[serde(rename = "validator.leaving")]
    ValidatorLeaving {
        /// Its key.
        node: PublicKey,
        /// Why.
        code: Reject,
    },
    /// A validator in force need not leave any more.
    #[serde(rename = "validator.restored")]
    ValidatorRestored {
        /// Its key.
        node: PublicKey,
    },
    /// A validator was seen too seldom in an epoch.
    #[serde(rename = "validator.suspended")]
    ValidatorSuspended {
        /// Its key.
        node: PublicKey,
        /// Until when, milliseconds since 1970.
        until: u64,
        /// In how many windows it was seen.
        present: u64,
        /// Of how many.
        windows: u64,
    },
    /// Another set of validators certifies blocks from the next one on.
    #[serde(rename = "validators.changed")]
    ValidatorsChanged {
        /// The epoch that begins.
        epoch: u64,
        /// Who joins.
        joined: Vec<PublicKey>,
        /// Who leaves.
        left: Vec<PublicKey>,
    },
    /// Somebody was accredited, or its accreditation was renewed or changed.
    #[serde(rename = "accreditation.granted", rename_all = "camelCase")]
    AccreditationGranted {
        /// Who.
        subject: Did,
        /// For what.
        kind: AccreditationKind,
        /// By whom; left out where governance made a root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Did>,
        /// The version of the record.
        version: u32,
    },
    /// An accreditation was taken back or given up.
    #[serde(rename = "accreditation.revoked", rename_all = "camelCase")]
    AccreditationRevoked {
        /// Whose.
        subject: Did,
        /// By whom; left out where governance removed a root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Did>,
        /// The version of the record.
        version: u32,
    },
    /// A schema came into force.
    #[serde(rename = "schema.published", rename_all = "camelCase")]
    SchemaPublished {
        /// The schema.
        schema: SchemaHash,
        /// The credential type.
        credential_type: String,
        /// Who published it.
        publisher: Did,
    },
    /// A schema went out of force.
    #[serde(rename = "schema.deprecated")]
    SchemaDeprecated {
        /// The schema.
        schema: SchemaHash,
    },
    /// Somebody committed to data.
    #[serde(rename = "anchor.created")]
    AnchorCreated {
        /// The commitment.
        commitment: Commitment,
        /// Who.
        owner: Did,
        /// What kind of data.
        kind: String,
    },
    /// An entry of the directory was made or replaced.
    #[serde(rename = "service.registered")]
    ServiceRegistered {
        /// Who runs it.
        operator: Did,
        /// Its name.
        name: String,
        /// What kind of service.
        kind: String,
    },
    /// An entry of the directory was removed.
    #[serde(rename = "service.removed")]
    ServiceRemoved {
        /// Who ran it.
        operator: Did,
        /// Its name.
        name: String,
    },
    /// A governor proposed a change.
    #[serde(rename = "governance.proposed", rename_all = "camelCase")]
    GovernanceProposed {
        /// The proposal.
        proposal: TransactionId,
        /// Who made it.
        proposer: Did,
        /// The kind of change.
        change: String,
        /// The height at which it is executed.
        execute_at: u64,
    },
    /// A governor voted.
    #[serde(rename = "governance.voted")]
    GovernanceVoted {
        /// The proposal.
        proposal: TransactionId,
        /// Who voted.
        governor: Did,
        /// For or against.
        approve: bool,
    },
    /// An approved change was made.
    #[serde(rename = "governance.executed")]
    GovernanceExecuted {
        /// The proposal.
        proposal: TransactionId,
        /// The kind of change.
        change: String,
        /// Approvals.
        approvals: u32,
        /// Approvals that it took.
        threshold: u32,
    },
    /// Too few governors approved.
    #[serde(rename = "governance.rejected")]
    GovernanceRejected {
        /// The proposal.
        proposal: TransactionId,
        /// The kind of change.
        change: String,
        /// Approvals.
        approvals: u32,
        /// Approvals that it took.
        threshold: u32,
    },
    /// An approved change was no longer possible; nothing changed.
    #[serde(rename = "governance.failed")]
    GovernanceFailed {
        /// The proposal.
        proposal: TransactionId,
        /// The kind of change.
        change: String,
        /// Why.
        code: Reject,
    },
    /// Another policy is in force.
    #[serde(rename = "policy.changed")]
    PolicyChanged {
        /// SHA-256 of its text.
        hash: Hash,
    },
    /// From a height on, another version of the protocol will be in force.
    #[serde(rename = "upgrade.scheduled")]
    UpgradeScheduled {
        /// The version.
        version: u32,
        /// The first block under it.
        height: u64,
    },
    /// From this block on, another version of the protocol is in force.
    #[serde(rename = "upgrade.activated")]
    UpgradeActivated {
        /// The version.
        version: u32,
    },
    /// A DID or a kind of action is on hold.
    #[serde(rename = "supervision.held")]
    SupervisionHeld {
        /// The hold.
        hold: TransactionId,
        /// What is held.
        target: Target,
        /// The supervisor.
        author: Did,
        /// When it ends, milliseconds since 1970.
        expires: u64,
    },
    /// A hold ended before it expired.
    #[serde(rename = "supervision.released")]
    SupervisionReleased {
        /// The hold.
        hold: TransactionId,
        /// What was held.
        target: Target,
        /// The supervisor; left out if governance did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Did>,
    },
    /// A DID or a node is shut out.
    #[serde(rename = "supervision.denied")]
    SupervisionDenied {
        /// Who.
        target: Target,
        /// The supervisor; left out if governance did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Did>,
    },
    /// It is let in again.
    #[serde(rename = "supervision.allowed")]
    SupervisionAllowed {
        /// Who.
        target: Target,
        /// The supervisor; left out if governance did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Did>,
    },
}
