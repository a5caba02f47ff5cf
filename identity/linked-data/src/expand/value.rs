//! What stands under a term: scalars, value objects, lists, sets, and the containers that arrange them.

use super::{Emitter, Place, RDF_FIRST, RDF_NIL, RDF_REST, Step, coercion_of, texts};
use crate::LinkedDataError;
use crate::context::{self, Coercion, Container, Context, Term as Definition};
use crate::iri::{is_absolute, is_language};
use crate::quad::{Quad, Term, written_literal};
use serde_json::{Map, Number, Value};
use std::sync::Arc;

const XSD_BOOLEAN: &str = "http://www.w3.org/2001/XMLSchema#boolean";
const XSD_INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";
const XSD_DOUBLE: &str = "http://www.w3.org/2001/XMLSchema#double";
const RDF_JSON: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON";

impl Emitter<'_> {
    /// The value of a member, by the container of its term.
    pub(super) fn property(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<(), LinkedDataError> {
        let container = definition.map_or(Container::default(), |definition| definition.container);
        if *coercion_of(definition) == Coercion::Json {
            return self.emit(place, json_literal(value)?);
        }
        match value {
            Value::Object(members) if container.language => {
                self.language_map(active, definition, members, place)
            }
            Value::Object(members) if container.index || container.id || container.kind => {
                self.map(active, definition, container, members, place)
            }
            _ if container.list => {
                if place.reverse {
                    return Err(LinkedDataError::Document("a list under a reverse term"));
                }
                let inner = match value {
                    Value::Object(members) => list_of(active, members),
                    _ => None,
                };
                self.list(active, definition, inner.unwrap_or(value), place)
            }
            _ => self.values(active, definition, value, place, container.graph),
        }
    }

    /// One value or an array of them; an array in an array is the same as its elements.
    fn values(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        value: &Value,
        place: &Place<'_>,
        as_graph: bool,
    ) -> Result<(), LinkedDataError> {
        if let Value::Array(elements) = value {
            for (index, element) in elements.iter().enumerate() {
                self.at(Some(Step::Element(index)), |this| {
                    this.values(active, definition, element, place, as_graph)
                })?;
            }
            return Ok(());
        }
        match value {
            Value::Object(members) if as_graph => {
                return self.graph_value(active, definition, members, place, None);
            }
            Value::Null => return Ok(()),
            _ if as_graph => return Err(LinkedDataError::Unsupported("a graph that is no object")),
            _ => {}
        }
        match self.single(active, definition, value, place)? {
            Single::Nothing => Ok(()),
            Single::Term(object) => self.emit(place, object),
            Single::List(..) if place.reverse => {
                Err(LinkedDataError::Document("a list under a reverse term"))
            }
            Single::List(elements, of) => self.list(&of, definition, elements, place),
            Single::Set(elements, of) => self.values(&of, definition, elements, place, false),
        }
    }

    /// An object under a term whose container is `@graph`: a graph of its own.
    fn graph_value(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        members: &Map<String, Value>,
        place: &Place<'_>,
        name: Option<Term>,
    ) -> Result<(), LinkedDataError> {
        let (context, of_types) = self.contexts_of(active, definition, members, place.from_map)?;
        let mut names = members.keys().map(|name| context.expand(name, true));
        let is_graph = names.clone().any(|name| name.as_deref() == Some("@graph"))
            && names.all(|name| matches!(name.as_deref(), Some("@graph" | "@id" | "@index" | "@context")));
        // In a map of graphs a graph stays what it is; otherwise it is put into another.
        let in_map =
            definition.is_some_and(|definition| definition.container.id || definition.container.index);
        if is_graph && in_map {
            let node = match name {
                Some(node) => {
                    self.members(&context, &of_types, members, &node, place.graph)?;
                    node
                }
                None => self.node_in(&context, &of_types, members, place.graph)?,
            };
            return self.emit(place, node);
        }
        let name = match name {
            Some(name) => name,
            None => self.blank(false),
        };
        self.node_in(&context, &of_types, members, Some(&name))?;
        self.emit(place, name)
    }

    /// A value that is no array.
    fn single<'v>(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        value: &'v Value,
        place: &Place<'_>,
    ) -> Result<Single<'v>, LinkedDataError> {
        let members = match value {
            Value::Null => return Ok(Single::Nothing),
            Value::Object(members) => members,
            scalar => return self.scalar(active, definition, scalar),
        };
        // `@value`, `@list` and `@set` make other things than nodes of objects.
        let (context, of_types) = self.contexts_of(active, definition, members, place.from_map)?;
        let mut kind = None;
        for name in members.keys() {
            match context.expand(name, true).as_deref() {
                Some("@value") => kind = Some("@value"),
                Some("@list") => kind = Some("@list"),
                Some("@set") => kind = Some("@set"),
                _ => {}
            }
        }
        match kind {
            None => self.node_in(&context, &of_types, members, place.graph).map(Single::Term),
            Some("@value") => value_object(&context, members),
            Some(keyword) => {
                let inner = only(&context, members, keyword)?;
                Ok(if keyword == "@list" {
                    Single::List(inner, context)
                } else {
                    Single::Set(inner, context)
                })
            }
        }
    }

    /// Value Expansion, section 5.3.2.
    fn scalar<'v>(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        value: &Value,
    ) -> Result<Single<'v>, LinkedDataError> {
        // A context that the term brings is in force for its values, too.
        let active = match definition.and_then(|definition| definition.context.as_ref()) {
            Some(local) => &context::on_top_of_term(self.contexts, active, local, true, true)?,
            None => active,
        };
        let datatype = match (coercion_of(definition), value) {
            (Coercion::Id, Value::String(text)) => {
                let iri = active.expand(text, false).ok_or(LinkedDataError::Relative("identifier"))?;
                return Ok(Single::Term(self.identified(&iri, "identifier")?));
            }
            (Coercion::Vocab, Value::String(text)) => {
                let iri = active.expand(text, true).ok_or(LinkedDataError::Relative("identifier"))?;
                return Ok(Single::Term(self.identified(&iri, "identifier")?));
            }
            (Coercion::Datatype(datatype), _) => Some(datatype.as_ref()),
            _ => None,
        };
        let language = match (datatype, value, definition.and_then(|definition| definition.language.as_ref()))
        {
            (None, Value::String(_), Some(language)) => language.as_deref(),
            (None, Value::String(_), None) => active.language.as_deref(),
            _ => None,
        };
        literal(value, datatype, language).map(Single::Term)
    }

    fn list(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        value: &Value,
        place: &Place<'_>,
    ) -> Result<(), LinkedDataError> {
        let elements: &[Value] = match value {
            Value::Array(elements) => elements,
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        let mut terms = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let step = value.is_array().then_some(Step::Element(index));
            let term = self.at(step, |this| match element {
                Value::Array(_) => Err(LinkedDataError::Unsupported("a list in a list")),
                one => match this.single(active, definition, one, place)? {
                    Single::Term(term) => Ok(Some(term)),
                    Single::Nothing => Ok(None),
                    _ => Err(LinkedDataError::Unsupported("a list in a list")),
                },
            })?;
            terms.extend(term);
        }
        let mut rest = Term::Written(RDF_NIL.to_owned());
        for term in terms.into_iter().rev() {
            let cell = self.blank(false);
            let graph = place.graph.cloned();
            let first = Quad { subject: cell.clone(), predicate: RDF_FIRST.to_owned(), object: term, graph };
            let more = Quad { predicate: RDF_REST.to_owned(), object: rest, ..first.clone() };
            self.push(first)?;
            self.push(more)?;
            rest = cell;
        }
        self.emit(place, rest)
    }

    fn language_map(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        members: &Map<String, Value>,
        place: &Place<'_>,
    ) -> Result<(), LinkedDataError> {
        // A value object among others is not a map.
        if members.keys().any(|name| active.expand(name, true).as_deref() == Some("@value")) {
            return self.values(active, definition, &Value::Object(members.clone()), place, false);
        }
        for (tag, value) in members {
            let none = active.expand(tag, true).as_deref() == Some("@none");
            if !none && !is_language(tag) {
                return Err(LinkedDataError::Document("a language map has a key that is no language tag"));
            }
            let several = if value.is_null() { Some(Vec::new()) } else { texts(value) };
            for text in several.ok_or(LinkedDataError::Document("a language map holds more than text"))? {
                let tag = tag.to_lowercase();
                let term = written_literal(text, None, if none { None } else { Some(&tag) });
                self.emit(place, Term::Written(term))?;
            }
        }
        Ok(())
    }

    /// Index, identifier and type maps, of graphs or not.
    fn map(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        container: Container,
        members: &Map<String, Value>,
        place: &Place<'_>,
    ) -> Result<(), LinkedDataError> {
        let place = &Place { from_map: true, ..place.clone() };
        let active = match &active.previous {
            Some(previous) if container.id || container.kind => previous,
            _ => active,
        };
        for (key, value) in members {
            let none = active.expand(key, true).as_deref() == Some("@none");
            let of_key = active.term(key).and_then(|term| term.context.as_ref());
            let active = match of_key.filter(|_| container.kind) {
                Some(local) => &context::on_top_of_term(self.contexts, active, local, false, false)?,
                None => active,
            };
            if container.index || none {
                self.at(Some(Step::Member(key.clone())), |this| {
                    this.values(active, definition, value, place, container.graph)
                })?;
                continue;
            }
            let list: &[Value] = match value {
                Value::Array(list) => list,
                one => std::slice::from_ref(one),
            };
            for one in list {
                let Value::Object(inner) = one else {
                    return Err(LinkedDataError::Unsupported("a map whose values are no objects"));
                };
                self.at(Some(Step::Member(key.clone())), |this| {
                    this.map_entry(active, definition, container, (key, inner), place)
                })?;
            }
        }
        Ok(())
    }

    fn map_entry(
        &mut self,
        active: &Arc<Context>,
        definition: Option<&Definition>,
        container: Container,
        (key, inner): (&str, &Map<String, Value>),
        place: &Place<'_>,
    ) -> Result<(), LinkedDataError> {
        let has = |keyword| inner.keys().any(|name| active.expand(name, true).as_deref() == Some(keyword));
        let mut whole = inner.clone();
        if container.id {
            let iri = active.expand(key, false).ok_or(LinkedDataError::Relative("identifier"))?;
            if container.graph {
                let name = self.identified(&iri, "identifier")?;
                return self.graph_value(active, definition, inner, place, Some(name));
            }
            if !has("@id") {
                whole.insert("@id".to_owned(), Value::String(iri));
            }
        } else if has("@type") {
            return Err(LinkedDataError::Unsupported("a type map whose objects have types of their own"));
        } else {
            whole.insert("@type".to_owned(), Value::String(key.to_owned()));
        }
        let node = self.node(active, definition, &whole, place.graph, true)?;
        self.emit(place, node)
    }
}

/// What a value came to.
enum Single<'v> {
    Nothing,
    Term(Term),
    List(&'v Value, Arc<Context>),
    Set(&'v Value, Arc<Context>),
}

/// The elements of an object that is a list and nothing else.
fn list_of<'v>(active: &Context, members: &'v Map<String, Value>) -> Option<&'v Value> {
    let mut found = None;
    for (name, value) in members {
        match active.expand(name, true).as_deref() {
            Some("@list") => found = Some(value),
            Some("@index") => {}
            _ => return None,
        }
    }
    found
}

/// The value of `@list` or `@set` in an object that has nothing else but `@index` and `@context`.
fn only<'v>(
    active: &Context,
    members: &'v Map<String, Value>,
    keyword: &str,
) -> Result<&'v Value, LinkedDataError> {
    let mut found = None;
    for (name, value) in members {
        match active.expand(name, true).as_deref() {
            Some(one) if one == keyword => found = Some(value),
            Some("@index" | "@context") => {}
            _ => return Err(LinkedDataError::Document("a list or set has other members")),
        }
    }
    found.ok_or(LinkedDataError::Document("a list or set without elements"))
}

/// `{"@value": …}`
fn value_object<'v>(
    active: &Context,
    members: &'v Map<String, Value>,
) -> Result<Single<'v>, LinkedDataError> {
    let (mut value, mut kind, mut language, mut direction) = (None, None, None, None);
    for (name, member) in members {
        let place = match active.expand(name, true).as_deref() {
            Some("@value") => &mut value,
            Some("@type") => &mut kind,
            Some("@language") => &mut language,
            Some("@direction") => &mut direction,
            Some("@context") => continue,
            Some("@index") if member.is_string() => continue,
            _ => return Err(LinkedDataError::Document("a value object has other members")),
        };
        if place.replace(member).is_some() {
            return Err(LinkedDataError::Document("a value object has a member twice"));
        }
    }
    let (value, null) = (value.unwrap_or(&Value::Null), Value::Null);
    let direction = direction.unwrap_or(&null);
    if !direction.is_null() && direction != "ltr" && direction != "rtl" {
        return Err(LinkedDataError::Document("`@direction` is neither ltr nor rtl"));
    }
    let language = language.filter(|language| !language.is_null());
    if kind.is_some() && (language.is_some() || !direction.is_null()) {
        return Err(LinkedDataError::Document("a value with a type and a language"));
    }
    let datatype = match kind {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => {
            let iri = active.expand(name, true).ok_or(LinkedDataError::UnknownType)?;
            if iri == "@json" {
                return json_literal(value).map(Single::Term);
            }
            Some(Some(iri).filter(|iri| is_absolute(iri)).ok_or(LinkedDataError::UnknownType)?)
        }
        Some(_) => return Err(LinkedDataError::Document("the type of a value is not text")),
    };
    let language = match language {
        None => None,
        Some(Value::String(tag)) if is_language(tag) && value.is_string() => Some(tag.to_lowercase()),
        Some(_) => return Err(LinkedDataError::Document("`@language` is not the language of a text")),
    };
    match value {
        Value::Null => Ok(Single::Nothing),
        Value::Array(_) | Value::Object(_) => Err(LinkedDataError::Document("`@value` is not a scalar")),
        scalar => literal(scalar, datatype.as_deref(), language.as_deref()).map(Single::Term),
    }
}

/// Object to RDF Conversion, section 8.2.2, for scalars.
fn literal(value: &Value, datatype: Option<&str>, language: Option<&str>) -> Result<Term, LinkedDataError> {
    let (text, native) = match value {
        Value::String(text) => (text.clone(), None),
        Value::Bool(value) => (value.to_string(), Some(XSD_BOOLEAN)),
        Value::Number(number) => {
            let (text, native) = number_text(number, datatype)?;
            (text, Some(native))
        }
        _ => return Err(LinkedDataError::Document("a literal is not a scalar")),
    };
    Ok(Term::Written(written_literal(&text, datatype.or(native), language)))
}

/// Integers stay integers; everything else is a double in its canonical form, `1.5E0`.
fn number_text(number: &Number, datatype: Option<&str>) -> Result<(String, &'static str), LinkedDataError> {
    let value = number.as_f64().ok_or(LinkedDataError::Document("a number is out of range"))?;
    if datatype != Some(XSD_DOUBLE) && value.fract() == 0.0 && value.abs() < 1e21 {
        let text = match number.as_i64() {
            Some(integer) => integer.to_string(),
            None => format!("{value:.0}"),
        };
        // Minus zero has no integer form.
        return Ok((if text == "-0" { "0".to_owned() } else { text }, XSD_INTEGER));
    }
    // 16 significant digits, trailing zeros cut, at least one digit after the point.
    let text = format!("{value:.15E}");
    let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0');
    let zero = if mantissa.ends_with('.') { "0" } else { "" };
    Ok((format!("{mantissa}{zero}E{exponent}"), XSD_DOUBLE))
}

/// A JSON literal in its canonical form (RFC 8785).
fn json_literal(value: &Value) -> Result<Term, LinkedDataError> {
    let text = serde_json_canonicalizer::to_string(value)
        .map_err(|_| LinkedDataError::Document("a JSON literal has no canonical form"))?;
    Ok(Term::Written(written_literal(&text, Some(RDF_JSON), None)))
}
