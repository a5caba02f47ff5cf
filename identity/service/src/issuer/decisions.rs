//! The issuer's decisions: what is offered to whom, and when a credential is made.
//!
//! The protocol's own rules are `aval-openid`'s; here they meet the records and the ledger. What may happen once is
//! spent in the records in the same step as its effect, so that an interrupted request can be made again.

use super::config::{Config, CredentialConfig};
use super::ledger::{Ledger, LedgerError, blocking};
use super::metrics::Counters;
use super::status_list::StatusList;
use crate::clock::now_s;
use crate::keys::{IssuerKeys, Key};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::{
    Entry, IssuanceRow, Issued, OfferRow, Records, RecordsError, Slot, Spending, StatusRow, TemplateRow,
};
use aval_codec::{Json, b64u, json};
use aval_credential::schema::Schema;
use aval_credential::{CredentialDraft, CredentialSchema, Limits, StatusEntry, StatusPurpose};
use aval_did::key::{PublicKey, SigningKey};
use aval_openid::ErrorResponse;
use aval_openid::vci::offer::TransactionCodeSpec;
use aval_openid::vci::token::TokenRequest;
use aval_openid::vci::{
    CredentialConfiguration, CredentialRequest, CredentialResponse, Issuer as Protocol, IssuerMetadata,
    Session, TokenResponse,
};
use aval_types::schema::CREDENTIAL_SCHEMA_TYPE;
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// The one format of credentials over OpenID4VCI.
pub const FORMAT: &str = "vc+sd-jwt";
/// Templates of one issuer.
pub const TEMPLATES_MAX: i64 = 200;
/// Digits of a transaction code.
const TX_CODE_DIGITS: u32 = 6;
/// The largest subject that an offer may carry.
const SUBJECT_BYTES_MAX: usize = 8 * 1024;
/// What a presentation adds to a credential: the key binding, with room to spare.
const KEY_BINDING_BYTES: usize = 1024;
/// How far a credential's validity reaches back, so that a verifier whose clock is a little behind takes it.
const CLOCK_SKEW_S: i64 = 60;

/// Fresh random bytes in base64url: codes, tokens and nonces.
fn secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    b64u::encode(bytes)
}

/// Why a wallet's request got no credential.
#[derive(Debug)]
pub enum Refusal {
    /// The protocol says no, in its own words.
    Protocol(ErrorResponse),
    /// The service failed; the reason is for the log.
    Failed(String),
}

impl From<ErrorResponse> for Refusal {
    fn from(error: ErrorResponse) -> Self {
        Self::Protocol(error)
    }
}

impl From<RecordsError> for Refusal {
    fn from(error: RecordsError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A new offer, as the back office sees it.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewOffer {
    /// The offer.
    pub id: String,
    /// What the wallet takes: as a link or a QR code.
    pub offer_uri: String,
    /// What the holder is told another way.
    pub tx_code: String,
    /// Until when it can be redeemed, Unix seconds.
    pub expires_s: i64,
}

/// Shows neither the offer's code nor the transaction code.
impl fmt::Debug for NewOffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewOffer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The issuer.
pub struct Issuer {
    protocol: RwLock<Arc<Protocol>>,
    config: Config,
    keys: Arc<IssuerKeys>,
    records: Records,
    ledger: Ledger,
    metrics: Arc<Metrics>,
    counters: Counters,
    status_lists: BTreeMap<String, StatusList>,
}

/// What is to be offered, and to whom.
#[derive(Default)]
pub struct Order {
    /// Claims of the subject; `role` names the roles, and every other claim can be disclosed selectively.
    pub subject: BTreeMap<String, Json>,
    /// The template; without one the configured credential is meant.
    pub template: Option<TemplateRow>,
    /// The subject among the issuer's own.
    pub subject_id: Option<String>,
    /// The issuance that is replaced.
    pub replaces: Option<String>,
}

/// Checks that the ledger knows the issuer: its key is in its DID document, it is accredited, and its registries exist.
/// The last are made if they are missing.
pub async fn prepare_ledger(config: &Config, ledger: &Ledger) -> Result<(), LedgerError> {
    let credential_type = config.credential.credential_type.clone();
    blocking(ledger, move |ledger| {
        ledger.check_active_key()?;
        ledger.accredited_roles(&credential_type)?;
        ledger.ensure_registries()
    })
    .await
}

impl Issuer {
    /// Puts the issuer together.
    pub fn new(config: Config, keys: Arc<IssuerKeys>, records: Records, ledger: Ledger) -> Self {
        let protocol = RwLock::new(Arc::new(protocol(&config, &[])));
        let lists = config.registries.iter().map(|registry| {
            let uri = config.list_uri(&registry.name);
            let list = StatusList::new(uri, registry, keys.clone(), ledger.clone(), records.clone());
            (registry.name.clone(), list)
        });
        let status_lists = lists.collect();
        let (metrics, counters) = Metrics::new("aval_issuer", Counters::register);
        Self { protocol, config, keys, records, ledger, metrics, counters, status_lists }
    }

    /// What it says of itself, and the protocol's rules.
    pub fn protocol(&self) -> Arc<Protocol> {
        self.protocol.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offers what the templates say from now on; another instance may have changed them.
    pub async fn follow_templates(&self) -> Result<(), RecordsError> {
        let templates = self.records.templates(TEMPLATES_MAX).await?;
        let protocol = Arc::new(protocol(&self.config, &templates));
        *self.protocol.write().unwrap_or_else(PoisonError::into_inner) = protocol;
        Ok(())
    }

    /// The issuer's keys.
    pub fn keys(&self) -> &Arc<IssuerKeys> {
        &self.keys
    }

    /// The issuer's connection to the ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What it was told.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The issuer's records.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What it counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What it counts beside requests.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The status list of a registry, by its name.
    pub fn status_list(&self, registry: &str) -> Option<&StatusList> {
        self.status_lists.get(registry)
    }

    /// The status list with a URI.
    pub(super) fn list_at(&self, uri: &str) -> Option<&StatusList> {
        self.status_lists.values().find(|list| list.uri() == uri)
    }

    /// Checks that the ledger accredits the issuer for a type and roles now.
    pub(super) async fn check_accreditation(
        &self,
        credential_type: &str,
        wanted: &BTreeSet<String>,
    ) -> Result<(), Problem> {
        let asked = credential_type.to_owned();
        let accredited = blocking(&self.ledger, move |ledger| ledger.accredited_roles(&asked)).await?;
        match wanted.iter().find(|role| !accredited.contains(role)) {
            Some(role) => {
                Err(Problem::invalid(format!("the ledger does not accredit this issuer for the role {role}")))
            }
            None => Ok(()),
        }
    }

    /// Checks claims against the schema on the ledger that a template names.
    async fn check_schema(
        &self,
        template: &TemplateRow,
        subject: &BTreeMap<String, Json>,
    ) -> Result<(), Problem> {
        let Some(urn) = template.schema_id.clone() else { return Ok(()) };
        let record = blocking(&self.ledger, move |ledger| ledger.schema(&urn)).await?;
        let record = record.ok_or_else(|| Problem::invalid("the template's schema is not on the ledger"))?;
        if record.credential_type != template.credential_type {
            return Err(Problem::invalid("the template's schema is one of another credential type"));
        }
        let schema = Schema::compile(&record.schema)
            .map_err(|error| Problem::invalid(format!("the template's schema cannot be used: {error}")))?;
        // A schema judges the credential; of that the subject is what this issuer fills in.
        let whole = BTreeMap::from([("credentialSubject".to_owned(), Json::Object(subject.clone()))]);
        let judged = schema.validate(&whole);
        judged.map_err(|error| Problem::invalid(format!("the claims do not fit the schema: {error}")))
    }

    /// Checks that credentials can be made of a template: accreditation, schema.
    pub async fn check_template(&self, template: &TemplateRow) -> Result<(), Problem> {
        self.check_accreditation(&template.credential_type, &BTreeSet::new()).await?;
        let Some(urn) = template.schema_id.clone() else { return Ok(()) };
        let record = blocking(&self.ledger, move |ledger| ledger.schema(&urn)).await?;
        let record = record.ok_or_else(|| Problem::invalid("schemaId names no schema on the ledger"))?;
        if record.credential_type != template.credential_type {
            return Err(Problem::invalid("the schema is one of another credential type"));
        }
        if record.deprecated.is_some() {
            return Err(Problem::invalid("the schema is deprecated on the ledger"));
        }
        Ok(())
    }

    /// Makes an offer. `operator` is whose doing it is.
    pub async fn offer(&self, order: Order, operator: &str) -> Result<NewOffer, Problem> {
        let Order { subject, template, subject_id, replaces } = order;
        let wanted = roles(&subject)?;
        if let Some(template) = &template {
            self.check_schema(template, &subject).await?;
        }
        let kind = Kind::of(&self.config, template.as_ref());
        let stored = serde_json::to_string(&subject).map_err(|error| Problem::internal(&error))?;
        self.rehearse(&kind, &stored)?;
        self.check_accreditation(&kind.credential_type, &wanted).await?;
        let protocol = self.protocol();
        let (id, code) = (Uuid::new_v4().to_string(), secret());
        let digits = 10u32.pow(TX_CODE_DIGITS);
        let tx_code =
            format!("{:0width$}", rand::rng().random_range(0..digits), width = TX_CODE_DIGITS as usize);
        let salt: [u8; 32] = rand::rng().random();
        let now_s = now_s();
        let (offer, session) = protocol.offer(
            vec![kind.configuration.clone()],
            code.clone(),
            Some((&tx_code, salt, TransactionCodeSpec::digits(TX_CODE_DIGITS))),
            now_s,
        );
        let row = OfferRow {
            id: id.clone(),
            configuration: kind.configuration,
            subject: stored,
            session: session_text(&session).map_err(|error| Problem::internal(&error))?,
            expires_s: session.expires_s(),
            template_id: template.map(|template| template.id),
            subject_id,
            replaces,
        };
        let entry = Entry::of(operator, "offer.created", &id, now_s);
        self.records.insert_offer(&row, &code, &entry).await?;
        self.counters.offers.inc();
        tracing::info!(offer = id, "offered");
        Ok(NewOffer { id, offer_uri: offer.to_uri(), tx_code, expires_s: row.expires_s })
    }

    /// Makes the credential of a subject once for nobody, so that what cannot be issued is not offered.
    fn rehearse(&self, kind: &Kind, subject: &str) -> Result<(), Problem> {
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Problem::invalid(format!("the subject's claims exceed {SUBJECT_BYTES_MAX} bytes")));
        }
        let holder = SigningKey::generate_p256().public();
        let mut row = self.issuance(kind, subject, &holder, now_s());
        let last = |slot: Slot| StatusRow::first(&row.id, &slot, i64::from(slot.size) - 1);
        row.status = kind.slots.clone().into_iter().map(last).collect();
        let credential = self.sign(&self.keys.active(), kind, &row, holder).map_err(|reason| {
            Problem::invalid(format!("no credential can be made of these claims: {reason}"))
        })?;
        if credential.len() + KEY_BINDING_BYTES > Limits::LEDGER.bytes_max {
            return Err(Problem::invalid("the credential would be too large to be presented to the ledger"));
        }
        Ok(())
    }

    /// The token endpoint.
    pub async fn redeem(&self, form: &[u8]) -> Result<TokenResponse, Refusal> {
        let request = TokenRequest::parse(form)?;
        let now_s = now_s();
        let row = self.records.offer_by_code(&request.code).await?.ok_or(ErrorResponse::invalid_grant())?;
        let mut session = read_session(&row)?;
        let redeemed = session.redeem(&request, now_s);
        let after = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        let token = secret();
        let life_s = self.protocol().rules.token_life_s;
        let earned = redeemed.is_ok().then(|| (token.as_str(), now_s.saturating_add(life_s)));
        // The session is stored also after a refusal: a wrong code uses an attempt up.
        if !self.records.advance_session(&row, &after, earned, now_s).await? {
            return Err(ErrorResponse::invalid_grant().into());
        }
        redeemed?;
        self.counters.redemptions.inc();
        tracing::info!(offer = row.id, "redeemed");
        Ok(TokenResponse::bearer(token, u64::try_from(life_s).unwrap_or_default()))
    }

    /// The nonce endpoint.
    pub async fn nonce(&self) -> Result<String, RecordsError> {
        let nonce = secret();
        let expires_s = now_s().saturating_add(self.protocol().rules.nonce_life_s);
        self.records.insert_nonce(&nonce, expires_s).await?;
        Ok(nonce)
    }

    /// The credential endpoint.
    pub async fn issue(&self, token: &str, body: &[u8]) -> Result<CredentialResponse, Refusal> {
        let now_s = now_s();
        let row = self.records.offer_by_token(token, now_s).await?.ok_or(ErrorResponse::invalid_token())?;
        let request = CredentialRequest::parse(body)?;
        let mut session = read_session(&row)?;
        let template = match &row.template_id {
            Some(id) => self.records.template(id).await?,
            None => None,
        };
        if template.is_some() && !self.offers(&row.configuration) {
            self.follow_templates().await?;
        }
        let accepted = self.protocol().accept(&session, &request, now_s)?;
        session.complete(&accepted.configuration_id);
        let session = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        let kind = Kind::of(&self.config, template.as_ref());
        self.check_still_accredited(&kind, &row).await?;
        let spending = Spending { offer: &row, session: &session, nonce: &accepted.nonce, now_s };
        let holder = accepted.holder.key;
        let mut wanted = self.issuance(&kind, &row.subject, &holder, now_s);
        wanted.template_id = row.template_id.clone();
        wanted.subject_id = row.subject_id.clone();
        wanted.replaces = row.replaces.clone();
        let key = self.keys.active();
        wanted.key_id = key.id().to_owned();
        let draw = |size| rand::rng().random_range(0..size);
        let make = |issuance: &IssuanceRow| self.sign(&key, &kind, issuance, holder);
        match self.records.issue(&spending, &wanted, &kind.slots, draw, make).await? {
            Issued::Done(credential) => {
                self.counters.issued.inc();
                tracing::info!(offer = row.id, issuance = wanted.id, "issued");
                Ok(CredentialResponse::of(credential))
            }
            Issued::NonceSpent => Err(ErrorResponse::invalid_nonce().into()),
            Issued::SessionMoved => Err(ErrorResponse::invalid_token().into()),
        }
    }

    fn offers(&self, configuration: &str) -> bool {
        self.protocol().metadata.credential_configurations_supported.contains_key(configuration)
    }

    /// The accreditation that was there when the offer was made may have ended since.
    async fn check_still_accredited(&self, kind: &Kind, row: &OfferRow) -> Result<(), Refusal> {
        let subject = read_subject(&row.subject).map_err(Refusal::Failed)?;
        let wanted = roles(&subject).map_err(|problem| Refusal::Failed(problem.detail))?;
        let checked = self.check_accreditation(&kind.credential_type, &wanted).await;
        checked.map_err(|problem| {
            tracing::warn!(code = problem.code, "nothing is issued without an accreditation");
            let (status, error, description) = match problem.status {
                502 | 503 => (503, "temporarily_unavailable", "the ledger cannot be asked: try again later"),
                _ => {
                    (400, "credential_request_denied", "the issuer is not accredited for this credential now")
                }
            };
            ErrorResponse { status, error, description }.into()
        })
    }

    /// A new issuance without entries in status lists.
    fn issuance(&self, kind: &Kind, subject: &str, holder: &PublicKey, now_s: i64) -> IssuanceRow {
        let id = Uuid::new_v4().to_string();
        IssuanceRow {
            credential_id: format!("urn:uuid:{id}"),
            id,
            credential_type: kind.credential_type.clone(),
            format: FORMAT.to_owned(),
            subject: subject.to_owned(),
            holder: holder.thumbprint(),
            issued_s: now_s,
            expires_s: now_s.saturating_add(kind.validity_days.saturating_mul(86_400)),
            state: "valid".to_owned(),
            ..IssuanceRow::default()
        }
    }

    fn sign(
        &self,
        key: &Key,
        kind: &Kind,
        issuance: &IssuanceRow,
        holder: PublicKey,
    ) -> Result<String, String> {
        let claims = read_subject(&issuance.subject)?;
        let disclosable: BTreeSet<String> = claims.keys().filter(|name| *name != "role").cloned().collect();
        let status = issuance.status.iter().map(|entry| StatusEntry {
            purpose: StatusPurpose::from_name(&entry.purpose),
            index: entry.index(),
            list: entry.list.clone(),
        });
        let schema = kind
            .schema_id
            .as_ref()
            .map(|id| CredentialSchema { id: id.clone(), kind: CREDENTIAL_SCHEMA_TYPE.to_owned() });
        let draft = CredentialDraft {
            issuer: self.keys.did().to_string(),
            key_id: key.id().to_owned(),
            id: Some(issuance.credential_id.clone()),
            contexts: Vec::new(),
            types: vec![issuance.credential_type.clone()],
            subject_id: None,
            claims,
            disclosable,
            status: status.collect(),
            valid_from_s: issuance.issued_s.saturating_sub(CLOCK_SKEW_S),
            valid_until_s: Some(issuance.expires_s),
            holder_key: Some(holder),
            schema,
        };
        aval_credential::issue(&draft, key, &mut || rand::rng().random()).map_err(|error| error.to_string())
    }
}

/// The kind of a credential: what a template says, or the configuration.
struct Kind {
    configuration: String,
    credential_type: String,
    validity_days: i64,
    schema_id: Option<String>,
    slots: Vec<Slot>,
}

impl Kind {
    fn of(config: &Config, template: Option<&TemplateRow>) -> Self {
        match template {
            Some(template) => Self {
                configuration: template.id.clone(),
                credential_type: template.credential_type.clone(),
                validity_days: template.validity_days,
                schema_id: template.schema_id.clone(),
                slots: if template.suspendable { config.slots() } else { config.ledger_slots() },
            },
            None => Self {
                configuration: config.credential.credential_type.clone(),
                credential_type: config.credential.credential_type.clone(),
                validity_days: i64::from(config.credential.validity_days),
                schema_id: None,
                slots: config.ledger_slots(),
            },
        }
    }
}

/// The protocol with a configuration for the configured credential and for each template, also retired ones: offers
/// that were made of them are still redeemed.
fn protocol(config: &Config, templates: &[TemplateRow]) -> Protocol {
    let CredentialConfig { credential_type, display_name, offer_minutes, .. } = &config.credential;
    let metadata = IssuerMetadata::new(&config.public_url).with_configuration(
        credential_type,
        CredentialConfiguration::vc_sd_jwt(credential_type, display_name),
    );
    let metadata = templates.iter().fold(metadata, |metadata, template| {
        let configuration =
            CredentialConfiguration::vc_sd_jwt(&template.credential_type, &template.display_name);
        metadata.with_configuration(&template.id, configuration)
    });
    let mut protocol = Protocol::new(metadata);
    protocol.rules.code_life_s = i64::from(*offer_minutes) * 60;
    protocol
}

fn session_text(session: &Session) -> Result<String, serde_json::Error> {
    serde_json::to_string(session)
}

fn read_session(row: &OfferRow) -> Result<Session, Refusal> {
    serde_json::from_str(&row.session)
        .map_err(|_| Refusal::Failed(format!("the session of offer {} cannot be read", row.id)))
}

/// Reads the claims of a subject.
pub(super) fn read_subject(text: &str) -> Result<BTreeMap<String, Json>, String> {
    let limits = json::Limits { bytes_max: SUBJECT_BYTES_MAX, depth_max: 8 };
    json::from_slice(text.as_bytes(), limits).map_err(|error| error.to_string())
}

/// The roles of a subject: a list of names, each once.
fn roles(subject: &BTreeMap<String, Json>) -> Result<BTreeSet<String>, Problem> {
    let names = match subject.get("role") {
        Some(Json::Array(names)) => names.as_slice(),
        _ => &[],
    };
    let roles: Option<BTreeSet<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    roles.filter(|roles| !roles.is_empty() && roles.len() == names.len()).ok_or_else(|| {
        Problem::invalid("`subject.role` has to be a list of different role names, for example [\"member\"]")
    })
}
