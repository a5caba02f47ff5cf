//! What the issuer keeps, in SQLite: offers, tokens, nonces, issuances, and a log of who did what.
//!
//! Every step that spends something once (a code, a token, a nonce, a status index) is one statement that succeeds at most once, so that two
//! requests at the same moment cannot both win. Secrets are kept as SHA-256.

use aval_codec::{Hash, sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use std::path::Path;
use std::time::Duration;

/// A failure of the database: never the fault of a client.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file could not be opened or a statement failed.
    #[error("the issuer's records could not be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// The file has tables of another version.
    #[error("the issuer's records are of another version: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Every index of the status list is taken.
    #[error("the status list {0} has no free index; create another registry")]
    ListFull(String),
}

/// An offer as it is stored.
#[derive(Debug, Clone)]
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

/// A credential that was issued.
#[derive(Debug, Clone)]
pub struct IssuanceRow {
    /// The identifier of the issuance; also the credential's `id`, as `urn:uuid:`.
    pub id: String,
    /// The credential type.
    pub credential_type: String,
    /// Claims of the subject, as JSON.
    pub subject: String,
    /// The RFC 7638 thumbprint of the holder's key.
    pub holder: String,
    /// The status list and the index in it.
    pub list: String,
    /// See `list`.
    pub list_index: i64,
    /// Unix seconds.
    pub issued_s: i64,
    /// Unix seconds.
    pub expires_s: i64,
    /// `valid`, `revoking` (the ledger was asked) or `revoked` (final on the ledger).
    pub state: String,
    /// The ledger transaction that revoked it.
    pub revocation: Option<String>,
}

/// The issuer's database.
#[derive(Debug, Clone)]
pub struct Records {
    pool: SqlitePool,
}

fn secret_hash(secret: &str) -> String {
    let hash: Hash = sha256(secret.as_bytes());
    hash.to_string()
}

impl Records {
    /// Opens or creates the file and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, RecordsError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    /// Stores a new offer under the hash of its pre-authorized code.
    pub async fn insert_offer(&self, offer: &OfferRow, code: &str, now_s: i64) -> Result<(), RecordsError> {
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
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The offer that a pre-authorized code redeems.
    pub async fn offer_by_code(&self, code: &str) -> Result<Option<OfferRow>, RecordsError> {
        self.offer("SELECT * FROM offers WHERE code_hash = ?", &secret_hash(code)).await
    }

    /// The offer with this identifier.
    pub async fn offer_by_id(&self, id: &str) -> Result<Option<OfferRow>, RecordsError> {
        self.offer("SELECT * FROM offers WHERE id = ?", id).await
    }

    async fn offer(&self, statement: &'static str, key: &str) -> Result<Option<OfferRow>, RecordsError> {
        let row = sqlx::query(statement).bind(key).fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(OfferRow {
                id: row.try_get("id")?,
                configuration: row.try_get("configuration")?,
                subject: row.try_get("subject")?,
                session: row.try_get("session")?,
                expires_s: row.try_get("expires_s")?,
            })
        })
        .transpose()
    }

    /// Replaces an offer's session if it still is what the caller read; false when another request was faster.
    pub async fn advance_session(&self, id: &str, before: &str, after: &str) -> Result<bool, RecordsError> {
        let done = sqlx::query("UPDATE offers SET session = ? WHERE id = ? AND session = ?")
            .bind(after)
            .bind(id)
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stores an access token.
    pub async fn insert_token(&self, token: &str, offer: &str, expires_s: i64) -> Result<(), RecordsError> {
        sqlx::query("INSERT INTO access_tokens (token_hash, offer_id, expires_s) VALUES (?, ?, ?)")
            .bind(secret_hash(token))
            .bind(offer)
            .bind(expires_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The offer that an unused, unexpired access token stands for.
    pub async fn offer_by_token(&self, token: &str, now_s: i64) -> Result<Option<OfferRow>, RecordsError> {
        let id: Option<String> = sqlx::query_scalar(
            "SELECT offer_id FROM access_tokens WHERE token_hash = ? AND used = 0 AND expires_s > ?",
        )
        .bind(secret_hash(token))
        .bind(now_s)
        .fetch_optional(&self.pool)
        .await?;
        match id {
            Some(id) => self.offer_by_id(&id).await,
            None => Ok(None),
        }
    }

    /// Spends an access token; false when it was spent before.
    pub async fn spend_token(&self, token: &str) -> Result<bool, RecordsError> {
        let done = sqlx::query("UPDATE access_tokens SET used = 1 WHERE token_hash = ? AND used = 0")
            .bind(secret_hash(token))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stores a nonce and forgets those that have expired.
    pub async fn insert_nonce(&self, nonce: &str, now_s: i64, expires_s: i64) -> Result<(), RecordsError> {
        sqlx::query("DELETE FROM nonces WHERE expires_s <= ?").bind(now_s).execute(&self.pool).await?;
        sqlx::query("INSERT INTO nonces (nonce_hash, expires_s) VALUES (?, ?)")
            .bind(secret_hash(nonce))
            .bind(expires_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Spends a nonce; false when it is unknown, expired or was spent before.
    pub async fn spend_nonce(&self, nonce: &str, now_s: i64) -> Result<bool, RecordsError> {
        let done = sqlx::query("DELETE FROM nonces WHERE nonce_hash = ? AND expires_s > ?")
            .bind(secret_hash(nonce))
            .bind(now_s)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a status index, drawn by `draw` from `0..size`, for a new issuance and stores it.
    ///
    /// Indices are drawn at random, so that a status list says nothing about the order of issuance.
    pub async fn insert_issuance(
        &self,
        offer: &str,
        row: &IssuanceRow,
        size: u64,
        mut draw: impl FnMut(u64) -> u64 + Send,
    ) -> Result<IssuanceRow, RecordsError> {
        const ATTEMPTS: usize = 64;
        for _ in 0..ATTEMPTS {
            let index = i64::try_from(draw(size)).unwrap_or(i64::MAX);
            let done = sqlx::query(
                "INSERT INTO issuances
                 (id, offer_id, credential_type, subject, holder, list, list_index, issued_s, expires_s, state)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'valid') ON CONFLICT (list, list_index) DO NOTHING",
            )
            .bind(&row.id)
            .bind(offer)
            .bind(&row.credential_type)
            .bind(&row.subject)
            .bind(&row.holder)
            .bind(&row.list)
            .bind(index)
            .bind(row.issued_s)
            .bind(row.expires_s)
            .execute(&self.pool)
            .await?;
            if done.rows_affected() == 1 {
                return Ok(IssuanceRow { list_index: index, ..row.clone() });
            }
        }
        Err(RecordsError::ListFull(row.list.clone()))
    }

    /// One issuance.
    pub async fn issuance(&self, id: &str) -> Result<Option<IssuanceRow>, RecordsError> {
        let row = sqlx::query("SELECT * FROM issuances WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
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

    /// The issuances in one state.
    pub async fn issuances_in_state(&self, state: &str) -> Result<Vec<IssuanceRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM issuances WHERE state = ? ORDER BY id")
            .bind(state)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(issuance_row).collect()
    }

    /// Notes that a revocation was asked for or became final.
    pub async fn set_state(&self, id: &str, state: &str, transaction: Option<&str>) -> Result<(), RecordsError> {
        sqlx::query("UPDATE issuances SET state = ?, revocation = coalesce(?, revocation) WHERE id = ?")
            .bind(state)
            .bind(transaction)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Adds a line to the log of what was done. Never a claim, a key or a token.
    pub async fn log(&self, now_s: i64, event: &str, subject: &str) -> Result<(), RecordsError> {
        sqlx::query("INSERT INTO audit (time_s, event, subject) VALUES (?, ?, ?)")
            .bind(now_s)
            .bind(event)
            .bind(subject)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn issuance_row(row: &sqlx::sqlite::SqliteRow) -> Result<IssuanceRow, RecordsError> {
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
