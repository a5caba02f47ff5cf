//! Keys and signatures, against published vectors and against each other.

use std::path::PathBuf;

use aval_codec::{Json, Limits, json};
use proptest::prelude::*;

use super::*;

fn hex64(text: &str) -> [u8; 64] {
    let (left, right) = text.split_at(64);
    [left, right]
        .map(|half| half.parse::<aval_codec::Hash>().unwrap().to_bytes())
        .concat()
        .try_into()
        .unwrap()
}

fn hex32(text: &str) -> [u8; 32] {
    text.parse::<aval_codec::Hash>().unwrap().to_bytes()
}

#[test]
fn ed25519_follows_rfc_8032_and_rfc_8037() {
    let secret = hex32("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let key = SigningKey::from_seed(&secret);
    let public = hex32("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(key.public(), PublicKey::Ed25519(public));
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                     5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(key.sign(b""), hex64(signature));
    assert_eq!(key.public().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(*key.to_seed(), secret);
}

#[test]
fn multikeys_and_jwks_of_the_specifications_are_read() {
    let text = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    assert_eq!(PublicKey::from_multikey(text).unwrap().to_multikey(), text);
    // Example of RFC 7515 A.3.
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                  "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","use":"sig","kid":"1","alg":"ES256"}"#;
    let jwk = json::parse(jwk.as_bytes(), Limits::default()).unwrap();
    let key = PublicKey::from_jwk(&jwk).unwrap();
    assert!(key.to_multikey().starts_with("zDn"));
    assert_eq!(PublicKey::from_multikey(&key.to_multikey()), Ok(key));
    assert_eq!(PublicKey::from_jwk(&key.to_jwk()), Ok(key));
    // And its signature, which is over bytes that another implementation made.
    let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signature = aval_codec::b64u::decode_array(signature).unwrap();
    assert_eq!(key.verify(Algorithm::Es256, input.as_bytes(), &signature), Ok(()));
    assert_eq!(key.verify(Algorithm::Es256, b"other", &signature), Err(KeyError::Signature));
}

#[test]
fn jwks_that_are_not_a_public_key_of_ours_are_refused() {
    let good = SigningKey::p256_from_seed(&[1; 32]).unwrap().public().to_jwk();
    let with = |name: &str, value: Json| {
        let mut members = good.clone().into_object().unwrap();
        members.insert(name.into(), value);
        PublicKey::from_jwk(&Json::Object(members))
    };
    assert!(with("kid", "x".into()).is_ok());
    assert_eq!(with("d", "AA".into()), Err(KeyError::Private));
    assert_eq!(with("alg", "EdDSA".into()), Err(KeyError::Algorithm));
    assert_eq!(with("crv", "P-384".into()), Err(KeyError::Malformed));
    assert_eq!(with("kty", "OKP".into()), Err(KeyError::Malformed));
    assert_eq!(with("x", Json::Int(1)), Err(KeyError::Malformed));
    assert_eq!(with("y", Json::Null), Err(KeyError::Malformed));
    assert_eq!(with("y", aval_codec::b64u::encode([1; 32]).into()), Err(KeyError::OffCurve));
    assert_eq!(PublicKey::from_jwk(&Json::Null), Err(KeyError::Malformed));
    assert_eq!(PublicKey::p256(&[0; 33]), Err(KeyError::Malformed));
    assert_eq!(PublicKey::p256(&[2; 32]), Err(KeyError::Malformed));
    let beyond_field = [&[2u8][..], &[0xff; 32]].concat();
    assert_eq!(PublicKey::p256(&beyond_field), Err(KeyError::OffCurve));
    assert_eq!(PublicKey::ed25519(&[2; 31]), Err(KeyError::Malformed));
    assert!(SigningKey::p256_from_seed(&[0; 32]).is_err());
    assert!(SigningKey::p256_from_seed(&[0xff; 32]).is_err());
}

#[test]
fn an_algorithm_must_be_the_one_of_the_key() {
    let (edwards, weierstrass) = (SigningKey::generate(), SigningKey::generate_p256());
    let signature = edwards.sign(b"x");
    assert_eq!(edwards.public().verify(Algorithm::Es256, b"x", &signature), Err(KeyError::Algorithm));
    assert_eq!(weierstrass.public().verify(Algorithm::EdDsa, b"x", &signature), Err(KeyError::Algorithm));
    assert_eq!(Algorithm::from_name("none"), None);
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(SigningKey::from_secret(algorithm, &[1; 32]).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn a_private_key_is_not_shown() {
    let key = SigningKey::from_seed(&[7; 32]);
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public()));
}

/// n of P-256, minus `s`.
fn other_s(signature: &[u8; 64]) -> [u8; 64] {
    let order = hex32("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut other = *signature;
    let mut borrow = 0i32;
    for index in (0..32).rev() {
        let digit = i32::from(order[index]) - i32::from(signature[32 + index]) - borrow;
        borrow = i32::from(digit < 0);
        other[32 + index] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    other
}

#[test]
fn both_forms_of_an_es256_signature_verify_and_only_one_goes_into_a_block() {
    let key = SigningKey::p256_from_seed(&[3; 32]).unwrap();
    let low = key.sign(b"message");
    let high = other_s(&low);
    assert_ne!(low, high);
    let public = key.public();
    for signature in [&low, &high] {
        assert_eq!(public.verify(Algorithm::Es256, b"message", signature), Ok(()));
        assert_eq!(normalize_es256_low_s(signature), Some(low));
    }
    assert!(is_es256_low_s(&low) && !is_es256_low_s(&high));
    assert_eq!(public.verify_strict_low_s(Algorithm::Es256, b"message", &low), Ok(()));
    assert_eq!(public.verify_strict_low_s(Algorithm::Es256, b"message", &high), Err(KeyError::Signature));
    let mut batch = BatchVerifier::new();
    batch.queue(&public, b"message", &low);
    batch.queue(&public, b"message", &high);
    assert_eq!(batch.verify(), [true, false]);
    for broken in [[0; 64], [0xff; 64]] {
        assert_eq!(normalize_es256_low_s(&broken), None);
        assert!(public.verify(Algorithm::Es256, b"message", &broken).is_err());
    }
}

/// The edge cases on which Ed25519 libraries disagree: "Taming the many EdDSAs". The expected answers are those of
/// ZIP-215, computed from its definition apart from this code.
#[test]
fn speccheck_cases_get_the_answers_of_zip_215_alone_and_in_batches() {
    let folder = std::env::var_os("AVAL_VECTORS")
        .map_or_else(|| PathBuf::from("../../../shared/vectors"), PathBuf::from);
    let path = folder.join("ed25519/speccheck-cases.json");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("SKIPPED: the Ed25519 vectors are not at {}", path.display());
        return;
    };
    let cases = json::parse(&bytes, Limits::default()).unwrap();
    let text = |case: &Json, name: &str| case.get(name).unwrap().as_str().unwrap().to_owned();
    let read = |case: &Json| {
        let key = PublicKey::Ed25519(hex32(&text(case, "pub_key")));
        (key, hex32(&text(case, "message")), hex64(&text(case, "signature")))
    };
    let cases: Vec<_> = cases.as_array().unwrap().iter().map(read).collect();
    let expected = "VVVVVVXXXVVV".chars().map(|answer| answer == 'V').collect::<Vec<_>>();
    let single = |(key, message, signature): &(PublicKey, [u8; 32], [u8; 64])| {
        key.verify(Algorithm::EdDsa, message, signature).is_ok()
    };
    assert_eq!(cases.iter().map(single).collect::<Vec<_>>(), expected);
    let mut all = BatchVerifier::new();
    for (case, expected) in cases.iter().zip(&expected) {
        all.queue(&case.0, &case.1, &case.2);
        // Each also among honest signatures, where a cofactorless batch would give itself away.
        let mut batch = BatchVerifier::new();
        batch.queue(&case.0, &case.1, &case.2);
        for number in 0..8 {
            let honest = SigningKey::from_seed(&[number; 32]);
            batch.queue(&honest.public(), b"honest", &honest.sign(b"honest"));
        }
        let verdicts = batch.verify();
        assert_eq!(verdicts.first(), Some(expected));
        assert!(verdicts.iter().skip(1).all(|verdict| *verdict));
    }
    assert_eq!(all.verify(), expected);
    // Small-order and non-canonical keys verify here, as consensus asks, but no document can name them.
    for (index, (key, ..)) in cases.iter().enumerate() {
        assert_eq!(key.check().is_err(), [0, 1, 10, 11].contains(&index), "case {index}");
    }
}

proptest! {
    #[test]
    fn keys_round_trip_as_multikey_jwk_and_json(seed in any::<[u8; 32]>(), edwards in any::<bool>()) {
        let algorithm = if edwards { Algorithm::EdDsa } else { Algorithm::Es256 };
        let Ok(key) = SigningKey::from_secret(algorithm, &seed) else { return Ok(()) };
        let public = key.public();
        prop_assert_eq!(PublicKey::from_multikey(&public.to_multikey()), Ok(public));
        prop_assert_eq!(PublicKey::from_jwk(&public.to_jwk()), Ok(public));
        let text = serde_json::to_string(&public).unwrap();
        prop_assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), public);
        let prefix = if edwards { "z6Mk" } else { "zDn" };
        prop_assert!(public.to_multikey().starts_with(prefix));
        prop_assert_eq!(public.check(), Ok(()));
        prop_assert!(public.verify_strict_low_s(algorithm, &seed, &key.sign(&seed)).is_ok());
    }

    #[test]
    fn a_batch_answers_what_single_verification_answers(
        items in proptest::collection::vec((0u8..4, any::<bool>(), any::<[u8; 8]>(), 0usize..600), 0..24),
    ) {
        let mut batch = BatchVerifier::new();
        let mut expected = Vec::new();
        for (number, edwards, message, bit) in items {
            let algorithm = if edwards { Algorithm::EdDsa } else { Algorithm::Es256 };
            let key = SigningKey::from_secret(algorithm, &[number + 1; 32]).unwrap();
            let mut signature = key.sign(&message);
            // Beyond 512 no bit is flipped and the signature stays good.
            if let Some(byte) = signature.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            batch.queue(&key.public(), &message, &signature);
            expected.push(key.public().verify_strict_low_s(algorithm, &message, &signature).is_ok());
        }
        prop_assert_eq!(batch.len(), expected.len());
        prop_assert_eq!(batch.verify(), expected);
    }

    /// Reading remembers keys that it has seen; what is answered must not depend on what was read before.
    #[test]
    fn a_key_reads_the_same_however_often_it_is_read(seeds in proptest::collection::vec(any::<[u8; 32]>(), 1..40)) {
        let texts: Vec<String> = seeds.iter().map(|seed| PublicKey::Ed25519(*seed).to_multikey()).collect();
        let first: Vec<_> = seeds.iter().map(|seed| PublicKey::ed25519(seed)).collect();
        for _ in 0..2 {
            let read: Vec<_> = texts.iter().map(|text| PublicKey::from_multikey(text)).collect();
            prop_assert_eq!(&read, &first);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), base58 in "z[1-9A-HJ-NP-Za-km-z]{0,70}") {
        let _ = PublicKey::from_multikey(&text);
        if let Ok(key) = PublicKey::from_multikey(&base58) {
            prop_assert_eq!(key.to_multikey(), base58);
        }
    }
}
