//! Was somebody accredited, and by which chain? Judged from proofs, offline (specs/trust.md, section 4).
//!
//! [`AccreditationAnswer::verify`] needs the answer of a node, the question and the trust anchor, and nothing else: the
//! chain is walked again over proven records by the same rule as on the ledger. What the node concluded from them is
//! not used. A no is a verdict; an answer that does not prove what it has to is an error.

use std::collections::BTreeMap;

use aval_codec::Json;
use aval_did::Did;
use aval_did::resolution::format_time_ms;
use aval_proof::{LedgerProof, TrustAnchor};
use aval_types::accreditation::{Broken, Capacity, Chain, LINKS_MAX, Question, chain};
use aval_types::{AccreditationRecord, Header};
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::node::NodeClient;
use crate::verified::VerifyingClient;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccreditationQuestion {
    /// Who.
    pub subject: Did,
    /// Whether it issues or accredits.
    pub capacity: Capacity,
    /// The credential type; without one the question is whether the accreditation holds at all.
    pub credential_type: Option<String>,
    /// A role of the type.
    pub role: Option<String>,
    /// The time, seconds since 1970; now if there is none.
    pub at_s: Option<u64>,
}

/// The answer of a node: proofs, and what it concluded from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccreditationAnswer {
    accredited: bool,
    proofs: Vec<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Json>,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccreditationVerdict {
    /// The chain, or the link that does not hold.
    pub outcome: Result<Chain, Broken>,
    /// The records that decided, from the one asked about towards the root.
    pub records: Vec<AccreditationRecord>,
    /// The time that was judged, milliseconds since 1970.
    pub at_ms: u64,
    /// The block after which it holds.
    pub height: u64,
    /// The time of that block, milliseconds since 1970.
    pub time_ms: u64,
    /// Whether later blocks cannot change it: the next block is proven to be later than the time asked about.
    pub is_settled: bool,
}

impl AccreditationVerdict {
    /// Whether it is a yes.
    pub fn is_accredited(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl NodeClient {
    /// Asks whether somebody is accredited; the answer's proofs are not verified yet.
    pub fn accreditation(
        &self,
        question: &AccreditationQuestion,
    ) -> Result<AccreditationAnswer, ClientError> {
        let capacity = match question.capacity {
            Capacity::Issue => "issuer",
            Capacity::Accredit => "body",
        };
        let at = question.at_s.map(|seconds| format_time_ms(seconds.saturating_mul(1000)));
        let mut query = vec![("as", capacity)];
        query.extend(question.credential_type.as_deref().map(|name| ("type", name)));
        query.extend(question.role.as_deref().map(|role| ("role", role)));
        query.extend(at.as_deref().map(|at| ("at", at)));
        self.get_json(&["v1", "accreditations", question.subject.as_str()], &query)
    }
}

impl VerifyingClient {
    /// Asks whether somebody is accredited and verifies the answer.
    pub fn accreditation(
        &self,
        question: &AccreditationQuestion,
    ) -> Result<AccreditationVerdict, ClientError> {
        self.node().accreditation(question)?.verify(question, &self.anchor())
    }
}

impl AccreditationAnswer {
    /// Reads an answer that was kept.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ClientError> {
        let limits = aval_codec::Limits::bytes(2 * aval_proof::LEDGER_PROOF_BYTES_MAX);
        aval_codec::json::from_slice(bytes, limits).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// The answer for keeping: what [`Self::from_json`] reads.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, integers and a boolean: nothing of it can fail.
        aval_codec::json::to_jcs(self).unwrap_or_default()
    }

    /// Judges the question from the proofs alone. Needs no network. An answer about the present must not be older than
    /// the anchor's checkpoint.
    pub fn verify(
        &self,
        question: &AccreditationQuestion,
        anchor: &TrustAnchor,
    ) -> Result<AccreditationVerdict, ClientError> {
        self.judge(question, anchor, self.next.is_none())
    }

    /// As [`Self::verify`] for an answer that was kept: one about the present of then is dated and no error.
    pub fn verify_kept(
        &self,
        question: &AccreditationQuestion,
        anchor: &TrustAnchor,
    ) -> Result<AccreditationVerdict, ClientError> {
        self.judge(question, anchor, false)
    }

    fn judge(
        &self,
        question: &AccreditationQuestion,
        anchor: &TrustAnchor,
        is_present: bool,
    ) -> Result<AccreditationVerdict, ClientError> {
        if !(1..=LINKS_MAX).contains(&self.proofs.len()) {
            return Err(ClientError::Contradiction("a chain has 1 to 4 links"));
        }
        let proofs: Vec<LedgerProof> = self.proofs.iter().map(read).collect::<Result<_, _>>()?;
        let next = self.next.as_ref().map(read).transpose()?;
        let Some(header) = proofs.first().map(|proof| proof.header.clone()) else {
            return Err(ClientError::Contradiction("it carries no proof"));
        };
        let records = proven_records(&proofs, &header, is_present, anchor)?;
        let at_ms = question.at_s.map_or(header.time_ms, |seconds| seconds.saturating_mul(1000));
        if header.time_ms > at_ms {
            return Err(ClientError::Contradiction("it is about a later time than the one asked about"));
        }
        if let Some(next) = &next {
            next.verify_past(anchor).map_err(ClientError::Unproven)?;
            if next.header.parent != header.digest() || next.header.time_ms <= at_ms {
                return Err(ClientError::Contradiction("a later block was made before the time asked about"));
            }
        }
        let mut used = Vec::new();
        let roles: Vec<&str> = question.role.as_deref().into_iter().collect();
        let asked = Question {
            subject: &question.subject,
            capacity: question.capacity,
            credential_type: question.credential_type.as_deref(),
            roles: &roles,
            time_ms: at_ms,
        };
        let outcome = chain(&asked, |did| {
            let found =
                records.get(did).ok_or(ClientError::Contradiction("a link of the chain is not proven"))?;
            used.extend(found.clone());
            Ok::<_, ClientError>(found.clone())
        })?;
        if outcome.is_ok() != self.accredited {
            return Err(ClientError::Contradiction("its proofs show the opposite"));
        }
        Ok(AccreditationVerdict {
            outcome,
            records: used,
            at_ms,
            height: header.height,
            time_ms: header.time_ms,
            is_settled: next.is_some(),
        })
    }
}

/// The proven records, all of one block.
fn proven_records(
    proofs: &[LedgerProof],
    header: &Header,
    is_present: bool,
    anchor: &TrustAnchor,
) -> Result<BTreeMap<Did, Option<AccreditationRecord>>, ClientError> {
    let mut records = BTreeMap::new();
    for proof in proofs {
        if proof.header != *header {
            return Err(ClientError::Contradiction("its proofs are of different blocks"));
        }
        let verified = if is_present { proof.verify(anchor) } else { proof.verify_past(anchor) };
        let verified = verified.map_err(ClientError::Unproven)?;
        let (key, value) = match verified.proven() {
            aval_proof::Proven::State { key, value } => (key, value),
            _ => return Err(ClientError::Contradiction("a proof is not about a record")),
        };
        let did: Did = key
            .strip_prefix("accreditation/")
            .and_then(|did| did.parse().ok())
            .ok_or(ClientError::Contradiction("a proof is not about an accreditation"))?;
        let record: Option<AccreditationRecord> = match value {
            None => None,
            Some(bytes) => Some(
                aval_codec::json::from_slice(bytes, aval_codec::Limits::default())
                    .map_err(|error| ClientError::Malformed(error.to_string()))?,
            ),
        };
        if record.as_ref().is_some_and(|record| record.subject != did) {
            return Err(ClientError::Contradiction("a record is of another subject"));
        }
        records.insert(did, record);
    }
    Ok(records)
}

fn read(proof: &Json) -> Result<LedgerProof, ClientError> {
    LedgerProof::from_json_value(proof.clone()).map_err(ClientError::Unproven)
}
