//! Supervision on the command line.

use std::str::FromStr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::ActorArgs;

/// `aval supervision …`
#[derive(Debug, Subcommand)]
pub enum SupervisionCommand {
    /// Stop a DID, or a kind of action, for a time
    Hold {
        /// A DID, `action:<kind>` such as `action:registry.update`, or `node:<key>`
        target: TargetArg,
        /// Why
        #[arg(long)]
        reason: String,
        /// The law or rule that it stands on
        #[arg(long)]
        legal_basis: String,
        /// How long, in minutes
        #[arg(long, value_name = "MINUTES", default_value_t = 24 * 60)]
        minutes: u64,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// End a hold
    Release {
        /// The hold: the id of the transaction that placed it
        hold: String,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Shut out a DID or a node key
    Deny {
        /// A DID, or `node:<key>`
        target: TargetArg,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Take a denial back
    Allow {
        /// A DID, or `node:<key>`
        target: TargetArg,
        /// Who acts.
        #[command(flatten)]
        actor: ActorArgs,
    },
    /// Holds in force
    List,
}

/// What a supervisor acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetArg {
    /// A DID.
    Did(String),
    /// A kind of action.
    Action(String),
    /// A node's network key.
    Node(String),
}

impl TargetArg {
    /// As actions have it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Did(did) => json!({"did": did}),
            Self::Action(kind) => json!({"action": kind}),
            Self::Node(key) => json!({"node": key}),
        }
    }
}

impl FromStr for TargetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("action", kind)) if !kind.is_empty() => Ok(Self::Action(kind.to_owned())),
            Some(("node", key)) if !key.is_empty() => Ok(Self::Node(key.to_owned())),
            Some(("did", _)) => Ok(Self::Did(text.to_owned())),
            _ => Err("a target is a DID, action:<kind> or node:<key>".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_did_an_action_or_a_node() {
        assert_eq!("did:aval:x:Qm".parse::<TargetArg>().unwrap().to_json(), json!({"did": "did:aval:x:Qm"}));
        let action: TargetArg = "action:registry.update".parse().unwrap();
        assert_eq!(action.to_json(), json!({"action": "registry.update"}));
        assert_eq!("node:z6Mk".parse::<TargetArg>().unwrap().to_json(), json!({"node": "z6Mk"}));
        for bad in ["", "z6Mk", "action:", "node:", "key:x"] {
            assert!(bad.parse::<TargetArg>().is_err(), "{bad}");
        }
    }
}
