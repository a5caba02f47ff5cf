//! The ledger as the engine's [`History`], and how its first block comes into being.

use aval_codec::Hash;
use aval_machine::{Executed, genesis_changes};
use aval_store::{Ledger, PendingBlock, StoreError};
use aval_types::block::Witness;
use aval_types::{Block, Genesis};

use crate::engine::{EngineError, Fatal, History, SealedBlock};

/// Lends the committed blocks to the engine.
pub struct LedgerHistory {
    ledger: Ledger,
}

impl LedgerHistory {
    /// The history of a ledger.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

fn fatal(error: StoreError) -> Fatal {
    Fatal(format!("the ledger cannot be read: {error}"))
}

impl History for LedgerHistory {
    fn height(&self) -> u64 {
        self.ledger.head().map_or(0, |head| head.height())
    }

    fn block(&self, height: u64) -> Result<Option<SealedBlock>, Fatal> {
        let block = self.ledger.block(height).map_err(fatal)?;
        let erased =
            block.transactions.iter().any(|transaction| matches!(transaction.witness, Witness::Stripped(_)));
        Ok((!erased).then(|| SealedBlock::new(block)))
    }

    fn digest(&self, height: u64) -> Result<Hash, Fatal> {
        Ok(self.ledger.header(height).map_err(fatal)?.digest())
    }

    fn height_of(&self, digest: &Hash) -> Result<Option<u64>, Fatal> {
        self.ledger.height_of(digest).map_err(fatal)
    }

    fn certificate(&self, height: u64) -> Result<Option<aval_proof::Certificate>, Fatal> {
        self.ledger.certificate(height).map_err(fatal)
    }
}

/// Gives a ledger the genesis block, unless it has one, and returns it.
///
/// An existing ledger with another genesis block is refused: the genesis file says what the first state is.
pub fn install_genesis(ledger: &Ledger, genesis: &Genesis, hash: Hash) -> Result<SealedBlock, EngineError> {
    let build = |error: &dyn std::fmt::Display| {
        EngineError::Build(format!("the genesis block cannot be made: {error}"))
    };
    if ledger.head().is_some() {
        let header = ledger.header(0).map_err(|error| build(&error))?;
        return Ok(SealedBlock::new(Block { header, transactions: Vec::new() }));
    }
    let changes = genesis_changes(genesis).map_err(|error| build(&error))?;
    let view = ledger.view(&hash).map_err(|error| build(&error))?;
    let tree = view.tree(&changes).map_err(|error| build(&error))?;
    let block = Block { header: genesis.header(hash, tree.root()), transactions: Vec::new() };
    let executed = Executed {
        changes,
        receipts: Vec::new(),
        block_receipt: None,
        receipt_bytes: Vec::new(),
        receipts_root: block.header.receipts_root,
        ids: Vec::new(),
    };
    let pending = PendingBlock::new(block.clone(), executed, tree).map_err(|error| build(&error))?;
    ledger.commit(&pending, None).map_err(|error| build(&error))?;
    Ok(SealedBlock::new(block))
}
