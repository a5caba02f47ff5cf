//! Changing the status of what was issued: on the ledger first, then in the records.
//!
//! A change that has begun goes on whether or not its caller waits, across restarts, and on any instance: what is
//! wanted is in the records before the ledger is asked.

use super::decisions::Issuer;
use super::ledger::{LedgerError, blocking};
use crate::clock::now_s;
use crate::problem::Problem;
use crate::storage::{Entry, IssuanceRow};
use axum::http::StatusCode;
use std::sync::Arc;

/// What can be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Withdrawn for good.
    Revoke,
    /// Withdrawn for now.
    Suspend,
    /// Not withdrawn any more.
    Resume,
}

impl Change {
    /// The purpose of the status entry that it sets or clears.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Revoke => "revocation",
            Self::Suspend | Self::Resume => "suspension",
        }
    }

    fn value(self) -> bool {
        self != Self::Resume
    }

    fn event(self) -> &'static str {
        match self {
            Self::Revoke => "credential.revoked",
            Self::Suspend => "credential.suspended",
            Self::Resume => "credential.resumed",
        }
    }

    fn of(purpose: &str, value: bool) -> Option<Self> {
        match (purpose, value) {
            ("revocation", true) => Some(Self::Revoke),
            ("suspension", true) => Some(Self::Suspend),
            ("suspension", false) => Some(Self::Resume),
            _ => None,
        }
    }
}

impl Issuer {
    /// Revokes what was issued. It goes on when the caller stops waiting.
    pub async fn revoke(self: &Arc<Self>, id: &str, operator: &str) -> Result<IssuanceRow, Problem> {
        self.change(id, Change::Revoke, operator).await
    }

    /// Changes the status of what was issued. It goes on when the caller stops waiting.
    pub async fn change(
        self: &Arc<Self>,
        id: &str,
        change: Change,
        operator: &str,
    ) -> Result<IssuanceRow, Problem> {
        let (issuer, id, operator) = (self.clone(), id.to_owned(), operator.to_owned());
        let span = tracing::Span::current();
        let work = async move { issuer.carry_out(&id, change, &operator).await };
        let task = tokio::spawn(tracing::Instrument::instrument(work, span));
        task.await.map_err(|_| Problem::from(LedgerError::Interrupted))?
    }

    async fn carry_out(&self, id: &str, change: Change, operator: &str) -> Result<IssuanceRow, Problem> {
        let missing = || Problem::not_found("no credential was issued under this id");
        let row = self.records().issuance(id).await?.ok_or_else(missing)?;
        let purpose = change.purpose();
        let Some(entry) = row.entry(purpose).cloned() else {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "issuance.no_status",
                "The credential cannot be changed in this way",
                format!("it has no status entry for {purpose}; config.json names the registries"),
            ));
        };
        let wanted = i64::from(change.value());
        if row.state == "revoked" && change != Change::Revoke {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "issuance.revoked",
                "The credential is revoked",
                "a revocation is final: reissue the credential instead",
            ));
        }
        if entry.value == wanted && entry.wanted == wanted {
            return Ok(row);
        }
        let (list, index, value) = (entry.list.clone(), entry.index(), change.value());
        // Noted before anything is asked: a change that was wanted is not forgotten if the ledger cannot be reached.
        self.records().want_status(id, purpose, wanted, None).await?;
        let asked = list.clone();
        let prepared = blocking(self.ledger(), move |ledger| {
            if ledger.is_set(&asked, index)? == value {
                Ok(None)
            } else {
                ledger.change(&asked, index, value).map(Some)
            }
        });
        let mut by = None;
        if let Some(transaction) = prepared.await? {
            let transaction_id = transaction.transaction.id().to_string();
            self.records().want_status(id, purpose, wanted, Some(&transaction_id)).await?;
            let asked = list.clone();
            let sent = blocking(self.ledger(), move |ledger| match ledger.send(&transaction) {
                Ok(()) => Ok(true),
                // Another request or instance may have been faster; what counts is the bit.
                Err(error @ LedgerError::Refused { .. }) => {
                    if ledger.is_set(&asked, index)? == value {
                        Ok(false)
                    } else {
                        Err(error)
                    }
                }
                Err(error) => Err(error),
            });
            by = sent.await?.then_some(transaction_id);
        }
        let noted = Entry::of(operator, change.event(), id, now_s());
        if self.records().settle_status(id, purpose, wanted, by.as_deref(), &noted).await? {
            if change == Change::Revoke {
                self.counters().revocations.inc();
            }
            tracing::info!(issuance = id, event = change.event(), "changed");
        }
        if let Some(list) = self.list_at(&list) {
            list.outdate();
        }
        self.records().issuance(id).await?.ok_or_else(missing)
    }

    /// Goes on with changes that an earlier run, another instance or an unreachable ledger left open.
    pub async fn finish_changes(self: &Arc<Self>) {
        let open = match self.records().open_changes().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "open changes of status could not be read");
                return;
            }
        };
        let mut left = open.len();
        for entry in &open {
            let Some(change) = Change::of(&entry.purpose, entry.wanted != 0) else { continue };
            match self.change(&entry.issuance_id, change, "").await {
                Ok(_) => left -= 1,
                Err(problem) => {
                    tracing::warn!(
                        issuance = entry.issuance_id,
                        code = problem.code,
                        "a change of status stays open; it is tried again"
                    );
                }
            }
        }
        self.counters().revocations_open.set(i64::try_from(left).unwrap_or(i64::MAX));
    }
}
