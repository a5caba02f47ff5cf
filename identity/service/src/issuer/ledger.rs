//! The issuer's side of the ledger: its accreditation, its status registry, and the transactions that change the
//! latter.
//!
//! Everything read is verified against the genesis file; what the node says without proof decides nothing. [`Chain`] is
//! all that is asked of a ledger, so that tests can put the ledger's rules behind it without a network.

use super::config::Config;
use crate::clock::now_s;
use crate::fault::Fault;
use crate::keys::{IssuerKeys, Key};
use crate::problem::Problem;
use aval_client::{
    ClientError, ClientOptions, FileCheckpoints, NodeClient, Outcome, TrustedGenesis, VerifyingClient,
};
use aval_did::key::Signer as _;
use aval_did::{Did, DidRecord, Relationship};
use aval_types::accreditation::{AccreditationRecord, Capacity, Question, chain};
use aval_types::action::{Action, RegistryCreate, RegistryUpdate, StatusChange};
use aval_types::registry::{Purpose, RegistryId, RegistryRecord};
use aval_types::schema::{SchemaHash, SchemaRecord};
use aval_types::transaction::{KeyId, SignError, TransactionBuilder};
use aval_types::{NetworkId, SubmittedTransaction};
use axum::http::StatusCode;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long the service waits for a transaction of its own to become final.
const PATIENCE: Duration = Duration::from_secs(30);
/// How far a transaction's window reaches back, so that a validator whose clock is a little behind takes it.
const CLOCK_SKEW_S: u64 = 5;
/// Bytes of a chunk of a status list in the state.
const CHUNK_BYTES: usize = 1024;
const CHUNK_BITS: u64 = 8 * CHUNK_BYTES as u64;

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
    #[error(
        "{did} is not accredited for {credential_type} on this ledger: a root or body has to accredit it ({reason})"
    )]
    NotAccredited {
        /// The issuer.
        did: String,
        /// The credential type.
        credential_type: String,
        /// Which link of its chain does not hold, and why.
        reason: String,
    },
    /// The issuer's DID does not exist.
    #[error("{0} is not on this ledger: create it first, or check genesis.json and keys.json")]
    UnknownDid(String),
    /// The issuer's key is none that its DID document allows to sign.
    #[error(
        "the key {method} in keys.json is not in force for {did}: its document must name it as \
             authentication and assertion method"
    )]
    KeyNotInDocument {
        /// The issuer.
        did: String,
        /// The verification method.
        method: String,
    },
    /// The registry exists with another shape than the configuration says.
    #[error(
        "the registry {0} on the ledger is not the configured one: choose another registry.name in config.json"
    )]
    RegistryDiffers(String),
    /// A record on the ledger cannot be read by this version.
    #[error("the ledger's record {0} cannot be read: this program may be too old for the network")]
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
            Self::UnknownDid(_) => "issuer.unknown_did",
            Self::KeyNotInDocument { .. } => "issuer.key_not_in_document",
            Self::RegistryDiffers(_) => "issuer.registry_differs",
            Self::Unreadable(_) => "issuer.ledger_unreadable",
            Self::Sign(_) => "issuer.sign",
            Self::Interrupted => "service.interrupted",
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let (status, title) = match &error {
            LedgerError::Refused { .. } => (StatusCode::CONFLICT, "The ledger refused the transaction"),
            LedgerError::Client(client) if client.is_retryable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "The ledger cannot be reached or is not done yet")
            }
            LedgerError::Client(_) => (StatusCode::BAD_GATEWAY, "The ledger's answer cannot be used"),
            LedgerError::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "The service is stopping"),
            // Decided, and by what the caller asked for: another type of credential may be fine.
            LedgerError::NotAccredited { .. } => (StatusCode::FORBIDDEN, "The issuer may not issue this"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "The service is not set up for this"),
        };
        // The sentence of a decision holds what the caller asked for, and no log may hold that.
        match &error {
            LedgerError::NotAccredited { .. } => tracing::info!(code = error.code(), "the ledger says no"),
            _ => tracing::warn!(%error, "the ledger was of no help"),
        }
        Self::new(status, error.code(), title, error.to_string())
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        let sentence = error.to_string();
        match error {
            LedgerError::NotAccredited { .. } | LedgerError::KeyNotInDocument { .. } => {
                Self::locked(sentence)
            }
            LedgerError::UnknownDid(_) => Self::not_found(sentence),
            LedgerError::Client(error) if error.is_retryable() => {
                Self::try_later(format!("{sentence}: start the node, or set another `node` in config.json"))
            }
            LedgerError::Client(error) if error.is_verified_invalid() => {
                Self::invalid(format!("{sentence}: is genesis.json that of the node's network?"))
            }
            _ => Self::failed(sentence),
        }
    }
}

/// A proven value of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value, or its proven absence.
    pub value: Option<Vec<u8>>,
    /// Time of the block that it is as of, milliseconds since 1970.
    pub time_ms: u64,
}

/// What the issuer asks of a ledger. The calls block.
pub trait Chain: Send + Sync {
    /// The value of a state key now.
    fn state(&self, key: &str) -> Result<Entry, LedgerError>;

    /// Submits a transaction and waits until it took effect; [`LedgerError::Refused`] if it never will.
    fn submit(&self, submitted: &SubmittedTransaction) -> Result<(), LedgerError>;
}

impl Chain for VerifyingClient {
    fn state(&self, key: &str) -> Result<Entry, LedgerError> {
        let verified = Self::state(self, key)?;
        Ok(Entry { value: verified.value, time_ms: verified.time_ms })
    }

    fn submit(&self, submitted: &SubmittedTransaction) -> Result<(), LedgerError> {
        match self.submit_and_wait(submitted, PATIENCE)? {
            Outcome::Final(receipt) => match &receipt.value.outcome {
                aval_types::Outcome::Applied(_) => Ok(()),
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

/// The bits of a status list as the ledger has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusBits {
    /// Entry 0 is the highest bit of the first byte.
    pub bits: Vec<u8>,
    /// Every bit is at least as new as this block time, milliseconds since 1970.
    pub time_ms: u64,
}

/// The issuer's connection to the ledger. Cheap to clone; its calls block.
#[derive(Clone)]
pub struct Ledger {
    chain: Arc<dyn Chain>,
    network: NetworkId,
    keys: Arc<IssuerKeys>,
    registries: Arc<[Registry]>,
}

/// One of the issuer's registries.
#[derive(Debug)]
struct Registry {
    id: RegistryId,
    purpose: Purpose,
    list: String,
    size: u32,
}

impl Ledger {
    /// Trusts the genesis file and speaks to the configured node. Nothing is asked yet.
    pub fn open(
        config: &Config,
        genesis: &[u8],
        checkpoint: &Path,
        keys: Arc<IssuerKeys>,
    ) -> Result<Self, Fault> {
        let genesis = TrustedGenesis::parse(genesis.to_vec())
            .map_err(|error| Fault::failed(format!("genesis.json is not a genesis file: {error}")))?;
        let node = NodeClient::new(&config.node, &ClientOptions::default())
            .map_err(|error| Fault::failed(format!("`node` in config.json: {error}")))?;
        let client = VerifyingClient::new(node, &genesis, Arc::new(FileCheckpoints::new(checkpoint)))
            .map_err(LedgerError::from)?;
        Self::new(config, Arc::new(client), genesis.network().clone(), keys)
    }

    /// The issuer on any ledger.
    pub fn new(
        config: &Config,
        chain: Arc<dyn Chain>,
        network: NetworkId,
        keys: Arc<IssuerKeys>,
    ) -> Result<Self, Fault> {
        let registries: Option<Arc<[Registry]>> = config
            .registries
            .iter()
            .map(|registry| {
                Some(Registry {
                    id: RegistryId::new(keys.did().clone(), &registry.name)?,
                    purpose: registry.ledger_purpose()?,
                    list: config.list_uri(&registry.name),
                    size: registry.size,
                })
            })
            .collect();
        let registries =
            registries.ok_or_else(|| Fault::failed("a registry's name must be 1 to 32 of a-z, 0-9 and -"))?;
        Ok(Self { chain, network, keys, registries })
    }

    fn registry(&self, list: &str) -> Result<&Registry, LedgerError> {
        let unknown = || LedgerError::RegistryDiffers(list.to_owned());
        self.registries.iter().find(|registry| registry.list == list).ok_or_else(unknown)
    }

    /// Checks that the issuer's DID is on the ledger and lets a key sign credentials and transactions.
    pub fn check_key(&self, signing: &Key) -> Result<(), LedgerError> {
        let did = self.keys.did();
        let key = format!("did/{did}");
        let value = self.chain.state(&key)?.value.ok_or_else(|| LedgerError::UnknownDid(did.to_string()))?;
        let record = DidRecord::from_bytes(&value).map_err(|_| LedgerError::Unreadable(key))?;
        let public = signing.public();
        let named = record.document.verification_key(signing.method(), Relationship::AssertionMethod);
        let may_send = record.require_key(&public, Relationship::Authentication).is_ok();
        if may_send && named == Some(public) {
            return Ok(());
        }
        Err(LedgerError::KeyNotInDocument { did: did.to_string(), method: signing.method().to_owned() })
    }

    /// Checks the key that signs.
    pub fn check_active_key(&self) -> Result<(), LedgerError> {
        self.check_key(&self.keys.active())
    }

    /// The DID document and its metadata as the ledger has them, for those who verify beside this program.
    pub fn did_record(&self, did: &Did) -> Result<Option<DidRecord>, LedgerError> {
        let key = format!("did/{did}");
        let Some(value) = self.chain.state(&key)?.value else { return Ok(None) };
        DidRecord::from_bytes(&value).map(Some).map_err(|_| LedgerError::Unreadable(key))
    }

    /// A schema of the ledger by its URN, `urn:aval:schema:…`.
    pub fn schema(&self, urn: &str) -> Result<Option<SchemaRecord>, LedgerError> {
        let Ok(hash) = SchemaHash::from_urn(urn) else { return Ok(None) };
        let key = format!("schema/{hash}");
        let Some(value) = self.chain.state(&key)?.value else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(|_| LedgerError::Unreadable(key))
    }

    /// The roles that the issuer may give in credentials of a type: those that every link of its chain of
    /// accreditations has, as the ledger has them now.
    pub fn accredited_roles(&self, credential_type: &str) -> Result<Vec<String>, LedgerError> {
        let question = Question {
            subject: self.keys.did(),
            capacity: Capacity::Issue,
            credential_type: Some(credential_type),
            roles: &[],
            time_ms: u64::try_from(now_s()).unwrap_or_default().saturating_mul(1000),
        };
        let read = |did: &Did| -> Result<Option<AccreditationRecord>, LedgerError> {
            let key = format!("accreditation/{did}");
            let Some(value) = self.chain.state(&key)?.value else { return Ok(None) };
            serde_json::from_slice(&value).map(Some).map_err(|_| LedgerError::Unreadable(key))
        };
        let chain = chain(&question, read)?.map_err(|broken| LedgerError::NotAccredited {
            did: self.keys.did().to_string(),
            credential_type: credential_type.to_owned(),
            reason: format!("{}: {}", broken.subject, broken.why.sentence()),
        })?;
        Ok(chain.roles(credential_type))
    }

    /// Makes the status registries on the ledger unless they are there already.
    pub fn ensure_registries(&self) -> Result<(), LedgerError> {
        self.registries.iter().try_for_each(|registry| self.ensure_registry(registry))
    }

    fn ensure_registry(&self, registry: &Registry) -> Result<(), LedgerError> {
        if self.has_registry(registry)? {
            return Ok(());
        }
        let action = Action::RegistryCreate(RegistryCreate {
            registry: registry.id.name().to_owned(),
            purpose: registry.purpose,
            bits: 1,
            size: registry.size,
            lists: vec![registry.list.clone()],
        });
        match self.send(&self.sign(action)?) {
            // An earlier run or another instance may have sent one too.
            Err(LedgerError::Refused { .. }) if self.has_registry(registry)? => Ok(()),
            other => other,
        }
    }

    fn has_registry(&self, registry: &Registry) -> Result<bool, LedgerError> {
        let key = format!("registry/{}", registry.id);
        let Some(value) = self.chain.state(&key)?.value else { return Ok(false) };
        let record: RegistryRecord =
            serde_json::from_slice(&value).map_err(|_| LedgerError::Unreadable(key))?;
        let same = record.purpose == registry.purpose
            && record.bits == 1
            && record.size == registry.size
            && record.lists == std::slice::from_ref(&registry.list);
        if same { Ok(true) } else { Err(LedgerError::RegistryDiffers(registry.id.to_string())) }
    }

    /// Signs the transaction that sets an entry of a list, from what it is now.
    pub fn change(&self, list: &str, index: u64, value: bool) -> Result<SubmittedTransaction, LedgerError> {
        let registry = self.registry(list)?;
        let (from, to) = (u8::from(!value), u8::from(value));
        let change = StatusChange { list: list.to_owned(), index, from, to };
        self.sign(Action::RegistryUpdate(RegistryUpdate {
            registry: registry.id.clone(),
            changes: vec![change],
        }))
    }

    /// Whether the ledger has an entry of a list set now, proven.
    pub fn is_set(&self, list: &str, index: u64) -> Result<bool, LedgerError> {
        let chunk = self.chunk(self.registry(list)?, index / CHUNK_BITS)?.value.unwrap_or_default();
        let within = index % CHUNK_BITS;
        let byte = usize::try_from(within / 8).ok().and_then(|at| chunk.get(at)).copied().unwrap_or_default();
        Ok(byte & (0x80 >> (within % 8)) != 0)
    }

    /// A whole status list, proven chunk by chunk. The chunks may be of different blocks; none is older than the oldest
    /// of these.
    pub fn status_bits(&self, list: &str) -> Result<StatusBits, LedgerError> {
        let registry = self.registry(list)?;
        let mut bits = Vec::new();
        let mut time_ms = u64::MAX;
        for number in 0..u64::from(registry.size).div_ceil(CHUNK_BITS) {
            let entry = self.chunk(registry, number)?;
            let mut chunk = entry.value.unwrap_or_default();
            chunk.resize(CHUNK_BYTES, 0);
            bits.extend_from_slice(&chunk);
            time_ms = time_ms.min(entry.time_ms);
        }
        bits.truncate((registry.size as usize).div_ceil(8));
        Ok(StatusBits { bits, time_ms })
    }

    /// A chunk of a list (specs/wire.md, section 8).
    fn chunk(&self, registry: &Registry, number: u64) -> Result<Entry, LedgerError> {
        self.chain.state(&format!("status/{}/0/{number}", registry.id))
    }

    fn sign(&self, action: Action) -> Result<SubmittedTransaction, LedgerError> {
        let now_s = u64::try_from(now_s()).unwrap_or_default();
        let key = self.keys.active();
        let sender = KeyId::new(self.keys.did().clone(), key.public());
        let nbf = now_s.saturating_sub(CLOCK_SKEW_S);
        TransactionBuilder::new(self.network.clone(), action, Uuid::new_v4(), nbf)
            .sender(sender)
            .build()
            .map_err(SignError::from)
            .and_then(|unsigned| {
                let signatures = unsigned.signatures(&*key)?;
                unsigned.assemble(signatures)
            })
            .map(|transaction| SubmittedTransaction::new(transaction, None))
            .map_err(|error| LedgerError::Sign(error.to_string()))
    }

    /// Submits a transaction and waits until it took effect.
    pub fn send(&self, submitted: &SubmittedTransaction) -> Result<(), LedgerError> {
        self.chain.submit(submitted)
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
