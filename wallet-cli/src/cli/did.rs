//! DIDs on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

/// `aval did …`
#[derive(Debug, Subcommand)]
pub enum DidCommand {
    /// Make a DID and put it on the ledger
    Create(CreateArgs),
    /// Ask the ledger for a DID's document, with proof
    Resolve(ResolveArgs),
    /// Change services or alsoKnownAs of a DID
    Update(UpdateArgs),
    /// Exchange the control keys of a DID, and on request its document keys
    Rotate(RotateArgs),
    /// End a DID for good
    Deactivate(DeactivateArgs),
    /// DIDs of this vault
    List,
    /// Finish what was interrupted: find out what became of pending operations
    Sync,
}

/// `aval did create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Membership credential to present [default: the only one that fits]
    #[arg(long, value_name = "ID", conflicts_with = "endorser")]
    pub credential: Option<String>,
    /// Let this DID endorse the creation instead: a DID of this vault signs at once, for any other one the
    /// transaction is written to --out and its owner runs `aval tx endorse`
    #[arg(long, value_name = "DID-OR-KID")]
    pub endorser: Option<String>,
    /// Where to write the transaction that waits for its endorser
    #[arg(long, value_name = "FILE", requires = "endorser")]
    pub out: Option<PathBuf>,
    /// A service in the document, as ID=TYPE=URL; may be repeated
    #[arg(long = "service", value_name = "ID=TYPE=URL")]
    pub services: Vec<ServiceArg>,
    /// Another identifier of the same subject; may be repeated
    #[arg(long = "also-known-as", value_name = "URI")]
    pub also_known_as: Vec<String>,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
    /// Show the DID as a QR code, too
    #[arg(long)]
    pub qr: bool,
}

/// `aval did resolve`
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The DID
    pub did: String,
    /// The version to resolve, as `<n>-<hash>`
    #[arg(long, value_name = "VERSION", conflicts_with = "version_time")]
    pub version_id: Option<String>,
    /// The version that was valid at a time, as 2026-11-22T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub version_time: Option<String>,
    /// Write the proof to a file that `aval proof verify` reads
    #[arg(long, value_name = "FILE")]
    pub proof_out: Option<PathBuf>,
    /// Show the DID as a QR code, too
    #[arg(long)]
    pub qr: bool,
}

/// `aval did update`
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The DID [default: the only one of this vault]
    pub did: Option<String>,
    /// Add or replace a service, as ID=TYPE=URL; may be repeated
    #[arg(long = "service", value_name = "ID=TYPE=URL")]
    pub services: Vec<ServiceArg>,
    /// Remove a service by its id; may be repeated
    #[arg(long = "remove-service", value_name = "ID")]
    pub remove_services: Vec<String>,
    /// Replace alsoKnownAs; may be repeated
    #[arg(long = "also-known-as", value_name = "URI")]
    pub also_known_as: Vec<String>,
    /// Let this DID endorse the update; see `aval did create --help`
    #[arg(long, value_name = "DID-OR-KID")]
    pub endorser: Option<String>,
    /// Where to write the transaction that waits for its endorser
    #[arg(long, value_name = "FILE", requires = "endorser")]
    pub out: Option<PathBuf>,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
}

/// `aval did rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The DID [default: the only one of this vault]
    pub did: Option<String>,
    /// Exchange the document's keys, too. A credential bound to an old one can then no longer be presented
    #[arg(long)]
    pub document_keys: bool,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
}

/// `aval did deactivate`
#[derive(Debug, Args)]
pub struct DeactivateArgs {
    /// The DID; it has to be named
    pub did: String,
    /// Agree beforehand
    #[arg(long, short)]
    pub yes: bool,
}

/// A service of a DID document on the command line: `ID=TYPE=URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceArg {
    /// The fragment, with its `#`.
    pub id: String,
    /// The type.
    pub kind: String,
    /// Where it is.
    pub endpoint: String,
}

impl FromStr for ServiceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(kind), Some(endpoint))
                if !id.is_empty() && !kind.is_empty() && !endpoint.is_empty() =>
            {
                let id = id.strip_prefix('#').unwrap_or(id);
                Ok(Self { id: format!("#{id}"), kind: kind.to_owned(), endpoint: endpoint.to_owned() })
            }
            _ => {
                Err("a service is written as ID=TYPE=URL, for example hub=LinkedDomains=https://example.com"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_id_type_and_url_and_the_url_may_hold_equals_signs() {
        let service: ServiceArg = "hub=LinkedDomains=https://example.com/?a=b".parse().unwrap();
        assert_eq!(service.id, "#hub");
        assert_eq!(service.endpoint, "https://example.com/?a=b");
        assert_eq!("#hub=T=https://x".parse::<ServiceArg>().unwrap().id, "#hub");
        for bad in ["", "hub", "hub=T", "=T=https://x", "hub==https://x", "hub=T="] {
            assert!(bad.parse::<ServiceArg>().is_err(), "{bad}");
        }
    }
}
