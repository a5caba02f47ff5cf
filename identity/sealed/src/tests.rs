//! What must not open.

use super::*;

const MAGIC: Magic = b"a-test-001";
const QUICK: KeyDerivation = KeyDerivation { memory_kib: 64, iterations: 1, lanes: 1 };

fn sealed() -> Vec<u8> {
    let header = Header::generate(MAGIC, QUICK).unwrap();
    let key = header.derive(b"correct horse").unwrap();
    header.seal(&key, Zeroizing::new(b"a secret".to_vec())).unwrap()
}

fn open(file: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let header = Header::parse(MAGIC, file)?;
    header.unseal(&header.derive(passphrase)?, file)
}

#[test]
fn only_the_passphrase_opens_what_was_sealed() {
    let file = sealed();
    assert_eq!(open(&file, b"correct horse").unwrap().as_slice(), b"a secret");
    assert_eq!(open(&file, b"another horse"), Err(SealError::Passphrase));
    assert!(!file.windows(8).any(|window| window == b"a secret"));
}

#[test]
fn a_file_of_another_kind_is_not_taken_for_this_one() {
    assert!(matches!(Header::parse(b"a-test-002", &sealed()), Err(SealError::Damaged(_))));
}

#[test]
fn a_file_that_is_changed_or_cut_anywhere_is_refused() {
    let file = sealed();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(Header::parse(MAGIC, &changed).is_err(), "byte {at}");
        assert!(Header::parse(MAGIC, &file[..at]).is_err(), "length {at}");
    }
}

#[test]
fn a_file_that_asks_for_all_memory_is_refused() {
    let mut file = sealed();
    file[14..18].copy_from_slice(&u32::MAX.to_be_bytes());
    let body = file.len() - 32;
    let checksum = Sha256::digest(&file[..body]);
    file[body..].copy_from_slice(&checksum);
    let refused = SealError::Damaged("its key derivation parameters are out of bounds");
    assert_eq!(Header::parse(MAGIC, &file).err(), Some(refused));
}
