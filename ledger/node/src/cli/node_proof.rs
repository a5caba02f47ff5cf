//! `avald node-proof`: the node key's word on who operates it, for `aval node register`.
//!
//! The ledger registers a key only with this signature, so nobody can register another's key. It names the network
//! and the operator and is no secret.

use std::path::PathBuf;

use aval_codec::b64u;
use aval_did::{Did, PublicKey};
use aval_types::node::{Possession, key_bytes};
use clap::Args;
use serde_json::json;

use super::output;
use crate::config::Home;
use crate::fault::Fault;
use crate::genesis_file::GenesisFile;
use crate::key_file;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's folder, made by `avald init`.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The DID that will answer for the node.
    #[arg(long, value_name = "DID")]
    operator: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let home = Home::open(&arguments.home)?;
    let genesis = GenesisFile::read(&home.genesis_file())?;
    let operator: Did = arguments
        .operator
        .parse()
        .map_err(|_| Fault::usage(format!("--operator {} is not a DID of the ledger", arguments.operator)))?;
    if operator.network() != genesis.network.label() {
        return Err(Fault::usage(format!(
            "--operator {operator} is of another network than {}",
            genesis.network
        )));
    }
    let key = key_file::read(&home.key_file())?;
    let public: PublicKey = key.public();
    let bytes = key_bytes(&public)
        .ok_or_else(|| Fault::invalid(format!("{} holds no Ed25519 key", home.key_file().display())))?;
    let signature = key.sign(&Possession::signed_bytes(&genesis.network, &operator, &bytes));
    output::json(&json!({
        "key": public.to_multikey(),
        "operator": operator,
        "proof": b64u::encode(signature),
    }));
    Ok(())
}
