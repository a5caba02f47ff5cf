//! From options to a client: whom to ask, and what to trust.

use std::sync::Arc;

use aval_client::{
    CheckpointStore as _, ClientOptions, FileCheckpoints, NodeClient, TrustNode, TrustedGenesis,
    VerifyingClient,
};
use aval_proof::Checkpoint;
use aval_types::NetworkId;

use super::{Profile, Profiles, load_genesis};
use crate::cli::GlobalArgs;
use crate::error::WalletError;
use crate::home::{self, Home};
use crate::ledger::Ledger;

/// What the global options say about the network: whom to ask and what to trust.
#[derive(Debug)]
pub struct Connection {
    /// The pinned genesis; none only under `--trust-node`.
    genesis: Option<TrustedGenesis>,
    node: Option<String>,
    trust_node: bool,
    options: ClientOptions,
    home: Home,
}

impl Connection {
    /// Combines the profile with `--genesis`, `--node` and `--trust-node`.
    pub fn from_options(global: &GlobalArgs, home: &Home) -> Result<Self, WalletError> {
        let profiles = Profiles::new(home);
        // With both given there is nothing to look up.
        let profile = match (&global.genesis, &global.node, &global.network) {
            (Some(_), Some(_), None) => None,
            (_, _, named) => profiles.select(named.as_deref())?,
        };
        let genesis = match (&global.genesis, &profile) {
            (Some(path), _) => Some(load_genesis(path)?),
            (None, Some(profile)) => Some(profiles.genesis(profile)?),
            (None, None) => None,
        };
        // A node of a profile speaks for the genesis of that profile only.
        let node = global.node.clone().or_else(|| {
            let same = |profile: &&Profile| genesis.as_ref().is_some_and(|own| own.hash() == profile.genesis);
            profile.as_ref().filter(same).map(|profile| profile.node.clone())
        });
        let options = ClientOptions { allow_http: global.allow_http, ..ClientOptions::default() };
        Ok(Self { genesis, node, trust_node: global.trust_node, options, home: home.clone() })
    }

    /// The pinned genesis.
    pub fn genesis(&self) -> Result<&TrustedGenesis, WalletError> {
        self.genesis.as_ref().ok_or_else(|| {
            WalletError::Usage(
                "no network is trusted yet: run `aval network add --genesis FILE --node URL`, or give --genesis"
                    .to_owned(),
            )
        })
    }

    /// The network's name in transactions.
    pub fn network_id(&self) -> Result<NetworkId, WalletError> {
        Ok(self.genesis()?.network().clone())
    }

    /// A client that believes nothing without proof.
    pub fn verifying(&self) -> Result<VerifyingClient, WalletError> {
        let genesis = self.genesis()?;
        let checkpoints = Arc::new(self.checkpoints()?);
        Ok(VerifyingClient::new(self.node()?, genesis, checkpoints)?)
    }

    /// The newest verified block of the pinned network.
    pub fn checkpoints(&self) -> Result<FileCheckpoints, WalletError> {
        let path = self.home.checkpoint(self.genesis()?.hash());
        if let Some(folder) = path.parent() {
            home::make_folder(folder)?;
        }
        Ok(FileCheckpoints::new(path))
    }

    /// What is known of that block, without a trace on the disk.
    pub fn known_checkpoint(&self) -> Result<Option<Checkpoint>, WalletError> {
        let path = self.home.checkpoint(self.genesis()?.hash());
        Ok(FileCheckpoints::new(path).load()?)
    }

    /// The client that the options ask for.
    pub fn ledger(&self) -> Result<Ledger, WalletError> {
        if self.trust_node {
            return Ok(Ledger::Trusting(TrustNode::new(self.node()?)));
        }
        Ok(Ledger::Verifying(Box::new(self.verifying()?)))
    }

    /// Whether the user asked to believe the node.
    pub fn trusts_node(&self) -> bool {
        self.trust_node
    }

    /// The connection alone.
    pub fn node(&self) -> Result<NodeClient, WalletError> {
        let address = self.node.as_deref().ok_or_else(|| {
            WalletError::Usage(
                "no node is named: add a profile with `aval network add`, or give --node".to_owned(),
            )
        })?;
        Ok(NodeClient::new(address, &self.options)?)
    }
}
