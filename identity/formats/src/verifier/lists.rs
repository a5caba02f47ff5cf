//! The status entries of a credential and the lists that they lead to. A list is signed: it is a part of the
//! verification
//! with signatures of its own before anything in it counts.

use super::answer::{Outcome, Problem};
use super::evidence::{Evidence, Want};
use super::item::{Item, Role};
use super::secured::{Input, Model, Secured};
use super::{Expectation, State};
use crate::json::Limits;
use crate::status::{
    BitstringEntry, BitstringList, LIST_BYTES_MAX, Meaning, StatusError, TokenEntry, TokenListClaims,
};
use crate::{FormatError, vcdm};
use serde_json::Value;
use std::sync::Arc;

/// The type of entry of the older form of a bitstring list, which is not looked at.
const BITSTRING: &str = crate::status::bitstring::ENTRY_TYPE;

/// A status list whose signature was verified. Only a verification makes one.
#[derive(Debug, PartialEq)]
pub struct KnownList {
    uri: String,
    issuer: String,
    content: Content,
    verified_s: i64,
    from_s: Option<i64>,
    until_s: Option<i64>,
}

#[derive(Debug, PartialEq)]
enum Content {
    Bitstring(BitstringList),
    Token(TokenListClaims),
}

impl KnownList {
    /// Under which URI it was.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// True for a Token Status List.
    pub fn is_token(&self) -> bool {
        matches!(self.content, Content::Token(_))
    }

    /// Until when it may be used, in unix seconds: it says how long it may be kept, or it is valid only so long.
    /// `default_s` is for how many seconds a list may be kept that does not say.
    pub fn keep_until_s(&self, default_s: i64) -> i64 {
        let ttl_s = match &self.content {
            Content::Bitstring(list) => list.ttl_ms.map(|ttl| ttl / 1000),
            Content::Token(claims) => claims.ttl_s,
        };
        let ttl_s = ttl_s.map_or(default_s, |ttl| i64::try_from(ttl).unwrap_or(i64::MAX));
        let kept_until_s = self.verified_s.saturating_add(ttl_s.min(default_s));
        self.until_s.map_or(kept_until_s, |until| until.min(kept_until_s))
    }

    fn is_valid(&self, now_s: i64, skew_s: i64) -> bool {
        let validity = vcdm::Validity { from_s: self.from_s, until_s: self.until_s };
        validity.check(now_s, skew_s).is_ok()
    }
}

/// How far a list has come.
#[derive(Debug)]
pub(super) enum ListState {
    /// Its signatures are being verified.
    Pending,
    /// It can be used.
    Ready(Arc<KnownList>),
    /// It cannot.
    Failed(Problem),
}

impl ListState {
    pub(super) fn ready(&self) -> Option<Arc<KnownList>> {
        match self {
            Self::Ready(list) => Some(list.clone()),
            _ => None,
        }
    }
}

/// A status entry, or what is wrong with it.
pub(super) enum Entry {
    Bitstring(BitstringEntry),
    Token(TokenEntry),
    Wrong(Outcome),
}

/// All status entries of a credential, of whatever kind.
pub(super) fn entries(secured: &Secured) -> Vec<Entry> {
    let mut entries = Vec::new();
    if secured.model == Model::Vcdm {
        match secured.document.get("credentialStatus") {
            None => {}
            Some(Value::Array(several)) => entries.extend(several.iter().map(vcdm_entry)),
            Some(one) => entries.push(vcdm_entry(one)),
        }
    }
    // A VCDM credential in a token may carry the claim as well (VC-JOSE-COSE section 3.1.3 lets claims be there).
    let of_token = secured.claims().and_then(|claims| claims.get("status"));
    if let Some(status) = of_token {
        entries.push(match TokenEntry::read(status) {
            Ok(Some(entry)) => Entry::Token(entry),
            Ok(None) => unknown(),
            Err(error) => Entry::Wrong(error.into()),
        });
    }
    entries
}

fn vcdm_entry(entry: &Value) -> Entry {
    if vcdm::types_of(entry) != [BITSTRING] {
        return unknown();
    }
    BitstringEntry::read(entry).map_or_else(|error| Entry::Wrong(error.into()), Entry::Bitstring)
}

fn unknown() -> Entry {
    let problem = Problem::new("status.unknown_type", "a kind of status that is not known here");
    Entry::Wrong(Outcome::Undecided(problem))
}

/// What the list of an entry says; `None` while it is not there.
pub(super) fn look_up(
    item: &Item,
    index: usize,
    entry: &Entry,
    expectation: &Expectation,
    state: &mut State,
) -> Option<(String, Outcome)> {
    let (token, uri, position, size, purpose) = match entry {
        Entry::Bitstring(entry) => (false, &entry.list, entry.index, entry.size, entry.purpose.as_str()),
        Entry::Token(entry) => (true, &entry.uri, entry.index, 1, "status"),
        Entry::Wrong(outcome) => return Some((String::new(), outcome.clone())),
    };
    let looked_at = format!("{purpose} of {uri} at {position}");
    if expectation.status_of_ledger && is_of_ledger(item, entry) {
        let evidence = state.evidence(&Want::LedgerStatus { uri: uri.clone(), index: position })?;
        if let Some(outcome) = by_ledger(item, entry, &evidence) {
            return Some((format!("{looked_at}, on the ledger"), outcome));
        }
    }
    let outcome = match list(item, index, (token, uri, size), expectation, state)? {
        Err(problem) => Outcome::Undecided(problem),
        Ok(list) => judge(item, entry, &list, expectation),
    };
    Some((looked_at, outcome))
}

/// Whether a registry of the ledger may answer for an entry: those have one bit for revocation or suspension.
fn is_of_ledger(item: &Item, entry: &Entry) -> bool {
    let plain = match entry {
        Entry::Bitstring(entry) => {
            entry.size == 1 && matches!(entry.purpose.as_str(), "revocation" | "suspension")
        }
        Entry::Token(_) => true,
        Entry::Wrong(_) => false,
    };
    plain && item.party().or_else(|| item.signer()).is_some_and(|issuer| issuer.starts_with("did:aval:"))
}

/// What a registry of the ledger says of an entry; `None` if none of the issuer's answers for the list, so that the
/// list itself is looked at.
fn by_ledger(item: &Item, entry: &Entry, evidence: &Evidence) -> Option<Outcome> {
    let status = match evidence {
        Evidence::LedgerStatus(status) => status,
        Evidence::Unavailable(reason) => {
            return Some(Outcome::Undecided(Problem::new("status.unavailable", reason.clone())));
        }
        _ => return None,
    };
    let own = item.party().or_else(|| item.signer()) == Some(status.owner.as_str());
    // The entry of a token says nothing of its purpose; what it is withdrawn for, for good or for now, the list does.
    let same_purpose = match entry {
        Entry::Bitstring(entry) => entry.purpose == status.purpose,
        _ => status.purpose == "revocation",
    };
    if !own || !same_purpose || status.bits != 1 {
        return None;
    }
    Some(match (status.value, status.purpose.as_str()) {
        (None, _) => StatusError::Range.into(),
        (Some(0), _) => Outcome::Passed,
        (Some(_), "suspension") => {
            Outcome::Invalid(Problem::new("status.suspended", "the credential is suspended"))
        }
        (Some(_), _) => Outcome::Invalid(Problem::new("status.revoked", "the credential is revoked")),
    })
}

/// The list under a URI, verified; `None` while it is not there.
fn list(
    item: &Item,
    index: usize,
    (token, uri, size): (bool, &String, u8),
    expectation: &Expectation,
    state: &mut State,
) -> Option<Result<Arc<KnownList>, Problem>> {
    let key = (token, uri.clone());
    match state.lists.get(&key) {
        Some(ListState::Pending) => return None,
        Some(ListState::Ready(list)) => return Some(Ok(list.clone())),
        Some(ListState::Failed(problem)) => return Some(Err(problem.clone())),
        None => {}
    }
    let bytes = match state.evidence(&Want::StatusList { uri: uri.clone(), token })? {
        Evidence::StatusList(bytes) => bytes,
        Evidence::KnownList(list) => {
            let usable = list.uri == *uri
                && list.is_token() == token
                && list.is_valid(expectation.now_s, expectation.skew_s);
            let problem =
                Problem::new("status.stale", "the status list that was kept is another or no longer valid");
            return Some(if usable { Ok(list) } else { Err(problem) });
        }
        Evidence::Unavailable(reason) => return Some(Err(Problem::new("status.unavailable", reason))),
        _ => return Some(Err(Problem::new("status.unavailable", "the status list was not found"))),
    };
    let part = format!("{}/status/{index}/list", item.part());
    state.lists.insert(key, ListState::Pending);
    let of = item.party().or_else(|| item.signer()).map(str::to_owned);
    let role = Role::List { token, uri: uri.clone(), size, of };
    let secured = read(&bytes, token);
    let list = Item::of(role, &part, secured, expectation, state);
    state.spawned.push(list);
    None
}

fn read(bytes: &[u8], token: bool) -> Result<Secured, FormatError> {
    let limits = Limits { bytes_max: LIST_BYTES_MAX, ..Limits::default() };
    let input = Input::read(bytes, limits)?;
    match (token, &input) {
        (true, Input::Text(text)) => Secured::status_token(text, limits),
        (true, Input::Binary(bytes)) => Secured::status_cwt(bytes, limits),
        (true, Input::Json(_)) => Err(FormatError::Type("status list")),
        (false, _) => Secured::credential(&input, limits),
    }
}

/// A list came to its end: it can be used, or it cannot.
pub(super) fn finish(item: &mut Item, state: &mut State, expectation: &Expectation) {
    let Role::List { token, uri, size, .. } = item.role().clone() else { return };
    let result = if item.has_failed() {
        let of_part = |check: &&super::Check| check.part == item.part();
        let problem = state.checks.iter().rev().filter(of_part).find_map(|check| match &check.outcome {
            Outcome::Invalid(problem) | Outcome::Undecided(problem) => Some(problem.clone()),
            _ => None,
        });
        Err(problem.unwrap_or_else(|| Problem::new("status.unavailable", "the status list is not verified")))
    } else {
        known(item, token, &uri, size, expectation).map_err(|error| Problem::from(&error))
    };
    let outcome = match result {
        Ok(list) => ListState::Ready(Arc::new(list)),
        Err(problem) => ListState::Failed(problem),
    };
    state.lists.insert((token, uri), outcome);
}

fn known(
    item: &Item,
    token: bool,
    uri: &str,
    size: u8,
    expectation: &Expectation,
) -> Result<KnownList, StatusError> {
    let nothing = StatusError::Malformed("there is no list");
    let secured = item.secured().ok_or(nothing.clone())?;
    let issuer = item.party().or_else(|| item.signer()).ok_or(nothing.clone())?.to_owned();
    let (content, from_s, until_s) = if token {
        let claims = secured.status_list()?;
        claims.check(uri, expectation.now_s, expectation.skew_s)?;
        let (from_s, until_s) = (Some(claims.issued_s), claims.expires_s);
        (Content::Token(claims), from_s, until_s)
    } else {
        let list = BitstringList::read(&secured.document, size)?;
        if list.id.as_ref().is_some_and(|id| id != uri) {
            return Err(StatusError::OtherList);
        }
        let validity = vcdm::validity(&secured.document).map_err(|_| StatusError::Stale)?;
        (Content::Bitstring(list), validity.from_s, validity.until_s)
    };
    Ok(KnownList { uri: uri.to_owned(), issuer, content, verified_s: expectation.now_s, from_s, until_s })
}

/// What a verified list says of an entry.
fn judge(item: &Item, entry: &Entry, list: &KnownList, expectation: &Expectation) -> Outcome {
    let own = item.party().or_else(|| item.signer()) == Some(list.issuer.as_str());
    if !own && !expectation.status_issuers.contains(&list.issuer) {
        let problem =
            Problem::new("status.issuer", "the status list is signed by somebody else than the issuer");
        return Outcome::Undecided(problem);
    }
    let status = match (entry, &list.content) {
        (Entry::Bitstring(entry), Content::Bitstring(list)) => {
            list.status(entry, expectation.status_entries_min)
        }
        (Entry::Token(entry), Content::Token(claims)) => claims.list.status(entry.index),
        _ => Err(StatusError::OtherList),
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => return error.into(),
    };
    match status.meaning {
        Meaning::Clear => Outcome::Passed,
        Meaning::Revoked => Outcome::Invalid(Problem::new("status.revoked", "the credential is revoked")),
        Meaning::Suspended => {
            Outcome::Invalid(Problem::new("status.suspended", "the credential is suspended"))
        }
        Meaning::Refresh => {
            Outcome::Warning(Problem::new("status.refresh", "there is a newer version of the credential"))
        }
        Meaning::Message(message) => {
            let text = message.unwrap_or_else(|| "no text".to_owned());
            let detail = format!("the issuer's message has the value {:#x}: {text}", status.value);
            Outcome::Warning(Problem::new("status.message", detail))
        }
        Meaning::Unknown => {
            let detail =
                format!("the status has the value {:#x}, whose meaning is not known here", status.value);
            Outcome::Undecided(Problem::new("status.unknown_value", detail))
        }
    }
}
