//! Entries in status lists: which index an issuance has, what is wanted of it, and what is final on the ledger.
//!
//! What is wanted is noted before the ledger is asked, with the transaction before it is sent, so that a change that
//! was begun is known after whatever happens. The issuance's state follows from its entries in the same transaction.

use super::audit::{Entry, log};
use super::issuances::Slot;
use super::{Records, RecordsError};
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

/// Random draws before gaps are looked for.
const DRAWS: usize = 32;
/// Gaps that others may be faster with.
const GAPS: usize = 64;

/// One entry of an issuance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    /// The issuance.
    pub issuance_id: String,
    /// `revocation`, `suspension`, `refresh` or `message`.
    pub purpose: String,
    /// The URI of the list.
    pub list: String,
    /// The index in the list.
    pub list_index: i64,
    /// What is final on the ledger.
    pub value: i64,
    /// What it shall be; differs from `value` while the ledger is asked.
    pub wanted: i64,
    /// The ledger transaction that changes it or changed it last, from the moment before it was sent.
    pub changed_by: Option<String>,
}

impl StatusRow {
    /// A new entry at an index.
    pub fn first(issuance_id: &str, slot: &Slot, list_index: i64) -> Self {
        Self {
            issuance_id: issuance_id.to_owned(),
            purpose: slot.purpose.clone(),
            list: slot.list.clone(),
            list_index,
            value: 0,
            wanted: 0,
            changed_by: None,
        }
    }

    /// The index as credentials and the ledger have it.
    pub fn index(&self) -> u64 {
        u64::try_from(self.list_index).unwrap_or_default()
    }
}

const SET_STATE: &str = "UPDATE issuances SET state = CASE
    WHEN EXISTS (SELECT 1 FROM status_entries WHERE issuance_id = $1 AND purpose = 'revocation' AND value = 1)
        THEN 'revoked'
    WHEN EXISTS (SELECT 1 FROM status_entries WHERE issuance_id = $1 AND purpose = 'revocation' AND wanted = 1)
        THEN 'revoking'
    WHEN EXISTS (SELECT 1 FROM status_entries
                 WHERE issuance_id = $1 AND purpose = 'suspension' AND wanted = 1 AND value = 1) THEN 'suspended'
    WHEN EXISTS (SELECT 1 FROM status_entries
                 WHERE issuance_id = $1 AND purpose = 'suspension' AND wanted = 1) THEN 'suspending'
    WHEN EXISTS (SELECT 1 FROM status_entries
                 WHERE issuance_id = $1 AND purpose = 'suspension' AND value = 1) THEN 'resuming'
    ELSE 'valid' END WHERE id = $1";

impl Records {
    pub(super) async fn status_of(&self, issuance_id: &str) -> Result<Vec<StatusRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM status_entries WHERE issuance_id = $1 ORDER BY purpose")
            .bind(issuance_id)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(status_row).collect()
    }

    /// The issuance that has an index in a list.
    pub async fn issuance_at(&self, list: &str, index: i64) -> Result<Option<String>, RecordsError> {
        let query =
            sqlx::query_scalar("SELECT issuance_id FROM status_entries WHERE list = $1 AND list_index = $2");
        Ok(query.bind(list).bind(index).fetch_optional(&self.pool).await?)
    }

    /// Entries whose change has begun and is not known to be final.
    pub async fn open_changes(&self) -> Result<Vec<StatusRow>, RecordsError> {
        let rows =
            sqlx::query("SELECT * FROM status_entries WHERE wanted <> value ORDER BY issuance_id LIMIT 1000")
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(status_row).collect()
    }

    /// Notes what an entry shall be, and with which ledger transaction; before that is sent. A revocation that is
    /// wanted stays wanted.
    pub async fn want_status(
        &self,
        issuance_id: &str,
        purpose: &str,
        wanted: i64,
        changed_by: Option<&str>,
    ) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE status_entries SET wanted = $3, changed_by = coalesce($4, changed_by)
             WHERE issuance_id = $1 AND purpose = $2 AND NOT (purpose = 'revocation' AND (value = 1 OR wanted > $3))",
        )
        .bind(issuance_id)
        .bind(purpose)
        .bind(wanted)
        .bind(changed_by)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(SET_STATE).bind(issuance_id).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that a change is final on the ledger, and by which transaction if the caller knows; false when that was
    /// noted before. The list counts one change more.
    pub async fn settle_status(
        &self,
        issuance_id: &str,
        purpose: &str,
        value: i64,
        changed_by: Option<&str>,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let settled = sqlx::query(
            "UPDATE status_entries SET value = $3
             WHERE issuance_id = $1 AND purpose = $2 AND value <> $3 AND NOT (purpose = 'revocation' AND value = 1)",
        )
        .bind(issuance_id)
        .bind(purpose)
        .bind(value)
        .execute(&mut *transaction)
        .await?;
        let first = settled.rows_affected() == 1;
        sqlx::query(
            "UPDATE status_entries SET changed_by = coalesce($3, changed_by)
             WHERE issuance_id = $1 AND purpose = $2",
        )
        .bind(issuance_id)
        .bind(purpose)
        .bind(changed_by)
        .execute(&mut *transaction)
        .await?;
        if first {
            sqlx::query(
                "INSERT INTO lists (uri, generation)
                 SELECT list, 1 FROM status_entries WHERE issuance_id = $1 AND purpose = $2
                 ON CONFLICT (uri) DO UPDATE SET generation = lists.generation + 1",
            )
            .bind(issuance_id)
            .bind(purpose)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(SET_STATE).bind(issuance_id).execute(&mut *transaction).await?;
            log(&mut transaction, entry).await?;
        }
        transaction.commit().await?;
        Ok(first)
    }

    /// How many changes of a list are final, on whichever instance they were made.
    pub async fn generation(&self, list: &str) -> Result<i64, RecordsError> {
        let query = sqlx::query_scalar("SELECT generation FROM lists WHERE uri = $1");
        Ok(query.bind(list).fetch_optional(&self.pool).await?.unwrap_or_default())
    }
}

/// Gives an issuance a free index in a list: some draws, and in a nearly full list the first gap after the last draw.
/// The unique index of the table decides, so that two instances never give out the same one.
pub(super) async fn take_index(
    transaction: &mut Transaction<'static, Any>,
    issuance_id: &str,
    slot: &Slot,
    draw: &mut (impl FnMut(u32) -> u32 + Send),
) -> Result<StatusRow, RecordsError> {
    let mut drawn = 0;
    for _ in 0..DRAWS {
        drawn = i64::from(draw(slot.size));
        let wanted = StatusRow::first(issuance_id, slot, drawn);
        if insert(transaction, &wanted).await? {
            return Ok(wanted);
        }
    }
    for _ in 0..GAPS {
        let mut found = gap(transaction, slot, drawn).await?;
        if found.is_none() {
            found = gap(transaction, slot, 0).await?;
        }
        let Some(found) = found else { break };
        let wanted = StatusRow::first(issuance_id, slot, found);
        if insert(transaction, &wanted).await? {
            return Ok(wanted);
        }
    }
    Err(RecordsError::ListFull(slot.list.clone()))
}

async fn insert(transaction: &mut Transaction<'static, Any>, row: &StatusRow) -> Result<bool, RecordsError> {
    let inserted = sqlx::query(
        "INSERT INTO status_entries (issuance_id, purpose, list, list_index, value, wanted)
         VALUES ($1, $2, $3, $4, 0, 0) ON CONFLICT (list, list_index) DO NOTHING",
    )
    .bind(&row.issuance_id)
    .bind(&row.purpose)
    .bind(&row.list)
    .bind(row.list_index)
    .execute(&mut **transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The first free index from one on.
async fn gap(
    transaction: &mut Transaction<'static, Any>,
    slot: &Slot,
    from: i64,
) -> Result<Option<i64>, RecordsError> {
    let query = sqlx::query_scalar(
        "SELECT candidate FROM (SELECT CAST($2 AS BIGINT) AS candidate
           UNION ALL SELECT list_index + 1 FROM status_entries WHERE list = $1 AND list_index >= $2) AS candidates
         WHERE candidate < $3
           AND NOT EXISTS (SELECT 1 FROM status_entries WHERE list = $1 AND list_index = candidate)
         ORDER BY candidate LIMIT 1",
    );
    let query = query.bind(&slot.list).bind(from).bind(i64::from(slot.size));
    Ok(query.fetch_optional(&mut **transaction).await?)
}

fn status_row(row: &AnyRow) -> Result<StatusRow, RecordsError> {
    Ok(StatusRow {
        issuance_id: row.try_get("issuance_id")?,
        purpose: row.try_get("purpose")?,
        list: row.try_get("list")?,
        list_index: row.try_get("list_index")?,
        value: row.try_get("value")?,
        wanted: row.try_get("wanted")?,
        changed_by: row.try_get("changed_by")?,
    })
}
