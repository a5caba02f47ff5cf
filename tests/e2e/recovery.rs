//! Joining by a snapshot, backups, restoring, and checking a folder, with real processes while work goes on.

use anyhow::{Context, Result, ensure};
use aval_machine::testkit::{Options, Party};
use aval_tests::network::{Network, PATIENCE};
use aval_tests::process::{eventually, program};
use aval_tests::writers::Writers;
use aval_types::NodeKind;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const EPOCH_BLOCKS: u64 = 15;

fn short_epochs(options: &mut Options) {
    options.parameters.heartbeat_ms = 500;
    options.parameters.validators.epoch_blocks = EPOCH_BLOCKS;
    options.parameters.validators.service_level_percent = 0;
}

/// Runs `avald` to its end.
fn avald(arguments: &[&str], paths: &[(&str, &Path)]) -> Result<Output> {
    let mut command = Command::new(program("avald")?);
    command.args(arguments);
    for (name, path) in paths {
        command.arg(name).arg(path);
    }
    Ok(command.output()?)
}

fn succeeded(output: &Output) -> Result<Value> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Four validators that offer a snapshot at the end of every second epoch, and members on the ledger.
fn start(seed: u64) -> Result<(Network, Vec<Party>)> {
    let mut network = Network::prepare(seed, short_epochs)?;
    for index in 0..network.size() {
        network
            .configure(index, |config| config["ledger"] = json!({ "snapshotHeights": 2 * EPOCH_BLOCKS }))?;
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let members = network.enrol_members(0..8)?;
    Ok((network, members))
}

/// Hands requests on to a node, and changes a byte of each chunk.
fn liar(node: &str) -> Result<String> {
    let target: SocketAddr = node.trim_start_matches("http://").parse()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    // Ends with the test's process: a few connections at most.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(64) {
            let _ = lie(stream, target);
        }
    });
    Ok(url)
}

fn lie(mut client: TcpStream, target: SocketAddr) -> Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let mut node = TcpStream::connect(target)?;
    node.write_all(&request)?;
    let mut answer = Vec::new();
    node.read_to_end(&mut answer)?;
    let is_chunk = request.windows(8).any(|window| window == b"/chunks?");
    if let Some(last) = answer.last_mut().filter(|_| is_chunk) {
        *last ^= 1;
    }
    Ok(client.write_all(&answer)?)
}

/// Registers an observer, and lays out its folder.
#[test]
fn a_node_joins_by_a_snapshot_under_load_past_a_liar_and_through_kills() -> Result<()> {
    let (mut network, members) = start(401)?;
    let observer = network.enrol_node(1, NodeKind::Observer, "north")?.index;
    let writers = Writers::start(&network, &[0], members.clone())?;
    network.wait_height(0, 2 * EPOCH_BLOCKS + 2)?;
    eventually("a snapshot is offered", PATIENCE, || {
        let list = network.get(0, "/v1/snapshots")?;
        Ok(list["snapshots"].as_array().is_some_and(|list| !list.is_empty()).then_some(()))
    })?;
    let join = json!([liar(&network.url(1))?, network.url(2), network.url(0)]);
    network.configure(observer, |config| config["peers"]["join"] = join)?;
    // Killed again and again while it joins.
    for pause_ms in [60, 150, 300] {
        network.start_node(observer)?;
        std::thread::sleep(Duration::from_millis(pause_ms));
        network.kill(observer);
    }
    network.start_node(observer)?;
    network.wait_node_ready(observer)?;
    let log = network.log(observer)?;
    ensure!(log.contains("the snapshot is installed"), "{log}");
    ensure!(log.contains("it lies") && log.contains("(proof.state)"), "the liar was not noticed: {log}");
    let written = writers.stop()?;
    ensure!(written > 0, "nothing was written");
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)?;
    // What it answers verifies from genesis.
    let verifying = network.verifying(observer)?;
    verifying.did_record(&members[0].did)?.value.context("the DID is on the ledger")?;
    // A whole epoch later it is still in step, and its folder is sound, as are the others'.
    network.wait_height(observer, height + EPOCH_BLOCKS + 1)?;
    for index in [observer, 0] {
        network.stop(index)?;
        let home = network.home(index);
        let report = succeeded(&avald(&["verify-data", "--json"], &[("--home", &home)])?)?;
        ensure!(report["ok"] == true && report["entries"].as_u64() > Some(20), "{report}");
    }
    Ok(())
}

#[test]
fn a_validator_restored_from_an_old_backup_follows_first_and_never_contradicts_itself() -> Result<()> {
    let (mut network, members) = start(402)?;
    let writers = Writers::start(&network, &[0], members)?;
    network.wait_height(1, EPOCH_BLOCKS)?;
    // While everybody runs: one of another node, and one of its own.
    let folder = network.folder().to_owned();
    let (other, own) = (folder.join("backup-of-1"), folder.join("backup-of-3"));
    for (index, to) in [(1, &other), (3, &own)] {
        let home = network.home(index);
        let made = succeeded(&avald(&["backup", "--json"], &[("--home", &home), ("--to", to)])?)?;
        ensure!(made["height"].as_u64() >= Some(EPOCH_BLOCKS - 2), "{made}");
        let checked = succeeded(&avald(&["verify-data", "--json"], &[("--backup", to)])?)?;
        ensure!(checked["ok"] == true && checked["witnesses"] == 0, "{checked}");
        ensure!(!to.join("node.key").exists(), "a backup has the key");
    }
    let again = avald(&["backup"], &[("--home", &network.home(1)), ("--to", &other)])?;
    ensure!(again.status.code() == Some(1), "a backup was written over another one");
    // The validator goes on, signs for some epochs more, and loses its disk.
    let (height, _) = network.head(3)?;
    network.wait_height(3, height + 2 * EPOCH_BLOCKS)?;
    network.kill(3);
    let (lost_at, _) = network.head(0)?;
    let home = network.home(3);
    let refused = avald(&["restore"], &[("--home", &home), ("--from", &other)])?;
    ensure!(refused.status.code() == Some(1), "a ledger was restored over another one");
    std::fs::rename(home.join("ledger"), folder.join("lost-ledger"))?;
    std::fs::rename(home.join("engine"), folder.join("lost-engine"))?;
    let restored = succeeded(&avald(&["restore", "--json"], &[("--home", &home), ("--from", &other)])?)?;
    ensure!(restored["ok"] == true && restored["height"].as_u64() < Some(lost_at), "{restored}");
    let join = network.url(0);
    network.configure(3, |config| config["peers"]["join"] = join.into())?;
    network.start_node(3)?;
    network.wait_node_ready(3)?;
    let status = network.get(3, "/v1/status")?;
    ensure!(status["epoch"]["votes"] == false, "it votes at once: {status}");
    let height = status["height"].as_u64().context("a height")?;
    ensure!(height >= lost_at.saturating_sub(1), "it is at {height}, and was at {lost_at}");
    eventually("the restored validator votes again", PATIENCE, || {
        let status = network.get(3, "/v1/status")?;
        Ok((status["epoch"]["votes"] == true).then_some(()))
    })?;
    // It votes for good: the network needs it when another one is gone.
    network.kill(2);
    let (height, _) = network.head(0)?;
    network.wait_height(0, height + EPOCH_BLOCKS)?;
    ensure!(writers.stop()? > 0, "nothing was written");
    for index in [0, 1] {
        let faults = network.get(index, "/v1/faults")?;
        ensure!(faults["faults"].as_array().is_some_and(Vec::is_empty), "{faults}");
    }
    // After a restart it does not have to wait again.
    network.stop(3)?;
    ensure!(!std::fs::read_to_string(home.join("engine/JOINED"))?.contains("restored"), "it forgot");
    network.ensure_agreement(height)
}

#[test]
fn a_backup_is_restored_to_a_height_and_a_damaged_one_is_refused() -> Result<()> {
    let (mut network, members) = start(403)?;
    Writers::start(&network, &[0], members)?.stop()?;
    network.wait_height(0, EPOCH_BLOCKS)?;
    let backup = network.folder().join("backup");
    for index in 0..4 {
        network.stop(index)?;
    }
    // A node that does not run is backed up as well.
    let made = succeeded(&avald(&["backup", "--json"], &[("--home", &network.home(0)), ("--to", &backup)])?)?;
    let newest = made["height"].as_u64().context("a height")?;
    let home = network.home(1);
    for folder in ["ledger", "engine"] {
        std::fs::remove_dir_all(home.join(folder))?;
    }
    let wanted = newest - 3;
    let height = wanted.to_string();
    let paths: [(&str, &Path); 2] = [("--home", &home), ("--from", &backup)];
    let absent = avald(&["restore", "--height", &(newest + 1).to_string()], &paths)?;
    ensure!(absent.status.code() == Some(5), "{absent:?}");
    // A flipped byte in any file is found before anything is changed.
    let table = std::fs::read_dir(backup.join("ledger/db"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "sst"))
        .context("a table")?;
    let whole = std::fs::read(&table)?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::remove_file(&table)?;
    std::fs::write(&table, &damaged)?;
    let refused = avald(&["restore"], &paths)?;
    ensure!(refused.status.code() == Some(3), "{refused:?}");
    let name = table.file_name().context("a name")?.to_string_lossy().into_owned();
    ensure!(String::from_utf8_lossy(&refused.stderr).contains(&name), "{refused:?}");
    ensure!(!home.join("ledger").exists(), "something was restored");
    std::fs::write(&table, &whole)?;
    let restored = succeeded(&avald(&["restore", "--json", "--height", &height], &paths)?)?;
    ensure!(restored["height"] == wanted && restored["ok"] == true, "{restored}");
    // A damaged folder is named too, and never opened as if it were sound.
    let ledger = home.join("ledger/db");
    for path in std::fs::read_dir(&ledger)?.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "sst") {
            let mut bytes = std::fs::read(&path)?;
            let middle = bytes.len() / 3;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes)?;
        }
    }
    let found = avald(&["verify-data", "--json"], &[("--home", &home)])?;
    ensure!(found.status.code() == Some(3), "{found:?}");
    let report: Value = serde_json::from_slice(&found.stdout)?;
    ensure!(report["damages"].to_string().contains(".sst"), "{report}");
    Ok(())
}
