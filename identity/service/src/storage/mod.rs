//! What the issuer keeps, in SQLite: offers, tokens, nonces, issuances, and a log of what was done.
//!
//! What may happen once (a code, a nonce, an offer's credential, a status index) is decided by the rows that a
//! statement changed, inside of a transaction that holds the write lock from its first statement: of two requests at
//! the same moment exactly one wins, and a step that is interrupted has not happened. Secrets are kept as SHA-256. No
//! `Debug` here shows a claim.

use crate::fault::Fault;
use aval_codec::sha256;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long an offer that nobody redeemed is kept after its end, for questions of its holder.
const OFFER_REST_S: i64 = 7 * 86_400;

/// A failure of the database: never the fault of a client.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A statement failed.
    #[error("the issuer's records could not be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// The file cannot be brought up to date.
    #[error("the issuer's records are of another version than this program: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Every index of the status list is taken.
    #[error("the status list {0} has no free index; configure another registry")]
    ListFull(String),
    /// The credential could not be made; nothing was spent.
    #[error("the credential could not be made: {0}")]
    NotMade(String),
}

/// An offer as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OfferRow {
    /// The identifier of the offer.
    pub id: String,
    /// The credential configuration that is offered.
    pub configuration: String,
    /// Claims of the subject, as JSON.
    pub subject: String,
    /// The pre-authorized session, as JSON.
    pub session: String,
    /// Until when the offer can be redeemed, Unix seconds.
    pub expires_s: i64,
}

/// Shows neither claims nor session.
impl fmt::Debug for OfferRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("OfferRow");
        shown.field("id", &self.id).field("expires_s", &self.expires_s).finish_non_exhaustive()
    }
}

/// A credential that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuanceRow {
    /// The identifier of the issuance; also the credential's `id`, as `urn:uuid:`.
    pub id: String,
    /// The credential type.
    pub credential_type: String,
    /// Claims of the subject, as JSON.
    pub subject: String,
    /// The RFC 7638 thumbprint of the holder's key.
    pub holder: String,
    /// The status list.
    pub list: String,
    /// The index in the status list.
    pub list_index: i64,
    /// Unix seconds.
    pub issued_s: i64,
    /// Unix seconds.
    pub expires_s: i64,
    /// `valid`, `revoking` (the ledger was asked) or `revoked` (final on the ledger).
    pub state: String,
    /// The ledger transaction that revokes it, from the moment before it was sent.
    pub revocation: Option<String>,
}

/// Shows no claims.
impl fmt::Debug for IssuanceRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("IssuanceRow");
        shown.field("id", &self.id).field("list_index", &self.list_index).field("state", &self.state);
        shown.finish_non_exhaustive()
    }
}

/// What issuing spends.
pub struct Spending<'a> {
    /// The offer as it was read.
    pub offer: &'a OfferRow,
    /// The offer's session afterwards.
    pub session: &'a str,
    /// The nonce of the proof.
    pub nonce: &'a str,
    /// The number of indices of the status list.
    pub size: u32,
    /// Now, Unix seconds.
    pub now_s: i64,
}

/// How issuing ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Issued {
    /// With a credential.
    Done(String),
    /// The nonce is unknown, expired or was spent before. Nothing else was spent.
    NonceSpent,
    /// Another request was faster with the same offer. Nothing else was spent.
    SessionMoved,
}

/// The issuer's database.
#[derive(Debug, Clone)]
pub struct Records {
    pool: SqlitePool,
}

fn secret_hash(secret: &str) -> String {
    sha256(secret.as_bytes()).to_string()
}

impl Records {
    /// Opens or creates the file and brings its tables up to date. Only its owner may read it: it holds claims.
    pub async fn open(path: &Path) -> Result<Self, Fault> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Fault::of_file(path, &error, "make the home folder first"));
            }
            _ => {}
        }
        let unusable = |error: RecordsError| Fault::failed(format!("{}: {error}", path.display()));
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "on")
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
        let pool = pool.map_err(|error| unusable(error.into()))?;
        sqlx::migrate!("./migrations").run(&pool).await.map_err(|error| unusable(error.into()))?;
        Ok(Self { pool })
    }

    /// Writes everything down and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that holds the write lock, so that what it read cannot change under it.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, RecordsError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Stores a new offer under the hash of its pre-authorized code.
    pub async fn insert_offer(&self, offer: &OfferRow, code: &str, now_s: i64) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO offers (id, code_hash, configuration, subject, session, created_s, expires_s)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&offer.id)
        .bind(secret_hash(code))
        .bind(&offer.configuration)
        .bind(&offer.subject)
        .bind(&offer.session)
        .bind(now_s)
        .bind(offer.expires_s)
        .execute(&mut *transaction)
        .await?;
        log(&mut transaction, now_s, "offer.created", &offer.id).await?;
        Ok(transaction.commit().await?)
    }

    /// The offer that a pre-authorized code redeems.
    pub async fn offer_by_code(&self, code: &str) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM offers WHERE code_hash = ?").bind(secret_hash(code));
        query.fetch_optional(&self.pool).await?.as_ref().map(offer_row).transpose()
    }

    /// Replaces an offer's session if it still is what the caller read, and stores the access token that this earned,
    /// if any, with its end in Unix seconds. False when another request was faster.
    pub async fn advance_session(
        &self,
        offer: &OfferRow,
        session: &str,
        token: Option<(&str, i64)>,
        now_s: i64,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        if !move_session(&mut transaction, offer, session).await? {
            return Ok(false);
        }
        if let Some((token, expires_s)) = token {
            sqlx::query("INSERT INTO access_tokens (token_hash, offer_id, expires_s) VALUES (?, ?, ?)")
                .bind(secret_hash(token))
                .bind(&offer.id)
                .bind(expires_s)
                .execute(&mut *transaction)
                .await?;
            log(&mut transaction, now_s, "offer.redeemed", &offer.id).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The offer that an unexpired access token stands for. What may still be asked for with it, the session says.
    pub async fn offer_by_token(&self, token: &str, now_s: i64) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query(
            "SELECT offers.* FROM offers JOIN access_tokens ON offers.id = access_tokens.offer_id
             WHERE token_hash = ? AND access_tokens.expires_s > ?",
        );
        let row = query.bind(secret_hash(token)).bind(now_s).fetch_optional(&self.pool).await?;
        row.as_ref().map(offer_row).transpose()
    }

    /// Stores a nonce.
    pub async fn insert_nonce(&self, nonce: &str, expires_s: i64) -> Result<(), RecordsError> {
        sqlx::query("INSERT INTO nonces (nonce_hash, expires_s) VALUES (?, ?)")
            .bind(secret_hash(nonce))
            .bind(expires_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Issues: spends the nonce and the offer, takes a status index for the new issuance, and has the credential
    /// made; all of it or nothing. Indices are drawn at random by `draw` from `0..size`, so that a status list says
    /// nothing about the order of issuance. `make` must not wait: the database is locked meanwhile.
    pub async fn issue(
        &self,
        spending: &Spending<'_>,
        wanted: &IssuanceRow,
        draw: impl FnMut(u32) -> u32 + Send,
        make: impl FnOnce(&IssuanceRow) -> Result<String, String> + Send,
    ) -> Result<Issued, RecordsError> {
        let mut transaction = self.begin().await?;
        let spent = sqlx::query("DELETE FROM nonces WHERE nonce_hash = ? AND expires_s > ?")
            .bind(secret_hash(spending.nonce))
            .bind(spending.now_s)
            .execute(&mut *transaction)
            .await?;
        if spent.rows_affected() != 1 {
            return Ok(Issued::NonceSpent);
        }
        if !move_session(&mut transaction, spending.offer, spending.session).await? {
            return Ok(Issued::SessionMoved);
        }
        let list_index = free_index(&mut transaction, &wanted.list, spending.size, draw).await?;
        let row = IssuanceRow { list_index, ..wanted.clone() };
        insert_issuance(&mut transaction, &spending.offer.id, &row).await?;
        sqlx::query("UPDATE offers SET subject = '{}' WHERE id = ?")
            .bind(&spending.offer.id)
            .execute(&mut *transaction)
            .await?;
        log(&mut transaction, spending.now_s, "credential.issued", &row.id).await?;
        let credential = make(&row).map_err(RecordsError::NotMade)?;
        transaction.commit().await?;
        Ok(Issued::Done(credential))
    }

    /// One issuance.
    pub async fn issuance(&self, id: &str) -> Result<Option<IssuanceRow>, RecordsError> {
        let row =
            sqlx::query("SELECT * FROM issuances WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(issuance_row).transpose()
    }

    /// The newest issuances first, at most `limit`.
    pub async fn issuances(&self, limit: u32) -> Result<Vec<IssuanceRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM issuances ORDER BY issued_s DESC, id LIMIT ?")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(issuance_row).collect()
    }

    /// Issuances whose revocation has begun and is not known to be final.
    pub async fn revoking(&self) -> Result<Vec<IssuanceRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM issuances WHERE state = 'revoking' ORDER BY id LIMIT 1000")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(issuance_row).collect()
    }

    /// Notes that a revocation begins, and with which transaction; before that is sent.
    pub async fn begin_revocation(&self, id: &str, transaction: Option<&str>) -> Result<(), RecordsError> {
        sqlx::query(
            "UPDATE issuances SET state = 'revoking', revocation = coalesce(?, revocation)
             WHERE id = ? AND state <> 'revoked'",
        )
        .bind(transaction)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that a revocation is final, and by which transaction if the caller knows; false when that was noted
    /// before.
    pub async fn finish_revocation(
        &self,
        id: &str,
        by: Option<&str>,
        now_s: i64,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let before: Option<String> = sqlx::query_scalar("SELECT state FROM issuances WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE issuances SET state = 'revoked', revocation = coalesce(?, revocation) WHERE id = ?",
        )
        .bind(by)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        let first = before.is_some_and(|state| state != "revoked");
        if first {
            log(&mut transaction, now_s, "credential.revoked", id).await?;
        }
        transaction.commit().await?;
        Ok(first)
    }

    /// Forgets what has expired: nonces, tokens, and some time later the offers that led to nothing, with their claims.
    pub async fn forget_expired(&self, now_s: i64) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        for statement in
            ["DELETE FROM nonces WHERE expires_s <= ?", "DELETE FROM access_tokens WHERE expires_s <= ?"]
        {
            sqlx::query(statement).bind(now_s).execute(&mut *transaction).await?;
        }
        sqlx::query(
            "DELETE FROM offers WHERE expires_s <= ?
             AND NOT EXISTS (SELECT 1 FROM issuances WHERE issuances.offer_id = offers.id)",
        )
        .bind(now_s.saturating_sub(OFFER_REST_S))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}

async fn move_session(
    transaction: &mut Transaction<'static, Sqlite>,
    offer: &OfferRow,
    session: &str,
) -> Result<bool, RecordsError> {
    let done = sqlx::query("UPDATE offers SET session = ? WHERE id = ? AND session = ?")
        .bind(session)
        .bind(&offer.id)
        .bind(&offer.session)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A free index: some draws, and in a nearly full list the first gap after the last draw.
async fn free_index(
    transaction: &mut Transaction<'static, Sqlite>,
    list: &str,
    size: u32,
    mut draw: impl FnMut(u32) -> u32 + Send,
) -> Result<i64, RecordsError> {
    const DRAWS: usize = 32;
    let mut drawn = 0;
    for _ in 0..DRAWS {
        drawn = i64::from(draw(size));
        let taken =
            sqlx::query("SELECT 1 FROM issuances WHERE list = ? AND list_index = ?").bind(list).bind(drawn);
        if taken.fetch_optional(&mut **transaction).await?.is_none() {
            return Ok(drawn);
        }
    }
    for from in [drawn, 0] {
        let gap: Option<i64> = sqlx::query_scalar(
            "SELECT candidate FROM (SELECT ? AS candidate
               UNION ALL SELECT list_index + 1 FROM issuances WHERE list = ? AND list_index >= ?)
             WHERE candidate < ?
               AND NOT EXISTS (SELECT 1 FROM issuances WHERE list = ? AND list_index = candidate) LIMIT 1",
        )
        .bind(from)
        .bind(list)
        .bind(from)
        .bind(i64::from(size))
        .bind(list)
        .fetch_optional(&mut **transaction)
        .await?;
        if let Some(gap) = gap {
            return Ok(gap);
        }
    }
    Err(RecordsError::ListFull(list.to_owned()))
}

async fn insert_issuance(
    transaction: &mut Transaction<'static, Sqlite>,
    offer_id: &str,
    row: &IssuanceRow,
) -> Result<(), RecordsError> {
    sqlx::query(
        "INSERT INTO issuances
         (id, offer_id, credential_type, subject, holder, list, list_index, issued_s, expires_s, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'valid')",
    )
    .bind(&row.id)
    .bind(offer_id)
    .bind(&row.credential_type)
    .bind(&row.subject)
    .bind(&row.holder)
    .bind(&row.list)
    .bind(row.list_index)
    .bind(row.issued_s)
    .bind(row.expires_s)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Adds a line to the log of what was done. Never a claim, a key or a token.
async fn log(
    transaction: &mut Transaction<'static, Sqlite>,
    now_s: i64,
    event: &str,
    subject: &str,
) -> Result<(), RecordsError> {
    sqlx::query("INSERT INTO audit (time_s, event, subject) VALUES (?, ?, ?)")
        .bind(now_s)
        .bind(event)
        .bind(subject)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn offer_row(row: &SqliteRow) -> Result<OfferRow, RecordsError> {
    Ok(OfferRow {
        id: row.try_get("id")?,
        configuration: row.try_get("configuration")?,
        subject: row.try_get("subject")?,
        session: row.try_get("session")?,
        expires_s: row.try_get("expires_s")?,
    })
}

fn issuance_row(row: &SqliteRow) -> Result<IssuanceRow, RecordsError> {
    Ok(IssuanceRow {
        id: row.try_get("id")?,
        credential_type: row.try_get("credential_type")?,
        subject: row.try_get("subject")?,
        holder: row.try_get("holder")?,
        list: row.try_get("list")?,
        list_index: row.try_get("list_index")?,
        issued_s: row.try_get("issued_s")?,
        expires_s: row.try_get("expires_s")?,
        state: row.try_get("state")?,
        revocation: row.try_get("revocation")?,
    })
}

#[cfg(test)]
mod tests;
