//! What a certificate needs to hold.

use aval_codec::Hash;

use super::fixture::Chain;
use crate::{
    certificate::{Certificate, finalize_namespace, signed_bytes},
    error::ProofError,
    validators::ValidatorSet,
};

fn verify(chain: &Chain, certificate: &Certificate) -> Result<(), ProofError> {
    Ok(certificate.verify(&chain.network.genesis(), &chain.headers[1].digest(), &chain.validators)?)
}

#[test]
fn three_of_four_certify_and_two_do_not() {
    let chain = Chain::new();
    let certificate = |signers: &[u32]| chain.certificate(&chain.headers[1], signers);
    for signers in [vec![0, 1, 2], vec![0, 2, 3], vec![1, 2, 3], vec![0, 1, 2, 3]] {
        assert_eq!(verify(&chain, &certificate(&signers)), Ok(()), "{signers:?}");
    }
    for signers in [vec![], vec![0], vec![0, 1], vec![2, 3]] {
        assert!(verify(&chain, &certificate(&signers)).is_err(), "{signers:?}");
    }
}

#[test]
fn nobody_counts_twice_and_no_bad_signature_hides_behind_a_quorum() {
    let chain = Chain::new();
    let refused = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = chain.certificate(&chain.headers[1], &[0, 1, 2, 3]);
        change(&mut certificate);
        assert!(matches!(verify(&chain, &certificate), Err(ProofError::Certificate(_))), "{certificate:?}");
    };
    refused(&|certificate| certificate.signers = vec![0, 0, 1, 2]);
    refused(&|certificate| certificate.signers.swap(0, 1));
    refused(&|certificate| {
        certificate.signers.swap(0, 1);
        certificate.signatures.swap(0, 1);
    });
    refused(&|certificate| certificate.signatures.swap(0, 1));
    refused(&|certificate| certificate.signers[3] = 4);
    refused(&|certificate| certificate.signers[3] = u32::MAX);
    refused(&|certificate| {
        certificate.signatures.pop();
    });
    refused(&|certificate| {
        certificate.signers.pop();
    });
    refused(&|certificate| certificate.signatures[3] = [0; 64]);
    refused(&|certificate| certificate.epoch += 1);
    refused(&|certificate| certificate.view += 1);
    refused(&|certificate| certificate.parent_view += 1);
    for bit in 0..512 {
        refused(&|certificate| certificate.signatures[2][bit / 8] ^= 1 << (bit % 8));
    }
}

#[test]
fn a_certificate_is_for_one_block_of_one_network() {
    let chain = Chain::new();
    let certificate = chain.certificate(&chain.headers[1], &[0, 1, 2]);
    let (genesis, digest) = (chain.network.genesis(), chain.headers[1].digest());
    assert_eq!(certificate.verify(&genesis, &digest, &chain.validators), Ok(()));
    assert!(certificate.verify(&genesis, &chain.headers[2].digest(), &chain.validators).is_err());
    assert!(certificate.verify(&Hash::ZERO, &digest, &chain.validators).is_err());
    let others = ValidatorSet::new((1..=4u8).map(|seed| [seed; 32]).collect());
    assert!(certificate.verify(&genesis, &digest, &others).is_err());
    assert!(certificate.verify(&genesis, &digest, &ValidatorSet::new(Vec::new())).is_err());
}

#[test]
fn a_quorum_is_more_than_two_thirds() {
    let quorum = |count: u8| ValidatorSet::new((0..count).map(|key| [key; 32]).collect()).quorum();
    let expected = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7), (31, 21), (100, 67)];
    for (count, signatures) in expected {
        assert_eq!(quorum(count), signatures, "{count}");
    }
}

#[test]
fn what_is_signed_is_laid_out_as_the_specification_says() {
    let genesis = Hash::new([0xab; 32]);
    let namespace = finalize_namespace(&genesis);
    assert_eq!(namespace.len(), 90);
    let bytes = signed_bytes(&genesis, 1, 300, 299, &Hash::new([7; 32]));
    let expected = [&[90u8], namespace.as_bytes(), &[1, 0xac, 2, 0xab, 2], [7; 32].as_slice()].concat();
    assert_eq!(bytes, expected);
}

#[test]
fn the_json_form_reads_back_and_is_strict() {
    let chain = Chain::new();
    let certificate = chain.certificate(&chain.headers[1], &[0, 1, 2]);
    let text = serde_json::to_string(&certificate).unwrap();
    let read = |text: &str| aval_codec::json::from_slice::<Certificate>(text.as_bytes(), Default::default());
    assert_eq!(read(&text).unwrap(), certificate);
    assert!(
        text.starts_with(r#"{"epoch":0,"view":301,"parentView":0,"signers":[0,1,2],"signatures":[""#),
        "{text}"
    );
    assert!(read(&text.replace("\"view\"", "\"round\"")).is_err());
    assert!(read(&text.replace("[0,1,2]", "[-1,1,2]")).is_err());
    assert!(read(&text.replacen("\"]", "A\"]", 1)).is_err());
}
