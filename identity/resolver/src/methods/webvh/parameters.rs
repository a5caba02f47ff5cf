//! The parameters of a log entry (did:webvh 1.0, "did:webvh DID Method Parameters"): what an entry says, and what is in
//! force after it.

use serde_json::{Map, Value};

/// The version of the method that is read here.
const METHOD: &str = "did:webvh:1.0";
/// What is in force where nothing else is said, in seconds.
const TTL_S: u64 = 3600;
const TTL_S_MAX: u64 = 1 << 31;
/// Most keys, hashes, witnesses and watchers.
const ITEMS_MAX: usize = 64;
/// Longest text, in bytes.
const TEXT_LENGTH_MAX: usize = 512;

/// Who has to approve an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WitnessRule {
    /// How many of them.
    pub(super) threshold: u64,
    /// Their DIDs, each a `did:key`.
    pub(super) witnesses: Vec<String>,
}

/// What is in force after an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters {
    pub(super) update_keys: Vec<String>,
    pub(super) next_key_hashes: Vec<String>,
    pub(super) witness: Option<WitnessRule>,
    pub(super) watchers: Vec<String>,
    pub(super) portable: bool,
    pub(super) deactivated: bool,
    pub(super) ttl_s: u64,
}

/// What an entry says: the parameters after it, and which of them it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) after: Parameters,
    pub(super) update_keys: bool,
    pub(super) next_key_hashes: bool,
}

impl Parameters {
    /// The parameters after an entry that follows on these; on none, if it is the first one of this identifier.
    pub(super) fn follow(before: Option<&Self>, said: &Value, scid: &str) -> Result<Said, &'static str> {
        let members = said.as_object().ok_or("parameters are not an object")?;
        const KNOWN: [&str; 9] = [
            "method",
            "scid",
            "updateKeys",
            "nextKeyHashes",
            "witness",
            "watchers",
            "portable",
            "deactivated",
            "ttl",
        ];
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            return Err("there is a parameter that did:webvh 1.0 does not have");
        }
        check_method(members, before.is_none())?;
        match (before, members.get("scid").map(Value::as_str)) {
            (None, Some(Some(said))) if said == scid => {}
            (None, _) => return Err("the first entry has another scid than the DID"),
            (Some(_), Some(_)) => return Err("a later entry has a scid"),
            (Some(_), None) => {}
        }
        let mut after = before.cloned().unwrap_or(Self { ttl_s: TTL_S, ..Self::default() });
        let update_keys = members.contains_key("updateKeys");
        let next_key_hashes = members.contains_key("nextKeyHashes");
        if let Some(keys) = texts(members, "updateKeys")? {
            after.update_keys = keys;
        }
        if let Some(hashes) = texts(members, "nextKeyHashes")? {
            after.next_key_hashes = hashes;
        }
        if let Some(watchers) = texts(members, "watchers")? {
            after.watchers = watchers;
        }
        if before.is_none() && after.update_keys.is_empty() {
            return Err("the first entry names no update keys");
        }
        if let Some(portable) = flag(members, "portable")? {
            if portable && before.is_some_and(|before| !before.portable) {
                return Err("portable is set to true after the first entry");
            }
            after.portable = portable;
        }
        if let Some(deactivated) = flag(members, "deactivated")? {
            after.deactivated = deactivated;
        }
        match members.get("ttl") {
            None => {}
            Some(Value::Null) => after.ttl_s = TTL_S,
            Some(ttl) => {
                let ttl = ttl.as_u64().filter(|ttl| *ttl <= TTL_S_MAX);
                after.ttl_s = ttl.ok_or("ttl is not a number of seconds")?;
            }
        }
        if let Some(witness) = members.get("witness") {
            after.witness = read_witness(witness)?;
        }
        Ok(Said { after, update_keys, next_key_hashes })
    }
}

fn check_method(members: &Map<String, Value>, first: bool) -> Result<(), &'static str> {
    match members.get("method") {
        Some(Value::String(method)) if method == METHOD => Ok(()),
        None if !first => Ok(()),
        None => Err("the first entry names no version of the method"),
        Some(_) => Err("the log is of another version of the method than did:webvh:1.0"),
    }
}

/// A list of texts. Null stands for the empty list, as early logs wrote it.
fn texts(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, &'static str> {
    const WRONG: &str = "a parameter is not a list of texts";
    let items = match members.get(name) {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(Vec::new())),
        Some(Value::Array(items)) if items.len() <= ITEMS_MAX => items,
        Some(_) => return Err(WRONG),
    };
    let text = |item: &Value| item.as_str().filter(|text| text.len() <= TEXT_LENGTH_MAX).map(str::to_owned);
    items.iter().map(text).collect::<Option<_>>().map(Some).ok_or(WRONG)
}

fn flag(members: &Map<String, Value>, name: &str) -> Result<Option<bool>, &'static str> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(false)),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err("a parameter is not true or false"),
    }
}

fn read_witness(value: &Value) -> Result<Option<WitnessRule>, &'static str> {
    let members = match value {
        Value::Null => return Ok(None),
        Value::Object(members) if members.is_empty() => return Ok(None),
        Value::Object(members) => members,
        _ => return Err("witness is not an object"),
    };
    let listed = members.get("witnesses").and_then(Value::as_array).ok_or("witness has no witnesses")?;
    if listed.is_empty() || listed.len() > ITEMS_MAX {
        return Err("witness has no witnesses, or too many");
    }
    let id = |item: &Value| {
        let id = item.get("id")?.as_str()?;
        (id.starts_with("did:key:") && id.len() <= TEXT_LENGTH_MAX).then(|| id.to_owned())
    };
    let witnesses: Vec<String> =
        listed.iter().map(id).collect::<Option<_>>().ok_or("a witness is not a did:key")?;
    let twice =
        witnesses.iter().enumerate().any(|(at, id)| witnesses.iter().skip(at + 1).any(|other| other == id));
    if twice {
        return Err("a witness is listed twice");
    }
    let threshold = members.get("threshold").and_then(Value::as_u64);
    let threshold = threshold.filter(|threshold| (1..=witnesses.len() as u64).contains(threshold));
    Ok(Some(WitnessRule {
        threshold: threshold.ok_or("the witnesses' threshold is out of range")?,
        witnesses,
    }))
}
