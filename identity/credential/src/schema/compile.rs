//! From JSON to a compiled schema: an allow-list.

use super::{DEPTH_MAX, DIALECT, Kind, MEMBERS_MAX, NODES_MAX, Node, Range, Rules, SchemaError};
use aval_codec::json::Json;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of an annotation or a property's name.
const TEXT_LENGTH_MAX: usize = 1024;

pub(super) fn compile(schema: &Json) -> Result<Node, SchemaError> {
    Compiler { nodes: 0, path: Vec::new() }.node(schema)
}

struct Compiler {
    nodes: usize,
    path: Vec<String>,
}

impl Compiler {
    fn refuse<T>(&self, reason: &'static str) -> Result<T, SchemaError> {
        Err(SchemaError { path: pointer(&self.path), reason })
    }

    /// Compiles what lies under one more step of the path.
    fn at<T>(
        &mut self,
        step: &str,
        compile: impl FnOnce(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<T, SchemaError> {
        self.path.push(step.to_owned());
        let compiled = compile(self);
        self.path.pop();
        compiled
    }

    fn node(&mut self, schema: &Json) -> Result<Node, SchemaError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return self.refuse("more than 512 subschemas");
        }
        match schema {
            Json::Bool(always) => Ok(Node::Always(*always)),
            Json::Object(members) => self.rules(members).map(|rules| Node::Rules(Box::new(rules))),
            _ => self.refuse("a schema is an object or a boolean"),
        }
    }

    fn rules(&mut self, members: &BTreeMap<String, Json>) -> Result<Rules, SchemaError> {
        // A step of the path is a keyword or a name under it, so this bounds the nesting of subschemas.
        if self.path.len() > 2 * DEPTH_MAX {
            return self.refuse("nested deeper than 16");
        }
        let mut rules = Rules::default();
        for (keyword, value) in members {
            self.at(keyword, |compiler| compiler.keyword(&mut rules, keyword, value))?;
        }
        Ok(rules)
    }

    fn keyword(&mut self, rules: &mut Rules, keyword: &str, value: &Json) -> Result<(), SchemaError> {
        match keyword {
            "$schema" if self.path.len() > 1 => return self.refuse("only the top has a $schema"),
            "$schema" if value.as_str() != Some(DIALECT) => {
                return self.refuse("another dialect than 2020-12");
            }
            "$schema" => {}
            "$id" if self.path.len() > 1 => return self.refuse("only the top has an $id"),
            "$id" | "title" | "description" | "$comment" => self.annotation(value)?,
            "type" => rules.kinds = Some(self.kinds(value)?),
            "enum" => rules.values = Some(self.values(value)?),
            "const" => rules.constant = Some(self.scalar(value)?),
            "properties" => rules.properties = self.properties(value)?,
            "required" => rules.required = self.required(value)?,
            "additionalProperties" => rules.additional = Some(self.node(value)?),
            "items" => rules.items = Some(self.node(value)?),
            "uniqueItems" => match value.as_bool() {
                Some(unique) => rules.unique = unique,
                None => return self.refuse("not a boolean"),
            },
            "minProperties" => rules.properties_count.least = Some(self.count(value)?),
            "maxProperties" => rules.properties_count.most = Some(self.count(value)?),
            "minItems" => rules.items_count.least = Some(self.count(value)?),
            "maxItems" => rules.items_count.most = Some(self.count(value)?),
            "minLength" => rules.length.least = Some(self.count(value)?),
            "maxLength" => rules.length.most = Some(self.count(value)?),
            "minimum" => raise(&mut rules.number, self.integer(value)?),
            "exclusiveMinimum" => raise(&mut rules.number, self.integer(value)?.saturating_add(1)),
            "maximum" => lower(&mut rules.number, self.integer(value)?),
            "exclusiveMaximum" => lower(&mut rules.number, self.integer(value)?.saturating_sub(1)),
            "allOf" => rules.all_of = self.nodes(value)?,
            "anyOf" => rules.any_of = Some(self.nodes(value)?),
            "oneOf" => rules.one_of = Some(self.nodes(value)?),
            "not" => rules.not = Some(self.node(value)?),
            "pattern" | "patternProperties" => return self.refuse("regular expressions are not allowed"),
            "format" => return self.refuse("`format` is not allowed: readers differ on it"),
            "$ref" | "$dynamicRef" | "$defs" | "$anchor" | "$dynamicAnchor" => {
                return self.refuse("references are not allowed");
            }
            _ => return self.refuse("not a keyword that the ledger validates by"),
        }
        Ok(())
    }

    fn annotation(&self, value: &Json) -> Result<(), SchemaError> {
        match value.as_str() {
            Some(text) if text.len() <= TEXT_LENGTH_MAX => Ok(()),
            _ => self.refuse("not a text of at most 1024 bytes"),
        }
    }

    fn list<'json>(&self, value: &'json Json) -> Result<&'json [Json], SchemaError> {
        match value {
            Json::Array(members) if (1..=MEMBERS_MAX).contains(&members.len()) => Ok(members),
            _ => self.refuse("not a list of 1 to 128"),
        }
    }

    fn kinds(&self, value: &Json) -> Result<Vec<Kind>, SchemaError> {
        let kind = |name: &Json| match name.as_str() {
            Some("null") => Ok(Kind::Null),
            Some("boolean") => Ok(Kind::Boolean),
            Some("integer" | "number") => Ok(Kind::Number),
            Some("string") => Ok(Kind::String),
            Some("array") => Ok(Kind::Array),
            Some("object") => Ok(Kind::Object),
            _ => self.refuse("not a type"),
        };
        match value {
            Json::String(_) => Ok(vec![kind(value)?]),
            _ => {
                let names = self.list(value)?;
                let unique: BTreeSet<&str> = names.iter().filter_map(Json::as_str).collect();
                if unique.len() != names.len() {
                    return self.refuse("a type is named twice");
                }
                names.iter().map(kind).collect()
            }
        }
    }

    fn scalar(&self, value: &Json) -> Result<Json, SchemaError> {
        match value {
            Json::Array(_) | Json::Object(_) => self.refuse("a list or object is not allowed here"),
            scalar => Ok(scalar.clone()),
        }
    }

    fn values(&self, value: &Json) -> Result<Vec<Json>, SchemaError> {
        self.list(value)?.iter().map(|value| self.scalar(value)).collect()
    }

    fn properties(&mut self, value: &Json) -> Result<BTreeMap<String, Node>, SchemaError> {
        let Json::Object(members) = value else { return self.refuse("not an object") };
        if members.len() > MEMBERS_MAX {
            return self.refuse("more than 128 properties");
        }
        let mut properties = BTreeMap::new();
        for (name, schema) in members {
            let node = self.at(name, |compiler| compiler.node(schema))?;
            properties.insert(name.clone(), node);
        }
        Ok(properties)
    }

    fn required(&self, value: &Json) -> Result<Vec<String>, SchemaError> {
        // An empty list is what a generator writes where nothing is required.
        let names = match value {
            Json::Array(members) if members.is_empty() => &[],
            _ => self.list(value)?,
        };
        let unique: BTreeSet<&str> = names.iter().filter_map(Json::as_str).collect();
        if unique.len() != names.len() {
            return self.refuse("not a list of different names");
        }
        Ok(unique.into_iter().map(str::to_owned).collect())
    }

    fn nodes(&mut self, value: &Json) -> Result<Vec<Node>, SchemaError> {
        let schemas = self.list(value)?;
        let mut nodes = Vec::with_capacity(schemas.len());
        for (number, schema) in schemas.iter().enumerate() {
            nodes.push(self.at(&number.to_string(), |compiler| compiler.node(schema))?);
        }
        Ok(nodes)
    }

    fn count(&self, value: &Json) -> Result<i64, SchemaError> {
        match value.as_i64() {
            Some(count) if count >= 0 => Ok(count),
            _ => self.refuse("not a number of 0 or more"),
        }
    }

    fn integer(&self, value: &Json) -> Result<i64, SchemaError> {
        value.as_i64().map_or_else(|| self.refuse("not an integer"), Ok)
    }
}

/// `minimum` and `exclusiveMinimum` may both be there; the stricter one counts.
fn raise(range: &mut Range, least: i64) {
    range.least = Some(range.least.map_or(least, |other| other.max(least)));
}

fn lower(range: &mut Range, most: i64) {
    range.most = Some(range.most.map_or(most, |other| other.min(most)));
}

/// A JSON pointer (RFC 6901).
pub(super) fn pointer<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().map(|step| format!("/{}", step.as_ref().replace('~', "~0").replace('/', "~1"))).collect()
}
