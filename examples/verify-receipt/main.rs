//! Verifies a receipt offline: `aval-example-verify-receipt GENESIS.json PROOF.json`.
//!
//! All that is trusted is the genesis file, whose SHA-256 people have compared. The node that served the
//! proof is not, and no network is used. Exit codes: 0 verified, 3 checked and wrong, 1 could not be checked.

use anyhow::{Context, Result};
use aval_proof::{LedgerProof, Proven, TrustAnchor};
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let (Some(genesis), Some(proof)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: aval-example-verify-receipt GENESIS.json PROOF.json");
        return Ok(ExitCode::from(2));
    };
    let genesis = std::fs::read(&genesis).with_context(|| format!("reading {genesis}"))?;
    let proof = std::fs::read(&proof).with_context(|| format!("reading {proof}"))?;

    let anchor = TrustAnchor::from_genesis(&genesis)?;
    let proof = LedgerProof::from_json(&proof)?;
    let verified = match proof.verify_past(&anchor) {
        Ok(verified) => verified,
        Err(error) if error.is_invalid() => {
            eprintln!("invalid: {error}");
            return Ok(ExitCode::from(3));
        }
        Err(error) => return Err(error.into()),
    };
    println!("final at height {}, time {} ms", verified.height(), verified.time_ms());
    match verified.proven() {
        Proven::Receipt(receipt) => println!("transaction {}: {:?}", receipt.transaction, receipt.outcome),
        Proven::State { key, value: Some(value) } => println!("{key} = {}", String::from_utf8_lossy(value)),
        Proven::State { key, value: None } => println!("{key} is absent"),
        Proven::BlockReceipt(receipt) => println!("the block's own: {:?}", receipt.events),
        Proven::Header => println!("the header alone"),
    }
    Ok(ExitCode::SUCCESS)
}
