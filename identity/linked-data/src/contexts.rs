//! The contexts that are known, and what became of them when they were processed.
//!
//! Processing a context costs more than all else, and documents use the same few. So a set of contexts keeps the
//! outcome of each processing that began with its own contexts: the same active context, with the same context on
//! top, gives the same result. Inline contexts of documents are processed each time and never remembered, so that
//! nobody can fill the memory from outside.

use crate::canonical::{self, Hash};
use crate::context::Context;
use crate::expand::Emitter;
use crate::{LinkedDataError, quad::Dataset};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Most processed contexts that are remembered; credentials in use need some dozens. When it is full, others are
/// processed each time.
const REMEMBERED_MAX: usize = 1024;

/// URLs and texts of the contexts that ship inside. The texts come from a package that holds nothing else.
const SHIPPED: [(&str, &str); 11] = [
    ("https://www.w3.org/ns/credentials/v2", ssi_contexts::CREDENTIALS_V2),
    ("https://www.w3.org/ns/credentials/examples/v2", ssi_contexts::CREDENTIALS_EXAMPLES_V2),
    ("https://www.w3.org/2018/credentials/v1", ssi_contexts::CREDENTIALS_V1),
    ("https://www.w3.org/2018/credentials/examples/v1", ssi_contexts::CREDENTIALS_EXAMPLES_V1),
    ("https://w3id.org/security/data-integrity/v2", ssi_contexts::W3ID_DATA_INTEGRITY_V2),
    ("https://w3id.org/security/data-integrity/v1", ssi_contexts::W3ID_DATA_INTEGRITY_V1),
    ("https://w3id.org/security/suites/ed25519-2020/v1", ssi_contexts::W3ID_ED2020_V1),
    ("https://w3id.org/security/suites/jws-2020/v1", ssi_contexts::W3ID_JWS2020_V1),
    ("https://w3id.org/security/multikey/v1", ssi_contexts::W3ID_MULTIKEY_V1),
    ("https://www.w3.org/ns/did/v1", ssi_contexts::DID_V1),
    ("https://w3id.org/citizenship/v1", ssi_contexts::CITIZENSHIP_V1),
];

/// Digests of context files as their specification publishes them (VCDM 2.0 appendix B.1): URL, hash, hexadecimal.
const DIGESTS: [(&str, &str, &str); 2] = [
    (
        "https://www.w3.org/ns/credentials/v2",
        "sha256",
        "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734",
    ),
    (
        "https://www.w3.org/ns/credentials/v2",
        "sha384",
        "97f1eb8e5042356c805fdd61afa2c557663785e0794dcafa21e138fd38def18cb360133c221aa31d6896a6bf3e65b614",
    ),
];

/// The published digest of the file at a URL, in hexadecimal; `hash` is `sha256` or `sha384`.
pub fn known_digest(url: &str, hash: &str) -> Option<&'static str> {
    DIGESTS.iter().find(|(of, by, _)| *of == url && *by == hash).map(|(.., digest)| *digest)
}

/// A set of contexts, each under its URL. Making one is work; keep it.
#[derive(Debug)]
pub struct Contexts {
    texts: HashMap<String, Arc<Value>>,
    initial: Arc<Context>,
    remembered: RwLock<HashMap<Step, Arc<Context>>>,
}

/// What identifies a processing: the active context, the addresses of what comes on top, and the two switches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    pub(crate) active: u64,
    pub(crate) top: Top,
    pub(crate) overriding: bool,
    pub(crate) propagate: bool,
}

/// What comes on top of an active context, for those tops that can come again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Top {
    /// The contexts of a document: URLs only.
    Urls(Vec<String>),
    /// The context that a term brings; the set owns it, so that its address is a name.
    OfTerm(usize),
}

impl Contexts {
    /// Those that ship inside.
    pub fn shipped() -> &'static Contexts {
        static SHIPPED_CONTEXTS: OnceLock<Contexts> = OnceLock::new();
        SHIPPED_CONTEXTS.get_or_init(|| Contexts::of(HashMap::new()))
    }

    /// Those that ship inside and more: URL and document, which has a member `@context`. A URL that ships inside
    /// keeps its own content.
    pub fn with(more: impl IntoIterator<Item = (String, Value)>) -> Result<Contexts, LinkedDataError> {
        let mut texts = HashMap::new();
        for (url, document) in more {
            let context = match document {
                Value::Object(mut members) => members.remove("@context"),
                _ => None,
            };
            let context = context.ok_or(LinkedDataError::Context("a context document has no `@context`"))?;
            texts.insert(url, Arc::new(context));
        }
        Ok(Self::of(texts))
    }

    fn of(mut texts: HashMap<String, Arc<Value>>) -> Contexts {
        for (url, text) in SHIPPED {
            let document: Option<Value> = serde_json::from_str(text).ok();
            // A shipped text that does not parse is not there; a test reads them all.
            if let Some(Value::Object(mut members)) = document
                && let Some(context) = members.remove("@context")
            {
                texts.insert(url.to_owned(), Arc::new(context));
            }
        }
        Contexts { texts, initial: Arc::new(Context::initial()), remembered: RwLock::default() }
    }

    /// True if the URL is known.
    pub fn knows(&self, url: &str) -> bool {
        self.texts.contains_key(url)
    }

    /// The canonical N-Quads of a document.
    pub fn canonicalize(&self, document: &Value, hash: Hash) -> Result<String, LinkedDataError> {
        let dataset = self.dataset(document)?;
        let canonical = canonical::canonicalize(&dataset, hash)?;
        Ok(canonical.lines.concat())
    }

    /// Checks that every member of a document has a meaning.
    pub fn check(&self, document: &Value) -> Result<(), LinkedDataError> {
        self.dataset(document).map(drop)
    }

    pub(crate) fn dataset(&self, document: &Value) -> Result<Dataset, LinkedDataError> {
        Emitter::new(self).run(document)
    }

    pub(crate) fn text(&self, url: &str) -> Result<&Arc<Value>, LinkedDataError> {
        self.texts.get(url).ok_or_else(|| LinkedDataError::UnknownContext(url.to_owned()))
    }

    pub(crate) fn initial(&self) -> &Arc<Context> {
        &self.initial
    }

    /// Remembers the outcome of a step, or finds it.
    pub(crate) fn remember(
        &self,
        step: Step,
        process: impl FnOnce() -> Result<Context, LinkedDataError>,
    ) -> Result<Arc<Context>, LinkedDataError> {
        if let Some(known) = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(&step) {
            return Ok(Arc::clone(known));
        }
        let mut context = process()?;
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() < REMEMBERED_MAX {
            // Two threads may have done the same work: the first one's outcome stays, so that its number does.
            return Ok(Arc::clone(remembered.entry(step).or_insert_with(|| Arc::new(context))));
        }
        // What nobody keeps must not lend its addresses to steps that are kept.
        context.known = false;
        Ok(Arc::new(context))
    }
}
