use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// Weak on purpose: the tests derive many keys.
const QUICK: KeyDerivation = KeyDerivation { memory_kib: 64, iterations: 1, lanes: 1 };

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn contents() -> Contents {
    Contents::new(Entropy::for_test(7), Some(Holder::Organization), 1_800_000_000)
}

struct Fixture {
    folder: tempfile::TempDir,
    vault: Vault,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/vault");
        let vault = Vault::create(&path, &passphrase("correct horse"), QUICK, &contents()).unwrap();
        Self { folder, vault }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home/vault")
    }

    fn open(&self, text: &str) -> Result<Vault, VaultError> {
        Vault::open(&self.path(), &passphrase(text))
    }
}

#[test]
fn what_is_written_is_read_again_and_nothing_of_it_shows_in_the_file() {
    let fixture = Fixture::new();
    fixture
        .vault
        .update(|contents| {
            contents.counters.did = 41;
            contents.transactions.push(StoredTransaction {
                id: "a-remarkable-transaction".to_owned(),
                kind: OperationKind::Create,
                did: "did:aval:demo:x".to_owned(),
                genesis: String::new(),
                signed_s: 1,
                state: TransactionState::Pending,
                code: None,
                receipt: None,
            });
            Ok::<_, VaultError>(())
        })
        .unwrap();
    let again = fixture.open("correct horse").unwrap().read().unwrap();
    assert_eq!(again.counters.did, 41);
    assert_eq!(again.entropy, Entropy::for_test(7));
    let file = fs::read(fixture.path()).unwrap();
    assert!(!file.windows(9).any(|window| window == b"remarkabl"));
    assert!(!file.windows(7).any(|window| window == [7; 7]));
}

#[test]
fn the_file_is_for_its_owner_only() {
    let fixture = Fixture::new();
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let folder = fixture.folder.path().join("home");
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_wrong_passphrase_is_told_apart_from_damage() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.open("correct horsf"), Err(VaultError::Passphrase)));
}

#[test]
fn an_existing_vault_is_never_overwritten() {
    let fixture = Fixture::new();
    let before = fs::read(fixture.path()).unwrap();
    let second = Vault::create(&fixture.path(), &passphrase("another one"), QUICK, &contents());
    assert!(matches!(second, Err(VaultError::Exists(_))));
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn a_short_passphrase_makes_no_vault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    let made = Vault::create(&path, &passphrase("seven77"), QUICK, &contents());
    assert!(matches!(made, Err(VaultError::WeakPassphrase { minimum: 8 })));
    assert!(!path.exists());
}

#[test]
fn a_file_cut_at_any_length_is_damaged() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.path()).unwrap();
    for length in 0..whole.len() {
        fs::write(fixture.path(), &whole[..length]).unwrap();
        let outcome = fixture.open("correct horse");
        assert!(matches!(outcome, Err(VaultError::Damaged { .. })), "{length} bytes: {outcome:?}");
    }
}

#[test]
fn a_file_with_any_bit_changed_is_refused() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.path()).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let refused =
            matches!(Header::parse(MAGIC, &changed), Err(SealError::Damaged(_) | SealError::Newer(_)));
        assert!(refused, "bit {bit}");
    }
}

#[test]
fn changed_bytes_under_a_repaired_checksum_do_not_open() {
    use sha2::{Digest, Sha256};
    let fixture = Fixture::new();
    let whole = fs::read(fixture.path()).unwrap();
    let body = whole.len() - 32;
    // Every byte of the header that does not decide on the algorithms, and every byte of the sealed part.
    for index in (14..body).filter(|index| !(14..22).contains(index)) {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        let checksum = Sha256::digest(&changed[..body]);
        changed[body..].copy_from_slice(&checksum);
        fs::write(fixture.path(), &changed).unwrap();
        let outcome = fixture.open("correct horse");
        assert!(
            matches!(outcome, Err(VaultError::Passphrase | VaultError::Damaged { .. })),
            "byte {index}: {outcome:?}"
        );
    }
}

#[test]
fn a_file_that_asks_for_all_memory_is_refused() {
    use sha2::{Digest, Sha256};
    let fixture = Fixture::new();
    let mut file = fs::read(fixture.path()).unwrap();
    file[14..18].copy_from_slice(&u32::MAX.to_be_bytes());
    let body = file.len() - 32;
    let checksum = Sha256::digest(&file[..body]);
    file[body..].copy_from_slice(&checksum);
    assert_eq!(
        Header::parse(MAGIC, &file).err(),
        Some(SealError::Damaged("its key derivation parameters are out of bounds"))
    );
}

#[test]
fn a_file_of_a_newer_program_is_named_as_such() {
    let fixture = Fixture::new();
    let mut file = fs::read(fixture.path()).unwrap();
    file[11] = 2;
    fs::write(fixture.path(), file).unwrap();
    assert!(matches!(fixture.open("correct horse"), Err(VaultError::Newer { found: 2, known: 1, .. })));
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_vault_and_the_next_write_works() {
    let fixture = Fixture::new();
    let before = fs::read(fixture.path()).unwrap();
    let crash = file::replace(&fixture.path(), b"half of a new vault", || {
        Err(std::io::Error::other("the machine stopped here"))
    });
    assert!(crash.is_err());
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
    assert!(fixture.path().with_file_name("vault.new").exists());
    let vault = fixture.open("correct horse").unwrap();
    vault
        .update(|contents| {
            let _: () = contents.counters.holder = 3;
            Ok::<_, VaultError>(())
        })
        .unwrap();
    assert_eq!(vault.read().unwrap().counters.holder, 3);
    assert!(!fixture.path().with_file_name("vault.new").exists());
}

#[test]
fn a_temporary_file_that_is_a_link_is_not_followed() {
    let fixture = Fixture::new();
    let victim = fixture.folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, fixture.path().with_file_name("vault.new")).unwrap();
    fixture.vault.update(|_| Ok::<_, VaultError>(())).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

#[test]
fn a_failed_change_writes_nothing() {
    let fixture = Fixture::new();
    let before = fs::read(fixture.path()).unwrap();
    let outcome = fixture.vault.update(|contents| {
        contents.counters.did = 9;
        Err::<(), _>(VaultError::System("changed my mind"))
    });
    assert!(outcome.is_err());
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let vault = fixture.open("correct horse").unwrap();
                for _ in 0..10 {
                    vault
                        .update(|contents| {
                            let _: () = contents.counters.did += 1;
                            Ok::<_, VaultError>(())
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(fixture.vault.read().unwrap().counters.did, 40);
}

#[test]
fn a_vault_exchanged_under_an_open_one_is_noticed() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path()).unwrap();
    Vault::create(&fixture.path(), &passphrase("correct horse"), QUICK, &contents()).unwrap();
    assert!(matches!(fixture.vault.read(), Err(VaultError::Exchanged(_))));
}

#[test]
fn each_write_uses_a_fresh_nonce() {
    let fixture = Fixture::new();
    let nonce = |file: Vec<u8>| file[42..66].to_vec();
    let first = nonce(fs::read(fixture.path()).unwrap());
    fixture.vault.update(|_| Ok::<_, VaultError>(())).unwrap();
    assert_ne!(first, nonce(fs::read(fixture.path()).unwrap()));
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let fixture = Fixture::new();
    let text = format!("{:?} {:?} {:?}", fixture.vault, contents(), passphrase("correct horse"));
    assert!(!text.contains("correct") && !text.contains("7, 7"), "{text}");
}

#[test]
fn a_passphrase_file_gives_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    fs::write(&path, "correct horse\nand a note\n").unwrap();
    let source = PassphraseSource { file: Some(path.clone()) };
    assert_eq!(source.obtain().unwrap().as_bytes(), b"correct horse");
    fs::write(&path, "\n").unwrap();
    assert!(matches!(source.obtain(), Err(VaultError::NoPassphrase(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(source.obtain(), Err(VaultError::Io { .. })));
}
