//! The log of what was done, by whom, and of what was denied. Never a claim, a key or a token.

use super::{Records, RecordsError};
use sqlx::{Any, Row as _, Transaction};

/// Whose doing something is, if no operator's.
const HOLDER: &str = "holder";

/// A line to be added to the log.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When, Unix seconds.
    pub time_s: i64,
    /// The name of the operator; `holder` for a wallet, empty for nobody that is known.
    pub operator: &'a str,
    /// What happened: `<thing>.<past participle>`.
    pub event: &'static str,
    /// To which thing: an identifier of ours.
    pub subject: &'a str,
    /// More about it, in our own words.
    pub detail: &'a str,
}

impl<'a> Entry<'a> {
    /// What an operator did.
    pub fn of(operator: &'a str, event: &'static str, subject: &'a str, time_s: i64) -> Self {
        Self { time_s, operator, event, subject, detail: "" }
    }

    /// What a holder's wallet did.
    pub fn of_holder(event: &'static str, subject: &'a str, time_s: i64) -> Self {
        Self::of(HOLDER, event, subject, time_s)
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; lines are never changed, and a later one has a higher number.
    pub sequence: i64,
    /// Unix seconds.
    pub time_s: i64,
    /// The operator's name, `holder`, or empty.
    pub operator: String,
    /// What happened.
    pub event: String,
    /// To which thing.
    pub subject: String,
    /// More about it.
    pub detail: String,
}

impl Records {
    /// Adds a line of its own.
    pub async fn note(&self, entry: &Entry<'_>) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        log(&mut transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// Lines before a number, the newest first; about one subject if it is not empty.
    pub async fn audit(&self, subject: &str, before: i64, limit: i64) -> Result<Vec<AuditRow>, RecordsError> {
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE ($1 = '' OR subject = $1) AND sequence < $2
             ORDER BY sequence DESC LIMIT $3",
        )
        .bind(subject)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRow {
                    sequence: row.try_get("sequence")?,
                    time_s: row.try_get("time_s")?,
                    operator: row.try_get("operator")?,
                    event: row.try_get("event")?,
                    subject: row.try_get("subject")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }
}

/// Adds a line in the transaction of what it tells of.
pub(super) async fn log(
    transaction: &mut Transaction<'static, Any>,
    entry: &Entry<'_>,
) -> Result<(), RecordsError> {
    sqlx::query("INSERT INTO audit (time_s, event, subject, operator, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(entry.time_s)
        .bind(entry.event)
        .bind(entry.subject)
        .bind(entry.operator)
        .bind(entry.detail)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
