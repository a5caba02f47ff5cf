//! The network governs itself: votes that bite without a restart, with the programs that people use.

use anyhow::{Context, Result, ensure};
use aval_tests::network::{Network, PATIENCE};
use aval_tests::people::{Wallet, keys_of};
use aval_tests::process::eventually;
use serde_json::{Value, json};

fn text<'json>(value: &'json Value, pointer: &str) -> Result<&'json str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {value}"))
}

/// Writes JSON to a file of the network's folder.
fn file(network: &Network, name: &str, value: &Value) -> Result<String> {
    let path = network.folder().join(name);
    std::fs::write(&path, value.to_string())?;
    Ok(path.to_str().context("a UTF-8 path")?.to_owned())
}

#[test]
fn enough_governors_change_a_parameter_that_bites_without_a_restart_and_nobody_else_does() -> Result<()> {
    let mut network = Network::prepare(401, |options| {
        options.parameters.governance.voting_period_ms = 60_000;
        options.parameters.governance.notice_blocks = 1;
        options.governor_threshold = 3;
    })?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let people = Wallet::create(&network, "people", 1)?;
    let governors: Vec<String> = network
        .kit
        .operators
        .iter()
        .enumerate()
        .map(|(index, party)| keys_of(&network, party, &format!("governor-{index}")))
        .collect::<Result<_>>()?;
    network.finalize(0, &network.kit.create_registry())?;
    let mut member = network.kit.company(1);
    let create = member.create_with(&network.kit, &network.kit.membership(&member));
    network.finalize(0, &create)?;
    let stranger = keys_of(&network, &member, "member")?;

    let change = json!({"type": "parameters", "quota": {"perGrant": 2, "windowMs": 3_600_000}});
    let change = file(&network, "change.json", &change)?;
    let propose = |keys: &str| {
        let title = ["governance", "propose", &change, "--title", "Two a window", "--after", "6"];
        people.run(&[&title[..], &["--keys", keys, "--yes"]].concat())
    };
    let refused = propose(&stranger)?;
    ensure!(refused.code == 4, "who is no governor proposed: {refused:?}");
    let proposed = propose(&governors[0])?.json()?;
    let proposal = text(&proposed, "/transaction")?.to_owned();
    let open = people.json(&["governance", "list"])?;
    ensure!(open["verified"] == true && open.to_string().contains(&proposal), "{open}");
    let vote =
        |keys: &str| people.run(&["governance", "vote", &proposal, "--approve", "--keys", keys, "--yes"]);
    for governor in &governors[..3] {
        vote(governor)?.json()?;
    }
    let twice = vote(&governors[0])?;
    ensure!(format!("{twice:?}").contains("governance.voted"), "{twice:?}");
    let refused = vote(&stranger)?;
    ensure!(refused.code == 4, "who is no governor voted: {refused:?}");
    eventually("the proposal is executed", PATIENCE, || {
        let shown = people.json(&["governance", "show", &proposal])?;
        Ok((shown["proposal"]["outcome"]["result"] == "executed").then_some(()))
    })?;
    let mut refusal = None;
    for revision in 2..6 {
        let update = member.update(&network.kit, network.kit.document(&member, revision));
        if let Err(error) = network.finalize(0, &update) {
            refusal = Some(format!("{error:?}"));
            break;
        }
    }
    let refusal = refusal.context("the quota did not bite")?;
    ensure!(refusal.contains("quota.exceeded"), "{refusal}");

    let told = people.json_lines(&["events", "--from", "0", "--type", "governance.*", "--wait", "3"])?;
    ensure!(told.len() >= 5 && told.iter().all(|event| event["verified"] == true), "{told:?}");
    let executed = told.iter().find(|event| event["event"]["type"] == "governance.decided");
    ensure!(executed.is_none_or(|event| event["transaction"].is_null()), "{executed:?}");
    Ok(())
}
