//! Genesis files: what starts a network and what does not.

use aval_codec::Hash;
use aval_did::Did;

use super::{Person, company, genesis, support::keep};
use crate::{
    block::validators_hash,
    genesis::{Genesis, GenesisError},
};

#[test]
fn a_genesis_file_reads_back_and_is_known_by_the_hash_of_its_bytes() {
    let genesis = genesis();
    let bytes = genesis.to_bytes();
    assert_eq!(Genesis::parse(&bytes).unwrap(), genesis);
    let mut other = bytes.clone();
    other.push(b'\n');
    assert_eq!(Genesis::parse(&other).unwrap(), genesis);
    assert_ne!(Genesis::hash_of(&other), Genesis::hash_of(&bytes));
    // The vectors' proofs are about this network.
    keep("vectors/genesis.json", std::str::from_utf8(&bytes).unwrap());
}

#[test]
fn the_genesis_header_names_the_file_and_the_validators() {
    let genesis = genesis();
    let hash = Genesis::hash_of(&genesis.to_bytes());
    let header = genesis.header(hash, Hash::new([9; 32]));
    assert_eq!((header.genesis, header.parent, header.height), (hash, hash, 0));
    assert_eq!(header.time_ms, genesis.time);
    assert_eq!(header.state_root, Hash::new([9; 32]));
    assert_eq!(header.validators_hash, validators_hash(&genesis.validator_keys()));
    assert_eq!(header.next_validators_hash, header.validators_hash);
    assert!(genesis.validator_keys().is_sorted());
}

#[test]
fn a_file_that_cannot_start_a_network_is_refused_with_a_reason() {
    let refused = |name: &str, change: &dyn Fn(&mut Genesis)| {
        let mut genesis = genesis();
        change(&mut genesis);
        match Genesis::parse(&genesis.to_bytes()) {
            Err(GenesisError::Invalid(reason)) => assert!(!reason.is_empty()),
            other => panic!("{name}: {other:?}"),
        }
    };
    refused("version", &|genesis| genesis.version = 2);
    refused("label", &|genesis| genesis.network = "Demo".to_owned());
    refused("label of the DIDs", &|genesis| genesis.network = "other".to_owned());
    refused("no validators", &|genesis| genesis.validators.clear());
    refused("a key twice", &|genesis| genesis.validators[1].key = genesis.validators[0].key);
    refused("a name twice", &|genesis| genesis.validators[1].name = genesis.validators[0].name.clone());
    refused("an address twice", &|genesis| genesis.validators[1].address = genesis.validators[0].address);
    refused("a P-256 validator", &|genesis| {
        genesis.validators[0].key = Person::with_keys(5, aval_did::Algorithm::Es256).key.public();
    });
    refused("an unknown operator", &|genesis| genesis.validators[0].operator = company().did());
    refused("an unknown governor", &|genesis| genesis.governors.members = vec![company().did()]);
    refused("threshold 0", &|genesis| genesis.governors.threshold = 0);
    refused("threshold 2 of 1", &|genesis| genesis.governors.threshold = 2);
    refused("an unknown issuer", &|genesis| genesis.accreditations[1].did = company().did());
    refused("an issuer without types", &|genesis| genesis.accreditations[1].types.clear());
    refused("an issuer before its root", &|genesis| genesis.accreditations.swap(0, 1));
    refused("an issuer without a root", &|genesis| drop(genesis.accreditations.remove(0)));
    refused("an issuer without a parent", &|genesis| genesis.accreditations[1].parent = None);
    refused("a root with a parent", &|genesis| {
        genesis.accreditations[0].parent = Some(genesis.accreditations[1].did.clone());
    });
    refused("an accreditation twice", &|genesis| {
        genesis.accreditations.push(genesis.accreditations[1].clone());
    });
    refused("an accreditation that outlives its parent", &|genesis| {
        genesis.accreditations[1].expires += 1000;
    });
    refused("an accreditation that is over", &|genesis| {
        genesis.accreditations[1].expires = genesis.time;
    });
    refused("an accreditation for another type than its parent's", &|genesis| {
        genesis.accreditations[1].types[0].credential_type = "Other".to_owned();
    });
    refused("an accreditation for a further role", &|genesis| {
        genesis.accreditations[1].types[0].roles = vec!["operator".to_owned()];
    });
    refused("an accreditation above its parent's level", &|genesis| {
        genesis.accreditations[0].types[0].level = crate::accreditation::Level::Low;
    });
    refused("an issuer with somebody below", &|genesis| genesis.accreditations[1].depth = 1);
    refused("a root that is too deep", &|genesis| genesis.accreditations[0].depth = 4);
    refused("a DID twice", &|genesis| genesis.dids.push(genesis.dids[0].clone()));
    refused("a DID of another inception", &|genesis| {
        genesis.dids[0].document = company().create.document;
    });
    refused("tiny blocks", &|genesis| genesis.parameters.block_bytes_max = 1000);
    refused("no heartbeat", &|genesis| genesis.parameters.heartbeat_ms = 0);
}

#[test]
fn text_that_is_not_a_genesis_is_malformed() {
    let text = String::from_utf8(genesis().to_bytes()).unwrap();
    for bad in [
        String::new(),
        "{}".to_owned(),
        text.replace("\"version\": 1", "\"version\": 1.0"),
        text.replace("\"version\": 1", "\"version\": 1, \"version\": 1"),
        text.replace("\"version\": 1", "\"version\": 1, \"surprise\": 1"),
        text.replace("127.0.0.1:7001", "localhost:7001"),
    ] {
        assert!(matches!(Genesis::parse(bad.as_bytes()), Err(GenesisError::Malformed(_))));
    }
    let did: Did = genesis().dids[0].did.clone();
    assert!(text.contains(did.as_str()));
}
