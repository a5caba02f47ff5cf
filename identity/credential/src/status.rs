//! The status entry of a credential: `BitstringStatusListEntry` of Bitstring Status List 1.0 section 2.1.
//!
//! Only the model: an entry says where to look. Whether the bit is set is asked of the ledger's registry.

use crate::CredentialError;
use aval_codec::json::Json;
use std::collections::BTreeMap;

/// The type of the only status mechanism that is understood.
pub const TYPE: &str = "BitstringStatusListEntry";

/// Larger indices cannot be written as an exact JSON number by every peer.
const INDEX_MAX: u64 = (1 << 53) - 1;

const URI_BYTES_MAX: usize = 512;

/// What a set bit means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusPurpose {
    /// The credential is withdrawn for good.
    Revocation,
    /// The credential is withdrawn for now.
    Suspension,
    /// The entry is a number with a meaning of the issuer's own.
    Message,
    /// There is a newer credential; this one stays valid.
    Refresh,
    /// A purpose that this crate does not know.
    Other(String),
}

impl StatusPurpose {
    /// Reads the purpose's name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "revocation" => Self::Revocation,
            "suspension" => Self::Suspension,
            "message" => Self::Message,
            "refresh" => Self::Refresh,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name as it stands in a credential.
    pub fn name(&self) -> &str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Message => "message",
            Self::Refresh => "refresh",
            Self::Other(name) => name,
        }
    }
}

/// One entry in one status list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusEntry {
    /// What a set bit means.
    pub purpose: StatusPurpose,
    /// The position in the list.
    pub index: u64,
    /// The URI of the list.
    pub list: String,
}

impl StatusEntry {
    /// Reads all entries of a `credentialStatus` member; an entry of another type is refused, because not looking
    /// at it could mean to accept what was revoked.
    pub fn read_all(member: &Json) -> Result<Vec<Self>, CredentialError> {
        match member {
            Json::Object(entry) => Ok(vec![Self::read(entry)?]),
            Json::Array(entries) if entries.len() <= 4 => entries
                .iter()
                .map(|entry| match entry {
                    Json::Object(entry) => Self::read(entry),
                    _ => Err(CredentialError::NotACredential("a status entry is not an object")),
                })
                .collect(),
            Json::Array(_) => Err(CredentialError::Oversized("number of status entries")),
            _ => Err(CredentialError::NotACredential("the status is not an object")),
        }
    }

    fn read(entry: &BTreeMap<String, Json>) -> Result<Self, CredentialError> {
        let text = |name: &str| match entry.get(name) {
            Some(Json::String(text)) if !text.is_empty() && text.len() <= URI_BYTES_MAX => {
                Some(text.as_str())
            }
            _ => None,
        };
        if text("type") != Some(TYPE) {
            return Err(CredentialError::NotACredential("the type of a status entry is not known"));
        }
        let purpose = text("statusPurpose")
            .map(StatusPurpose::from_name)
            .ok_or(CredentialError::NotACredential("a status entry has no purpose"))?;
        let index = text("statusListIndex")
            .and_then(index)
            .ok_or(CredentialError::NotACredential("a status entry has no index in decimal digits"))?;
        let list = text("statusListCredential")
            .ok_or(CredentialError::NotACredential("a status entry has no list"))?
            .to_owned();
        Ok(Self { purpose, index, list })
    }

    /// Reads the `status` claim of an SD-JWT VC: a reference into a Token Status List and nothing else, because not
    /// looking at another mechanism could mean to accept what was revoked. Bit 1 of such a list means revoked.
    pub fn read_token(claim: &Json) -> Result<Self, CredentialError> {
        const WRONG: CredentialError =
            CredentialError::NotACredential("the status is not a reference into one Token Status List");
        let mechanisms = claim.as_object().filter(|mechanisms| mechanisms.len() == 1).ok_or(WRONG)?;
        let reference = mechanisms.get("status_list").and_then(Json::as_object).ok_or(WRONG)?;
        let index = reference.get("idx").and_then(Json::as_u64).filter(|index| *index <= INDEX_MAX);
        let list = reference.get("uri").and_then(Json::as_str);
        let list = list.filter(|list| !list.is_empty() && list.len() <= URI_BYTES_MAX);
        Ok(Self {
            purpose: StatusPurpose::Revocation,
            index: index.ok_or(WRONG)?,
            list: list.ok_or(WRONG)?.to_owned(),
        })
    }

    /// The entry as a member of a credential.
    pub fn to_json(&self) -> Json {
        let string = |text: &str| Json::String(text.to_owned());
        Json::Object(BTreeMap::from([
            ("id".to_owned(), string(&format!("{}#{}", self.list, self.index))),
            ("type".to_owned(), string(TYPE)),
            ("statusPurpose".to_owned(), string(self.purpose.name())),
            ("statusListIndex".to_owned(), string(&self.index.to_string())),
            ("statusListCredential".to_owned(), string(&self.list)),
        ]))
    }
}

/// Digits only and no leading zero, so that an index has one spelling.
fn index(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = text.parse().ok()?;
    (canonical && value <= INDEX_MAX).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> StatusEntry {
        StatusEntry {
            purpose: StatusPurpose::Revocation,
            index: 123,
            list: "https://issuer.example/status/1".to_owned(),
        }
    }

    fn with(name: &str, value: Json) -> Json {
        let Json::Object(mut members) = entry().to_json() else { panic!("an entry is an object") };
        members.insert(name.to_owned(), value);
        Json::Object(members)
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        assert_eq!(StatusEntry::read_all(&entry().to_json()), Ok(vec![entry()]));
        let two = Json::Array(vec![entry().to_json(), entry().to_json()]);
        assert_eq!(StatusEntry::read_all(&two), Ok(vec![entry(), entry()]));
    }

    #[test]
    fn every_purpose_of_the_standard_is_read() {
        for name in ["revocation", "suspension", "message", "refresh", "else"] {
            let entry = with("statusPurpose", Json::String(name.to_owned()));
            assert_eq!(StatusEntry::read_all(&entry).unwrap()[0].purpose.name(), name);
        }
    }

    #[test]
    fn an_index_has_one_spelling() {
        for index in
            ["", "-1", "+1", "01", "1.0", " 1", "0x1", "1e3", "9007199254740992", "99999999999999999999999"]
        {
            assert!(StatusEntry::read_all(&with("statusListIndex", Json::String(index.to_owned()))).is_err());
        }
        assert!(StatusEntry::read_all(&with("statusListIndex", Json::Int(1))).is_err());
        assert!(StatusEntry::read_all(&with("statusListIndex", Json::String("0".to_owned()))).is_ok());
    }

    #[test]
    fn an_unknown_kind_of_status_is_refused() {
        assert!(
            StatusEntry::read_all(&with("type", Json::String("StatusList2021Entry".to_owned()))).is_err()
        );
        assert!(StatusEntry::read_all(&Json::String("none".to_owned())).is_err());
        assert!(StatusEntry::read_all(&Json::Array(vec![entry().to_json(); 5])).is_err());
    }
}
