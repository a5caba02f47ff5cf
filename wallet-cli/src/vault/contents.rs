//! What a vault holds, as JSON inside the sealed part.
//!
//! Unknown members are refused: an older program must not silently drop what a newer one wrote.

use std::path::Path;

use aval_codec::b64u;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::VaultError;

/// The format of the contents that this program writes.
const FORMAT: u32 = 1;

/// The 256 bits that every key comes from; the 24 words are another spelling of them.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Entropy([u8; 32]);

impl Entropy {
    /// Fresh entropy from the operating system.
    pub fn generate() -> Result<Self, VaultError> {
        let mut bytes = [0; 32];
        SysRng
            .try_fill_bytes(&mut bytes)
            .map_err(|_| VaultError::System("the system gave no random bytes"))?;
        Ok(Self(bytes))
    }

    /// The bytes, for the derivation of keys and the 24 words.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn for_test(byte: u8) -> Self {
        Self([byte; 32])
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy(…)")
    }
}

impl Serialize for Entropy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(b64u::encode(self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Entropy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        b64u::decode_array(text.as_bytes())
            .map(Self)
            .map_err(|_| D::Error::custom("the entropy cannot be read"))
    }
}

/// Whom the vault belongs to. A natural person is warned before anything public is made (design D16, D25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A natural person.
    Person,
    /// A company or another organization.
    Organization,
}

/// The next unused index of each family of keys. They only grow, so that no key is ever used for two things.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Keys that credentials are bound to.
    pub holder: u32,
    /// DIDs.
    pub did: u32,
}

/// A key, by the path it is derived on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// The derivation path, see [`crate::keys`].
    pub path: String,
    /// The public key as a multikey.
    pub public: String,
}

/// A credential as it was received.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCredential {
    /// Short local name, the start of the credential's hash.
    pub id: String,
    /// The SD-JWT with all its disclosures.
    pub sd_jwt: String,
    /// The key it is bound to.
    pub holder_key: StoredKey,
    /// Which network's ledger vouched for the issuer.
    pub network: String,
    /// The origin of the issuer that gave it.
    pub source: String,
    /// When it was received, in seconds.
    pub received_s: i64,
}

impl std::fmt::Debug for StoredCredential {
    /// Leaves the claims out.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoredCredential").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A DID that this vault controls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredDid {
    /// The DID.
    pub did: String,
    /// The genesis hash of its network.
    pub genesis: String,
    /// Its index among the DIDs of this vault, a part of the paths of its keys.
    pub index: u32,
    /// The number of document keys made for it, apart from holder keys.
    pub document_keys_made: u32,
    /// What it last was on the ledger; none before its creation is final.
    pub state: Option<DidState>,
    /// The operation that was signed and whose outcome is not known yet.
    pub pending: Option<PendingOperation>,
}

/// A version of a DID as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DidState {
    /// The version.
    pub version_id: String,
    /// How often its control keys were rotated.
    pub generation: u32,
    /// The keys that control it.
    pub control: Vec<StoredKey>,
    /// The keys whose hashes the ledger holds for the next rotation.
    pub next: Vec<StoredKey>,
    /// The keys in its document.
    pub document_keys: Vec<StoredKey>,
    /// Whether it was deactivated.
    pub deactivated: bool,
}

/// Which operation on a DID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// `did.create`
    Create,
    /// `did.update`
    Update,
    /// `did.rotate`
    Rotate,
    /// `did.deactivate`
    Deactivate,
    /// `credential.present`
    Present,
    /// The endorsement of somebody else's operation
    Endorse,
    /// Any other action
    Send,
}

impl OperationKind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Rotate => "rotate",
            Self::Deactivate => "deactivate",
            Self::Present => "present",
            Self::Endorse => "endorse",
            Self::Send => "send",
        }
    }
}

/// A signed operation, kept from before it is sent until its outcome is proven, with what the DID becomes by it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingOperation {
    /// The transaction.
    pub transaction: String,
    /// What it does.
    pub kind: OperationKind,
    /// When its validity window ends, in seconds.
    pub expires_s: i64,
    /// The body to submit, complete, so that it can be sent again; none while an endorser's signature is missing.
    pub submission: Option<String>,
    /// What the DID is after it.
    pub after: DidState,
}

impl std::fmt::Debug for PendingOperation {
    /// Leaves the submission out: it may carry a presentation.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PendingOperation")
            .field("transaction", &self.transaction)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Where a transaction of this vault stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransactionState {
    /// Sent, outcome not proven yet.
    Pending,
    /// In a final block and applied.
    Applied,
    /// In a final block, overtaken by another transaction.
    Rejected,
    /// Refused by a node before any block.
    Refused,
    /// Its window closed without it.
    Expired,
}

/// A transaction that this vault sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredTransaction {
    /// The transaction id, hex.
    pub id: String,
    /// What it does.
    pub kind: OperationKind,
    /// The DID it is about.
    pub did: String,
    /// The genesis hash of the network.
    pub genesis: String,
    /// When it was signed, in seconds.
    pub signed_s: i64,
    /// Where it stands.
    pub state: TransactionState,
    /// The code of a refusal or rejection.
    pub code: Option<String>,
    /// The receipt with its proof, verified before it was stored.
    pub receipt: Option<Value>,
}

impl StoredTransaction {
    /// A transaction that was signed now and whose outcome is not known.
    pub fn pending(id: String, kind: OperationKind, did: &str, genesis: &str, now_s: i64) -> Self {
        Self {
            id,
            kind,
            did: did.to_owned(),
            genesis: genesis.to_owned(),
            signed_s: now_s,
            state: TransactionState::Pending,
            code: None,
            receipt: None,
        }
    }
}

/// Everything in the vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// The format of these contents.
    pub format: u32,
    /// When the vault was made, in seconds.
    pub created_s: i64,
    /// Whom it belongs to.
    pub holder: Option<Holder>,
    /// Where all keys come from.
    pub entropy: Entropy,
    /// The next unused key indexes.
    pub counters: Counters,
    /// Credentials, oldest first.
    pub credentials: Vec<StoredCredential>,
    /// DIDs, oldest first.
    pub dids: Vec<StoredDid>,
    /// Transactions, oldest first.
    pub transactions: Vec<StoredTransaction>,
}

impl Contents {
    /// Notes a transaction, unless it is noted already.
    pub fn note(&mut self, transaction: StoredTransaction) {
        if !self.transactions.iter().any(|noted| noted.id == transaction.id) {
            self.transactions.push(transaction);
        }
    }

    /// The DID whose document names the key on this path, now or once a pending operation is final.
    pub fn did_of_key(&self, path: &str) -> Option<&StoredDid> {
        let names = |state: &DidState| state.document_keys.iter().any(|key| key.path == path);
        self.dids.iter().find(|did| {
            did.state.as_ref().is_some_and(names)
                || did.pending.as_ref().is_some_and(|pending| names(&pending.after))
        })
    }

    /// The entry of a DID.
    pub fn did_mut(&mut self, did: &str) -> Option<&mut StoredDid> {
        self.dids.iter_mut().find(|entry| entry.did == did)
    }

    /// Contents of a new vault.
    pub fn new(entropy: Entropy, holder: Option<Holder>, created_s: i64) -> Self {
        Self {
            format: FORMAT,
            created_s,
            holder,
            entropy,
            counters: Counters::default(),
            credentials: Vec::new(),
            dids: Vec::new(),
            transactions: Vec::new(),
        }
    }
}

/// Counts bytes, so that the buffer for the plain text is allocated once and never left behind by a reallocation.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn encode(contents: &Contents) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    const FAILED: VaultError = VaultError::System("the contents of the vault cannot be written as JSON");
    let mut count = Count(0);
    serde_json::to_writer(&mut count, contents).map_err(|_| FAILED)?;
    // Room for the cipher's tag, too.
    let mut plain = Zeroizing::new(Vec::with_capacity(count.0 + 64));
    serde_json::to_writer(&mut *plain, contents).map_err(|_| FAILED)?;
    Ok(plain)
}

pub(super) fn decode(plain: &[u8], path: &Path) -> Result<Contents, VaultError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    // The errors of serde may quote what they read; none of them leaves this function.
    let damaged = |_| VaultError::Damaged { path: path.to_owned(), reason: "its contents cannot be read" };
    let Format { format } = serde_json::from_slice(plain).map_err(damaged)?;
    if format > FORMAT {
        return Err(VaultError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    serde_json::from_slice(plain).map_err(damaged)
}
