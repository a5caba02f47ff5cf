//! Who watches the network: readers of events over restarts, an auditor, and the operator of a node.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aval_client::{EventQuery, VerifiedEvents};
use aval_machine::testkit::Party;
use aval_tests::network::{Network, PATIENCE};
use aval_tests::people::{Wallet, keys_of};
use aval_tests::process::{Finished, program};
use serde_json::{Value, json};

/// Reads until so many events have come in all, each proven.
fn read(events: &mut VerifiedEvents, ids: &mut Vec<String>, count: usize) -> Result<()> {
    while ids.len() < count {
        let event =
            events.next_within(PATIENCE)?.with_context(|| format!("only {} events came", ids.len()))?;
        ids.push(event.value.place.id());
    }
    Ok(())
}

#[test]
fn a_reader_misses_no_event_and_sees_none_twice_over_restarts_of_its_node_and_at_another_one() -> Result<()> {
    let mut network = Network::start(301)?;
    network.finalize(0, &network.kit.create_registry())?;
    let query = EventQuery { from: Some(0), kinds: vec!["did.created".to_owned()], ..EventQuery::default() };
    let mut events = network.verifying(1)?.events(query.clone());
    let mut ids = Vec::new();
    let mut created = 0;
    for round in 0..3 {
        for _ in 0..5 {
            created += 1;
            let company = network.kit.company(created);
            let create = company.create_with(&network.kit, &network.kit.membership(&company));
            network.finalize(0, &create)?;
        }
        match round {
            // The stream breaks off in the middle of its life, once in order and once not.
            0 => network.stop(1)?,
            1 => network.kill(1),
            _ => {}
        }
        if round < 2 {
            network.start_node(1)?;
            network.wait_node_ready(1)?;
        }
        read(&mut events, &mut ids, created as usize)?;
    }
    ensure!(ids.len() == 15 && ids.iter().collect::<BTreeSet<_>>().len() == 15, "{ids:?}");
    ensure!(events.next_within(Duration::from_millis(500))?.is_none(), "there are no more");
    // Another node tells the same, and goes on from an id of the first.
    let mut again = Vec::new();
    read(&mut network.verifying(2)?.events(query.clone()), &mut again, 15)?;
    ensure!(again == ids, "the nodes tell different events: {again:?} and {ids:?}");
    let mut rest = Vec::new();
    let query = EventQuery { after: Some(ids[9].clone()), ..query };
    read(&mut network.verifying(3)?.events(query), &mut rest, 5)?;
    ensure!(rest == ids[10..], "{rest:?}");
    Ok(())
}

/// Gets a company with these roles onto the ledger; its keys as a file.
fn company_with(network: &Network, number: u64, roles: &[&str]) -> Result<(Party, String)> {
    let company = network.kit.company(number);
    let credential = network.kit.credential(&company, roles);
    network.finalize(0, &company.create_with(&network.kit, &credential))?;
    let keys = keys_of(network, &company, &format!("company-{number}"))?;
    Ok((company, keys))
}

#[test]
fn a_supervisor_holds_at_once_within_its_scope_and_everything_stays_on_the_record() -> Result<()> {
    let mut network = Network::start(303)?;
    let people = Wallet::create(&network, "people", 1)?;
    network.finalize(0, &network.kit.create_registry())?;
    let (supervisor, supervising) = company_with(&network, 1, &["member", "supervisor-did"])?;
    let (mut member, _) = company_with(&network, 2, &["member"])?;
    let (_, unfit) = company_with(&network, 3, &["member"])?;
    let hold = |target: &str, keys: &str| {
        let why = ["--reason", "stolen keys", "--legal-basis", "Act 7, section 2", "--minutes", "60"];
        people.run(&[&["supervision", "hold", target], &why[..], &["--keys", keys, "--yes"]].concat())
    };
    let refused = hold(member.did.as_str(), &unfit)?;
    ensure!(refused.code == 4 && format!("{refused:?}").contains("grant.role"), "{refused:?}");
    let refused = hold("action:registry.update", &supervising)?;
    ensure!(refused.code == 4 && format!("{refused:?}").contains("supervision.scope"), "{refused:?}");

    let placed = hold(member.did.as_str(), &supervising)?.json()?;
    let id = placed["transaction"].as_str().with_context(|| format!("{placed}"))?.to_owned();
    // From the next block on, at every node.
    let held = member.clone().update(&network.kit, network.kit.document(&member, 2));
    for index in 0..network.size() {
        network.wait_height(index, network.head(0)?.0)?;
        let refused = network.finalize(index, &held).err().context("a held DID wrote")?;
        ensure!(format!("{refused:?}").contains("supervision.held"), "node {index}: {refused:?}");
    }
    let listed = people.json(&["supervision", "list"])?;
    let only = &listed["holds"][0];
    ensure!(listed["verified"] == true && only["author"] == supervisor.did.as_str(), "{listed}");
    ensure!(only["reason"] == "stolen keys" && only["legalBasis"] == "Act 7, section 2", "{listed}");

    people.json(&["supervision", "release", &id, "--keys", &supervising, "--yes"])?;
    let update = member.update(&network.kit, network.kit.document(&member, 3));
    let written = network.finalize(0, &update)?;
    let told = people.json_lines(&["events", "--from", "0", "--type", "supervision.*", "--wait", "3"])?;
    let kinds: Vec<&Value> = told.iter().map(|event| &event["event"]["type"]).collect();
    ensure!(kinds == ["supervision.held", "supervision.released"], "{told:?}");
    let gone = people.run(&["supervision", "release", &id, "--keys", &supervising, "--yes"])?;
    ensure!(format!("{gone:?}").contains("supervision.released"), "{gone:?}");

    // Which policy let the last update through: the same answer from a running node and from a folder at rest.
    let avald = |arguments: &[&str]| -> Result<Value> {
        Finished::of(Command::new(program("avald")?).args(["policy", "explain", "--json"]).args(arguments))?
            .json()
    };
    let id = written.to_string();
    let running = avald(&[&id, "--node", &network.url(0)])?;
    ensure!(running["policy"]["policies"] == json!(["members-keep-their-did"]), "{running}");
    network.stop(0)?;
    let home = network.home(0);
    let home = home.to_str().context("a UTF-8 path")?;
    let at_rest = avald(&[&id, "--home", home])?;
    ensure!(at_rest == running, "{at_rest} at rest, {running} while it runs");
    // The refused one, on the newest state and on that under which it was refused.
    let file = network.folder().join("refused.json");
    std::fs::write(&file, held.to_body())?;
    let file = file.to_str().context("a UTF-8 path")?;
    let newest = avald(&[file, "--home", home])?;
    ensure!(newest["policy"]["code"] == "did.stale_version", "{newest}");
    let held_at = told[0]["height"].as_u64().with_context(|| format!("{told:?}"))?.to_string();
    let then = avald(&[file, "--home", home, "--height", &held_at])?;
    ensure!(then["policy"]["code"] == "supervision.held", "{then}");
    Ok(())
}

#[test]
fn the_operator_administers_a_node_and_an_auditor_exports_what_anybody_verifies() -> Result<()> {
    let mut network = Network::start(302)?;
    let reader = Wallet::create(&network, "reader", 0)?;
    let admin = network.admin_url(0);
    let operator = keys_of(&network, &network.kit.operators[0], "operator")?;
    let other = keys_of(&network, &network.kit.operators[1], "other")?;
    let status = reader.json(&["node", "status", "--admin", &admin, "--keys", &operator])?;
    ensure!(status["height"].is_u64() && status["epoch"]["number"].is_u64(), "{status}");
    let peers = reader.json(&["node", "peers", "--admin", &admin, "--keys", &operator])?;
    ensure!(peers.as_array().is_some_and(|peers| peers.len() == 3), "{peers}");
    let level = reader.json(&["node", "log-level", "info", "--admin", &admin, "--keys", &operator])?;
    ensure!(level["filter"] == "info", "{level}");
    let refused = reader.run(&["node", "stop", "--admin", &admin, "--keys", &other, "--yes"])?;
    ensure!(refused.code == 4 && format!("{refused:?}").contains("access.forbidden"), "{refused:?}");

    network.finalize(0, &network.kit.create_registry())?;
    let auditor = network.kit.company(1);
    let credential = network.kit.credential(&auditor, &["auditor", "member"]);
    network.finalize(0, &auditor.create_with(&network.kit, &credential))?;
    let member = network.kit.company(2);
    network.finalize(0, &member.create_with(&network.kit, &network.kit.membership(&member)))?;
    let auditor = keys_of(&network, &auditor, "auditor")?;
    let member = keys_of(&network, &member, "member")?;
    let bundle = network.folder().join("bundle.jsonl");
    let bundle = bundle.to_str().context("a UTF-8 path")?;
    let refused = reader.run(&["audit", "export", "--out", bundle, "--keys", &member])?;
    ensure!(refused.code == 4 && format!("{refused:?}").contains("grant.role"), "{refused:?}");
    std::fs::remove_file(bundle)?;
    reader.json(&["audit", "export", "--out", bundle, "--keys", &auditor])?;
    let nowhere = ["--node", "http://127.0.0.1:1", "audit", "verify", bundle];
    let verified = reader.json(&nowhere)?;
    ensure!(verified["valid"] == true && verified["transactions"] == 3, "{verified}");
    let mut bytes = std::fs::read(bundle)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(bundle, &bytes)?;
    let forged = reader.run(&nowhere)?;
    ensure!(forged.code == 3, "a bundle with one changed bit: {forged:?}");

    let log = reader.json(&["node", "access-log", "--admin", &admin, "--keys", &operator])?;
    let audits: Vec<&Value> = log["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["interface"] == "audit")
        .collect();
    let decisions: Vec<&Value> = audits.iter().map(|entry| &entry["decision"]).collect();
    ensure!(decisions == ["grant.role", "allowed"], "{log}");
    reader.json(&["node", "stop", "--admin", &admin, "--keys", &operator, "--yes"])?;
    network.wait_ended(0)
}
