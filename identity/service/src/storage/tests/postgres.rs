//! A PostgreSQL server for one test: on a socket in a folder of its own, gone with the test.
//!
//! It refuses to run as root, so a test that does starts it as `nobody`. Without an installed server (Debian package
//! `postgresql`) tests are skipped, and say so.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    databases: AtomicU32,
}

/// The folder with `postgres` and `initdb`.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = debian.map(|entry| entry.path().join("bin")).chain(std::env::split_paths(&path));
    candidates.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

fn id_of(user: &str, kind: &str) -> u32 {
    let output = Command::new("id").args([kind, user]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// A program, as a user that PostgreSQL takes, in a folder of that user.
fn command(program: &Path, folder: &Path) -> Command {
    let mut command = if id_of("root", "-u") == current_user() {
        let (user, group) = (id_of("nobody", "-u"), id_of("nobody", "-g"));
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn current_user() -> u32 {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

impl Server {
    /// Starts a server; `None`, said on standard error, where none is installed.
    pub(crate) fn start(tests: usize) -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: {tests} tests on PostgreSQL, because no server is installed (make setup)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let made = command(&programs.join("initdb"), folder.path())
            .args(["-D", "data", "-U", "aval", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let process = command(&programs.join("postgres"), folder.path())
            .args(["-D", "data", "-c", "listen_addresses=", "-c", "fsync=off"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.path().display()))
            .spawn()
            .unwrap();
        Some(Self { folder, process, databases: AtomicU32::new(0) })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://aval@localhost/{database}?host={}", self.folder.path().display())
    }

    /// The connection string of a new database.
    pub(crate) async fn database(&self) -> String {
        sqlx::any::install_default_drivers();
        let patience = Instant::now() + START_TIMEOUT;
        let pool = loop {
            match sqlx::AnyPool::connect(&self.url("postgres")).await {
                Ok(pool) => break pool,
                Err(error) if Instant::now() > patience => panic!("the server does not start: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::SeqCst));
        let statement = format!("CREATE DATABASE {name}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        pool.close().await;
        self.url(&name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown; SIGKILL would leave its children to find out.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
