//! The vectors that are accepted, and the whole file.

use aval_codec::{Hash, Json, hash, json};

use super::{hashed, jcs_text, refusals};
use crate::document::{Document, Service, VerificationMethod};
use crate::key::X25519PublicKey;
use crate::rules;
use crate::tests::{NETWORK, TIME_MS, control, document, key, keys, p256_key, service, signing_key};
use crate::{
    Control, Create, Deactivate, Did, DidRecord, Operation, PublicKey, Rotate, Update, VersionId,
    control_key_hash,
};

pub(super) fn text(value: impl ToString) -> Json {
    Json::String(value.to_string())
}

pub(super) fn multikeys(keys: &[PublicKey]) -> Json {
    Json::Array(keys.iter().map(text).collect())
}

struct Chain {
    record: Option<DidRecord>,
    time_ms: u64,
    steps: Vec<Json>,
}

impl Chain {
    fn new() -> Self {
        Chain { record: None, time_ms: TIME_MS, steps: Vec::new() }
    }

    fn step(&mut self, operation: Operation, signers: &[PublicKey]) {
        self.time_ms += 60_000;
        let record = rules::apply(self.record.as_ref(), NETWORK, &operation, signers, self.time_ms).unwrap();
        let operation = json::to_json(&operation).unwrap();
        let (tag, preimage) = hashed(&operation);
        let preimage = jcs_text(&preimage);
        self.steps.push(Json::from([
            ("operation", operation),
            ("signers", multikeys(signers)),
            ("time", Json::Int(i64::try_from(self.time_ms).unwrap())),
            ("tag", tag.into()),
            ("hash", text(hash(tag, &[preimage.as_bytes()]))),
            ("hashed", preimage.into()),
            ("versionId", text(record.version_id)),
            ("record", String::from_utf8(record.to_bytes()).unwrap().into()),
            (
                "didDocument",
                if record.deactivated { Json::Null } else { json::to_json(&record.did_document()).unwrap() },
            ),
        ]));
        self.record = Some(record);
    }

    fn current(&self) -> (Did, VersionId) {
        let record = self.record.as_ref().unwrap();
        (record.did.clone(), record.version_id)
    }

    fn create(&mut self, control: Control, document: Document, signers: &[PublicKey]) {
        self.step(Operation::Create(Create::new(NETWORK, control, document).unwrap()), signers);
    }

    fn update(&mut self, document: Document, signers: &[PublicKey]) {
        let (did, previous) = self.current();
        self.step(Operation::Update(Update { did, previous, document }), signers);
    }

    fn rotate(&mut self, control: Control, document: Option<Document>, signers: &[PublicKey]) {
        let (did, previous) = self.current();
        self.step(Operation::Rotate(Rotate { did, previous, control, document }), signers);
    }

    fn deactivate(&mut self, signers: &[PublicKey]) {
        let (did, previous) = self.current();
        self.step(Operation::Deactivate(Deactivate { did, previous }), signers);
    }

    fn finish(self, name: &str) -> Json {
        Json::from([("name", name.into()), ("network", NETWORK.into()), ("steps", Json::Array(self.steps))])
    }
}

fn full_document() -> Document {
    Document {
        verification_method: vec![
            VerificationMethod::multikey("#key-1", &key(101)),
            VerificationMethod::json_web_key("#key-2", &p256_key(102)),
            VerificationMethod::Multikey {
                id: "#seal".into(),
                public_key_multibase: X25519PublicKey([9; 32]).to_multikey(),
            },
        ],
        authentication: vec!["#key-1".into(), "#key-2".into()],
        assertion_method: vec!["#key-1".into()],
        key_agreement: vec!["#seal".into()],
        capability_invocation: vec!["#key-2".into()],
        capability_delegation: vec!["#key-2".into()],
        service: vec![Service { service_type: "Büro".into(), ..service("#hub") }],
        also_known_as: vec!["https://company.example/".into(), "urn:example:company".into()],
    }
}

fn chains() -> Json {
    let mut company = Chain::new();
    company.create(control(1, &[1], 1, &[2]), document(101), &keys(&[1]));
    company.update(full_document(), &keys(&[1]));
    company.rotate(control(1, &[2], 1, &[3]), None, &keys(&[2]));
    let rekeyed = Document { verification_method: document(103).verification_method, ..full_document() };
    let rekeyed = Document {
        key_agreement: vec![],
        capability_invocation: vec![],
        capability_delegation: vec![],
        authentication: vec!["#key-1".into()],
        ..rekeyed
    };
    company.rotate(control(1, &[3], 1, &[4]), Some(rekeyed), &keys(&[3]));
    company.deactivate(&keys(&[3]));

    let mut board = Chain::new();
    let mixed = Control { keys: vec![key(11), key(12), p256_key(13)], ..control(2, &[11], 2, &[14, 15, 16]) };
    board.create(mixed, Document::default(), &[p256_key(13), key(11)]);
    board.update(document(111), &keys(&[12, 11]));
    board.rotate(control(2, &[14, 16], 1, &[15]), None, &keys(&[16, 14]));

    Json::Array(vec![
        company.finish("one control key: create, update, rotate twice, deactivate"),
        board.finish("two of three control keys of both types: create, update, rotate"),
    ])
}

fn key_vectors() -> Json {
    let describe = |key: PublicKey, secret: u8| {
        Json::from([
            ("secret", text(Hash::new([secret; 32]))),
            ("multikey", text(key)),
            ("jwk", key.to_jwk()),
            ("thumbprint", key.thumbprint().into()),
            ("controlKeyHash", text(control_key_hash(&key))),
        ])
    };
    let weak = |bytes: [u8; 32]| text(PublicKey::Ed25519(bytes));
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut prime = minus_one;
    prime[0] = 0xed;
    let good = signing_key(1).public().to_multikey();
    let refused = vec![
        weak([0; 32]),
        weak(minus_one),
        weak(prime),
        text(PublicKey::P256([&[2u8][..], &[0xff; 32]].concat().try_into().unwrap())),
        X25519PublicKey([9; 32]).to_multikey().into(),
        good.strip_prefix('z').unwrap().into(),
        format!("{good}1").into(),
        good.to_lowercase().into(),
        "".into(),
    ];
    let public =
        vec![describe(key(1), 1), describe(key(2), 2), describe(p256_key(1), 1), describe(p256_key(2), 2)];
    Json::from([("public", Json::Array(public)), ("refused", Json::Array(refused))])
}

fn identifiers() -> Json {
    let did = crate::tests::create().did;
    let id = did.id();
    let valid = Json::from([
        ("did", text(&did)),
        ("network", NETWORK.into()),
        ("inceptionHash", text(did.inception())),
    ]);
    let invalid = [
        format!("did:aval:{id}"),
        format!("did:aval::{id}"),
        format!("did:aval:Demo:{id}"),
        format!("did:aval:1demo:{id}"),
        format!("did:aval:{}:{id}", "a".repeat(33)),
        format!("did:aval:demo:{id}1"),
        format!("did:aval:demo:{}", &id[..45]),
        format!("did:aval:demo:{}0", &id[..45]),
        format!("did:aval:demo:{id}#key-1"),
        format!("did:AVAL:demo:{id}"),
        "did:aval:demo:".to_owned(),
    ];
    Json::from([
        ("valid", Json::Array(vec![valid])),
        ("invalid", Json::Array(invalid.into_iter().map(text).collect())),
    ])
}

pub(super) fn generate() -> Json {
    Json::from([
        (
            "description",
            "Vectors of specs/did-method.md. Secrets are for tests only. A secret is an Ed25519 seed or a P-256 scalar. \
             `hashed` is the RFC 8785 text that is hashed after the tag and a zero byte."
                .into(),
        ),
        ("keys", key_vectors()),
        ("identifiers", identifiers()),
        ("chains", chains()),
        ("refusals", refusals::refusals()),
    ])
}
