//! A value against a compiled schema.

use super::compile::pointer;
use super::{Kind, Node, Range, Rules, STEPS_MAX, Violation};
use aval_codec::json::Json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn evaluate(root: &Node, value: &Json) -> Result<(), Violation> {
    Evaluation { steps: 0, path: Vec::new() }.node(root, value).map_err(|stop| stop.violation)
}

struct Evaluation<'schema> {
    steps: u32,
    path: Vec<&'schema str>,
}

/// A value that does not fit, or an evaluation that takes too long. Only the first can make `anyOf` look further or
/// `not` hold.
struct Stop {
    violation: Violation,
    exhausted: bool,
}

type Outcome = Result<(), Stop>;

impl<'schema> Evaluation<'schema> {
    fn violated(&self, keyword: &'static str) -> Outcome {
        let violation = Violation { path: pointer(&self.path), keyword };
        Err(Stop { violation, exhausted: false })
    }

    fn expect(&self, holds: bool, keyword: &'static str) -> Outcome {
        if holds { Ok(()) } else { self.violated(keyword) }
    }

    fn at(&mut self, steps: &[&'schema str], node: &'schema Node, value: &Json) -> Outcome {
        self.path.extend_from_slice(steps);
        let outcome = self.node(node, value);
        self.path.truncate(self.path.len() - steps.len());
        outcome
    }

    fn node(&mut self, node: &'schema Node, value: &Json) -> Outcome {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let violation = Violation { path: pointer(&self.path), keyword: "too many steps" };
            return Err(Stop { violation, exhausted: true });
        }
        match node {
            Node::Always(true) => Ok(()),
            Node::Always(false) => self.violated("false"),
            Node::Rules(rules) => self.rules(rules, value),
        }
    }

    fn rules(&mut self, rules: &'schema Rules, value: &Json) -> Outcome {
        if let Some(kinds) = &rules.kinds {
            self.expect(kinds.contains(&Kind::of(value)), "type")?;
        }
        if let Some(values) = &rules.values {
            self.expect(values.contains(value), "enum")?;
        }
        if let Some(constant) = &rules.constant {
            self.expect(constant == value, "const")?;
        }
        match value {
            Json::Object(members) => self.object(rules, members)?,
            Json::Array(items) => self.array(rules, items)?,
            Json::String(text) => {
                if rules.length != Range::default() {
                    self.range(rules.length, text.chars().count(), ["minLength", "maxLength"])?;
                }
            }
            Json::Int(number) => {
                self.expect(rules.number.least.is_none_or(|least| *number >= least), "minimum")?;
                self.expect(rules.number.most.is_none_or(|most| *number <= most), "maximum")?;
            }
            Json::Null | Json::Bool(_) => {}
        }
        self.combined(rules, value)
    }

    fn object(&mut self, rules: &'schema Rules, members: &BTreeMap<String, Json>) -> Outcome {
        self.range(rules.properties_count, members.len(), ["minProperties", "maxProperties"])?;
        self.expect(rules.required.iter().all(|name| members.contains_key(name)), "required")?;
        for (name, value) in members {
            match (rules.properties.get_key_value(name), &rules.additional) {
                (Some((name, node)), _) => self.at(&["properties", name.as_str()], node, value)?,
                (None, Some(node)) => self.at(&["additionalProperties"], node, value)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn array(&mut self, rules: &'schema Rules, items: &[Json]) -> Outcome {
        self.range(rules.items_count, items.len(), ["minItems", "maxItems"])?;
        if rules.unique {
            let different: BTreeSet<Vec<u8>> = items.iter().map(Json::to_jcs).collect();
            self.expect(different.len() == items.len(), "uniqueItems")?;
        }
        match &rules.items {
            None => Ok(()),
            Some(node) => items.iter().try_for_each(|item| self.at(&["items"], node, item)),
        }
    }

    fn combined(&mut self, rules: &'schema Rules, value: &Json) -> Outcome {
        for node in &rules.all_of {
            self.at(&["allOf"], node, value)?;
        }
        if let Some(nodes) = &rules.any_of {
            let fitting = self.count(nodes, "anyOf", value)?;
            self.expect(fitting > 0, "anyOf")?;
        }
        if let Some(nodes) = &rules.one_of {
            let fitting = self.count(nodes, "oneOf", value)?;
            self.expect(fitting == 1, "oneOf")?;
        }
        match &rules.not {
            None => Ok(()),
            Some(node) => {
                let fitting = self.count(std::slice::from_ref(node), "not", value)?;
                self.expect(fitting == 0, "not")
            }
        }
    }

    /// How many of the subschemas a value fits.
    fn count(&mut self, nodes: &'schema [Node], keyword: &'static str, value: &Json) -> Result<usize, Stop> {
        let mut fitting = 0;
        for node in nodes {
            match self.at(&[keyword], node, value) {
                Ok(()) => fitting += 1,
                Err(stop) if stop.exhausted => return Err(stop),
                Err(_) => {}
            }
        }
        Ok(fitting)
    }

    fn range(&self, range: Range, count: usize, [least, most]: [&'static str; 2]) -> Outcome {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.expect(range.least.is_none_or(|bound| count >= bound), least)?;
        self.expect(range.most.is_none_or(|bound| count <= bound), most)
    }
}

impl Kind {
    fn of(value: &Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(_) => Self::Boolean,
            Json::Int(_) => Self::Number,
            Json::String(_) => Self::String,
            Json::Array(_) => Self::Array,
            Json::Object(_) => Self::Object,
        }
    }
}
