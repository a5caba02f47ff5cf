//! From a JSON-LD document to statements: Expansion and Deserialize JSON-LD to RDF (JSON-LD 1.1 API sections 5.1 and
//! 8.1) in one walk, without the intermediate documents.
//!
//! Where those algorithms leave something out, this walk refuses the document.

mod value;

use crate::LinkedDataError;
use crate::context::{self, Coercion, Context, Term as Definition};
use crate::contexts::Contexts;
use crate::iri::{is_absolute, is_keyword};
use crate::quad::{Dataset, Quad, Term, written_iri};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Deepest nesting of a document.
const DEPTH_MAX: usize = 64;
/// Most statements of a document.
const QUADS_MAX: usize = 20_000;

const RDF_TYPE: &str = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>";
const RDF_FIRST: &str = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#first>";
const RDF_REST: &str = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#rest>";
const RDF_NIL: &str = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#nil>";

/// A step of the way to a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
}

/// Walks one document.
pub(crate) struct Emitter<'a> {
    contexts: &'a Contexts,
    dataset: Dataset,
    /// Numbers of the blank nodes that the document names itself.
    named: HashMap<String, u32>,
    depth: usize,
    /// Where the walk is, and which objects became nameless nodes, for those who want to know.
    way: Option<Way>,
}

#[derive(Default)]
struct Way {
    here: Vec<Step>,
    nameless: Vec<Vec<Step>>,
    /// True if a nameless node came up that is no object of the document, such as a list's.
    beyond: bool,
}

/// The place at which values are emitted.
#[derive(Clone)]
struct Place<'p> {
    subject: &'p Term,
    /// `<iri>`
    predicate: &'p str,
    reverse: bool,
    graph: Option<&'p Term>,
    /// True inside the maps that containers make, where type-scoped contexts stay.
    from_map: bool,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(contexts: &'a Contexts) -> Self {
        Emitter { contexts, dataset: Dataset::default(), named: HashMap::new(), depth: 0, way: None }
    }

    /// The statements of a document.
    pub(crate) fn run(mut self, document: &Value) -> Result<Dataset, LinkedDataError> {
        self.document(document)?;
        Ok(self.dataset)
    }

    /// The ways to all objects that have no identifier; an error if there are nameless nodes that no object stands for.
    pub(crate) fn nameless(mut self, document: &Value) -> Result<Vec<Vec<Step>>, LinkedDataError> {
        self.way = Some(Way::default());
        self.document(document)?;
        match self.way {
            Some(way) if !way.beyond => Ok(way.nameless),
            _ => Err(LinkedDataError::Unsupported("a list or graph in selective disclosure")),
        }
    }

    fn document(&mut self, document: &Value) -> Result<(), LinkedDataError> {
        let initial = Arc::clone(self.contexts.initial());
        match document {
            Value::Object(members) => self.top(&initial, members),
            Value::Array(list) => list.iter().try_for_each(|one| match one {
                Value::Object(members) => self.top(&initial, members),
                _ => Err(LinkedDataError::Document("there is something that is no object at the top")),
            }),
            _ => Err(LinkedDataError::Document("it is no object")),
        }
    }

    /// A node at the top. One that has `@graph` and nothing else stands for what is in it.
    fn top(&mut self, active: &Arc<Context>, members: &Map<String, Value>) -> Result<(), LinkedDataError> {
        let context = match members.get("@context") {
            Some(local) => context::on_top_of_document(self.contexts, active, local)?,
            None => Arc::clone(active),
        };
        let mut others = members.keys().filter(|name| name.as_str() != "@context");
        if let (Some(name), None) = (others.next(), others.next())
            && context.expand(name, true).as_deref() == Some("@graph")
        {
            let content = members.get(name).unwrap_or(&Value::Null);
            return self.graph_content(&context, content, None);
        }
        self.node(active, None, members, None, false).map(drop)
    }

    fn graph_content(
        &mut self,
        active: &Arc<Context>,
        content: &Value,
        graph: Option<&Term>,
    ) -> Result<(), LinkedDataError> {
        let list: &[Value] = match content {
            Value::Array(list) => list,
            one => std::slice::from_ref(one),
        };
        for (index, one) in list.iter().enumerate() {
            let Value::Object(members) = one else {
                return Err(LinkedDataError::Document("a graph holds something that is no object"));
            };
            let deeper = content.is_array().then_some(Step::Element(index));
            self.at(deeper, |this| this.node(active, None, members, graph, false).map(drop))?;
        }
        Ok(())
    }

    /// Does something one step deeper.
    fn at<T>(
        &mut self,
        step: Option<Step>,
        work: impl FnOnce(&mut Self) -> Result<T, LinkedDataError>,
    ) -> Result<T, LinkedDataError> {
        if self.depth == DEPTH_MAX {
            return Err(LinkedDataError::Excessive("nesting"));
        }
        let stepped = step.is_some();
        if let (Some(way), Some(step)) = (&mut self.way, step) {
            way.here.push(step);
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        if let (Some(way), true) = (&mut self.way, stepped) {
            way.here.pop();
        }
        result
    }

    fn blank(&mut self, of_object: bool) -> Term {
        if let Some(way) = &mut self.way {
            if of_object {
                way.nameless.push(way.here.clone());
            } else {
                way.beyond = true;
            }
        }
        let number = self.dataset.blanks;
        self.dataset.blanks += 1;
        Term::Blank(number)
    }

    /// The term for an absolute IRI or a blank node that the document names.
    fn identified(&mut self, id: &str, what: &'static str) -> Result<Term, LinkedDataError> {
        if let Some(label) = id.strip_prefix("_:") {
            if label.is_empty() || label.chars().any(char::is_whitespace) {
                return Err(LinkedDataError::Relative(what));
            }
            if let Some(number) = self.named.get(label) {
                return Ok(Term::Blank(*number));
            }
            let node = self.blank(false);
            if let Term::Blank(number) = node {
                self.named.insert(label.to_owned(), number);
            }
            return Ok(node);
        }
        if is_absolute(id) {
            Ok(Term::Written(written_iri(id)))
        } else {
            Err(LinkedDataError::Relative(what))
        }
    }

    fn emit(&mut self, place: &Place<'_>, object: Term) -> Result<(), LinkedDataError> {
        let (subject, object) = match (place.reverse, object) {
            (false, object) => (place.subject.clone(), object),
            (true, Term::Written(text)) if text.starts_with('"') => {
                return Err(LinkedDataError::Document("a literal under a reverse term"));
            }
            (true, object) => (object, place.subject.clone()),
        };
        let graph = place.graph.cloned();
        self.push(Quad { subject, predicate: place.predicate.to_owned(), object, graph })
    }

    fn push(&mut self, quad: Quad) -> Result<(), LinkedDataError> {
        if self.dataset.quads.len() == QUADS_MAX {
            return Err(LinkedDataError::Excessive("statements"));
        }
        self.dataset.quads.push(quad);
        Ok(())
    }

    /// A node object: emits what it says and hands out its term. `definition` is that of the term above it;
    /// `from_map` is true for the values of identifier and type maps, where type-scoped contexts stay.
    fn node(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        members: &Map<String, Value>,
        graph: Option<&Term>,
        from_map: bool,
    ) -> Result<Term, LinkedDataError> {
        let (active, of_types) = self.contexts_of(active, definition, members, from_map)?;
        self.node_in(&active, &of_types, members, graph)
    }

    /// As [`Self::node`], with the contexts of the object.
    fn node_in(
        &mut self,
        active: &Arc<Context>,
        of_types: &Arc<Context>,
        members: &Map<String, Value>,
        graph: Option<&Term>,
    ) -> Result<Term, LinkedDataError> {
        let mut id = None;
        for (name, value) in members {
            if active.expand(name, true).as_deref() == Some("@id") {
                let Value::String(text) = value else {
                    return Err(LinkedDataError::Document("an identifier is not text"));
                };
                let expanded = active.expand(text, false).ok_or(LinkedDataError::Relative("identifier"))?;
                if id.replace(self.identified(&expanded, "identifier")?).is_some() {
                    return Err(LinkedDataError::Document("an object has two identifiers"));
                }
            }
        }
        let subject = match id {
            Some(subject) => subject,
            None => self.blank(true),
        };
        self.members(active, of_types, members, &subject, graph)?;
        Ok(subject)
    }

    /// The contexts of an object: that for its members, and that by which its types are read (section 5.1.2 steps 7
    /// to 11).
    fn contexts_of(
        &self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        members: &Map<String, Value>,
        from_map: bool,
    ) -> Result<(Arc<Context>, Arc<Context>), LinkedDataError> {
        let mut active = Arc::clone(active);
        if let Some(previous) = &active.previous
            && !from_map
        {
            let expands = |name: &String, to: &str| active.expand(name, true).as_deref() == Some(to);
            let is_value = members.keys().any(|name| expands(name, "@value"));
            let is_reference = members.len() == 1 && members.keys().all(|name| expands(name, "@id"));
            if !is_value && !is_reference {
                active = Arc::clone(previous);
            }
        }
        if let Some(local) = definition.and_then(|definition| definition.context.as_ref()) {
            active = context::on_top_of_term(self.contexts, &active, local, true, true)?;
        }
        if let Some(local) = members.get("@context") {
            active = context::on_top_of_document(self.contexts, &active, local)?;
        }
        let of_types = Arc::clone(&active);
        for (name, value) in members {
            if of_types.expand(name, true).as_deref() != Some("@type") {
                continue;
            }
            let mut types = texts(value).ok_or(LinkedDataError::UnknownType)?;
            types.sort_unstable();
            for name in types {
                if let Some(local) = of_types.term(name).and_then(|term| term.context.as_ref()) {
                    active = context::on_top_of_term(self.contexts, &active, local, false, false)?;
                }
            }
        }
        Ok((active, of_types))
    }

    /// The members of a node object.
    fn members(
        &mut self,
        active: &Arc<Context>,
        of_types: &Arc<Context>,
        members: &Map<String, Value>,
        subject: &Term,
        graph: Option<&Term>,
    ) -> Result<(), LinkedDataError> {
        for (name, value) in members {
            if name == "@context" {
                continue;
            }
            let unknown = || LinkedDataError::UnknownTerm(name.clone());
            let property = active.expand(name, true).ok_or_else(unknown)?;
            let step = Some(Step::Member(name.clone()));
            if is_keyword(&property) {
                self.at(step, |this| this.keyword(active, of_types, &property, value, subject, graph))?;
                continue;
            }
            if property.starts_with("_:") {
                return Err(LinkedDataError::Unsupported("a blank node as property"));
            }
            if !is_absolute(&property) {
                return Err(unknown());
            }
            let definition = active.term(name).cloned();
            let place = Place {
                subject,
                predicate: &written_iri(&property),
                reverse: definition.as_ref().is_some_and(|definition| definition.reverse),
                graph,
                from_map: false,
            };
            self.at(step, |this| this.property(active, definition.as_deref(), value, &place))?;
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        active: &Arc<Context>,
        of_types: &Arc<Context>,
        keyword: &str,
        value: &Value,
        subject: &Term,
        graph: Option<&Term>,
    ) -> Result<(), LinkedDataError> {
        match keyword {
            "@id" => Ok(()),
            "@type" => {
                for name in texts(value).ok_or(LinkedDataError::UnknownType)? {
                    let iri = of_types.expand(name, true).ok_or(LinkedDataError::UnknownType)?;
                    let object = self.identified(&iri, "type").map_err(|_| LinkedDataError::UnknownType)?;
                    let place =
                        Place { subject, predicate: RDF_TYPE, reverse: false, graph, from_map: false };
                    self.emit(&place, object)?;
                }
                Ok(())
            }
            "@graph" => self.graph_content(active, value, Some(subject)),
            "@included" => self.graph_content(active, value, graph),
            "@index" if value.is_string() => Ok(()),
            "@reverse" => {
                let Value::Object(members) = value else {
                    return Err(LinkedDataError::Document("`@reverse` is not an object"));
                };
                self.reversed(active, members, subject, graph)
            }
            "@nest" => Err(LinkedDataError::Unsupported("`@nest`")),
            _ => Err(LinkedDataError::Document("a keyword stands where it must not")),
        }
    }

    fn reversed(
        &mut self,
        active: &Arc<Context>,
        members: &Map<String, Value>,
        subject: &Term,
        graph: Option<&Term>,
    ) -> Result<(), LinkedDataError> {
        for (name, value) in members {
            let property = active.expand(name, true).filter(|property| is_absolute(property));
            let property = property.ok_or_else(|| LinkedDataError::UnknownTerm(name.clone()))?;
            let definition = active.term(name).cloned();
            let reverse = !definition.as_ref().is_some_and(|definition| definition.reverse);
            let place =
                Place { subject, predicate: &written_iri(&property), reverse, graph, from_map: false };
            let step = Some(Step::Member(name.clone()));
            self.at(step, |this| this.property(active, definition.as_deref(), value, &place))?;
        }
        Ok(())
    }
}

/// One text or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => several.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The coercion of a term, if it is defined.
fn coercion_of(definition: Option<&Definition>) -> &Coercion {
    definition.map_or(&Coercion::Nothing, |definition| &definition.coercion)
}
