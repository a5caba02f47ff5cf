//! What a verification asks for and what it can be told.

use super::KnownList;
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
    /// The signed status list under a URI.
    StatusList {
        /// Where it is.
        uri: String,
        /// A Token Status List if true, else a Bitstring Status List credential.
        token: bool,
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
    /// A status list as it was served.
    StatusList(Vec<u8>),
    /// A status list that was verified before.
    KnownList(Arc<KnownList>),
    /// A schema as it was served.
    Schema(Vec<u8>),
    /// What the ledger says of the issuer.
    Accreditation(Accreditation),
    /// It cannot be had; with the reason. Nothing is decided by that.
    Unavailable(String),
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
