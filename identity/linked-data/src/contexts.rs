//! The contexts that are known, and what became of them when they were processed.
//!
//! Processing a context costs more than all else, and documents use the same few. So a set of contexts keeps what
//! became of them: the same active context, with the same context on top, gives the same result. Documents come from
//! outside, and so do contexts that they bring along: of these only short ones are kept, and what has not been asked
//! for in a while makes room, so that nobody can fill the memory, or keep the contexts in use out of it.

use crate::canonical::{self, Hash};
use crate::context::Context;
use crate::expand::Emitter;
use crate::{LinkedDataError, quad::Dataset};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Most processed contexts of one generation; credentials in use need some dozens. There are two: when the young one is
/// full it becomes the old one, and what was in that and has not been asked for since is forgotten.
const GENERATION_MAX: usize = 512;
/// Most terms of a context that is remembered: objects in objects, each with a context, pile them up.
const REMEMBERED_TERMS_MAX: usize = 1024;

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
    remembered: RwLock<Remembered>,
}

/// Outcomes of steps.
#[derive(Debug, Default)]
struct Remembered {
    young: HashMap<Step, Arc<Context>>,
    old: HashMap<Step, Arc<Context>>,
}

impl Remembered {
    /// Keeps an outcome, unless there is one already: two threads may have done the same work.
    fn keep(&mut self, step: Step, context: Arc<Context>) -> Arc<Context> {
        if self.young.len() >= GENERATION_MAX && !self.young.contains_key(&step) {
            self.old = std::mem::take(&mut self.young);
        }
        let context = self.old.remove(&step).unwrap_or(context);
        Arc::clone(self.young.entry(step).or_insert(context))
    }
}

/// What identifies a processing: the active context, what comes on top, and the two switches. Numbers of contexts are
/// never used twice: a step whose active context is gone is never asked for again.
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
    /// The `@context` of a document or object, as text.
    Text(String),
    /// The context that a term of the active one brings; that one owns it, so that its address is a name.
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
        let found = {
            let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
            match (remembered.young.get(&step), remembered.old.get(&step)) {
                (Some(young), _) => return Ok(Arc::clone(young)),
                (None, old) => old.cloned(),
            }
        };
        let context = match found {
            Some(old) => old,
            None => {
                let mut context = process()?;
                if context.terms.len() > REMEMBERED_TERMS_MAX {
                    context.known = false;
                    return Ok(Arc::new(context));
                }
                Arc::new(context)
            }
        };
        Ok(self.remembered.write().unwrap_or_else(PoisonError::into_inner).keep(step, context))
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        remembered.young.len() + remembered.old.len()
    }
}
