//! What answers a query (OpenID4VP 1.0 section 6.4), seen by the wallet and by the verifier.

use crate::vp::dcql::path::ClaimsPath;
use crate::vp::dcql::query::{ClaimsQuery, CredentialQuery, Query};
use crate::vp::tree::{Content, Node, Place};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A credential of a wallet, or one that was presented.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its format identifier.
    pub format: &'a str,
    /// The `vct` of a `dc+sd-jwt` credential.
    pub vct: Option<&'a str>,
    /// The types of a W3C credential, as they stand and, where the caller has expanded them, as IRIs.
    pub types: &'a [String],
    /// All claims: the payload of a JWT or SD-JWT, or the whole document with Data Integrity.
    pub claims: &'a Node,
    /// Who is known to stand behind the issuer: pairs of type and value as in `trusted_authorities`.
    pub authorities: &'a [(String, String)],
    /// Whether possession of a key can be, or was, proven with it.
    pub holder_bound: bool,
}

/// A credential that answers a part of the query, with what is to be shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The candidate, by its position.
    pub candidate: usize,
    /// The claims that were asked for, each by its place. Besides these, only what cannot be hidden is shown.
    pub claims: Vec<Vec<Place>>,
}

/// What the wallet could present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// By the id of the credential query, those that answer it; empty where none does.
    pub answers: BTreeMap<String, Vec<Selected>>,
    /// What satisfies the request, the preferred first; one of each is to be chosen.
    pub choices: Vec<Choice>,
}

/// One of the verifier's sets of alternatives, as far as this wallet has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Whether the user may leave it out.
    pub required: bool,
    /// Ids of credential queries that together are one way to answer, the preferred first.
    pub options: Vec<Vec<String>>,
}

/// The request cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing here answers the request for {}", missing.join(", "))]
pub struct Unsatisfied {
    /// Ids of credential queries without an answer.
    pub missing: Vec<String>,
}

/// A presentation as the verifier has it, after its own checks.
#[derive(Debug, Clone)]
pub struct Presented<'a> {
    /// The id of the credential query that it answers.
    pub id: &'a str,
    /// What it is.
    pub candidate: Candidate<'a>,
}

impl Query {
    /// What of the candidates answers the query. An error if what is required cannot be answered.
    pub fn evaluate(&self, candidates: &[Candidate<'_>]) -> Result<Evaluation, Unsatisfied> {
        let answers: BTreeMap<String, Vec<Selected>> = self
            .credentials()
            .iter()
            .map(|query| {
                let fitting = candidates.iter().enumerate().filter_map(|(position, candidate)| {
                    Some(Selected { candidate: position, claims: query.select(candidate)? })
                });
                (query.id.clone(), fitting.collect())
            })
            .collect();
        let has = |id: &String| answers.get(id).is_some_and(|selected| !selected.is_empty());
        let Some(sets) = self.credential_sets() else {
            let all: Vec<String> = self.credentials().iter().map(|query| query.id.clone()).collect();
            let missing: Vec<String> = all.iter().filter(|id| !has(id)).cloned().collect();
            if !missing.is_empty() {
                return Err(Unsatisfied { missing });
            }
            return Ok(Evaluation { answers, choices: vec![Choice { required: true, options: vec![all] }] });
        };
        let mut choices = Vec::new();
        let mut missing = BTreeSet::new();
        for set in sets {
            let options: Vec<_> = set.options.iter().filter(|ids| ids.iter().all(has)).cloned().collect();
            if options.is_empty() && set.required {
                missing.extend(set.options.iter().flatten().filter(|id| !has(id)).cloned());
            }
            if !options.is_empty() {
                choices.push(Choice { required: set.required, options });
            }
        }
        if missing.is_empty() {
            Ok(Evaluation { answers, choices })
        } else {
            Err(Unsatisfied { missing: missing.into_iter().collect() })
        }
    }

    /// Whether presentations are what was asked for: each answers its part of the query, none is more than was asked,
    /// and together they answer it.
    pub fn check(&self, presented: &[Presented<'_>]) -> Result<(), String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for one in presented {
            let query = self.credential(one.id).ok_or("a presentation answers what was not asked")?;
            if query.select(&one.candidate).is_none() {
                return Err(format!("a presentation is not what `{}` asks for", query.id));
            }
            let count = counts.entry(&query.id).or_default();
            *count = count.saturating_add(1);
            if *count > 1 && !query.multiple {
                return Err(format!("there is more than one presentation for `{}`", query.id));
            }
        }
        self.check_complete(|id| counts.contains_key(id))
    }

    /// Whether parts of the query that have an answer are enough.
    pub fn check_complete(&self, has: impl Fn(&str) -> bool) -> Result<(), String> {
        let Some(sets) = self.credential_sets() else {
            return match self.credentials().iter().find(|query| !has(&query.id)) {
                None => Ok(()),
                Some(query) => Err(format!("there is no presentation for `{}`", query.id)),
            };
        };
        let mut allowed = BTreeSet::new();
        for set in sets {
            let answered: Vec<_> = set.options.iter().filter(|ids| ids.iter().all(|id| has(id))).collect();
            if answered.is_empty() && set.required {
                return Err("a required set of credentials is not complete".to_owned());
            }
            allowed.extend(answered.into_iter().flatten().map(String::as_str));
        }
        let odd =
            self.credentials().iter().find(|query| has(&query.id) && !allowed.contains(query.id.as_str()));
        match odd {
            None => Ok(()),
            Some(query) => Err(format!("the presentation for `{}` belongs to no complete set", query.id)),
        }
    }
}

impl CredentialQuery {
    /// The places of the claims that are asked for, if the candidate answers this part of the query.
    pub fn select(&self, candidate: &Candidate<'_>) -> Option<Vec<Vec<Place>>> {
        let fits = candidate.format == self.format
            && self.is_of_type(candidate)
            && self.is_trusted(candidate)
            && (candidate.holder_bound || !self.require_cryptographic_holder_binding);
        if !fits {
            return None;
        }
        let Some(claims) = &self.claims else { return Some(Vec::new()) };
        let Some(sets) = &self.claim_sets else { return all_of(claims.iter(), candidate.claims) };
        sets.iter().find_map(|set| {
            let named = |id: &String| claims.iter().find(|claim| claim.id.as_ref() == Some(id));
            // A validated query has a claim for each id.
            all_of(set.iter().filter_map(named), candidate.claims)
        })
    }

    fn is_of_type(&self, candidate: &Candidate<'_>) -> bool {
        let vct =
            self.meta.vct_values.as_ref().is_none_or(|values| {
                candidate.vct.is_some_and(|vct| values.iter().any(|value| value == vct))
            });
        let types =
            self.meta.type_values.as_ref().is_none_or(|sets| {
                sets.iter().any(|set| set.iter().all(|one| candidate.types.contains(one)))
            });
        vct && types
    }

    fn is_trusted(&self, candidate: &Candidate<'_>) -> bool {
        self.trusted_authorities.as_ref().is_none_or(|list| {
            let mut pairs = candidate.authorities.iter();
            pairs.any(|(kind, value)| list.iter().any(|one| one.kind == *kind && one.values.contains(value)))
        })
    }
}

fn all_of<'a>(claims: impl Iterator<Item = &'a ClaimsQuery>, root: &Node) -> Option<Vec<Vec<Place>>> {
    let mut places = Vec::new();
    for claim in claims {
        places.extend(claim.places(root)?);
    }
    places.sort();
    places.dedup();
    Some(places)
}

impl ClaimsQuery {
    /// Where the claim is; with `values`, only where it is one of them.
    fn places(&self, root: &Node) -> Option<Vec<Vec<Place>>> {
        let mut selected = ClaimsPath::select(&self.path, root)?;
        if let Some(values) = &self.values {
            selected.retain(|(_, node)| match &node.content {
                Content::Leaf(leaf) => values.iter().any(|value| same(value, leaf)),
                _ => false,
            });
        }
        let places: Vec<_> = selected.into_iter().map(|(place, _)| place).collect();
        if places.is_empty() { None } else { Some(places) }
    }
}

/// Whether type and value are the same. Numbers are integers here: `1.0` is not `1`.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(expected), Value::Number(found)) => {
            expected.as_i64().is_some() && expected.as_i64() == found.as_i64()
                || expected.as_u64().is_some() && expected.as_u64() == found.as_u64()
        }
        (expected, found) => expected == found,
    }
}
