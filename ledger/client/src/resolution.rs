//! DID resolution that needs no trust: the result is rebuilt from the proven record, and what the node said must be
//! the same (design D21).
//!
//! A record proves its own version and times. That no newer version lay between it and the time asked for is proven
//! by the record of the next version, whose `updated` is the end of this one; or, if there is none, by the record of
//! now.

use aval_codec::Json;
use aval_did::resolution::{NextVersion, ResolutionError, ResolutionResult, VersionSelector};
use aval_did::{Did, DidRecord, VersionId};

use crate::error::{ClientError, Problem};
use crate::node::ResolutionAnswer;
use crate::verified::{Verified, VerifyingClient};

const DENIES: &str = "it denies a DID that is on the ledger";
const LEAVES_OUT: &str = "it leaves out that a newer version followed";

/// A proven resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// The result in the form of DID Resolution 1.0, rebuilt from the record.
    pub result: ResolutionResult,
    /// The record; none if the DID is proven to be absent.
    pub record: Option<DidRecord>,
}

impl Resolution {
    /// Whether the DID was deactivated.
    pub fn is_deactivated(&self) -> bool {
        self.result.is_deactivated()
    }
}

impl VerifyingClient {
    /// Resolves a DID, or proves that it is not on the ledger.
    pub fn resolve(&self, did: &Did, version: VersionSelector) -> Result<Verified<Resolution>, ClientError> {
        if did.network() != self.anchor().network().label() {
            return Err(ClientError::Request(format!(
                "{did} is of another network than the one trusted here"
            )));
        }
        let answer = self.node().resolve(did, &version)?;
        if answer.error() == Some("NOT_FOUND") {
            return self.prove_absence(did, version);
        }
        let Some(proof) = answer.proof()? else {
            return Err(without_proof(version));
        };
        let verified = match version {
            VersionSelector::Latest => self.verify(&proof)?,
            VersionSelector::Id(_) | VersionSelector::Time(_) => self.verify_past(&proof)?,
        };
        let record = verified.did_record(did).map_err(ClientError::Unproven)?;
        let Some(record) = record else {
            return Err(ClientError::Contradiction("its proof shows that there is no such DID"));
        };
        let next = match version {
            VersionSelector::Latest => None,
            _ => self.next_version(did, &record, &answer)?,
        };
        if !version.selects(&record, next.map(|next| next.time_ms)) {
            return Err(ClientError::Contradiction("it proves another version than the one asked for"));
        }
        let result = ResolutionResult::of_record(&record, next, Vec::new());
        compare(&answer, &result)?;
        let value = Resolution { result, record: Some(record) };
        Ok(Verified { value, height: verified.height(), time_ms: verified.time_ms(), proof })
    }

    /// A node that knows no such DID must prove it; that it knows no such version can be proven only for a time
    /// before the first one.
    fn prove_absence(
        &self,
        did: &Did,
        version: VersionSelector,
    ) -> Result<Verified<Resolution>, ClientError> {
        let current = self.did_record(did)?;
        match (&current.value, version) {
            (None, _) => {}
            (Some(record), VersionSelector::Time(time_s)) if record.created / 1000 > time_s => {}
            (Some(_), VersionSelector::Latest) => {
                return Err(ClientError::Contradiction(DENIES));
            }
            (Some(_), _) => {
                let detail = "the node does not know this version of the DID".to_owned();
                return Err(ClientError::NotFound(Problem {
                    detail,
                    http_status: 404,
                    ..Problem::default()
                }));
            }
        }
        let result = ResolutionResult::of_error(&ResolutionError::NotFound);
        Ok(current.map(|_| Resolution { result, record: None }))
    }

    /// The version that followed, proven; or nothing, if the record is proven to be the newest.
    fn next_version(
        &self,
        did: &Did,
        record: &DidRecord,
        answer: &ResolutionAnswer,
    ) -> Result<Option<NextVersion>, ClientError> {
        let Some(claimed) = answer.did_document_metadata.get("nextVersionId").and_then(Json::as_str) else {
            let current = self.did_record(did)?.value;
            return match current {
                Some(current) if current.version_id == record.version_id => Ok(None),
                _ => Err(ClientError::Contradiction(LEAVES_OUT)),
            };
        };
        let version_id: VersionId = claimed
            .parse()
            .map_err(|_| ClientError::Malformed("nextVersionId is not a version id".to_owned()))?;
        let following = self.node().resolve(did, &VersionSelector::Id(version_id))?;
        let Some(proof) = following.proof()? else {
            return Err(without_proof(VersionSelector::Id(version_id)));
        };
        let following = self.verify_past(&proof)?.did_record(did).map_err(ClientError::Unproven)?;
        match following {
            Some(following)
                if following.version_id == version_id
                    && version_id.number == record.version_id.number + 1 =>
            {
                Ok(Some(NextVersion { version_id, time_ms: following.updated }))
            }
            _ => Err(ClientError::Contradiction("the version that followed is another one")),
        }
    }
}

/// An answer about the present always has a proof. Of the past a node may have kept the record alone, which decides
/// nothing.
fn without_proof(version: VersionSelector) -> ClientError {
    match version {
        VersionSelector::Latest => ClientError::Contradiction("it carries no proof"),
        VersionSelector::Id(_) | VersionSelector::Time(_) => ClientError::Failed(Problem {
            http_status: 410,
            code: "ledger.pruned".to_owned(),
            title: "The node no longer keeps the proof of this version".to_owned(),
            detail: "the node no longer keeps the proof of this version; ask one that keeps all of them"
                .to_owned(),
        }),
    }
}

/// What the node said against what was proven. Members that a proven result does not have are lies, too.
fn compare(answer: &ResolutionAnswer, proven: &ResolutionResult) -> Result<(), ClientError> {
    let document = match &proven.did_document {
        Some(document) => to_json(document)?,
        None => Json::Null,
    };
    if answer.did_document != document {
        return Err(ClientError::Contradiction("the document is not the one in the proof"));
    }
    if answer.did_document_metadata != to_json(&proven.did_document_metadata)? {
        return Err(ClientError::Contradiction("the document's metadata are not those of the proof"));
    }
    if answer.error().is_some() {
        return Err(ClientError::Contradiction("it reports an error beside a proven document"));
    }
    Ok(())
}

fn to_json(value: &impl serde::Serialize) -> Result<Json, ClientError> {
    aval_codec::json::to_json(value).map_err(|error| ClientError::Malformed(error.to_string()))
}
