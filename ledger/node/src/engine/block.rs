//! Our blocks in the engine's clothes.
//!
//! The digest is the header's digest, so a vote for a block is a vote for its order, content and outcome. On the wire a
//! block is a varint length and its bytes. Reading one is bounded, accepts full witnesses only and recomputes from the
//! body the roots that the header commits to: what does not match never becomes a value, so it never reaches a cache.

use std::sync::Arc;

use aval_codec::Hash;
use aval_types::block::HEADER_BYTES;
use bytes::Bytes;
use commonware_codec::{Buf, DecodeExt as _, EncodeSize, Error as CodecError, RangeCfg, Read, Write};
use commonware_consensus::simplex::types::Context;
use commonware_consensus::types::{Epoch, Height, Round, View};
use commonware_consensus::{Block as ConsensusBlock, BoundedBlock, CertifiableBlock, Heightable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_cryptography::sha256::Digest;
use commonware_cryptography::{Digested, Digestible};
use commonware_runtime::BufMut;

use super::{SealedBlock, Slot};

/// The place of a proposal in the engine's terms.
pub(super) type EngineContext = Context<Digest, PublicKey>;

/// A sealed block as the engine passes it around; a clone shares the block.
#[derive(Clone, Debug)]
pub(super) struct EngineBlock {
    sealed: Arc<SealedBlock>,
    leader: PublicKey,
}

impl EngineBlock {
    /// Wraps a block; refuses one whose leader is no public key.
    pub(super) fn new(sealed: Arc<SealedBlock>) -> Result<Self, CodecError> {
        let leader = public_key(&sealed.block().header.leader)?;
        Ok(Self { sealed, leader })
    }

    /// Wraps a block and hands its digest along, so that nobody computes it again.
    pub(super) fn digested(sealed: Arc<SealedBlock>) -> Result<Digested<Self>, CodecError> {
        let digest = digest(&sealed.digest());
        Ok(Digested::precomputed(Self::new(sealed)?, digest))
    }

    /// The block inside.
    pub(super) fn sealed(&self) -> &Arc<SealedBlock> {
        &self.sealed
    }
}

/// A public key; an error if the bytes are none.
pub(super) fn public_key(bytes: &[u8; 32]) -> Result<PublicKey, CodecError> {
    PublicKey::decode(Bytes::copy_from_slice(bytes))
}

/// A hash of ours as the engine's digest.
pub(super) fn digest(hash: &Hash) -> Digest {
    Digest(hash.to_bytes())
}

/// The engine's digest as a hash of ours.
pub(super) fn hash(digest: &Digest) -> Hash {
    Hash::new(digest.0)
}

/// The place of a proposal in our terms.
pub(super) fn slot(context: &EngineContext) -> Slot {
    let mut leader = [0; 32];
    // A public key of this scheme has 32 bytes, so the zip covers all of both.
    leader.iter_mut().zip(context.leader.as_ref()).for_each(|(to, from)| *to = *from);
    Slot {
        epoch: context.round.epoch().get(),
        view: context.round.view().get(),
        parent_view: context.parent.0.get(),
        leader,
        parent: hash(&context.parent.1),
    }
}

impl Write for EngineBlock {
    fn write(&self, buffer: &mut impl BufMut) {
        self.sealed.encoded().write(buffer);
    }
}

impl EncodeSize for EngineBlock {
    fn encode_size(&self) -> usize {
        self.sealed.encoded().encode_size()
    }
}

impl Read for EngineBlock {
    /// Bytes of a block at most.
    type Cfg = usize;

    fn read_cfg(buffer: &mut impl Buf, bytes_max: &usize) -> Result<Self, CodecError> {
        let encoded = Bytes::read_cfg(buffer, &RangeCfg::new(HEADER_BYTES..=*bytes_max))?;
        // The buffer may be part of a much larger network buffer, which a block that is kept must not keep alive.
        let encoded = Bytes::copy_from_slice(&encoded);
        let sealed =
            SealedBlock::decode(encoded).map_err(|error| CodecError::Wrapped("block", Box::new(error)))?;
        Self::new(Arc::new(sealed))
    }
}

impl Digestible for EngineBlock {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(&self.sealed.digest())
    }
}

impl Heightable for EngineBlock {
    fn height(&self) -> Height {
        Height::new(self.sealed.height())
    }
}

impl ConsensusBlock for EngineBlock {
    fn parent(&self) -> Digest {
        digest(&self.sealed.block().header.parent)
    }
}

impl CertifiableBlock for EngineBlock {
    type Context = EngineContext;

    fn context(&self) -> EngineContext {
        let header = &self.sealed.block().header;
        Context {
            round: Round::new(Epoch::new(header.epoch), View::new(header.view)),
            leader: self.leader.clone(),
            parent: (View::new(header.parent_view), digest(&header.parent)),
        }
    }
}

impl BoundedBlock for EngineBlock {
    fn max_encode_size(bytes_max: &usize) -> usize {
        // The widest varint of a 32-bit length, then the block.
        bytes_max.saturating_add(5)
    }
}
