//! `avald init`: makes a node's folder with a key of its own.
//!
//! Nothing that exists is touched. The public key on stdout is what the operator hands to those who write the genesis
//! file; the secret stays in the key file.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::output;
use crate::config::{self, Config, GENESIS_FILE, Home};
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::key_file;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The network's genesis file, copied into the folder. Without one, put it there before the start.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Address and port of the REST interface.
    #[arg(long, value_name = "ADDRESS")]
    api: Option<std::net::SocketAddr>,
    /// Address and port of the interface for the operator; without one there is none.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<std::net::SocketAddr>,
    /// Address and port for the other validators, if not the one in the genesis file.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let genesis = arguments.genesis.as_deref().map(GenesisFile::read).transpose()?;
    let mut config = Config::default();
    if let Some(address) = arguments.api {
        config.api.listen = address;
    }
    config.admin.listen = arguments.admin;
    config.peers.listen = arguments.listen;
    let home = make(&arguments.home, config, genesis.as_ref())?;
    let key = key_file::read(&home.key_file())?;
    let is_validator = genesis.as_ref().map(|genesis| genesis.validator(&key.public()).is_some());
    let public = key.public().to_multikey();
    if arguments.json {
        output::json(&json!({
            "home": home.path(),
            "key": public,
            "genesis": genesis.as_ref().map(|genesis| genesis.hash),
            "validator": is_validator,
        }));
    } else {
        output::data(&public);
    }
    match is_validator {
        None => output::talk(&format!(
            "Made {}. Give the key above to those who write the genesis file, put that file at {}, then: avald start --home {}",
            home.path().display(),
            home.genesis_file().display(),
            home.path().display()
        )),
        Some(false) => output::talk(
            "Made the folder. The genesis file does not list the key above: its operator has to register it on the ledger, \
             then: avald start --join URL of any node",
        ),
        Some(true) => {
            output::talk(&format!("Made the folder. Next: avald start --home {}", home.path().display()))
        }
    }
    Ok(())
}

/// Makes the folder, the key and the configuration. Refuses a folder that holds a configuration or key already.
fn make(path: &std::path::Path, config: Config, genesis: Option<&GenesisFile>) -> Result<Home, Fault> {
    std::fs::create_dir_all(path).map_err(|error| file_fault("the node's folder", path, &error))?;
    let home = Home::new(path, config);
    for file in [path.join(config::CONFIG_FILE), home.key_file(), path.join(GENESIS_FILE)] {
        let replaced = !file.ends_with(GENESIS_FILE) || genesis.is_some();
        if replaced && file.exists() {
            return Err(Fault::failed(format!(
                "{} exists already and is left as it is: choose another folder",
                file.display()
            )));
        }
    }
    key_file::generate(&home.key_file())?;
    if let Some(genesis) = genesis {
        config::write_new(&path.join(GENESIS_FILE), &genesis.bytes, 0o644)?;
    }
    home.write()?;
    Ok(home)
}
