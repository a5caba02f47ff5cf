//! JSON Schema 2020-12, the part by which the ledger judges credentials (specs/trust.md, section 5).
//!
//! A schema is compiled when it is published, and whatever is not in the list below is refused then: nothing that
//! two implementations read differently (`format`), that can take long (`pattern`, regular expressions), that recurses
//! or is fetched (`$ref`) ever comes to be evaluated. What is left is a tree: each of its nodes meets each node of a
//! credential at most once, and a budget of steps bounds even that, so that every node of the network reaches the
//! same answer in the same bounded time.
//!
//! | keywords | |
//! |---|---|
//! | `$schema`, `$id` | at the top only; the first names 2020-12, the second is not used |
//! | `title`, `description`, `$comment` | text, not used |
//! | `type`, `enum`, `const` | values of `enum` and `const` are strings, integers, booleans or null |
//! | `properties`, `required`, `additionalProperties`, `minProperties`, `maxProperties` | |
//! | `items`, `minItems`, `maxItems`, `uniqueItems` | |
//! | `minLength`, `maxLength` | in characters, not bytes |
//! | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum` | integers: credentials here have no fractions |
//! | `allOf`, `anyOf`, `oneOf`, `not` | |

mod compile;
mod evaluate;

use aval_codec::json::Json;
use std::collections::BTreeMap;

/// The dialect, if a schema names one.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Subschemas of one schema.
pub const NODES_MAX: usize = 512;
/// Nesting of subschemas.
pub const DEPTH_MAX: usize = 16;
/// Members of one list or map of a schema.
pub const MEMBERS_MAX: usize = 128;
/// Pairs of a subschema and a value that one evaluation looks at.
pub const STEPS_MAX: u32 = 65_536;

/// A schema that was found to be within the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    root: Node,
}

/// Why a schema is refused. `path` is a JSON pointer into the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {}", if .path.is_empty() { "the top" } else { .path })]
pub struct SchemaError {
    /// Where in the schema.
    pub path: String,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Why a value does not fit: which keyword of the schema says so. Nothing of the value is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{keyword}` at {}", if .path.is_empty() { "the top" } else { .path })]
pub struct Violation {
    /// Where in the schema, a JSON pointer.
    pub path: String,
    /// The keyword.
    pub keyword: &'static str,
}

impl Schema {
    /// Reads a schema and refuses all that is not in the list of the module's documentation.
    pub fn compile(schema: &Json) -> Result<Self, SchemaError> {
        compile::compile(schema).map(|root| Self { root })
    }

    /// Judges an object, for example the processed payload of a credential.
    pub fn validate(&self, object: &BTreeMap<String, Json>) -> Result<(), Violation> {
        evaluate::evaluate(&self.root, &Json::Object(object.clone()))
    }

    /// Judges any value.
    pub fn validate_value(&self, value: &Json) -> Result<(), Violation> {
        evaluate::evaluate(&self.root, value)
    }
}

/// A compiled subschema.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// `true` or `false`.
    Always(bool),
    /// An object of keywords.
    Rules(Box<Rules>),
}

/// The keywords of one subschema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rules {
    kinds: Option<Vec<Kind>>,
    values: Option<Vec<Json>>,
    constant: Option<Json>,
    properties: BTreeMap<String, Node>,
    required: Vec<String>,
    additional: Option<Node>,
    properties_count: Range,
    items: Option<Node>,
    items_count: Range,
    unique: bool,
    length: Range,
    number: Range,
    all_of: Vec<Node>,
    any_of: Option<Vec<Node>>,
    one_of: Option<Vec<Node>>,
    not: Option<Node>,
}

/// Bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Range {
    least: Option<i64>,
    most: Option<i64>,
}

/// A `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    /// `integer`, and `number`: there are no others.
    Number,
    String,
    Array,
    Object,
}
