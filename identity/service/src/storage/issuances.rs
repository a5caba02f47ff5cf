//! What was issued: the step that spends what may be spent once, and the records of it.

use super::audit::{Entry, log};
use super::deferrals;
use super::offers::{self, OfferRow, move_session, spend_nonce};
use super::status::{self, StatusRow};
use super::{Records, RecordsError};
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};
use std::fmt;

/// A credential that was issued.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct IssuanceRow {
    /// The identifier of the issuance; also the credential's `id`, as `urn:uuid:`, unless a client gave another.
    pub id: String,
    /// The template that it was made from.
    pub template_id: Option<String>,
    /// The subject among the issuer's own.
    pub subject_id: Option<String>,
    /// The issuance that it replaces.
    pub replaces: Option<String>,
    /// The credential's own `id`.
    pub credential_id: String,
    /// The credential type.
    pub credential_type: String,
    /// The format: as OpenID4VCI names it, or `ldp_vc`.
    pub format: String,
    /// Claims of the subject, as JSON.
    pub subject: String,
    /// The RFC 7638 thumbprint of the holder's key; empty without holder binding.
    pub holder: String,
    /// The DID URL of the key that signed it.
    pub key_id: String,
    /// Unix seconds.
    pub issued_s: i64,
    /// Unix seconds.
    pub expires_s: i64,
    /// `valid`; `revoking`, `suspending` or `resuming` while the ledger is asked; `revoked` or `suspended` when that is
    /// final there.
    pub state: String,
    /// The first of those that were issued by the same request.
    pub batch_of: Option<String>,
    /// What the wallet said of it: `credential_accepted`, `credential_failure` or `credential_deleted`.
    pub delivery: Option<String>,
    /// Its entries in status lists.
    pub status: Vec<StatusRow>,
}

impl IssuanceRow {
    /// The entry for a purpose.
    pub fn entry(&self, purpose: &str) -> Option<&StatusRow> {
        self.status.iter().find(|entry| entry.purpose == purpose)
    }
}

/// Shows no claims.
impl fmt::Debug for IssuanceRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("IssuanceRow");
        shown.field("id", &self.id).field("state", &self.state).field("status", &self.status);
        shown.finish_non_exhaustive()
    }
}

/// A status list in which a new issuance takes an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// `revocation`, `suspension`, `refresh` or `message`.
    pub purpose: String,
    /// The URI of the list.
    pub list: String,
    /// Its number of indices.
    pub size: u32,
}

/// What issuing under an offer spends.
pub struct Spending<'a> {
    /// The offer as it was read.
    pub offer: &'a OfferRow,
    /// The offer's session afterwards.
    pub session: &'a str,
    /// What besides.
    pub spent: Spent<'a>,
    /// The name under which the wallet may say what became of it.
    pub notification_id: &'a str,
    /// Now, Unix seconds.
    pub now_s: i64,
}

/// What issuing spends beside the offer.
#[derive(Clone, Copy)]
pub enum Spent<'a> {
    /// The nonce of the proofs.
    Nonce(&'a str),
    /// The approval of what was deferred, by the name that the wallet has for it.
    Approval(&'a str),
}

/// How issuing ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Issued<T> {
    /// With a credential.
    Done(T),
    /// The nonce is unknown, expired or was spent before. Nothing else was spent.
    NonceSpent,
    /// Another request was faster with the same offer. Nothing else was spent.
    SessionMoved,
}

/// Which issuances are asked for. An empty text matches all.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The state.
    pub state: String,
    /// The credential type.
    pub credential_type: String,
    /// The template.
    pub template: String,
    /// The subject's id.
    pub subject: String,
    /// The thumbprint of the holder's key.
    pub holder: String,
    /// Issued at or after, Unix seconds.
    pub from_s: i64,
    /// Issued before, Unix seconds; 0 for no bound.
    pub until_s: i64,
    /// Only what comes after this one in the order: its time and id.
    pub after: Option<(i64, String)>,
}

impl Records {
    /// Issues under an offer, one credential for each key: spends the offer and the nonce or approval, takes a status
    /// index in each slot for each issuance, and has the credentials made; all of it or nothing. Indices are drawn at
    /// random by `draw` from `0..size`, so that a status list says nothing about the order of issuance. `make` must not
    /// wait: rows are locked meanwhile.
    pub async fn issue<T>(
        &self,
        spending: &Spending<'_>,
        wanted: &[IssuanceRow],
        slots: &[Slot],
        mut draw: impl FnMut(u32) -> u32 + Send,
        mut make: impl FnMut(&IssuanceRow) -> Result<T, String> + Send,
    ) -> Result<Issued<Vec<T>>, RecordsError> {
        let mut transaction = self.begin().await?;
        let fresh = match spending.spent {
            Spent::Nonce(nonce) => spend_nonce(&mut transaction, nonce, spending.now_s).await?,
            Spent::Approval(name) => deferrals::spend_approval(&mut transaction, name).await?,
        };
        if !fresh {
            return Ok(Issued::NonceSpent);
        }
        if !move_session(&mut transaction, spending.offer, spending.session).await? {
            return Ok(Issued::SessionMoved);
        }
        let mut rows = Vec::new();
        for wanted in wanted {
            // An offer has one issuance; those for further keys name it as theirs.
            let offer = wanted.batch_of.is_none().then_some(spending.offer.id.as_str());
            let row = record(&mut transaction, offer, wanted, slots, &mut draw).await?;
            log(&mut transaction, &Entry::of_holder("credential.issued", &row.id, spending.now_s)).await?;
            rows.push(row);
        }
        if let Some(first) = rows.first() {
            let (name, offer) = (spending.notification_id, &spending.offer.id);
            deferrals::expect_notification(&mut transaction, name, offer, &first.id).await?;
        }
        offers::empty(&mut transaction, &spending.offer.id).await?;
        let made = rows.iter().map(&mut make).collect::<Result<_, _>>().map_err(RecordsError::NotMade)?;
        transaction.commit().await?;
        Ok(Issued::Done(made))
    }

    /// Issues without an offer, for an operator: takes the indices and has the credential made, or neither.
    pub async fn issue_directly<T>(
        &self,
        wanted: &IssuanceRow,
        slots: &[Slot],
        draw: impl FnMut(u32) -> u32 + Send,
        make: impl FnOnce(&IssuanceRow) -> Result<T, String> + Send,
        entry: &Entry<'_>,
    ) -> Result<T, RecordsError> {
        let mut transaction = self.begin().await?;
        let row = record(&mut transaction, None, wanted, slots, draw).await?;
        log(&mut transaction, entry).await?;
        let made = make(&row).map_err(RecordsError::NotMade)?;
        transaction.commit().await?;
        Ok(made)
    }

    /// One issuance.
    pub async fn issuance(&self, id: &str) -> Result<Option<IssuanceRow>, RecordsError> {
        let row =
            sqlx::query("SELECT * FROM issuances WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let mut issuance = issuance_row(&row)?;
        issuance.status = self.status_of(id).await?;
        Ok(Some(issuance))
    }

    /// The newest issuance of a credential's own `id`.
    pub async fn issuance_of(&self, credential_id: &str) -> Result<Option<String>, RecordsError> {
        let query = sqlx::query_scalar(
            "SELECT id FROM issuances WHERE credential_id = $1 ORDER BY issued_s DESC, id LIMIT 1",
        );
        Ok(query.bind(credential_id).fetch_optional(&self.pool).await?)
    }

    /// Issuances that a search finds, the newest first, at most `limit`.
    pub async fn issuances(&self, search: &Search, limit: i64) -> Result<Vec<IssuanceRow>, RecordsError> {
        let (after_s, after_id) = search.after.clone().unwrap_or((i64::MAX, String::new()));
        let until_s = if search.until_s == 0 { i64::MAX } else { search.until_s };
        let rows = sqlx::query(
            "SELECT * FROM issuances
             WHERE ($1 = '' OR state = $1) AND ($2 = '' OR credential_type = $2)
               AND ($3 = '' OR template_id = $3) AND ($4 = '' OR subject_id = $4) AND ($5 = '' OR holder = $5)
               AND issued_s >= $6 AND issued_s < $7 AND (issued_s < $8 OR (issued_s = $8 AND id > $9))
             ORDER BY issued_s DESC, id LIMIT $10",
        )
        .bind(&search.state)
        .bind(&search.credential_type)
        .bind(&search.template)
        .bind(&search.subject)
        .bind(&search.holder)
        .bind(search.from_s)
        .bind(until_s)
        .bind(after_s)
        .bind(after_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let mut issuances = rows.iter().map(issuance_row).collect::<Result<Vec<_>, _>>()?;
        for issuance in &mut issuances {
            issuance.status = self.status_of(&issuance.id).await?;
        }
        Ok(issuances)
    }
}

/// Writes a new issuance with an index in each slot.
async fn record(
    transaction: &mut Transaction<'static, Any>,
    offer_id: Option<&str>,
    wanted: &IssuanceRow,
    slots: &[Slot],
    mut draw: impl FnMut(u32) -> u32 + Send,
) -> Result<IssuanceRow, RecordsError> {
    sqlx::query(
        "INSERT INTO issuances
         (id, offer_id, template_id, subject_id, replaces, credential_id, credential_type, format, subject, holder,
          key_id, issued_s, expires_s, batch_of, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'valid')",
    )
    .bind(&wanted.id)
    .bind(offer_id)
    .bind(&wanted.template_id)
    .bind(&wanted.subject_id)
    .bind(&wanted.replaces)
    .bind(&wanted.credential_id)
    .bind(&wanted.credential_type)
    .bind(&wanted.format)
    .bind(&wanted.subject)
    .bind(&wanted.holder)
    .bind(&wanted.key_id)
    .bind(wanted.issued_s)
    .bind(wanted.expires_s)
    .bind(&wanted.batch_of)
    .execute(&mut **transaction)
    .await?;
    let mut row = wanted.clone();
    for slot in slots {
        row.status.push(status::take_index(transaction, &row.id, slot, &mut draw).await?);
    }
    Ok(row)
}

fn issuance_row(row: &AnyRow) -> Result<IssuanceRow, RecordsError> {
    Ok(IssuanceRow {
        id: row.try_get("id")?,
        template_id: row.try_get("template_id")?,
        subject_id: row.try_get("subject_id")?,
        replaces: row.try_get("replaces")?,
        credential_id: row.try_get("credential_id")?,
        credential_type: row.try_get("credential_type")?,
        format: row.try_get("format")?,
        subject: row.try_get("subject")?,
        holder: row.try_get("holder")?,
        key_id: row.try_get("key_id")?,
        issued_s: row.try_get("issued_s")?,
        expires_s: row.try_get("expires_s")?,
        state: row.try_get("state")?,
        batch_of: row.try_get("batch_of")?,
        delivery: row.try_get("delivery")?,
        status: Vec::new(),
    })
}
