//! What a verification asks for and what it can be told.

use super::KnownList;
use crate::VerificationKey;
use serde_json::Value;
use std::sync::Arc;

/// Something that a verification wants to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// The controller document of a DID or URL: as it is now, or as it was at a time (`versionTime`, unix seconds).
    Did {
        /// The identifier, without fragment.
        did: String,
        /// The time, if not now.
        at_s: Option<i64>,
    },
    /// Whether certificates lead to a root that the deployment trusts now, and whose key they are for.
    Certificates {
        /// As DER, the signer's first.
        chain: Vec<Vec<u8>>,
    },
    /// The signed status list under a URI.
    StatusList {
        /// Where it is.
        uri: String,
        /// A Token Status List if true, else a Bitstring Status List credential.
        token: bool,
    },
    /// What the ledger says of one entry of a status list of an issuer on the ledger; asked only if
    /// [`super::Expectation::status_of_ledger`].
    LedgerStatus {
        /// Where the list is.
        uri: String,
        /// The position.
        index: u64,
    },
    /// The JSON Schema under a URI.
    Schema {
        /// Where it is.
        uri: String,
    },
    /// Whether an issuer may issue a type of credential: now, or at a time (unix seconds).
    Accreditation {
        /// The issuer.
        issuer: String,
        /// The type.
        credential_type: String,
        /// The time, if not now.
        at_s: Option<i64>,
    },
}

/// What a verification is told.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// The result of resolving.
    Did(Resolution),
    /// There is no such DID, or was not at that time. A verdict.
    DidNotFound,
    /// The DID's method keeps no past versions, so the document of now is all there is.
    NoHistory,
    /// The certificates lead to a root of trust.
    Certified(Certified),
    /// They do not, or are not valid now; with the reason. A verdict.
    NotCertified(String),
    /// A status list as it was served.
    StatusList(Vec<u8>),
    /// A status list that was verified before.
    KnownList(Arc<KnownList>),
    /// What the ledger says of the entry.
    LedgerStatus(LedgerStatus),
    /// No registry of the ledger answers for the list, so it is to be asked for as any other.
    NotOfLedger,
    /// A schema as it was served.
    Schema(Vec<u8>),
    /// What the ledger says of the issuer.
    Accreditation(Accreditation),
    /// It cannot be had; with the reason. Nothing is decided by that.
    Unavailable(String),
}

/// What a certificate that is trusted says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Its key.
    pub key: VerificationKey,
    /// The DNS names that it is for.
    pub dns_names: Vec<String>,
    /// The URIs that it is for.
    pub uris: Vec<String>,
}

/// An entry of a status registry on the ledger, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Who owns the registry that answers for the list.
    pub owner: String,
    /// What its entries mean: `revocation`, `suspension` or `message`.
    pub purpose: String,
    /// Bits of an entry.
    pub bits: u8,
    /// Entries of the list.
    pub size: u64,
    /// The value of the entry; nothing if the list has no such entry.
    pub value: Option<u8>,
}

/// A resolved controller document.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The document; a deactivated DID may have none.
    pub document: Option<Value>,
    /// True if the DID is deactivated.
    pub deactivated: bool,
    /// The version, for the record.
    pub version_id: Option<String>,
}

impl Resolution {
    /// An active document.
    pub fn of(document: Value) -> Self {
        Self { document: Some(document), deactivated: false, version_id: None }
    }
}

/// What is known of an issuer's accreditation for a type at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accreditation {
    /// The chain, from the issuer up to its root.
    Accredited {
        /// DIDs from the issuer to the root.
        chain: Vec<String>,
    },
    /// It is not accredited; with the reason. A verdict.
    Refused {
        /// Why not.
        reason: String,
    },
}
