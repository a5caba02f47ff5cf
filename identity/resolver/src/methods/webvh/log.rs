//! The log: one entry for each version, each standing on the one before it (did:webvh 1.0, "Read (Resolve)").

use aval_codec::sha256;
use aval_did::syntax::multihash_text;
use aval_formats::data_integrity::{self, Expected, Suite};
use aval_formats::json::{self, Limits};
use aval_formats::{VerificationKey, jcs};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::parameters::{Parameters, Said};
use crate::methods::web::{DEPTH_MAX, DOCUMENT_BYTES_MAX};

/// Most entries that are read.
const ENTRIES_MAX: usize = 2048;
/// How far the clocks of a controller and of this machine may be apart, in seconds.
pub(super) const SKEW_S: u64 = 60;
/// What stands for the identifier while it is calculated.
const PLACEHOLDER: &str = "{SCID}";

/// A verified version.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// `<number>-<entry hash>`
    pub(super) version_id: String,
    /// When its controller says that it was made, in seconds since 1970.
    pub(super) time_s: u64,
    /// The document.
    pub(super) state: Value,
    /// What is in force after it.
    pub(super) parameters: Parameters,
}

impl Entry {
    /// The DID in the document.
    pub(super) fn id(&self) -> &str {
        self.state.get("id").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The entries that verify, from the first on, and why the next one does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) broken: Option<String>,
}

impl Log {
    /// Reads and verifies a log, but for its witnesses, at a time in seconds since 1970.
    pub(super) fn verify(bytes: &[u8], scid: &str, now_s: u64) -> Self {
        let mut log = Self { entries: Vec::new(), broken: None };
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let verified = match number {
                ENTRIES_MAX => Err("the log has too many entries".to_owned()),
                _ => verify_entry(line, log.entries.last(), number + 1, scid, now_s),
            };
            match verified {
                Ok(entry) => log.entries.push(entry),
                Err(reason) => {
                    log.broken = Some(format!("entry {}: {reason}", number + 1));
                    break;
                }
            }
        }
        log
    }

    /// Forgets the entries from one on.
    pub(super) fn break_at(&mut self, number: usize, reason: &str) {
        self.entries.truncate(number);
        self.broken = Some(format!("entry {}: {reason}", number + 1));
    }
}

fn verify_entry(
    line: &[u8],
    before: Option<&Entry>,
    number: usize,
    scid: &str,
    now_s: u64,
) -> Result<Entry, String> {
    // A line holds the document, its proofs and the parameters.
    let limits = Limits { bytes_max: DOCUMENT_BYTES_MAX * 2, depth_max: DEPTH_MAX + 4 };
    let entry = json::parse(line, "log entry", limits).map_err(|error| error.to_string())?;
    let members = entry.as_object().ok_or("it is not an object")?;
    const KNOWN: [&str; 5] = ["versionId", "versionTime", "parameters", "state", "proof"];
    if members.len() != KNOWN.len() || !KNOWN.iter().all(|name| members.contains_key(*name)) {
        return Err("it does not have exactly the members of a log entry".to_owned());
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(format!("{name} is not a text"));
    let version_id = text("versionId")?;
    let time_s = read_time(text("versionTime")?).ok_or("versionTime is not a UTC time")?;
    if before.is_some_and(|before| time_s <= before.time_s) {
        return Err("it is not younger than the one before".to_owned());
    }
    if time_s > now_s.saturating_add(SKEW_S) {
        return Err("it is of the future".to_owned());
    }
    if before.is_some_and(|before| before.parameters.deactivated) {
        return Err("it follows on the deactivation".to_owned());
    }
    let previous = before.map(|before| &before.parameters);
    let said = Parameters::follow(previous, members.get("parameters").unwrap_or(&Value::Null), scid)?;
    let state = members.get("state").filter(|state| state.is_object()).ok_or("state is not an object")?;
    check_id(state, before, &said.after, scid)?;
    check_hash(members, version_id, before, number, scid)?;
    if before.is_none() {
        check_scid(members, scid)?;
    }
    let keys = authorized(previous, &said)?;
    check_proofs(&entry, keys, now_s)?;
    Ok(Entry { version_id: version_id.to_owned(), time_s, state: state.clone(), parameters: said.after })
}

/// A UTC time of ISO 8601 in seconds since 1970; parts of a second are cut off.
fn read_time(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp()).ok().filter(|_| time.offset().is_utc())
}

/// The document is of this identifier, and of the same name as before unless it may move and says where from.
fn check_id(
    state: &Value,
    before: Option<&Entry>,
    parameters: &Parameters,
    scid: &str,
) -> Result<(), &'static str> {
    let id = state.get("id").and_then(Value::as_str).ok_or("the document has no id")?;
    if id.strip_prefix("did:webvh:").is_none_or(|rest| rest.split(':').next() != Some(scid)) {
        return Err("the document's id is of another identifier");
    }
    let Some(before) = before.map(Entry::id).filter(|before| *before != id) else { return Ok(()) };
    if !parameters.portable {
        return Err("the DID moved and is not portable");
    }
    let known_as = state.get("alsoKnownAs").and_then(Value::as_array);
    match known_as.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(before))) {
        true => Ok(()),
        false => Err("the DID moved and does not name where from"),
    }
}

/// "Verify The Entry Hash": the hash is over the entry with the version id of the one before, or the identifier.
fn check_hash(
    members: &Map<String, Value>,
    version_id: &str,
    before: Option<&Entry>,
    number: usize,
    scid: &str,
) -> Result<(), String> {
    let (counted, hash) = version_id.split_once('-').ok_or("versionId is not <number>-<hash>")?;
    if counted != number.to_string() {
        return Err("its number does not follow on the one before".to_owned());
    }
    let mut hashed = members.clone();
    hashed.remove("proof");
    let previous = before.map_or(scid, |before| &before.version_id);
    hashed.insert("versionId".to_owned(), Value::String(previous.to_owned()));
    let bytes = jcs::canonicalize_object(&hashed).map_err(|error| error.to_string())?;
    if multihash_text(&sha256(&bytes)) == hash { Ok(()) } else { Err("its hash is another one".to_owned()) }
}

/// "Verify SCID": the identifier is the hash of the first entry with a placeholder in its place.
fn check_scid(members: &Map<String, Value>, scid: &str) -> Result<(), String> {
    let mut hashed = members.clone();
    hashed.remove("proof");
    hashed.insert("versionId".to_owned(), Value::String(PLACEHOLDER.to_owned()));
    let text = serde_json::to_string(&hashed).map_err(|error| error.to_string())?;
    let replaced: Value =
        serde_json::from_str(&text.replace(scid, PLACEHOLDER)).map_err(|error| error.to_string())?;
    let bytes = jcs::canonicalize(&replaced).map_err(|error| error.to_string())?;
    match multihash_text(&sha256(&bytes)) == scid {
        true => Ok(()),
        false => Err("the identifier is not the hash of the first entry".to_owned()),
    }
}

/// "Authorized Keys": the keys that may sign this entry. With pre-rotation those that it reveals, each of which was
/// committed to; else those of the entry before.
fn authorized<'a>(before: Option<&'a Parameters>, said: &'a Said) -> Result<&'a [String], &'static str> {
    let Some(before) = before else { return Ok(&said.after.update_keys) };
    if before.next_key_hashes.is_empty() {
        return Ok(&before.update_keys);
    }
    if !said.update_keys || !said.next_key_hashes {
        return Err("with pre-rotation it has to name updateKeys and nextKeyHashes");
    }
    let committed = |key: &String| before.next_key_hashes.contains(&multihash_text(&sha256(key.as_bytes())));
    match said.after.update_keys.iter().all(committed) {
        true => Ok(&said.after.update_keys),
        false => Err("an update key was not committed to"),
    }
}

/// Every proof of the entry is one, and made by an authorized key.
fn check_proofs(entry: &Value, keys: &[String], now_s: u64) -> Result<(), String> {
    let proofs = data_integrity::proofs(entry).map_err(|error| error.to_string())?;
    for proof in &proofs {
        let multikey = did_key(proof.verification_method).ok_or("a proof is not by a did:key")?;
        if !keys.iter().any(|key| key == multikey) {
            return Err("a proof is by a key that is not authorized".to_owned());
        }
        check_proof(entry, proof, multikey, now_s)?;
    }
    Ok(())
}

/// A proof of a document by a key: `eddsa-jcs-2022`, made as an assertion, not in the future.
pub(super) fn check_proof(
    document: &Value,
    proof: &data_integrity::Proof<'_>,
    multikey: &str,
    now_s: u64,
) -> Result<(), String> {
    if proof.suite != Suite::EddsaJcs2022 {
        return Err("a proof is not of the suite eddsa-jcs-2022".to_owned());
    }
    let expected = Expected {
        purpose: "assertionMethod",
        challenge: None,
        domain: None,
        now_s: i64::try_from(now_s).unwrap_or(i64::MAX),
        skew_s: SKEW_S.cast_signed(),
    };
    proof.check(&expected).map_err(|error| error.to_string())?;
    let key = VerificationKey::from_multikey(multikey).map_err(|error| error.to_string())?;
    data_integrity::verify_proof(document, proof.value, &key).map_err(|error| error.to_string())
}

/// The multikey in `did:key:<multikey>#<multikey>`.
pub(super) fn did_key(method: &str) -> Option<&str> {
    let (did, fragment) = method.split_once('#')?;
    let multikey = did.strip_prefix("did:key:")?;
    (multikey == fragment).then_some(multikey)
}
