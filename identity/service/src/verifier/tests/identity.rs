//! How wallets know the verifier: what a home folder must have for it, and what does not fit together.

use crate::issuer::config::KeysConfig;
use crate::verifier::config::Home;
use crate::verifier::identity::{ClientIdKind, WalletsConfig};
use crate::verifier::presentations::Identity;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// A P-256 key and a certificate for it, as PEM.
fn certified(name: &str) -> (Value, String) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&pair).unwrap();
    // RFC 5915: the private key is the octet string behind the version 1.
    let der = pair.serialize_der();
    let at = der.windows(5).position(|part| part == [0x02, 0x01, 0x01, 0x04, 0x20]).unwrap() + 5;
    let seed = aval_codec::b64u::encode(&der[at..at + 32]);
    (json!({"documentKeys": {"#key-1": {"algorithm": "ES256", "seed": seed}}}), certificate.pem())
}

fn home(keys: &Value) -> (TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, keys.to_string()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = Home(folder.path().to_owned());
    (folder, home)
}

fn config(client_id: ClientIdKind, certificates: Option<String>) -> WalletsConfig {
    WalletsConfig {
        listen: "127.0.0.1:8201".parse().unwrap(),
        public_url: "https://verifier.example/asks".to_owned(),
        client_id,
        certificates,
        keys: KeysConfig::default(),
    }
}

#[test]
fn a_certificate_names_a_verifier_that_has_no_did() {
    let (keys, pem) = certified("verifier.example");
    let (_folder, home) = home(&keys);
    let by_name = config(ClientIdKind::X509SanDns, Some(pem.clone()));
    by_name.validate().unwrap();
    let (identity, _) = by_name.open(&home).unwrap();
    assert!(
        matches!(identity, Identity::Dns { name, chain } if name == "verifier.example" && chain.len() == 1)
    );
    let (identity, _) = config(ClientIdKind::X509Hash, Some(pem)).open(&home).unwrap();
    assert!(matches!(identity, Identity::Hash { chain } if chain.len() == 1));
}

#[test]
fn certificates_for_another_key_or_host_are_found_before_anything_is_answered() {
    let (keys, _) = certified("verifier.example");
    let (_folder, home) = home(&keys);
    let fault = |config: &WalletsConfig| config.open(&home).err().map(|fault| fault.to_string()).unwrap();
    let (other, foreign) = certified("verifier.example");
    let said = fault(&config(ClientIdKind::X509Hash, Some(foreign)));
    assert!(said.contains("not for the key"), "{said}");
    let (_other_folder, other_home) = self::home(&other);
    assert!(config(ClientIdKind::Did, None).open(&other_home).is_err(), "a key without a DID names nobody");
    let (keys, elsewhere) = certified("elsewhere.example");
    let (_third, home) = self::home(&keys);
    let by_name = config(ClientIdKind::X509SanDns, Some(elsewhere.clone()));
    let said = by_name.open(&home).err().unwrap().to_string();
    assert!(said.contains("not for the host"), "{said}");
    // The hash says nothing of hosts.
    assert!(config(ClientIdKind::X509Hash, Some(elsewhere)).open(&home).is_ok());
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    let (_, pem) = certified("verifier.example");
    for (kind, certificates) in [
        (ClientIdKind::Did, Some(pem.clone())),
        (ClientIdKind::X509Hash, None),
        (ClientIdKind::X509SanDns, Some("no certificate".to_owned())),
        (ClientIdKind::X509Hash, Some(pem.repeat(9))),
    ] {
        assert!(config(kind, certificates).validate().is_err());
    }
    for url in
        ["http://verifier.example", "https://verifier.example/", "https://verifier.example/a?b", "verifier"]
    {
        let wrong = WalletsConfig { public_url: url.to_owned(), ..config(ClientIdKind::Did, None) };
        assert!(wrong.validate().is_err(), "{url}");
    }
}
