//! The status list as a signed credential: what `statusListCredential` of every issued credential leads to.
//!
//! A `BitstringStatusListCredential` (Bitstring Status List 1.0 section 2.2) secured as `vc+jwt` (VC-JOSE-COSE section
//! 3.1.1). Its bits are read from the ledger with proofs and never from the records, so that it cannot say anything
//! else than the ledger does. One request at a time refreshes it; while the ledger cannot be reached, the last list
//! is served until its validity ends.

use super::ledger::{Ledger, LedgerError, StatusBits, blocking};
use crate::clock::now_s;
use crate::keys::IssuerKeys;
use aval_codec::{Json, b64u, sha256};
use aval_credential::{date, jws};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vc+jwt";
/// For how long a verifier may keep the list; also for how long the service does not ask the ledger again.
pub const MAX_AGE: Duration = Duration::from_secs(30);
/// How long a signed list is valid. It is signed again after half of it.
const LIFE_S: i64 = 3_600;
/// The smallest list (section 2.2: 131,072 entries), so that an index hides among others.
const LIST_BYTES_MIN: usize = 16 * 1024;

/// A list as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedList {
    /// The credential.
    pub jwt: String,
    /// The entity tag, in quotes.
    pub etag: String,
    bits: Vec<u8>,
    signed_s: i64,
    valid_until_s: i64,
}

#[derive(Clone)]
struct Kept {
    list: Arc<SignedList>,
    /// When the ledger was asked; `None` if it has to be asked again.
    read_at: Option<Instant>,
}

/// The list of the issuer's one registry.
#[derive(Clone)]
pub struct StatusList {
    uri: String,
    keys: Arc<IssuerKeys>,
    ledger: Ledger,
    kept: Arc<RwLock<Option<Kept>>>,
    refreshing: Arc<Mutex<()>>,
}

impl StatusList {
    /// The list under this URI. Nothing is asked yet.
    pub fn new(uri: String, keys: Arc<IssuerKeys>, ledger: Ledger) -> Self {
        Self { uri, keys, ledger, kept: Arc::default(), refreshing: Arc::default() }
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

    fn fresh(&self) -> Option<Arc<SignedList>> {
        let kept = self.kept()?;
        kept.read_at.is_some_and(|at| at.elapsed() < MAX_AGE).then_some(kept.list)
    }

    /// The last list, if it is still valid.
    fn valid(&self) -> Option<Arc<SignedList>> {
        self.kept().map(|kept| kept.list).filter(|list| now_s() < list.valid_until_s)
    }

    /// The list as the ledger has it, at most [`MAX_AGE`] ago.
    pub async fn current(&self) -> Result<Arc<SignedList>, LedgerError> {
        if let Some(list) = self.fresh() {
            return Ok(list);
        }
        let place = match (self.refreshing.clone().try_lock_owned(), self.valid()) {
            (Ok(place), _) => place,
            // Somebody else asks the ledger, which may take long; until then the last list is good enough.
            (Err(_), Some(list)) => return Ok(list),
            (Err(_), None) => self.refreshing.clone().lock_owned().await,
        };
        if let Some(list) = self.fresh() {
            return Ok(list);
        }
        let this = self.clone();
        // A task of its own: a client that goes away does not throw away what the others wait for.
        let refreshed = tokio::spawn(async move {
            let _place = place;
            this.refresh().await
        });
        match (refreshed.await.unwrap_or(Err(LedgerError::Interrupted)), self.valid()) {
            (Ok(list), _) => Ok(list),
            (Err(error), Some(list)) => {
                tracing::warn!(%error, "the status list could not be read from the ledger; the last one is served");
                Ok(list)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn refresh(&self) -> Result<Arc<SignedList>, LedgerError> {
        let read_at = Some(Instant::now());
        let status = blocking(&self.ledger, Ledger::status_bits).await?;
        let now_s = now_s();
        let unchanged = self
            .kept()
            .map(|kept| kept.list)
            .filter(|list| list.bits == status.bits && now_s.saturating_sub(list.signed_s) < LIFE_S / 2);
        let list = match unchanged {
            Some(list) => list,
            None => Arc::new(sign(&self.uri, &self.keys, status, now_s)?),
        };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Kept { list: list.clone(), read_at });
        Ok(list)
    }
}

fn sign(uri: &str, keys: &IssuerKeys, status: StatusBits, now_s: i64) -> Result<SignedList, LedgerError> {
    let string = |text: &str| Json::String(text.to_owned());
    let object = |members: Vec<(&str, Json)>| {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let date =
        |seconds| date::format(seconds).ok_or_else(|| LedgerError::Sign("the clock is wrong".to_owned()));
    // Valid from the block on that it was read at, for as long as this service vouches for it.
    let valid_from_s = i64::try_from(status.time_ms / 1000).unwrap_or(i64::MAX).min(now_s);
    let valid_until_s = now_s.saturating_add(LIFE_S);
    let subject = object(vec![
        ("id", string(&format!("{uri}#list"))),
        ("type", string("BitstringStatusList")),
        ("statusPurpose", string("revocation")),
        ("encodedList", string(&encode(&status.bits)?)),
    ]);
    let credential = object(vec![
        ("@context", Json::Array(vec![string("https://www.w3.org/ns/credentials/v2")])),
        ("id", string(uri)),
        ("type", Json::Array(vec![string("VerifiableCredential"), string("BitstringStatusListCredential")])),
        ("issuer", string(keys.did.as_str())),
        ("validFrom", string(&date(valid_from_s)?)),
        ("validUntil", string(&date(valid_until_s)?)),
        ("credentialSubject", subject),
    ]);
    let header =
        BTreeMap::from([("kid".to_owned(), string(&keys.key_id())), ("cty".to_owned(), string("vc"))]);
    let jwt = jws::sign_with_header(&keys.signing, "vc+jwt", header, &credential);
    let etag = format!("\"{}\"", sha256(jwt.as_bytes()));
    Ok(SignedList { jwt, etag, bits: status.bits, signed_s: now_s, valid_until_s })
}

/// Multibase base64url of the gzipped bits, at least [`LIST_BYTES_MIN`] of them (section 3.3).
fn encode(bits: &[u8]) -> Result<String, LedgerError> {
    let padding = vec![0; LIST_BYTES_MIN.saturating_sub(bits.len())];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder
        .write_all(bits)
        .and_then(|()| encoder.write_all(&padding))
        .and_then(|()| encoder.finish())
        .map_err(|error| LedgerError::Sign(error.to_string()))?;
    Ok(format!("u{}", b64u::encode(compressed)))
}
