//! The issuer's decisions: what is offered to whom, when a credential is made, and how it is revoked.
//!
//! The protocol's own rules are `aval-openid`'s; here they meet the records and the ledger. What may happen once is spent in the records before
//! its effect is visible.

use crate::config::{Config, CredentialConfig};
use crate::keys::IssuerKeys;
use crate::ledger::{Ledger, LedgerError, blocking};
use crate::problem::Problem;
use crate::records::{IssuanceRow, OfferRow, Records, RecordsError};
use aval_codec::{Json, b64u, json};
use aval_credential::{CredentialDraft, StatusEntry, StatusPurpose};
use aval_openid::ErrorResponse;
use aval_openid::vci::offer::TransactionCodeSpec;
use aval_openid::vci::token::TokenRequest;
use aval_openid::vci::{
    CredentialConfiguration, CredentialRequest, CredentialResponse, Issuer as Protocol, IssuerMetadata, Session,
    TokenResponse,
};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Digits of a transaction code.
const TX_CODE_DIGITS: u32 = 6;
/// The largest subject that an offer may carry.
const SUBJECT_BYTES_MAX: usize = 8 * 1024;

/// The wall clock, Unix seconds.
pub fn now_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// Fresh random bytes in base64url: codes, tokens and nonces.
fn secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    b64u::encode(&bytes)
}

/// Why a wallet's request got no credential.
#[derive(Debug)]
pub enum Refusal {
    /// The protocol says no, in its own words.
    Protocol(ErrorResponse),
    /// The service failed.
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
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
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

/// The issuer.
pub struct Issuer {
    /// The public metadata and the protocol's rules.
    pub protocol: Protocol,
    config: Config,
    keys: Arc<IssuerKeys>,
    records: Records,
    ledger: Ledger,
}

impl Issuer {
    /// Puts the issuer together and makes sure that the ledger knows it: it is accredited, and its registry exists.
    pub async fn start(
        config: Config,
        keys: Arc<IssuerKeys>,
        records: Records,
        ledger: Ledger,
    ) -> Result<Self, LedgerError> {
        let credential_type = config.credential.credential_type.clone();
        let size = u32::try_from(config.registry.size).unwrap_or(u32::MAX);
        blocking(&ledger, move |ledger| {
            ledger.accredited_roles(&credential_type)?;
            ledger.ensure_registry(size)
        })
        .await?;
        let CredentialConfig { credential_type, display_name, offer_minutes, .. } = &config.credential;
        let metadata = IssuerMetadata::new(&config.public_url).with_configuration(
            credential_type,
            CredentialConfiguration::vc_sd_jwt(credential_type, display_name),
        );
        let mut protocol = Protocol::new(metadata);
        protocol.rules.code_life_s = i64::from(*offer_minutes) * 60;
        Ok(Self { protocol, config, keys, records, ledger })
    }

    /// The issuer's records.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Makes an offer for a subject. `subject.role` names the roles; every other claim can be disclosed selectively.
    pub async fn offer(&self, subject: BTreeMap<String, Json>) -> Result<NewOffer, Problem> {
        let wanted = roles(&subject)?;
        let credential_type = self.config.credential.credential_type.clone();
        let asked = credential_type.clone();
        let accredited = blocking(&self.ledger, move |ledger| ledger.accredited_roles(&asked)).await?;
        if let Some(role) = wanted.iter().find(|role| !accredited.contains(role)) {
            return Err(Problem::invalid(format!("the ledger does not accredit this issuer for the role {role}")));
        }
        let stored = serde_json::to_string(&subject).map_err(|error| Problem::internal(&error))?;
        if stored.len() > SUBJECT_BYTES_MAX {
            return Err(Problem::invalid(format!("the subject's claims exceed {SUBJECT_BYTES_MAX} bytes")));
        }
        let (id, code) = (Uuid::new_v4().to_string(), secret());
        let digits = 10u32.pow(TX_CODE_DIGITS);
        let tx_code = format!("{:0width$}", rand::rng().random_range(0..digits), width = TX_CODE_DIGITS as usize);
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
        self.records.log(now_s, "offer.created", &id).await?;
        Ok(NewOffer { id, offer_uri: offer.to_uri(), tx_code, expires_s: row.expires_s })
    }

    /// The token endpoint.
    pub async fn redeem(&self, form: &[u8]) -> Result<TokenResponse, Refusal> {
        let request = TokenRequest::parse(form)?;
        let now_s = now_s();
        let row = self.records.offer_by_code(&request.code).await?.ok_or(ErrorResponse::invalid_grant())?;
        let mut session = read_session(&row)?;
        let redeemed = session.redeem(&request, now_s);
        let after = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        // The session is stored also after a refusal: a wrong code uses an attempt up.
        if !self.records.advance_session(&row.id, &row.session, &after).await? {
            return Err(ErrorResponse::invalid_grant().into());
        }
        redeemed?;
        let token = secret();
        let life_s = self.protocol.rules.token_life_s;
        self.records.insert_token(&token, &row.id, now_s.saturating_add(life_s)).await?;
        self.records.log(now_s, "offer.redeemed", &row.id).await?;
        Ok(TokenResponse::bearer(token, u64::try_from(life_s).unwrap_or_default()))
    }

    /// The nonce endpoint.
    pub async fn nonce(&self) -> Result<String, RecordsError> {
        let (nonce, now_s) = (secret(), now_s());
        self.records.insert_nonce(&nonce, now_s, now_s.saturating_add(self.protocol.rules.nonce_life_s)).await?;
        Ok(nonce)
    }

    /// The credential endpoint.
    pub async fn issue(&self, token: &str, body: &[u8]) -> Result<CredentialResponse, Refusal> {
        let now_s = now_s();
        let row =
            self.records.offer_by_token(token, now_s).await?.ok_or(ErrorResponse::invalid_token())?;
        let request = CredentialRequest::parse(body)?;
        let mut session = read_session(&row)?;
        let accepted = self.protocol.accept(&session, &request, now_s)?;
        if !self.records.spend_nonce(&accepted.nonce, now_s).await? {
            return Err(ErrorResponse::invalid_nonce().into());
        }
        session.complete(&accepted.configuration_id);
        let after = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        if !self.records.advance_session(&row.id, &row.session, &after).await? {
            return Err(ErrorResponse::invalid_token().into());
        }
        let validity_s = i64::from(self.config.credential.validity_days) * 86_400;
        let wanted = IssuanceRow {
            id: Uuid::new_v4().to_string(),
            credential_type: accepted.configuration_id,
            subject: row.subject.clone(),
            holder: accepted.holder.key.thumbprint(),
            list: self.config.list_uri(),
            list_index: 0,
            issued_s: now_s,
            expires_s: now_s.saturating_add(validity_s),
            state: "valid".to_owned(),
            revocation: None,
        };
        let issuance = self
            .records
            .insert_issuance(&row.id, &wanted, self.config.registry.size, |size| rand::rng().random_range(0..size))
            .await?;
        let credential = self.sign(&issuance, accepted.holder.key)?;
        self.records.log(now_s, "credential.issued", &issuance.id).await?;
        Ok(CredentialResponse::of(credential))
    }

    fn sign(&self, issuance: &IssuanceRow, holder: aval_did::PublicKey) -> Result<String, Refusal> {
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
                index: u64::try_from(issuance.list_index).unwrap_or_default(),
                list: issuance.list.clone(),
            }],
            valid_from_s: issuance.issued_s,
            valid_until_s: Some(issuance.expires_s),
            holder_key: Some(holder),
            schema: None,
        };
        aval_credential::issue(&draft, &self.keys.signing, &mut || rand::rng().random())
            .map_err(|error| Refusal::Failed(error.to_string()))
    }

    /// Revokes what was issued: on the ledger first, then in the records.
    pub async fn revoke(&self, id: &str) -> Result<IssuanceRow, Problem> {
        let row = self
            .records
            .issuance(id)
            .await?
            .ok_or_else(|| Problem::not_found("no credential was issued under this id"))?;
        if row.state == "revoked" {
            return Ok(row);
        }
        self.records.set_state(id, "revoking", None).await?;
        let index = u64::try_from(row.list_index).unwrap_or_default();
        let transaction = blocking(&self.ledger, move |ledger| ledger.revoke(index)).await?;
        self.records.set_state(id, "revoked", transaction.as_deref()).await?;
        self.records.log(now_s(), "credential.revoked", id).await?;
        self.records.issuance(id).await?.ok_or_else(|| Problem::not_found("the record has disappeared"))
    }

    /// Finishes revocations that an earlier run of the service began.
    pub async fn finish_revocations(&self) {
        let unfinished = match self.records.issuances_in_state("revoking").await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "unfinished revocations could not be read");
                return;
            }
        };
        for row in unfinished {
            if let Err(problem) = self.revoke(&row.id).await {
                tracing::warn!(id = row.id, code = problem.code, "a revocation could not be finished; it stays open");
            }
        }
    }
}

fn session_text(session: &Session) -> Result<String, serde_json::Error> {
    serde_json::to_string(session)
}

fn read_session(row: &OfferRow) -> Result<Session, Refusal> {
    serde_json::from_str(&row.session).map_err(|error| Refusal::Failed(format!("offer {}: {error}", row.id)))
}

fn read_subject(text: &str) -> Result<BTreeMap<String, Json>, Refusal> {
    let limits = json::Limits { bytes_max: SUBJECT_BYTES_MAX, depth_max: 8 };
    json::from_slice(text.as_bytes(), limits).map_err(|error| Refusal::Failed(error.to_string()))
}

/// The roles of a subject: one name or a list of names.
fn roles(subject: &BTreeMap<String, Json>) -> Result<Vec<String>, Problem> {
    let names = match subject.get("role") {
        Some(Json::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    let roles: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    roles
        .filter(|roles| !roles.is_empty())
        .ok_or_else(|| Problem::invalid("`subject.role` has to be a list of role names, for example [\"member\"]"))
}
