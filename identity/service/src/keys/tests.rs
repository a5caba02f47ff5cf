//! The key file.

use crate::keys::IssuerKeys;
use crate::keys::file::{KeyFile, Sealing, Source};
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
        sealing: Sealing::File(private("passphrase", b"correct horse\n")),
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

/// A SoftHSM token with a PIN, in a folder of its own. SoftHSM finds its folder by an environment variable of the
/// process, so the test that needs one runs in a process that it starts itself.
fn soft_hsm() -> Option<std::path::PathBuf> {
    let candidates = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    candidates.into_iter().map(std::path::PathBuf::from).find(|path| path.exists())
}

#[test]
fn keys_in_a_hardware_module_sign_and_never_leave_it() {
    let Some(library) = soft_hsm() else {
        eprintln!("skipped: 1 test of PKCS#11, because SoftHSM is not installed (make setup)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = folder.path().join("softhsm2.conf");
    std::fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    let made = std::process::Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "aval test", "--so-pin", "87654321", "--pin", "12345678"])
        .env("SOFTHSM2_CONF", &settings)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let this = std::env::current_exe().unwrap();
    let inner = std::process::Command::new(this)
        .args(["--exact", "keys::tests::in_the_process_with_a_module", "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", &settings)
        .env("AVAL_TEST_PKCS11", &library)
        .env("AVAL_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(
        inner.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&inner.stderr)
    );
    // What SoftHSM wrote is sealed under the PIN; what this program wrote only points at it.
    let file = std::fs::read_to_string(folder.path().join("keys.json")).unwrap();
    assert!(file.contains("pkcs11"), "{file}");
    assert_eq!(
        file.matches("seed").count(),
        1,
        "only the key that was there before has a seed in the file: {file}"
    );
}

#[test]
#[ignore = "part of keys_in_a_hardware_module_sign_and_never_leave_it, which starts it"]
fn in_the_process_with_a_module() {
    use crate::keys::module::ModuleConfig;
    let folder = std::path::PathBuf::from(std::env::var_os("AVAL_TEST_FOLDER").unwrap());
    let private = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let config = ModuleConfig {
        library: std::env::var_os("AVAL_TEST_PKCS11").unwrap().into(),
        token: "aval test".to_owned(),
        pin_file: private("pin", "12345678\n"),
    };
    let path = private("keys.json", &file("EdDSA", &b64u::encode([3; 32])));
    let source = Source { module: Some(config.clone()), ..Source::plain(&path) };
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let added = source.add(algorithm, true).unwrap();
        let keys = IssuerKeys::open(source.clone()).unwrap();
        assert!(keys.activate(&added.method));
        let key = keys.active();
        assert_eq!((key.algorithm(), key.public().to_string()), (algorithm, added.public_key_multibase));
        for message in [b"".as_slice(), b"a message", &[7; 10_000]] {
            let signature = key.try_sign(message).unwrap();
            key.public().verify_strict_low_s(algorithm, message, &signature).unwrap();
            assert!(key.public().verify(algorithm, b"another message", &signature).is_err());
        }
        let threads: Vec<_> = (0..4_u8)
            .map(|number| {
                let key = key.clone();
                std::thread::spawn(move || {
                    let signature = key.try_sign(&[number; 64]).unwrap();
                    key.public().verify(key.algorithm(), &[number; 64], &signature).unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    let refused = |config: ModuleConfig| Module::open(&config).unwrap_err();
    assert!(refused(ModuleConfig { token: "another".to_owned(), ..config.clone() }).contains("no token"));
    assert!(
        refused(ModuleConfig { library: folder.join("pin"), ..config.clone() })
            .contains("no PKCS#11 library")
    );
    let module = Module::open(&config).unwrap();
    assert!(module.key(Algorithm::EdDsa, "00ff").unwrap_err().contains("no private key"));
    assert!(module.key(Algorithm::EdDsa, "xyz").unwrap_err().contains("hexadecimal"));
}
