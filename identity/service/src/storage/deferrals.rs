//! Credentials that come later, and what wallets say became of theirs.

use super::audit::{Entry, log};
use super::offers::{move_session, spend_nonce};
use super::{Issued, OfferRow, Records, RecordsError, secret_hash};
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

/// A credential that waits for an operator's approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferralRow {
    /// The identifier, for operators.
    pub id: String,
    /// The offer that it is issued under.
    pub offer_id: String,
    /// The keys that the wallet has shown, as JSON.
    pub holders: String,
    /// `waiting`, `approved`, `refused` or `issued`.
    pub state: String,
    /// Unix seconds.
    pub created_s: i64,
}

/// What defers a credential.
#[derive(Clone, Copy)]
pub struct Deferring<'a> {
    /// The offer as it was read.
    pub offer: &'a OfferRow,
    /// Its session afterwards.
    pub session: &'a str,
    /// The nonce of the proof.
    pub nonce: &'a str,
    /// The name that the wallet gets.
    pub transaction_id: &'a str,
    /// Until when the wallet's access token is good for asking, Unix seconds.
    pub token_until_s: i64,
    /// Now, Unix seconds.
    pub now_s: i64,
}

impl Records {
    /// Defers the credential of an offer. It spends what issuing would.
    pub async fn defer(
        &self,
        deferring: &Deferring<'_>,
        row: &DeferralRow,
    ) -> Result<Issued<()>, RecordsError> {
        let mut transaction = self.begin().await?;
        if !spend_nonce(&mut transaction, deferring.nonce, deferring.now_s).await? {
            return Ok(Issued::NonceSpent);
        }
        if !move_session(&mut transaction, deferring.offer, deferring.session).await? {
            return Ok(Issued::SessionMoved);
        }
        sqlx::query(
            "INSERT INTO deferrals (id, transaction_hash, offer_id, holders, state, created_s)
             VALUES ($1, $2, $3, $4, 'waiting', $5)",
        )
        .bind(&row.id)
        .bind(secret_hash(deferring.transaction_id))
        .bind(&row.offer_id)
        .bind(&row.holders)
        .bind(row.created_s)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE access_tokens SET expires_s = $1 WHERE offer_id = $2 AND expires_s > $3")
            .bind(deferring.token_until_s)
            .bind(&row.offer_id)
            .bind(deferring.now_s)
            .execute(&mut *transaction)
            .await?;
        log(&mut transaction, &Entry::of_holder("credential.deferred", &row.id, deferring.now_s)).await?;
        transaction.commit().await?;
        Ok(Issued::Done(()))
    }

    /// The deferral of a name.
    pub async fn deferral(&self, transaction_id: &str) -> Result<Option<DeferralRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM deferrals WHERE transaction_hash = $1");
        let row = query.bind(secret_hash(transaction_id)).fetch_optional(&self.pool).await?;
        row.as_ref().map(deferral_row).transpose()
    }

    /// Deferrals in a state, the oldest first.
    pub async fn deferrals(&self, state: &str, limit: i64) -> Result<Vec<DeferralRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM deferrals WHERE state = $1 ORDER BY created_s, id LIMIT $2");
        let rows = query.bind(state).bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(deferral_row).collect()
    }

    /// Decides on a deferral that waits; false if there is none of that id.
    pub async fn decide_deferral(
        &self,
        id: &str,
        state: &'static str,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let decided = sqlx::query("UPDATE deferrals SET state = $1 WHERE id = $2 AND state = 'waiting'")
            .bind(state)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if decided.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes what a wallet said of what it got under an offer; false if it was given no such name.
    pub async fn note_delivery(
        &self,
        offer: &str,
        notification_id: &str,
        event: &'static str,
        now_s: i64,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let query =
            sqlx::query_scalar("SELECT issuance_id FROM notifications WHERE id_hash = $1 AND offer_id = $2");
        let query = query.bind(secret_hash(notification_id)).bind(offer);
        let Some(issuance): Option<String> = query.fetch_optional(&mut *transaction).await? else {
            return Ok(false);
        };
        sqlx::query("UPDATE issuances SET delivery = $1 WHERE id = $2 OR batch_of = $2")
            .bind(event)
            .bind(&issuance)
            .execute(&mut *transaction)
            .await?;
        let entry = Entry { detail: event, ..Entry::of_holder("credential.notification", &issuance, now_s) };
        log(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Spends the approval of a deferral; false if it is not approved or was used.
pub(super) async fn spend_approval(
    transaction: &mut Transaction<'static, Any>,
    transaction_id: &str,
) -> Result<bool, RecordsError> {
    let spent = sqlx::query(
        "UPDATE deferrals SET state = 'issued' WHERE transaction_hash = $1 AND state = 'approved'",
    );
    Ok(spent.bind(secret_hash(transaction_id)).execute(&mut **transaction).await?.rows_affected() == 1)
}

/// Stores the name under which a wallet may say what became of an issuance.
pub(super) async fn expect_notification(
    transaction: &mut Transaction<'static, Any>,
    notification_id: &str,
    offer: &str,
    issuance: &str,
) -> Result<(), RecordsError> {
    sqlx::query("INSERT INTO notifications (id_hash, offer_id, issuance_id) VALUES ($1, $2, $3)")
        .bind(secret_hash(notification_id))
        .bind(offer)
        .bind(issuance)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn deferral_row(row: &AnyRow) -> Result<DeferralRow, RecordsError> {
    Ok(DeferralRow {
        id: row.try_get("id")?,
        offer_id: row.try_get("offer_id")?,
        holders: row.try_get("holders")?,
        state: row.try_get("state")?,
        created_s: row.try_get("created_s")?,
    })
}
