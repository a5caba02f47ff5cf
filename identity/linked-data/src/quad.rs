//! Statements. Terms other than blank nodes are kept as N-Quads writes them.

use std::fmt::Write as _;

/// Subject, object or graph of a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Term {
    /// `<iri>` or a literal with all its parts.
    Written(String),
    /// A blank node, by its number in the dataset.
    Blank(u32),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Quad {
    pub(crate) subject: Term,
    /// `<iri>`; there are no blank predicates.
    pub(crate) predicate: String,
    pub(crate) object: Term,
    /// `None` in the default graph.
    pub(crate) graph: Option<Term>,
}

/// Statements, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dataset {
    pub(crate) quads: Vec<Quad>,
    /// How many blank nodes have numbers.
    pub(crate) blanks: u32,
}

impl Quad {
    /// The line of N-Quads, with a name for each blank node.
    pub(crate) fn write(&self, name: &mut dyn FnMut(u32, &mut String)) -> String {
        let mut line = String::with_capacity(160);
        let mut term = |term: &Term, line: &mut String| match term {
            Term::Written(text) => line.push_str(text),
            Term::Blank(number) => {
                line.push_str("_:");
                name(*number, line);
            }
        };
        term(&self.subject, &mut line);
        line.push(' ');
        line.push_str(&self.predicate);
        line.push(' ');
        term(&self.object, &mut line);
        if let Some(graph) = &self.graph {
            line.push(' ');
            term(graph, &mut line);
        }
        line.push_str(" .\n");
        line
    }

    /// The blank nodes with their positions.
    pub(crate) fn blanks(&self) -> impl Iterator<Item = (char, u32)> {
        let places = [('s', Some(&self.subject)), ('o', Some(&self.object)), ('g', self.graph.as_ref())];
        places.into_iter().filter_map(|(position, term)| match term {
            Some(Term::Blank(number)) => Some((position, *number)),
            _ => None,
        })
    }
}

/// `<iri>`
pub(crate) fn written_iri(iri: &str) -> String {
    format!("<{iri}>")
}

/// A literal in canonical N-Quads (RDFC-1.0 section 5): `"text"`, `"text"@language`, `"text"^^<datatype>`.
pub(crate) fn written_literal(text: &str, datatype: Option<&str>, language: Option<&str>) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    line.push('"');
    for one in text.chars() {
        match one {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\u{8}' => line.push_str("\\b"),
            '\u{c}' => line.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                // Writing to a string does not fail.
                let _ = write!(line, "\\u{:04X}", u32::from(one));
            }
            plain => line.push(plain),
        }
    }
    line.push('"');
    match (language, datatype) {
        (Some(language), _) => {
            line.push('@');
            line.push_str(language);
        }
        (None, Some(datatype)) if datatype != XSD_STRING => {
            line.push_str("^^<");
            line.push_str(datatype);
            line.push('>');
        }
        _ => {}
    }
    line
}

/// The datatype that is not written.
pub(crate) const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
