//! `JsonSchema` of VC JSON Schema: the whole credential by a JSON Schema (2020-12, or the draft that it names).
//!
//! A schema comes from outside, so what it can cost is bounded before it is evaluated: references lead into the schema
//! itself and never in a circle, written out it has at most [`NODES_MAX`] parts, and patterns are matched in linear
//! time.
//! A schema beyond that is not *wrong*; it was not used, and that is what the answer says.

use super::answer::{Outcome, Problem};
use crate::json::{self, Limits};
use aval_codec::b64u;
use base64::Engine as _;
use jsonschema::PatternOptions;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The type of entry that is understood.
pub(super) const TYPE: &str = "JsonSchema";
/// Most parts of a schema with its references written out.
const NODES_MAX: usize = 20_000;
const LIMITS: Limits = Limits { bytes_max: 256 * 1024, depth_max: 48 };
/// Longest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

fn undecided(code: &'static str, detail: &str) -> Outcome {
    Outcome::Undecided(Problem::new(code, detail))
}

/// Judges a credential by a schema as it was served, whose digest the credential may name.
pub(super) fn check(bytes: &[u8], entry: &Value, credential: &Value) -> Outcome {
    if let Some(integrity) = entry.get("digestSRI")
        && !integrity.as_str().is_some_and(|integrity| has_digest(bytes, integrity))
    {
        return undecided(
            "schema.integrity",
            "what was served under the schema's URL is not what the issuer meant",
        );
    }
    let Ok(schema) = json::parse(bytes, "schema", LIMITS) else {
        return undecided(
            "schema.malformed",
            "what was served under the schema's URL is not JSON of the allowed size",
        );
    };
    let mut budget = NODES_MAX;
    if unfolded(&schema, &schema, 0, &mut budget).is_none() {
        return undecided("schema.unsupported", "the schema is recursive, refers to others, or is too large");
    }
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    match jsonschema::options().with_pattern_options(patterns).build(&schema) {
        // The error would name values of the credential; that a rule is broken is enough.
        Ok(validator) if validator.is_valid(credential) => Outcome::Passed,
        Ok(_) => {
            Outcome::Invalid(Problem::new("schema.violated", "the credential breaks a rule of its schema"))
        }
        Err(_) => undecided("schema.unsupported", "not a JSON Schema of a supported draft"),
    }
}

/// Whether the bytes have one of the digests of the strongest hash that is named (Subresource Integrity section 3.3.4).
fn has_digest(bytes: &[u8], integrity: &str) -> bool {
    let digests = [
        ("sha512-", Sha512::digest(bytes).to_vec()),
        ("sha384-", Sha384::digest(bytes).to_vec()),
        ("sha256-", Sha256::digest(bytes).to_vec()),
    ];
    for (prefix, digest) in digests {
        let mut named =
            integrity.split_ascii_whitespace().filter_map(|one| one.strip_prefix(prefix)).peekable();
        if named.peek().is_some() {
            let standard = base64::engine::general_purpose::STANDARD.encode(&digest);
            return named.any(|text| text == standard || text == b64u::encode(&digest));
        }
    }
    false
}

/// Counts the parts of a schema with local references written out against a budget; `None` if it is spent, or a
/// reference cannot be followed.
fn unfolded(root: &Value, part: &Value, depth: usize, budget: &mut usize) -> Option<()> {
    // A circle of references comes to this depth, whatever it is made of.
    if depth > 4 * LIMITS.depth_max {
        return None;
    }
    *budget = budget.checked_sub(1)?;
    match part {
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    // Inside a part with an `$id` references mean something else; another draft has other keywords.
                    "$id" | "id" if depth > 0 && value.is_string() => return None,
                    "$schema" if value.is_string() && (depth > 0 || !is_known_draft(value)) => return None,
                    "$ref" => unfolded(root, local(root, value.as_str()?)?, depth + 1, budget)?,
                    "$dynamicRef" | "$recursiveRef" => return None,
                    // Definitions count where they are referred to.
                    "$defs" | "definitions" => {}
                    _ => unfolded(root, value, depth + 1, budget)?,
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                unfolded(root, element, depth + 1, budget)?;
            }
        }
        _ => {}
    }
    Some(())
}

fn is_known_draft(value: &Value) -> bool {
    const DRAFTS: [&str; 3] = [
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema",
    ];
    value.as_str().is_some_and(|draft| DRAFTS.contains(&draft.trim_end_matches('#')))
}

/// What a reference inside the same document leads to: the root, or a JSON pointer.
fn local<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.contains('%') {
        return None;
    }
    root.pointer(pointer)
}
