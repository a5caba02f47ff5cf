//! An issuer's service and wallets as processes: what an institution and a company would run.

use crate::network::{Network, consecutive_ports, write_private};
use crate::process::{Finished, Running, eventually, program};
use anyhow::{Context, Result};
use aval_codec::b64u;
use aval_machine::testkit::Party;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A party's keys as a file that `--keys` takes.
pub fn keys_of(network: &Network, party: &Party, name: &str) -> Result<String> {
    let path = network.folder().join(format!("{name}.json"));
    let secret = json!({
        "algorithm": party.authentication.algorithm().name(),
        "seed": b64u::encode(*party.authentication.to_seed()),
    });
    write_private(&path, &json!({"did": party.did, "documentKeys": {"#key-1": secret}}).to_string())?;
    Ok(path.to_str().context("a UTF-8 path")?.to_owned())
}

/// A running `aval-identityd issuer` with the keys of the kit's accredited issuer.
pub struct IssuerService {
    home: PathBuf,
    running: Running,
}

impl IssuerService {
    /// Sets the service up and starts it, asking node 0.
    pub fn start(network: &Network) -> Result<Self> {
        let issuer = &network.kit.issuer;
        let keys = network.folder().join("issuer-keys.json");
        let secret = json!({
            "algorithm": issuer.authentication.algorithm().name(),
            "seed": b64u::encode(*issuer.authentication.to_seed()),
        });
        let stored = json!({ "did": issuer.did.to_string(), "documentKeys": { "#key-1": secret } });
        write_private(&keys, &stored.to_string())?;
        let home = network.folder().join("issuer");
        let port = consecutive_ports(2)?;
        let listen = format!("127.0.0.1:{port}");
        let mut init = Command::new(program("aval-identityd")?);
        init.args(["issuer", "init", "--home"]).arg(&home).arg("--keys").arg(&keys);
        init.arg("--genesis").arg(network.genesis_file());
        init.args(["--node", &network.url(0), "--listen", &listen]);
        init.args(["--admin-listen", &format!("127.0.0.1:{}", port + 1)]);
        let passphrase = network.folder().join("issuer-passphrase");
        write_private(&passphrase, "correct horse of the issuer\n")?;
        init.arg("--passphrase-file").arg(&passphrase);
        Finished::of(&mut init)?.json()?;
        let mut start = Command::new(program("aval-identityd")?);
        start.args(["issuer", "start", "--home"]).arg(&home);
        let mut running = Running::start("aval-identityd", start, &network.folder().join("issuer.log"))?;
        let health = format!("http://{listen}/health");
        let ready = eventually("the issuer answers", crate::network::PATIENCE, || {
            running.ensure_alive()?;
            Ok(ureq::get(&health).call().is_ok().then_some(()))
        });
        ready.with_context(|| running.log_tail())?;
        Ok(Self { home, running })
    }

    /// Runs a back office command.
    pub fn command(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(program("aval-identityd")?);
        Finished::of(command.arg("issuer").args(arguments).arg("--home").arg(&self.home))
    }

    /// Offers a credential with one role; answers with the offer's URI and its transaction code.
    pub fn offer(&self, role: &str, legal_name: &str) -> Result<(String, String)> {
        let claim = format!("legalName={legal_name}");
        let offer = self.command(&["offer", "--role", role, "--claim", &claim])?.json()?;
        let text = |name: &str| offer[name].as_str().map(str::to_owned).with_context(|| format!("{offer}"));
        Ok((text("offerUri")?, text("txCode")?))
    }

    /// What was issued, the newest first.
    pub fn issuances(&self) -> Result<Vec<Value>> {
        Ok(self.command(&["list"])?.json()?.as_array().cloned().unwrap_or_default())
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.running.log_tail()
    }
}

/// A wallet: a home folder, and `aval` run on it.
pub struct Wallet {
    home: PathBuf,
    passphrase: PathBuf,
}

impl Wallet {
    /// Makes a vault and pins the network, asking one of its nodes.
    pub fn create(network: &Network, name: &str, node: usize) -> Result<Self> {
        let home = network.folder().join(format!("wallet-{name}"));
        std::fs::create_dir(&home)?;
        let passphrase = home.join("passphrase");
        write_private(&passphrase, &format!("correct horse {name}\n"))?;
        let wallet = Self { home, passphrase };
        let words = wallet.home.join("words");
        let words = words.to_str().context("a UTF-8 path")?;
        wallet.json(&["vault", "create", "--holder", "organization", "--words-file", words])?;
        let genesis = network.genesis_file();
        let genesis = genesis.to_str().context("a UTF-8 path")?;
        wallet.json(&["network", "add", "--genesis", genesis, "--node", &network.url(node)])?;
        Ok(wallet)
    }

    /// The wallet's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs `aval --json` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Result<Finished> {
        Finished::of(&mut self.aval(arguments)?)
    }

    /// Starts it and does not wait.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        Running::start("aval", self.aval(arguments)?, &self.home.join("aval.log"))
    }

    fn aval(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("aval")?);
        command.arg("--json").arg("--home").arg(&self.home).arg("--passphrase-file").arg(&self.passphrase);
        command.args(arguments);
        Ok(command)
    }

    /// Runs a command that must succeed and returns its JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.run(arguments)?.json().with_context(|| format!("aval {}", arguments.join(" ")))
    }

    /// Runs a command that must succeed and returns its lines of JSON.
    pub fn json_lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        self.run(arguments)?.json_lines().with_context(|| format!("aval {}", arguments.join(" ")))
    }
}
