//! Who accredits whom, by the programs that people use: a root accredits a body, the body an issuer, and anybody finds
//! out later who was accredited when, with a file of proofs and no network.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aval_did::resolution::format_time_ms;
use aval_tests::network::{Network, now_s};
use aval_tests::people::{Wallet, keys_of};
use serde_json::Value;

const TYPE: &str = "AvalMembershipCredential";

fn text<'json>(value: &'json Value, pointer: &str) -> Result<&'json str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {value}"))
}

fn path(wallet: &Wallet, name: &str) -> Result<String> {
    Ok(wallet.home().join(name).to_str().context("a UTF-8 path")?.to_owned())
}

/// An authority's wallet, and the key files of the root, a body and an issuer that are members already.
struct People {
    wallet: Wallet,
    root_keys: String,
    body: String,
    body_keys: String,
    issuer: String,
}

fn people(network: &Network) -> Result<People> {
    network.finalize(0, &network.kit.create_registry())?;
    let [body, issuer] = [1, 2].map(|number| network.kit.company(number));
    for company in [&body, &issuer] {
        let create = company.create_with(&network.kit, &network.kit.membership(company));
        network.finalize(0, &create)?;
    }
    Ok(People {
        wallet: Wallet::create(network, "authority", 0)?,
        root_keys: keys_of(network, &network.kit.root, "root")?,
        body: body.did.to_string(),
        body_keys: keys_of(network, &body, "body")?,
        issuer: issuer.did.to_string(),
    })
}

/// The root accredits the body, the body the issuer, within what it has.
fn accredit(people: &People) -> Result<()> {
    let People { wallet, root_keys, body, body_keys, issuer } = people;
    let credential = path(wallet, "body.sd-jwt")?;
    let wide = format!("{TYPE}:endorser,member@high");
    let grant =
        ["accreditation", "grant", body, "--as", "body", "--type", &wide, "--keys", root_keys, "--yes"];
    let granted =
        wallet.json(&[&grant[..], &["--depth", "1", "--days", "1000", "--out", &credential]].concat())?;
    ensure!(granted["version"] == 1, "{granted}");
    let as_issuer =
        ["accreditation", "grant", issuer, "--as", "issuer", "--keys", body_keys, "--yes", "--type"];
    wallet.json(&[&as_issuer[..], &[format!("{TYPE}:member@substantial").as_str()]].concat())?;
    let refused =
        wallet.run(&[&as_issuer[..], &[format!("{TYPE}:operator@substantial").as_str()]].concat())?;
    ensure!(refused.code == 4 && format!("{refused:?}").contains("accreditation.role"), "{refused:?}");
    let checked = wallet.json(&["accreditation", "check", &credential])?;
    ensure!(checked["same"] == true && checked["signature"] == "valid", "{checked}");
    // Granted anew: the credential of before is not what the ledger says any more.
    let other = path(wallet, "other.sd-jwt")?;
    wallet.json(&[&grant[..], &["--depth", "2", "--days", "1000", "--out", &other]].concat())?;
    let replaced = wallet.run(&["accreditation", "check", &credential])?;
    ensure!(replaced.code == 3, "a credential that was replaced: {replaced:?}");
    Ok(())
}

#[test]
fn a_chain_of_accreditations_is_made_and_broken_and_its_past_stays_provable() -> Result<()> {
    let mut network = Network::start(401)?;
    let people = people(&network)?;
    accredit(&people)?;
    let wallet = &people.wallet;
    let show = ["accreditation", "show", &people.issuer, "--type", TYPE, "--role", "member"];
    let shown = wallet.json(&show)?;
    ensure!(shown["accredited"] == true && shown["level"] == "substantial", "{shown}");
    ensure!(shown["chain"].as_array().map(Vec::len) == Some(3), "{shown}");

    // A time is a whole second: nothing else happens in this one.
    std::thread::sleep(Duration::from_secs(2));
    let before = format_time_ms(now_s() * 1000);
    std::thread::sleep(Duration::from_secs(2));
    let revoke = ["accreditation", "revoke", &people.body, "--reason", "it was not careful", "--keys"];
    wallet.json(&[&revoke[..], &[people.root_keys.as_str(), "--yes"]].concat())?;
    let broken = wallet.run(&show)?;
    ensure!(broken.code == 3 && format!("{broken:?}").contains("chain.revoked"), "{broken:?}");

    // What was, from another node, and then from a file with no node at all.
    let reader = Wallet::create(&network, "reader", 2)?;
    let answer = path(&reader, "answer.json")?;
    let then = [&show[..], &["--at", &before]].concat();
    let shown = reader.json(&[&then[..], &["--answer-out", &answer]].concat())?;
    ensure!(shown["accredited"] == true && shown["settled"] == true, "{shown}");
    for node in 0..network.size() {
        network.stop(node)?;
    }
    let offline = reader.json(&[&then[..], &["--answer", &answer]].concat())?;
    ensure!(offline["accredited"] == true && offline["height"] == shown["height"], "{offline}");
    let honest = std::fs::read_to_string(&answer)?;
    std::fs::write(&answer, honest.replacen("\"accredited\":true", "\"accredited\":false", 1))?;
    let refused = reader.run(&[&then[..], &["--answer", &answer]].concat())?;
    ensure!(refused.code != 0 && format!("{refused:?}").contains("client.contradiction"), "{refused:?}");
    Ok(())
}

#[test]
fn a_file_is_anchored_and_proven_to_have_existed_without_a_network() -> Result<()> {
    let mut network = Network::start(402)?;
    network.finalize(0, &network.kit.create_registry())?;
    let company = network.kit.company(1);
    network.finalize(0, &company.create_with(&network.kit, &network.kit.membership(&company)))?;
    let keys = keys_of(&network, &company, "company")?;
    let wallet = Wallet::create(&network, "company", 0)?;
    let contract = path(&wallet, "contract.txt")?;
    std::fs::write(&contract, "We agree on everything.")?;
    let anchored =
        wallet.json(&["anchor", "create", &contract, "--kind", "contract", "--keys", &keys, "--yes"])?;
    let commitment = text(&anchored, "/commitment")?.to_owned();
    for node in 0..network.size() {
        network.stop(node)?;
    }
    let proven = wallet.json(&["anchor", "verify", &contract])?;
    ensure!(proven["valid"] == true && proven["commitment"] == commitment.as_str(), "{proven}");
    ensure!(proven["owner"] == company.did.as_str(), "{proven}");
    std::fs::write(&contract, "We agree on nothing.")?;
    let refused = wallet.run(&["anchor", "verify", &contract])?;
    ensure!(refused.code == 3 && format!("{refused:?}").contains("anchor.commitment"), "{refused:?}");
    Ok(())
}
