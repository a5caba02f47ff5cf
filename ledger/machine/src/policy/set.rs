//! A policy set, read once: validated, taken apart by action, with what each action's policies ask about.
//!
//! A policy whose scope names other actions can neither decide nor fail for this one, so only those that can
//! are evaluated. Texts are bounded in size, number, length and depth before they are parsed: how deep an
//! evaluator may recurse depends on a thread's stack, and two nodes must not differ in that.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aval_codec::{Hash, sha256};
use aval_types::governance::POLICY_BYTES_MAX;
use aval_types::{Action, Reject};
use cedar_policy::{
    ActionConstraint, Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use serde_json::Value;

use super::{Input, POLICY_SCHEMA};

/// Policies of a set.
const POLICIES_MAX: usize = 128;
/// Bytes of one policy.
const STATEMENT_BYTES_MAX: usize = 2048;
/// Brackets inside of each other.
const BRACKETS_MAX: usize = 24;
/// Levels of one policy's expressions.
const DEPTH_MAX: usize = 256;
/// Characters of a policy's name.
const NAME_LENGTH_MAX: usize = 64;
/// Answers that are remembered for one policy set.
const ANSWERS_MAX: usize = 1024;
/// Policy sets that are remembered.
const SETS_MAX: usize = 8;

/// Why a text is no policy set, for those who propose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyInvalid(pub String);

fn invalid(reason: impl ToString) -> PolicyInvalid {
    PolicyInvalid(reason.to_string())
}

/// What the policies of one action ask about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked(u8);

impl Asked {
    pub(crate) const PRINCIPAL: u8 = 1;
    pub(crate) const RESOURCE: u8 = 2;
    pub(crate) const TIME: u8 = 4;
    pub(crate) const GRANTS: u8 = 8;
    pub(crate) const ACCREDITATION: u8 = 16;
    pub(crate) const ENDORSER: u8 = 32;

    pub(crate) const fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }
}

/// The policies that can decide about one action.
#[derive(Debug, Clone, Default)]
struct OfAction {
    set: PolicySet,
    permits: Vec<String>,
    asked: Asked,
    attributes: BTreeSet<String>,
}

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Some policy permits and none forbids.
    pub allowed: bool,
    /// A policy could not be evaluated.
    pub failed: bool,
    /// The policies that decided, by name, in order.
    pub policies: Vec<String>,
}

impl Decision {
    /// The verdict: an evaluation that failed denies.
    pub fn verdict(&self) -> Result<(), Reject> {
        match (self.failed, self.allowed) {
            (true, _) => Err(Reject::PolicyError),
            (false, true) => Ok(()),
            (false, false) => Err(Reject::PolicyDenied),
        }
    }
}

/// A policy set that can be asked.
#[derive(Debug)]
pub struct Policy {
    hash: Hash,
    actions: BTreeMap<&'static str, OfAction>,
    attributes: BTreeMap<String, BTreeSet<String>>,
    answers: Mutex<BTreeMap<Input, Decision>>,
}

/// The names of Cedar's things, parsed once.
struct Names {
    schema: Schema,
    did: EntityTypeName,
    resource: EntityTypeName,
    action: EntityTypeName,
}

static NAMES: LazyLock<Option<Names>> = LazyLock::new(|| {
    Some(Names {
        schema: Schema::from_cedarschema_str(POLICY_SCHEMA).ok()?.0,
        did: EntityTypeName::from_str("Did").ok()?,
        resource: EntityTypeName::from_str("Resource").ok()?,
        action: EntityTypeName::from_str("Action").ok()?,
    })
});

static SETS: Mutex<BTreeMap<Hash, Arc<Policy>>> = Mutex::new(BTreeMap::new());

impl Policy {
    /// The policy set of a text whose hash is known, read now or remembered.
    pub fn remembered(
        hash: Hash,
        text: impl FnOnce() -> Option<String>,
    ) -> Option<Result<Arc<Self>, PolicyInvalid>> {
        if let Some(known) = SETS.lock().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Some(Ok(known.clone()));
        }
        let policy = match Self::parse(&text()?) {
            Ok(policy) if policy.hash == hash => Arc::new(policy),
            Ok(_) => return Some(Err(invalid("the text is not the one of its hash"))),
            Err(error) => return Some(Err(error)),
        };
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= SETS_MAX {
            sets.clear();
        }
        sets.insert(hash, policy.clone());
        Some(Ok(policy))
    }

    /// Reads and validates a text.
    pub fn parse(text: &str) -> Result<Self, PolicyInvalid> {
        check_text(text)?;
        let names = NAMES.as_ref().ok_or_else(|| invalid("the schema cannot be read"))?;
        let parsed = PolicySet::from_str(text).map_err(|error| invalid(one_line(&error.to_string())))?;
        if parsed.templates().next().is_some() {
            return Err(invalid("templates are not allowed"));
        }
        let result = Validator::new(names.schema.clone()).validate(&parsed, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            return Err(invalid(one_line(&error.to_string())));
        }
        let mut policy = Self {
            hash: sha256(text.as_bytes()),
            actions: Action::KINDS.iter().map(|kind| (*kind, OfAction::default())).collect(),
            attributes: BTreeMap::new(),
            answers: Mutex::default(),
        };
        // In the order of their names: Cedar's own order is that of a hash map.
        let mut found: Vec<_> = parsed.policies().collect();
        found.sort_by_key(|one| one.annotation("id").map(str::to_owned));
        if found.len() > POLICIES_MAX {
            return Err(invalid("there are more than 128 policies"));
        }
        for one in found {
            policy.add(one)?;
        }
        Ok(policy)
    }

    fn add(&mut self, one: &cedar_policy::Policy) -> Result<(), PolicyInvalid> {
        let name = one.annotation("id").unwrap_or_default().to_owned();
        let is_name = (1..=NAME_LENGTH_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_name {
            return Err(invalid("each policy needs a name: @id(\"…\") of 1 to 64 of a-z, 0-9 and -"));
        }
        let tree = one.to_json().map_err(|error| invalid(one_line(&error.to_string())))?;
        let mut found = Found::default();
        found.look(&tree, 0)?;
        if self.attributes.insert(name.clone(), found.attributes.clone()).is_some() {
            return Err(invalid(format!("two policies have the name {name}")));
        }
        let named = one.new_id(PolicyId::new(&name));
        for (kind, of_action) in &mut self.actions {
            if !covers(&one.action_constraint(), kind) {
                continue;
            }
            of_action.set.add(named.clone()).map_err(|error| invalid(one_line(&error.to_string())))?;
            of_action.asked.0 |= found.asked().0;
            of_action.attributes.extend(found.attributes.iter().cloned());
            if one.effect() == cedar_policy::Effect::Permit {
                of_action.permits.push(name.clone());
            }
        }
        Ok(())
    }

    /// SHA-256 of the text.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Answers a question.
    pub fn decide(&self, input: &Input) -> Decision {
        let remembered = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(input).cloned();
        if let Some(decision) = remembered {
            return decision;
        }
        let decision =
            self.evaluate(input).unwrap_or(Decision { allowed: false, failed: true, policies: Vec::new() });
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(input.clone(), decision.clone());
        decision
    }

    /// `None` where the question itself could not be put, which denies.
    fn evaluate(&self, input: &Input) -> Option<Decision> {
        let names = NAMES.as_ref()?;
        let of_action = self.actions.get(input.action)?;
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let principal = uid(&names.did, &input.principal);
        let resource = uid(&names.resource, &input.resource);
        let owner = Entity::new_with_tags(principal.clone(), of_principal(input), [], []).ok()?;
        let thing =
            Entity::new_with_tags(resource.clone(), [("own".to_owned(), truth(input.own))], [], []).ok()?;
        let entities = Entities::from_entities([owner, thing], None).ok()?;
        let context = Context::from_pairs(circumstances(input)?).ok()?;
        let request =
            Request::new(principal, uid(&names.action, input.action), resource, context, None).ok()?;
        let response = Authorizer::new().is_authorized(&request, &of_action.set, &entities);
        let mut policies: Vec<String> =
            response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
        policies.sort_unstable();
        Some(Decision {
            allowed: response.decision() == cedar_policy::Decision::Allow,
            failed: response.diagnostics().errors().next().is_some(),
            policies,
        })
    }

    pub(crate) fn asked(&self, action: &str) -> Asked {
        self.actions.get(action).map(|of_action| of_action.asked).unwrap_or_default()
    }

    /// The policies that could permit an action.
    pub fn could_permit(&self, action: &str) -> Vec<String> {
        self.actions.get(action).map(|of_action| of_action.permits.clone()).unwrap_or_default()
    }

    /// What some policies ask about, as `principal.roles`.
    pub fn attributes(&self, policies: &[String]) -> Vec<String> {
        let of_them = policies.iter().filter_map(|name| self.attributes.get(name)).flatten();
        of_them.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// What all policies that can decide about an action ask about.
    pub(crate) fn attributes_of(&self, action: &str) -> Option<&BTreeSet<String>> {
        self.actions.get(action).map(|of_action| &of_action.attributes)
    }
}

fn of_principal(input: &Input) -> [(String, RestrictedExpression); 5] {
    let accreditation = RestrictedExpression::new_string(input.accreditation.to_owned());
    [
        ("roles".to_owned(), texts(&input.roles)),
        ("types".to_owned(), texts(&input.types)),
        ("issuers".to_owned(), texts(&input.issuers)),
        ("governor".to_owned(), truth(input.governor)),
        ("accreditation".to_owned(), accreditation),
    ]
}

fn circumstances(input: &Input) -> Option<[(String, RestrictedExpression); 5]> {
    let time = RestrictedExpression::new_long(i64::try_from(input.time_s).ok()?);
    Some([
        ("time".to_owned(), time),
        ("presentation".to_owned(), truth(input.presentation)),
        ("presentedRoles".to_owned(), texts(&input.presented_roles)),
        ("endorsed".to_owned(), truth(input.endorsed)),
        ("endorserRoles".to_owned(), texts(&input.endorser_roles)),
    ])
}

fn truth(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

fn texts(values: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|text| RestrictedExpression::new_string(text.clone())))
}

fn covers(constraint: &ActionConstraint, kind: &str) -> bool {
    let is_kind = |uid: &EntityUid| AsRef::<str>::as_ref(uid.id()) == kind;
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(uids) => uids.iter().any(is_kind),
        ActionConstraint::Eq(uid) => is_kind(uid),
    }
}

/// What a policy asks about, found in its syntax tree.
#[derive(Default)]
struct Found {
    attributes: BTreeSet<String>,
}

impl Found {
    /// Collects `principal.roles` and the like. A variable that stands alone is asked about as a whole.
    fn look(&mut self, tree: &Value, depth: usize) -> Result<(), PolicyInvalid> {
        if depth > DEPTH_MAX {
            return Err(invalid("a policy's expressions are too deep"));
        }
        match tree {
            Value::Array(items) => items.iter().try_for_each(|item| self.look(item, depth + 1)),
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member.get("left").and_then(|left| left.get("Var"))) {
                        ("." | "has", Some(Value::String(variable))) => {
                            let attribute = member.get("attr").and_then(Value::as_str).unwrap_or("*");
                            self.attributes.insert(format!("{variable}.{attribute}"));
                        }
                        ("Var", _) => {
                            let variable = member.as_str().unwrap_or("*");
                            self.attributes.insert(variable.to_owned());
                        }
                        ("principal" | "resource", _) if depth == 0 => {
                            if member.get("op").and_then(Value::as_str) != Some("All") {
                                self.attributes.insert(name.clone());
                            }
                        }
                        ("action" | "annotations" | "effect", _) if depth == 0 => {}
                        _ => self.look(member, depth + 1)?,
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        for attribute in &self.attributes {
            asked.0 |= match attribute.as_str() {
                "principal" => Asked::PRINCIPAL,
                "resource" => Asked::RESOURCE,
                "context.time" => Asked::TIME,
                "principal.roles" | "principal.types" | "principal.issuers" => Asked::GRANTS,
                "principal.accreditation" => Asked::ACCREDITATION,
                "context.endorserRoles" => Asked::ENDORSER,
                "principal.governor" | "resource.own" | "action" => 0,
                "context.presentation" | "context.presentedRoles" | "context.endorsed" => 0,
                // Whatever it is, nothing is left out of the question.
                _ => u8::MAX,
            };
        }
        asked
    }
}

/// Bounds that need no parser: size, and length and depth of each policy.
fn check_text(text: &str) -> Result<(), PolicyInvalid> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(invalid("a policy set has 64 KiB at most"));
    }
    let (mut depth, mut length, mut in_text, mut escaped, mut in_comment) =
        (0usize, 0usize, false, false, false);
    let mut before = ' ';
    for character in text.chars() {
        match character {
            '\n' => in_comment = false,
            _ if in_comment => continue,
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '/' if before == '/' => in_comment = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => length = 0,
            _ => {}
        }
        before = character;
        if !character.is_whitespace() {
            length += character.len_utf8();
        }
        if depth > BRACKETS_MAX {
            return Err(invalid("brackets are more than 24 deep"));
        }
        if length > STATEMENT_BYTES_MAX {
            return Err(invalid("a policy is longer than 2048 bytes"));
        }
    }
    Ok(())
}

/// Errors of the parser tell about a text that somebody sent for everybody to read; one line of it is enough.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
