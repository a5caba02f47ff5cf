//! Blocks: header, body, and the two forms of the body's witnesses (specs/wire.md, "Block").
//!
//! A block's digest is its header's digest. Decoding recomputes from the body the two roots that need no execution
//! and refuses a body that is not the header's, so that a forged body never reaches a cache that is keyed by
//! digest. The other two roots (receipts, state) are checked by executing the block.
//!
//! Live blocks carry full witnesses. A stripped block has each witness replaced by its hash: same digest, and
//! acceptable only beside a finality certificate, because whoever votes must have seen the witnesses.

mod header;

use aval_codec::{BinaryError, Hash, Reader, Writer, merkle, tag};

use crate::{limits, reject::Reject, transaction::SignedTransaction};

pub use header::{HEADER_BYTES, HEADER_VERSION, Header, validators_hash};

/// The presentation beside a transaction: evidence that is verified before a vote and erased after a retention period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// The transaction has none.
    None,
    /// The bytes of the presentation: an SD-JWT with key binding.
    Full(Vec<u8>),
    /// Their hash, once the bytes are erased.
    Stripped(Hash),
}

impl Witness {
    /// The leaf of the witnesses root: 32 zero bytes if there is none.
    pub fn hash(&self) -> Hash {
        match self {
            Self::None => Hash::ZERO,
            Self::Full(bytes) => aval_codec::hash(tag::WITNESS, &[bytes]),
            Self::Stripped(hash) => *hash,
        }
    }

    /// The same witness without its bytes.
    pub fn strip(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Full(_) | Self::Stripped(_) => Self::Stripped(self.hash()),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::None => writer.u8(0),
            Self::Full(bytes) => writer.u8(1).u32(length_u32(bytes.len())).put(bytes),
            Self::Stripped(hash) => writer.u8(2).put(hash),
        };
    }

    fn read(reader: &mut Reader<'_>, mode: Mode) -> Result<Self, BlockError> {
        match (reader.u8()?, mode) {
            (0, _) => Ok(Self::None),
            (1, _) => Ok(Self::Full(reader.bytes_u32(limits::WITNESS_BYTES_MAX)?.to_vec())),
            // The zero hash says "none" in the root and would give a block a second encoding.
            (2, Mode::Any) => match reader.hash()? {
                Hash::ZERO => Err(BlockError::Malformed("a witness has the zero hash")),
                hash => Ok(Self::Stripped(hash)),
            },
            (2, Mode::Full) => Err(BlockError::Stripped),
            _ => Err(BlockError::Malformed("a witness has an unknown form")),
        }
    }
}

/// A transaction as a block carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockTransaction {
    /// The canonical binary envelope, see [`SignedTransaction::to_envelope`].
    pub envelope: Vec<u8>,
    /// The presentation beside it.
    pub witness: Witness,
}

impl BlockTransaction {
    /// The transaction inside the envelope; a block that holds one that cannot be read is invalid.
    pub fn transaction(&self) -> Result<SignedTransaction, Reject> {
        SignedTransaction::from_envelope(&self.envelope)
    }
}

/// Which witnesses a decoder accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Live: every witness must be there in full.
    Full,
    /// Under a finality certificate: stripped witnesses are fine.
    Any,
}

/// Why bytes are not a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The layout is broken.
    #[error("the block is malformed: {0}")]
    Malformed(&'static str),
    /// The body is not the one that the header commits to.
    #[error("the block's body does not match its header")]
    BodyMismatch,
    /// A witness is stripped where full ones are required.
    #[error("the block carries a stripped witness")]
    Stripped,
}

impl BlockError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "block.malformed",
            Self::BodyMismatch => "block.body_mismatch",
            Self::Stripped => "block.stripped",
        }
    }
}

impl From<BinaryError> for BlockError {
    fn from(error: BinaryError) -> Self {
        Self::Malformed(match error {
            BinaryError::Truncated => "the bytes end early",
            BinaryError::Trailing(_) => "there are bytes after the end",
            BinaryError::TooLong { .. } => "a length is above its limit",
        })
    }
}

/// A block: header and transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions in their order.
    pub transactions: Vec<BlockTransaction>,
}

impl Block {
    /// The digest of the header.
    pub fn digest(&self) -> Hash {
        self.header.digest()
    }

    /// The bytes that are sent between nodes and archived.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_length());
        out.extend_from_slice(&self.header.encode());
        out.extend_from_slice(&encode_body(&self.transactions));
        out
    }

    /// How many bytes [`Self::encode`] gives.
    pub fn encoded_length(&self) -> usize {
        HEADER_BYTES + body_length(&self.transactions)
    }

    /// Reads a block and checks that the body is the one that the header commits to.
    pub fn decode(bytes: &[u8], mode: Mode) -> Result<Self, BlockError> {
        if bytes.len() > limits::BLOCK_BYTES_MAX {
            return Err(BlockError::Malformed("the block is too large"));
        }
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let transactions = read_body(&mut reader, mode)?;
        reader.finish()?;
        let block = Self { header, transactions };
        if block.header.transactions_root != transactions_root(&block.transactions)
            || block.header.witnesses_root != witnesses_root(&block.transactions)
        {
            return Err(BlockError::BodyMismatch);
        }
        Ok(block)
    }

    /// The same block, with the same digest, without the bytes of its witnesses.
    pub fn strip(&self) -> Self {
        let transactions = self
            .transactions
            .iter()
            .map(|transaction| BlockTransaction {
                envelope: transaction.envelope.clone(),
                witness: transaction.witness.strip(),
            })
            .collect();
        Self { header: self.header.clone(), transactions }
    }
}

/// Root over the canonical envelopes.
pub fn transactions_root(transactions: &[BlockTransaction]) -> Hash {
    let leaves: Vec<&[u8]> = transactions.iter().map(|transaction| transaction.envelope.as_slice()).collect();
    merkle::root(&leaves)
}

/// Root over the witness hashes.
pub fn witnesses_root(transactions: &[BlockTransaction]) -> Hash {
    let hashes: Vec<Hash> = transactions.iter().map(|transaction| transaction.witness.hash()).collect();
    let leaves: Vec<&[u8]> = hashes.iter().map(|hash| hash.as_bytes().as_slice()).collect();
    merkle::root(&leaves)
}

/// The bytes of a block's body: what follows the header.
pub fn encode_body(transactions: &[BlockTransaction]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(body_length(transactions));
    writer.u32(length_u32(transactions.len()));
    for transaction in transactions {
        writer.u32(length_u32(transaction.envelope.len())).put(&transaction.envelope);
        transaction.witness.write(&mut writer);
    }
    writer.into_vec()
}

/// Reads a body alone, as a store keeps it apart from its header. The caller answers for the match with the header.
pub fn decode_body(bytes: &[u8], mode: Mode) -> Result<Vec<BlockTransaction>, BlockError> {
    let mut reader = Reader::new(bytes);
    let transactions = read_body(&mut reader, mode)?;
    reader.finish()?;
    Ok(transactions)
}

/// Bytes that one transaction takes in a block's body.
pub fn transaction_length(transaction: &BlockTransaction) -> usize {
    let witness = match &transaction.witness {
        Witness::None => 1,
        Witness::Full(bytes) => 5 + bytes.len(),
        Witness::Stripped(_) => 33,
    };
    4 + transaction.envelope.len() + witness
}

fn body_length(transactions: &[BlockTransaction]) -> usize {
    4 + transactions.iter().map(transaction_length).sum::<usize>()
}

fn read_body(reader: &mut Reader<'_>, mode: Mode) -> Result<Vec<BlockTransaction>, BlockError> {
    let count = reader.u32()?;
    if usize::try_from(count).map_or(true, |count| count > limits::BLOCK_TRANSACTIONS_MAX) {
        return Err(BlockError::Malformed("the block has too many transactions"));
    }
    // Grown as it is read: the count alone must not make a node allocate.
    let mut transactions = Vec::new();
    for _ in 0..count {
        let envelope = reader.bytes_u32(limits::TRANSACTION_BYTES_MAX)?.to_vec();
        let witness = Witness::read(reader, mode)?;
        transactions.push(BlockTransaction { envelope, witness });
    }
    Ok(transactions)
}

/// Everything in a block is bounded far below 4 GiB; a caller that breaks a bound gets a block that does not decode.
fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
