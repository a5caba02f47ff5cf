//! Questions of relying parties, on whichever instance the next step of each arrives.

use super::{Records, RecordsError};
use sqlx::Row as _;

/// How long the outcome of a question is kept after its end, for the relying party to fetch.
const REST_S: i64 = 86_400;

impl Records {
    /// Stores a new question. Its end is in Unix seconds.
    pub async fn insert_presentation(
        &self,
        id: &str,
        session: &str,
        expires_s: i64,
    ) -> Result<(), RecordsError> {
        sqlx::query("INSERT INTO presentations (id, session, expires_s) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(session)
            .bind(expires_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The question of this name, as JSON.
    pub async fn presentation(&self, id: &str) -> Result<Option<String>, RecordsError> {
        let query = sqlx::query("SELECT session FROM presentations WHERE id = $1").bind(id);
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("session")).transpose()?)
    }

    /// Replaces a question if it still is what the caller read. False when another request was faster.
    pub async fn move_presentation(&self, id: &str, read: &str, session: &str) -> Result<bool, RecordsError> {
        let moved = sqlx::query("UPDATE presentations SET session = $1 WHERE id = $2 AND session = $3")
            .bind(session)
            .bind(id)
            .bind(read)
            .execute(&self.pool)
            .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// How many questions are open.
    pub async fn open_presentations(&self, now_s: i64) -> Result<i64, RecordsError> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM presentations WHERE expires_s > $1").bind(now_s);
        Ok(query.fetch_one(&self.pool).await?)
    }

    /// Removes a question with what came of it. False if there is none.
    pub async fn remove_presentation(&self, id: &str) -> Result<bool, RecordsError> {
        let removed =
            sqlx::query("DELETE FROM presentations WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(removed.rows_affected() == 1)
    }

    /// Forgets questions whose outcome nobody fetched in time, with the claims in it.
    pub async fn forget_presentations(&self, now_s: i64) -> Result<(), RecordsError> {
        sqlx::query("DELETE FROM presentations WHERE expires_s <= $1")
            .bind(now_s.saturating_sub(REST_S))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
