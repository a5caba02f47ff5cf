//! Where a verification's questions are answered.
//!
//! What is decided (there is no such DID; the issuer is not accredited) is told apart from what could not be had.
//! Verified status lists are kept for as long as they say, and for no more than [`LIST_KEPT_S`], so that a revocation
//! is seen soon after it was published.

use aval_client::web::WebClient;
use aval_client::{AccreditationQuestion, VerifyingClient};
use aval_did::Did;
use aval_did::resolution::ResolutionError;
use aval_formats::json::Limits;
use aval_formats::verifier::{Accreditation, Evidence, Expectation, KnownList, Resolution, Want};
use aval_formats::verifier::{Answer, Verification};
use aval_resolver::{CacheBounds, Options, ResolveError, Resolver, Version};
use aval_types::accreditation::Capacity;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// How long a list is used without asking again, in seconds: a part of the three in which a revocation is seen.
pub const LIST_KEPT_S: i64 = 1;
/// Verified lists that are kept.
const LISTS_MAX: usize = 1024;
/// Bytes of a signed status list: one of 2^24 entries that does not compress, in base64 twice.
const LIST_BYTES_MAX: u64 = 8 * 1024 * 1024;
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
    lists: Mutex<BTreeMap<ListKey, (Arc<KnownList>, i64)>>,
}

impl Sources {
    /// Sources over a ledger and the guarded client.
    pub fn new(ledger: VerifyingClient, web: WebClient) -> Self {
        let resolver = Resolver::new(Some(ledger.clone()), Some(web.clone()), CacheBounds::default());
        Self { resolver, ledger, web, lists: Mutex::default() }
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
            Want::Schema { uri } => self.fetch(uri, SCHEMA, SCHEMA_BYTES_MAX, Evidence::Schema),
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
    Expectation { domain: domain.map(str::to_owned), ..Expectation::at(now_s) }
}

/// How large and deep a request may be.
pub fn limits() -> Limits {
    Limits::default()
}
