//! Subjects that the issuer knows, and templates of what it issues.

use super::audit::{Entry, log};
use super::{Records, RecordsError};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::fmt;

/// A subject: whoever credentials are about.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectRow {
    /// The identifier.
    pub id: String,
    /// The issuer's own number for them.
    pub reference: String,
    /// Claims, as JSON.
    pub claims: String,
    /// Unix seconds.
    pub created_s: i64,
    /// Unix seconds.
    pub changed_s: i64,
}

/// Shows no claims, and no number that could be a person's.
impl fmt::Debug for SubjectRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SubjectRow").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A template: what credentials of one kind have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// The identifier, chosen by the issuer: 1 to 32 of a-z, 0-9 and -.
    pub id: String,
    /// The credential type beside `VerifiableCredential`.
    pub credential_type: String,
    /// The name that a wallet shows.
    pub display_name: String,
    /// The format of OpenID4VCI: `vc+sd-jwt`, `dc+sd-jwt`, …
    pub format: String,
    /// How long a credential is valid.
    pub validity_days: i64,
    /// The schema on the ledger that the claims follow.
    pub schema_id: Option<String>,
    /// Whether credentials have entries in all registries, and not in that for revocation alone. The ledger takes
    /// presentations of credentials with one entry.
    pub suspendable: bool,
    /// How its credentials are made and given out, as JSON.
    pub options: String,
    /// Claims that every credential of it has unless the subject says otherwise, as JSON.
    pub claims: String,
    /// Unix seconds.
    pub created_s: i64,
    /// Since when nothing is made of it any more, Unix seconds.
    pub retired_s: Option<i64>,
}

impl Records {
    /// Adds a subject; false if there is one of that reference.
    pub async fn add_subject(&self, subject: &SubjectRow, entry: &Entry<'_>) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO subjects (id, reference, claims, created_s, changed_s) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (reference) DO NOTHING",
        )
        .bind(&subject.id)
        .bind(&subject.reference)
        .bind(&subject.claims)
        .bind(subject.created_s)
        .bind(subject.changed_s)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Replaces a subject's claims; false if there is none of that id.
    pub async fn change_subject(
        &self,
        id: &str,
        claims: &str,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let changed = sqlx::query("UPDATE subjects SET claims = $1, changed_s = $2 WHERE id = $3")
            .bind(claims)
            .bind(entry.time_s)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if changed.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a subject and their claims; what was issued to them stays on record without their number. False if
    /// there is none of that id.
    pub async fn remove_subject(&self, id: &str, entry: &Entry<'_>) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let removed =
            sqlx::query("DELETE FROM subjects WHERE id = $1").bind(id).execute(&mut *transaction).await?;
        if removed.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// One subject.
    pub async fn subject(&self, id: &str) -> Result<Option<SubjectRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM subjects WHERE id = $1").bind(id);
        query.fetch_optional(&self.pool).await?.as_ref().map(subject_row).transpose()
    }

    /// Subjects whose reference begins with a text, by reference, after one.
    pub async fn subjects(
        &self,
        prefix: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SubjectRow>, RecordsError> {
        let rows = sqlx::query(
            "SELECT * FROM subjects WHERE substr(reference, 1, length($1)) = $1 AND reference > $2
             ORDER BY reference LIMIT $3",
        )
        .bind(prefix)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(subject_row).collect()
    }

    /// Adds a template; false if there is one of that id.
    pub async fn add_template(
        &self,
        template: &TemplateRow,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO templates
             (id, credential_type, display_name, format, validity_days, schema_id, claims, created_s, suspendable,
              options)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&template.id)
        .bind(&template.credential_type)
        .bind(&template.display_name)
        .bind(&template.format)
        .bind(template.validity_days)
        .bind(&template.schema_id)
        .bind(&template.claims)
        .bind(template.created_s)
        .bind(i64::from(template.suspendable))
        .bind(&template.options)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Retires a template: nothing is made of it any more. False if there is none in use.
    pub async fn retire_template(&self, id: &str, entry: &Entry<'_>) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let retired = sqlx::query("UPDATE templates SET retired_s = $1 WHERE id = $2 AND retired_s IS NULL")
            .bind(entry.time_s)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        if retired.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// One template.
    pub async fn template(&self, id: &str) -> Result<Option<TemplateRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM templates WHERE id = $1").bind(id);
        query.fetch_optional(&self.pool).await?.as_ref().map(template_row).transpose()
    }

    /// All templates by id.
    pub async fn templates(&self, limit: i64) -> Result<Vec<TemplateRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM templates ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(template_row).collect()
    }
}

fn subject_row(row: &AnyRow) -> Result<SubjectRow, RecordsError> {
    Ok(SubjectRow {
        id: row.try_get("id")?,
        reference: row.try_get("reference")?,
        claims: row.try_get("claims")?,
        created_s: row.try_get("created_s")?,
        changed_s: row.try_get("changed_s")?,
    })
}

fn template_row(row: &AnyRow) -> Result<TemplateRow, RecordsError> {
    Ok(TemplateRow {
        id: row.try_get("id")?,
        credential_type: row.try_get("credential_type")?,
        display_name: row.try_get("display_name")?,
        format: row.try_get("format")?,
        validity_days: row.try_get("validity_days")?,
        schema_id: row.try_get("schema_id")?,
        suspendable: row.try_get::<i64, _>("suspendable")? != 0,
        claims: row.try_get("claims")?,
        options: row.try_get("options")?,
        created_s: row.try_get("created_s")?,
        retired_s: row.try_get("retired_s")?,
    })
}
