//! The four operations on a DID and the hashes they stand under. Specification §6.
//!
//! They are the ledger's actions `did.create`, `did.update`, `did.rotate` and `did.deactivate` (without the grant
//! that a creation may carry beside them). Reading one refuses unknown members and nulls, so that the text that was
//! signed is the text that is hashed, up to RFC 8785.

use aval_codec::{Hash, Json, JsonError, hash, json, tag};
use serde::{Deserialize, Serialize};

use crate::{Control, Did, DidError, Document, VersionId};

/// Brings a DID into being. Its id is the hash of the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The DID.
    pub did: Did,
    /// The first control.
    #[serde(deserialize_with = "json::strictly")]
    pub control: Control,
    /// The first document.
    #[serde(deserialize_with = "json::strictly")]
    pub document: Document,
}

/// Replaces the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The DID.
    pub did: Did,
    /// The version that this operation replaces.
    pub previous: VersionId,
    /// The new document.
    #[serde(deserialize_with = "json::strictly")]
    pub document: Document,
}

/// Replaces the control keys by those that were committed to, and with them, if need be, the keys of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The DID.
    pub did: Did,
    /// The version that this operation replaces.
    pub previous: VersionId,
    /// The new control; it holds every key that signs this operation.
    #[serde(deserialize_with = "json::strictly")]
    pub control: Control,
    /// A document that differs from the current one in verification methods and relationships only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::strictly_some")]
    pub document: Option<Document>,
}

/// Ends the DID for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deactivate {
    /// The DID.
    pub did: Did,
    /// The version that this operation replaces.
    pub previous: VersionId,
}

/// Any of the four, with its `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum Operation {
    /// `did.create`
    #[serde(rename = "did.create")]
    Create(Create),
    /// `did.update`
    #[serde(rename = "did.update")]
    Update(Update),
    /// `did.rotate`
    #[serde(rename = "did.rotate")]
    Rotate(Rotate),
    /// `did.deactivate`
    #[serde(rename = "did.deactivate")]
    Deactivate(Deactivate),
}

/// What can be said of an update without a record: whether it is well-formed, and the version that it makes. It stays
/// the same however often the operation is decided upon, and it is most of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    pub(crate) verdict: Result<(), DidError>,
    pub(crate) version_id: VersionId,
}

impl Operation {
    /// Reads an operation from strictly read JSON.
    pub fn from_json(value: Json) -> Result<Self, JsonError> {
        let (kind, members) = value.split_tag("type")?;
        match kind.as_str() {
            "did.create" => json::from_json(members).map(Operation::Create),
            "did.update" => json::from_json(members).map(Operation::Update),
            "did.rotate" => json::from_json(members).map(Operation::Rotate),
            "did.deactivate" => json::from_json(members).map(Operation::Deactivate),
            _ => Err(JsonError::Shape("not an operation on a DID".into())),
        }
    }

    /// The DID.
    pub fn did(&self) -> &Did {
        match self {
            Operation::Create(operation) => &operation.did,
            Operation::Update(operation) => &operation.did,
            Operation::Rotate(operation) => &operation.did,
            Operation::Deactivate(operation) => &operation.did,
        }
    }

    /// Checks everything that needs no record.
    pub fn validate(&self) -> Result<(), DidError> {
        match self {
            Operation::Create(operation) => operation.validate(),
            Operation::Update(operation) => operation.validate(),
            Operation::Rotate(operation) => operation.validate(),
            Operation::Deactivate(_) => Ok(()),
        }
    }

    /// The version that this operation makes: `1-<id>` for a creation, else one more than `previous` with the version
    /// hash.
    pub fn version_id(&self) -> VersionId {
        let (did, previous) = match self {
            Operation::Create(operation) => return VersionId { number: 1, hash: operation.did.inception() },
            Operation::Update(Update { did, previous, .. })
            | Operation::Rotate(Rotate { did, previous, .. })
            | Operation::Deactivate(Deactivate { did, previous }) => (did, previous),
        };
        #[derive(Serialize)]
        struct Version<'a> {
            did: &'a Did,
            previous: &'a VersionId,
            operation: &'a Operation,
        }
        let number = previous.number.saturating_add(1);
        VersionId { number, hash: jcs_hash(tag::DID_VERSION, &Version { did, previous, operation: self }) }
    }
}

impl Create {
    /// The creation of the DID that this control and document have on a network.
    pub fn new(network: &str, control: Control, document: Document) -> Result<Self, DidError> {
        let did = did_of(network, &control, &document)?;
        Ok(Create { did, control, document })
    }

    /// Checks everything that needs no record: bounds, keys, and that the id is the inception's hash.
    pub fn validate(&self) -> Result<(), DidError> {
        self.control.validate()?;
        self.document.validate()?;
        self.document.validate_apart_from(&self.control)?;
        if inception_hash(self.did.network(), &self.control, &self.document) != self.did.inception() {
            return Err(DidError::Invalid("the id is not the hash of this inception"));
        }
        Ok(())
    }
}

impl Update {
    /// Checks everything that needs no record.
    pub fn validate(&self) -> Result<(), DidError> {
        self.document.validate()
    }

    /// The version that this operation makes.
    pub fn version_id(&self) -> VersionId {
        Operation::Update(self.clone()).version_id()
    }

    /// Finds out once what every decision about this operation needs.
    pub fn examine(&self) -> Examined {
        Examined { verdict: self.validate(), version_id: self.version_id() }
    }
}

impl Rotate {
    /// Checks everything that needs no record.
    pub fn validate(&self) -> Result<(), DidError> {
        self.control.validate()?;
        let Some(document) = &self.document else { return Ok(()) };
        document.validate()?;
        document.validate_apart_from(&self.control)
    }

    /// The version that this operation makes.
    pub fn version_id(&self) -> VersionId {
        Operation::Rotate(self.clone()).version_id()
    }
}

impl Deactivate {
    /// The version that this operation makes.
    pub fn version_id(&self) -> VersionId {
        Operation::Deactivate(self.clone()).version_id()
    }
}

/// The inception hash: a tagged hash of the RFC 8785 bytes of `{"network","control","document"}`.
pub fn inception_hash(network: &str, control: &Control, document: &Document) -> Hash {
    #[derive(Serialize)]
    struct Inception<'a> {
        network: &'a str,
        control: &'a Control,
        document: &'a Document,
    }
    jcs_hash(tag::DID_INCEPTION, &Inception { network, control, document })
}

/// The DID of a control and a document on a network.
pub fn did_of(network: &str, control: &Control, document: &Document) -> Result<Did, DidError> {
    Did::new(network, &inception_hash(network, control, document))
}

fn jcs_hash(tag: &str, value: &impl Serialize) -> Hash {
    // Only strings, small integers and string keys are serialized here, so this cannot fail.
    let bytes = json::to_jcs(value).unwrap_or_default();
    hash(tag, &[&bytes])
}
