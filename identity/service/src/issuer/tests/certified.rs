//! What another key than the one of the ledger's wallets can do: certificates beside the DID, selective disclosure.

use super::formats::{receive, template};
use super::world::World;
use crate::clock::now_s;
use aval_did::key::SigningKey;
use aval_formats::Contexts;
use aval_formats::VerificationKey;
use aval_formats::data_integrity;
use aval_formats::jose::sd_jwt::SdJwt;
use aval_formats::json::Limits;
use aval_openid::x509::{self, Anchors, CertificateError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
};
use serde_json::json;

/// A certificate authority, and its root.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().to_vec();
    (Issuer::new(params, key), root)
}

/// A key with a certificate of this authority for this URI.
fn certified(by: &Issuer<'static, KeyPair>, uri: &str) -> (SigningKey, Vec<u8>) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Issuer");
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    let leaf = params.signed_by(&pair, by).unwrap().der().to_vec();
    // RFC 5915: the private key is the octet string behind the version 1.
    let der = pair.serialize_der();
    let at = der.windows(5).position(|part| part == [0x02, 0x01, 0x01, 0x04, 0x20]).unwrap() + 5;
    let key = SigningKey::p256_from_seed(der[at..at + 32].try_into().unwrap()).unwrap();
    (key, leaf)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dc_sd_jwt_carries_certificates_that_lead_to_the_root_of_its_issuer_and_to_no_other() {
    let world = World::start().await;
    let did = world.issuer.keys().did().to_string();
    let (by, root) = authority("Root");
    let (key, leaf) = certified(&by, &did);
    let public = key.public();
    world.second_key(key);
    let options = json!({"format": "dc+sd-jwt", "options": {"key": "key-2", "certified": true}});
    let early = template(&world, "haip", options.clone()).await;
    assert_eq!(early.status, 422, "there are no certificates for the key");
    let (_, foreign) = certified(&by, &did);
    assert!(world.issuer.keys().certify("#key-2", vec![foreign]).is_err(), "they are another key's");
    world.issuer.keys().certify("#key-2", vec![leaf]).unwrap();
    let made = template(&world, "haip", options).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let credential = receive(&world, "haip").await;
    let read = SdJwt::parse(credential.as_str().unwrap(), &["dc+sd-jwt"], Limits::default()).unwrap();
    let header = read.jwt().header();
    let chain: Vec<Vec<u8>> = header["x5c"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| STANDARD.decode(one.as_str().unwrap()).unwrap())
        .collect();
    assert!(!chain.contains(&root), "the root is the verifier's own");
    let trusted = Anchors::new([root]).unwrap();
    let certified = x509::verify(&chain, &trusted, now_s()).unwrap();
    read.verify(&certified.key.into()).unwrap();
    assert_eq!(certified.uris, [read.jwt().payload()["iss"].as_str().unwrap()]);
    let (_, other) = authority("Root");
    let other = Anchors::new([other]).unwrap();
    assert!(matches!(
        x509::verify(&chain, &other, now_s()),
        Err(CertificateError::Untrusted | CertificateError::Broken)
    ));
    // Who trusts the ledger finds the same key by the DID.
    assert_eq!(read.jwt().key_id(), Some(format!("{did}#key-2").as_str()));
    assert_eq!(certified.key, public);
    let without =
        template(&world, "plain", json!({"format": "dc+sd-jwt", "options": {"key": "key-2"}})).await;
    assert_eq!(without.status, 201, "{}", without.text());
    let plain = receive(&world, "plain").await;
    let plain = SdJwt::parse(plain.as_str().unwrap(), &["dc+sd-jwt"], Limits::default()).unwrap();
    assert!(plain.jwt().header().get("x5c").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_selective_disclosure_lets_its_holder_choose_but_not_hide_what_decides_validity() {
    let world = World::start().await;
    let key = SigningKey::p256_from_seed(&[8; 32]).unwrap();
    let public = VerificationKey::from(key.public());
    world.second_key(key);
    let options = json!({"suite": "ecdsa-sd-2023", "key": "key-2"});
    let made = template(&world, "sd", json!({"format": "ldp_vc", "options": options})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let base = receive(&world, "sd").await;
    assert_eq!(base["proof"]["cryptosuite"], "ecdsa-sd-2023");
    assert!(
        data_integrity::verify_proof(&base, &base["proof"], &public).is_err(),
        "it is for the holder alone"
    );

    let contexts = Contexts::shipped();
    let shown = data_integrity::derive(contexts, &base, &["/credentialSubject/role"]).unwrap();
    data_integrity::verify_proof(&shown, &shown["proof"], &public).unwrap();
    assert_eq!(shown["credentialSubject"]["role"], json!(["member"]));
    assert!(shown["credentialSubject"].get("legalName").is_none());
    for name in ["issuer", "validFrom", "validUntil", "credentialStatus"] {
        assert_eq!(shown[name], base[name], "{name}");
    }
    let mut forged = shown.clone();
    forged["credentialSubject"]["role"] = json!(["governor"]);
    assert!(data_integrity::verify_proof(&forged, &forged["proof"], &public).is_err());
    let mut hidden = shown.clone();
    hidden.as_object_mut().unwrap().remove("credentialStatus");
    assert!(data_integrity::verify_proof(&hidden, &hidden["proof"], &public).is_err());
}
