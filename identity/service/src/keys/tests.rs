//! The key file.

use crate::keys::IssuerKeys;
use crate::keys::file::{KeyFile, Source};
use crate::keys::module::Module;
use aval_codec::b64u;
use aval_did::key::{Algorithm, Signer as _, SigningKey};
use std::os::unix::fs::PermissionsExt as _;

const DID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";

fn parse(text: &str) -> Result<IssuerKeys, String> {
    let mut module = || Err::<Module, _>("there is no module".to_owned());
    KeyFile::parse(text)?.keys(&mut module)
}

fn file(algorithm: &str, seed: &str) -> String {
    format!(
        r##"{{"did":"{DID}","documentKeys":{{"#key-1":{{"algorithm":"{algorithm}","seed":"{seed}"}}}},"controlKeys":[]}}"##
    )
}

#[test]
fn both_kinds_of_keys_are_read() {
    let seed = b64u::encode([3; 32]);
    let keys = parse(&file("EdDSA", &seed)).unwrap();
    assert_eq!(keys.active().public(), SigningKey::from_seed(&[3; 32]).public());
    assert_eq!(keys.active().id(), format!("{DID}#key-1"));
    let keys = parse(&file("ES256", &seed)).unwrap();
    assert_eq!(keys.active().algorithm(), Algorithm::Es256);
    assert_eq!(keys.active().public(), SigningKey::p256_from_seed(&[3; 32]).unwrap().public());
}

#[test]
fn a_malformed_file_is_refused_without_a_word_of_what_is_in_it() {
    let seed = b64u::encode([7; 32]);
    let good = file("EdDSA", &seed);
    let outside_of_the_group = b64u::encode([255; 32]);
    for (text, reason) in [
        (String::new(), "line 1"),
        ("{}".to_owned(), "does not fit"),
        (
            good.replace(r#"{"algorithm":"EdDSA","seed":"#, "").replace(r#""}},"control"#, r#""},"control"#),
            "does not fit",
        ),
        (good.replace("did:aval", "did:web"), "did:aval"),
        (good.replace("#key-1", "key-1"), "#"),
        (good.replace("EdDSA", "HS256"), "neither"),
        (file("EdDSA", &b64u::encode([7; 31])), "32 bytes"),
        (file("EdDSA", &format!("{seed}=")), "32 bytes"),
        (file("ES256", &b64u::encode([0; 32])), "valid key"),
        (file("ES256", &outside_of_the_group), "valid key"),
        (format!(r#"{{"did":"{DID}","documentKeys":{{}}}}"#), "empty"),
    ] {
        let sentence = parse(&text).unwrap_err();
        assert!(sentence.contains(reason), "{sentence} / {text}");
        assert!(!sentence.contains(&seed), "{sentence}");
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, file("EdDSA", &b64u::encode([3; 32]))).unwrap();
    for mode in [0o640, 0o604, 0o644, 0o660, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let fault = IssuerKeys::open(Source::plain(&path)).unwrap_err();
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.to_string().contains("chmod 600"), "{fault}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    IssuerKeys::open(Source::plain(&path)).unwrap();
    assert_eq!(IssuerKeys::open(Source::plain(&folder.path().join("other"))).unwrap_err().exit_code(), 5);
}

#[test]
fn debug_output_shows_no_private_key() {
    let seed = [3; 32];
    let keys = parse(&file("EdDSA", &b64u::encode(seed))).unwrap();
    let shown = format!("{keys:?}");
    assert!(!shown.contains(&b64u::encode(seed)) && !shown.contains("3, 3, 3"), "{shown}");
}

#[test]
fn a_sealed_file_opens_with_its_passphrase_alone_and_holds_no_seed() {
    let folder = tempfile::tempdir().unwrap();
    let private = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let seed = b64u::encode([3; 32]);
    let source = Source {
        path: folder.path().join("keys.sealed"),
        passphrase_file: Some(private("passphrase", b"correct horse\n")),
        module: None,
    };
    let sealed = source.seal(&file("EdDSA", &seed)).unwrap();
    assert!(!sealed.windows(seed.len()).any(|window| window == seed.as_bytes()));
    private("keys.sealed", &sealed);
    let keys = IssuerKeys::open(source.clone()).unwrap();
    assert_eq!(keys.active().public(), SigningKey::from_seed(&[3; 32]).public());
    private("passphrase", b"another horse");
    assert_eq!(IssuerKeys::open(source.clone()).unwrap_err().exit_code(), 4);
    private("passphrase", b"short");
    assert_eq!(IssuerKeys::open(source.clone()).unwrap_err().exit_code(), 1);
    private("keys.sealed", b"something else that is long enough to be looked at");
    private("passphrase", b"correct horse");
    assert!(IssuerKeys::open(source).unwrap_err().to_string().contains("another kind"));
}

#[test]
fn a_key_that_is_added_signs_only_when_it_is_made_the_active_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, file("EdDSA", &b64u::encode([3; 32]))).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let source = Source::plain(&path);
    let keys = IssuerKeys::open(source.clone()).unwrap();
    let added = source.add(Algorithm::Es256, false).unwrap();
    assert_eq!(added.method, "#key-2");
    assert!(!keys.activate("#key-2"), "it was not read yet");
    keys.reload().unwrap();
    assert_eq!(keys.active().method(), "#key-1");
    assert!(keys.activate("#key-2"));
    assert_eq!(keys.active().public().to_string(), added.public_key_multibase);
    // The next start goes on with the old one until it hears of the new one.
    assert_eq!(IssuerKeys::open(source).unwrap().active().method(), "#key-1");
    assert!(!keys.activate("#key-9"));
    assert_eq!(keys.active().method(), "#key-2");
}
