//! `aval audit …`: whole ranges of the ledger in a file, and what the file proves.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use aval_codec::Hash;
use aval_proof::ProofError;
use aval_proof::audit::{AUDIT_LINE_BYTES_MAX, AuditError, AuditReport, AuditVerifier, UNSHOWN};
use serde_json::{Value, json};

use crate::acting::Actor;
use crate::app::App;
use crate::cli::{ActorArgs, AuditCommand};
use crate::error::WalletError;
use crate::node::{expect_key, signer};
use crate::output::{Text, date_time};

pub(crate) fn run(app: &App, command: AuditCommand) -> Result<(), WalletError> {
    match command {
        AuditCommand::Export { from, to, out, node_key, actor } => {
            let range = Range { from, to, node_key: node_key.as_deref() };
            export(app, &range, &out, &actor)
        }
        AuditCommand::Verify { file, expect } => verify(app, &file, expect.as_deref()),
    }
}

struct Range<'a> {
    from: u64,
    to: Option<u64>,
    node_key: Option<&'a str>,
}

/// Writes segment after segment, and checks what it writes: a bundle that does not hold is no bundle.
fn export(app: &App, range: &Range<'_>, out: &Path, arguments: &ActorArgs) -> Result<(), WalletError> {
    let connection = app.connection()?;
    let (network, ledger) = (connection.network_id()?, connection.ledger()?);
    let node = ledger.node();
    let status = node.status()?;
    expect_key(&status.key, range.node_key, node.address())?;
    let to = match range.to {
        Some(to) => to,
        None => node.checkpoint()?.header.height,
    };
    let actor = Actor::find(app, arguments, &network, &ledger)?;
    let sign = signer(&actor, status.key)?;
    let io = |action| move |source| WalletError::io(action, out.display().to_string(), source);
    let mut file = BufWriter::new(File::create_new(out).map_err(io("write the new file"))?);
    let mut verifier = AuditVerifier::new(Some(network.genesis()));
    let mut next = range.from;
    while next <= to {
        let mut lines = BufReader::new(node.export(next, to, &sign)?);
        let mut end = None;
        while let Some(line) = read_line(&mut lines)? {
            verifier.line(&line).map_err(|error| not_valid(&error))?;
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).map_err(io("write"))?;
            end = serde_json::from_slice::<Value>(&line)
                .ok()
                .filter(|line| line["type"] == "end")
                .and_then(|line| line["to"].as_u64());
        }
        let reached = end.filter(|reached| *reached >= next).ok_or_else(|| {
            WalletError::TryLater(format!(
                "the export broke off at height {next}; {} is not whole",
                out.display()
            ))
        })?;
        next = reached.saturating_add(1);
        app.output.note(&format!("exported up to height {reached} of {to}"));
    }
    let file = file.into_inner().map_err(|error| error.into_error());
    file.and_then(|file| file.sync_all()).map_err(io("write"))?;
    let report = verifier.finish().map_err(|error| not_valid(&error))?;
    let mut value = written(&report);
    value["file"] = json!(out.display().to_string());
    app.output.data(&value, |text| {
        text.done(&format!("exported to {}, and verified", out.display()));
        describe(text, &report);
    })
}

/// A line without its end; `None` at the end of the input, which must be the end of a line.
fn read_line(lines: &mut impl BufRead) -> Result<Option<Vec<u8>>, WalletError> {
    let mut line = Vec::new();
    let limit = AUDIT_LINE_BYTES_MAX as u64 + 1;
    let read = lines.by_ref().take(limit).read_until(b'\n', &mut line);
    match read.map_err(|source| WalletError::io("read", "the bundle", source))? {
        0 => Ok(None),
        _ if line.pop() == Some(b'\n') => Ok(Some(line)),
        _ => Err(WalletError::Invalid { code: "proof.audit", message: "the bundle is cut off".to_owned() }),
    }
}

fn not_valid(error: &AuditError) -> WalletError {
    match error.error {
        ref other if !other.is_invalid() => {
            WalletError::Failed(format!("the bundle cannot be read: {error}"))
        }
        ref other => {
            WalletError::Invalid { code: other.code(), message: format!("the bundle does not hold: {error}") }
        }
    }
}

fn verify(app: &App, file: &Path, expect: Option<&str>) -> Result<(), WalletError> {
    let expected: Hash = match expect {
        Some(text) => text.parse().map_err(|_| {
            WalletError::Usage("a genesis hash is 64 lowercase hexadecimal digits".to_owned())
        })?,
        None => app.connection()?.genesis()?.hash(),
    };
    let opened = File::open(file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => WalletError::NotFound(format!("there is no file {}", file.display())),
        _ => WalletError::io("read", file.display().to_string(), source),
    })?;
    match check(BufReader::new(opened), expected) {
        Ok(report) => app.output.data(&written(&report), |text| {
            text.done("valid");
            describe(text, &report);
        }),
        Err(WalletError::Invalid { code, message }) => {
            let value =
                json!({"valid": false, "code": code, "reason": message, "genesis": expected.to_string()});
            app.output.data(&value, |text| {
                text.failed(&format!("not valid: {message}"));
                text.field("code", code);
            })?;
            Err(WalletError::Invalid { code, message: "the bundle does not hold".to_owned() })
        }
        Err(error) => Err(error),
    }
}

fn check(mut lines: impl BufRead, expected: Hash) -> Result<AuditReport, WalletError> {
    let mut verifier = AuditVerifier::new(Some(expected));
    while let Some(line) = read_line(&mut lines)? {
        verifier.line(&line).map_err(|error| match error.error {
            // A bundle is a claim as a whole: what cannot be read in it is as wrong as what does not hold.
            ProofError::Malformed(_) => {
                WalletError::Invalid { code: error.error.code(), message: error.to_string() }
            }
            _ => not_valid(&error),
        })?;
    }
    verifier.finish().map_err(|error| not_valid(&error))
}

fn written(report: &AuditReport) -> Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    value["valid"] = json!(true);
    value["notShown"] = json!(UNSHOWN);
    value
}

fn describe(text: &mut Text, report: &AuditReport) {
    text.field("network", &report.network.to_string());
    text.field("range", &format!("heights {} to {}", report.from, report.to));
    text.field("from", &date_time(report.from_time));
    text.field("to", &date_time(report.to_time));
    text.field("transactions", &format!("{} applied, {} rejected", report.applied, report.rejected));
    text.field("certificates", &report.certificates.to_string());
    text.field("set changes", &report.set_changes.to_string());
    for (kind, count) in &report.events {
        text.field(kind, &count.to_string());
    }
    text.field("last digest", &report.digest.to_string());
    text.field("last state root", &report.state_root.to_string());
    text.line("What no bundle shows:");
    for unshown in UNSHOWN {
        text.field("-", unshown);
    }
}
