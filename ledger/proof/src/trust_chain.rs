//! The way from a known validator set to the present one: one header and certificate per *change* of the set (D14,
//! specs/wire.md, "Trust").
//!
//! Epochs that keep the set cost nothing. A link is believed because the set before it certifies the header that names
//! the set after it. What a link cannot say is when its signers signed it: whoever starts at an old set believes
//! whatever a quorum of that set signs, at any later time. A verifier with a newer checkpoint does not.

use aval_codec::{Hash, Limits, b64u, json};
use aval_did::PublicKey;
use aval_types::{Header, NetworkId, node::key_bytes};
use serde::{Deserialize, Serialize};

use crate::{
    certificate::Certificate, error::ProofError, ledger_proof::decode_header, validators::ValidatorSet,
};

/// Bytes of a trust chain as one answer gives it.
pub const TRUST_CHAIN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Changes of one answer; whoever needs more asks again.
pub const TRUST_CHAIN_LINKS_MAX: usize = 32;

/// One change of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustLink {
    /// The header of the block that decides it: the last one of an epoch.
    pub header: Header,
    /// Its certificate, by the set before the change.
    pub certificate: Certificate,
    /// The set after it.
    pub next: ValidatorSet,
}

/// Changes of the set, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustChain {
    /// The network.
    pub network: NetworkId,
    /// The changes.
    pub links: Vec<TrustLink>,
    /// Whether there are further changes: ask again from the last one's height.
    pub more: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    network: NetworkId,
    genesis: Hash,
    links: Vec<LinkWire>,
    more: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkWire {
    header: String,
    certificate: Certificate,
    next: Vec<PublicKey>,
}

impl TrustLink {
    /// Checks that `before` certifies the change; gives the set after it.
    pub(crate) fn check(
        &self,
        network: &NetworkId,
        before: &ValidatorSet,
    ) -> Result<ValidatorSet, ProofError> {
        let header = &self.header;
        if header.genesis != network.genesis() {
            return Err(ProofError::Network);
        }
        if header.validators_hash != before.hash() || header.next_validators_hash != self.next.hash() {
            return Err(ProofError::ValidatorSet);
        }
        if header.validators_hash == header.next_validators_hash || header.last_set_change != header.height {
            return Err(ProofError::Path("a link of the trust chain is no change of the set"));
        }
        if self.certificate.epoch != header.epoch || self.certificate.view < header.view {
            return Err(ProofError::Certificate("the round is not that of the header"));
        }
        self.certificate.verify(&network.genesis(), &header.digest(), before)?;
        Ok(self.next.clone())
    }
}

impl TrustChain {
    /// Reads the JSON form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        let malformed = |reason: &str| ProofError::Malformed(reason.to_owned());
        let wire: Wire = json::from_slice(bytes, Limits::bytes(TRUST_CHAIN_BYTES_MAX))
            .map_err(|error| ProofError::Malformed(error.to_string()))?;
        if wire.genesis != wire.network.genesis() {
            return Err(ProofError::Network);
        }
        if wire.links.len() > TRUST_CHAIN_LINKS_MAX {
            return Err(malformed("the trust chain is too long"));
        }
        let link = |link: LinkWire| {
            let keys = link.next.iter().map(key_bytes).collect::<Option<Vec<_>>>();
            let keys = keys.ok_or_else(|| malformed("a validator's key is not an Ed25519 key"))?;
            if !keys.is_sorted_by(|left, right| left < right) {
                return Err(malformed("a validator set is not ascending"));
            }
            Ok(TrustLink {
                header: decode_header(&link.header)?,
                certificate: link.certificate,
                next: ValidatorSet::new(keys),
            })
        };
        let links = wire.links.into_iter().map(link).collect::<Result<_, _>>()?;
        Ok(Self { network: wire.network, links, more: wire.more })
    }

    /// The JSON form, compact.
    pub fn to_json(&self) -> Vec<u8> {
        let link = |link: &TrustLink| LinkWire {
            header: b64u::encode(link.header.encode()),
            certificate: link.certificate.clone(),
            next: link.next.keys().iter().map(|key| PublicKey::Ed25519(*key)).collect(),
        };
        let wire = Wire {
            genesis: self.network.genesis(),
            network: self.network.clone(),
            links: self.links.iter().map(link).collect(),
            more: self.more,
        };
        // Strings and numbers alone: serde_json has no way to fail on them.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}
