//! The program `aval-identityd resolver`, started for real, on a ledger in a box.

#[path = "../../../ledger/client/tests/support/mod.rs"]
mod ledger_box;

use aval_codec::b64u;
use aval_did::SigningKey;
use ledger_box::{FakeLedger, FakeNode};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ureq::Agent;

struct World {
    folder: TempDir,
    node: FakeNode,
    port: u16,
    child: Option<Child>,
}

/// An answer: status, headers that matter, body.
struct Answer {
    status: u16,
    media_type: String,
    headers: ureq::http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = FakeNode::start(FakeLedger::new());
        let genesis = node.with_ledger(|ledger| ledger.genesis.clone());
        fs::write(folder.path().join("genesis.json"), genesis).unwrap();
        let seed = b64u::encode(ledger_box::ledger::issuer_key().to_seed().as_slice());
        let did = node.with_ledger(|ledger| ledger.issuer.to_string());
        let keys = json!({"did": did, "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": seed}}});
        let path = folder.path().join("keys.json");
        fs::write(&path, keys.to_string()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, node, port, child: None }
    }

    fn text(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aval-identityd"));
        command.arg("resolver").args(arguments).env_remove("AVAL_RESOLVER_HOME");
        command.env("AVAL_IDENTITYD_LOG", "debug");
        command
    }

    fn init(&self, more: &[&str]) -> Output {
        let (home, genesis) = (self.text("home"), self.text("genesis.json"));
        let (node, listen) = (self.node.url(), format!("127.0.0.1:{}", self.port));
        let arguments =
            ["init", "--home", &home, "--genesis", &genesis, "--node", &node, "--listen", &listen];
        self.command(&[&arguments[..], more].concat()).output().unwrap()
    }

    /// Starts the program; its log goes into a file.
    fn start(more: &[&str]) -> Self {
        let mut world = Self::new();
        let keys = world.text("keys.json");
        let more: Vec<&str> =
            more.iter().map(|text| if *text == "KEYS" { keys.as_str() } else { text }).collect();
        let made = world.init(&more);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(world.text("log")).unwrap();
        let home = world.text("home");
        let mut command = world.command(&["start", "--home", &home, "--exit-with-parent"]);
        world.child = Some(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", world.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{}", world.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        world
    }

    fn log(&self) -> String {
        fs::read_to_string(self.text("log")).unwrap()
    }

    fn token(&self) -> String {
        fs::read_to_string(self.text("home/admin-token")).unwrap()
    }

    fn issuer(&self) -> String {
        self.node.with_ledger(|ledger| ledger.issuer.to_string())
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = config.max_redirects_will_error(false).build().new_agent();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let media_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
        Answer {
            status: response.status().as_u16(),
            media_type: media_type.to_owned(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_string().unwrap(),
        }
    }

    fn get(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[("accept", accept)], "")
    }

    fn register(&self, operation: &str, token: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.send("POST", &format!("/1.0/{operation}"), &headers, &body.to_string())
    }
}

#[test]
fn init_makes_a_private_home_once() {
    let world = World::new();
    let output = world.init(&["--registrar", "--endorser-keys", &world.text("keys.json")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["endorser"], world.issuer());
    for (name, mode) in [("home", 0o700), ("home/keys.json", 0o600), ("home/admin-token", 0o600)] {
        let metadata = fs::metadata(world.folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    assert!(!world.init(&[]).status.success(), "a home is made once");
    for more in
        [&["--endorser-keys", "x"][..], &["--allow-host", "https://a"], &["--allow-host", "a.example=/none"]]
    {
        let other = World::new();
        let output = other.init(more);
        assert!(!output.status.success(), "{more:?}");
        assert!(!fs::exists(other.text("home")).unwrap(), "nothing is written");
    }
}

#[test]
fn dids_are_resolved_over_http_as_the_binding_says() {
    let world = World::start(&[]);
    let did = world.issuer();
    let path = format!("/1.0/identifiers/{did}");
    let answer = world.get(&path, "application/did-resolution");
    assert_eq!((answer.status, answer.media_type.as_str()), (200, "application/did-resolution"));
    assert_eq!(answer.json()["didDocument"]["id"], did);
    assert!(answer.json()["proof"].is_object());
    assert_eq!(answer.headers["vary"], "accept");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let document = world.get(&path, "application/did");
    assert_eq!((document.media_type.as_str(), &document.json()["id"]), ("application/did", &json!(did)));
    let encoded = did.replace(':', "%3A");
    assert_eq!(world.get(&format!("/1.0/identifiers/{encoded}"), "*/*").status, 200);
    let method =
        world.get(&format!("/1.0/identifiers/{encoded}%23key-1"), "application/did-url-dereferencing");
    assert_eq!(method.json()["contentStream"]["id"], format!("{did}#key-1"));
    let posted = world.send("POST", &path, &[("content-type", "application/json")], "{\"noCache\": true}");
    assert_eq!(posted.status, 200);
    for (path, status, name) in [
        ("/1.0/identifiers/not-a-did", 400, "INVALID_DID"),
        ("/1.0/identifiers/", 400, "INVALID_DID"),
        ("/1.0/identifiers/did:unsupported:1", 501, "METHOD_NOT_SUPPORTED"),
        ("/1.0/identifiers/did:web:127.0.0.1", 400, "INVALID_DID"),
        ("/1.0/identifiers/did:web:localhost%253A8443", 400, "INVALID_DID"),
    ] {
        let answer = world.get(path, "application/did-resolution");
        let kind = answer.json()["didResolutionMetadata"]["error"]["type"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, kind), (status, format!("https://www.w3.org/ns/did#{name}")), "{path}");
    }
    let methods = world.get("/1.0/methods", "*/*").json();
    assert_eq!(methods, json!(["aval", "key", "jwk", "web", "webvh"]));
    assert_eq!(world.get("/nothing", "*/*").media_type, "application/problem+json");
    assert_eq!(world.send("DELETE", &path, &[], "").status, 405);
    assert!(world.get("/openapi.json", "*/*").json()["paths"]["/1.0/create"].is_object());
}

fn creation(key: &SigningKey, next: &SigningKey) -> Value {
    let method = |key: &SigningKey, purpose: &str| json!({"type": "Multikey", "purpose": [purpose], "publicKeyMultibase": key.public()});
    json!({
        "options": {"clientSecretMode": true},
        "secret": {"verificationMethod": [method(key, "control"), method(next, "nextControl")]},
        "didDocument": {"service": [{"id": "#hub", "type": "LinkedDomains", "serviceEndpoint": "https://hub.example/"}]},
    })
}

#[test]
fn a_did_is_registered_by_who_has_the_token_and_by_nobody_else() {
    let world = World::start(&["--registrar", "--endorser-keys", "KEYS"]);
    let (key, next) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let begun = creation(&key, &next);
    for token in ["", "wrong", &world.token()[1..]] {
        let refused = world.register("create?method=aval", token, &begun);
        assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("admin.unauthorized")));
        assert_eq!(world.send("GET", "/metrics", &[], "").status, 401);
    }
    let token = world.token();
    let asked = world.register("create?method=aval", &token, &begun);
    assert_eq!(asked.status, 200, "{}", asked.body);
    let request = asked.json()["didState"]["signingRequest"]["signingRequest1"].clone();
    let payload = request["serializedPayload"].as_str().unwrap().replace('+', "-").replace('/', "_");
    let signature = b64u::encode(key.sign(&b64u::decode(payload.trim_end_matches('=')).unwrap()));
    let answer = json!({"jobId": asked.json()["jobId"],
        "secret": {"signingResponse": {"signingRequest1": {"signature": signature}}}});
    let done = world.register("create", &token, &answer);
    assert_eq!((done.status, &done.json()["didState"]["state"]), (201, &json!("finished")), "{}", done.body);
    let did = done.json()["didState"]["did"].as_str().unwrap().to_owned();
    let resolved = world.get(&format!("/1.0/identifiers/{did}"), "*/*");
    assert_eq!(resolved.json()["didDocument"], done.json()["didState"]["didDocument"]);

    let metrics = world.send("GET", "/metrics", &[("authorization", &format!("Bearer {token}"))], "");
    assert!(metrics.body.contains("aval_resolver_requests_total"), "{}", metrics.body);
    let log = BufReader::new(fs::File::open(world.text("log")).unwrap());
    for line in log.lines().map(Result::unwrap) {
        for secret in [token.as_str(), signature.as_str(), "hub.example"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn without_a_registrar_there_is_none() {
    let world = World::start(&[]);
    let begun = creation(&SigningKey::from_seed(&[1; 32]), &SigningKey::from_seed(&[2; 32]));
    assert_eq!(world.register("create", &world.token(), &begun).status, 404);
}
