//! What a wallet or an auditor reads from a node that it does not believe: certificates, proofs, chains, bundles.

use std::sync::LazyLock;

use aval_codec::{Hash, Json, Limits, json};
use aval_did::PublicKey;
use aval_proof::audit::AuditVerifier;
use aval_proof::snapshot::SnapshotChunk;
use aval_proof::{Certificate, Checkpoint, Claim, LedgerProof, TrustAnchor, TrustChain, ValidatorSet};
use aval_types::Genesis;

use crate::seeds::{GENESIS, snapshot_state, vectors};

/// A chunk of a snapshot. What verifies is a part of the state that the root commits to.
pub(crate) fn snapshot_chunk(bytes: &[u8]) -> bool {
    let Ok(chunk) = SnapshotChunk::decode(bytes) else { return false };
    assert_eq!(chunk.encode().as_deref(), Ok(bytes), "a chunk has two spellings");
    let (root, entries) = snapshot_state();
    let Ok(verified) = chunk.verify(&root) else { return true };
    let end = verified.next();
    let inside = entries.iter().filter(|(key, _)| {
        let hash = aval_codec::sha256(key);
        hash >= verified.from() && end.is_none_or(|end| hash < end)
    });
    let own = verified.entries().iter().map(|entry| (&entry.key, &entry.value));
    assert!(inside.map(|(key, value)| (key, value)).eq(own), "a chunk verifies that is not the state");
    true
}

/// The anchor by which the vectors are made.
static ANCHOR: LazyLock<TrustAnchor> =
    LazyLock::new(|| TrustAnchor::from_genesis(GENESIS).expect("the vectors' genesis file is valid"));

/// What the vectors' certificates certify.
struct Certified {
    genesis: Hash,
    digest: Hash,
    validators: ValidatorSet,
}

static CERTIFIED: LazyLock<Certified> = LazyLock::new(|| {
    let file = vectors("certificate");
    let hash = |member: &str| {
        file.get(member).and_then(Json::as_str).and_then(|text| text.parse().ok()).expect("a hash")
    };
    let keys = file.get("validators").and_then(Json::as_array).expect("validators").iter();
    let keys = keys.filter_map(|key| match key.as_str()?.parse().ok()? {
        PublicKey::Ed25519(bytes) => Some(bytes),
        PublicKey::P256(_) => None,
    });
    Certified {
        genesis: hash("genesis"),
        digest: hash("digest"),
        validators: ValidatorSet::new(keys.collect()),
    }
});

/// A finality certificate.
pub(crate) fn certificate(bytes: &[u8]) -> bool {
    let Ok(certificate) = json::from_slice::<Certificate>(bytes, Limits::default()) else { return false };
    let text = json::to_jcs(&certificate).expect("what was read can be written");
    assert_eq!(json::from_slice(&text, Limits::default()), Ok(certificate.clone()));
    let Certified { genesis, digest, validators } = &*CERTIFIED;
    if certificate.verify(genesis, digest, validators).is_err() {
        return true;
    }
    assert!(certificate.signers.len() >= validators.quorum());
    let other = aval_codec::sha256(digest.as_bytes());
    assert!(certificate.verify(genesis, &other, validators).is_err(), "it certifies two blocks");
    assert!(certificate.verify(&other, digest, validators).is_err(), "it certifies in two networks");
    let mut fewer = certificate;
    fewer.signers.truncate(validators.quorum() - 1);
    fewer.signatures.truncate(validators.quorum() - 1);
    assert!(fewer.verify(genesis, digest, validators).is_err(), "fewer than a quorum certify");
    true
}

/// A ledger proof.
pub(crate) fn ledger_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = LedgerProof::from_json(bytes) else { return false };
    let again = LedgerProof::from_json(&proof.to_json());
    assert_eq!(again.as_ref(), Ok(&proof), "a proof that was written is not read as it was");
    let verdict = proof.verify(&ANCHOR);
    assert_eq!(again.and_then(|again| again.verify(&ANCHOR)), verdict);
    let Ok(verified) = verdict else { return true };
    assert!(proof.verify_past(&ANCHOR).is_ok(), "an answer about the present is none about the past");
    assert_eq!(verified.network(), ANCHOR.network());
    // Whoever has seen the certified header sees the same proof hold about the past, and about the present if it stands
    // on that very header. A receipt may be of any age.
    let mut later = ANCHOR.clone();
    assert_eq!(later.advance(&verified), Ok(true));
    assert!(proof.verify_past(&later).is_ok());
    let is_newest = verified.height() == verified.certified().height;
    let is_receipt = matches!(proof.claim, Claim::Receipt(_));
    assert_eq!(
        proof.verify(&later).is_ok(),
        is_newest || is_receipt,
        "an older answer passes as the present"
    );
    true
}

/// The changes of the validator set.
pub(crate) fn trust_chain(bytes: &[u8]) -> bool {
    let Ok(chain) = TrustChain::from_json(bytes) else { return false };
    let again = TrustChain::from_json(&chain.to_json());
    assert_eq!(again.as_ref(), Ok(&chain), "a chain that was written is not read as it was");
    let mut anchor = ANCHOR.clone();
    let before = anchor.changes().len();
    let learned = anchor.extend(&chain);
    let known = anchor.changes().len() - before;
    match learned {
        Ok(learned) => {
            assert_eq!(learned, known);
            assert_eq!(anchor.extend(&chain), Ok(0), "what is known is learned again");
        }
        Err(_) => assert!(known < chain.links.len(), "a wrong chain was learned whole"),
    }
    assert!(anchor.changes().is_sorted_by(|left, right| left.height < right.height));
    true
}

/// What a wallet keeps of what it has verified.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = Checkpoint::from_json(bytes) else { return false };
    let again = Checkpoint::from_json(&checkpoint.to_json());
    assert_eq!(again.as_ref(), Ok(&checkpoint), "a checkpoint that was written is not read as it was");
    if let Ok(anchor) = ANCHOR.clone().with_checkpoint(checkpoint.clone()) {
        assert_eq!(anchor.checkpoint(), Some(checkpoint));
    }
    true
}

/// An auditor's bundle.
pub(crate) fn audit(bytes: &[u8]) -> bool {
    let judge = |expected: Option<Hash>| {
        let mut verifier = AuditVerifier::new(expected);
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        for line in lines {
            verifier.line(line)?;
        }
        verifier.finish()
    };
    let free = judge(None);
    let pinned = judge(Some(Genesis::hash_of(GENESIS)));
    if free.is_err() {
        assert!(pinned.is_err(), "a bundle that holds for nobody holds for who pins a genesis file");
    }
    free.is_ok()
}
