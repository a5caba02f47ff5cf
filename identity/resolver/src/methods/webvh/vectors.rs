//! Logs that other implementations wrote: the folder `vectors` of the public did:webvh test suite, if
//! `AVAL_WEBVH_VECTORS` names a copy of it (tests/conformance/README.md). Without it nothing is tested, and
//! that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Log, select};
use crate::Version;
use crate::methods::location;

/// Logs of the suite that break the text of the method, and are refused here: witnesses that are no DIDs, and an entry
/// with new witnesses that only these approve, while the text has the ones before it do so.
const AGAINST_THE_TEXT: [&str; 4] =
    ["witness-threshold/rust", "witness-update/rust", "witness-update/java", "witness-update/ts"];

/// The folders of a folder, sorted.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn verified(folder: &Path, scid: &str) -> Log {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut log = Log::verify(&fs::read(folder.join("did.jsonl")).unwrap(), scid, now_s);
    if log.needs_witnesses() {
        let proofs = fs::read(folder.join("did-witness.json")).unwrap_or_else(|_| b"[]".to_vec());
        log.check_witnesses(&proofs, now_s);
    }
    log
}

/// Checks the log of one implementation for one scenario; gives what is wrong.
fn check_good(folder: &Path) -> Result<usize, String> {
    let mut checked = 0;
    let names = ["resolutionResult.json", "resolutionResult.1.json", "resolutionResult.2.json"];
    for name in names.iter().filter(|name| folder.join(name).exists()) {
        let result: Value = serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap();
        let metadata = &result["didDocumentMetadata"];
        // Where an implementation did not resolve its own log, there is nothing to compare with.
        let Some(version_id) = metadata["versionId"].as_str() else { continue };
        let text = fs::read_to_string(folder.join("did.jsonl")).unwrap();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let scid = first["parameters"]["scid"].as_str().unwrap();
        let log = verified(folder, scid);
        let last = log.entries.last().ok_or_else(|| format!("{:?}", log.broken))?;
        let did = last.id().to_owned();
        let newest = last.version_id == version_id;
        let version = if newest { Version::Latest } else { Version::Id(version_id.to_owned()) };
        let resolved = select(&log, &did, scid, &version).map_err(|error| error.to_string())?;
        if resolved.metadata["versionId"] != *version_id {
            return Err(format!("{name}: another version"));
        }
        let deactivated = metadata["deactivated"].as_bool().unwrap_or_default();
        if resolved.is_deactivated() != deactivated {
            return Err(format!("{name}: deactivated is not {deactivated}"));
        }
        checked += 1;
    }
    Ok(checked)
}

/// A log that must not resolve, whichever of its identifiers is asked for.
fn check_bad(folder: &Path) -> Result<usize, String> {
    let text = fs::read_to_string(folder.join("did.jsonl")).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut checked = 0;
    for entry in &entries {
        let Some(did) = entry["state"]["id"].as_str() else { continue };
        let scid = did.split(':').nth(2).unwrap_or_default();
        let log = verified(folder, scid);
        if let Ok(resolved) = select(&log, did, scid, &Version::Latest) {
            return Err(format!("{did} resolves to {:?}", resolved.metadata["versionId"]));
        }
        checked += 1;
    }
    Ok(checked)
}

#[test]
fn logs_of_other_implementations_verify_and_those_that_must_not_do_not() {
    let Some(root) = std::env::var_os("AVAL_WEBVH_VECTORS").map(PathBuf::from) else {
        println!("skipped: no vectors of did:webvh; AVAL_WEBVH_VECTORS names no folder");
        return;
    };
    let (mut good, mut bad, mut literal, mut wrong) = (0, 0, 0, Vec::new());
    for scenario in folders(&root) {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let negative = name.starts_with("negative-");
        for log in folders(&scenario).into_iter().filter(|folder| folder.join("did.jsonl").exists()) {
            let against = AGAINST_THE_TEXT.iter().any(|known| log.ends_with(known));
            let checked = if negative || against { check_bad(&log) } else { check_good(&log) };
            match checked {
                Ok(count) if negative || against => bad += count,
                Ok(count) => good += count,
                Err(reason) => wrong.push(format!("{}: {reason}", log.display())),
            }
        }
        // Scenarios in which the identifier alone is the attack.
        let script = fs::read_to_string(scenario.join("script.yaml")).unwrap_or_default();
        let asked = script.lines().filter_map(|line| line.trim().strip_prefix("did:")).map(str::trim);
        for did in
            asked.map(|did| did.trim_matches('"')).filter(|did| negative && did.starts_with("did:webvh:"))
        {
            literal += 1;
            let place = did.splitn(4, ':').nth(3).unwrap_or_default();
            let is_did = aval_did::syntax::is_did(did);
            if is_did && location::url_of(place, "did.jsonl", |_| false).is_ok() {
                wrong.push(format!("{name}: {did} names a place"));
            }
        }
    }
    println!("{good} results, {bad} logs and {literal} identifiers that must be refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good > 0 && bad > 0 && literal > 0, "the folder holds no vectors");
}
