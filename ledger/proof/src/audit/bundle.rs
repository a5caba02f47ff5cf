//! The lines of a bundle.

use aval_codec::{Hash, Limits, b64u, hash, json};
use aval_did::PublicKey;
use aval_types::{Block, Header, NetworkId};
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::error::ProofError;
use crate::trust_chain::TrustLink;

/// The version of the format.
pub(super) const AUDIT_VERSION: u32 = 1;
/// Bytes of a line: the largest block with its receipts, in base64url.
pub const AUDIT_LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Ties the lines of a segment together.
const TAG: &str = "aval/audit/1";

/// A line. Its one spelling is what [`Self::encode`] gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Line {
    Begin {
        version: u32,
        network: NetworkId,
        /// The genesis file, base64url.
        genesis: String,
        from: u64,
        to: u64,
    },
    Set {
        /// The header of the block that decides the change, base64url.
        header: String,
        certificate: Certificate,
        /// The validators after it, as multikeys, ascending by the bytes of their keys.
        next: Vec<PublicKey>,
    },
    Block {
        /// The stripped block, base64url.
        bytes: String,
        /// Its receipts, base64url.
        receipts: Vec<String>,
        #[serde(deserialize_with = "json::strictly")]
        certificate: Option<Certificate>,
    },
    Header {
        /// The header, base64url.
        bytes: String,
        #[serde(deserialize_with = "json::strictly")]
        certificate: Option<Certificate>,
    },
    End {
        /// The last height of the segment; below the one that was asked for if the segment became too large.
        to: u64,
        lines: u64,
        hash: Hash,
    },
}

impl Line {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Strings and numbers alone: serde_json has no way to fail on them.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let line: Self = json::from_slice(bytes, Limits::bytes(AUDIT_LINE_BYTES_MAX))
            .map_err(|error| ProofError::Malformed(error.to_string()))?;
        if line.encode() == bytes { Ok(line) } else { Err(ProofError::Audit("a line has another spelling")) }
    }
}

/// The hash over the lines so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal {
    pub(super) lines: u64,
    pub(super) hash: Hash,
}

impl Seal {
    pub(super) const START: Self = Self { lines: 0, hash: Hash::ZERO };

    /// Takes in a line, without its end.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.hash = hash(TAG, &[self.hash.as_bytes(), line]);
        self.lines += 1;
    }
}

/// Writes a segment; each call gives one line with its end.
#[derive(Debug)]
pub struct AuditWriter {
    seal: Seal,
    newest: u64,
}

impl AuditWriter {
    /// Begins a segment for the heights `from` to `to`.
    pub fn begin(network: &NetworkId, genesis: &[u8], from: u64, to: u64) -> (Self, Vec<u8>) {
        let mut writer = Self { seal: Seal::START, newest: from };
        let line = writer.line(&Line::Begin {
            version: AUDIT_VERSION,
            network: network.clone(),
            genesis: b64u::encode(genesis),
            from,
            to,
        });
        (writer, line)
    }

    /// A change of the validator set.
    pub fn set(&mut self, link: &TrustLink) -> Vec<u8> {
        self.line(&Line::Set {
            header: b64u::encode(link.header.encode()),
            certificate: link.certificate.clone(),
            next: link.next.keys().iter().map(|key| PublicKey::Ed25519(*key)).collect(),
        })
    }

    /// The next block, which is stripped here, its encoded receipts, and its own certificate if it has one.
    pub fn block(
        &mut self,
        block: &Block,
        receipts: &[Vec<u8>],
        certificate: Option<Certificate>,
    ) -> Vec<u8> {
        self.newest = block.header.height;
        self.line(&Line::Block {
            bytes: b64u::encode(block.strip().encode()),
            receipts: receipts.iter().map(b64u::encode).collect(),
            certificate,
        })
    }

    /// A header above the last block.
    pub fn header(&mut self, header: &Header, certificate: Option<Certificate>) -> Vec<u8> {
        self.line(&Line::Header { bytes: b64u::encode(header.encode()), certificate })
    }

    /// Ends the segment.
    pub fn end(mut self) -> Vec<u8> {
        let Seal { lines, hash } = self.seal;
        let to = self.newest;
        self.line(&Line::End { to, lines, hash })
    }

    fn line(&mut self, line: &Line) -> Vec<u8> {
        let mut bytes = line.encode();
        self.seal.add(&bytes);
        bytes.push(b'\n');
        bytes
    }
}
