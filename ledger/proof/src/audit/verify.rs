//! Checking a bundle, line by line, against a genesis hash.
//!
//! What holds once [`AuditVerifier::finish`] is `Ok`: the range is whole; each block names the one before it as its
//! parent; its transactions, witness hashes and receipts are those of its header; each transaction's signatures verify
//! and its receipt is its own; each certificate is one of a quorum of the validators in force; and the last header
//! is certified, which by the parents makes everything before it final.

use std::collections::BTreeSet;

use aval_codec::{Hash, b64u, merkle};
use aval_did::PublicKey;
use aval_types::node::key_bytes;
use aval_types::{Block, BlockReceipt, Genesis, Header, Mode, Outcome, Receipt, TransactionId, Witness};

use super::bundle::{AUDIT_VERSION, Line, Seal};
use super::report::AuditReport;
use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::error::ProofError;
use crate::ledger_proof::PATH_LENGTH_MAX;
use crate::trust_chain::{TrustChain, TrustLink};
use crate::validators::ValidatorSet;

/// Why a bundle does not hold, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct AuditError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub error: ProofError,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Sets,
    Blocks,
    Headers,
}

/// Reads a bundle.
#[derive(Debug)]
pub struct AuditVerifier {
    expected: Option<Hash>,
    line: u64,
    phase: Phase,
    seal: Seal,
    /// The last height that the segment's beginning promises.
    promised: u64,
    /// The last block's header and the headers above it that were seen.
    newest: Option<Header>,
    /// The header of the last block.
    block: Option<Header>,
    headers: usize,
    is_certified: bool,
    anchor: Option<TrustAnchor>,
    ids: BTreeSet<TransactionId>,
    report: Option<AuditReport>,
}

fn invalid(reason: &'static str) -> ProofError {
    ProofError::Audit(reason)
}

fn decode(text: &str) -> Result<Vec<u8>, ProofError> {
    b64u::decode(text).map_err(|_| ProofError::Malformed("not base64url".to_owned()))
}

impl AuditVerifier {
    /// Trusts the genesis file with this hash. Without one, the hash in the report is what has to be compared.
    pub fn new(expected: Option<Hash>) -> Self {
        Self {
            expected,
            line: 0,
            phase: Phase::Begin,
            seal: Seal::START,
            promised: 0,
            newest: None,
            block: None,
            headers: 0,
            is_certified: false,
            anchor: None,
            ids: BTreeSet::new(),
            report: None,
        }
    }

    /// Takes the next line, without its end.
    pub fn line(&mut self, bytes: &[u8]) -> Result<(), AuditError> {
        self.line += 1;
        self.take(bytes).map_err(|error| AuditError { line: self.line, error })
    }

    /// What the bundle shows, if it is whole.
    pub fn finish(self) -> Result<AuditReport, AuditError> {
        let error = AuditError { line: self.line, error: invalid("the bundle ends before its end") };
        match (self.phase, self.report) {
            (Phase::Begin, Some(report)) => Ok(report),
            _ => Err(error),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ProofError> {
        let line = Line::decode(bytes)?;
        let seal = self.seal;
        self.seal.add(bytes);
        match (self.phase, line) {
            (Phase::Begin, Line::Begin { version, network, genesis, from, to }) => {
                if version != AUDIT_VERSION {
                    return Err(ProofError::Malformed(format!("version {version} is not known here")));
                }
                self.begin(&network, &decode(&genesis)?, from, to)
            }
            (Phase::Sets, Line::Set { header, certificate, next }) => {
                self.take_set(&decode(&header)?, certificate, &next)
            }
            (Phase::Sets | Phase::Blocks, Line::Block { bytes, receipts, certificate }) => {
                let receipts = receipts.iter().map(|text| decode(text)).collect::<Result<Vec<_>, _>>()?;
                self.take_block(&decode(&bytes)?, &receipts, certificate.as_ref())
            }
            (Phase::Blocks | Phase::Headers, Line::Header { bytes, certificate }) => {
                self.take_header(&decode(&bytes)?, certificate.as_ref())
            }
            (Phase::Blocks | Phase::Headers, Line::End { to, lines, hash }) => {
                self.end(seal, to, lines, hash)
            }
            _ => Err(invalid("a line is not in its place")),
        }
    }

    fn begin(
        &mut self,
        network: &aval_types::NetworkId,
        genesis: &[u8],
        from: u64,
        to: u64,
    ) -> Result<(), ProofError> {
        let hash = Genesis::hash_of(genesis);
        if self.expected.is_some_and(|expected| expected != hash) {
            return Err(ProofError::Network);
        }
        // Further segments are of the first one's network.
        self.expected = Some(hash);
        let parsed = Genesis::parse(genesis).map_err(|error| ProofError::Anchor(error.to_string()))?;
        let named = parsed.network_id(hash).map_err(|error| ProofError::Anchor(error.to_string()))?;
        if named != *network {
            return Err(ProofError::Network);
        }
        match &self.block {
            None => {
                self.anchor = Some(TrustAnchor::from_genesis(genesis)?);
                self.report = Some(AuditReport::new(named, from));
            }
            Some(block) if block.height.checked_add(1) == Some(from) => {}
            Some(_) => return Err(invalid("a segment does not begin where the one before it ends")),
        }
        if to < from {
            return Err(invalid("the range is empty"));
        }
        // Headers above the last segment's range come again as blocks.
        self.newest = self.block.clone();
        self.promised = to;
        self.headers = 0;
        self.is_certified = false;
        self.ids.clear();
        self.phase = Phase::Sets;
        Ok(())
    }

    /// A change of the validator set, certified by the set before it.
    fn take_set(
        &mut self,
        header: &[u8],
        certificate: Certificate,
        next: &[PublicKey],
    ) -> Result<(), ProofError> {
        let header = Header::decode(header).map_err(|error| ProofError::Malformed(error.to_string()))?;
        let keys: Option<Vec<_>> = next.iter().map(key_bytes).collect();
        let keys = keys.filter(|keys| keys.is_sorted_by(|left, right| left < right));
        let keys = keys.ok_or(invalid("a validator set is not one"))?;
        let Some(anchor) = &mut self.anchor else { return Err(invalid("a line is not in its place")) };
        let link = TrustLink { header, certificate, next: ValidatorSet::new(keys) };
        anchor.extend(&TrustChain { network: anchor.network().clone(), links: vec![link], more: false })?;
        if let Some(report) = &mut self.report {
            report.set_changes = anchor.changes().len() as u64;
        }
        Ok(())
    }

    fn take_block(
        &mut self,
        bytes: &[u8],
        receipts: &[Vec<u8>],
        certificate: Option<&Certificate>,
    ) -> Result<(), ProofError> {
        let block = Block::decode(bytes, Mode::Any).map_err(|error| match error {
            aval_types::BlockError::BodyMismatch => invalid("a block's body is not the one of its header"),
            error => ProofError::Malformed(error.to_string()),
        })?;
        let first = self.report.as_ref().filter(|report| report.blocks == 0).map(|report| report.from);
        if first.is_some_and(|first| first != block.header.height) || block.header.height > self.promised {
            return Err(invalid("a block is not of the range"));
        }
        self.phase = Phase::Blocks;
        self.follow(&block.header)?;
        self.check_body(&block, receipts)?;
        self.check_certificate(&block.header, certificate)?;
        if let Some(report) = &mut self.report {
            report.add_block(&block.header);
        }
        self.block = Some(block.header);
        Ok(())
    }

    fn take_header(&mut self, bytes: &[u8], certificate: Option<&Certificate>) -> Result<(), ProofError> {
        let header = Header::decode(bytes).map_err(|error| ProofError::Malformed(error.to_string()))?;
        if self.block.is_none() {
            return Err(invalid("a line is not in its place"));
        }
        self.headers += 1;
        if self.headers > PATH_LENGTH_MAX {
            return Err(ProofError::Path("there are too many headers above the range"));
        }
        self.phase = Phase::Headers;
        self.follow(&header)?;
        self.check_certificate(&header, certificate)
    }

    /// The header is the child of the one before it.
    fn follow(&mut self, header: &Header) -> Result<(), ProofError> {
        if Some(header.genesis) != self.expected {
            return Err(ProofError::Network);
        }
        if let Some(newest) = &self.newest {
            if header.parent != newest.digest() {
                return Err(ProofError::Path("a header does not name the one before it as its parent"));
            }
            if newest.height.checked_add(1) != Some(header.height) || header.time_ms <= newest.time_ms {
                return Err(ProofError::Path("height or time does not rise from a header to the next"));
            }
        }
        self.newest = Some(header.clone());
        self.is_certified = false;
        Ok(())
    }

    fn check_certificate(
        &mut self,
        header: &Header,
        certificate: Option<&Certificate>,
    ) -> Result<(), ProofError> {
        let Some(anchor) = &self.anchor else { return Err(invalid("a line is not in its place")) };
        if anchor.contradicts(header) {
            return Err(ProofError::Fork);
        }
        let Some(certificate) = certificate else { return Ok(()) };
        let validators = anchor.validators_of(header)?;
        if header.epoch != certificate.epoch || certificate.view < header.view {
            return Err(ProofError::Certificate("the round is not that of the header"));
        }
        certificate.verify(&header.genesis, &header.digest(), validators)?;
        self.is_certified = true;
        if let Some(report) = &mut self.report {
            report.certificates += 1;
        }
        Ok(())
    }

    /// Transactions and receipts; the roots over transactions and witness hashes were compared when the block was read.
    fn check_body(&mut self, block: &Block, receipts: &[Vec<u8>]) -> Result<(), ProofError> {
        if merkle::root(receipts) != block.header.receipts_root {
            return Err(ProofError::Receipt("the receipts are not those of the header"));
        }
        let Some(report) = &mut self.report else { return Err(invalid("a line is not in its place")) };
        let Some((of_transactions, further)) = receipts.split_at_checked(block.transactions.len()) else {
            return Err(ProofError::Receipt("there is not one receipt per transaction"));
        };
        match further {
            [] => {}
            [own] => {
                let own = BlockReceipt::decode(own)
                    .map_err(|_| ProofError::Receipt("the bytes are not a block's receipt"))?;
                if own.height != block.header.height || own.time_ms != block.header.time_ms {
                    return Err(ProofError::Receipt("a block's receipt is not its own"));
                }
                report.add_events(&own.events);
            }
            _ => return Err(ProofError::Receipt("there are more receipts than transactions and block")),
        }
        for ((index, in_block), bytes) in (0u32..).zip(&block.transactions).zip(of_transactions) {
            let transaction =
                in_block.transaction().map_err(|_| invalid("a transaction of a block cannot be read"))?;
            if transaction.payload().network != report.network {
                return Err(invalid("a transaction is of another network"));
            }
            transaction
                .verify_signatures()
                .map_err(|_| invalid("a transaction's signature does not verify"))?;
            match &in_block.witness {
                Witness::None => {}
                Witness::Stripped(_) => report.presentations += 1,
                Witness::Full(_) => return Err(invalid("a presentation is there in clear")),
            }
            let receipt =
                Receipt::decode(bytes).map_err(|_| ProofError::Receipt("the bytes are not a receipt"))?;
            let is_its_own = receipt.transaction == transaction.id()
                && receipt.index == index
                && receipt.height == block.header.height
                && receipt.time_ms == block.header.time_ms;
            if !is_its_own || !self.ids.insert(transaction.id()) {
                return Err(ProofError::Receipt("a receipt is not the one of its transaction"));
            }
            report.transactions += 1;
            match receipt.outcome {
                Outcome::Rejected(_) => report.rejected += 1,
                Outcome::Applied(events) => {
                    report.applied += 1;
                    report.add_events(&events);
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, seal: Seal, to: u64, lines: u64, hash: Hash) -> Result<(), ProofError> {
        if (lines, hash) != (seal.lines, seal.hash) {
            return Err(invalid("the lines are not those that the end was written for"));
        }
        if self.block.as_ref().is_none_or(|block| block.height != to) {
            return Err(invalid("the range is not whole"));
        }
        if !self.is_certified {
            return Err(ProofError::Certificate("no certificate stands above the last block"));
        }
        self.phase = Phase::Begin;
        self.seal = Seal::START;
        Ok(())
    }
}
