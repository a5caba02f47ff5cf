//! Who may use the back office. Of an operator's token only the hash is kept.

use super::audit::{Entry, log};
use super::{Records, RecordsError, secret_hash};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::fmt;
use std::str::FromStr;

/// What an operator may do. A role has the rights of `viewer` and its own; `admin` has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at records.
    Viewer,
    /// Offers, issues and reissues; keeps subjects.
    Issuer,
    /// Revokes, suspends and lifts suspensions.
    Revoker,
    /// At a verifier: verifies, asks holders for presentations, and learns what came of it.
    Verifier,
    /// Everything, also templates, operators and the audit log.
    Admin,
}

impl Role {
    /// Whether who has this role may do what another role is needed for.
    pub fn allows(self, needed: Self) -> bool {
        self == Self::Admin || needed == Self::Viewer || self == needed
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Issuer => "issuer",
            Self::Revoker => "revoker",
            Self::Verifier => "verifier",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Viewer, Self::Issuer, Self::Revoker, Self::Verifier, Self::Admin]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| format!("{text} is no role: viewer, issuer, revoker, verifier or admin"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// The identifier.
    pub id: String,
    /// The name, as the audit log shows it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Unix seconds.
    pub created_s: i64,
}

impl Records {
    /// Adds an operator with the hash of a token; false if there is one of that name.
    pub async fn add_operator(
        &self,
        operator: &OperatorRow,
        token: &str,
        entry: &Entry<'_>,
    ) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let added = sqlx::query(
            "INSERT INTO operators (id, name, role, token_hash, created_s) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&operator.id)
        .bind(&operator.name)
        .bind(operator.role.name())
        .bind(secret_hash(token))
        .bind(operator.created_s)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() != 1 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The operator with a token. The table is asked for its hash, so that time tells nothing about the token.
    pub async fn operator_by_token(&self, token: &str) -> Result<Option<OperatorRow>, RecordsError> {
        let query = sqlx::query("SELECT * FROM operators WHERE token_hash = $1").bind(secret_hash(token));
        query.fetch_optional(&self.pool).await?.as_ref().map(operator_row).transpose()
    }

    /// All operators by name.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, RecordsError> {
        let rows = sqlx::query("SELECT * FROM operators ORDER BY name").fetch_all(&self.pool).await?;
        rows.iter().map(operator_row).collect()
    }

    /// Removes an operator: their token opens nothing from now on. False if there is none of that name.
    pub async fn remove_operator(&self, name: &str, entry: &Entry<'_>) -> Result<bool, RecordsError> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query("DELETE FROM operators WHERE name = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        log(&mut transaction, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn operator_row(row: &AnyRow) -> Result<OperatorRow, RecordsError> {
    let role: String = row.try_get("role")?;
    Ok(OperatorRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: role.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?,
        created_s: row.try_get("created_s")?,
    })
}
