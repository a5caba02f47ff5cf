//! Why a transaction is refused, or why an admitted one was overtaken: one enum with codes that never change their
//! meaning (specs/errors.md, generated from here).
//!
//! The same value is used by decoding, `check`, `authorize`, receipts and the REST interface, so a client sees one
//! vocabulary wherever the refusal arose. A detail is for a developer's eyes: it is not part of the value (two rejects
//! are equal if their codes are), not part of a receipt, and never repeats a value that somebody sent.

use std::{borrow::Cow, fmt};

use aval_did::DidError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! rejects {
    ($(
        $name:ident $(($detail:ident))? = $code:literal, $status:literal, $title:literal, $help:literal;
    )*) => {
        /// A refusal with a stable code. See the module's documentation and specs/errors.md.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum Reject {
            $(
                #[doc = concat!("`", $code, "`: ", $title, ". ", $help)]
                $name $((rejects!(@detail $detail)))?,
            )*
        }

        impl Reject {
            /// The stable code, for example `did.stale_version`.
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$name { .. } => $code,)* }
            }

            /// One line that says what is wrong, the same for every occurrence.
            pub const fn title(&self) -> &'static str {
                match self { $(Self::$name { .. } => $title,)* }
            }

            /// What the sender can do about it.
            pub const fn help(&self) -> &'static str {
                match self { $(Self::$name { .. } => $help,)* }
            }

            /// The HTTP status that a REST interface answers with.
            pub const fn http_status(&self) -> u16 {
                match self { $(Self::$name { .. } => $status,)* }
            }

            /// The reject that has this code, without a detail.
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(rejects!(@value $name $($detail)?)),)*
                    _ => None,
                }
            }

            /// Every reject there is, in the order of specs/errors.md.
            pub const ALL: &'static [Self] = &[$(rejects!(@value $name $($detail)?)),*];
        }
    };
    (@detail $detail:ident) => { Cow<'static, str> };
    (@value $name:ident) => { Self::$name };
    (@value $name:ident $detail:ident) => { Self::$name(Cow::Borrowed("")) };
}

rejects! {
    TransactionMalformed(detail) = "transaction.malformed", 400, "The transaction cannot be read",
        "Build it as specs/wire.md says; the detail names the first thing that does not fit.";
    TransactionOversized = "transaction.oversized", 413, "The transaction is larger than allowed",
        "Keep the payload, each header and the whole within the limits of specs/wire.md.";
    TransactionOneAction = "transaction.one_action", 400, "A transaction carries exactly one action",
        "Send one transaction per action.";
    TransactionSigners(detail) = "transaction.signers", 400, "The signers do not fit the action",
        "List sender, controllers and endorser in this order, as the action wants them.";
    TransactionSignature = "transaction.signature", 401, "A signature does not verify",
        "Sign the exact bytes of protected header and payload with the key that the kid names.";
    TransactionAlgorithm = "transaction.algorithm", 400, "The signature algorithm is not allowed for this key",
        "Use EdDSA with an Ed25519 key or ES256 with a P-256 key.";
    TransactionNetwork = "transaction.network", 400, "The transaction is for another network",
        "Name the network as GET /v1/status gives it.";
    TransactionWindow = "transaction.window", 400, "The validity window is wrong",
        "Let exp be 1 to 600 seconds after nbf.";
    TransactionExpired = "transaction.expired", 422, "The validity window is over",
        "Sign it again with a new window.";
    TransactionNotYetValid = "transaction.not_yet_valid", 422, "The validity window has not begun",
        "Send it again later, or check your clock.";
    TransactionDuplicate = "transaction.duplicate", 409, "This transaction is on the ledger already",
        "Ask for its receipt; to repeat the action, sign a payload with a new jti.";

    PresentationMissing = "presentation.missing", 400, "The action needs a presentation",
        "Name the presentation's sd_hash in the payload and send the presentation beside the transaction.";
    PresentationUnexpected = "presentation.unexpected", 400, "The action takes no presentation",
        "Leave the presentation out.";
    PresentationMalformed(detail) = "presentation.malformed", 400, "The presentation cannot be read",
        "Present an SD-JWT (vc+sd-jwt) with key binding.";
    PresentationMismatch(detail) = "presentation.mismatch", 422, "The presentation is not what the payload says",
        "Let the payload's presentation be the sd_hash, and the grant repeat the credential's claims exactly.";
    PresentationSignature = "presentation.signature", 401, "The issuer's signature does not verify",
        "Ask the issuer for a new credential if its key has changed.";
    PresentationKeyBinding(detail) = "presentation.key_binding", 401, "The key binding does not verify",
        "Sign the key-binding JWT with the holder key, for this network.";
    PresentationReplayed = "presentation.replayed", 401, "The presentation was made for another transaction",
        "Let the key binding's nonce be this transaction's id.";
    PresentationHolderKey = "presentation.holder_key", 403, "The holder's key does not belong to the DID",
        "List the credential's holder key among the DID's authentication methods.";
    PresentationOversized = "presentation.oversized", 413, "The presentation is larger than allowed",
        "Disclose fewer claims.";
    PresentationNotYetValid = "presentation.not_yet_valid", 422, "The credential is not valid yet",
        "Wait until the credential's validFrom.";

    CredentialIssuerUnaccredited = "credential.issuer_unaccredited", 403, "The issuer is not accredited in this network",
        "Get the credential from an accredited issuer.";
    CredentialExpired = "credential.expired", 403, "The credential has expired",
        "Renew it at its issuer.";
    CredentialRevoked = "credential.revoked", 403, "The credential is revoked",
        "Ask its issuer.";
    CredentialSuspended = "credential.suspended", 403, "The credential is suspended",
        "Ask its issuer.";
    CredentialTypeUnaccredited = "credential.type_unaccredited", 403, "The issuer is not accredited for this type",
        "Get the credential from an issuer that is accredited for the type.";
    CredentialRoleUnaccredited = "credential.role_unaccredited", 403, "The issuer may not give this role",
        "Get the role from an issuer that is accredited for it.";
    CredentialRegistryUnknown = "credential.registry_unknown", 403, "The credential's status list is not registered",
        "The issuer registers the list with registry.create first.";
    CredentialRegistryMismatch = "credential.registry_mismatch", 403, "The status registry is not of this issuer or purpose",
        "The status entry must lie in a revocation registry that the credential's issuer owns.";
    CredentialIndexOutOfRange = "credential.index_out_of_range", 403, "The status index lies outside of the list",
        "Ask the issuer for a credential with a proper status entry.";

    GrantRequired = "grant.required", 403, "The DID has no live grant",
        "Present a membership credential first.";
    GrantExists = "grant.exists", 409, "The credential has made a grant already",
        "One credential makes one grant; use the DID that it belongs to.";
    GrantExpired = "grant.expired", 403, "The grant has expired",
        "Present a renewed credential.";
    GrantRevoked = "grant.revoked", 403, "The grant's credential is revoked",
        "Ask its issuer.";
    GrantSuspended = "grant.suspended", 403, "The grant's credential is suspended",
        "Ask its issuer.";
    GrantRole = "grant.role", 403, "No live grant has the role this needs",
        "Present a credential that has the role.";
    GrantIssuerUnaccredited = "grant.issuer_unaccredited", 403, "The grant's issuer is no longer accredited",
        "Present a credential of an accredited issuer.";
    GrantFull = "grant.full", 422, "The DID has as many grants as it may have",
        "Use another DID for further credentials.";

    DidExists = "did.exists", 409, "The DID is on the ledger already",
        "Update it instead, or make one with other keys.";
    DidNotFound = "did.not_found", 404, "The DID is not on the ledger",
        "Create it first.";
    DidInvalid(detail) = "did.invalid", 400, "The DID does not fit its inception",
        "Derive the id from control and document as specs/did-method.md says.";
    DidNetwork = "did.network", 400, "The DID is of another network",
        "Use a DID of the transaction's network.";
    DidStaleVersion = "did.stale_version", 409, "The DID has moved on from the version named",
        "Resolve it again and build on its newest version.";
    DidKeyNotInDocument = "did.key_not_in_document", 403, "The signing key is not an authentication method of its DID",
        "Sign with a key that the DID's document lists under authentication.";
    DidControl(detail) = "did.control", 403, "Control keys or signatures are not as the DID's control asks",
        "Sign with as many of the DID's control keys as its threshold says; the detail tells more.";
    DidDeactivated = "did.deactivated", 403, "The DID is deactivated",
        "Deactivation is final; use another DID.";
    DidAllowance = "did.allowance", 429, "The DID's allowance for control operations is used up",
        "Try again a day later.";
    DidDocument(detail) = "did.document", 400, "The document is not allowed",
        "Keep to the shapes and bounds of specs/did-method.md.";

    EndorserScope = "endorser.scope", 403, "An endorser cannot sign this action",
        "An endorser signs did.create or did.update only.";
    EndorserGrant = "endorser.grant", 403, "The endorser has no live grant with the endorser role",
        "Ask a member that may endorse.";
    EndorserSelf = "endorser.self", 403, "A DID cannot endorse itself",
        "Ask another member, or use your own grant.";

    RegistryExists = "registry.exists", 409, "The registry exists already",
        "Choose another name.";
    RegistryNotFound = "registry.not_found", 404, "There is no such registry",
        "Create it first.";
    RegistryOwner = "registry.owner", 403, "The sender does not own the registry",
        "Only the owner changes a registry.";
    RegistryInvalid(detail) = "registry.invalid", 400, "The registry's definition or change is not allowed",
        "Keep to the shapes and bounds of specs/wire.md.";
    RegistryUriTaken = "registry.uri_taken", 409, "A status list with this URI is registered already",
        "List URIs are unique in the network.";
    RegistryStale = "registry.stale", 409, "A status entry no longer has the value named",
        "Read the entry again and name its newest value.";
    RegistryMonotonic = "registry.monotonic", 422, "A revocation cannot be taken back",
        "Issue a new credential, or use a suspension registry.";
    RegistryOutOfRange = "registry.out_of_range", 422, "The entry lies outside of the registry",
        "Keep index and value within the registry's size and bits.";

    NodeInvalid(detail) = "node.invalid", 400, "What is said about the node is not allowed",
        "Keep to the shapes and bounds of specs/wire.md.";
    NodePossession = "node.possession", 401, "The node's key has not signed for this operator",
        "Sign network, operator and key with the node's own key, as specs/wire.md says.";
    NodeExists = "node.exists", 409, "The node's key, name or an address is registered already",
        "Use another key, name and addresses, or update the node that has them.";
    NodeNotFound = "node.not_found", 404, "No node is registered with this key",
        "Register it first.";
    NodeOperator = "node.operator", 403, "The sender does not operate the node",
        "Only its operator changes a node.";
    NodeFull = "node.full", 429, "As many nodes are registered as can be",
        "Wait until one leaves.";
    NodeBarred = "node.barred", 403, "The operator or the key is barred because of a fault",
        "Wait until the suspension of the operator's node is over, and use a key that was never at fault.";
    NodeDenied = "node.denied", 403, "The node or its operator is on the deny list",
        "Ask those who govern the network.";
    NodeSuspended = "node.suspended", 403, "The node is suspended from validating",
        "Read its record: it says why and until when.";
    NodeLeft = "node.left", 409, "The operator has taken the node out",
        "Register a node with another key.";
    NodeEvidence(detail) = "node.evidence", 422, "The votes do not prove a fault",
        "Show two votes of one key for one view that contradict each other; the detail tells more.";
    NodeEvidenceKnown = "node.evidence_known", 409, "The fault of this node is on the record already",
        "Nothing is left to do.";

    AccreditationRequired = "accreditation.required", 403, "The sender has no live accreditation to accredit others",
        "Ask a root or a body above you to accredit you as a body.";
    AccreditationInvalid(detail) = "accreditation.invalid", 400, "The accreditation is not allowed in this form",
        "Keep to the shapes and bounds of specs/wire.md.";
    AccreditationRoot = "accreditation.root", 403, "Roots are made and unmade by governance alone",
        "Propose it to the governors.";
    AccreditationSelf = "accreditation.self", 403, "Nobody accredits itself",
        "Ask who accredited you.";
    AccreditationType = "accreditation.type", 403, "The sender's chain is not accredited for this type",
        "Accredit only for types that every link above you has.";
    AccreditationRole = "accreditation.role", 403, "The sender's chain is not accredited for this role",
        "Accredit only for roles that every link above you has for the type.";
    AccreditationLevel = "accreditation.level", 403, "The level of assurance is above that of the sender's chain",
        "Accredit for a level that no link above you falls short of.";
    AccreditationDepth = "accreditation.depth", 403, "The accreditation stands deeper than the sender's allows",
        "Give it a depth below your own; with depth 0 nobody stands below you.";
    AccreditationExpiry = "accreditation.expiry", 422, "The accreditation ends in the past or after one above it",
        "Let it end later than now and no later than every link above it.";
    AccreditationExists = "accreditation.exists", 409, "The subject is accredited by another",
        "A DID has one accreditation: let its parent revoke it first, or use another DID.";
    AccreditationStale = "accreditation.stale", 409, "The accreditation has moved on from the version named",
        "Read the record again and name its version, 0 if there is none.";
    AccreditationNotFound = "accreditation.not_found", 404, "The subject has no accreditation",
        "Name one that is accredited.";
    AccreditationRevoked = "accreditation.revoked", 409, "The accreditation is revoked already",
        "There is nothing left to revoke.";
    AccreditationNotAbove = "accreditation.not_above", 403, "The sender does not stand above the accreditation",
        "Only the parent or one above it revokes; what one above revoked, only that one or one above it grants again.";

    SchemaInvalid(detail) = "schema.invalid", 400, "The schema is not allowed",
        "Keep to the keywords and bounds of specs/trust.md; the detail names the first thing that does not fit.";
    SchemaPublisher = "schema.publisher", 403, "The sender may not speak for this credential type",
        "A live root or body publishes for types that its chain is accredited for, and deprecates what it or one below it published.";
    SchemaExists = "schema.exists", 409, "This schema is on the ledger already",
        "A schema is published once; a change of its $comment makes another one.";
    SchemaFull = "schema.full", 422, "The publisher has as many schemas in force for the type as it may have",
        "Deprecate one first.";
    SchemaNotFound = "schema.not_found", 404, "There is no such schema",
        "Publish it first.";
    SchemaDeprecated = "schema.deprecated", 422, "The schema is deprecated",
        "Get a credential that names a schema in force.";
    SchemaRequired = "schema.required", 422, "The credential names no schema that is in force for its type",
        "Get a credential whose credentialSchema names a schema that its issuer's accrediting bodies have in force.";
    SchemaMismatch(detail) = "schema.mismatch", 422, "The credential does not fit its schema",
        "Disclose what the schema wants, or get a credential that fits it.";

    AnchorInvalid(detail) = "anchor.invalid", 400, "The anchor is not allowed in this form",
        "Keep to the shapes and bounds of specs/wire.md.";
    AnchorExists = "anchor.exists", 409, "This commitment is on the ledger already",
        "It is proven already; take a fresh salt to prove it anew.";

    ServiceInvalid(detail) = "service.invalid", 400, "The service is not allowed in this form",
        "Keep to the shapes and bounds of specs/wire.md.";
    ServiceNotFound = "service.not_found", 404, "The sender has no service of this name",
        "Name one that is in the directory.";

    PolicyDenied = "policy.denied", 403, "The policy in force does not permit this",
        "`avald policy explain` and the answer's member `policy` name the policies and what they ask for.";
    PolicyError = "policy.error", 403, "The policy in force could not be evaluated",
        "A policy that errs denies; tell the governors which transaction it was.";

    QuotaExceeded = "quota.exceeded", 429, "The grant is used up for the present window",
        "Send less, or later; parameters.quota says how much a grant may be used.";

    GovernanceGovernor = "governance.governor", 403, "The sender is not a governor",
        "Governors are listed under the state key governors.";
    GovernanceInvalid(detail) = "governance.invalid", 422, "The change that is proposed is not possible",
        "The detail says what does not fit the rules or the state.";
    GovernanceSelfLock(detail) = "governance.self_lock", 422, "The change would lock the network out of its own government",
        "Governors must always be able to propose and vote, and everybody to rotate and deactivate.";
    GovernanceExecuteAt = "governance.execute_at", 422, "The proposal's height is too near or too far",
        "Leave at least parameters.governance.noticeBlocks between the block that takes it and its height.";
    GovernanceTooMany = "governance.too_many", 429, "The governor has too many open proposals",
        "Wait until one of them is decided.";
    GovernanceAgendaFull = "governance.agenda_full", 409, "Too many proposals are executed at this height",
        "Name another height.";
    GovernanceNotFound = "governance.not_found", 404, "There is no such proposal",
        "A proposal has the id of the transaction that made it.";
    GovernanceClosed = "governance.closed", 409, "The vote on this proposal is over",
        "Make a new proposal.";
    GovernanceVoted = "governance.voted", 409, "The governor has voted on this proposal",
        "A vote cannot be taken back.";

    SupervisionHeld = "supervision.held", 403, "A supervisor has put this on hold",
        "The record under hold/<id> says why, by which law, and until when.";
    SupervisionScope = "supervision.scope", 403, "The supervisor's credential does not cover this",
        "A role supervisor covers everything, a role supervisor-<family> the actions of that family.";
    SupervisionInvalid(detail) = "supervision.invalid", 400, "The measure is not allowed",
        "Keep to the shapes and bounds of specs/rules.md.";
    SupervisionExpiry = "supervision.expiry", 422, "The hold's end is too near or too far",
        "Let it end after the block's time and within 366 days.";
    SupervisionNotFound = "supervision.not_found", 404, "There is no such hold or denial",
        "A hold has the id of the transaction that placed it.";
    SupervisionReleased = "supervision.released", 409, "The hold has ended",
        "Nothing has to be done.";
    SupervisionExists = "supervision.exists", 409, "The target is denied already",
        "Nothing has to be done.";
    SupervisionGoverned = "supervision.governed", 403, "Governance has denied the target",
        "Only governance can let it in again.";
    SupervisionFull = "supervision.full", 429, "Too many holds are in force",
        "Release holds that are not needed any more, or deny instead.";

    DenyDid = "deny.did", 403, "The DID is shut out of this network",
        "The record under deny/did/<did> says why.";
}

impl Reject {
    /// What exactly did not fit, or nothing. For people only.
    pub fn detail(&self) -> &str {
        match self {
            Self::TransactionMalformed(detail)
            | Self::TransactionSigners(detail)
            | Self::PresentationMalformed(detail)
            | Self::PresentationMismatch(detail)
            | Self::PresentationKeyBinding(detail)
            | Self::DidInvalid(detail)
            | Self::DidControl(detail)
            | Self::DidDocument(detail)
            | Self::RegistryInvalid(detail)
            | Self::NodeInvalid(detail)
            | Self::NodeEvidence(detail)
            | Self::AccreditationInvalid(detail)
            | Self::SchemaInvalid(detail)
            | Self::SchemaMismatch(detail)
            | Self::AnchorInvalid(detail)
            | Self::ServiceInvalid(detail)
            | Self::GovernanceInvalid(detail)
            | Self::GovernanceSelfLock(detail)
            | Self::SupervisionInvalid(detail) => detail,
            _ => "",
        }
    }

    /// Whether the same signed transaction may succeed later without being changed.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::TransactionNotYetValid
                | Self::PresentationNotYetValid
                | Self::CredentialSuspended
                | Self::CredentialRegistryUnknown
                | Self::GrantRequired
                | Self::GrantSuspended
                | Self::DidNotFound
                | Self::DidAllowance
                | Self::RegistryNotFound
                | Self::NodeNotFound
                | Self::NodeFull
                | Self::AccreditationRequired
                | Self::AccreditationNotFound
                | Self::SchemaNotFound
                | Self::QuotaExceeded
                | Self::GovernanceNotFound
                | Self::SupervisionHeld
                | Self::SupervisionNotFound
        )
    }
}

impl PartialEq for Reject {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
    }
}

impl Eq for Reject {}

impl From<DidError> for Reject {
    fn from(error: DidError) -> Self {
        match error {
            DidError::Exists => Self::DidExists,
            DidError::NotFound => Self::DidNotFound,
            DidError::Invalid(detail) => Self::DidInvalid(detail.into()),
            DidError::Network => Self::DidNetwork,
            DidError::StaleVersion => Self::DidStaleVersion,
            DidError::KeyNotInDocument => Self::DidKeyNotInDocument,
            DidError::Control(detail) => Self::DidControl(detail.into()),
            DidError::Deactivated => Self::DidDeactivated,
            DidError::Allowance => Self::DidAllowance,
            DidError::Document(detail) => Self::DidDocument(detail.into()),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.title())?;
        match self.detail() {
            "" => Ok(()),
            detail => write!(formatter, " ({detail})"),
        }
    }
}

impl std::error::Error for Reject {}

impl Serialize for Reject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("unknown reject code"))
    }
}

/// The text of specs/errors.md.
pub fn errors_markdown() -> String {
    let mut text = String::from(
        "# Error codes\n\n\
         Generated from `ledger/types/src/reject.rs`; a test keeps this file up to date.\n\n\
         Every refusal of a transaction has one of these codes: in the answer of `POST /v1/transactions`\n\
         (`application/problem+json`, `type` is `urn:aval:error:<code>`), in a transaction's status, and in the\n\
         receipt of a transaction that was overtaken. A code never changes its meaning. *Retry* says whether the\n\
         same signed bytes may succeed later.\n",
    );
    let mut group = "";
    for reject in Reject::ALL {
        let (prefix, _) = reject.code().split_once('.').unwrap_or((reject.code(), ""));
        if prefix != group {
            group = prefix;
            text.push_str(&format!(
                "\n## {group}\n\n| code | HTTP | meaning | what to do | retry |\n|---|---|---|---|---|\n"
            ));
        }
        let retry = if reject.is_retryable() { "yes" } else { "no" };
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {retry} |\n",
            reject.code(),
            reject.http_status(),
            reject.title(),
            reject.help()
        ));
    }
    text
}
