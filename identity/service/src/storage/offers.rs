//! Offers, the sessions that redeem them, access tokens and nonces.

use super::audit::{Entry, log};
use super::{Records, RecordsError, secret_hash};
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};
use std::fmt;

/// How long an offer that nobody redeemed is kept after its end, for questions of its holder.
const OFFER_REST_S: i64 = 7 * 86_400;

/// An offer as it is stored.
#[derive(Clone, PartialEq, Eq, Default)]
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
    /// The template that it was made from.
    pub template_id: Option<String>,
    /// The subject among the issuer's own.
    pub subject_id: Option<String>,
    /// The issuance that the offered credential replaces.
    pub replaces: Option<String>,
    /// How it is redeemed.
    pub grant: GrantType,
}

/// How an offer is redeemed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum GrantType {
    /// By the code in it.
    #[default]
    PreAuthorized,
    /// By its user, who comes to the issuer with a browser.
    AuthorizationCode,
}

impl GrantType {
    fn name(self) -> &'static str {
        match self {
            Self::PreAuthorized => "pre-authorized",
            Self::AuthorizationCode => "authorization-code",
        }
    }
}

/// Shows neither claims nor session.
impl fmt::Debug for OfferRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("OfferRow");
        shown.field("id", &self.id).field("expires_s", &self.expires_s).finish_non_exhaustive()
    }
}

impl Records {
    /// Stores a new offer under the hash of its pre-authorized code.
    pub async fn insert_offer(
        &self,
        offer: &OfferRow,
        code: &str,
        entry: &Entry<'_>,
    ) -> Result<(), RecordsError> {
        self.insert_offer_with(offer, code, None, entry).await
    }

    /// Stores a new offer under the hash of its code or issuer state, with what its user will say to be let in.
    pub async fn insert_offer_with(
        &self,
        offer: &OfferRow,
        code: &str,
        login: Option<&str>,
        entry: &Entry<'_>,
    ) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO offers (id, code_hash, configuration, subject, session, created_s, expires_s,
                                 template_id, subject_id, replaces, grant_type, login_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&offer.id)
        .bind(secret_hash(code))
        .bind(&offer.configuration)
        .bind(&offer.subject)
        .bind(&offer.session)
        .bind(entry.time_s)
        .bind(offer.expires_s)
        .bind(&offer.template_id)
        .bind(&offer.subject_id)
        .bind(&offer.replaces)
        .bind(offer.grant.name())
        .bind(login.map(secret_hash))
        .execute(&mut *transaction)
        .await?;
        log(&mut transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    /// The offer of an id.
    pub async fn offer(&self, id: &str) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM offers WHERE id = $1").bind(id);
        query.fetch_optional(&self.pool).await?.as_ref().map(offer_row).transpose()
    }

    /// The offer that waits for the user who says this.
    pub async fn offer_by_login(&self, login: &str) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM offers WHERE login_hash = $1").bind(secret_hash(login));
        query.fetch_optional(&self.pool).await?.as_ref().map(offer_row).transpose()
    }

    /// The offer of a pre-authorized code or an issuer state.
    pub async fn offer_by_code(&self, code: &str) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM offers WHERE code_hash = $1").bind(secret_hash(code));
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
            insert_token(&mut transaction, token, &offer.id, expires_s).await?;
            log(&mut transaction, &Entry::of_holder("offer.redeemed", &offer.id, now_s)).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The offer that an unexpired access token stands for. What may still be asked for with it, the session says.
    pub async fn offer_by_token(&self, token: &str, now_s: i64) -> Result<Option<OfferRow>, RecordsError> {
        let query = sqlx::query(
            "SELECT offers.* FROM offers JOIN access_tokens ON offers.id = access_tokens.offer_id
             WHERE token_hash = $1 AND access_tokens.expires_s > $2",
        );
        let row = query.bind(secret_hash(token)).bind(now_s).fetch_optional(&self.pool).await?;
        row.as_ref().map(offer_row).transpose()
    }

    /// Stores a nonce.
    pub async fn insert_nonce(&self, nonce: &str, expires_s: i64) -> Result<(), RecordsError> {
        sqlx::query("INSERT INTO nonces (nonce_hash, expires_s) VALUES ($1, $2)")
            .bind(secret_hash(nonce))
            .bind(expires_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

pub(super) async fn insert_token(
    transaction: &mut Transaction<'static, Any>,
    token: &str,
    offer: &str,
    expires_s: i64,
) -> Result<(), RecordsError> {
    sqlx::query("INSERT INTO access_tokens (token_hash, offer_id, expires_s) VALUES ($1, $2, $3)")
        .bind(secret_hash(token))
        .bind(offer)
        .bind(expires_s)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Replaces an offer's session if it still is what the caller read.
pub(super) async fn move_session(
    transaction: &mut Transaction<'static, Any>,
    offer: &OfferRow,
    session: &str,
) -> Result<bool, RecordsError> {
    let done = sqlx::query("UPDATE offers SET session = $1 WHERE id = $2 AND session = $3")
        .bind(session)
        .bind(&offer.id)
        .bind(&offer.session)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Spends a nonce; false if it is unknown, expired or was spent before.
pub(super) async fn spend_nonce(
    transaction: &mut Transaction<'static, Any>,
    nonce: &str,
    now_s: i64,
) -> Result<bool, RecordsError> {
    let spent = sqlx::query("DELETE FROM nonces WHERE nonce_hash = $1 AND expires_s > $2")
        .bind(secret_hash(nonce))
        .bind(now_s)
        .execute(&mut **transaction)
        .await?;
    Ok(spent.rows_affected() == 1)
}

/// Empties an offer: its claims are in the issuance from now on.
pub(super) async fn empty(transaction: &mut Transaction<'static, Any>, id: &str) -> Result<(), RecordsError> {
    sqlx::query("UPDATE offers SET subject = '{}' WHERE id = $1")
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn forget(
    transaction: &mut Transaction<'static, Any>,
    now_s: i64,
) -> Result<(), RecordsError> {
    sqlx::query(
        "DELETE FROM offers WHERE expires_s <= $1
         AND NOT EXISTS (SELECT 1 FROM issuances WHERE issuances.offer_id = offers.id)",
    )
    .bind(now_s.saturating_sub(OFFER_REST_S))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn offer_row(row: &AnyRow) -> Result<OfferRow, RecordsError> {
    Ok(OfferRow {
        id: row.try_get("id")?,
        configuration: row.try_get("configuration")?,
        subject: row.try_get("subject")?,
        session: row.try_get("session")?,
        expires_s: row.try_get("expires_s")?,
        template_id: row.try_get("template_id")?,
        subject_id: row.try_get("subject_id")?,
        replaces: row.try_get("replaces")?,
        grant: match row.try_get::<String, _>("grant_type")?.as_str() {
            "authorization-code" => GrantType::AuthorizationCode,
            _ => GrantType::PreAuthorized,
        },
    })
}
