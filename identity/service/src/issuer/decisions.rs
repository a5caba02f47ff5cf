//! The issuer's decisions: what is offered to whom, when a credential is made, and how it is revoked.
//!
//! The protocol's own rules are `aval-openid`'s; here they meet the records and the ledger. What may happen once is
//! spent in the records in the same step as its effect, so that an interrupted request can be made again. A
//! revocation that has begun goes on whether or not its caller waits, and across restarts.

use super::config::{Config, CredentialConfig};
use super::ledger::{Ledger, LedgerError, blocking};
use super::metrics::Counters;
use super::status_list::{SignedList, StatusList};
use crate::clock::now_s;
use crate::keys::IssuerKeys;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::storage::{IssuanceRow, Issued, OfferRow, Records, RecordsError, Spending};
use aval_codec::{Json, b64u, json};
use aval_credential::{CredentialDraft, Limits, StatusEntry, StatusPurpose};
use aval_did::key::{PublicKey, SigningKey};
use aval_openid::ErrorResponse;
use aval_openid::vci::offer::TransactionCodeSpec;
use aval_openid::vci::token::TokenRequest;
use aval_openid::vci::{
    CredentialConfiguration, CredentialRequest, CredentialResponse, Issuer as Protocol, IssuerMetadata,
    Session, TokenResponse,
};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

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
    protocol: Protocol,
    config: Config,
    keys: Arc<IssuerKeys>,
    records: Records,
    ledger: Ledger,
    metrics: Arc<Metrics>,
    counters: Counters,
    status_list: StatusList,
}

/// Checks that the ledger knows the issuer: its key is in its DID document, it is accredited, and its registry exists.
/// The last is made if it is missing.
pub async fn prepare_ledger(config: &Config, ledger: &Ledger) -> Result<(), LedgerError> {
    let credential_type = config.credential.credential_type.clone();
    blocking(ledger, move |ledger| {
        ledger.check_identity()?;
        ledger.accredited_roles(&credential_type)?;
        ledger.ensure_registry()
    })
    .await
}

impl Issuer {
    /// Puts the issuer together.
    pub fn new(config: Config, keys: Arc<IssuerKeys>, records: Records, ledger: Ledger) -> Self {
        let CredentialConfig { credential_type, display_name, offer_minutes, .. } = &config.credential;
        let metadata = IssuerMetadata::new(&config.public_url).with_configuration(
            credential_type,
            CredentialConfiguration::vc_sd_jwt(credential_type, display_name),
        );
        let mut protocol = Protocol::new(metadata);
        protocol.rules.code_life_s = i64::from(*offer_minutes) * 60;
        let status_list = StatusList::new(config.list_uri(), keys.clone(), ledger.clone());
        let (metrics, counters) = Metrics::new("aval_issuer", Counters::register);
        Self { protocol, config, keys, records, ledger, metrics, counters, status_list }
    }

    /// What it says of itself, and the protocol's rules.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
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

    /// The status list as a signed credential.
    pub async fn status_list(&self) -> Result<Arc<SignedList>, LedgerError> {
        self.status_list.current().await
    }

    /// Makes an offer for a subject. `subject.role` names the roles; every other claim can be disclosed selectively.
    pub async fn offer(&self, subject: BTreeMap<String, Json>) -> Result<NewOffer, Problem> {
        let wanted = roles(&subject)?;
        let stored = serde_json::to_string(&subject).map_err(|error| Problem::internal(&error))?;
        self.rehearse(&stored)?;
        let credential_type = self.config.credential.credential_type.clone();
        let asked = credential_type.clone();
        let accredited = blocking(&self.ledger, move |ledger| ledger.accredited_roles(&asked)).await?;
        if let Some(role) = wanted.iter().find(|role| !accredited.contains(role)) {
            return Err(Problem::invalid(format!(
                "the ledger does not accredit this issuer for the role {role}"
            )));
        }
        let (id, code) = (Uuid::new_v4().to_string(), secret());
        let digits = 10u32.pow(TX_CODE_DIGITS);
        let tx_code =
            format!("{:0width$}", rand::rng().random_range(0..digits), width = TX_CODE_DIGITS as usize);
        let salt: [u8; 32] = rand::rng().random();
        let now_s = now_s();
        let (offer, session) = self.protocol.offer(
            vec![credential_type.clone()],
            code.clone(),
            Some((&tx_code, salt, TransactionCodeSpec::digits(TX_CODE_DIGITS))),
            now_s,
        );
        let row = OfferRow {
            id: id.clone(),
            configuration: credential_type,
            subject: stored,
            session: session_text(&session).map_err(|error| Problem::internal(&error))?,
            expires_s: session.expires_s(),
        };
        self.records.insert_offer(&row, &code, now_s).await?;
        self.counters.offers.inc();
        tracing::info!(offer = id, "offered");
        Ok(NewOffer { id, offer_uri: offer.to_uri(), tx_code, expires_s: row.expires_s })
    }

    /// Makes the credential of a subject once for nobody, so that what cannot be issued is not offered.
    fn rehearse(&self, subject: &str) -> Result<(), Problem> {
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Problem::invalid(format!("the subject's claims exceed {SUBJECT_BYTES_MAX} bytes")));
        }
        let holder = SigningKey::generate_p256().public();
        let mut row = self.issuance(subject, &holder, now_s());
        row.list_index = i64::from(self.config.registry.size) - 1;
        let credential = self.sign(&row, holder).map_err(|reason| {
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
        let life_s = self.protocol.rules.token_life_s;
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
        let expires_s = now_s().saturating_add(self.protocol.rules.nonce_life_s);
        self.records.insert_nonce(&nonce, expires_s).await?;
        Ok(nonce)
    }

    /// The credential endpoint.
    pub async fn issue(&self, token: &str, body: &[u8]) -> Result<CredentialResponse, Refusal> {
        let now_s = now_s();
        let row = self.records.offer_by_token(token, now_s).await?.ok_or(ErrorResponse::invalid_token())?;
        let request = CredentialRequest::parse(body)?;
        let mut session = read_session(&row)?;
        let accepted = self.protocol.accept(&session, &request, now_s)?;
        session.complete(&accepted.configuration_id);
        let session = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        let spending = Spending {
            offer: &row,
            session: &session,
            nonce: &accepted.nonce,
            size: self.config.registry.size,
            now_s,
        };
        let holder = accepted.holder.key;
        let wanted = self.issuance(&row.subject, &holder, now_s);
        let draw = |size| rand::rng().random_range(0..size);
        let issued =
            self.records.issue(&spending, &wanted, draw, |issuance| self.sign(issuance, holder)).await?;
        match issued {
            Issued::Done(credential) => {
                self.counters.issued.inc();
                tracing::info!(offer = row.id, issuance = wanted.id, "issued");
                Ok(CredentialResponse::of(credential))
            }
            Issued::NonceSpent => Err(ErrorResponse::invalid_nonce().into()),
            Issued::SessionMoved => Err(ErrorResponse::invalid_token().into()),
        }
    }

    /// A new issuance without an index.
    fn issuance(&self, subject: &str, holder: &PublicKey, now_s: i64) -> IssuanceRow {
        let validity_s = i64::from(self.config.credential.validity_days) * 86_400;
        IssuanceRow {
            id: Uuid::new_v4().to_string(),
            credential_type: self.config.credential.credential_type.clone(),
            subject: subject.to_owned(),
            holder: holder.thumbprint(),
            list: self.config.list_uri(),
            list_index: 0,
            issued_s: now_s,
            expires_s: now_s.saturating_add(validity_s),
            state: "valid".to_owned(),
            revocation: None,
        }
    }

    fn sign(&self, issuance: &IssuanceRow, holder: PublicKey) -> Result<String, String> {
        let claims = read_subject(&issuance.subject)?;
        let disclosable: BTreeSet<String> = claims.keys().filter(|name| *name != "role").cloned().collect();
        let draft = CredentialDraft {
            issuer: self.keys.did.to_string(),
            key_id: self.keys.key_id(),
            id: Some(format!("urn:uuid:{}", issuance.id)),
            contexts: Vec::new(),
            types: vec![issuance.credential_type.clone()],
            subject_id: None,
            claims,
            disclosable,
            status: vec![StatusEntry {
                purpose: StatusPurpose::Revocation,
                index: index_of(issuance),
                list: issuance.list.clone(),
            }],
            valid_from_s: issuance.issued_s.saturating_sub(CLOCK_SKEW_S),
            valid_until_s: Some(issuance.expires_s),
            holder_key: Some(holder),
            schema: None,
        };
        aval_credential::issue(&draft, &self.keys.signing, &mut || rand::rng().random())
            .map_err(|error| error.to_string())
    }

    /// Revokes what was issued: on the ledger first, then in the records. It goes on when the caller stops waiting.
    pub async fn revoke(self: &Arc<Self>, id: &str) -> Result<IssuanceRow, Problem> {
        let (issuer, id) = (self.clone(), id.to_owned());
        let span = tracing::Span::current();
        let work = async move { issuer.carry_out_revocation(&id).await };
        let task = tokio::spawn(tracing::Instrument::instrument(work, span));
        task.await.map_err(|_| Problem::from(LedgerError::Interrupted))?
    }

    async fn carry_out_revocation(&self, id: &str) -> Result<IssuanceRow, Problem> {
        let missing = || Problem::not_found("no credential was issued under this id");
        let row = self.records.issuance(id).await?.ok_or_else(missing)?;
        if row.state == "revoked" {
            return Ok(row);
        }
        let index = index_of(&row);
        // Noted before anything is asked: a revocation that was wanted is not forgotten if the ledger cannot be
        // reached.
        self.records.begin_revocation(id, None).await?;
        let prepared = blocking(&self.ledger, move |ledger| {
            if ledger.is_revoked(index)? { Ok(None) } else { ledger.revocation(index).map(Some) }
        });
        let mut by = None;
        if let Some(transaction) = prepared.await? {
            let transaction_id = transaction.transaction.id().to_string();
            self.records.begin_revocation(id, Some(&transaction_id)).await?;
            let sent = blocking(&self.ledger, move |ledger| match ledger.send(&transaction) {
                Ok(()) => Ok(true),
                // Another request may have been faster; what counts is the bit.
                Err(error @ LedgerError::Refused { .. }) => {
                    if ledger.is_revoked(index)? {
                        Ok(false)
                    } else {
                        Err(error)
                    }
                }
                Err(error) => Err(error),
            });
            by = sent.await?.then_some(transaction_id);
        }
        if self.records.finish_revocation(id, by.as_deref(), now_s()).await? {
            self.counters.revocations.inc();
            tracing::info!(issuance = id, "revoked");
        }
        self.status_list.outdate();
        self.records.issuance(id).await?.ok_or_else(missing)
    }

    /// Goes on with revocations that an earlier run or an unreachable ledger left open.
    pub async fn finish_revocations(self: &Arc<Self>) {
        let open = match self.records.revoking().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "open revocations could not be read");
                return;
            }
        };
        let mut left = open.len();
        for row in &open {
            match self.revoke(&row.id).await {
                Ok(_) => left -= 1,
                Err(problem) => {
                    tracing::warn!(
                        issuance = row.id,
                        code = problem.code,
                        "a revocation stays open; it is tried again"
                    );
                }
            }
        }
        self.counters.revocations_open.set(i64::try_from(left).unwrap_or(i64::MAX));
    }
}

fn index_of(issuance: &IssuanceRow) -> u64 {
    u64::try_from(issuance.list_index).unwrap_or_default()
}

fn session_text(session: &Session) -> Result<String, serde_json::Error> {
    serde_json::to_string(session)
}

fn read_session(row: &OfferRow) -> Result<Session, Refusal> {
    serde_json::from_str(&row.session)
        .map_err(|_| Refusal::Failed(format!("the session of offer {} cannot be read", row.id)))
}

fn read_subject(text: &str) -> Result<BTreeMap<String, Json>, String> {
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
