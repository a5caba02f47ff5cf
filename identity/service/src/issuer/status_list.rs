//! A status list as verifiers get it, in each form that the standards know.
//!
//! | media type | what it is |
//! |---|---|
//! | `application/vc+jwt` | `BitstringStatusListCredential` (Bitstring Status List 1.0, section 2.2) as VC-JOSE-COSE |
//! | `application/vc` | the same, secured by Data Integrity with `eddsa-jcs-2022` or `ecdsa-jcs-2019` |
//! | `application/statuslist+jwt` | Token Status List (IETF draft, section 5.1) |
//! | `application/statuslist+cwt` | the same as CWT (section 5.2) |
//!
//! Its bits are read from the ledger with proofs and never from the records, so that it cannot say anything else than
//! the ledger does. The records only tell when to read again: they count the changes that any instance made. One
//! request at a time refreshes it; while the ledger cannot be reached, the last list is served until its validity ends.

use super::config::RegistryConfig;
use super::ledger::{Ledger, LedgerError, StatusBits, blocking};
use crate::clock::now_s;
use crate::keys::{IssuerKeys, Key};
use crate::storage::Records;
use aval_codec::sha256;
use aval_credential::date;
use aval_did::key::Algorithm;
use aval_formats::cose;
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::jose;
use aval_formats::status::token::{CWT_TYPE, JWT_TYPE};
use aval_formats::status::{BitstringList, TokenList, TokenListClaims};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// For how long a verifier may keep the list: what is revoked is refused soon after, and asking again with the entity
/// tag costs little.
pub const MAX_AGE: Duration = Duration::from_secs(2);
/// For how long the service does not ask the ledger again when no instance noted a change.
const READ_EVERY: Duration = Duration::from_secs(30);
/// How often the records are asked whether an instance noted one.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a signed list is valid. It is signed again after half of it.
const LIFE_S: i64 = 3_600;

/// A form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A credential as a JWT.
    VcJwt,
    /// A credential with a Data Integrity proof.
    DataIntegrity,
    /// A Token Status List as a JWT.
    TokenJwt,
    /// A Token Status List as a CWT.
    TokenCwt,
}

impl Form {
    /// All forms, the one that is served without a wish first.
    pub const ALL: [Self; 4] = [Self::VcJwt, Self::DataIntegrity, Self::TokenJwt, Self::TokenCwt];

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::VcJwt => "application/vc+jwt",
            Self::DataIntegrity => "application/vc",
            Self::TokenJwt => "application/statuslist+jwt",
            Self::TokenCwt => "application/statuslist+cwt",
        }
    }

    /// The form that an `Accept` header (RFC 9110, section 12.5.1) prefers; `None` if it takes none of ours. Without a
    /// header, and for what is said with the same weight, the earlier form of [`Self::ALL`] wins.
    pub fn accepted(accept: &str) -> Option<Self> {
        if accept.trim().is_empty() {
            return Some(Self::VcJwt);
        }
        let ranges: Vec<(String, u16)> = accept.split(',').map(range).collect();
        let weight = |form: Self| {
            let names: &[&str] = match form {
                Self::VcJwt => &["application/vc+jwt"],
                Self::DataIntegrity => {
                    &["application/vc", "application/vc+ld+json", "application/ld+json", "application/json"]
                }
                Self::TokenJwt => &["application/statuslist+jwt"],
                Self::TokenCwt => &["application/statuslist+cwt"],
            };
            let exact = ranges
                .iter()
                .filter(|(range, _)| names.contains(&range.as_str()))
                .map(|(_, weight)| *weight)
                .max();
            let of =
                |wanted: &str| ranges.iter().find(|(range, _)| range == wanted).map(|(_, weight)| *weight);
            exact.or_else(|| of("application/*")).or_else(|| of("*/*")).unwrap_or_default()
        };
        let mut best = None;
        for form in Self::ALL {
            let weight = weight(form);
            if weight > 0 && best.is_none_or(|(_, most)| weight > most) {
                best = Some((form, weight));
            }
        }
        best.map(|(form, _)| form)
    }
}

/// A media range with its weight in thousandths.
fn range(text: &str) -> (String, u16) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, |text| {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let thousandths = format!("{rest:0<3}").get(..3).and_then(|text| text.parse().ok()).unwrap_or(0);
        if whole == "1" { 1_000 } else { thousandths }
    });
    (name, weight)
}

/// A list as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedList {
    /// The body.
    pub body: Vec<u8>,
    /// The entity tag, in quotes.
    pub etag: String,
    signed_s: i64,
    valid_until_s: i64,
    key_id: String,
}

#[derive(Clone)]
struct Kept {
    status: Arc<StatusBits>,
    generation: i64,
    /// When the ledger was asked; `None` if it has to be asked again.
    read_at: Option<Instant>,
    looked_at: Instant,
    signed: BTreeMap<Form, Arc<SignedList>>,
}

/// The list of one of the issuer's registries.
#[derive(Clone)]
pub struct StatusList {
    uri: String,
    purpose: String,
    keys: Arc<IssuerKeys>,
    ledger: Ledger,
    records: Records,
    kept: Arc<RwLock<Option<Kept>>>,
    refreshing: Arc<Mutex<()>>,
}

impl StatusList {
    /// The list under this URI. Nothing is asked yet.
    pub fn new(
        uri: String,
        registry: &RegistryConfig,
        keys: Arc<IssuerKeys>,
        ledger: Ledger,
        records: Records,
    ) -> Self {
        let purpose = registry.purpose.clone();
        Self { uri, purpose, keys, ledger, records, kept: Arc::default(), refreshing: Arc::default() }
    }

    /// Its URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Notes that the ledger's list has changed.
    pub fn outdate(&self) {
        if let Some(kept) = self.kept.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            kept.read_at = None;
        }
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, kept: Kept) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// What was read from the ledger, if no instance changed it since.
    async fn fresh(&self) -> Option<Kept> {
        let kept = self.kept()?;
        kept.read_at.filter(|at| at.elapsed() < READ_EVERY)?;
        if kept.looked_at.elapsed() < LOOK_EVERY {
            return Some(kept);
        }
        let looked_at = Instant::now();
        let same =
            self.records.generation(&self.uri).await.is_ok_and(|generation| generation == kept.generation);
        if same && let Some(kept) = self.kept.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            kept.looked_at = looked_at;
        }
        same.then_some(kept)
    }

    /// The last list, if it is still valid.
    fn valid(&self, form: Form) -> Option<Arc<SignedList>> {
        self.kept()?.signed.get(&form).filter(|list| now_s() < list.valid_until_s).cloned()
    }

    /// The list in a form.
    pub async fn current(&self, form: Form) -> Result<Arc<SignedList>, LedgerError> {
        if let Some(kept) = self.fresh().await {
            return self.signed(&kept, form);
        }
        let place = match (self.refreshing.clone().try_lock_owned(), self.valid(form)) {
            (Ok(place), _) => place,
            // Somebody else asks the ledger, which may take long; until then the last list is good enough.
            (Err(_), Some(list)) => return Ok(list),
            (Err(_), None) => self.refreshing.clone().lock_owned().await,
        };
        if let Some(kept) = self.fresh().await {
            return self.signed(&kept, form);
        }
        let this = self.clone();
        // A task of its own: a client that goes away does not throw away what the others wait for.
        let refreshed = tokio::spawn(async move {
            let _place = place;
            this.refresh().await
        });
        let refreshed = refreshed.await.unwrap_or(Err(LedgerError::Interrupted));
        match (refreshed.and_then(|kept| self.signed(&kept, form)), self.valid(form)) {
            (Ok(list), _) => Ok(list),
            (Err(error), Some(list)) => {
                tracing::warn!(%error, "the status list could not be read from the ledger; the last one is served");
                Ok(list)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn refresh(&self) -> Result<Kept, LedgerError> {
        let read_at = Instant::now();
        // Asked before the ledger is: a change in between is found by the next look.
        let generation = self.records.generation(&self.uri).await.unwrap_or_default();
        let uri = self.uri.clone();
        let status = blocking(&self.ledger, move |ledger| ledger.status_bits(&uri)).await?;
        let signed = self.kept().filter(|kept| kept.status.bits == status.bits).map(|kept| kept.signed);
        let kept = Kept {
            status: Arc::new(status),
            generation,
            read_at: Some(read_at),
            looked_at: read_at,
            signed: signed.unwrap_or_default(),
        };
        self.keep(kept.clone());
        Ok(kept)
    }

    /// The signed list over what was read; signed again by another key and after half of its life.
    fn signed(&self, kept: &Kept, form: Form) -> Result<Arc<SignedList>, LedgerError> {
        let (now_s, key) = (now_s(), self.keys.active());
        let usable = |list: &&Arc<SignedList>| {
            now_s.saturating_sub(list.signed_s) < LIFE_S / 2 && list.key_id == key.id()
        };
        if let Some(list) = kept.signed.get(&form).filter(usable) {
            return Ok(list.clone());
        }
        let list = Arc::new(self.sign(&key, &kept.status, form, now_s)?);
        if let Some(now_kept) = self.kept.write().unwrap_or_else(PoisonError::into_inner).as_mut()
            && Arc::ptr_eq(&now_kept.status, &kept.status)
        {
            now_kept.signed.insert(form, list.clone());
        }
        Ok(list)
    }

    fn sign(
        &self,
        key: &Key,
        status: &StatusBits,
        form: Form,
        now_s: i64,
    ) -> Result<SignedList, LedgerError> {
        let failed = |error: &dyn std::fmt::Display| LedgerError::Sign(error.to_string());
        let valid_until_s = now_s.saturating_add(LIFE_S);
        let body = match form {
            Form::VcJwt => {
                let credential = self.credential(status, now_s, valid_until_s)?;
                jose::sign_credential(&credential, key.id(), key)
                    .map_err(|error| failed(&error))?
                    .into_bytes()
            }
            Form::DataIntegrity => {
                let credential = self.credential(status, now_s, valid_until_s)?;
                let suite = match key.algorithm() {
                    Algorithm::EdDsa => Suite::EddsaJcs2022,
                    Algorithm::Es256 => Suite::EcdsaJcs2019,
                };
                let options = ProofOptions {
                    created: date::format(now_s),
                    ..ProofOptions::new(suite, key.id(), "assertionMethod")
                };
                let secured =
                    data_integrity::secure(&credential, &options, key).map_err(|error| failed(&error))?;
                serde_json::to_vec(&secured).map_err(|error| failed(&error))?
            }
            Form::TokenJwt => {
                let claims =
                    self.token_list(status, now_s, valid_until_s).and_then(|claims| claims.to_json());
                let claims = claims.map_err(|error| failed(&error))?;
                let header = jose::key_id_header(key.id());
                jose::sign(JWT_TYPE, &header, &claims, key).map_err(|error| failed(&error))?.into_bytes()
            }
            Form::TokenCwt => {
                let claims = self.token_list(status, now_s, valid_until_s);
                let claims = claims.and_then(|claims| claims.to_cbor()).map_err(|error| failed(&error))?;
                // The claims of a CWT are no content type of their own (RFC 8392 section 7).
                cose::sign(CWT_TYPE, None, key.id().as_bytes(), &claims, key)
                    .map_err(|error| failed(&error))?
            }
        };
        let etag = format!("\"{}\"", sha256(&body));
        Ok(SignedList { body, etag, signed_s: now_s, valid_until_s, key_id: key.id().to_owned() })
    }

    /// The same bits as an unsigned credential of somebody else under another URI, valid for as long as ours.
    pub async fn copy_for(&self, uri: &str, did: &str, now_s: i64) -> Result<Value, LedgerError> {
        self.current(Form::VcJwt).await?;
        let kept = self.kept().ok_or(LedgerError::Interrupted)?;
        self.credential_of(uri, did, &kept.status, now_s, now_s.saturating_add(LIFE_S))
    }

    fn credential(&self, status: &StatusBits, now_s: i64, until_s: i64) -> Result<Value, LedgerError> {
        self.credential_of(&self.uri, self.keys.did().as_str(), status, now_s, until_s)
    }

    fn credential_of(
        &self,
        uri: &str,
        did: &str,
        status: &StatusBits,
        now_s: i64,
        until_s: i64,
    ) -> Result<Value, LedgerError> {
        let date = |seconds| date::format(seconds).ok_or(LedgerError::Sign("the clock is wrong".to_owned()));
        // Valid from the block on that it was read at, for as long as this service vouches for it.
        let from_s = i64::try_from(status.time_ms / 1000).unwrap_or(i64::MAX).min(now_s);
        let failed = |error: aval_formats::status::StatusError| LedgerError::Sign(error.to_string());
        let mut list = BitstringList::from_bits(&[&self.purpose], status.bits.clone()).map_err(failed)?;
        list.ttl_ms = u64::try_from(MAX_AGE.as_millis()).ok();
        list.to_credential(uri, did, &date(from_s)?, &date(until_s)?).map_err(failed)
    }

    /// The Token Status List of the registry: 1 is invalid, 2 is suspended (section 7.1).
    fn token_list(
        &self,
        status: &StatusBits,
        now_s: i64,
        until_s: i64,
    ) -> Result<TokenListClaims, aval_formats::status::StatusError> {
        let list = match self.purpose.as_str() {
            "suspension" => TokenList::of_bitmaps(&vec![0; status.bits.len()], Some(&status.bits))?,
            _ => TokenList::of_bitmaps(&status.bits, None)?,
        };
        Ok(TokenListClaims {
            uri: self.uri.clone(),
            issuer: Some(self.keys.did().to_string()),
            issued_s: now_s,
            expires_s: Some(until_s),
            ttl_s: Some(MAX_AGE.as_secs()),
            list,
        })
    }
}
