//! Active contexts (JSON-LD 1.1 API section 4.1): what terms mean at a place of a document.

mod define;
mod term;

pub(crate) use term::{Coercion, Container, Term};

use crate::contexts::{Contexts, Step, Top};
use crate::iri;
use crate::{LinkedDataError, iri::is_absolute};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Deepest nesting of contexts that name contexts.
const REMOTE_DEPTH_MAX: usize = 8;
/// Longest text of a document's `@context` that is remembered: a generation of them is some megabytes.
const REMEMBERED_BYTES_MAX: usize = 4096;
/// Most terms of one active context.
const TERMS_MAX: usize = 20_000;

/// The meaning of terms at a place.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// What tells it from all others of this process.
    pub(crate) number: u64,
    /// True if it came from short contexts alone, so that what follows from it can be remembered.
    pub(crate) known: bool,
    pub(crate) terms: HashMap<Arc<str>, Arc<Term>>,
    pub(crate) vocabulary: Option<Arc<str>>,
    pub(crate) language: Option<Arc<str>>,
    /// Where a context ends that does not reach into the objects below.
    pub(crate) previous: Option<Arc<Context>>,
}

/// Numbers are never used twice, so that a remembered step means one context.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Context {
    /// Nothing is defined.
    pub(crate) fn initial() -> Self {
        Context {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            known: true,
            terms: HashMap::new(),
            vocabulary: None,
            language: None,
            previous: None,
        }
    }

    /// The definition of a term.
    pub(crate) fn term(&self, name: &str) -> Option<&Arc<Term>> {
        self.terms.get(name)
    }

    /// IRI expansion (section 5.2) outside of context processing. `vocab` for members and types, else for identifiers.
    /// `None` means that the contexts say the name is nothing.
    pub(crate) fn expand(&self, name: &str, vocab: bool) -> Option<String> {
        if iri::is_keyword(name) {
            return Some(name.to_owned());
        }
        if iri::is_keyword_like(name) {
            return None;
        }
        if let Some(term) = self.terms.get(name) {
            match &term.iri {
                Some(iri) if vocab || iri::is_keyword(iri) => return Some(iri.to_string()),
                None if vocab => return None,
                _ => {}
            }
        }
        if let Some((prefix, suffix)) = split(name) {
            if prefix == "_" || suffix.starts_with("//") {
                return Some(name.to_owned());
            }
            if let Some(term) = self.terms.get(prefix)
                && term.prefix
                && let Some(iri) = &term.iri
            {
                return Some(format!("{iri}{suffix}"));
            }
            if is_absolute(name) {
                return Some(name.to_owned());
            }
        }
        match &self.vocabulary {
            Some(vocabulary) if vocab => Some(format!("{vocabulary}{name}")),
            _ => Some(name.to_owned()),
        }
    }
}

/// Prefix and suffix of a name with a colon that is not its first character.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(':').filter(|(prefix, _)| !prefix.is_empty())
}

/// The context that results when a document's own `@context` comes on top.
pub(crate) fn on_top_of_document(
    contexts: &Contexts,
    active: &Arc<Context>,
    local: &Value,
) -> Result<Arc<Context>, LinkedDataError> {
    let process = || Processing::new(contexts, false).run(active, local, true);
    if active.known {
        let text = local.to_string();
        if text.len() <= REMEMBERED_BYTES_MAX {
            let step =
                Step { active: active.number, top: Top::Text(text), overriding: false, propagate: true };
            return contexts.remember(step, process);
        }
    }
    let mut context = process()?;
    context.known = false;
    Ok(Arc::new(context))
}

/// The context that results when the one that a term brings comes on top.
pub(crate) fn on_top_of_term(
    contexts: &Contexts,
    active: &Arc<Context>,
    local: &Arc<Value>,
    overriding: bool,
    propagate: bool,
) -> Result<Arc<Context>, LinkedDataError> {
    let process = || Processing::new(contexts, overriding).run(active, local, propagate);
    if active.known {
        // The term belongs to the active context, which keeps the value alive at its address.
        let top = Top::OfTerm(Arc::as_ptr(local).addr());
        let step = Step { active: active.number, top, overriding, propagate };
        return contexts.remember(step, process);
    }
    let mut context = process()?;
    context.known = false;
    Ok(Arc::new(context))
}

/// One run of the Context Processing Algorithm.
struct Processing<'a> {
    contexts: &'a Contexts,
    overriding: bool,
    depth: usize,
}

impl<'a> Processing<'a> {
    fn new(contexts: &'a Contexts, overriding: bool) -> Self {
        Processing { contexts, overriding, depth: 0 }
    }

    fn run(&self, active: &Arc<Context>, local: &Value, propagate: bool) -> Result<Context, LinkedDataError> {
        if self.depth > REMOTE_DEPTH_MAX {
            return Err(LinkedDataError::Excessive("contexts that name contexts"));
        }
        let propagate = match local.get("@propagate") {
            None => propagate,
            Some(Value::Bool(propagate)) => *propagate,
            Some(_) => return Err(LinkedDataError::Context("`@propagate` is neither true nor false")),
        };
        let mut result = Context::clone(active);
        result.number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        if !propagate && result.previous.is_none() {
            result.previous = Some(Arc::clone(active));
        }
        let list: &[Value] = match local {
            Value::Array(list) => list,
            one => std::slice::from_ref(one),
        };
        for context in list {
            match context {
                Value::Null => result = self.nothing(result, propagate)?,
                Value::String(url) => {
                    let text = Arc::clone(self.contexts.text(url)?);
                    let deeper =
                        Processing { contexts: self.contexts, overriding: false, depth: self.depth + 1 };
                    result = deeper.run(&Arc::new(result), &text, true)?;
                }
                Value::Object(members) => self.apply(&mut result, members)?,
                _ => return Err(LinkedDataError::Context("it is neither a URL nor an object")),
            }
        }
        Ok(result)
    }

    /// `null` forgets everything, unless something is protected.
    fn nothing(&self, result: Context, propagate: bool) -> Result<Context, LinkedDataError> {
        if !self.overriding
            && let Some((name, _)) = result.terms.iter().find(|(_, term)| term.protected)
        {
            return Err(LinkedDataError::Protected(name.to_string()));
        }
        let mut nothing = Context::initial();
        nothing.known = result.known;
        if !propagate {
            nothing.previous = Some(Arc::new(result));
        }
        Ok(nothing)
    }

    fn apply(&self, result: &mut Context, members: &Map<String, Value>) -> Result<(), LinkedDataError> {
        let merged;
        let members = match members.get("@import") {
            None => members,
            Some(Value::String(url)) => {
                let Value::Object(imported) = self.contexts.text(url)?.as_ref() else {
                    return Err(LinkedDataError::Context("`@import` does not name one object"));
                };
                if imported.contains_key("@import") {
                    return Err(LinkedDataError::Context("an imported context imports another"));
                }
                let mut all = imported.clone();
                all.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
                merged = all;
                &merged
            }
            Some(_) => return Err(LinkedDataError::Context("`@import` is not a URL")),
        };
        if let Some(version) = members.get("@version")
            && version.as_f64() != Some(1.1)
        {
            return Err(LinkedDataError::Context("`@version` is not 1.1"));
        }
        if members.get("@base").is_some_and(|base| !base.is_null()) {
            return Err(LinkedDataError::Unsupported("`@base`"));
        }
        match members.get("@vocab") {
            None => {}
            Some(Value::Null) => result.vocabulary = None,
            Some(Value::String(text)) => {
                let expanded = result.expand(text, true).filter(|iri| is_absolute(iri));
                let vocabulary =
                    expanded.ok_or(LinkedDataError::Context("`@vocab` is not an absolute IRI"))?;
                result.vocabulary = Some(vocabulary.into());
            }
            Some(_) => return Err(LinkedDataError::Context("`@vocab` is not text")),
        }
        match members.get("@language") {
            None => {}
            Some(Value::Null) => result.language = None,
            Some(Value::String(tag)) if iri::is_language(tag) => {
                result.language = Some(tag.to_lowercase().into());
            }
            Some(_) => return Err(LinkedDataError::Context("`@language` is not a language tag")),
        }
        let direction = members.get("@direction").unwrap_or(&Value::Null);
        if !direction.is_null() && direction != "ltr" && direction != "rtl" {
            return Err(LinkedDataError::Context("`@direction` is neither ltr nor rtl"));
        }
        let protected = match members.get("@protected") {
            None => false,
            Some(Value::Bool(protected)) => *protected,
            Some(_) => return Err(LinkedDataError::Context("`@protected` is neither true nor false")),
        };
        let mut defining = define::Defining::new(result, members, protected, self.overriding);
        for name in members.keys() {
            if !matches!(
                name.as_str(),
                "@base"
                    | "@direction"
                    | "@import"
                    | "@language"
                    | "@propagate"
                    | "@protected"
                    | "@version"
                    | "@vocab"
            ) {
                defining.define(name)?;
            }
        }
        if result.terms.len() > TERMS_MAX { Err(LinkedDataError::Excessive("terms")) } else { Ok(()) }
    }
}
