//! A ledger as a node would have it, made without a network: real transactions, executed and committed block by block,
//! under certificates that the validators' keys really sign.
//!
//! A million DIDs by real transactions would take the better part of an hour, most of it for signatures that nobody
//! measures here. So the bulk is copied from one DID that came about in full: the same entries with other
//! identifiers, keys and hashes of the same length, put into the state by blocks without transactions. Nodes that
//! execute would refuse such blocks; those that take the state as a snapshot see an ordinary one.

use anyhow::{Context, Result, ensure};
use aval_codec::{Hash, sha256};
use aval_did::PublicKey;
use aval_machine::membership::{self, HeaderSets};
use aval_machine::testkit::{Kit, Party};
use aval_machine::{BlockContext, Changes, Executed, Rules, check_all, execute_block, genesis_changes};
use aval_proof::{Certificate, signed_bytes};
use aval_store::{Ledger, PendingBlock};
use aval_types::block::{self, BlockTransaction};
use aval_types::{Block, SubmittedTransaction};

/// DIDs that one block of the bulk brings.
const BULK: u64 = 2_000;

/// The ledgers of some nodes, all with the same blocks.
pub(crate) struct Chain<'kit> {
    pub(crate) kit: &'kit Kit,
    pub(crate) ledgers: Vec<Ledger>,
    /// Milliseconds from one block to the next.
    pub(crate) interval_ms: u64,
    time_ms: u64,
}

impl<'kit> Chain<'kit> {
    /// Empty ledgers get their genesis block. The block after it has the given time.
    pub(crate) fn begin(kit: &'kit Kit, ledgers: Vec<Ledger>, time_ms: u64) -> Result<Self> {
        let genesis = kit.genesis();
        let hash = kit.network().genesis();
        for ledger in &ledgers {
            let changes = genesis_changes(genesis)?;
            let tree = ledger.view(&hash)?.tree(&changes)?;
            let block = Block { header: genesis.header(hash, tree.root()), transactions: Vec::new() };
            let executed = Executed {
                changes,
                receipts: Vec::new(),
                block_receipt: None,
                receipt_bytes: Vec::new(),
                receipts_root: block.header.receipts_root,
                ids: Vec::new(),
            };
            ledger.commit(&PendingBlock::new(block, executed, tree)?, None)?;
        }
        Ok(Self { kit, ledgers, interval_ms: 100, time_ms })
    }

    /// Lets the next block have at least this time.
    pub(crate) fn wait_until(&mut self, time_ms: u64) {
        self.time_ms = self.time_ms.max(time_ms);
    }

    /// The time of the newest block, seconds since 1970.
    pub(crate) fn now_s(&self) -> u64 {
        self.time_ms / 1_000
    }

    /// The newest height.
    pub(crate) fn height(&self) -> Result<u64> {
        Ok(self.ledgers.first().context("a ledger")?.require_head()?.height())
    }

    /// Makes a block of transactions, and changes that nothing asked for, final on all ledgers.
    pub(crate) fn block(&mut self, submitted: Vec<SubmittedTransaction>, bulk: Changes) -> Result<Changes> {
        self.time_ms += self.interval_ms;
        let first = self.ledgers.first().context("a ledger")?;
        let head = first.require_head()?;
        let view = first.view(&head.digest())?;
        let transactions: Vec<BlockTransaction> = submitted
            .iter()
            .map(|one| BlockTransaction {
                envelope: one.transaction.to_envelope(),
                witness: one.witness.clone(),
            })
            .collect();
        let checked = check_all(submitted, &Rules::live(self.kit.network().clone()));
        let checked = checked.into_iter().collect::<Result<Vec<_>, _>>()?;
        let height = head.height() + 1;
        let context = BlockContext {
            network: self.kit.network().clone(),
            height,
            time_ms: self.time_ms,
            leaders: Vec::new(),
        };
        let mut executed = execute_block(&view, &context, &checked)?;
        let own = executed.changes.clone();
        executed.changes.extend(bulk);
        let epoch_blocks = self.kit.genesis().parameters.validators.epoch_blocks;
        let next = membership::validators_after(&view, &executed.changes)?;
        let sets = HeaderSets::following(head.header(), height, epoch_blocks, &next);
        let parent_view = if height % epoch_blocks == 0 { 0 } else { head.header().view };
        let tree = view.tree(&executed.changes)?;
        let mut header = head.header().clone();
        header.height = height;
        header.time_ms = self.time_ms;
        header.epoch = sets.epoch;
        header.view = parent_view + 1;
        header.parent_view = parent_view;
        header.leader = ed25519(self.kit, 0)?;
        header.parent = head.digest();
        header.transactions_root = block::transactions_root(&transactions);
        header.witnesses_root = block::witnesses_root(&transactions);
        header.receipts_root = executed.receipts_root;
        header.state_root = tree.root();
        header.validators_hash = sets.validators_hash;
        header.next_validators_hash = sets.next_validators_hash;
        header.last_set_change = sets.last_set_change;
        let certificate = self.certify(sets.epoch, header.view, parent_view, &header.digest())?;
        for ledger in &self.ledgers {
            let tree = ledger.view(&head.digest())?.tree(&executed.changes)?;
            let block = Block { header: header.clone(), transactions: transactions.clone() };
            let executed = Executed {
                changes: executed.changes.clone(),
                receipts: executed.receipts.clone(),
                block_receipt: executed.block_receipt.clone(),
                receipt_bytes: executed.receipt_bytes.clone(),
                receipts_root: executed.receipts_root,
                ids: executed.ids.clone(),
            };
            ledger.commit(&PendingBlock::new(block, executed, tree)?, Some(&certificate))?;
        }
        Ok(own)
    }

    /// Puts a member on the ledger by its own transaction; what that changed.
    pub(crate) fn member(&mut self, number: u64) -> Result<(Party, Changes)> {
        let member = self.kit.company(number);
        let create = member.create_with(self.kit, &self.kit.membership(&member));
        let changes = self.block(vec![create], Changes::new())?;
        Ok((member, changes))
    }

    /// Puts copies of a member's entries on the ledger, until there are so many more DIDs.
    pub(crate) fn bulk(&mut self, pattern: &Changes, did: &str, first: u64, count: u64) -> Result<()> {
        let mut next = first;
        while next < first + count {
            let end = (next + BULK).min(first + count);
            let mut changes = Changes::new();
            for number in next..end {
                for (key, value) in pattern {
                    // What is not about this DID alone stays as it is.
                    let Some(value) = value.as_ref().filter(|value| about(key, value, did)) else { continue };
                    changes.insert(renamed(key, number), Some(renamed(value, number)));
                }
            }
            self.block(Vec::new(), changes)?;
            next = end;
            if next % 100_000 < BULK {
                eprintln!("bench: {} DIDs on the ledger", next - first);
            }
        }
        Ok(())
    }

    fn certify(&self, epoch: u64, view: u64, parent_view: u64, digest: &Hash) -> Result<Certificate> {
        let count = self.kit.validator_keys().len();
        let keys: Result<Vec<_>> = (0..count).map(|index| Ok((ed25519(self.kit, index)?, index))).collect();
        let mut keys = keys?;
        keys.sort_unstable();
        let quorum = count - (count - 1) / 3;
        let message = signed_bytes(&self.kit.network().genesis(), epoch, view, parent_view, digest);
        let signing = keys.iter().take(quorum).map(|(_, index)| &self.kit.validator_keys()[*index]);
        let signatures = signing.map(|key| key.sign(&message)).collect();
        Ok(Certificate {
            epoch,
            view,
            parent_view,
            signers: (0..u32::try_from(quorum)?).collect(),
            signatures,
        })
    }
}

fn ed25519(kit: &Kit, index: usize) -> Result<[u8; 32]> {
    let key = kit.validator_keys().get(index).context("a validator")?.public();
    let PublicKey::Ed25519(bytes) = key else { anyhow::bail!("validators have Ed25519 keys") };
    Ok(bytes)
}

/// Whether an entry is about the DID, and not about all.
fn about(key: &[u8], value: &[u8], did: &str) -> bool {
    let has = |bytes: &[u8]| bytes.windows(did.len()).any(|window| window == did.as_bytes());
    (has(key) || has(value)) && (key.starts_with(b"did/") || key.starts_with(b"grant/"))
}

/// The same with other identifiers, keys and hashes: every run of letters and digits that is long enough to be one is
/// replaced by another of its length and alphabet, the same one for the same number.
fn renamed(bytes: &[u8], number: u64) -> Vec<u8> {
    const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const HEX: &[u8] = b"0123456789abcdef";
    let mut out = Vec::with_capacity(bytes.len());
    for run in bytes.chunk_by(|left, right| left.is_ascii_alphanumeric() == right.is_ascii_alphanumeric()) {
        if run.len() < 30 || !run[0].is_ascii_alphanumeric() {
            out.extend_from_slice(run);
            continue;
        }
        let is_hex = run.iter().all(|byte| HEX.contains(byte));
        // `Qm` and `z6Mk` say what follows.
        let kept = if is_hex {
            0
        } else if run.starts_with(b"z6Mk") {
            4
        } else {
            2
        };
        out.extend_from_slice(&run[..kept]);
        let mut noise = sha256(&[run, &number.to_be_bytes()].concat());
        let alphabet = if is_hex { HEX } else { BASE58 };
        for (place, _) in run[kept..].iter().enumerate() {
            if place % 32 == 0 {
                noise = sha256(noise.as_bytes());
            }
            out.push(alphabet[usize::from(noise.as_bytes()[place % 32]) % alphabet.len()]);
        }
    }
    out
}

/// Fails unless the ledgers agree.
pub(crate) fn ensure_same(ledgers: &[Ledger]) -> Result<()> {
    let heads: Result<Vec<_>, _> = ledgers.iter().map(Ledger::require_head).collect();
    ensure!(heads?.windows(2).all(|pair| pair[0].digest() == pair[1].digest()), "the ledgers differ");
    Ok(())
}
