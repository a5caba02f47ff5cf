//! A relying party with a service of its own: credentials of the real issuer, shown by the real wallet, judged by what
//! the ledger says of the issuer and of the credential.

use anyhow::{Context, Result, ensure};
use aval_tests::network::{Network, now_s};
use aval_tests::people::{IssuerService, Wallet};
use aval_tests::verifier::VerifierService;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long after a revocation a verifier may still say yes.
const REVOKED_WITHIN: Duration = Duration::from_secs(3);

/// Who asks whom, and what about.
struct Scene {
    network: Network,
    issuer: IssuerService,
    verifier: VerifierService,
    token: String,
    holder: Wallet,
    /// The credential with everything in it.
    credential: String,
}

fn scene(seed: u64) -> Result<Scene> {
    let network = Network::start(seed)?;
    let issuer = IssuerService::start(&network)?;
    let verifier = VerifierService::start(&network)?;
    let token = verifier.operator("shop", "verifier")?;
    // The wallet asks another node than the verifier does.
    let holder = Wallet::create(&network, "holder", 1)?;
    let (offer, tx_code) = issuer.offer("member", "Verschwiegen GmbH")?;
    let received = holder.json(&["credential", "receive", &offer, "--tx-code", &tx_code, "--yes"])?;
    let id = received["id"].as_str().context("an id")?;
    let shown = holder.json(&["credential", "show", id, "--raw"])?;
    let credential = shown["sdJwt"].as_str().context("an SD-JWT")?.to_owned();
    Ok(Scene { network, issuer, verifier, token, holder, credential })
}

/// A question for the role alone.
fn question(encrypted: bool) -> Value {
    json!({"encrypted": encrypted, "clientName": "Shop", "query": {"credentials": [{
        "id": "membership",
        "format": "vc+sd-jwt",
        "meta": {"type_values": [["AvalMembershipCredential"]]},
        "claims": [{"path": ["credentialSubject", "role"]}],
    }]}})
}

/// Asks, has the wallet answer, and says what came of it.
fn present(scene: &Scene, question: &Value) -> Result<Value> {
    let (id, link) = scene.verifier.open(question, &scene.token)?;
    scene.holder.json(&["present", &link, "--yes"])?;
    scene.verifier.outcome(&id, &scene.token)
}

fn ensure_codes(answer: &Value, wanted: &str) -> Result<()> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let has = errors.iter().any(|error| error["code"].as_str().is_some_and(|code| code.starts_with(wanted)));
    ensure!(has, "no {wanted} in {answer:#}");
    Ok(())
}

/// That neither claims nor tokens nor presentations are in the log.
fn ensure_silent(scene: &Scene) -> Result<()> {
    let log = scene.verifier.log()?;
    ensure!(log.contains("verifying") && log.contains("access denied"), "the story is in the log: {log}");
    let body = scene.credential.split('.').nth(1).context("a payload")?;
    let disclosures = scene.credential.split('~').skip(1).filter(|part| !part.is_empty());
    let home = scene.verifier.home_token()?;
    for secret in disclosures.chain(["Verschwiegen", body, &scene.token, &home]) {
        ensure!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

#[test]
fn a_credential_is_taken_until_it_is_revoked_and_a_ledger_out_of_reach_decides_nothing() -> Result<()> {
    let mut scene = scene(601)?;
    let (status, answer) = scene.verifier.verify(&scene.credential, &scene.token)?;
    ensure!(status == 200 && answer["verified"] == true, "{status}: {answer:#}");
    let on_ledger = answer["checks"].to_string();
    ensure!(on_ledger.contains("on the ledger"), "its status is read from the ledger: {answer:#}");
    for encrypted in [true, false] {
        let outcome = present(&scene, &question(encrypted))?;
        ensure!(outcome["conclusion"]["outcome"] == "verified", "{outcome:#}");
        let subject = &outcome["conclusion"]["result"]["credentials"][0]["claims"]["credentialSubject"];
        ensure!(subject["role"] == json!(["member"]), "{outcome:#}");
        ensure!(
            !outcome.to_string().contains("Verschwiegen"),
            "more is shown than was asked for: {outcome:#}"
        );
    }

    // Who may not ask.
    let viewer = scene.verifier.operator("auditor", "viewer")?;
    for (token, wanted) in [("", 401), ("a-token-that-nobody-was-given-here", 401), (viewer.as_str(), 403)] {
        let (status, answer) = scene.verifier.ask("POST", "/v1/presentations", token, &question(true))?;
        ensure!(status == wanted, "{status}: {answer}");
        ensure!(scene.verifier.verify(&scene.credential, token)?.0 == wanted);
    }
    ensure!(scene.verifier.ask("GET", "/metrics", &viewer, &Value::Null)?.0 == 200);

    // A wallet that has nothing of the kind says no, and the verifier hears it.
    let empty = Wallet::create(&scene.network, "empty", 2)?;
    let (id, link) = scene.verifier.open(&question(true), &scene.token)?;
    ensure!(empty.run(&["present", &link, "--yes"])?.code == 5);
    let outcome = scene.verifier.outcome(&id, &scene.token)?;
    ensure!(outcome["conclusion"]["outcome"] == "declined", "{outcome:#}");

    let issuances = scene.issuer.issuances()?;
    let id = issuances.first().and_then(|row| row["id"].as_str()).context("one issuance")?.to_owned();
    scene.issuer.command(&["revoke", &id])?.json()?;
    let revoked = Instant::now();
    loop {
        let (status, answer) = scene.verifier.verify(&scene.credential, &scene.token)?;
        if status != 200 {
            ensure!(status == 400, "{status}: {answer:#}");
            ensure_codes(&answer, "status.revoked")?;
            break;
        }
        ensure!(revoked.elapsed() < REVOKED_WITHIN, "still taken {:?} later", revoked.elapsed());
    }
    println!("refused {:?} after the revocation was final", revoked.elapsed());
    let outcome = present(&scene, &question(true))?;
    ensure!(outcome["conclusion"]["outcome"] == "rejected", "{outcome:#}");
    ensure!(!outcome.to_string().contains("\"claims\""), "claims of what was refused: {outcome:#}");

    // The verifier's node is gone; that is neither yes nor no.
    scene.network.kill(0);
    let (status, answer) = scene.verifier.verify(&scene.credential, &scene.token)?;
    ensure!(status == 422 && answer["outcome"] == "undecided", "{status}: {answer:#}");
    let outcome = present(&scene, &question(true))?;
    ensure!(outcome["conclusion"]["outcome"] == "undecided", "{outcome:#}");
    ensure_silent(&scene)
}

#[test]
fn a_member_that_nobody_accredited_cannot_issue() -> Result<()> {
    let network = Network::start(602)?;
    let members = network.enrol_members(1..3)?;
    let verifier = VerifierService::start(&network)?;
    let token = verifier.home_token()?;
    // Both make the same claims about the same company; one of them is the accredited issuer.
    for (issuer, accredited) in [(&network.kit.issuer, true), (&members[0], false)] {
        let mut terms = network.kit.terms(&members[1]);
        terms.valid_from_s = now_s();
        let credential = network.kit.issue(issuer, terms);
        let (status, answer) = verifier.verify(credential.sd_jwt.as_str(), &token)?;
        if accredited {
            ensure!(status == 200, "{status}: {answer:#}");
        } else {
            ensure!(status == 400, "{status}: {answer:#}");
            ensure_codes(&answer, "accreditation.")?;
        }
    }
    Ok(())
}
