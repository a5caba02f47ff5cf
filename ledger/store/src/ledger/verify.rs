//! Checking a whole ledger: every hash recomputed, every link followed, every certificate verified, every root and
//! index compared with what it stands for.
//!
//! Nothing on disk is believed but the genesis file. What is wrong is collected and named by its place; only what
//! cannot be read at all ends a part of the check. Nothing is changed.

use aval_codec::{Hash, merkle, sha256};
use aval_proof::{Claim, LedgerProof, TrustAnchor};
use aval_types::{Header, Receipt, Witness};

use super::{Ledger, did, keys};
use crate::error::StoreError;
use crate::storage::Column;
use crate::tree;

/// Rows that are read at a time.
const ROWS: usize = 4_096;
/// Damages that are named; more are only counted.
const NAMED_MAX: usize = 50;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// A stable code: `data.file`, `data.block`, `data.certificate`, `data.receipts`, `data.index`, `data.state`,
    /// `data.history`, `data.witness`, `data.witness_overdue`.
    pub code: &'static str,
    /// The file or record, and what is wrong with it.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The newest height.
    pub height: u64,
    /// The oldest height whose block is here.
    pub base: u64,
    /// The oldest height whose state is here whole.
    pub oldest: u64,
    /// Rows read, whose checksums fit.
    pub rows: u64,
    /// Blocks checked.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Certificates verified.
    pub certificates: u64,
    /// Newest blocks that no certificate covers yet.
    pub uncertified: u64,
    /// Entries of the newest state.
    pub entries: u64,
    /// Past values checked against the tree of their height.
    pub past_values: u64,
    /// Witnesses that are kept.
    pub witnesses: u64,
    /// Damages, also those that are not named.
    pub damaged: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
}

impl Verification {
    fn note(&mut self, code: &'static str, what: impl Into<String>) {
        self.damaged += 1;
        if self.damages.len() < NAMED_MAX {
            self.damages.push(Damage { code, what: what.into() });
        }
    }

    fn take<T>(&mut self, code: &'static str, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(StoreError::Corrupt { what }) => {
                self.note(code, what);
                None
            }
            Err(error) => {
                self.note(code, error.to_string());
                None
            }
        }
    }
}

impl Ledger {
    /// Checks everything. `anchor` trusts the genesis file alone. Witnesses of blocks before `erased_before_ms`, other
    /// than those of the newest `witness_blocks_kept` blocks, should not be here any more. `tell` hears of each part.
    pub fn verify(
        &self,
        anchor: &TrustAnchor,
        erased_before_ms: u64,
        witness_blocks_kept: u64,
        tell: &mut dyn FnMut(&'static str),
    ) -> Result<Verification, StoreError> {
        let head = match (self.head(), self.installation()?) {
            (None, Some(installation)) => return Err(StoreError::Installing(installation.header.height)),
            (head, _) => head.ok_or(StoreError::Empty)?,
        };
        let mut report = Verification {
            height: head.height(),
            base: self.base(),
            oldest: self.oldest_height(),
            ..Verification::default()
        };
        tell("files");
        self.verify_files(&mut report);
        tell("blocks");
        self.verify_chain(anchor.clone(), &mut report);
        tell("state");
        self.verify_state(&mut report);
        tell("history");
        self.verify_history(&mut report);
        tell("witnesses");
        let kept = head.height().saturating_sub(witness_blocks_kept);
        self.verify_witnesses(erased_before_ms, kept, &mut report);
        Ok(report)
    }

    /// Visits every row of a column. Reading a row checks the checksum of its file's block.
    fn rows(
        &self,
        column: Column,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let rows = self.storage().scan(column, &from, &[0xff; 300], ROWS)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &rows {
                visit(key, value)?;
            }
        }
    }

    fn verify_files(&self, report: &mut Verification) {
        for column in Column::ALL {
            let mut count = 0u64;
            let read = self.rows(column, &mut |_, _| {
                count += 1;
                Ok(())
            });
            report.rows += count;
            if let Err(error) = read {
                let what = format!("column {}, behind row {count}: {error}", column.name());
                report.note("data.file", what);
            }
        }
    }

    fn verify_chain(&self, mut anchor: TrustAnchor, report: &mut Verification) {
        let next = |anchor: &TrustAnchor| self.trust_chain(anchor.network(), anchor.last_change());
        while let Some(chain) = report.take("data.certificate", next(&anchor)) {
            if let Err(error) = anchor.extend(&chain) {
                report.note("data.certificate", format!("the chain of validator sets: {error}"));
                break;
            }
            if !chain.more {
                break;
            }
        }
        let mut below: Option<Header> = None;
        let mut covered = None;
        for height in report.base..=report.height {
            let Some(header) = report.take("data.block", self.header(height)) else {
                below = None;
                continue;
            };
            report.blocks += 1;
            self.verify_block(height, &header, below.as_ref(), report);
            let certificate = self.certificate(height);
            if let Some(certificate) = report.take("data.certificate", certificate).flatten() {
                let proof = LedgerProof {
                    network: anchor.network().clone(),
                    header: header.clone(),
                    path: Vec::new(),
                    certificate,
                    claim: Claim::Header,
                };
                match proof.verify_past(&anchor) {
                    Ok(_) => {
                        report.certificates += 1;
                        covered = Some(height);
                    }
                    Err(error) => report.note("data.certificate", format!("of block {height}: {error}")),
                }
            }
            below = Some(header);
        }
        report.uncertified = report.height - covered.unwrap_or(report.base).min(report.height);
        self.verify_index(report);
    }

    fn verify_block(&self, height: u64, header: &Header, below: Option<&Header>, report: &mut Verification) {
        if header.height != height || header.genesis != self.genesis() {
            report.note("data.block", format!("block {height} has the header of another one"));
        }
        if below.is_some_and(|below| below.digest() != header.parent || below.time_ms >= header.time_ms) {
            report.note("data.block", format!("block {height} does not follow the block below it"));
        }
        let known = report.take("data.index", self.height_of(&header.digest())).flatten();
        if known != Some(height) {
            report.note("data.index", format!("block {height} is not found by its digest"));
        }
        let Some(block) = report.take("data.block", self.stripped_block(height)) else { return };
        let Some(receipts) = report.take("data.receipts", self.receipts(height)) else { return };
        if height > 0 && merkle::root(&receipts) != header.receipts_root {
            report
                .note("data.receipts", format!("the receipts of block {height} are not those of its header"));
            return;
        }
        for (index, bytes) in (0u32..).zip(&receipts).take(block.transactions.len()) {
            report.transactions += 1;
            let Ok(receipt) = Receipt::decode(bytes) else {
                report.note("data.receipts", format!("receipt {index} of block {height} is unreadable"));
                continue;
            };
            let place = report.take("data.index", self.transaction(&receipt.transaction)).flatten();
            if !place.is_some_and(|place| place.height == height && place.index == index) {
                let id = receipt.transaction;
                report
                    .note("data.index", format!("transaction {id} of block {height} is not found by its id"));
            }
        }
    }

    /// There are no rows of the index for what is not there.
    fn verify_index(&self, report: &mut Verification) {
        let mut transactions = 0u64;
        let counted = self.rows(Column::Index, &mut |key, _| {
            transactions += u64::from(key.first() == Some(&b't'));
            Ok(())
        });
        // What cannot be read was named with its file.
        if counted.is_ok() && transactions != report.transactions {
            let known = report.transactions;
            report.note(
                "data.index",
                format!("{transactions} transactions are indexed, the blocks have {known}"),
            );
        }
    }

    fn verify_state(&self, report: &mut Verification) {
        let Some(head) = self.head() else { return };
        let mut leaves = 0u64;
        if let Some(version) = head.root_version {
            let mut found = Verification::default();
            let root = tree::check_version(self.storage(), version, None, &mut |leaf, key| {
                leaves += 1;
                self.verify_entry(&key, &leaf.value_hash, &mut found);
                Ok(())
            });
            for damage in found.damages {
                report.note(damage.code, damage.what);
            }
            let root = report.take("data.state", root);
            if root.is_some_and(|root| root != head.header.state_root) {
                report.note("data.state", "the tree does not have the state root of the newest header");
            }
        }
        let counted = self.rows(Column::State, &mut |_, _| {
            report.entries += 1;
            Ok(())
        });
        if counted.is_ok() && report.entries != leaves {
            let entries = report.entries;
            report.note("data.state", format!("the state has {entries} entries, its tree {leaves}"));
        }
    }

    fn verify_entry(&self, key: &[u8], value_hash: &Hash, found: &mut Verification) {
        let name = || String::from_utf8_lossy(key).into_owned();
        let Some(value) = found.take("data.state", self.state(key)) else { return };
        match value {
            Some(value) if sha256(&value) == *value_hash => {
                let version = did::index_key(key, &value).and_then(|row| match row {
                    Some(row) => Ok(self.storage().read(Column::Index, &row)?.is_none()),
                    None => Ok(false),
                });
                if found.take("data.index", version) == Some(true) {
                    found.note("data.index", format!("the version of {} is not indexed", name()));
                }
            }
            Some(_) => {
                found.note("data.state", format!("the value of {} is not the one in the tree", name()))
            }
            None => found.note("data.state", format!("{} is missing", name())),
        }
    }

    fn verify_history(&self, report: &mut Verification) {
        let mut root = None;
        for height in report.oldest..report.height {
            let Some(Some(head)) = report.take("data.history", self.stored_head(height)) else { continue };
            match head.root_version {
                Some(version) if version == height || root.is_none() => {
                    let only = (version == height && root.is_some()).then_some(version);
                    let found = tree::check_version(self.storage(), version, only, &mut |_, _| Ok(()));
                    root = report.take("data.history", found);
                }
                Some(_) | None => {}
            }
            if root.is_some_and(|root| root != head.header.state_root) {
                report.note(
                    "data.history",
                    format!("the tree of height {height} does not have its state root"),
                );
            }
        }
        let oldest = report.oldest;
        let mut found = Verification::default();
        let read = self.rows(Column::History, &mut |key, value| {
            let height = key.get(32..).unwrap_or_default();
            let height = keys::read_number(height, "the height of a past value")?;
            let key_hash = key.get(..32).and_then(Hash::from_slice);
            let key_hash = key_hash.ok_or_else(|| StoreError::corrupt("the key of a past value"))?;
            if height > oldest {
                self.verify_past_value(&key_hash, height, value, &mut found);
                found.past_values += 1;
            }
            Ok(())
        });
        report.take("data.history", read);
        report.past_values = found.past_values;
        for damage in found.damages {
            report.note(damage.code, damage.what);
        }
    }

    /// A past value is the one that the tree of the height before had.
    fn verify_past_value(&self, key_hash: &Hash, height: u64, value: &[u8], found: &mut Verification) {
        let before = height.saturating_sub(1);
        let Some(Some(head)) = found.take("data.history", self.stored_head(before)) else { return };
        let path = tree::prove(self.storage(), head.root_version, key_hash);
        let Some(Some(path)) = found.take("data.history", path) else { return };
        let expected = path.leaf.filter(|leaf| leaf.key_hash == *key_hash).map(|leaf| leaf.value_hash);
        let own = match value.split_first() {
            Some((0, [])) => None,
            Some((1, value)) => Some(sha256(value)),
            _ => Some(Hash::ZERO),
        };
        if own != expected {
            let what =
                format!("the past value of key hash {key_hash} before height {height} is not in its tree");
            found.note("data.history", what);
        }
    }

    fn verify_witnesses(&self, erased_before_ms: u64, kept: u64, report: &mut Verification) {
        let mut found = Verification::default();
        let mut newest = None;
        let read = self.rows(Column::Witness, &mut |key, _| {
            found.witnesses += 1;
            let height = keys::read_number(key.get(..8).unwrap_or_default(), "the height of a witness")?;
            if newest == Some(height) {
                return Ok(());
            }
            newest = Some(height);
            // Reading the block compares each witness with the hash in its header.
            if let Some(block) = found.take("data.witness", self.block(height)) {
                let is_full = |one: &aval_types::BlockTransaction| matches!(one.witness, Witness::Full(_));
                if !block.transactions.iter().any(is_full) {
                    found.note("data.witness", format!("block {height} has a witness that it does not name"));
                }
                if block.header.time_ms < erased_before_ms && height < kept {
                    found.note(
                        "data.witness_overdue",
                        format!("block {height} has witnesses older than the retention"),
                    );
                }
            }
            Ok(())
        });
        report.take("data.witness", read);
        report.witnesses = found.witnesses;
        for damage in found.damages {
            report.note(damage.code, damage.what);
        }
        self.verify_erased(report);
    }

    /// What was erased is in no file any more.
    fn verify_erased(&self, report: &mut Verification) {
        let read = |key: &[u8]| self.storage().read(Column::Meta, key);
        if report.take("data.file", read(keys::ERASING)).flatten().is_some() {
            report.note(
                "data.witness_overdue",
                "erasing witnesses was interrupted: their bytes may be in files still",
            );
        }
        let erased = report.take("data.file", read(keys::ERASED)).flatten();
        let erased =
            erased.map(|bytes| keys::read_number(&bytes, "the height up to which witnesses are erased"));
        let Some(erased) = erased.and_then(|erased| report.take("data.file", erased)) else { return };
        let below = keys::witness(erased, 0);
        for file in
            report.take("data.file", self.storage().files_below(Column::Witness, &below)).unwrap_or_default()
        {
            report.note(
                "data.witness_overdue",
                format!("the file {file} holds witnesses below height {erased}"),
            );
        }
    }
}
