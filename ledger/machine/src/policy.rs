//! Who may do what: one fixed table (specs/rules.md, section 2).
//!
//! | action | who | permit |
//! |---|---|---|
//! | `did.create` | a credential with role `member`, presented with it, or an endorser | [`Permit::Membership`] |
//! | `did.update` | a DID with a live grant of role `member`, or an endorser | [`Permit::Membership`] |
//! | `did.rotate`, `did.deactivate` | the DID's control keys alone | [`Permit::Control`] |
//! | `credential.present` | the credential's holder, for a DID on the ledger | [`Permit::Holder`] |
//! | `node.register` | a DID with a live grant as operator or observer | [`Permit::Operator`] |
//! | `node.update`, `node.leave` | the node's operator | [`Permit::Known`] |
//! | `node.evidence` | whoever holds the proof | [`Permit::Known`] |
//! | `registry.create`, `registry.update` | a live issuer | [`Permit::Issuer`] |
//! | `accreditation.grant`, `schema.publish`, `schema.deprecate` | a live root or body | [`Permit::Accreditor`] |
//! | `accreditation.revoke` | the parent, one above it, or the subject | [`Permit::Above`] |
//! | `anchor.create`, `service.register` | a DID with a live grant of role `member` | [`Permit::Membership`] |
//! | `service.remove` | the operator of the entry | [`Permit::Control`] |
//!
//! Control keys sign every action on a DID; the permit comes on top. A DID that has lost every grant can still take a
//! stolen key out, because rotation and deactivation ask for no permit beyond control.

use aval_types::{Action, NodeKind};

/// The role that lets a DID write in its own name.
pub const ROLE_MEMBER: &str = "member";

/// The role that lets a DID vouch for others.
pub const ROLE_ENDORSER: &str = "endorser";

/// What an action needs besides the signatures on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// The subject's grant with [`ROLE_MEMBER`], or an endorser's with [`ROLE_ENDORSER`].
    Membership,
    /// Nothing: the control keys are enough.
    Control,
    /// Possession of the credential: its holder key is one of the DID's authentication keys.
    Holder,
    /// A live accreditation as issuer.
    Issuer,
    /// A live grant with the role of this kind of node.
    Operator(NodeKind),
    /// An active DID on the ledger; the action's own rules ask for the rest.
    Known,
    /// A live accreditation as root or body.
    Accreditor,
    /// A place above the subject, or to be the subject: the action's own rule.
    Above,
}

/// The table.
pub const fn permit(action: &Action) -> Permit {
    match action {
        Action::DidCreate(_) | Action::DidUpdate(_) => Permit::Membership,
        Action::AnchorCreate(_) | Action::ServiceRegister(_) => Permit::Membership,
        Action::DidRotate(_) | Action::DidDeactivate(_) | Action::ServiceRemove(_) => Permit::Control,
        Action::CredentialPresent(_) => Permit::Holder,
        Action::RegistryCreate(_) | Action::RegistryUpdate(_) => Permit::Issuer,
        Action::NodeRegister(action) => Permit::Operator(action.kind),
        Action::NodeUpdate(_) | Action::NodeLeave(_) | Action::NodeEvidence(_) => Permit::Known,
        Action::AccreditationGrant(_) | Action::SchemaPublish(_) | Action::SchemaDeprecate(_) => {
            Permit::Accreditor
        }
        Action::AccreditationRevoke(_) => Permit::Above,
    }
}
