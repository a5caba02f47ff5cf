//! A network in a box: for the tests of this crate and the ones above it, for simulations, and for the benchmark.
//!
//! A [`Kit`] is a genesis with everybody's keys, made from a seed: validators with operators, a root and the issuer
//! that it accredits, and as many companies as one asks for. It issues real credentials, and its parties sign real
//! transactions. It also
//! holds a small ledger in memory, for those who have none of their own.
//!
//! ```
//! use aval_machine::testkit::Kit;
//!
//! let mut kit = Kit::ready(7); // `new` without the issuer's status registry, `ready` with it
//! let mut company = kit.company(1);
//! let credential = kit.membership(&company); // role `member`, at the next free status index
//! let create = company.create_with(&kit, &credential);
//! kit.apply(create).unwrap(); // or submit it to a node
//! let update = company.update(&kit, kit.document(&company, 2));
//! kit.apply(update).unwrap();
//!
//! let revoke = kit.revoke(&credential);
//! kit.apply(revoke).unwrap();
//! let update = company.clone().update(&kit, kit.document(&company, 3));
//! assert_eq!(kit.apply(update).unwrap_err().code(), "grant.revoked");
//! let rotate = company.rotate(&kit);
//! kit.apply(rotate).unwrap();
//! ```
//!
//! - Transactions are made by a [`Party`] (`create_with`, `create_endorsed`, `present`, `update`, `rotate`,
//!   `deactivate`, `accredit`, `send`), by the kit's issuer (`create_registry`, `revoke`), or freely by a [`Draft`],
//!   which can also lie:
//!   another nonce, audience, holder key, window or network.
//! - A party keeps the version of its DID and moves it on with each operation that it signs. To sign something that
//!   is going to be refused, clone the party first.
//! - Building takes `&Kit`, and the kit is `Sync`: a load generator can sign on all cores.
//! - Time stands still at [`Kit::now_s`] until the owner moves it. Nothing here reads a clock.
//!
//! Failures inside the kit are mistakes of the test that uses it; it panics and says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accreditation;
mod credential;
mod draft;
mod governance;
mod ledger;
pub mod model;
mod node;
mod party;
pub mod workload;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use aval_codec::sha256;
use aval_did::{Algorithm, Document, Service, SigningKey, VerificationMethod};
use aval_types::accreditation::Level;
use aval_types::genesis::{GenesisAccreditation, GenesisDid, Governors, Parameters, Validator};
use aval_types::node::UNSPECIFIED;
use aval_types::{AccreditationKind, AccreditedType, Genesis, NetworkId, RegistryId};
use uuid::Uuid;

pub use accreditation::AccreditationTerms;
pub use credential::{Credential, LIST_SIZE, Terms};
pub use draft::Draft;
pub use ledger::TestLedger;
pub use party::Party;

use crate::{BlockContext, MemoryState, Rules};

/// The type of the credentials that the kit's issuer is accredited for.
pub const MEMBERSHIP: &str = "AvalMembershipCredential";

/// The roles that the kit's issuer may give.
pub const ROLES: [&str; 7] =
    ["auditor", "endorser", "member", "observer", "operator", "supervisor", "supervisor-did"];

/// A type without roles that the root is accredited for besides.
pub const DIPLOMA: &str = "DiplomaCredential";

/// The roles that the root may let others give, for [`MEMBERSHIP`].
pub const ROOT_ROLES: [&str; 7] = ROLES;

/// How long the accreditations of genesis last, in seconds.
pub const ACCREDITED_S: u64 = 20 * 365 * 24 * 3600;

/// What a kit is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// All keys come from it.
    pub seed: u64,
    /// The network's label.
    pub network: String,
    /// How many validators.
    pub validators: usize,
    /// The port of the first validator's address on loopback; the others follow.
    pub port: u16,
    /// Where the validators listen, if not there.
    pub addresses: Option<Vec<SocketAddr>>,
    /// Time of genesis, seconds since 1970; the kit's time begins one second later.
    pub time_s: u64,
    /// The parameters of genesis.
    pub parameters: Parameters,
    /// How many of the operators, who govern, have to agree.
    pub governor_threshold: u32,
    /// The policy of genesis; the default one if none.
    pub policy: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            network: "test".to_owned(),
            validators: 4,
            port: 7001,
            addresses: None,
            time_s: 1_800_000_000,
            parameters: Parameters {
                block_bytes_max: 4 * 1024 * 1024,
                block_transactions_max: 4096,
                heartbeat_ms: 1000,
                witness_retention_ms: 3_600_000,
                leader_timeout_ms: 1000,
                ..Parameters::default()
            },
            governor_threshold: 1,
            policy: None,
        }
    }
}

/// A network in a box. See the module's documentation.
#[derive(Debug)]
pub struct Kit {
    options: Options,
    genesis: Genesis,
    genesis_bytes: Vec<u8>,
    network: NetworkId,
    validator_keys: Vec<SigningKey>,
    /// The root of trust, on the ledger from genesis on.
    pub root: Party,
    /// The issuer that the root accredits, on the ledger from genesis on.
    pub issuer: Party,
    /// The validators' operators, who are also the governors.
    pub operators: Vec<Party>,
    /// The time of transactions and blocks, seconds since 1970.
    pub now_s: u64,
    ledger: TestLedger,
    next_jti: AtomicU64,
    next_index: AtomicU64,
}

impl Kit {
    /// A network of four validators at genesis.
    pub fn new(seed: u64) -> Self {
        Self::with(Options { seed, ..Options::default() })
    }

    /// As [`Self::new`], with the issuer's status registry on the kit's ledger already.
    pub fn ready(seed: u64) -> Self {
        let mut kit = Self::new(seed);
        let registry = kit.create_registry();
        kit.apply(registry).expect("the issuer may make its registry");
        kit
    }

    /// A network at genesis.
    pub fn with(options: Options) -> Self {
        let label = options.network.clone();
        let operators: Vec<Party> = (0..options.validators)
            .map(|n| Party::new(&options, &format!("operator/{n}"), Algorithm::EdDsa))
            .collect();
        let root = Party::new(&options, "root", Algorithm::EdDsa);
        let issuer = Party::new(&options, "issuer", Algorithm::EdDsa);
        let validator_keys: Vec<SigningKey> =
            (0..options.validators).map(|n| derive_key(options.seed, &format!("validator/{n}"))).collect();
        let genesis = genesis(&options, &root, &issuer, &operators, &validator_keys);
        let genesis_bytes = genesis.to_bytes();
        // Read back, so that a kit never starts from a genesis that a node would refuse.
        let genesis = Genesis::parse(&genesis_bytes).expect("the kit's genesis is valid");
        let network = NetworkId::new(&label, Genesis::hash_of(&genesis_bytes)).expect("the label is one");
        let state = MemoryState::from_genesis(&genesis).expect("the kit's genesis is valid");
        Self {
            now_s: options.time_s + 1,
            options,
            network,
            genesis,
            genesis_bytes,
            validator_keys,
            root,
            issuer,
            operators,
            ledger: TestLedger::new(state),
            next_jti: AtomicU64::new(1),
            next_index: AtomicU64::new(0),
        }
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The bytes of `genesis.json`.
    pub fn genesis_bytes(&self) -> &[u8] {
        &self.genesis_bytes
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// The rules of the live network.
    pub fn rules(&self) -> Rules {
        Rules::live(self.network.clone())
    }

    /// The validators' consensus keys, in the order of genesis.
    pub fn validator_keys(&self) -> &[SigningKey] {
        &self.validator_keys
    }

    /// The context of a block at the kit's time.
    pub fn context(&self, height: u64) -> BlockContext {
        BlockContext {
            network: self.network.clone(),
            height,
            time_ms: self.now_s * 1000,
            leaders: Vec::new(),
        }
    }

    /// The id of the issuer's revocation registry.
    pub fn registry_id(&self) -> RegistryId {
        RegistryId::new(self.issuer.did.clone(), "members").expect("the name is one")
    }

    /// The URI of the issuer's status list.
    pub fn list_uri(&self) -> String {
        "https://issuer.example/status/members".to_owned()
    }

    /// A company with an Ed25519 key; the same number gives the same company. It is not on the ledger yet.
    pub fn company(&self, number: u64) -> Party {
        Party::new(&self.options, &format!("company/{number}"), Algorithm::EdDsa)
    }

    /// A company whose keys are P-256.
    pub fn company_p256(&self, number: u64) -> Party {
        Party::new(&self.options, &format!("company/{number}/p256"), Algorithm::Es256)
    }

    /// A company that `threshold` of `controllers` keys control.
    pub fn company_of(&self, number: u64, threshold: u32, controllers: usize) -> Party {
        Party::with_control(
            &self.options,
            &format!("board/{number}"),
            Algorithm::EdDsa,
            threshold,
            controllers,
        )
    }

    /// Another document for a party: the same keys, another service. About 450 bytes, as the benchmark wants it.
    pub fn document(&self, party: &Party, revision: u64) -> Document {
        document(&party.authentication, &party.name, revision)
    }

    /// A key of the kit's seed, for whatever a test needs one for.
    pub fn key(&self, name: &str) -> SigningKey {
        derive_key(self.options.seed, name)
    }

    pub(crate) fn next_jti(&self) -> Uuid {
        let number = self.next_jti.fetch_add(1, Ordering::Relaxed);
        let hash = sha256(format!("aval-testkit/{}/jti/{number}", self.options.seed).as_bytes());
        let bytes: [u8; 16] = std::array::from_fn(|index| hash.as_bytes()[index]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.next_index.fetch_add(1, Ordering::Relaxed)
    }
}

fn genesis(
    options: &Options,
    root: &Party,
    issuer: &Party,
    operators: &[Party],
    validator_keys: &[SigningKey],
) -> Genesis {
    let entry = |party: &Party| GenesisDid {
        did: party.did.clone(),
        control: party.control(),
        document: party.document.clone(),
    };
    let validators = operators
        .iter()
        .zip(validator_keys)
        .zip(0u16..)
        .map(|((operator, key), n)| Validator {
            name: format!("validator-{n}"),
            operator: operator.did.clone(),
            key: key.public(),
            address: match &options.addresses {
                Some(addresses) => addresses[usize::from(n)],
                None => ([127, 0, 0, 1], options.port + n).into(),
            },
            sector: UNSPECIFIED.to_owned(),
            region: UNSPECIFIED.to_owned(),
        })
        .collect();
    let expires = (options.time_s + ACCREDITED_S) * 1000;
    Genesis {
        version: 1,
        network: options.network.clone(),
        time: options.time_s * 1000,
        parameters: options.parameters.clone(),
        policy: options.policy.clone(),
        validators,
        governors: Governors {
            threshold: options.governor_threshold,
            members: operators.iter().map(|party| party.did.clone()).collect(),
        },
        dids: operators.iter().chain([issuer, root]).map(entry).collect(),
        accreditations: vec![
            GenesisAccreditation {
                did: root.did.clone(),
                kind: AccreditationKind::Root,
                parent: None,
                types: vec![
                    accredited(MEMBERSHIP, &ROOT_ROLES, Level::High),
                    accredited(DIPLOMA, &[], Level::High),
                ],
                depth: 3,
                expires,
            },
            GenesisAccreditation {
                did: issuer.did.clone(),
                kind: AccreditationKind::Issuer,
                parent: Some(root.did.clone()),
                types: vec![accredited(MEMBERSHIP, &ROLES, Level::High)],
                depth: 0,
                expires,
            },
        ],
    }
}

/// A type with roles (sorted) and level, as an accreditation lists it.
pub fn accredited(credential_type: &str, roles: &[&str], level: Level) -> AccreditedType {
    AccreditedType {
        credential_type: credential_type.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        level,
    }
}

/// A document with one key for everything and one service.
pub(crate) fn document(key: &SigningKey, name: &str, revision: u64) -> Document {
    let name = name.replace('/', "-");
    Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", &key.public())],
        authentication: vec!["#key-1".to_owned()],
        assertion_method: vec!["#key-1".to_owned()],
        service: vec![Service {
            id: "#hub".to_owned(),
            service_type: "LinkedDomains".to_owned(),
            service_endpoint: format!("https://{name}.example/{revision:08}"),
        }],
        also_known_as: vec![format!("https://register.example/companies/{name}")],
        ..Document::default()
    }
}

pub(crate) fn derive_key(seed: u64, name: &str) -> SigningKey {
    derive_key_of(seed, name, Algorithm::EdDsa)
}

pub(crate) fn derive_key_of(seed: u64, name: &str, algorithm: Algorithm) -> SigningKey {
    let secret = sha256(format!("aval-testkit/{seed}/key/{name}").as_bytes());
    SigningKey::from_secret(algorithm, secret.as_bytes()).expect("a hash is a scalar but once in 2^32")
}
