//! The issuer's side of the ledger: its accreditation, its status registry, and the transactions that change the latter.
//!
//! Everything read is verified against the genesis file; what the node says without proof decides nothing.

use crate::config::Config;
use crate::keys::IssuerKeys;
use aval_client::{
    ClientError, ClientOptions, FileCheckpoints, NodeClient, Outcome, TrustedGenesis, VerifyingClient,
};
use aval_types::action::{Action, RegistryCreate, RegistryUpdate, StatusChange};
use aval_types::genesis::Issuer;
use aval_types::registry::{Purpose, RegistryId, RegistryRecord};
use aval_types::transaction::{KeyId, TransactionBuilder};
use aval_types::{NetworkId, SubmittedTransaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long the service waits for a transaction of its own to become final.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can go wrong between the issuer and the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The node could not be asked, or its answer was wrong.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The ledger said no.
    #[error("{detail} ({code})")]
    Refused {
        /// The ledger's code.
        code: String,
        /// The ledger's reason.
        detail: String,
    },
    /// The issuer's DID is not accredited for what it wants to issue.
    #[error("{did} is not accredited for {credential_type} on this ledger; governance has to accredit it")]
    NotAccredited {
        /// The issuer.
        did: String,
        /// The credential type.
        credential_type: String,
    },
    /// The registry exists with another shape than the configuration says.
    #[error("the registry {0} on the ledger is not the configured one; choose another registry name")]
    RegistryDiffers(String),
    /// A record on the ledger cannot be read by this version.
    #[error("the ledger's record {0} cannot be read; this program may be too old for the network")]
    Unreadable(String),
    /// A transaction could not be made from the issuer's keys.
    #[error("the transaction could not be signed: {0}")]
    Sign(String),
    /// The work was stopped.
    #[error("the work on the ledger was interrupted")]
    Interrupted,
}

impl LedgerError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Client(error) => error.code(),
            Self::Refused { code, .. } => code,
            Self::NotAccredited { .. } => "issuer.not_accredited",
            Self::RegistryDiffers(_) => "issuer.registry_differs",
            Self::Unreadable(_) => "issuer.ledger_unreadable",
            Self::Sign(_) => "issuer.sign",
            Self::Interrupted => "service.interrupted",
        }
    }
}

/// The issuer's connection to the ledger. Cheap to clone; its calls block.
#[derive(Clone)]
pub struct Ledger {
    client: VerifyingClient,
    network: NetworkId,
    keys: Arc<IssuerKeys>,
    registry: RegistryId,
    list: String,
}

impl Ledger {
    /// Trusts the genesis file and speaks to the configured node. Nothing is asked yet.
    pub fn open(
        config: &Config,
        genesis: &[u8],
        checkpoint: &Path,
        keys: Arc<IssuerKeys>,
    ) -> anyhow::Result<Self> {
        let genesis = TrustedGenesis::parse(genesis.to_vec())?;
        let node = NodeClient::new(&config.node, &ClientOptions::default())?;
        let client = VerifyingClient::new(node, &genesis, Arc::new(FileCheckpoints::new(checkpoint)))?;
        let registry = RegistryId::new(keys.did.clone(), &config.registry.name)
            .ok_or_else(|| anyhow::anyhow!("the registry's name must be 1 to 32 of a-z, 0-9 and -"))?;
        Ok(Self { client, network: genesis.network().clone(), keys, registry, list: config.list_uri() })
    }

    /// The client, for reads.
    pub fn client(&self) -> &VerifyingClient {
        &self.client
    }

    /// The roles that the issuer may give in credentials of a type, as the ledger has it now.
    pub fn accredited_roles(&self, credential_type: &str) -> Result<Vec<String>, LedgerError> {
        let key = format!("issuer/{}", self.keys.did);
        let missing = || LedgerError::NotAccredited {
            did: self.keys.did.to_string(),
            credential_type: credential_type.to_owned(),
        };
        let value = self.client.state(&key)?.value.ok_or_else(missing)?;
        let record: Issuer =
            serde_json::from_slice(&value).map_err(|_| LedgerError::Unreadable(key.clone()))?;
        let kind = record.types.into_iter().find(|kind| kind.credential_type == credential_type);
        Ok(kind.ok_or_else(missing)?.roles)
    }

    /// Makes the status registry on the ledger unless it is there already.
    pub fn ensure_registry(&self, size: u32) -> Result<(), LedgerError> {
        let key = format!("registry/{}", self.registry);
        if let Some(value) = self.client.state(&key)?.value {
            let record: RegistryRecord =
                serde_json::from_slice(&value).map_err(|_| LedgerError::Unreadable(key))?;
            let same = record.purpose == Purpose::Revocation
                && record.size == size
                && record.lists == std::slice::from_ref(&self.list);
            return if same { Ok(()) } else { Err(LedgerError::RegistryDiffers(self.registry.to_string())) };
        }
        let action = Action::RegistryCreate(RegistryCreate {
            registry: self.registry.name().to_owned(),
            purpose: Purpose::Revocation,
            bits: 1,
            size,
            lists: vec![self.list.clone()],
        });
        self.send(action).map(|_| ())
    }

    /// Sets the revocation bit of an index. Answers with the transaction that did it, or `None` when it was set before.
    pub fn revoke(&self, index: u64) -> Result<Option<String>, LedgerError> {
        if self.is_revoked(index)? {
            return Ok(None);
        }
        let change = StatusChange { list: self.list.clone(), index, from: 0, to: 1 };
        let update = RegistryUpdate { registry: self.registry.clone(), changes: vec![change] };
        self.send(Action::RegistryUpdate(update)).map(Some)
    }

    /// Whether the ledger has an index as revoked now, proven (specs/wire.md, status lists in state).
    pub fn is_revoked(&self, index: u64) -> Result<bool, LedgerError> {
        const CHUNK_BITS: u64 = 8 * 1024;
        let key = format!("status/{}/0/{}", self.registry, index / CHUNK_BITS);
        let within = index % CHUNK_BITS;
        let chunk = self.client.state(&key)?.value.unwrap_or_default();
        let byte = usize::try_from(within / 8).ok().and_then(|at| chunk.get(at)).copied().unwrap_or_default();
        Ok(byte & (0x80 >> (within % 8)) != 0)
    }

    fn send(&self, action: Action) -> Result<String, LedgerError> {
        let now_s = u64::try_from(crate::issuer::now_s()).unwrap_or_default();
        let sender = KeyId::new(self.keys.did.clone(), self.keys.signing.public());
        // A few seconds back, so that a validator whose clock is a little behind does not find it too early.
        let transaction = TransactionBuilder::new(self.network.clone(), action, Uuid::new_v4(), now_s - 5)
            .sender(sender)
            .sign(&[&self.keys.signing])
            .map_err(|error| LedgerError::Sign(error.to_string()))?;
        let id = transaction.id().to_string();
        let submitted = SubmittedTransaction::new(transaction, None);
        match self.client.submit_and_wait(&submitted, PATIENCE)? {
            Outcome::Final(receipt) => match &receipt.value.outcome {
                aval_types::Outcome::Applied(_) => Ok(id),
                aval_types::Outcome::Rejected(reject) => {
                    Err(LedgerError::Refused { code: reject.code().to_owned(), detail: reject.to_string() })
                }
            },
            Outcome::Refused(problem) => {
                let detail = problem.sentence().to_owned();
                Err(LedgerError::Refused { code: problem.code, detail })
            }
        }
    }
}

/// Runs blocking work on the ledger beside the asynchronous threads.
pub async fn blocking<T: Send + 'static>(
    ledger: &Ledger,
    work: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let ledger = ledger.clone();
    tokio::task::spawn_blocking(move || work(&ledger)).await.map_err(|_| LedgerError::Interrupted)?
}
