//! Programs in another language, written from `specs/` alone with other people's JOSE libraries, against real nodes.

use anyhow::{Context, Result, ensure};
use aval_codec::b64u;
use aval_did::SigningKey;
use aval_tests::network::{Network, PATIENCE};
use aval_tests::process::Finished;
use aval_types::SubmittedTransaction;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn script(name: &str) -> PathBuf {
    Path::new("interop/python").join(name)
}

/// Runs a script with the interpreter that `make setup` prepares.
fn python(name: &str, arguments: &[&str]) -> Result<Finished> {
    let interpreter = std::env::var("AVAL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let finished = Finished::of(Command::new(interpreter).arg(script(name)).args(arguments))?;
    ensure!(
        !finished.stderr.contains("ModuleNotFoundError"),
        "Python packages are missing: run `make setup` and set AVAL_PYTHON, or use `make test`\n{}",
        finished.stderr
    );
    Ok(finished)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a UTF-8 path")
}

/// The key that a PEM file of PKCS #8 ends with.
fn ed25519_of_pem(pem: &str) -> Result<SigningKey> {
    let text: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let der = b64u::decode(&text)?;
    let seed: [u8; 32] = der[der.len() - 32..].try_into()?;
    Ok(SigningKey::from_seed(&seed))
}

#[test]
fn a_transaction_signed_in_python_is_accepted_and_its_proof_verified_in_python() -> Result<()> {
    let network = Network::start(401)?;
    let kit = &network.kit;
    network.finalize_everywhere(0, &kit.create_registry())?;
    let name = kit.network().to_string();
    let keys = network.folder().join("python-keys.json");
    ensure!(python("make_transaction.py", &["keys", path(&keys)?])?.code == 0);
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(&keys)?)?;
    let holder = ed25519_of_pem(stored["key"].as_str().context("a PEM key")?)?;

    // The accredited issuer gives that key a membership credential.
    let mut terms = kit.terms(&kit.company(1));
    terms.holder_key = Some(holder.public());
    let credential = kit.issue(&kit.issuer, terms);
    let file = network.folder().join("credential.sd-jwt");
    std::fs::write(&file, credential.sd_jwt.as_str())?;
    let registry = kit.registry_id().to_string();
    let arguments =
        ["create", path(&keys)?, "--network", &name, "--credential", path(&file)?, "--registry", &registry];
    let created = python("make_transaction.py", &arguments)?;
    ensure!(created.code == 0, "{created:?}");
    let submitted = SubmittedTransaction::from_body(created.stdout.as_bytes())?;
    network.finalize(1, &submitted)?;
    let did =
        created.stderr.lines().find_map(|line| line.strip_prefix("did ")).context("the DID")?.to_owned();

    // An update by PyJWT, in compact form.
    let version = format!("1-{}", did.rsplit(':').next().context("an id")?);
    let arguments = [
        "update",
        path(&keys)?,
        "--network",
        &name,
        "--previous",
        &version,
        "--service",
        "https://python.example",
    ];
    let updated = python("make_transaction.py", &arguments)?;
    ensure!(updated.code == 0, "{updated:?}");
    let id = network.finalize(1, &SubmittedTransaction::from_body(updated.stdout.as_bytes())?)?;

    // What the node proves, its receipt and its absence of another DID, hold; and no bit of it can be changed.
    network.client(1)?.wait(id, PATIENCE)?;
    let paths = [
        format!("/v1/state?key=did/{did}"),
        format!("/v1/transactions/{id}/receipt"),
        format!("/v1/state?key=did/{did}x"),
    ];
    for (number, answer) in paths.iter().enumerate() {
        let proof = network.folder().join(format!("proof-{number}.json"));
        std::fs::write(&proof, network.get(1, answer)?.to_string())?;
        let genesis = network.genesis_file();
        let verified = python("verify_proof.py", &[path(&genesis)?, path(&proof)?, "--every-bit"])?;
        ensure!(verified.code == 0, "{answer}: {verified:?}");
    }
    Ok(())
}

#[test]
fn the_python_verifier_refuses_a_proof_of_another_network() -> Result<()> {
    let (network, other) = (Network::start(402)?, Network::prepare(403, |_| {})?);
    let proof = network.folder().join("proof.json");
    std::fs::write(&proof, network.get(0, "/v1/state?key=validators")?.to_string())?;
    let refused = python("verify_proof.py", &[path(&other.genesis_file())?, path(&proof)?])?;
    ensure!(refused.code == 3, "{refused:?}");
    Ok(())
}
