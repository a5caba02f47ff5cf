//! Accreditations: who may accredit, who may issue what, and on whose word (specs/trust.md).
//!
//! A *root* is made by governance. A root or a *body* accredits bodies and *issuers* within what it is accredited for
//! itself: credential types, roles, level of assurance, depth and time. A DID has one accreditation at a time, so its
//! record names one parent, and the way from an issuer to its root is one walk of at most [`LINKS_MAX`] steps
//! ([`chain`](mod@chain)). Nothing here reads a state: the ledger and a wallet with proofs ask the same functions.

pub mod chain;

use aval_codec::{Hash, Json};
use aval_did::Did;
use serde::{Deserialize, Serialize};

use crate::{grant::is_name, limits, reject::Reject};

pub use chain::{Broken, Capacity, Chain, Question, Why, chain};

/// Links of a chain, from the one that is asked about to the root.
pub const LINKS_MAX: usize = 4;

/// The depth of a root at most: how many links may stand below it.
pub const DEPTH_MAX: u8 = 3;

/// The type of the credential by which a body accredits somebody.
pub const CREDENTIAL_TYPE: &str = "AvalAccreditationCredential";

/// The claim of that credential which says what the record says.
pub const CREDENTIAL_CLAIM: &str = "accreditation";

/// What an accreditation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccreditationKind {
    /// Where a chain begins: made and unmade by governance alone.
    Root,
    /// Accredits others and issues nothing.
    Body,
    /// Issues credentials and accredits nobody.
    Issuer,
}

impl AccreditationKind {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Body => "body",
            Self::Issuer => "issuer",
        }
    }

    /// Whether who has it may accredit others.
    pub const fn accredits(self) -> bool {
        matches!(self, Self::Root | Self::Body)
    }
}

/// How sure one may be of what a credential says, in three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Limited confidence.
    Low,
    /// Substantial confidence.
    Substantial,
    /// More than substantial.
    High,
}

impl Level {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Substantial => "substantial",
            Self::High => "high",
        }
    }
}

/// A credential type that somebody is accredited for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccreditedType {
    /// The type.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// The roles that its credentials may give on the ledger, sorted and unique; none if they give none.
    pub roles: Vec<String>,
    /// The level of assurance up to which it may be issued.
    pub level: Level,
}

impl AccreditedType {
    /// Whether credentials of the type may give this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// An accreditation in the state, under `accreditation/<subject>`.
///
/// It is live while it is not revoked, has not expired, and its parents up to a root are live. The DID of a live
/// record is active: deactivating it revokes the record in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccreditationRecord {
    /// Who is accredited.
    pub subject: Did,
    /// For what.
    pub kind: AccreditationKind,
    /// Who accredited it; null for a root.
    pub parent: Option<Did>,
    /// Which credential types, sorted and unique by type.
    pub types: Vec<AccreditedType>,
    /// How many links may stand below it; 0 for an issuer.
    pub depth: u8,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
    /// SHA-256 of the accreditation credential; null for what governance or genesis made.
    pub credential: Option<Hash>,
    /// Number of this version of the record, from 1: every grant and every revocation makes a new one.
    pub version: u32,
    /// Height of the block that granted it.
    pub height: u64,
    /// Height of the block that revoked it.
    pub revoked: Option<u64>,
    /// Who revoked it: the subject itself, its parent or one above; null where governance did, and while it is live.
    pub revoked_by: Option<Did>,
}

impl AccreditationRecord {
    /// What it says about a type.
    pub fn of_type(&self, credential_type: &str) -> Option<&AccreditedType> {
        self.types.iter().find(|entry| entry.credential_type == credential_type)
    }

    /// Whether it has ended by itself at this time.
    pub const fn is_expired(&self, time_ms: u64) -> bool {
        self.expires <= time_ms
    }

    /// The claim of the accreditation credential: kind, types, depth.
    pub fn claim(&self) -> Json {
        claim(self.kind, &self.types, self.depth)
    }

    /// Whether a credential says what this record says. `None` means that it does; otherwise the first member that
    /// differs is named.
    pub fn differs_from(&self, credential: &Statement<'_>) -> Option<&'static str> {
        let parent = self.parent.as_ref().map(Did::as_str);
        let ends_ms =
            credential.valid_until_s.and_then(|s| u64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
        let differing = [
            ("credential", self.credential != Some(credential.hash)),
            ("type", !credential.types.iter().any(|name| name == CREDENTIAL_TYPE)),
            ("issuer", parent != Some(credential.issuer)),
            ("subject", credential.subject != Some(self.subject.as_str())),
            ("claim", credential.claim != Some(&self.claim())),
            ("expires", ends_ms != Some(self.expires)),
        ];
        differing.into_iter().find(|(_, differs)| *differs).map(|(member, _)| member)
    }
}

/// What an accreditation credential says, as whoever read it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// SHA-256 over the issuer-signed SD-JWT, its tilde included.
    pub hash: Hash,
    /// Its types.
    pub types: &'a [String],
    /// Its issuer.
    pub issuer: &'a str,
    /// The id of its subject.
    pub subject: Option<&'a str>,
    /// The subject's claim [`CREDENTIAL_CLAIM`].
    pub claim: Option<&'a Json>,
    /// When it ends, seconds since 1970.
    pub valid_until_s: Option<i64>,
}

/// The claim that an accreditation credential makes about its subject.
pub fn claim(kind: AccreditationKind, types: &[AccreditedType], depth: u8) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    let entry = |entry: &AccreditedType| {
        Json::Object(
            [
                ("type".to_owned(), text(&entry.credential_type)),
                ("roles".to_owned(), Json::Array(entry.roles.iter().map(|role| text(role)).collect())),
                ("level".to_owned(), text(entry.level.name())),
            ]
            .into(),
        )
    };
    Json::Object(
        [
            ("kind".to_owned(), text(kind.name())),
            ("types".to_owned(), Json::Array(types.iter().map(entry).collect())),
            ("depth".to_owned(), Json::Int(depth.into())),
        ]
        .into(),
    )
}

/// Checks the shape of what somebody is accredited for: 1 to 32 types, sorted and unique, each with up to 8 sorted,
/// unique roles, and a depth that fits the kind.
pub fn validate_scope(
    kind: AccreditationKind,
    types: &[AccreditedType],
    depth: u8,
) -> Result<(), &'static str> {
    if !(1..=limits::ACCREDITED_TYPES_MAX).contains(&types.len()) {
        return Err("an accreditation has 1 to 32 types");
    }
    if !types.is_sorted_by(|left, right| left.credential_type < right.credential_type) {
        return Err("types are not sorted and unique");
    }
    for entry in types {
        let named = is_name(&entry.credential_type) && entry.roles.iter().all(|role| is_name(role));
        if !named || entry.roles.len() > limits::ROLES_MAX {
            return Err("a type or role is not a name, or there are more than 8 roles");
        }
        if !entry.roles.is_sorted_by(|left, right| left < right) {
            return Err("roles are not sorted and unique");
        }
    }
    match kind {
        AccreditationKind::Root if !(1..=DEPTH_MAX).contains(&depth) => Err("the depth of a root is 1 to 3"),
        AccreditationKind::Body if !(1..DEPTH_MAX).contains(&depth) => Err("the depth of a body is 1 or 2"),
        AccreditationKind::Issuer if depth != 0 => Err("the depth of an issuer is 0"),
        _ => Ok(()),
    }
}

/// Where a scope exceeds that of every link above it, or `None` if it stays within.
pub fn excess(above: &[AccreditationRecord], types: &[AccreditedType]) -> Option<Reject> {
    for wanted in types {
        for link in above {
            let Some(held) = link.of_type(&wanted.credential_type) else {
                return Some(Reject::AccreditationType);
            };
            if !wanted.roles.iter().all(|role| held.has_role(role)) {
                return Some(Reject::AccreditationRole);
            }
            if wanted.level > held.level {
                return Some(Reject::AccreditationLevel);
            }
        }
    }
    None
}
