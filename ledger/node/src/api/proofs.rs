//! Putting ledger proofs together: what a client needs to trust an answer offline (specs/wire.md, "Ledger proof").
//!
//! Answers about the present stand on the newest block that has a certificate of its own or above it; the finality of
//! that block is kept, since thousands of answers share it.

use std::sync::{Arc, PoisonError, RwLock};

use aval_proof::{Claim, LedgerProof};
use aval_store::{Finality, Ledger, ProvenState, StoreError};
use aval_types::{Header, NetworkId};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;

use super::problem::Problem;

/// A final block and why it is final.
#[derive(Debug)]
pub(super) struct Certified {
    header: Header,
    finality: Finality,
}

/// The finality of the newest certified block.
#[derive(Default)]
pub(super) struct FinalityCache {
    newest: RwLock<Option<Arc<Certified>>>,
}

impl FinalityCache {
    /// The newest block that can be proven to be final. The genesis block is proven by those above it.
    pub(super) fn newest(&self, ledger: &Ledger) -> Result<Arc<Certified>, StoreError> {
        let height = ledger.newest_certified()?;
        if let Some(certified) = &*self.newest.read().unwrap_or_else(PoisonError::into_inner)
            && certified.header.height == height
        {
            return Ok(certified.clone());
        }
        let certified =
            Arc::new(Certified { header: ledger.header(height)?, finality: ledger.finality(height)? });
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(certified.clone());
        Ok(certified)
    }
}

impl Certified {
    /// The proof of an entry of the state after this block, or of its absence. The key is ASCII.
    pub(super) fn state(
        &self,
        ledger: &Ledger,
        network: &NetworkId,
        key: &str,
    ) -> Result<LedgerProof, StoreError> {
        let ProvenState { value, proof } = ledger.prove(key.as_bytes(), self.header.height)?;
        Ok(self.bundle(network, Claim::State { key: key.to_owned(), value, proof }))
    }

    /// The proof of the header alone.
    pub(super) fn checkpoint(&self, network: &NetworkId) -> LedgerProof {
        self.bundle(network, Claim::Header)
    }

    fn bundle(&self, network: &NetworkId, claim: Claim) -> LedgerProof {
        LedgerProof {
            network: network.clone(),
            header: self.header.clone(),
            path: self.finality.path.clone(),
            certificate: self.finality.certificate.clone(),
            claim,
        }
    }
}

/// The proof as the whole body of an answer: whoever reads it gets the value out of what he has verified.
pub(super) fn answer(proof: &LedgerProof) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], proof.to_json()).into_response()
}

/// The value that a proof of the state holds; `None` if it proves absence.
pub(super) fn value(proof: &LedgerProof) -> Option<&[u8]> {
    match &proof.claim {
        Claim::State { value, .. } => value.as_deref(),
        Claim::Header | Claim::Receipt(_) => None,
    }
}

/// The proof as a member of a larger answer.
pub(super) fn to_raw(proof: &LedgerProof) -> Result<Box<RawValue>, Problem> {
    String::from_utf8(proof.to_json()).ok().and_then(|text| RawValue::from_string(text).ok()).ok_or_else(
        || {
            tracing::error!("a ledger proof could not be written");
            Problem::internal()
        },
    )
}
