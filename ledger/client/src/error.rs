//! What can go wrong between a client and the ledger, and whose fault it is.
//!
//! Three kinds of "no" are kept apart: the ledger decided against the caller ([`ClientError::Refused`]), the node
//! gave an answer that does not prove what it says ([`ClientError::Unproven`] and its neighbours), and nothing could
//! be decided (network, overload, a node that is behind). Only the last kind is worth a retry.

use aval_proof::ProofError;
use serde::Deserialize;
use thiserror::Error;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program or person that asked.
    Caller,
    /// The way to the node.
    Network,
    /// The node: it failed, or it answered with something that is not true.
    Node,
    /// Nobody: the rules of the ledger say no.
    Ledger,
}

/// Problem details (RFC 9457) as nodes send them. Everything in it is the node's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub http_status: u16,
    /// The stable code, for example `did.stale_version`; empty when the answer was no problem document.
    #[serde(default)]
    pub code: String,
    /// One line, the same for every occurrence of the code.
    #[serde(default)]
    pub title: String,
    /// About this occurrence.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    /// The most telling sentence in it.
    pub fn sentence(&self) -> &str {
        match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => "the node gave no reason",
            ("", title) => title,
            (detail, _) => detail,
        }
    }
}

/// A failure of a request to a node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The node's address cannot be used.
    #[error("the node's address {address} cannot be used: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The request cannot be made from these arguments.
    #[error("{0}")]
    Request(String),
    /// No connection, or it broke.
    #[error("the node at {address} cannot be reached: {reason}")]
    Unreachable {
        /// The node.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// No answer in time.
    #[error("the node at {address} did not answer in time")]
    Timeout {
        /// The node.
        address: String,
    },
    /// The node sent the client elsewhere, which the client never follows.
    #[error("the node at {address} redirects, and a client of the ledger does not follow")]
    Redirected {
        /// The node.
        address: String,
    },
    /// The answer is larger than any honest one.
    #[error("the node's answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit that it broke.
        limit: u64,
    },
    /// The answer is not in the form of the node interface.
    #[error("the node's answer cannot be read: {0}")]
    Malformed(String),
    /// The node failed, or has too much to do.
    #[error("the node answered with status {}: {}", .0.http_status, .0.sentence())]
    Failed(Problem),
    /// The ledger's rules refuse the transaction, by the word of this node.
    #[error("refused ({}): {}", .0.code, .0.sentence())]
    Refused(Problem),
    /// What was asked for is not there, by the word of this node.
    #[error("not found: {}", .0.sentence())]
    NotFound(Problem),
    /// The proof of an answer does not hold.
    #[error("the node's answer is not proven: {0}")]
    Unproven(ProofError),
    /// The proof holds, and the answer says something else.
    #[error("the node's answer contradicts its own proof: {0}")]
    Contradiction(&'static str),
    /// The answer is of an older state than one seen before.
    #[error("the node is at block {answered}, and this client has seen block {seen}")]
    Behind {
        /// The newest height verified before.
        seen: u64,
        /// The height of the answer.
        answered: u64,
    },
    /// Two different final blocks of one height: more than a third of the validators signed both.
    #[error("the ledger has two histories: another block {height} was final before")]
    TwoHistories {
        /// The height.
        height: u64,
    },
    /// The transaction was not final when the patience ended.
    #[error("transaction {id} is not final yet")]
    NotFinal {
        /// Its id.
        id: String,
    },
    /// The trust anchor could not be read or kept.
    #[error("the trust anchor {path}: {reason}")]
    Anchor {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl ClientError {
    /// A stable code for programs. A refusal has the code of the ledger.
    pub fn code(&self) -> &str {
        match self {
            Self::Address { .. } => "client.address",
            Self::Request(_) => "client.request",
            Self::Unreachable { .. } => "client.unreachable",
            Self::Timeout { .. } => "client.timeout",
            Self::Redirected { .. } => "client.redirected",
            Self::TooLarge { .. } => "client.too_large",
            Self::Malformed(_) => "client.malformed",
            Self::Failed(problem) if problem.code.is_empty() => "client.failed",
            Self::Refused(problem) if problem.code.is_empty() => "client.refused",
            Self::NotFound(problem) if problem.code.is_empty() => "client.not_found",
            Self::Failed(problem) | Self::Refused(problem) | Self::NotFound(problem) => &problem.code,
            Self::Unproven(error) => error.code(),
            Self::Contradiction(_) => "client.contradiction",
            Self::Behind { .. } => "client.behind",
            Self::TwoHistories { .. } => "client.two_histories",
            Self::NotFinal { .. } => "client.not_final",
            Self::Anchor { .. } => "client.anchor",
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Address { .. } | Self::Request(_) | Self::Anchor { .. } => Fault::Caller,
            Self::Unreachable { .. } | Self::Timeout { .. } => Fault::Network,
            Self::Refused(_) | Self::NotFound(_) | Self::NotFinal { .. } => Fault::Ledger,
            Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed(_)
            | Self::Failed(_)
            | Self::Unproven(_)
            | Self::Contradiction(_)
            | Self::Behind { .. }
            | Self::TwoHistories { .. } => Fault::Node,
        }
    }

    /// Whether the same request may succeed later, or at another node.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Behind { .. } | Self::NotFinal { .. } => {
                true
            }
            Self::Failed(problem) => matches!(problem.http_status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the answer was checked and found wrong, as opposed to could not be checked.
    pub fn is_verified_invalid(&self) -> bool {
        match self {
            Self::Unproven(error) => error.is_invalid(),
            Self::Contradiction(_) | Self::TwoHistories { .. } => true,
            _ => false,
        }
    }
}
