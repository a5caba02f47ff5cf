//! The tests of this crate, and the people and networks they share.

mod accreditation;
mod actions;
mod block;
mod errors;
mod forged;
mod genesis;
mod parameters;
mod receipt;
mod support;
mod transaction;
mod vectors;

use aval_codec::{Hash, sha256};
use aval_did::{
    Algorithm, Control, Create, Did, Document, PublicKey, SigningKey, Update, VerificationMethod, VersionId,
};
use uuid::Uuid;

use crate::{
    accreditation::{AccreditationKind, AccreditedType, Level},
    action::{Action, CredentialPresent, DidCreate, RegistryCreate, RegistryUpdate, StatusChange},
    genesis::{Genesis, GenesisAccreditation, GenesisDid, Governors, Parameters, Validator},
    grant::{Grant, StatusEntry},
    network::NetworkId,
    registry::{Purpose, RegistryId},
    transaction::{KeyId, TransactionBuilder},
};

/// 2026-11-22, midnight.
pub(crate) const TIME_S: u64 = 1_795_305_600;
pub(crate) const LIST: &str = "https://issuer.example/status/1";

/// A DID with its keys; everything follows from a number.
pub(crate) struct Person {
    pub(crate) control: SigningKey,
    pub(crate) next: SigningKey,
    pub(crate) key: SigningKey,
    pub(crate) create: Create,
}

impl Person {
    pub(crate) fn new(number: u8) -> Self {
        Self::with_keys(number, Algorithm::EdDsa)
    }

    /// A person whose keys are of the given algorithm.
    pub(crate) fn with_keys(number: u8, algorithm: Algorithm) -> Self {
        let key = |part: u8| SigningKey::from_secret(algorithm, &[number * 4 + part; 32]).unwrap();
        let (control, next, key) = (key(0), key(1), key(2));
        let create =
            Create::new("demo", Control::single(&control.public(), &next.public()), document(&key.public()))
                .unwrap();
        Self { control, next, key, create }
    }

    pub(crate) fn did(&self) -> Did {
        self.create.did.clone()
    }

    pub(crate) fn control_kid(&self) -> KeyId {
        KeyId::new(self.did(), self.control.public())
    }

    pub(crate) fn kid(&self) -> KeyId {
        KeyId::new(self.did(), self.key.public())
    }

    pub(crate) fn version(&self) -> VersionId {
        VersionId { number: 1, hash: self.did().inception() }
    }
}

pub(crate) fn document(key: &PublicKey) -> Document {
    Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", key)],
        authentication: vec!["#key-1".to_owned()],
        ..Document::default()
    }
}

pub(crate) fn company() -> Person {
    Person::new(1)
}

pub(crate) fn bank() -> Person {
    Person::new(2)
}

pub(crate) fn issuer() -> Person {
    Person::new(3)
}

/// Four validators, operated and governed by the issuer.
pub(crate) fn genesis() -> Genesis {
    let (issuer, root) = (issuer(), root());
    let validators = (1..=4u8)
        .map(|number| Validator {
            name: format!("validator-{number}"),
            operator: issuer.did(),
            key: validator_key(number).public(),
            address: format!("127.0.0.1:{}", 7000 + u16::from(number)).parse().unwrap(),
            sector: crate::node::UNSPECIFIED.to_owned(),
            region: crate::node::UNSPECIFIED.to_owned(),
        })
        .collect();
    Genesis {
        version: 1,
        network: "demo".to_owned(),
        time: TIME_S * 1000,
        parameters: Parameters {
            block_bytes_max: 4 * 1024 * 1024,
            block_transactions_max: 4096,
            heartbeat_ms: 5000,
            witness_retention_ms: 86_400_000,
            leader_timeout_ms: 1000,
            ..Parameters::default()
        },
        policy: None,
        validators,
        governors: Governors { threshold: 1, members: vec![issuer.did()] },
        dids: [&issuer, &root]
            .map(|person| GenesisDid {
                did: person.did(),
                control: person.create.control.clone(),
                document: person.create.document.clone(),
            })
            .into(),
        accreditations: vec![
            accreditation(&root, AccreditationKind::Root, None),
            accreditation(&issuer, AccreditationKind::Issuer, Some(root.did())),
        ],
    }
}

fn accreditation(person: &Person, kind: AccreditationKind, parent: Option<Did>) -> GenesisAccreditation {
    GenesisAccreditation {
        did: person.did(),
        kind,
        parent,
        types: vec![membership()],
        depth: if kind == AccreditationKind::Root { 3 } else { 0 },
        expires: (TIME_S + 10 * 365 * 86_400) * 1000,
    }
}

pub(crate) fn membership() -> AccreditedType {
    AccreditedType {
        credential_type: "AvalMembershipCredential".to_owned(),
        roles: vec!["endorser".to_owned(), "member".to_owned()],
        level: Level::High,
    }
}

/// The root of trust.
pub(crate) fn root() -> Person {
    Person::new(7)
}

pub(crate) fn validator_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[100 + number; 32])
}

pub(crate) fn network() -> NetworkId {
    genesis().network_id(Genesis::hash_of(&genesis().to_bytes())).unwrap()
}

pub(crate) fn sd_hash() -> Hash {
    sha256(b"<issuer-signed jwt>~<disclosure>~")
}

pub(crate) fn grant(subject: &Person) -> Grant {
    Grant {
        subject: subject.did(),
        credential_type: "AvalMembershipCredential".to_owned(),
        issuer: issuer().did(),
        roles: vec!["member".to_owned()],
        status: StatusEntry { registry: registry(), list: LIST.to_owned(), index: 7 },
        expires: TIME_S + 365 * 86_400,
    }
}

pub(crate) fn registry() -> RegistryId {
    RegistryId::new(issuer().did(), "members").unwrap()
}

pub(crate) fn create(person: &Person, grant: Option<Grant>) -> Action {
    Action::DidCreate(DidCreate { operation: person.create.clone(), grant })
}

pub(crate) fn update(person: &Person) -> Action {
    let document = document(&SigningKey::from_seed(&[99; 32]).public());
    Action::DidUpdate(Update { did: person.did(), previous: person.version(), document })
}

pub(crate) fn present(person: &Person) -> Action {
    Action::CredentialPresent(CredentialPresent { grant: grant(person) })
}

pub(crate) fn registry_create() -> RegistryCreate {
    RegistryCreate {
        registry: "members".to_owned(),
        purpose: Purpose::Revocation,
        bits: 1,
        size: 131_072,
        lists: vec![LIST.to_owned()],
    }
}

pub(crate) fn registry_update() -> RegistryUpdate {
    let change = StatusChange { list: LIST.to_owned(), index: 7, from: 0, to: 1 };
    RegistryUpdate { registry: registry(), changes: vec![change] }
}

/// A transaction of the fixture's network and time; the number makes it unique.
pub(crate) fn transaction(action: Action, number: u128) -> TransactionBuilder {
    let jti = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number);
    TransactionBuilder::new(network(), action, jti, TIME_S)
}
