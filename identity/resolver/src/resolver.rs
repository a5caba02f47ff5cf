//! The resolver: which method answers for a DID, and what is remembered of its answers.

use std::sync::Arc;
use std::time::Instant;

use aval_client::VerifyingClient;
use aval_client::web::WebClient;
use aval_did::resolution::ResolutionError;
use aval_did::syntax;

use crate::cache::Cache;
use crate::methods::{aval, holder, web, webvh};
use crate::{CacheBounds, LedgerResource, Options, ResolveError, Resolved, Version, document};

/// The methods that a resolver with ledger and web answers for.
pub const METHODS: [&str; 5] = ["aval", "key", "jwk", "web", "webvh"];

/// Resolves DIDs. It blocks; calls may come from many threads.
#[derive(Debug)]
pub struct Resolver {
    ledger: Option<VerifyingClient>,
    web: Option<WebClient>,
    cache: Cache,
}

impl Resolver {
    /// A resolver for `did:key` and `did:jwk`, for `did:aval` if there is a ledger, and for `did:web` and
    /// `did:webvh` if there is a way to the web.
    pub fn new(ledger: Option<VerifyingClient>, web: Option<WebClient>, cache: CacheBounds) -> Self {
        Self { ledger, web, cache: Cache::new(cache) }
    }

    /// The methods that this resolver answers for.
    pub fn methods(&self) -> Vec<&'static str> {
        let has = |method: &&str| match *method {
            "aval" => self.ledger.is_some(),
            "web" | "webvh" => self.web.is_some(),
            _ => true,
        };
        METHODS.into_iter().filter(has).collect()
    }

    /// The ledger whose DIDs are resolved.
    pub fn ledger(&self) -> Option<&VerifyingClient> {
        self.ledger.as_ref()
    }

    /// Resolves a DID.
    pub fn resolve(&self, did: &str, options: &Options) -> Result<Arc<Resolved>, ResolveError> {
        let key = match &options.version {
            Version::Latest => did.to_owned(),
            Version::Id(id) => format!("{did}?versionId={id}"),
            Version::Time(time) => format!("{did}?versionTime={time}"),
        };
        let remembered = if options.no_cache { None } else { self.cache.get(&key, Instant::now()) };
        let resolved = match remembered {
            Some(resolved) => resolved,
            None => {
                let resolved = Arc::new(self.ask(did, &options.version)?);
                self.cache.put(key, &resolved, Instant::now());
                resolved
            }
        };
        if !options.expand_relative_urls || resolved.document.is_none() {
            return Ok(resolved);
        }
        let mut expanded = Resolved::clone(&resolved);
        if let Some(document) = &mut expanded.document {
            document::expand_relative_urls(document, did);
        }
        Ok(Arc::new(expanded))
    }

    /// An entry of the ledger that belongs to a `did:aval`, by the path of its DID URL (specs/did-method.md,
    /// section 8).
    pub fn ledger_resource(&self, did: &str, path: &str) -> Result<LedgerResource, ResolveError> {
        aval::resource(self.require_ledger()?, did, path)
    }

    fn ask(&self, did: &str, version: &Version) -> Result<Resolved, ResolveError> {
        if !syntax::is_did(did) {
            return Err(ResolveError::refused(ResolutionError::InvalidDid));
        }
        let mut parts = did.splitn(3, ':').skip(1);
        let (method, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match method {
            "aval" => aval::resolve(self.require_ledger()?, did, version),
            "key" => holder::resolve_key(did, id, version),
            "jwk" => holder::resolve_jwk(did, id, version),
            "web" => web::resolve(self.require_web()?, did, id, version),
            "webvh" => webvh::resolve(self.require_web()?, did, id, version),
            _ => Err(unsupported()),
        }
    }

    fn require_ledger(&self) -> Result<&VerifyingClient, ResolveError> {
        self.ledger.as_ref().ok_or_else(unsupported)
    }

    fn require_web(&self) -> Result<&WebClient, ResolveError> {
        self.web.as_ref().ok_or_else(unsupported)
    }
}

fn unsupported() -> ResolveError {
    ResolveError::refused(ResolutionError::MethodNotSupported)
}
