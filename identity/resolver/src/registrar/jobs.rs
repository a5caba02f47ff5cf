//! Operations that wait for their clients: bounded in number and time, public data alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aval_did::{Did, VersionId};
use aval_types::transaction::{KeyId, Signature, UnsignedTransaction};
use serde_json::Value;

use super::{Failure, Kind};

/// Most jobs at a time.
pub(super) const JOBS_MAX: usize = 1024;
/// How long a job stays: a little less than its transaction can be executed.
pub(super) const LIFE: Duration = Duration::from_secs(9 * 60);

/// An operation whose transaction is written and not final.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) kind: Kind,
    pub(super) did: Did,
    /// The version that the operation makes.
    pub(super) version_id: VersionId,
    /// The document after it; none after a deactivation.
    pub(super) document: Option<Value>,
    pub(super) unsigned: UnsignedTransaction,
    /// Whose signatures are asked of the client: `signingRequest1` is the first.
    pub(super) controllers: Vec<KeyId>,
    /// What has come of them.
    pub(super) signatures: Vec<(KeyId, Signature)>,
    pub(super) endorsed: bool,
}

impl Job {
    /// The signing requests that are not answered.
    pub(super) fn open_requests(&self) -> impl Iterator<Item = (String, &KeyId)> {
        let named =
            self.controllers.iter().enumerate().map(|(at, kid)| (format!("signingRequest{}", at + 1), kid));
        named.filter(|(_, kid)| !self.signatures.iter().any(|(signer, _)| signer == *kid))
    }

    /// Who has to answer a request.
    pub(super) fn signer(&self, request: &str) -> Option<&KeyId> {
        let number: usize = request.strip_prefix("signingRequest")?.parse().ok()?;
        self.controllers.get(number.checked_sub(1)?)
    }
}

/// The open jobs, each with the time at which it ends.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<HashMap<String, (Job, Instant)>>);

impl Jobs {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Keeps a new job, if there is room.
    pub(super) fn put(&self, id: String, job: Job, now: Instant) -> Result<(), Failure> {
        let mut jobs = self.lock();
        if jobs.len() >= JOBS_MAX {
            jobs.retain(|_, (_, until)| *until > now);
        }
        if jobs.len() >= JOBS_MAX {
            return Err(Failure::Busy);
        }
        jobs.insert(id, (job, now + LIFE));
        Ok(())
    }

    /// Takes a job out, so that no two requests work on it.
    pub(super) fn take(&self, id: &str, now: Instant) -> Option<(Job, Instant)> {
        self.lock().remove(id).filter(|(_, until)| *until > now)
    }

    /// Puts back what was taken, for as long as it had.
    pub(super) fn put_back(&self, id: String, job: Job, until: Instant) {
        self.lock().insert(id, (job, until));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Job, Instant)>> {
        // A panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
