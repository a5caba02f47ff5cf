//! Events on the command line.

use clap::Args;

/// `aval events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// The height to begin with [default: the next block]
    #[arg(long, value_name = "HEIGHT", conflicts_with = "after")]
    pub from: Option<u64>,
    /// Go on after the last id that was seen
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
    /// Only events of this type, such as `did.created` or `governance.*`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub kinds: Vec<String>,
    /// Only events that name this DID
    #[arg(long)]
    pub did: Option<String>,
    /// Only events of this issuer
    #[arg(long, value_name = "DID")]
    pub issuer: Option<String>,
    /// Only events of this status registry
    #[arg(long, value_name = "ID")]
    pub registry: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<usize>,
    /// End when nothing came for so many seconds [default: go on until interrupted]
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u64>,
}
