//! Authorizations on their way (pushed request, login, code), and proofs of possession that were used.

use super::audit::{Entry, log};
use super::offers::{insert_token, move_session};
use super::{OfferRow, Records, RecordsError, secret_hash};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::fmt;

/// An authorization as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationRow {
    name_hash: String,
    /// Where it stands, as JSON.
    pub progress: String,
    /// The offer that it was granted for.
    pub offer_id: Option<String>,
    /// How many wrong login codes were entered.
    pub attempts: i64,
}

/// Shows nothing of the request.
impl fmt::Debug for AuthorizationRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AuthorizationRow").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

/// What a granted authorization comes with.
#[derive(Clone, Copy)]
pub struct Granted<'a> {
    /// The authorization afterwards.
    pub progress: &'a str,
    /// The code.
    pub code: &'a str,
    /// Until when it is waited for, Unix seconds.
    pub expires_s: i64,
    /// The offer whose user has come.
    pub offer: &'a str,
    /// What the user said.
    pub login: &'a str,
}

/// What a redeemed code comes with.
#[derive(Clone, Copy)]
pub struct Redeemed<'a> {
    /// The authorization afterwards.
    pub progress: &'a str,
    /// The offer as it was read.
    pub offer: &'a OfferRow,
    /// Its session afterwards.
    pub session: &'a str,
    /// The access token.
    pub token: &'a str,
    /// Its end, Unix seconds.
    pub expires_s: i64,
}

impl Records {
    /// Stores a pushed request under its name.
    pub async fn insert_authorization(
        &self,
        name: &str,
        progress: &str,
        expires_s: i64,
    ) -> Result<(), RecordsError> {
        sqlx::query(
            "INSERT INTO authorizations (name_hash, progress, attempts, expires_s) VALUES ($1, $2, 0, $3)",
        )
        .bind(secret_hash(name))
        .bind(progress)
        .bind(expires_s)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The authorization of a name.
    pub async fn authorization(&self, name: &str) -> Result<Option<AuthorizationRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM authorizations WHERE name_hash = $1").bind(secret_hash(name));
        query.fetch_optional(&self.pool).await?.as_ref().map(authorization_row).transpose()
    }

    /// The authorization of a code.
    pub async fn authorization_by_code(&self, code: &str) -> Result<Option<AuthorizationRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM authorizations WHERE code_hash = $1").bind(secret_hash(code));
        query.fetch_optional(&self.pool).await?.as_ref().map(authorization_row).transpose()
    }

    /// Replaces an authorization, if it still is what the caller read; a wrong login code counts as an attempt. False
    /// when another request was faster.
    pub async fn move_authorization(
        &self,
        row: &AuthorizationRow,
        progress: &str,
        attempts: i64,
    ) -> Result<bool, RecordsError> {
        let done = sqlx::query(
            "UPDATE authorizations SET progress = $1, attempts = $2
             WHERE name_hash = $3 AND progress = $4 AND attempts = $5",
        )
        .bind(progress)
        .bind(attempts)
        .bind(&row.name_hash)
        .bind(&row.progress)
        .bind(row.attempts)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Grants an authorization to the user of an offer, whose login code is spent by it. False when another request was
    /// faster.
    pub async fn grant_authorization(
        &self,
        row: &AuthorizationRow,
        granted: &Granted<'_>,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let moved = sqlx::query(
            "UPDATE authorizations SET progress = $1, code_hash = $2, offer_id = $3, expires_s = $4
             WHERE name_hash = $5 AND progress = $6",
        )
        .bind(granted.progress)
        .bind(secret_hash(granted.code))
        .bind(granted.offer)
        .bind(granted.expires_s)
        .bind(&row.name_hash)
        .bind(&row.progress)
        .execute(&mut *transaction)
        .await?;
        let spent = sqlx::query("UPDATE offers SET login_hash = NULL WHERE id = $1 AND login_hash = $2")
            .bind(granted.offer)
            .bind(secret_hash(granted.login))
            .execute(&mut *transaction)
            .await?;
        if moved.rows_affected() != 1 || spent.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Redeems a code: stores the token that it earned. False when another request was faster.
    pub async fn redeem_authorization(
        &self,
        row: &AuthorizationRow,
        redeemed: &Redeemed<'_>,
        now_s: i64,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        // Kept as long as the token lives, so that a second use of the code is noticed.
        let moved = sqlx::query(
            "UPDATE authorizations SET progress = $1, expires_s = $2 WHERE name_hash = $3 AND progress = $4",
        )
        .bind(redeemed.progress)
        .bind(redeemed.expires_s)
        .bind(&row.name_hash)
        .bind(&row.progress)
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() != 1 {
            return Ok(false);
        }
        if !move_session(&mut transaction, redeemed.offer, redeemed.session).await? {
            return Ok(false);
        }
        insert_token(&mut transaction, redeemed.token, &redeemed.offer.id, redeemed.expires_s).await?;
        log(&mut transaction, &Entry::of_holder("offer.redeemed", &redeemed.offer.id, now_s)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the access tokens of an offer.
    pub async fn end_tokens(&self, offer: &str) -> Result<(), RecordsError> {
        sqlx::query("DELETE FROM access_tokens WHERE offer_id = $1").bind(offer).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that a proof was used; false if it was before.
    pub async fn spend_proof(&self, proof: &str, expires_s: i64) -> Result<bool, RecordsError> {
        let noted = sqlx::query(
            "INSERT INTO used_proofs (proof_hash, expires_s) VALUES ($1, $2) ON CONFLICT (proof_hash) DO NOTHING",
        );
        Ok(noted.bind(proof).bind(expires_s).execute(&self.pool).await?.rows_affected() == 1)
    }

    /// A setting that the first of all instances to ask for it makes.
    pub async fn setting_or(&self, name: &str, made: &str) -> Result<String, RecordsError> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(made)
            .execute(&self.pool)
            .await?;
        Ok(self.setting(name).await?.unwrap_or_else(|| made.to_owned()))
    }
}

fn authorization_row(row: &AnyRow) -> Result<AuthorizationRow, RecordsError> {
    Ok(AuthorizationRow {
        name_hash: row.try_get("name_hash")?,
        progress: row.try_get("progress")?,
        offer_id: row.try_get("offer_id")?,
        attempts: row.try_get("attempts")?,
    })
}
