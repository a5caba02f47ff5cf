//! Create Term Definition (JSON-LD 1.1 API section 4.2.2).

use super::{Coercion, Container, Context, Term, split};
use crate::LinkedDataError;
use crate::iri::{is_absolute, is_keyword, is_keyword_like, is_language};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Deepest chain of terms that are defined by terms.
const CHAIN_MAX: usize = 32;

/// Defines the terms of one context object.
pub(super) struct Defining<'a> {
    result: &'a mut Context,
    local: &'a Map<String, Value>,
    protected: bool,
    overriding: bool,
    /// False while a term is being defined: meeting it again then is a circle.
    defined: HashMap<String, bool>,
}

impl<'a> Defining<'a> {
    pub(super) fn new(
        result: &'a mut Context,
        local: &'a Map<String, Value>,
        protected: bool,
        overriding: bool,
    ) -> Self {
        Defining { result, local, protected, overriding, defined: HashMap::new() }
    }

    /// Defines a term, and before it those that it needs.
    pub(super) fn define(&mut self, name: &str) -> Result<(), LinkedDataError> {
        match self.defined.get(name) {
            Some(true) => return Ok(()),
            Some(false) => return Err(LinkedDataError::Context("terms define each other in a circle")),
            None if name.is_empty() => return Err(LinkedDataError::Context("a term without a name")),
            None => {}
        }
        if self.defined.values().filter(|done| !**done).count() > CHAIN_MAX {
            return Err(LinkedDataError::Excessive("terms that are defined by terms"));
        }
        self.defined.insert(name.to_owned(), false);
        let Some(value) = self.local.get(name) else { return Ok(()) };
        if name == "@type" {
            check_type_keyword(value)?;
        } else if is_keyword(name) {
            return Err(LinkedDataError::Context("a keyword is redefined"));
        } else if is_keyword_like(name) {
            return Err(LinkedDataError::Context("a term has the form of a keyword"));
        }
        let previous = self.result.terms.remove(name);
        let mut term = match value {
            Value::Null => Some(Term::new(self.protected)),
            Value::String(iri) => self.simple(name, iri)?,
            Value::Object(members) => self.full(name, members)?,
            _ => return Err(LinkedDataError::Context("the definition of a term is no object")),
        };
        if let (Some(previous), false) = (&previous, self.overriding)
            && previous.protected
        {
            // A definition that came to nothing would have removed the protected one.
            let same = term.as_ref().is_some_and(|term| term.means_the_same(previous));
            if !same {
                return Err(LinkedDataError::Protected(name.to_owned()));
            }
            term = Some(Term::clone(previous));
        }
        if let Some(term) = term {
            self.result.terms.insert(name.into(), Arc::new(term));
        }
        self.defined.insert(name.to_owned(), true);
        Ok(())
    }

    /// `"term": "iri"`
    fn simple(&mut self, name: &str, iri: &str) -> Result<Option<Term>, LinkedDataError> {
        let mut term = Term::new(self.protected);
        if !self.identify(&mut term, name, Some(iri), true)? {
            return Ok(None);
        }
        Ok(Some(term))
    }

    /// `"term": {…}`
    fn full(&mut self, name: &str, members: &Map<String, Value>) -> Result<Option<Term>, LinkedDataError> {
        let known = [
            "@id",
            "@reverse",
            "@container",
            "@context",
            "@direction",
            "@index",
            "@language",
            "@nest",
            "@prefix",
            "@protected",
            "@type",
        ];
        if members.keys().any(|member| !known.contains(&member.as_str())) {
            return Err(LinkedDataError::Context("the definition of a term has an unknown member"));
        }
        let protected = match members.get("@protected") {
            None => self.protected,
            Some(Value::Bool(protected)) => *protected,
            Some(_) => return Err(LinkedDataError::Context("`@protected` is neither true nor false")),
        };
        let mut term = Term::new(protected);
        if let Some(kind) = members.get("@type") {
            term.coercion = self.coercion(kind)?;
        }
        for unsupported in ["@nest", "@index"] {
            if members.contains_key(unsupported) {
                return Err(LinkedDataError::Unsupported("`@nest` or `@index` in the definition of a term"));
            }
        }
        let found = match (members.get("@reverse"), members.get("@id")) {
            (Some(_), Some(_)) => return Err(LinkedDataError::Context("`@id` and `@reverse` in one term")),
            (Some(Value::String(iri)), None) => {
                term.reverse = true;
                let iri = self.expand(iri, true)?.filter(|iri| is_absolute(iri));
                term.iri = Some(iri.ok_or(LinkedDataError::Context("`@reverse` is not an IRI"))?.into());
                true
            }
            (Some(_), None) => return Err(LinkedDataError::Context("`@reverse` is not text")),
            // The term is kept, so that it cannot be defined anew, and means nothing.
            (None, Some(Value::Null)) => true,
            (None, Some(Value::String(iri))) => self.identify(&mut term, name, Some(iri), false)?,
            (None, Some(_)) => return Err(LinkedDataError::Context("the `@id` of a term is not text")),
            (None, None) => self.identify(&mut term, name, None, false)?,
        };
        if !found {
            return Ok(None);
        }
        if let Some(container) = members.get("@container") {
            term.container = Container::read(container)?;
            let Container { list, language, id, kind, graph, .. } = term.container;
            if term.reverse && (list || language || id || kind || graph) {
                return Err(LinkedDataError::Context("a reverse term with such a container"));
            }
            if kind {
                match term.coercion {
                    Coercion::Nothing => term.coercion = Coercion::Id,
                    Coercion::Id | Coercion::Vocab => {}
                    _ => return Err(LinkedDataError::Context("`@container` does not fit `@type`")),
                }
            }
        }
        term.context = members.get("@context").map(|context| Arc::new(context.clone()));
        match members.get("@language") {
            Some(_) if members.contains_key("@type") => {}
            None => {}
            Some(Value::Null) => term.language = Some(None),
            Some(Value::String(tag)) if is_language(tag) => {
                term.language = Some(Some(tag.to_lowercase().into()));
            }
            Some(_) => return Err(LinkedDataError::Context("`@language` is not a language tag")),
        }
        match members.get("@prefix") {
            None => {}
            Some(Value::Bool(prefix)) if !name.contains([':', '/']) => term.prefix = *prefix,
            Some(_) => return Err(LinkedDataError::Context("`@prefix` is wrong here")),
        }
        if term.prefix && term.iri.as_deref().is_some_and(is_keyword) {
            return Err(LinkedDataError::Context("a keyword as prefix"));
        }
        Ok(Some(term))
    }

    fn coercion(&mut self, kind: &Value) -> Result<Coercion, LinkedDataError> {
        const WRONG: LinkedDataError = LinkedDataError::Context("the `@type` of a term is not an IRI");
        let expanded = self.expand(kind.as_str().ok_or(WRONG)?, true)?.ok_or(WRONG)?;
        match expanded.as_str() {
            "@id" => Ok(Coercion::Id),
            "@vocab" => Ok(Coercion::Vocab),
            "@json" => Ok(Coercion::Json),
            "@none" => Ok(Coercion::None),
            iri if is_absolute(iri) => Ok(Coercion::Datatype(iri.into())),
            _ => Err(WRONG),
        }
    }

    /// Finds the IRI of a term from its `@id` or from its own name; false if there is none and the term is to be left
    /// out.
    fn identify(
        &mut self,
        term: &mut Term,
        name: &str,
        id: Option<&str>,
        simple: bool,
    ) -> Result<bool, LinkedDataError> {
        const WRONG: LinkedDataError = LinkedDataError::Context("a term does not map to an IRI");
        if let Some(id) = id.filter(|id| *id != name) {
            if !is_keyword(id) && is_keyword_like(id) {
                return Err(LinkedDataError::Context("the `@id` of a term has the form of a keyword"));
            }
            let iri = self.expand(id, true)?.ok_or(WRONG)?;
            if iri == "@context" || !(is_keyword(&iri) || is_absolute(&iri)) {
                return Err(WRONG);
            }
            let inside = name.get(1..name.len().saturating_sub(1)).unwrap_or_default();
            if inside.contains(':') || name.contains('/') {
                // A name that reads as an IRI must mean that IRI.
                self.defined.insert(name.to_owned(), true);
                if self.expand(name, true)?.as_deref() != Some(iri.as_str()) {
                    return Err(WRONG);
                }
            }
            term.prefix =
                simple && !name.contains([':', '/']) && iri.ends_with([':', '/', '?', '#', '[', ']', '@']);
            term.iri = Some(iri.into());
            return Ok(true);
        }
        let iri = if let Some((prefix, suffix)) = split(name) {
            if self.local.contains_key(prefix) {
                self.define(prefix)?;
            }
            match self.result.term(prefix).and_then(|term| term.iri.as_ref()) {
                Some(iri) => format!("{iri}{suffix}"),
                None => name.to_owned(),
            }
        } else if name == "@type" {
            name.to_owned()
        } else {
            match &self.result.vocabulary {
                Some(vocabulary) => format!("{vocabulary}{name}"),
                None => return Err(WRONG),
            }
        };
        if iri != "@type" && !is_absolute(&iri) {
            return Err(WRONG);
        }
        term.iri = Some(iri.into());
        Ok(true)
    }

    /// IRI expansion inside a context: what it needs is defined first.
    fn expand(&mut self, name: &str, vocab: bool) -> Result<Option<String>, LinkedDataError> {
        if !is_keyword(name) {
            if self.local.contains_key(name) && self.defined.get(name) != Some(&true) {
                self.define(name)?;
            }
            if let Some((prefix, suffix)) = split(name)
                && prefix != "_"
                && !suffix.starts_with("//")
                && self.local.contains_key(prefix)
                && self.defined.get(prefix) != Some(&true)
            {
                self.define(prefix)?;
            }
        }
        Ok(self.result.expand(name, vocab))
    }
}

/// `@type` itself may be said to be a set, and to be protected; nothing else.
fn check_type_keyword(value: &Value) -> Result<(), LinkedDataError> {
    let fits = |members: &Map<String, Value>| {
        !members.is_empty()
            && members.iter().all(|(name, value)| match name.as_str() {
                "@container" => value == "@set",
                "@protected" => value.is_boolean(),
                _ => false,
            })
    };
    match value.as_object() {
        Some(members) if fits(members) => Ok(()),
        _ => Err(LinkedDataError::Context("a keyword is redefined")),
    }
}
