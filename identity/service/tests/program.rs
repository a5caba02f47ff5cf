//! The program `aval-identityd`: what it says and how it exits when something is wrong, and that nothing is touched.

use aval_codec::b64u;
use aval_machine::testkit::Kit;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aval-identityd"));
    command
        .args(arguments)
        .env_remove("AVAL_ISSUER_HOME")
        .env_remove("AVAL_IDENTITYD_LOG")
        .stdin(Stdio::null());
    command.output().expect("the program starts")
}

/// That a command failed with one sentence and this exit code, and printed no data.
#[track_caller]
fn assert_fault(output: &Output, exit_code: i32, words: &str) {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit_code), "{talk}");
    assert!(output.stdout.is_empty(), "stdout is for data");
    assert!(talk.contains(words), "{words} is not in: {talk}");
    assert!(!talk.contains("panicked") && !talk.contains("Caused by"), "{talk}");
    assert_eq!(talk.lines().filter(|line| line.starts_with("aval-identityd: ")).count(), 1, "{talk}");
}

/// A folder with what `init` needs, and free ports.
struct Bench {
    folder: TempDir,
    ports: [u16; 3],
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kit = Kit::new(7);
        fs::write(folder.path().join("genesis.json"), kit.genesis_bytes()).expect("writable");
        let keys = serde_json::json!({
            "did": kit.issuer.did.to_string(),
            "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": b64u::encode(kit.issuer.authentication.to_seed().as_slice())}},
        });
        let path = folder.path().join("keys.json");
        fs::write(&path, keys.to_string()).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = listeners.map(|listener| listener.local_addr().expect("bound").port());
        Self { folder, ports }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn init_with(&self, more: &[&str]) -> Output {
        let [listen, admin, node] = self.ports;
        let (listen, admin) = (format!("127.0.0.1:{listen}"), format!("127.0.0.1:{admin}"));
        let node = format!("http://127.0.0.1:{node}");
        let (home, keys, genesis) = (self.text("home"), self.text("keys.json"), self.text("genesis.json"));
        let arguments = [
            "issuer",
            "init",
            "--home",
            &home,
            "--keys",
            &keys,
            "--genesis",
            &genesis,
            "--node",
            &node,
            "--listen",
            &listen,
            "--admin-listen",
            &admin,
        ];
        program(&[&arguments[..], more].concat())
    }

    fn ready() -> Self {
        let bench = Self::new();
        assert!(bench.init_with(&["--plain-keys"]).status.success());
        bench
    }

    fn on_home(&self, command: &str, more: &[&str]) -> Output {
        program(&[&["issuer", command, "--home", &self.text("home")][..], more].concat())
    }

    /// Runs `start`, which must fail and leave the folder as it was.
    #[track_caller]
    fn assert_start_fault(&self, exit_code: i32, words: &str) {
        let before = contents(&self.path("home"));
        assert_fault(&self.on_home("start", &[]), exit_code, words);
        assert_eq!(contents(&self.path("home")), before, "the folder was touched");
    }
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.expect("readable").path())
        .map(|path| (path.clone(), fs::read(&path).ok()))
        .collect()
}

#[test]
fn init_makes_a_private_home_and_prints_json() {
    let bench = Bench::new();
    let output = bench.init_with(&["--plain-keys"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    assert!(summary["did"].as_str().expect("a DID").starts_with("did:aval:test:"));
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(bench.path("home")), 0o700);
    for name in ["home/keys.json", "home/admin-token", "home/config.json"] {
        assert_eq!(mode(bench.path(name)), 0o600, "{name}");
    }
    let before = contents(&bench.path("home"));
    assert_fault(&bench.init_with(&["--plain-keys"]), 1, "exists already");
    assert_eq!(contents(&bench.path("home")), before);
}

#[test]
fn init_makes_nothing_of_bad_values() {
    let bench = Bench::new();
    assert_fault(&bench.init_with(&["--registry-size", "1000"]), 2, "registry");
    assert_fault(&bench.init_with(&["--public-url", "http://issuer.example"]), 2, "publicUrl");
    assert_fault(&bench.init_with(&["--validity-days", "0"]), 2, "validityDays");
    fs::write(bench.path("genesis.json"), "{}").expect("writable");
    assert_fault(&bench.init_with(&["--plain-keys"]), 1, "genesis");
    fs::remove_file(bench.path("genesis.json")).expect("it is there");
    assert_fault(&bench.init_with(&["--plain-keys"]), 5, "genesis.json does not exist");
    assert!(!bench.path("home").exists());
}

#[test]
fn keys_are_sealed_unless_plain_ones_are_asked_for() {
    let bench = Bench::new();
    // Nobody says a passphrase: there is no terminal, and nothing in the environment.
    assert_fault(&bench.init_with(&[]), 4, "sealed");
    assert!(!bench.path("home").exists());
    let passphrase = bench.path("passphrase");
    fs::write(&passphrase, "correct horse battery\n").expect("writable");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("ours");
    let file = bench.text("passphrase");
    assert_eq!(bench.init_with(&["--passphrase-file", &file, "--plain-keys"]).status.code(), Some(2));
    assert!(bench.init_with(&["--passphrase-file", &file]).status.success());
    assert!(!bench.path("home/keys.json").exists());
    let sealed = fs::read(bench.path("home/keys.sealed")).expect("it is there");
    let seed = fs::read_to_string(bench.path("keys.json")).expect("it is there");
    let seed: serde_json::Value = serde_json::from_str(&seed).expect("JSON");
    let seed = seed["documentKeys"]["#key-1"]["seed"].as_str().expect("a seed");
    assert!(!sealed.windows(seed.len()).any(|window| window == seed.as_bytes()));
    bench.assert_start_fault(6, "cannot be reached");
    fs::write(&passphrase, "another horse battery\n").expect("writable");
    bench.assert_start_fault(4, "keys.sealed");
}

#[test]
fn a_missing_home_is_not_found() {
    let bench = Bench::new();
    for command in ["start", "list", "offer"] {
        assert_fault(&bench.on_home(command, &[]), 5, "run `aval-identityd issuer init` first");
    }
    assert!(!bench.path("home").exists());
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bench = Bench::ready();
    for arguments in
        [&["issuer", "dance"][..], &["issuer", "start"], &["--log", "=[", "issuer", "list", "--home", "x"]]
    {
        assert_eq!(program(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_fault(&bench.on_home("revoke", &["../offers"]), 2, "issuance id");
    assert_fault(&bench.on_home("offer", &["--claim", "legalName"]), 2, "NAME=VALUE");
    assert_fault(&bench.on_home("offer", &["--claim", "role=governor"]), 2, "role");
    assert_fault(&bench.on_home("offer", &["--claim", "a=1", "--claim", "a=2"]), 2, "twice");
}

#[test]
fn files_that_others_may_read_are_refused() {
    let bench = Bench::ready();
    for name in ["home/keys.json", "home/admin-token"] {
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(0o644)).expect("ours");
        bench.assert_start_fault(4, "chmod 600");
        fs::set_permissions(bench.path(name), fs::Permissions::from_mode(0o600)).expect("ours");
    }
}

#[test]
fn damaged_files_are_named() {
    for (name, words) in [
        ("home/keys.json", "is not a key file"),
        ("home/config.json", "is not a valid configuration"),
        ("home/genesis.json", "is not a genesis file"),
        ("home/admin-token", "holds no token"),
    ] {
        let bench = Bench::ready();
        fs::write(bench.path(name), "nonsense").expect("writable");
        bench.assert_start_fault(1, words);
    }
}

#[test]
fn a_used_port_is_named() {
    let bench = Bench::ready();
    for (port, setting) in [(bench.ports[0], "listen"), (bench.ports[1], "adminListen")] {
        let _taken = TcpListener::bind(("127.0.0.1", port)).expect("free");
        bench.assert_start_fault(1, &format!("set another {setting}"));
    }
}

#[test]
fn an_unreachable_node_is_worth_another_try() {
    let bench = Bench::ready();
    bench.assert_start_fault(6, "cannot be reached");
    assert_fault(&bench.on_home("list", &[]), 6, "is it started?");
}

#[test]
fn a_node_that_answers_nonsense_is_not_believed() {
    let bench = Bench::ready();
    let listener = TcpListener::bind(("127.0.0.1", bench.ports[2])).expect("free");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
            let _ = std::io::Write::write_all(&mut stream, answer);
        }
    });
    bench.assert_start_fault(1, "malformed");
}
