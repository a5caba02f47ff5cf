//! Credentials on the command line.

use clap::Subcommand;

/// `aval credential …`
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Receive a credential that an issuer offers
    ///
    /// Some issuers want their user at a page of theirs first: then the wallet names its address, and waits for the
    /// browser to come back to this machine.
    Receive {
        /// The offer, `openid-credential-offer://…`
        #[arg(value_name = "OFFER-URI")]
        offer: String,
        /// The transaction code that the issuer sent on another way [default: ask]
        #[arg(long, value_name = "CODE")]
        tx_code: Option<String>,
        /// File whose first line is the transaction code
        #[arg(long, value_name = "FILE", conflicts_with = "tx_code")]
        tx_code_file: Option<std::path::PathBuf>,
        /// Bind the credential to a DID of this vault instead of a fresh key
        #[arg(long)]
        did: Option<String>,
        /// Which of the offered credentials, by its configuration id
        #[arg(long, value_name = "ID")]
        configuration: Option<String>,
        /// Agree beforehand
        #[arg(long, short)]
        yes: bool,
    },
    /// Credentials in the vault
    List,
    /// A credential with its claims
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// Print the SD-JWT as it was received
        #[arg(long)]
        raw: bool,
    },
    /// Present a credential to the ledger for a DID that exists, which makes a grant
    Present {
        /// Its id, or the beginning of it
        id: String,
        /// The DID that the credential is bound to
        #[arg(long)]
        did: Option<String>,
        /// Agree beforehand
        #[arg(long, short)]
        yes: bool,
    },
}
