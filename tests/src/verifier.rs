//! A verifier's service as a process: what a relying party would run.

use crate::network::{Network, PATIENCE, consecutive_ports};
use crate::people::keys_of;
use crate::process::{Finished, Running, eventually, program};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running `aval-identityd verifier` that wallets know by the DID of the kit's root.
pub struct VerifierService {
    home: PathBuf,
    url: String,
    log: PathBuf,
    running: Running,
}

impl VerifierService {
    /// Sets the service up and starts it, asking node 0 of the ledger.
    pub fn start(network: &Network) -> Result<Self> {
        let keys = keys_of(network, &network.kit.root, "verifier-keys")?;
        let home = network.folder().join("verifier");
        let passphrase = network.folder().join("verifier-passphrase");
        crate::network::write_private(&passphrase, "correct horse verifier\n")?;
        let port = consecutive_ports(2)?;
        let (listen, wallets) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
        let mut init = Command::new(program("aval-identityd")?);
        init.args(["verifier", "init", "--home"]).arg(&home).args(["--keys", &keys]);
        init.arg("--passphrase-file").arg(&passphrase).arg("--genesis").arg(network.genesis_file());
        init.args(["--node", &network.url(0), "--listen", &listen, "--wallet-listen", &wallets]);
        Finished::of(&mut init)?.json()?;
        let mut start = Command::new(program("aval-identityd")?);
        start.args(["--log", "debug", "verifier", "start", "--home"]).arg(&home);
        let log = network.folder().join("verifier.log");
        let mut running = Running::start("aval-identityd", start, &log)?;
        let url = format!("http://{listen}");
        let health = format!("{url}/health");
        let ready = eventually("the verifier answers", PATIENCE, || {
            running.ensure_alive()?;
            Ok(ureq::get(&health).call().is_ok().then_some(()))
        });
        ready.with_context(|| running.log_tail())?;
        Ok(Self { home, url, log, running })
    }

    /// The token of its home folder.
    pub fn home_token(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.home.join("token"))?)
    }

    /// Adds an operator and gives back the token.
    pub fn operator(&self, name: &str, role: &str) -> Result<String> {
        let mut command = Command::new(program("aval-identityd")?);
        command.args(["verifier", "operator", "add", name, "--role", role, "--home"]).arg(&self.home);
        let added = Finished::of(&mut command)?.json()?;
        Ok(added["token"].as_str().context("a token")?.to_owned())
    }

    /// Sends a request with a token; the answer is its status and its JSON.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<(u16, Value)> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut answer = agent.run(request.body(body)?)?;
        let text = answer.body_mut().read_to_string()?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((answer.status().as_u16(), value))
    }

    /// Has a credential verified by the VC-API.
    pub fn verify(&self, credential: &str, token: &str) -> Result<(u16, Value)> {
        self.ask("POST", "/credentials/verify", token, &json!({ "verifiableCredential": credential }))
    }

    /// Opens a question; the answer is its name and the link for wallets.
    pub fn open(&self, question: &Value, token: &str) -> Result<(String, String)> {
        let (status, open) = self.ask("POST", "/v1/presentations", token, question)?;
        ensure!(status == 201, "{status}: {open}\n{}", self.running.log_tail());
        let text = |name: &str| open[name].as_str().map(str::to_owned).with_context(|| open.to_string());
        Ok((text("id")?, text("link")?))
    }

    /// What came of a question, once it is concluded.
    pub fn outcome(&self, id: &str, token: &str) -> Result<Value> {
        let (status, outcome) =
            self.ask("GET", &format!("/v1/presentations/{id}?waitS=25"), token, &Value::Null)?;
        ensure!(status == 200, "{status}: {outcome}");
        Ok(outcome)
    }

    /// All that it logged.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Its folder.
    pub fn home(&self) -> &Path {
        &self.home
    }
}
