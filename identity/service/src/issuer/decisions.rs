//! The issuer's decisions: what is offered to whom, and when a credential is made.
//!
//! The protocol's own rules are `aval-openid`'s; here they meet the records and the ledger. What may happen once is
//! spent in the records in the same step as its effect, so that an interrupted request can be made again.

use super::config::{Config, CredentialConfig};
use super::instance::Instances;
use super::kind::Kind;
use super::ledger::{Ledger, LedgerError, blocking};
use super::make::make;
use super::metrics::Counters;
use super::page;
use super::status_list::StatusList;
use crate::clock::now_s;
use crate::keys::{IssuerKeys, Key};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::{
    Entry, GrantType, IssuanceRow, OfferRow, Records, RecordsError, Slot, StatusRow, TemplateRow,
};
use aval_codec::{Json, b64u, json, sha256};
use aval_credential::Limits;
use aval_credential::schema::Schema;
use aval_did::key::SigningKey;
use aval_openid::ErrorResponse;
use aval_openid::jwe::DecryptionKey;
use aval_openid::vci::issuer::SessionState;
use aval_openid::vci::metadata::Encryption;
use aval_openid::vci::offer::{CredentialOffer, TransactionCodeSpec};
use aval_openid::vci::token::TokenRequest;
use aval_openid::vci::{
    CredentialConfiguration, Format, HolderKey, Issuer as Protocol, IssuerMetadata, Session, TokenResponse,
};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

/// Templates of one issuer.
pub const TEMPLATES_MAX: i64 = 200;
/// Digits of a transaction code.
const TX_CODE_DIGITS: u32 = 6;
/// The largest subject that an offer may carry.
const SUBJECT_BYTES_MAX: usize = 8 * 1024;
/// What a presentation adds to a credential: the key binding, with room to spare.
const KEY_BINDING_BYTES: usize = 1024;
/// How far a credential's validity reaches back, so that a verifier whose clock is a little behind takes it.
pub(super) const CLOCK_SKEW_S: i64 = 60;
/// How many keys a wallet may show at once, each for a credential of its own.
const BATCH_MAX: u32 = 8;
/// Letters of a login code: 60 bits, without those that look alike.
const LOGIN_LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Three groups of so many.
const LOGIN_GROUP: usize = 4;
/// Where the key that requests are encrypted to is kept.
const REQUEST_KEY: &str = "request-key";

/// Fresh random bytes in base64url: codes, tokens and nonces.
pub(super) fn secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    b64u::encode(bytes)
}

/// The code in an offer, or its issuer state, from what the reference to the offer ends with. So the records need not
/// hold the code to serve the offer, and who reads them can redeem nothing.
fn code_of(reference: &str) -> String {
    b64u::encode(sha256(format!("offer {reference}").as_bytes()))
}

/// A login code: `ABCD-EFGH-JKLM`.
fn login_code() -> String {
    let letter = || {
        let at = rand::rng().random_range(0..LOGIN_LETTERS.len());
        char::from(LOGIN_LETTERS.get(at).copied().unwrap_or(b'2'))
    };
    let group = || (0..LOGIN_GROUP).map(|_| letter()).collect::<String>();
    format!("{}-{}-{}", group(), group(), group())
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
    /// The same as a picture, SVG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// What the holder is told another way, and enters into the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_code: Option<String>,
    /// What the holder is told another way, and enters on the issuer's page; once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_code: Option<String>,
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
    following: Mutex<()>,
    config: Config,
    keys: Arc<IssuerKeys>,
    records: Records,
    ledger: Ledger,
    metrics: Arc<Metrics>,
    counters: Counters,
    status_lists: BTreeMap<String, StatusList>,
    request_key: OnceCell<DecryptionKey>,
    instances: Instances,
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
    /// How it is redeemed.
    pub grant: GrantType,
    /// Whether the link has a reference to the offer in it instead of the offer.
    pub by_reference: bool,
    /// Whether the link is wanted as a picture, too.
    pub qr: bool,
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
        let request_key = OnceCell::new();
        let instances = Instances::new();
        Self {
            protocol,
            following: Mutex::new(()),
            config,
            keys,
            records,
            ledger,
            metrics,
            counters,
            status_lists,
            request_key,
            instances,
        }
    }

    /// With further issuers of the VC-API.
    pub fn with_instances(self, instances: Instances) -> Self {
        Self { instances, ..self }
    }

    /// Further issuers of the VC-API.
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// The key that wallets encrypt requests to: the same on every instance. It protects on the way and beyond a proxy
    /// that ends TLS, not from who reads the records.
    pub(super) async fn request_key(&self) -> Result<&DecryptionKey, RecordsError> {
        let key = self.request_key.get_or_try_init(|| async {
            let made = b64u::encode(DecryptionKey::generate().to_seed().as_slice());
            let kept = self.records.setting_or(REQUEST_KEY, &made).await?;
            let seed = b64u::decode_array::<32>(&kept).ok();
            let key = seed.and_then(|seed| DecryptionKey::from_seed(&seed).ok());
            key.ok_or_else(|| RecordsError::NotMade("the key for requests cannot be read".to_owned()))
        });
        key.await
    }

    /// What wallets are told.
    pub(super) async fn metadata(&self) -> Result<IssuerMetadata, RecordsError> {
        let mut metadata = self.protocol().metadata.clone();
        let key = self.request_key().await?;
        metadata.credential_request_encryption = Some(Encryption::of_requests(key, false));
        Ok(metadata)
    }

    /// What it says of itself, and the protocol's rules.
    pub fn protocol(&self) -> Arc<Protocol> {
        self.protocol.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offers what the templates say from now on; another instance may have changed them.
    pub async fn follow_templates(&self) -> Result<(), RecordsError> {
        // One after the other: what was read earlier must not replace what was read later.
        let _following = self.following.lock().await;
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

    /// Checks that credentials can be made of a template: key, accreditation, schema.
    pub async fn check_template(&self, template: &TemplateRow) -> Result<(), Problem> {
        let kind = Kind::of(&self.config, Some(template))?;
        let key = self.key_of(&kind)?;
        kind.check(key.algorithm())?;
        if kind.options.certified && self.keys.certificates(key.method()).is_none() {
            return Err(Problem::invalid("certified: config.json has no `certificates` for this key"));
        }
        let asked = key.clone();
        blocking(&self.ledger, move |ledger| ledger.check_key(&asked)).await?;
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

    /// The key that signs credentials of a kind.
    pub(super) fn key_of(&self, kind: &Kind) -> Result<Arc<Key>, Problem> {
        let Some(name) = &kind.options.key else { return Ok(self.keys.active()) };
        let key = self.keys.named(&format!("#{name}"));
        key.ok_or_else(|| Problem::invalid("the key file has no key of the template's name"))
    }

    /// Makes an offer. `operator` is whose doing it is.
    pub async fn offer(&self, order: Order, operator: &str) -> Result<NewOffer, Problem> {
        let Order { subject, template, subject_id, replaces, grant, by_reference, qr } = order;
        let kind = Kind::of(&self.config, template.as_ref())?;
        let wanted = roles(&subject, kind.is_configured)?;
        if let Some(template) = &template {
            self.check_schema(template, &subject).await?;
        }
        let stored = serde_json::to_string(&subject).map_err(|error| Problem::internal(&error))?;
        self.rehearse(&kind, &stored)?;
        self.check_accreditation(&kind.credential_type, &wanted).await?;
        let (id, reference, now_s) = (Uuid::new_v4().to_string(), secret(), now_s());
        let code = code_of(&reference);
        let ids = vec![kind.configuration.clone()];
        let protocol = self.protocol();
        let (offer, session, tx_code, login_code) = match grant {
            GrantType::PreAuthorized => {
                let digits = rand::rng().random_range(0..10u32.pow(TX_CODE_DIGITS));
                let tx_code = format!("{digits:0width$}", width = TX_CODE_DIGITS as usize);
                let spec = TransactionCodeSpec::digits(TX_CODE_DIGITS);
                let tx = Some((tx_code.as_str(), rand::rng().random(), spec));
                let (offer, session) = protocol.offer(ids, code.clone(), tx, now_s);
                (offer, session, Some(tx_code), None)
            }
            GrantType::AuthorizationCode => {
                let issuer = &protocol.metadata.credential_issuer;
                let offer = CredentialOffer::with_authorization(issuer, ids.clone(), code.clone());
                let until_s = now_s.saturating_add(protocol.rules.code_life_s);
                (offer, Session::authorized(ids, until_s), None, Some(login_code()))
            }
        };
        let row = OfferRow {
            id: id.clone(),
            configuration: kind.configuration,
            subject: stored,
            session: session_text(&session).map_err(|error| Problem::internal(&error))?,
            expires_s: session.expires_s(),
            template_id: template.map(|template| template.id),
            subject_id,
            replaces,
            grant,
        };
        let entry = Entry::of(operator, "offer.created", &id, now_s);
        self.records.insert_offer_with(&row, &code, login_code.as_deref(), &entry).await?;
        self.counters.offers.inc();
        tracing::info!(offer = id, "offered");
        let offer_uri = if by_reference {
            CredentialOffer::uri_by_reference(&format!("{}/offer/{reference}", self.config.public_url))
        } else {
            offer.to_uri()
        };
        let qr = if qr { Some(page::qr_svg(&offer_uri)?) } else { None };
        Ok(NewOffer { id, offer_uri, qr, tx_code, login_code, expires_s: row.expires_s })
    }

    /// The offer behind a reference, while it can be redeemed.
    pub async fn offered(&self, reference: &str) -> Result<Option<CredentialOffer>, Refusal> {
        let code = code_of(reference);
        let Some(row) = self.records.offer_by_code(&code).await? else { return Ok(None) };
        let session = read_session(&row)?;
        let waits = match row.grant {
            GrantType::PreAuthorized => session.state() == SessionState::Offered,
            GrantType::AuthorizationCode => session.state() == SessionState::Redeemed,
        };
        if !waits || now_s() >= row.expires_s {
            return Ok(None);
        }
        let (issuer, ids) = (&self.config.public_url, vec![row.configuration]);
        Ok(Some(match row.grant {
            GrantType::PreAuthorized => {
                let spec = TransactionCodeSpec::digits(TX_CODE_DIGITS);
                CredentialOffer::pre_authorized(issuer, ids, code, Some(spec))
            }
            GrantType::AuthorizationCode => CredentialOffer::with_authorization(issuer, ids, code),
        }))
    }

    /// Makes the credential of a subject once for nobody, so that what cannot be issued is not offered.
    fn rehearse(&self, kind: &Kind, subject: &str) -> Result<(), Problem> {
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Problem::invalid(format!("the subject's claims exceed {SUBJECT_BYTES_MAX} bytes")));
        }
        let holder = HolderKey { key: SigningKey::generate_p256().public(), did: None };
        let mut row = self.issuance(kind, subject, &holder, now_s());
        let last = |slot: Slot| StatusRow::first(&row.id, &slot, i64::from(slot.size) - 1);
        row.status = kind.slots.clone().into_iter().map(last).collect();
        let key = self.key_of(kind)?;
        let credential = make(&self.keys, &key, kind, &row, &holder).map_err(|reason| {
            Problem::invalid(format!("no credential can be made of these claims: {reason}"))
        })?;
        let for_ledger = matches!(kind.format, Format::VcSdJwt | Format::DcSdJwt);
        let bytes = credential.as_str().map_or(0, str::len);
        if for_ledger && bytes + KEY_BINDING_BYTES > Limits::LEDGER.bytes_max {
            return Err(Problem::invalid("the credential would be too large to be presented to the ledger"));
        }
        Ok(())
    }

    /// Redeems a pre-authorized code. A token that is asked for with a proof of possession is bound to its key.
    pub(super) async fn redeem(
        &self,
        form: &[u8],
        thumbprint: Option<String>,
    ) -> Result<TokenResponse, Refusal> {
        let request = TokenRequest::parse(form)?;
        let now_s = now_s();
        let row = self.records.offer_by_code(&request.code).await?;
        let row = row.filter(|row| row.grant == GrantType::PreAuthorized);
        let row = row.ok_or(ErrorResponse::invalid_grant())?;
        let mut session = read_session(&row)?;
        let redeemed = session.redeem(&request, now_s);
        let is_bound = thumbprint.is_some();
        if let Some(thumbprint) = thumbprint.filter(|_| redeemed.is_ok()) {
            session.bind(thumbprint);
        }
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
        let life_s = u64::try_from(life_s).unwrap_or_default();
        Ok(if is_bound { TokenResponse::dpop(token, life_s) } else { TokenResponse::bearer(token, life_s) })
    }

    /// The nonce endpoint.
    pub async fn nonce(&self) -> Result<String, RecordsError> {
        let nonce = secret();
        let expires_s = now_s().saturating_add(self.protocol().rules.nonce_life_s);
        self.records.insert_nonce(&nonce, expires_s).await?;
        Ok(nonce)
    }

    pub(super) fn offers(&self, configuration: &str) -> bool {
        self.protocol().metadata.credential_configurations_supported.contains_key(configuration)
    }

    /// The accreditation that was there when the offer was made may have ended since.
    pub(super) async fn check_still_accredited(&self, kind: &Kind, row: &OfferRow) -> Result<(), Refusal> {
        let subject = read_subject(&row.subject).map_err(Refusal::Failed)?;
        let wanted = roles(&subject, kind.is_configured);
        let wanted = wanted.map_err(|problem| Refusal::Failed(problem.detail))?;
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
    pub(super) fn issuance(&self, kind: &Kind, subject: &str, holder: &HolderKey, now_s: i64) -> IssuanceRow {
        let id = Uuid::new_v4().to_string();
        IssuanceRow {
            credential_id: format!("urn:uuid:{id}"),
            id,
            credential_type: kind.credential_type.clone(),
            format: kind.format.name().to_owned(),
            subject: subject.to_owned(),
            holder: holder.key.thumbprint(),
            issued_s: now_s,
            expires_s: now_s.saturating_add(kind.validity_days.saturating_mul(86_400)),
            state: "valid".to_owned(),
            ..IssuanceRow::default()
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
    let mut metadata =
        templates.iter().fold(metadata, |metadata, template| match Kind::of(config, Some(template)) {
            Ok(kind) => metadata.with_configuration(&template.id, kind.described(&template.display_name)),
            Err(problem) => {
                tracing::error!(template = template.id, reason = problem.detail, "not offered");
                metadata
            }
        });
    metadata.credential_response_encryption = Some(Encryption::of_responses(false));
    let mut protocol = Protocol::new(metadata.with_later(BATCH_MAX));
    protocol.rules.code_life_s = i64::from(*offer_minutes) * 60;
    protocol
}

pub(super) fn session_text(session: &Session) -> Result<String, serde_json::Error> {
    serde_json::to_string(session)
}

pub(super) fn read_session(row: &OfferRow) -> Result<Session, Refusal> {
    serde_json::from_str(&row.session)
        .map_err(|_| Refusal::Failed(format!("the session of offer {} cannot be read", row.id)))
}

/// Reads the claims of a subject.
pub(super) fn read_subject(text: &str) -> Result<BTreeMap<String, Json>, String> {
    let limits = json::Limits { bytes_max: SUBJECT_BYTES_MAX, depth_max: 8 };
    json::from_slice(text.as_bytes(), limits).map_err(|error| error.to_string())
}

/// The roles of a subject: a list of names, each once. What the ledger reads has one at least.
fn roles(subject: &BTreeMap<String, Json>, required: bool) -> Result<BTreeSet<String>, Problem> {
    let names = match subject.get("role") {
        None if !required => return Ok(BTreeSet::new()),
        Some(Json::Array(names)) => names.as_slice(),
        _ => &[],
    };
    let roles: Option<BTreeSet<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    roles.filter(|roles| !roles.is_empty() && roles.len() == names.len()).ok_or_else(|| {
        Problem::invalid("`subject.role` has to be a list of different role names, for example [\"member\"]")
    })
}
