//! What all instances agree on.

use super::audit::{Entry, log};
use super::{Records, RecordsError};

impl Records {
    /// A setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, RecordsError> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(name);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    /// Changes a setting for every instance.
    pub async fn set(&self, name: &str, value: &str, entry: &Entry<'_>) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
        )
        .bind(name)
        .bind(value)
        .execute(&mut *transaction)
        .await?;
        log(&mut transaction, entry).await?;
        Ok(transaction.commit().await?)
    }
}
