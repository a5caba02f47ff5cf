//! The engine's finality certificates and ours (specs/wire.md, "Certificate").
//!
//! Both hold the same facts: which validators signed, by their place in the set sorted by key, and their
//! signatures over the proposal. The conversion loses nothing, so a certificate that is read back from the
//! store serves the engine too.

use aval_codec::Hash;
use aval_proof::Certificate;
use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Finalization, Proposal};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::certificate::Signers;
use commonware_cryptography::ed25519::{Signature, certificate::Certificate as EngineCertificate};
use commonware_cryptography::sha256::Digest;
use commonware_utils::Participant;

use super::block::digest;

/// A finalization of this network.
pub(super) type BlockFinalization = Finalization<Scheme, Digest>;

/// The bytes that separate this network's votes from every other network's.
pub(super) fn namespace(network: &Hash) -> Vec<u8> {
    format!("aval-consensus/1/{network}").into_bytes()
}

/// Our certificate for the engine's; `None` if a signature cannot be read, which a verified one never shows.
pub(super) fn from_engine(finalization: &BlockFinalization) -> Option<Certificate> {
    let proposal = &finalization.proposal;
    let signers = finalization.certificate.signers.iter().map(|signer| signer.get()).collect();
    let signatures = finalization
        .certificate
        .signatures
        .iter()
        .map(|signature| <[u8; 64]>::try_from(signature.get()?.as_ref()).ok())
        .collect::<Option<Vec<_>>>()?;
    Some(Certificate {
        epoch: proposal.round.epoch().get(),
        view: proposal.round.view().get(),
        parent_view: proposal.parent.get(),
        signers,
        signatures,
    })
}

/// The engine's certificate for ours; `None` if it does not fit a set of `validators` validators.
pub(super) fn to_engine(
    certificate: &Certificate,
    block: &Hash,
    validators: u32,
) -> Option<BlockFinalization> {
    let signers = certificate.signers.iter().map(|index| Participant::new(*index));
    let signers = Signers::new(validators, signers).ok()?;
    let signatures = certificate
        .signatures
        .iter()
        .map(|bytes| Signature::decode(Bytes::copy_from_slice(bytes)).ok().map(Into::into))
        .collect::<Option<Vec<_>>>()?;
    if signers.count() != signatures.len() {
        return None;
    }
    let round = Round::new(Epoch::new(certificate.epoch), View::new(certificate.view));
    Some(Finalization {
        proposal: Proposal::new(round, View::new(certificate.parent_view), digest(block)),
        certificate: EngineCertificate { signers, signatures },
    })
}
