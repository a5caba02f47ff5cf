//! What is asked about at every transaction and changes seldom: parameters, governors, policy, holds. Read once for a
//! block, not once for a transaction.

use std::sync::Arc;

use aval_codec::Hash;
use aval_did::Did;
use aval_types::Parameters;
use aval_types::genesis::Governors;
use aval_types::governance::PolicyRecord;
use aval_types::supervision::HoldInForce;
use serde::de::DeserializeOwned;

use crate::memo::Memo;
use crate::policy::Policy;
use crate::state::{StateError, StateRead};
use crate::state_key;

/// The state keys that a constitution is read from.
const KEYS: [&str; 4] = [state_key::PARAMETERS, state_key::GOVERNORS, state_key::POLICY, state_key::HOLDS];

/// Parameters, governors, policy and holds of one state.
#[derive(Debug, Clone)]
pub struct Constitution {
    /// The parameters in force.
    pub parameters: Parameters,
    /// Who governs.
    pub governors: Governors,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Height of the block that put the policy in force.
    pub policy_since: u64,
    /// The holds that were not released; some may have expired.
    pub holds: Vec<HoldInForce>,
    /// What else of this state has been read already.
    pub(crate) memo: Memo,
}

impl Constitution {
    /// Reads the constitution of a state.
    pub fn of<S: StateRead + ?Sized>(state: &S) -> Result<Self, StateError> {
        let record: PolicyRecord = required(state, state_key::POLICY)?;
        Ok(Self {
            parameters: required(state, state_key::PARAMETERS)?,
            governors: required(state, state_key::GOVERNORS)?,
            policy: policy(state, record.hash)?,
            policy_since: record.height,
            holds: optional(state, state_key::HOLDS)?.unwrap_or_default(),
            memo: Memo::default(),
        })
    }

    /// Whether a change of this key changes the constitution.
    pub(crate) fn rests_on(key: &[u8]) -> bool {
        KEYS.iter().any(|own| own.as_bytes() == key)
    }

    /// Whether a DID governs.
    pub fn is_governor(&self, did: &Did) -> bool {
        self.governors.members.contains(did)
    }
}

fn policy<S: StateRead + ?Sized>(state: &S, hash: Hash) -> Result<Arc<Policy>, StateError> {
    let key = state_key::policy_text(&hash);
    let mut failure = None;
    let read = || match state.read(key.as_bytes()) {
        Ok(value) => value.and_then(|bytes| String::from_utf8(bytes).ok()),
        Err(error) => {
            failure = Some(error);
            None
        }
    };
    let found = Policy::remembered(hash, read);
    if let Some(error) = failure {
        return Err(error);
    }
    match found {
        Some(Ok(policy)) => Ok(policy),
        Some(Err(error)) => Err(StateError::damaged(&key, error)),
        None => Err(StateError::damaged(&key, "the policy in force has no text")),
    }
}

fn optional<S: StateRead + ?Sized, T: DeserializeOwned>(
    state: &S,
    key: &str,
) -> Result<Option<T>, StateError> {
    let Some(bytes) = state.read(key.as_bytes())? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| StateError::damaged(key, error))
}

fn required<S: StateRead + ?Sized, T: DeserializeOwned>(state: &S, key: &str) -> Result<T, StateError> {
    optional(state, key)?.ok_or_else(|| StateError::damaged(key, "it is missing"))
}
