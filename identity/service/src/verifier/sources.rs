//! Where a verification's questions are answered.
//!
//! What is decided (there is no such DID; the issuer is not accredited) is told apart from what could not be had.
//! Verified status lists are kept for as long as they say, and for no more than [`LIST_KEPT_S`], so that a revocation
//! is seen soon after it was published.

use aval_client::web::WebClient;
use aval_client::{AccreditationQuestion, VerifyingClient};
use aval_did::Did;
use aval_did::resolution::ResolutionError;
use aval_formats::document::ControllerDocument;
use aval_formats::json::Limits;
use aval_formats::verifier::{Accreditation, Certified, Evidence, Expectation, KnownList, LedgerStatus};
use aval_formats::verifier::{Answer, Resolution, Verification, Want};
use aval_openid::x509::{self, Anchors};
use aval_resolver::{CacheBounds, Options, ResolveError, Resolver, Version};
use aval_types::accreditation::Capacity;
use aval_types::registry::{ListRecord, Purpose, RegistryRecord, is_list_uri};
use aval_types::schema::{SchemaHash, SchemaRecord};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// How long a list is used without asking again, in seconds: a part of the three in which a revocation is seen.
pub const LIST_KEPT_S: i64 = 1;
/// Verified lists that are kept.
const LISTS_MAX: usize = 1024;
/// Bytes of a signed status list: one of 2^24 entries that does not compress, in base64 twice.
const LIST_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bits of a chunk of a status list in the ledger's state.
const CHUNK_BITS: u64 = 8 * 1024;
/// Bytes of a schema.
const SCHEMA_BYTES_MAX: u64 = 256 * 1024;

const BITSTRING_LIST: &str =
    "application/vc+jwt, application/vc, application/ld+json, application/json;q=0.5";
const TOKEN_LIST: &str = "application/statuslist+jwt, application/statuslist+cwt;q=0.5";
const SCHEMA: &str = "application/schema+json, application/json";

type ListKey = (bool, String);

/// Ledger, resolver and web.
#[derive(Debug)]
pub struct Sources {
    resolver: Resolver,
    ledger: VerifyingClient,
    web: WebClient,
    roots: Option<Anchors>,
    lists: Mutex<BTreeMap<ListKey, (Arc<KnownList>, i64)>>,
}

impl Sources {
    /// Sources over a ledger and the guarded client, with the authorities whose certificates issuers may have.
    pub fn new(ledger: VerifyingClient, web: WebClient, roots: Option<Anchors>) -> Self {
        let resolver = Resolver::new(Some(ledger.clone()), Some(web.clone()), CacheBounds::default());
        Self { resolver, ledger, web, roots, lists: Mutex::default() }
    }

    /// Looks up what a verification wants until it can be judged. Blocks.
    pub fn judge(&self, mut verification: Verification, now_s: i64) -> Answer {
        while let Some(want) = verification.wants().first().cloned() {
            verification.supply(&want, self.supply(&want, now_s));
        }
        self.keep(verification.known_lists(), now_s);
        verification.judge()
    }

    fn supply(&self, want: &Want, now_s: i64) -> Evidence {
        match want {
            Want::Did { did, at_s } => self.did(did, *at_s),
            Want::StatusList { uri, token } => match self.kept(&(*token, uri.clone()), now_s) {
                Some(list) => Evidence::KnownList(list),
                None => {
                    let accept = if *token { TOKEN_LIST } else { BITSTRING_LIST };
                    self.fetch(uri, accept, LIST_BYTES_MAX, Evidence::StatusList)
                }
            },
            Want::Certificates { chain } => self.certified(chain, now_s),
            Want::LedgerStatus { uri, index } => self.ledger_status(uri, *index),
            Want::Schema { uri } => match SchemaHash::from_urn(uri) {
                Ok(name) => self.ledger_schema(name),
                Err(_) => self.fetch(uri, SCHEMA, SCHEMA_BYTES_MAX, Evidence::Schema),
            },
            Want::Accreditation { issuer, credential_type, at_s } => {
                self.accreditation(issuer, credential_type, *at_s)
            }
        }
    }

    fn did(&self, did: &str, at_s: Option<i64>) -> Evidence {
        let version = match at_s.map(u64::try_from) {
            None => Version::Latest,
            Some(Ok(seconds)) => Version::Time(seconds),
            // Before 1970 there was no DID.
            Some(Err(_)) => return Evidence::DidNotFound,
        };
        match self.resolver.resolve(did, &Options { version, ..Options::default() }) {
            Ok(resolved) => Evidence::Did(Resolution {
                document: resolved.document.clone(),
                deactivated: resolved.is_deactivated(),
                version_id: resolved
                    .metadata
                    .get("versionId")
                    .and_then(serde_json::Value::as_str)
                    .map(str::to_owned),
            }),
            Err(ResolveError::Refused { error: ResolutionError::NotFound, .. }) => Evidence::DidNotFound,
            // The method has no past: did:key, did:jwk, did:web.
            Err(ResolveError::Refused { error: ResolutionError::FeatureNotSupported(_), .. })
                if at_s.is_some() =>
            {
                Evidence::NoHistory
            }
            Err(error) => Evidence::Unavailable(format!("{error} ({})", error.code())),
        }
    }

    /// Whose key certificates are for, if they lead to a root that this deployment trusts.
    fn certified(&self, chain: &[Vec<u8>], now_s: i64) -> Evidence {
        let Some(roots) = &self.roots else {
            return Evidence::Unavailable("this verifier was told of no certificate authority".to_owned());
        };
        match x509::verify(chain, roots, now_s) {
            Ok(certified) => Evidence::Certified(Certified {
                key: certified.key.into(),
                dns_names: certified.dns_names,
                uris: certified.uris,
            }),
            Err(error) => Evidence::NotCertified(error.to_string()),
        }
    }

    /// Whether a DID's document has a key for authentication now. The error says why that is not known.
    pub fn may_authenticate(&self, did: &str, key_id: &str) -> Result<bool, String> {
        let resolved = match self.resolver.resolve(did, &Options::default()) {
            Ok(resolved) => resolved,
            Err(ResolveError::Refused { error: ResolutionError::NotFound, .. }) => return Ok(false),
            Err(error) => return Err(format!("{error} ({})", error.code())),
        };
        let document = resolved.document.as_ref().filter(|_| !resolved.is_deactivated());
        let document = document.and_then(|document| ControllerDocument::new(document).ok());
        Ok(document.is_some_and(|document| document.method_for("authentication", key_id).is_ok()))
    }

    /// A record of the ledger, proven; nothing if there is none.
    fn record<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, String> {
        let value = self.ledger.state(key).map_err(|error| format!("{error} ({})", error.code()))?.value;
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        value.map(read).transpose().map_err(|_| format!("the ledger's record {key} cannot be read"))
    }

    /// A schema of the ledger, which is named by its content. One that is deprecated still says what it said.
    fn ledger_schema(&self, name: SchemaHash) -> Evidence {
        match self.record::<SchemaRecord>(&format!("schema/{name}")) {
            Ok(Some(record)) => Evidence::Schema(record.schema.to_jcs()),
            Ok(None) => Evidence::Unavailable("the ledger has no schema of this name".to_owned()),
            Err(reason) => Evidence::Unavailable(reason),
        }
    }

    /// An entry of a status registry, by the chunk of the list that it is in (specs/wire.md, section 8).
    fn ledger_status(&self, uri: &str, index: u64) -> Evidence {
        match self.registry_entry(uri, index) {
            Ok(Some(status)) => Evidence::LedgerStatus(status),
            Ok(None) => Evidence::NotOfLedger,
            Err(reason) => Evidence::Unavailable(reason),
        }
    }

    fn registry_entry(&self, uri: &str, index: u64) -> Result<Option<LedgerStatus>, String> {
        if !is_list_uri(uri) {
            return Ok(None);
        }
        let Some(list) = self.record::<ListRecord>(&format!("list/{uri}"))? else { return Ok(None) };
        let missing = || format!("the ledger has no registry {}", list.registry);
        let record: Option<RegistryRecord> = self.record(&format!("registry/{}", list.registry))?;
        let record = record.ok_or_else(missing)?;
        let size = u64::from(record.size);
        let value = match index < size && record.bits == 1 {
            false => None,
            true => {
                let key = format!("status/{}/{}/{}", list.registry, list.list, index / CHUNK_BITS);
                let chunk = self.ledger.state(&key).map_err(|error| format!("{error} ({})", error.code()))?;
                let within = index % CHUNK_BITS;
                let chunk = chunk.value.unwrap_or_default();
                let byte = usize::try_from(within / 8).ok().and_then(|at| chunk.get(at)).copied();
                // Chunks that nobody has written are clear.
                Some((byte.unwrap_or_default() >> (7 - within % 8)) & 1)
            }
        };
        let purpose = match record.purpose {
            Purpose::Revocation => "revocation",
            Purpose::Suspension => "suspension",
            Purpose::Message => "message",
        };
        let owner = list.registry.owner().to_string();
        Ok(Some(LedgerStatus { owner, purpose: purpose.to_owned(), bits: record.bits, size, value }))
    }

    fn fetch(&self, uri: &str, accept: &str, bytes_max: u64, found: fn(Vec<u8>) -> Evidence) -> Evidence {
        let Ok(url) = Url::parse(uri) else {
            return Evidence::Unavailable("it is not under a URL".to_owned());
        };
        match self.web.get(&url, accept, bytes_max) {
            Ok(answer) if answer.status == 200 => found(answer.body),
            Ok(answer) => Evidence::Unavailable(format!("its host answered {}", answer.status)),
            Err(error) => Evidence::Unavailable(format!("{error} ({})", error.code())),
        }
    }

    fn accreditation(&self, issuer: &str, credential_type: &str, at_s: Option<i64>) -> Evidence {
        let refused =
            |reason: &str| Evidence::Accreditation(Accreditation::Refused { reason: reason.to_owned() });
        let Ok(subject) = issuer.parse::<Did>() else {
            return refused("the issuer has no DID of the ledger");
        };
        let at_s = match at_s.map(u64::try_from).transpose() {
            Ok(at_s) => at_s,
            Err(_) => return refused("the time is before the ledger's"),
        };
        let question = AccreditationQuestion {
            subject,
            capacity: Capacity::Issue,
            credential_type: Some(credential_type.to_owned()),
            role: None,
            at_s,
        };
        match self.ledger.accreditation(&question) {
            Ok(verdict) => Evidence::Accreditation(match verdict.outcome {
                Ok(_) => Accreditation::Accredited {
                    chain: verdict.records.iter().map(|record| record.subject.to_string()).collect(),
                },
                Err(broken) => Accreditation::Refused {
                    reason: format!("{}: {}", broken.subject, broken.why.sentence()),
                },
            }),
            Err(error) => Evidence::Unavailable(format!("{error} ({})", error.code())),
        }
    }

    fn kept(&self, key: &ListKey, now_s: i64) -> Option<Arc<KnownList>> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(key).filter(|(_, until_s)| now_s < *until_s).map(|(list, _)| list.clone())
    }

    fn keep(&self, known: Vec<Arc<KnownList>>, now_s: i64) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|_, (_, until_s)| now_s < *until_s);
        for list in known {
            let until_s = list.keep_until_s(LIST_KEPT_S);
            if lists.len() < LISTS_MAX && now_s < until_s {
                lists.insert((list.is_token(), list.uri().to_owned()), (list, until_s));
            }
        }
    }
}

/// What is expected of everything that is verified here.
pub fn expectation(now_s: i64, domain: Option<&str>) -> Expectation {
    Expectation { domain: domain.map(str::to_owned), status_of_ledger: true, ..Expectation::at(now_s) }
}

/// How large and deep a request may be.
pub fn limits() -> Limits {
    Limits::default()
}
