//! The kinds of credentials that an issuer offers: what the configuration or a template says of format, key and
//! lifetime.

use super::config::Config;
use crate::problem::Problem;
use crate::storage::{Slot, TemplateRow};
use aval_did::key::Algorithm;
use aval_formats::data_integrity::Suite;
use aval_openid::vci::{CredentialConfiguration, Format};
use serde::{Deserialize, Serialize};

/// How credentials of a template are made and given out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TemplateOptions {
    /// The cryptosuite of `ldp_vc`; without one that over RDF which the key has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The verification method that signs, without its `#`; without one the active key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether `dc+sd-jwt` carries the certificates of its key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub certified: bool,
    /// Whether an operator approves each credential after the wallet has asked for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

impl TemplateOptions {
    /// The options of a template.
    pub fn of(template: &TemplateRow) -> Result<Self, Problem> {
        serde_json::from_str(&template.options).map_err(|error| Problem::internal(&error))
    }
}

/// The kind of a credential: what a template says, or the configuration.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) configuration: String,
    pub(super) credential_type: String,
    pub(super) format: Format,
    pub(super) validity_days: i64,
    pub(super) schema_id: Option<String>,
    pub(super) slots: Vec<Slot>,
    pub(super) options: TemplateOptions,
    /// Whether it is the configured credential, which is for the ledger and has a role.
    pub(super) is_configured: bool,
}

impl Kind {
    pub(super) fn of(config: &Config, template: Option<&TemplateRow>) -> Result<Self, Problem> {
        let Some(template) = template else {
            return Ok(Self {
                configuration: config.credential.credential_type.clone(),
                credential_type: config.credential.credential_type.clone(),
                format: Format::VcSdJwt,
                validity_days: i64::from(config.credential.validity_days),
                schema_id: None,
                slots: config.ledger_slots(),
                options: TemplateOptions::default(),
                is_configured: true,
            });
        };
        let unknown = || Problem::internal(&"a template's format is not known to this version");
        Ok(Self {
            configuration: template.id.clone(),
            credential_type: template.credential_type.clone(),
            format: Format::from_name(&template.format).ok_or_else(unknown)?,
            validity_days: template.validity_days,
            schema_id: template.schema_id.clone(),
            slots: if template.suspendable { config.slots() } else { config.ledger_slots() },
            options: TemplateOptions::of(template)?,
            is_configured: false,
        })
    }

    /// Checks what a template wants against what its format and a key of this algorithm can do.
    pub(super) fn check(&self, algorithm: Algorithm) -> Result<(), Problem> {
        let suite = self.options.suite.as_deref();
        if suite.is_some() && self.format != Format::LdpVc {
            return Err(Problem::invalid("only the format ldp_vc has a suite"));
        }
        if self.options.certified && self.format != Format::DcSdJwt {
            return Err(Problem::invalid("only the format dc+sd-jwt carries certificates"));
        }
        // It refers to one entry of one list, and so does what the ledger reads.
        if self.slots.len() > 1 && self.format == Format::DcSdJwt {
            return Err(Problem::invalid("a dc+sd-jwt has one status entry: it cannot be suspendable"));
        }
        self.suite(algorithm).map(drop)
    }

    /// The cryptosuite for a key of this algorithm.
    pub(super) fn suite(&self, algorithm: Algorithm) -> Result<Suite, Problem> {
        let known: &[Suite] = match algorithm {
            Algorithm::EdDsa => &[Suite::EddsaRdfc2022, Suite::EddsaJcs2022],
            Algorithm::Es256 => &[Suite::EcdsaRdfc2019, Suite::EcdsaJcs2019, Suite::EcdsaSd2023],
        };
        let name = self.options.suite.as_deref();
        let suite = known.iter().find(|suite| name.is_none_or(|name| suite.name() == name));
        suite.copied().ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|suite| suite.name()).collect();
            Problem::invalid(format!("suite: a key of {} has {}", algorithm.name(), names.join(", ")))
        })
    }

    /// How wallets are told of it.
    pub(super) fn described(&self, display_name: &str) -> CredentialConfiguration {
        let mut described = CredentialConfiguration::of(self.format, &self.credential_type, display_name);
        // Two templates may be of one type; a scope stands for one of them.
        described.scope = Some(self.configuration.clone());
        described
    }
}
