//! Runs the real program in a folder of its own, and beside it an issuer in the box's node.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use aval_credential::{CredentialDraft, StatusEntry, StatusPurpose, issue};
use aval_did::SigningKey;
use aval_openid::vci::issuer::Issuer;
use aval_openid::vci::metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
use aval_openid::vci::offer::TransactionCodeSpec;
use aval_openid::vci::token::{TokenRequest, TokenResponse, nonce_response};
use aval_openid::vci::{CredentialRequest, CredentialResponse, Session};
use serde_json::Value;

use crate::support::ledger::{CREDENTIAL_TYPE, LIST, issuer_key};
use crate::support::server::Request;
use crate::support::{FakeLedger, FakeNode, Reply};

pub const PASSPHRASE: &str = "a passphrase for tests";
pub const TX_CODE: &str = "493536";

pub fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The error that `--json` reports on stderr.
    pub fn error_code(&self) -> String {
        let line =
            self.stderr.lines().rfind(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{self:?}"));
        let value: Value = serde_json::from_str(line).unwrap();
        value["error"]["code"].as_str().unwrap().to_owned()
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// A wallet with a folder of its own.
pub struct Wallet {
    pub folder: tempfile::TempDir,
}

impl Wallet {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A wallet with a vault that trusts the node's network.
    pub fn on(node: &FakeNode) -> Self {
        let wallet = Self::new();
        wallet.run(&["vault", "create", "--holder", "organization"]).expect(0);
        let genesis = wallet.path("genesis.json");
        std::fs::write(&genesis, node.with_ledger(|ledger| ledger.genesis.clone())).unwrap();
        let url = node.url();
        wallet.run(&["network", "add", "--genesis", text(&genesis), "--node", &url]).expect(0);
        wallet
    }

    /// Runs with `--json`.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.run_as_is(&all)
    }

    pub fn run_as_is(&self, arguments: &[&str]) -> Ran {
        let passphrase = self.path("passphrase");
        self.run_with(arguments, &[("AVAL_PASSPHRASE_FILE", text(&passphrase))])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_aval"))
            .args(arguments)
            .env_clear()
            .env("AVAL_HOME", self.path("home"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Receives a membership credential.
    pub fn receive(&self, issuer: &FakeIssuer) -> Value {
        let offer = issuer.offer();
        self.run(&["credential", "receive", &offer, "--tx-code", TX_CODE, "--yes"]).expect(0).json()
    }

    /// A wallet whose DID is on the ledger; gives the DID, too.
    pub fn member(node: &FakeNode, issuer: &FakeIssuer) -> (Self, String) {
        let wallet = Self::on(node);
        wallet.receive(issuer);
        let created = wallet.run(&["did", "create", "--yes"]).expect(0).json();
        let did = created["did"].as_str().unwrap().to_owned();
        (wallet, did)
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Office {
    issuer: Issuer,
    sessions: BTreeMap<String, Session>,
    tokens: BTreeMap<String, String>,
    nonces: BTreeSet<String>,
    counter: u64,
    did: String,
    key: SigningKey,
}

/// An accredited issuer at the same address as the node, under `/issuer`.
#[derive(Clone)]
pub struct FakeIssuer {
    office: Arc<Mutex<Office>>,
}

impl FakeIssuer {
    pub fn beside(node: &FakeNode) -> Self {
        let url = format!("{}/issuer", node.url());
        let metadata = IssuerMetadata::new(&url).with_configuration(
            "membership",
            CredentialConfiguration::vc_sd_jwt(CREDENTIAL_TYPE, "Membership"),
        );
        let office = Office {
            issuer: Issuer::new(metadata),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            nonces: BTreeSet::new(),
            counter: 0,
            did: node.with_ledger(|ledger| ledger.issuer.to_string()),
            key: issuer_key(),
        };
        let issuer = Self { office: Arc::new(Mutex::new(office)) };
        let serving = issuer.clone();
        node.serve_also(move |request| serving.serve(request));
        issuer
    }

    /// From now on credentials are signed with another key than the ledger names.
    pub fn lose_key(&self) {
        self.office.lock().unwrap().key = SigningKey::from_seed(&[51; 32]);
    }

    pub fn offer(&self) -> String {
        let mut office = self.office.lock().unwrap();
        office.counter += 1;
        let code = format!("code-{}-of-sixteen", office.counter);
        let wanted = Some((TX_CODE, [7; 32], TransactionCodeSpec::digits(6)));
        let (offer, session) =
            office.issuer.offer(vec!["membership".to_owned()], code.clone(), wanted, now_s());
        office.sessions.insert(code, session);
        offer.to_uri()
    }

    pub fn serve(&self, request: &Request) -> Option<Reply> {
        let mut office = self.office.lock().unwrap();
        let server = office.issuer.metadata.credential_issuer.clone();
        let answer = match request.url.path() {
            "/.well-known/openid-credential-issuer/issuer" => Ok(office.issuer.metadata.to_json()),
            "/.well-known/oauth-authorization-server/issuer" => {
                Ok(AuthorizationServerMetadata::new(&server).to_json())
            }
            "/issuer/token" => office.token(&request.body),
            "/issuer/nonce" => {
                office.counter += 1;
                let nonce = format!("nonce-{}", office.counter);
                office.nonces.insert(nonce.clone());
                Ok(nonce_response(&nonce))
            }
            "/issuer/credential" => office.credential(request),
            _ => return None,
        };
        Some(match answer {
            Ok(body) => Reply::Raw(200, "application/json", body),
            Err(error) => Reply::Raw(error.status, "application/json", error.body()),
        })
    }
}

impl Office {
    fn token(&mut self, form: &[u8]) -> Result<Vec<u8>, aval_openid::ErrorResponse> {
        let request = TokenRequest::parse(form)?;
        let session =
            self.sessions.get_mut(&request.code).ok_or(aval_openid::ErrorResponse::invalid_grant())?;
        session.redeem(&request, now_s())?;
        self.counter += 1;
        let token = format!("token-{}", self.counter);
        self.tokens.insert(token.clone(), request.code);
        Ok(TokenResponse::bearer(token, 300).to_json())
    }

    fn credential(&mut self, request: &Request) -> Result<Vec<u8>, aval_openid::ErrorResponse> {
        let token = aval_openid::vci::token::bearer_token(request.header("authorization"))?;
        let code = self.tokens[token].clone();
        let body = CredentialRequest::parse(&request.body)?;
        let accepted = self.issuer.accept(&self.sessions[&code], &body, now_s())?;
        assert!(self.nonces.remove(&accepted.nonce));
        self.sessions.get_mut(&code).unwrap().complete(&accepted.configuration_id);
        self.counter += 1;
        let draft = CredentialDraft {
            issuer: self.did.clone(),
            key_id: format!("{}#key-1", self.did),
            id: None,
            contexts: Vec::new(),
            types: vec![CREDENTIAL_TYPE.to_owned()],
            subject_id: None,
            claims: BTreeMap::from([
                ("role".to_owned(), aval_codec::Json::Array(vec!["member".into()])),
                ("legalName".to_owned(), "Contoso Limited".into()),
            ]),
            disclosable: BTreeSet::from(["legalName".to_owned()]),
            status: vec![StatusEntry {
                purpose: StatusPurpose::Revocation,
                index: self.counter,
                list: LIST.to_owned(),
            }],
            valid_from_s: now_s() - 60,
            valid_until_s: Some(now_s() + 86_400),
            holder_key: Some(accepted.holder.key),
            schema: None,
        };
        let counter = u8::try_from(self.counter).unwrap();
        Ok(CredentialResponse::of(issue(&draft, &self.key, &mut || [counter; 16]).unwrap()).to_json())
    }
}

/// A node, its ledger and an issuer beside it.
pub fn world() -> (FakeNode, FakeIssuer) {
    let node = FakeNode::start(FakeLedger::new());
    let issuer = FakeIssuer::beside(&node);
    (node, issuer)
}
