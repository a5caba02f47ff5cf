//! Term definitions (JSON-LD 1.1 API section 4.2).

use crate::LinkedDataError;
use serde_json::Value;
use std::sync::Arc;

/// What a term means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    /// The IRI or keyword; `None` if the contexts say that the term is nothing.
    pub(crate) iri: Option<Arc<str>>,
    /// True if it may be the prefix of a compact IRI.
    pub(crate) prefix: bool,
    pub(crate) protected: bool,
    /// True if subject and object change places.
    pub(crate) reverse: bool,
    pub(crate) coercion: Coercion,
    pub(crate) container: Container,
    /// `Some(None)` means: no language, whatever the default is.
    pub(crate) language: Option<Option<Arc<str>>>,
    /// The context that comes on top below the term.
    pub(crate) context: Option<Arc<Value>>,
}

/// What the strings under a term are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Coercion {
    /// Nothing is said.
    Nothing,
    /// `@none`: what they are in JSON.
    None,
    /// `@id`: identifiers.
    Id,
    /// `@vocab`: terms or identifiers.
    Vocab,
    /// `@json`: the whole value is a literal.
    Json,
    /// Literals of this type.
    Datatype(Arc<str>),
}

/// How values are arranged under a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) list: bool,
    pub(crate) set: bool,
    pub(crate) language: bool,
    pub(crate) index: bool,
    pub(crate) id: bool,
    pub(crate) kind: bool,
    pub(crate) graph: bool,
}

impl Term {
    /// A term that says nothing beside its IRI.
    pub(crate) fn new(protected: bool) -> Self {
        Term {
            iri: None,
            prefix: false,
            protected,
            reverse: false,
            coercion: Coercion::Nothing,
            container: Container::default(),
            language: None,
            context: None,
        }
    }

    /// Whether two definitions are the same but for being protected.
    pub(crate) fn means_the_same(&self, other: &Term) -> bool {
        Term { protected: other.protected, ..self.clone() } == *other
    }
}

impl Container {
    /// Reads `@container`.
    pub(crate) fn read(value: &Value) -> Result<Self, LinkedDataError> {
        const WRONG: LinkedDataError = LinkedDataError::Context("`@container` is not one of those there are");
        let names: Vec<&str> = match value {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().map(Value::as_str).collect::<Option<_>>().ok_or(WRONG)?,
            _ => return Err(WRONG),
        };
        let mut container = Container::default();
        for name in &names {
            match *name {
                "@list" => container.list = true,
                "@set" => container.set = true,
                "@language" => container.language = true,
                "@index" => container.index = true,
                "@id" => container.id = true,
                "@type" => container.kind = true,
                "@graph" => container.graph = true,
                _ => return Err(WRONG),
            }
        }
        let Container { list, set, language, index, id, kind, graph } = container;
        let maps = [language, index, id, kind].into_iter().filter(|is| *is).count();
        let fits = match (list, graph) {
            (true, _) => maps == 0 && !set && !graph,
            (false, true) => !language && !kind && maps <= 1,
            (false, false) => maps <= 1,
        };
        if fits { Ok(container) } else { Err(WRONG) }
    }
}
