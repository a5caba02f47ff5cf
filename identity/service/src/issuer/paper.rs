//! What the back office takes and gives, as JSON.

use super::decisions::read_subject;
use super::kind::TemplateOptions;
use crate::problem::Problem;
use crate::storage::{AuditRow, DeferralRow, IssuanceRow, Role, SubjectRow, TemplateRow};
use aval_codec::Json as Strict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An entry in a status list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusOf {
    /// `revocation`, `suspension`, `refresh` or `message`.
    purpose: String,
    /// The URI of the list.
    list: String,
    /// The index in the list.
    index: i64,
    /// What is final on the ledger.
    value: i64,
    /// The ledger transaction that changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_by: Option<String>,
}

/// An issued credential, without its claims.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// Its id; also the credential's, as `urn:uuid:`.
    id: String,
    /// The credential type.
    #[serde(rename = "type")]
    credential_type: String,
    /// The format of OpenID4VCI.
    format: String,
    /// The template that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// The subject on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_id: Option<String>,
    /// The issuance that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    /// The first of those that were issued by the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_of: Option<String>,
    /// What the wallet said of it: `credential_accepted`, `credential_failure` or `credential_deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// The RFC 7638 thumbprint of the holder's key.
    holder: String,
    /// The key that signed it.
    key_id: String,
    /// Its entries in status lists.
    status: Vec<StatusOf>,
    /// Unix seconds.
    issued_s: i64,
    /// Unix seconds.
    expires_s: i64,
    /// `valid`, `revoking`, `revoked`, `suspending`, `suspended` or `resuming`.
    state: String,
    /// The ledger transaction that revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<String>,
}

impl From<IssuanceRow> for Issuance {
    fn from(row: IssuanceRow) -> Self {
        let revocation = row.entry("revocation").and_then(|entry| entry.changed_by.clone());
        let status = row.status.into_iter().map(|entry| StatusOf {
            purpose: entry.purpose,
            list: entry.list,
            index: entry.list_index,
            value: entry.value,
            changed_by: entry.changed_by,
        });
        Self {
            id: row.id,
            credential_type: row.credential_type,
            format: row.format,
            template: row.template_id,
            subject_id: row.subject_id,
            replaces: row.replaces,
            batch_of: row.batch_of,
            delivery: row.delivery,
            holder: row.holder,
            key_id: row.key_id,
            status: status.collect(),
            issued_s: row.issued_s,
            expires_s: row.expires_s,
            state: row.state,
            revocation,
        }
    }
}

/// A template to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewTemplate {
    /// 1 to 32 of a-z, 0-9 and -; also the credential configuration id of OpenID4VCI.
    pub id: String,
    /// The credential type beside `VerifiableCredential`.
    pub credential_type: String,
    /// The name that a wallet shows.
    pub display_name: String,
    /// How long a credential is valid.
    pub validity_days: i64,
    /// A schema on the ledger that the credential has to follow: `urn:aval:schema:…`.
    pub schema_id: Option<String>,
    /// Whether its credentials can be suspended. The ledger takes no presentation of a credential that can.
    #[serde(default)]
    pub suspendable: bool,
    /// `vc+sd-jwt`, which the ledger reads and which is meant without it, `dc+sd-jwt`, `jwt_vc_json` or `ldp_vc`.
    pub format: Option<String>,
    /// How its credentials are made and given out.
    #[serde(default)]
    pub options: TemplateOptions,
    /// Claims that every credential of it has unless the subject says otherwise.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub claims: BTreeMap<String, Strict>,
}

/// A template.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    id: String,
    credential_type: String,
    display_name: String,
    format: String,
    validity_days: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<String>,
    suspendable: bool,
    options: TemplateOptions,
    #[schema(value_type = Object)]
    claims: BTreeMap<String, Strict>,
    created_s: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_s: Option<i64>,
}

impl Template {
    /// A template as it is stored.
    pub fn of(row: TemplateRow) -> Result<Self, Problem> {
        Ok(Self {
            options: TemplateOptions::of(&row)?,
            claims: read_subject(&row.claims).map_err(|error| Problem::internal(&error))?,
            id: row.id,
            credential_type: row.credential_type,
            display_name: row.display_name,
            format: row.format,
            validity_days: row.validity_days,
            schema_id: row.schema_id,
            suspendable: row.suspendable,
            created_s: row.created_s,
            retired_s: row.retired_s,
        })
    }
}

/// Claims of a subject.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The claims.
    #[schema(value_type = Object)]
    pub claims: BTreeMap<String, Strict>,
}

/// A subject to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubject {
    /// The issuer's own number for them.
    pub reference: String,
    /// The claims.
    #[schema(value_type = Object)]
    pub claims: BTreeMap<String, Strict>,
}

/// A subject.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The id.
    pub id: String,
    /// The issuer's own number for them.
    pub reference: String,
    /// The claims; lists do not show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub claims: Option<BTreeMap<String, Strict>>,
    /// Unix seconds.
    pub created_s: i64,
    /// Unix seconds.
    pub changed_s: i64,
}

impl Subject {
    /// A subject as a list shows it.
    pub fn without_claims(row: SubjectRow) -> Self {
        Self {
            id: row.id,
            reference: row.reference,
            claims: None,
            created_s: row.created_s,
            changed_s: row.changed_s,
        }
    }
}

/// An operator.
#[derive(Serialize, ToSchema)]
pub struct Who {
    /// The name.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// The key that signs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activated {
    /// The DID URL of its verification method.
    pub key_id: String,
}

/// A line of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    sequence: i64,
    time_s: i64,
    /// The operator; `holder` for a wallet, empty for nobody that is known.
    operator: String,
    event: String,
    /// The thing that it happened to.
    subject: String,
    detail: String,
}

impl From<AuditRow> for AuditLine {
    fn from(row: AuditRow) -> Self {
        Self {
            sequence: row.sequence,
            time_s: row.time_s,
            operator: row.operator,
            event: row.event,
            subject: row.subject,
            detail: row.detail,
        }
    }
}

/// A credential that waits for approval.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deferral {
    id: String,
    /// The offer that it is issued under.
    offer: String,
    /// Unix seconds.
    created_s: i64,
}

impl From<DeferralRow> for Deferral {
    fn from(row: DeferralRow) -> Self {
        Self { id: row.id, offer: row.offer_id, created_s: row.created_s }
    }
}
