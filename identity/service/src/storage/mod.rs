//! What an issuer keeps, in SQLite or in PostgreSQL: offers, tokens, nonces, issuances, templates, subjects, operators,
//! and a log of what was done.
//!
//! What may happen once (a code, a nonce, an offer's credential, a status index) is decided by the rows that a
//! statement changed: of two requests at the same moment exactly one wins, on whichever instance they arrive, and a
//! step that is interrupted has not happened. In SQLite a transaction holds the write lock from its first statement;
//! in PostgreSQL each deciding statement waits for the row that it wants to change and looks again (`READ COMMITTED`).
//! The same statements serve both, with `$n` for values, `BIGINT` or `INTEGER` for numbers and `TEXT` for the rest.
//! Secrets are kept as SHA-256. No `Debug` here shows a claim.

mod audit;
mod authorizations;
mod deferrals;
mod issuances;
mod offers;
mod operators;
mod people;
mod presentations;
mod settings;
mod status;
#[cfg(test)]
pub(crate) mod tests;

pub use audit::{AuditRow, Entry};
pub use authorizations::{AuthorizationRow, Granted, Redeemed};
pub use deferrals::{DeferralRow, Deferring};
pub use issuances::{IssuanceRow, Issued, Search, Slot, Spending, Spent};
pub use offers::{GrantType, OfferRow};
pub use operators::{OperatorRow, Role};
pub use people::{SubjectRow, TemplateRow};
pub use status::StatusRow;

use crate::fault::Fault;
use aval_codec::sha256;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

/// Connections of one instance: SQLite has one writer anyway, PostgreSQL shares its places among instances.
const CONNECTIONS_MAX: u32 = 8;
/// How long a request waits for a connection before the database counts as overloaded.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A failure of the database: never the fault of a client.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A statement failed.
    #[error("the issuer's records could not be read or written: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the issuer's records are of another version than this program: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Every index of the status list is taken.
    #[error("the status list {0} has no free index; configure another registry")]
    ListFull(String),
    /// The credential could not be made; nothing was spent.
    #[error("the credential could not be made: {0}")]
    NotMade(String),
}

/// The issuer's database. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    pool: AnyPool,
    /// How a transaction that changes something begins.
    begin: &'static str,
}

/// Shows no address: it may hold a password.
impl fmt::Debug for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Records").finish_non_exhaustive()
    }
}

fn secret_hash(secret: &str) -> String {
    sha256(secret.as_bytes()).to_string()
}

/// Whether a connection string is one of PostgreSQL, which is what a service takes.
pub fn is_postgres_url(text: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Settings of a SQLite connection: durable at every commit, and without remains of what was deleted.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON; PRAGMA busy_timeout = 5000;";

impl Records {
    /// Opens or creates a SQLite file and brings its tables up to date. Only its owner may read it: it holds claims.
    pub async fn open(path: &Path) -> Result<Self, Fault> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Fault::of_file(path, &error, "make the home folder first"));
            }
            _ => {}
        }
        let unusable = |error: RecordsError| Fault::failed(format!("{}: {error}", path.display()));
        let options =
            AnyConnectOptions::from_str(&sqlite_url(path)).map_err(|error| unusable(error.into()))?;
        // The pool would try again and again what a file that is no database cannot do.
        sqlx::any::install_default_drivers();
        let opened = async {
            let mut connection = AnyConnection::connect_with(&options).await?;
            connection.execute(PRAGMAS).await?;
            connection.close().await
        };
        opened.await.map_err(|error| unusable(error.into()))?;
        let pool = pool().after_connect(|connection, _| {
            Box::pin(async move { connection.execute(PRAGMAS).await.map(|_| ()) })
        });
        let pool = pool.connect_with(options).await.map_err(|error| unusable(error.into()))?;
        let migrations = sqlx::migrate!("./migrations/sqlite");
        migrations.run(&pool).await.map_err(|error| unusable(error.into()))?;
        Ok(Self { pool, begin: "BEGIN IMMEDIATE" })
    }

    /// Connects to a PostgreSQL database by its connection string and brings its tables up to date. Several instances
    /// may do that at the same time.
    pub async fn connect(url: &str) -> Result<Self, Fault> {
        // What the driver says of a string that it cannot read could quote a password.
        let unreadable = |_| Fault::failed("the database's connection string cannot be read");
        if !is_postgres_url(url) {
            return Err(Fault::failed("the database's connection string does not begin with postgres://"));
        }
        let options = AnyConnectOptions::from_str(url).map_err(unreadable)?;
        let unusable = |error: sqlx::Error| match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Fault::try_later(format!(
                "the PostgreSQL database cannot be reached ({error}): is it started?"
            )),
            _ => Fault::failed(format!("the PostgreSQL database cannot be used: {error}")),
        };
        let pool = pool().connect_with(options).await.map_err(unusable)?;
        let migrations = sqlx::migrate!("./migrations/postgres");
        migrations.run(&pool).await.map_err(|error| Fault::failed(RecordsError::from(error).to_string()))?;
        Ok(Self { pool, begin: "BEGIN" })
    }

    /// Connects to the PostgreSQL database of a configuration, or opens the SQLite file where it names none.
    pub async fn open_any(database: Option<&str>, file: &Path) -> Result<Self, Fault> {
        match database {
            Some(url) => Self::connect(url).await,
            None => Self::open(file).await,
        }
    }

    /// Writes everything down and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), RecordsError> {
        Ok(self.pool.acquire().await?.ping().await?)
    }

    /// A transaction in which what was read cannot change unnoticed before it is written.
    async fn begin(&self) -> Result<Transaction<'static, Any>, RecordsError> {
        Ok(self.pool.begin_with(self.begin).await?)
    }

    /// Forgets what has expired: nonces, tokens, and some time later the offers that led to nothing, with their claims.
    pub async fn forget_expired(&self, now_s: i64) -> Result<(), RecordsError> {
        let mut transaction = self.begin().await?;
        for statement in [
            "DELETE FROM nonces WHERE expires_s <= $1",
            "DELETE FROM access_tokens WHERE expires_s <= $1",
            "DELETE FROM leases WHERE expires_s <= $1",
            "DELETE FROM authorizations WHERE expires_s <= $1",
            "DELETE FROM used_proofs WHERE expires_s <= $1",
        ] {
            sqlx::query(statement).bind(now_s).execute(&mut *transaction).await?;
        }
        offers::forget(&mut transaction, now_s).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes or keeps the lease of a name until a time, Unix seconds; false while another instance holds it.
    pub async fn lease(
        &self,
        name: &str,
        holder: &str,
        until_s: i64,
        now_s: i64,
    ) -> Result<bool, RecordsError> {
        let taken = sqlx::query(
            "INSERT INTO leases (name, holder, expires_s) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = $2, expires_s = $3
             WHERE leases.expires_s <= $4 OR leases.holder = $2",
        );
        let taken = taken.bind(name).bind(holder).bind(until_s).bind(now_s).execute(&self.pool).await?;
        Ok(taken.rows_affected() == 1)
    }
}

fn pool() -> AnyPoolOptions {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT)
}

/// The URL of a file, with everything escaped that could mean something in a URL.
fn sqlite_url(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut url = "sqlite://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            url.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
