//! The actions about trust: accreditations, schemas, anchors and the directory of services (specs/trust.md).

use aval_codec::{Hash, Json};
use aval_did::Did;
use serde::{Deserialize, Serialize};

use crate::{
    accreditation::{AccreditationKind, AccreditedType, validate_scope},
    anchor::Commitment,
    grant::is_name,
    reject::Reject,
    schema::SchemaHash,
    service::{is_description, is_endpoint, is_service_kind, is_service_name},
};

/// Characters of the reason of a revocation.
const REASON_LENGTH_MAX: usize = 256;

/// `accreditation.grant`: the sender accredits the subject below itself, or renews or changes what it granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccreditationGrant {
    /// Who is accredited.
    pub subject: Did,
    /// The version of the subject's record that this one follows; 0 if there is none. A grant that was signed before
    /// a revocation and arrives after it names a version that is gone.
    pub previous: u32,
    /// `body` or `issuer`.
    pub kind: AccreditationKind,
    /// Which credential types.
    pub types: Vec<AccreditedType>,
    /// How many links may stand below it.
    pub depth: u8,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
    /// SHA-256 of the accreditation credential.
    pub credential: Hash,
}

/// `accreditation.revoke`: the parent or one above it takes an accreditation back, or the subject gives it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccreditationRevoke {
    /// Whose accreditation.
    pub subject: Did,
    /// Why, for the record.
    pub reason: String,
}

/// `schema.publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaPublish {
    /// The credential type that the schema is for.
    pub credential_type: String,
    /// The schema.
    pub schema: Json,
}

/// `schema.deprecate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaDeprecate {
    /// The schema.
    pub schema: SchemaHash,
}

/// `anchor.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorCreate {
    /// A salted commitment to data that stays elsewhere.
    pub commitment: Commitment,
    /// What kind of data, a name.
    pub kind: String,
}

/// `service.register`: makes or replaces an entry of the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRegister {
    /// The name, unique for the operator: `[a-z0-9-]{1,32}`.
    pub name: String,
    /// What kind of service: `[a-z][a-z0-9-]{0,31}`.
    pub kind: String,
    /// Where it is, an http(s) URI.
    pub endpoint: String,
    /// What it does, for people.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "aval_codec::json::strictly_some"
    )]
    pub description: Option<String>,
}

/// `service.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRemove {
    /// The name.
    pub name: String,
}

impl AccreditationGrant {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        if self.kind == AccreditationKind::Root {
            return Err(Reject::AccreditationRoot);
        }
        if self.expires == 0 || !self.expires.is_multiple_of(1000) {
            return Err(Reject::AccreditationInvalid("expires is not a whole second".into()));
        }
        validate_scope(self.kind, &self.types, self.depth)
            .map_err(|reason| Reject::AccreditationInvalid(reason.into()))
    }
}

impl AccreditationRevoke {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        if is_text(&self.reason, REASON_LENGTH_MAX) {
            Ok(())
        } else {
            Err(Reject::AccreditationInvalid(
                "a reason is 1 to 256 characters without control characters".into(),
            ))
        }
    }
}

impl SchemaPublish {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        if !is_name(&self.credential_type) {
            return Err(Reject::SchemaInvalid("the type is not a name".into()));
        }
        match self.schema {
            Json::Object(_) => Ok(()),
            _ => Err(Reject::SchemaInvalid("a schema is an object".into())),
        }
    }
}

impl AnchorCreate {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        if is_name(&self.kind) { Ok(()) } else { Err(Reject::AnchorInvalid("the kind is not a name".into())) }
    }
}

impl ServiceRegister {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        let wrong = [
            (!is_service_name(&self.name), "the name is not 1 to 32 of a-z, 0-9 and -"),
            (!is_service_kind(&self.kind), "the kind is not a label"),
            (!is_endpoint(&self.endpoint), "the endpoint is not an http(s) URI"),
            (
                !self.description.as_ref().is_none_or(|text| is_description(text)),
                "a description is 1 to 256 characters without control characters",
            ),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, reason)) => Err(Reject::ServiceInvalid(reason.into())),
            None => Ok(()),
        }
    }
}

impl ServiceRemove {
    pub(super) fn validate(&self) -> Result<(), Reject> {
        if is_service_name(&self.name) {
            Ok(())
        } else {
            Err(Reject::ServiceInvalid("the name is not 1 to 32 of a-z, 0-9 and -".into()))
        }
    }
}

/// Whether `text` is 1 to `length_max` characters for people, none of them a control character.
pub(crate) fn is_text(text: &str, length_max: usize) -> bool {
    let length = text.chars().count();
    (1..=length_max).contains(&length) && !text.chars().any(char::is_control)
}
