//! The main job, walked with the programs that people would use.

use anyhow::{Context, Result, ensure};
use aval_tests::network::Network;
use aval_tests::people::{IssuerService, Wallet};
use serde_json::Value;

fn text<'json>(value: &'json Value, pointer: &str) -> Result<&'json str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {value}"))
}

#[test]
fn a_credential_lets_a_company_write_until_it_is_revoked_and_it_can_still_rotate_its_keys() -> Result<()> {
    let network = Network::start(101)?;
    let issuer = IssuerService::start(&network)?;
    let company = Wallet::create(&network, "company", 1)?;

    let (offer, tx_code) = issuer.offer("member", "Example Ltd")?;
    let received = company.json(&["credential", "receive", &offer, "--tx-code", &tx_code, "--yes"])?;
    ensure!(!received.is_null());
    let credentials = company.json(&["credential", "list"])?;
    ensure!(credentials.to_string().contains("AvalMembershipCredential"), "{credentials}");

    let created = company.json(&["did", "create", "--yes"])?;
    let did = text(&created, "/did")?.to_owned();
    ensure!(did.starts_with("did:aval:test:Qm"), "{did}");

    // Anyone, at another node, without any credential.
    let reader = Wallet::create(&network, "reader", 2)?;
    let proof = reader.home().join("proof.json");
    let proof = proof.to_str().context("a UTF-8 path")?;
    let resolved = reader.json(&["did", "resolve", &did, "--proof-out", proof])?;
    ensure!(resolved.to_string().contains(&did), "{resolved}");
    ensure!(!resolved.to_string().contains("Example Ltd"), "a claim is on the ledger: {resolved}");
    let verified = reader.run(&["proof", "verify", proof])?;
    ensure!(verified.code == 0, "{verified:?}");
    let forged = reader.home().join("forged.json");
    let mut bundle: Value = serde_json::from_str(&std::fs::read_to_string(proof)?)?;
    let signature = text(&bundle, "/certificate/signatures/0")?.to_owned();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    bundle["certificate"]["signatures"][0] = Value::String(format!("{flipped}{}", &signature[1..]));
    std::fs::write(&forged, bundle.to_string())?;
    let refused = reader.run(&["proof", "verify", forged.to_str().context("a UTF-8 path")?])?;
    ensure!(refused.code == 3, "a forged proof: {refused:?}");

    // A stranger has a wallet but no credential.
    let stranger = Wallet::create(&network, "stranger", 3)?;
    let refused = stranger.run(&["did", "create", "--yes"])?;
    ensure!(refused.code != 0, "{refused:?}");

    let issuances = issuer.issuances()?;
    let id = text(issuances.first().context("one issuance")?, "/id")?;
    let revoked = issuer.command(&["revoke", id])?.json()?;
    ensure!(text(&revoked, "/state")? == "revoked", "{revoked}");

    let update =
        company.run(&["did", "update", "--service", "hub=LinkedDomains=https://example.com", "--yes"])?;
    ensure!(update.code == 4, "a revoked company's update: {update:?}");
    ensure!(format!("{update:?}").contains("grant.revoked"), "{update:?}");

    let rotated = company.json(&["did", "rotate", "--yes"])?;
    ensure!(rotated.to_string().contains("2-Qm"), "{rotated}");
    let resolved = reader.json(&["did", "resolve", &did])?;
    ensure!(resolved.to_string().contains("2-Qm"), "{resolved}");
    let first = reader.json(&[
        "did",
        "resolve",
        &did,
        "--version-id",
        &format!("1-{}", &did["did:aval:test:".len()..]),
    ])?;
    ensure!(first.to_string().contains("1-Qm"), "{first}");
    Ok(())
}

#[test]
fn a_credential_bought_with_a_wrong_transaction_code_is_not_issued() -> Result<()> {
    let network = Network::start(102)?;
    let issuer = IssuerService::start(&network)?;
    let thief = Wallet::create(&network, "thief", 0)?;
    let (offer, tx_code) = issuer.offer("member", "Example Ltd")?;
    let wrong = if tx_code == "000000" { "000001" } else { "000000" };
    let refused = thief.run(&["credential", "receive", &offer, "--tx-code", wrong, "--yes"])?;
    ensure!(refused.code != 0, "{refused:?}");
    ensure!(issuer.issuances()?.is_empty(), "something was issued");
    let unaccredited = issuer.command(&["offer", "--role", "regulator"])?;
    ensure!(unaccredited.code != 0, "a role the issuer is not accredited for: {unaccredited:?}");
    Ok(())
}
