//! The way from somebody accredited to its root, and the question whether it holds (specs/trust.md, section 3).
//!
//! [`chain`] is the one implementation of the question: the state machine reads records from its state, a wallet from
//! proofs. It asks for a record only when all links before it hold, so that the records it asked for are exactly what
//! has to be proven for a yes, and what proves a no.

use aval_did::Did;

use super::{AccreditationKind, AccreditationRecord, LINKS_MAX, Level};

/// In which capacity somebody is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// It issues credentials.
    Issue,
    /// It accredits others.
    Accredit,
}

/// Whether somebody is accredited.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who.
    pub subject: &'a Did,
    /// For what.
    pub capacity: Capacity,
    /// For which credential type; without one the question is whether it is accredited at all.
    pub credential_type: Option<&'a str>,
    /// For which roles of this type, all of them.
    pub roles: &'a [&'a str],
    /// When, milliseconds since 1970.
    pub time_ms: u64,
}

/// A chain that held: from the one asked about to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    links: Vec<AccreditationRecord>,
}

/// Why there is no chain, and at which link that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Number of the link, 0 for the one asked about.
    pub link: usize,
    /// Whose record it is.
    pub subject: Did,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no record.
    Absent,
    /// It is revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// It is accredited, but not for this: a body issues nothing, an issuer accredits nobody.
    Kind,
    /// It is not accredited for the type.
    Type,
    /// It is not accredited for one of the roles.
    Role,
    /// It stands as deep as the link above it allows nothing to stand.
    Depth,
    /// No root within the links that a chain may have.
    Length,
}

impl Why {
    /// A stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Absent => "chain.absent",
            Self::Revoked => "chain.revoked",
            Self::Expired => "chain.expired",
            Self::Kind => "chain.kind",
            Self::Type => "chain.type",
            Self::Role => "chain.role",
            Self::Depth => "chain.depth",
            Self::Length => "chain.length",
        }
    }

    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Absent => "it has no accreditation",
            Self::Revoked => "its accreditation is revoked",
            Self::Expired => "its accreditation has expired",
            Self::Kind => "its accreditation is of another kind",
            Self::Type => "it is not accredited for this type",
            Self::Role => "it is not accredited for this role",
            Self::Depth => "it allows no link this deep below it",
            Self::Length => "its chain is longer than 4 links",
        }
    }
}

impl Chain {
    /// The links, from the one asked about to the root.
    pub fn links(&self) -> &[AccreditationRecord] {
        &self.links
    }

    /// The links.
    pub fn into_links(self) -> Vec<AccreditationRecord> {
        self.links
    }

    /// The level of assurance for a type: the lowest that any link has.
    pub fn level(&self, credential_type: &str) -> Option<Level> {
        self.links.iter().map(|link| link.of_type(credential_type).map(|entry| entry.level)).min().flatten()
    }

    /// The roles that credentials of a type may give: those that every link has.
    pub fn roles(&self, credential_type: &str) -> Vec<String> {
        let mut entries = self.links.iter().map(|link| link.of_type(credential_type));
        let mut roles = entries.next().flatten().map(|entry| entry.roles.clone()).unwrap_or_default();
        for entry in entries {
            roles.retain(|role| entry.is_some_and(|entry| entry.has_role(role)));
        }
        roles
    }

    /// When the first of the links ends, milliseconds since 1970.
    pub fn expires(&self) -> u64 {
        self.links.iter().map(|link| link.expires).min().unwrap_or(0)
    }
}

/// Walks from the one asked about to a root. The outer error is the reader's: nothing was decided.
pub fn chain<E>(
    question: &Question<'_>,
    mut read: impl FnMut(&Did) -> Result<Option<AccreditationRecord>, E>,
) -> Result<Result<Chain, Broken>, E> {
    let mut links: Vec<AccreditationRecord> = Vec::with_capacity(2);
    let mut subject = question.subject.clone();
    loop {
        let link = links.len();
        if link == LINKS_MAX {
            return Ok(Err(Broken { link, subject, why: Why::Length }));
        }
        let record = read(&subject)?;
        match judge(question, links.last(), record) {
            Err(why) => return Ok(Err(Broken { link, subject, why })),
            Ok(record) => {
                let parent = record.parent.clone();
                let is_root = record.kind == AccreditationKind::Root;
                links.push(record);
                match parent {
                    _ if is_root => return Ok(Ok(Chain { links })),
                    Some(parent) => subject = parent,
                    // Only a root has no parent; a record that says otherwise ends nowhere.
                    None => return Ok(Err(Broken { link, subject, why: Why::Absent })),
                }
            }
        }
    }
}

/// Whether one link holds, given the one below it.
fn judge(
    question: &Question<'_>,
    below: Option<&AccreditationRecord>,
    record: Option<AccreditationRecord>,
) -> Result<AccreditationRecord, Why> {
    let record = record.ok_or(Why::Absent)?;
    if record.revoked.is_some() {
        return Err(Why::Revoked);
    }
    if record.is_expired(question.time_ms) {
        return Err(Why::Expired);
    }
    let fits = match (below, question.capacity) {
        (None, Capacity::Issue) => record.kind == AccreditationKind::Issuer,
        (None, Capacity::Accredit) | (Some(_), _) => record.kind.accredits(),
    };
    if !fits {
        return Err(Why::Kind);
    }
    if below.is_some_and(|below| below.depth >= record.depth) {
        return Err(Why::Depth);
    }
    if let Some(credential_type) = question.credential_type {
        let entry = record.of_type(credential_type).ok_or(Why::Type)?;
        if !question.roles.iter().all(|role| entry.has_role(role)) {
            return Err(Why::Role);
        }
    }
    Ok(record)
}
