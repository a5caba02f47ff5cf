//! Status lists: W3C Bitstring Status List 1.0 and IETF Token Status List (draft 20), to write and to read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`bitstring`] | `BitstringStatusListEntry` and `BitstringStatusListCredential`, entries of 1 to 8 bits |
//! | [`token`] | the Token Status List as JSON and CBOR, and its token's claims as JWT and CWT |
//! | [`allocate`] | which index a new credential gets |
//! | [`inflate`] | decompression that is bounded before memory is used |
//!
//! A list is data only: who signed it is for [`crate::verifier`] to judge. The two kinds count bits in opposite
//! directions: index 0 of a bitstring is the highest bit of the first byte, that of a token list the lowest.

pub mod allocate;
pub mod bitstring;
pub mod inflate;
pub mod token;

#[cfg(test)]
mod tests;

pub use allocate::Allocation;
pub use bitstring::{BitstringEntry, BitstringList, StatusMessage};
pub use token::{TokenEntry, TokenList, TokenListClaims};

/// Fewest entries of a list, so that one credential hides among many (Bitstring Status List 1.0 section 3.2).
pub const ENTRIES_MIN: u64 = 1 << 17;
/// Most entries of a list that is written or read here.
pub const ENTRIES_MAX: u64 = 1 << 24;
/// Largest signed list that is read, in bytes: 2^24 entries of one bit that do not compress, twice in base64.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the value of an entry means for the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing is held against it.
    Clear,
    /// Withdrawn for good.
    Revoked,
    /// Withdrawn for now.
    Suspended,
    /// There is a newer one; this one stays valid.
    Refresh,
    /// A message of the issuer's, by its value and, where the entry has one, its text.
    Message(Option<String>),
    /// A value whose meaning is not known here.
    Unknown,
}

/// What a list says of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The value that stands in the list.
    pub value: u8,
    /// What it means.
    pub meaning: Meaning,
}

/// Why a list or an entry says nothing about a credential. The credential must not be accepted on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// An entry or a list that breaks the rules of its specification.
    #[error("malformed status: {0}")]
    Malformed(&'static str),
    /// The list is for other purposes than the entry.
    #[error("the status list is not for the purpose of the entry")]
    Purpose,
    /// The list is not the one that the entry names.
    #[error("the status list is another one than the entry names")]
    OtherList,
    /// The list has fewer entries than a group to hide in needs.
    #[error("the status list has fewer entries than the minimum")]
    TooShort,
    /// The index lies outside of the list.
    #[error("the index lies outside of the status list")]
    Range,
    /// The list is larger than is read here, compressed or not.
    #[error("the status list is larger than allowed")]
    Oversized,
    /// The token of the list has expired, or is from the future.
    #[error("the status list is not valid at this time")]
    Stale,
    /// Something that is allowed and not done here.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
}

impl StatusError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "status.malformed",
            Self::Purpose => "status.purpose",
            Self::OtherList => "status.other_list",
            Self::TooShort => "status.list_length",
            Self::Range => "status.range",
            Self::Oversized => "status.oversized",
            Self::Stale => "status.stale",
            Self::Unsupported(_) => "status.unsupported",
        }
    }

    /// The name of the error in Bitstring Status List 1.0 section 3.5.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Oversized => "MALFORMED_VALUE_ERROR",
            Self::Purpose | Self::OtherList | Self::Stale | Self::Unsupported(_) => {
                "STATUS_VERIFICATION_ERROR"
            }
            Self::TooShort => "STATUS_LIST_LENGTH_ERROR",
            Self::Range => "RANGE_ERROR",
        }
    }

    /// True if nothing was decided.
    pub fn is_undecided(&self) -> bool {
        matches!(self, Self::Unsupported(_))
    }
}
