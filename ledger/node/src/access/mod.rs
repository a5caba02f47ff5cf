//! Who may ask a node for what is not for everybody, and the record of having asked.
//!
//! The token is `aval_types::access`'s; here its DID is looked up in the state. A token is good once: its id is
//! remembered for as long as it lives. Every request with a good token is written to the log ([`log`]) before it is
//! answered, whether it is allowed or not; one that cannot be written is not answered.

pub mod log;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aval_did::Did;
use aval_machine::standing;
use aval_store::Ledger;
use aval_types::Reject;
use aval_types::access::{AccessError, AccessRequest, AccessToken, CLOCK_SLACK_S};
use uuid::Uuid;

use log::{AccessLog, Entry};

/// Tokens that are remembered. They live for minutes, and only known DIDs can use any up.
const REMEMBERED_MAX: usize = 65_536;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The token is no good.
    Token(AccessError),
    /// The ledger says that its DID may not do this.
    Standing(Reject),
    /// Too many tokens live at the moment.
    Overloaded,
    /// The state or the log failed: nothing was decided.
    Undecided,
}

impl Denial {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(error) => error.code(),
            Self::Standing(reject) => reject.code(),
            Self::Overloaded => "node.overloaded",
            Self::Undecided => "node.internal",
        }
    }
}

/// What a caller must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed<'a> {
    /// A DID with a live grant that gives this role.
    Role(&'a str),
    /// This DID; nobody, if there is none.
    Did(Option<&'a Did>),
}

/// Checks tokens and keeps the log.
#[derive(Debug)]
pub struct Gate {
    node_key: String,
    used: Mutex<BTreeSet<(u64, String, Uuid)>>,
    log: AccessLog,
}

impl Gate {
    /// The gate of the node with this network key (a multikey).
    pub fn new(node_key: String, log: AccessLog) -> Self {
        Self { node_key, used: Mutex::default(), log }
    }

    /// The log.
    pub fn log(&self) -> &AccessLog {
        &self.log
    }

    /// The node's network key: the audience of tokens.
    pub fn node_key(&self) -> &str {
        &self.node_key
    }

    /// Lets a request through, or says why not. `token` is what the header `Authorization` holds after `Bearer`.
    pub fn admit(
        &self,
        interface: &'static str,
        ledger: &Ledger,
        now_ms: u64,
        token: Option<&str>,
        request: &AccessRequest,
        needed: Needed<'_>,
    ) -> Result<Did, Denial> {
        let now_s = now_ms / 1000;
        let token = token.ok_or(Denial::Token(AccessError::Missing))?;
        let token = AccessToken::parse(token).map_err(Denial::Token)?;
        token.expect(&self.node_key, request, now_s).map_err(Denial::Token)?;
        let state = self.state(ledger)?;
        let (did, key) = (token.did(), token.kid().key());
        // Whoever is not on the ledger leaves no trace here: nobody can fill memory or disk with invented names.
        undecided(standing::expect_key(&state, did, &key))?.map_err(|_| Denial::Token(AccessError::Key))?;
        self.remember(&token, now_s)?;
        let decision = match needed {
            Needed::Role(role) => {
                undecided(standing::expect_role(&state, did, &key, role, now_ms))?.map_err(Denial::Standing)
            }
            Needed::Did(Some(only)) if only == did => Ok(()),
            Needed::Did(_) => Err(Denial::Token(AccessError::Forbidden)),
        };
        let entry = Entry {
            time_ms: now_ms,
            interface,
            did: did.to_string(),
            request: request.to_string(),
            token: token.jti(),
            decision: decision.as_ref().map_or_else(Denial::code, |()| "allowed"),
        };
        self.log.append(&entry).map_err(|error| {
            tracing::error!(%error, "the access log cannot be written, so nothing is answered");
            Denial::Undecided
        })?;
        tracing::info!(interface, %did, %request, decision = entry.decision, "access");
        decision.map(|()| did.clone())
    }

    fn state(&self, ledger: &Ledger) -> Result<aval_store::View, Denial> {
        let view = ledger.require_head().and_then(|head| ledger.view_at(head.height()));
        view.map_err(|error| {
            tracing::error!(code = error.code(), %error, "the state could not be read for an access token");
            Denial::Undecided
        })
    }

    /// Uses a token up.
    fn remember(&self, token: &AccessToken, now_s: u64) -> Result<(), Denial> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = now_s.saturating_sub(CLOCK_SLACK_S);
        while used.first().is_some_and(|(expires_s, _, _)| *expires_s < gone) {
            used.pop_first();
        }
        if used.len() >= REMEMBERED_MAX {
            return Err(Denial::Overloaded);
        }
        let is_new = used.insert((token.expires_s(), token.did().to_string(), token.jti()));
        if is_new { Ok(()) } else { Err(Denial::Token(AccessError::Replayed)) }
    }
}

fn undecided<T>(answer: Result<T, aval_machine::StateError>) -> Result<T, Denial> {
    answer.map_err(|error| {
        tracing::error!(code = error.code(), %error, "the state could not be read for an access token");
        Denial::Undecided
    })
}
