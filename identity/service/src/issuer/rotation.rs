//! Which key signs: changed while the service runs, for all instances at once.
//!
//! The name of the active key is a setting in the records. An instance that does not have the key yet reads its key
//! file again, and as long as it is not there goes on with the one it has: both are in the DID document.

use super::decisions::Issuer;
use super::ledger::blocking;
use crate::clock::now_s;
use crate::keys::Key;
use crate::problem::Problem;
use crate::storage::{Entry, RecordsError};
use std::sync::Arc;

const SETTING: &str = "active-key";

impl Issuer {
    /// Makes a key the one that signs, if the ledger has it in the issuer's document.
    pub async fn activate_key(&self, method: &str, operator: &str) -> Result<Arc<Key>, Problem> {
        let missing = || Problem::not_found("the key file has no key of this name; `key add` makes one");
        let keys = self.keys().clone();
        let reloaded = tokio::task::spawn_blocking(move || keys.reload()).await;
        match reloaded {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return Err(Problem::internal(&fault)),
            Err(error) => return Err(Problem::internal(&error)),
        }
        let key = self.keys().named(method).ok_or_else(missing)?;
        let asked = key.clone();
        blocking(self.ledger(), move |ledger| ledger.check_key(&asked)).await?;
        let entry = Entry::of(operator, "key.activated", method, now_s());
        self.records().set(SETTING, method, &entry).await?;
        self.keys().activate(method);
        tracing::info!(key = key.id(), "signing with another key");
        Ok(key)
    }

    /// Signs with the key that all instances agreed on.
    pub async fn follow_active_key(&self) -> Result<(), RecordsError> {
        let Some(method) = self.records().setting(SETTING).await? else { return Ok(()) };
        if self.keys().active().method() == method || self.keys().activate(&method) {
            return Ok(());
        }
        let keys = self.keys().clone();
        let reloaded = tokio::task::spawn_blocking(move || keys.reload()).await;
        if !matches!(reloaded, Ok(Ok(()))) || !self.keys().activate(&method) {
            tracing::warn!(
                key = method,
                "this instance does not have the key that signs; it goes on with its own"
            );
        }
        Ok(())
    }
}
