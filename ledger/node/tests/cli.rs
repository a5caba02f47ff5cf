//! `avald` as an operator meets it: real processes, and each fault of the folder with its sentence and exit code.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn avald() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avald"));
    command.stdin(Stdio::null()).env_remove("AVALD_LOG").env_remove("AVALD_LOG_JSON");
    command
}

fn run(arguments: &[&str]) -> Output {
    avald().args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The one sentence that a fault leaves on stderr, after the log.
fn sentence(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let sentences: Vec<_> = text.lines().filter(|line| line.starts_with("avald: ")).collect();
    assert_eq!(sentences.len(), 1, "{text}");
    sentences[0].to_owned()
}

/// A range of loopback ports that is this test's own as long as the value lives, whatever runs beside it.
struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Validators' ports lie 100 above those of their interfaces; the range lies below those that the kernel hands out.
    fn take() -> Self {
        for base in (12_000..32_000).step_by(128) {
            let path = std::env::temp_dir().join(format!("aval-test-ports-{base}"));
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
            let mut ports = (base..base + 16).chain(base + 100..base + 116);
            if lock.try_lock().is_ok() && ports.all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Self { base, _lock: lock };
            }
        }
        panic!("no free range of ports");
    }
}

/// A made and stopped network of one validator.
struct Prepared {
    folder: TempDir,
    ports: Ports,
}

impl Prepared {
    fn new() -> Self {
        let prepared = Self { folder: tempfile::tempdir().unwrap(), ports: Ports::take() };
        let base = prepared.ports.base.to_string();
        let network = prepared.folder.path().join("net");
        let arguments = ["devnet", "--prepare", "--nodes", "1", "--base-port", &base, "--home"];
        let output = avald().args(arguments).arg(network).output().unwrap();
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
        prepared
    }

    fn home(&self) -> String {
        self.folder.path().join("net/node-0").to_str().unwrap().to_owned()
    }

    fn genesis(&self) -> PathBuf {
        self.folder.path().join("net/genesis.json")
    }

    fn port(&self) -> u16 {
        self.ports.base
    }
}

fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn get(port: u16, path: &str) -> Option<(u16, Value)> {
    let mut response = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .new_agent()
        .get(format!("http://127.0.0.1:{port}{path}"))
        .call()
        .ok()?;
    Some((response.status().as_u16(), response.body_mut().read_json().ok()?))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn is_running(id: u32) -> bool {
    // A zombie counts as ended: whoever adopted it has yet to ask.
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn help_and_version_are_data_and_wrong_usage_is_exit_code_2() {
    assert_eq!(code(&run(&["--help"])), 0);
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout).trim(),
        format!("avald {}", env!("CARGO_PKG_VERSION"))
    );
    for arguments in [
        &["nonsense"][..],
        &["start"],
        &["devnet", "--nodes", "0"],
        &["--log", "a=b=c", "doctor", "--home", "x"],
    ] {
        assert_eq!(code(&run(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn init_makes_a_private_key_and_never_replaces_anything() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let arguments = ["init", "--home", home.to_str().unwrap()];
    let made = run(&arguments);
    assert_eq!(code(&made), 0);
    let key = String::from_utf8(made.stdout).unwrap();
    assert!(key.starts_with("z6Mk"));
    let mode = fs::metadata(home.join("node.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(home.join("node.key")).unwrap();
    let again = run(&arguments);
    assert_eq!(code(&again), 1);
    assert!(sentence(&again).contains("exists already"));
    assert_eq!(fs::read(home.join("node.key")).unwrap(), before);
    let start = run(&["start", "--home", home.to_str().unwrap()]);
    assert_eq!(code(&start), 5, "without a genesis file");
    assert!(sentence(&start).contains("genesis.json does not exist"));
}

#[test]
fn a_genesis_file_has_the_hash_of_sha256sum_and_can_be_reviewed() {
    let prepared = Prepared::new();
    let file = prepared.genesis();
    let hash = run(&["genesis", "hash", file.to_str().unwrap()]);
    let expected = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&hash.stdout).trim(), String::from_utf8_lossy(&expected[..64]));
    let check = run(&["genesis", "check", "--json", file.to_str().unwrap()]);
    let summary: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(summary["validators"][0]["name"], "node-0");
    edit_json(&file, |genesis| genesis["validators"] = json!([]));
    let broken = run(&["genesis", "check", file.to_str().unwrap()]);
    assert_eq!(code(&broken), 3);
    sentence(&broken);
    assert_eq!(code(&run(&["genesis", "hash", "/nowhere/genesis.json"])), 5);
}

#[test]
fn each_fault_of_a_folder_is_one_sentence_and_leaves_the_data_as_it_was() {
    let prepared = Prepared::new();
    let home = prepared.home();
    let inside = |name: &str| Path::new(&home).join(name);
    let start = ["start", "--home", home.as_str()];
    let fails = |exit_code: i32, words: &str| {
        let output = run(&start);
        let sentence = sentence(&output);
        assert_eq!(code(&output), exit_code, "{sentence}");
        assert!(sentence.contains(words), "{sentence}");
    };

    let nowhere = run(&["start", "--home", "/nowhere"]);
    assert_eq!(code(&nowhere), 5);
    assert!(sentence(&nowhere).contains("avald init"));

    let config = fs::read(inside("config.json")).unwrap();
    fs::write(inside("config.json"), "{\"api\":").unwrap();
    fails(1, "not a valid configuration");
    fs::write(inside("config.json"), "{\"apo\":{}}").unwrap();
    fails(1, "unknown field");
    fs::write(inside("config.json"), &config).unwrap();

    let key = fs::read(inside("node.key")).unwrap();
    fs::rename(inside("node.key"), inside("aside")).unwrap();
    fails(5, "node.key does not exist");
    fs::write(inside("node.key"), &key).unwrap();
    fs::set_permissions(inside("node.key"), fs::Permissions::from_mode(0o640)).unwrap();
    fails(4, "chmod 600");
    fs::set_permissions(inside("node.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(inside("node.key"), "{}").unwrap();
    fails(1, "no key file");
    fs::write(inside("node.key"), &key).unwrap();

    let other = prepared.folder.path().join("other");
    assert_eq!(code(&run(&["init", "--home", other.to_str().unwrap()])), 0);
    fs::copy(other.join("node.key"), inside("node.key")).unwrap();
    fails(3, "is not admitted to the network");
    fs::write(inside("node.key"), &key).unwrap();

    let taken = TcpListener::bind(("127.0.0.1", prepared.port())).unwrap();
    fails(1, "is used by another program");
    drop(taken);
    let taken = TcpListener::bind(("127.0.0.1", prepared.port() + 100)).unwrap();
    fails(1, "cannot be listened on");
    drop(taken);

    assert!(!inside("ledger").exists() && !inside("engine").exists(), "no fault so far has touched data");

    fs::create_dir(inside("ledger")).unwrap();
    fs::write(inside("ledger/holiday.jpg"), "a picture").unwrap();
    fails(1, "is not empty and is not a ledger store");
    assert_eq!(fs::read_dir(inside("ledger")).unwrap().count(), 1);
    fs::remove_dir_all(inside("ledger")).unwrap();

    fs::remove_dir_all(inside("engine")).unwrap();
    fs::create_dir(inside("engine")).unwrap();
    fs::write(inside("engine/notes.txt"), "mine").unwrap();
    fails(1, "was not made by this program");
    assert_eq!(fs::read_to_string(inside("engine/notes.txt")).unwrap(), "mine");
}

#[test]
fn a_node_runs_restarts_and_refuses_data_of_another_network_and_damaged_data() {
    let prepared = Prepared::new();
    let home = prepared.home();
    let port = prepared.port();
    let mut height = 0;
    for stop in ["TERM", "INT"] {
        let mut node = avald().args(["start", "--home", &home]).stderr(Stdio::piped()).spawn().unwrap();
        until("the node is ready", || matches!(get(port, "/ready"), Some((200, _))));
        let second = run(&["start", "--home", &home]);
        assert!(sentence(&second).contains("is used by another program"));
        let doctor = run(&["doctor", "--json", "--home", &home]);
        let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        assert_eq!((code(&doctor), &report["ok"]), (0, &json!(true)), "{report}");
        let newest = get(port, "/v1/status").unwrap().1["height"].as_u64().unwrap();
        assert!(newest >= height.max(1), "the restarted node goes on where it was");
        height = newest;
        signal(&node, stop);
        let status = node.wait().unwrap();
        let mut log = String::new();
        node.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
    let doctor = run(&["doctor", "--home", &home]);
    assert_eq!(code(&doctor), 0, "{}", String::from_utf8_lossy(&doctor.stdout));

    // The same key in another network: the data is not for it.
    let genesis = prepared.genesis();
    let original = fs::read(&genesis).unwrap();
    edit_json(&genesis, |genesis| genesis["time"] = json!(genesis["time"].as_u64().unwrap() + 1));
    let foreign = run(&["start", "--home", &home]);
    assert_eq!(code(&foreign), 3);
    assert!(sentence(&foreign).contains("another network"));
    let doctor = run(&["doctor", "--home", &home]);
    assert_eq!(code(&doctor), 1);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("FAILED  ledger"));
    fs::remove_dir_all(Path::new(&home).join("engine")).unwrap();
    let foreign = run(&["start", "--home", &home]);
    assert_eq!(code(&foreign), 3);
    assert!(sentence(&foreign).contains("belongs to the network with genesis"));
    fs::write(&genesis, original).unwrap();

    fs::remove_dir_all(Path::new(&home).join("engine")).unwrap();
    fs::remove_file(Path::new(&home).join("ledger/db/CURRENT")).unwrap();
    let damaged = run(&["start", "--home", &home]);
    assert_eq!(code(&damaged), 3);
    assert!(sentence(&damaged).contains("damaged"));
}

#[test]
fn logs_are_json_when_asked_for_and_never_hold_the_key() {
    let prepared = Prepared::new();
    let home = prepared.home();
    let arguments = ["--log", "trace", "--log-json", "start", "--home", &home];
    let mut node = avald().args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let errors = node.stderr.take().unwrap();
    let reader =
        std::thread::spawn(move || BufReader::new(errors).lines().map_while(Result::ok).collect::<Vec<_>>());
    until("the node is ready", || matches!(get(prepared.port(), "/ready"), Some((200, _))));
    signal(&node, "TERM");
    assert!(node.wait().unwrap().success());
    let log = reader.join().unwrap();
    assert!(log.len() > 10);
    let key: Value = serde_json::from_slice(&fs::read(Path::new(&home).join("node.key")).unwrap()).unwrap();
    let seed = key["seed"].as_str().unwrap();
    for line in &log {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(!line.contains(seed));
    }
}

#[test]
fn a_node_ends_with_its_parent_when_told_to() {
    let prepared = Prepared::new();
    let home = prepared.home();
    let mut node = avald()
        .args(["start", "--exit-with-parent", "--home", &home])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the node is ready", || matches!(get(prepared.port(), "/ready"), Some((200, _))));
    drop(node.stdin.take());
    assert!(node.wait().unwrap().success());
}

/// A running development network of four; its processes' ids come from what they say of themselves.
fn devnet(home: &Path, base_port: u16) -> (Child, Value) {
    let arguments = ["devnet", "--json", "--heartbeat-ms", "300", "--base-port", &base_port.to_string()];
    let mut child = avald()
        .args(arguments)
        .args(["--exit-with-parent", "--home", home.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while serde_json::from_str::<Value>(&text).is_err() {
        assert_ne!(reader.read_line(&mut text).unwrap(), 0, "the network did not start: {text}");
    }
    (child, serde_json::from_str(&text).unwrap())
}

fn children(of: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn a_development_network_leaves_no_process_behind_however_it_ends_and_goes_on_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("net");
    let ports = Ports::take();
    let base_port = ports.base;
    let mut height = 0;
    let mut network = Value::Null;
    for end in ["TERM", "KILL", "INT", "stdin"] {
        let (mut child, made) = devnet(&home, base_port);
        let nodes = children(child.id());
        assert_eq!(nodes.len(), 4);
        assert!(network.is_null() || network == made["network"], "the same network goes on");
        network = made["network"].clone();
        let (_, status) = get(base_port, "/v1/status").unwrap();
        assert_eq!(status["peers"].as_array().unwrap().len(), 3);
        assert!(status["height"].as_u64().unwrap() >= height);
        height = status["height"].as_u64().unwrap();
        let issuer = made["issuer"]["did"].as_str().unwrap();
        assert_eq!(get(base_port + 3, &format!("/1.0/identifiers/{issuer}")).unwrap().0, 200);
        if end == "stdin" {
            drop(child.stdin.take());
        } else {
            signal(&child, end);
        }
        let status = child.wait().unwrap();
        assert_eq!(status.success(), end != "KILL", "{end}: {status}");
        until("no process is left", || !nodes.iter().any(|id| is_running(*id)));
        assert!(TcpStream::connect(("127.0.0.1", base_port)).is_err());
    }
    let keys: Value = serde_json::from_slice(&fs::read(home.join("issuer/keys.json")).unwrap()).unwrap();
    assert!(keys["documentKeys"]["#key-1"]["seed"].is_string());
    assert_eq!(fs::metadata(home.join("issuer/keys.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_development_network_says_which_validator_could_not_start_and_stops_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("net");
    let ports = Ports::take();
    let base_port = ports.base;
    let base = base_port.to_string();
    let arguments = ["devnet", "--base-port", &base, "--home", home.to_str().unwrap()];
    let _taken = TcpListener::bind(("127.0.0.1", base_port + 2)).unwrap();
    let output = run(&arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("node-2 ended") && text.contains("is used by another program"), "{text}");
    until("the others are gone", || TcpStream::connect(("127.0.0.1", base_port)).is_err());
    let unfinished = folder.path().join("mine");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("letter.txt"), "dear").unwrap();
    let refused = run(&["devnet", "--home", unfinished.to_str().unwrap()]);
    assert_eq!(code(&refused), 1);
    assert!(sentence(&refused).contains("is not empty"));
    assert_eq!(fs::read_dir(&unfinished).unwrap().count(), 1);
}

#[test]
fn a_development_network_may_know_further_credential_types_and_they_give_no_role() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("net");
    let prepare = ["devnet", "--prepare", "--home", home.to_str().unwrap()];
    let types = ["--type", "UniversityDegree", "--type", "AvalMembershipCredential"];
    let output = run(&[prepare.as_slice(), types.as_slice()].concat());
    assert_eq!(code(&output), 0, "{output:?}");
    let genesis: Value = serde_json::from_slice(&fs::read(home.join("genesis.json")).unwrap()).unwrap();
    for accreditation in genesis["accreditations"].as_array().unwrap() {
        let types = accreditation["types"].as_array().unwrap();
        let roles: Vec<_> =
            types.iter().map(|entry| (entry["type"].as_str().unwrap(), &entry["roles"])).collect();
        assert_eq!(roles.len(), 4, "{accreditation}");
        assert_eq!(roles[0], ("AvalMembershipCredential", &serde_json::json!(["endorser", "member"])));
        assert_eq!(roles[3], ("UniversityDegree", &serde_json::json!([])));
    }
}
