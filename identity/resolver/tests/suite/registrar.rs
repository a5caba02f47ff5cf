//! The registrar: the client signs, the registrar writes and submits.

use aval_did::{SigningKey, control_key_hash};
use aval_resolver::registrar::{Endorser, Kind, Registrar, Reply};
use aval_types::transaction::KeyId;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::ledger_box::ledger::issuer_key;
use crate::world::{World, body, verifying};

struct Issuer(aval_did::Did);

impl Endorser for Issuer {
    fn key_id(&self) -> KeyId {
        KeyId::new(self.0.clone(), issuer_key().public())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], String> {
        Ok(issuer_key().sign(message))
    }
}

fn registrar(world: &World) -> Registrar {
    let issuer = Issuer(world.issuer().parse().unwrap());
    Registrar::new(verifying(&world.node), Some(Box::new(issuer)))
}

/// The control keys of a member: the one in force, and those that follow.
fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn document(seed: u8) -> Value {
    let multikey = SigningKey::from_seed(&[seed + 100; 32]).public().to_multikey();
    json!({
        "verificationMethod": [{"id": "#key-1", "type": "Multikey", "publicKeyMultibase": multikey}],
        "authentication": ["#key-1"],
    })
}

fn request(more: Value) -> Value {
    let mut request = json!({"options": {"clientSecretMode": true}});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn creation(seed: u8) -> Value {
    let method = |key: &SigningKey, purpose: &str| json!({"type": "Multikey", "purpose": [purpose], "publicKeyMultibase": key.public()});
    request(json!({
        "secret": {"verificationMethod": [method(&key(seed), "control"), method(&key(seed + 1), "nextControl")]},
        "didDocument": document(seed),
    }))
}

fn send(registrar: &Registrar, kind: Kind, body: &Value) -> Reply {
    registrar.respond(kind, (kind == Kind::Create).then_some("aval"), body.to_string().as_bytes())
}

/// What a client answers to signing requests, with these keys.
fn sign(reply: &Reply, keys: &[&SigningKey]) -> Value {
    let state = &reply.body["didState"];
    assert_eq!((reply.status, &state["action"]), (200, &json!("signPayload")), "{}", reply.body);
    let mut responses = serde_json::Map::new();
    for (name, request) in state["signingRequest"].as_object().unwrap() {
        let payload = BASE64_STANDARD.decode(request["serializedPayload"].as_str().unwrap()).unwrap();
        let kid = request["kid"].as_str().unwrap();
        let Some(key) = keys.iter().find(|key| kid.ends_with(&key.public().to_multikey())) else { continue };
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(&payload));
        let response = json!({"signature": signature, "kid": kid, "alg": request["alg"]});
        responses.insert(name.clone(), response);
    }
    json!({"jobId": reply.body["jobId"], "secret": {"signingResponse": responses}})
}

fn finish(registrar: &Registrar, kind: Kind, begun: &Value, keys: &[&SigningKey]) -> Reply {
    let asked = send(registrar, kind, begun);
    let reply = send(registrar, kind, &sign(&asked, keys));
    assert_eq!(reply.body["didState"]["state"], "finished", "{}", reply.body);
    assert_eq!(reply.body["jobId"], Value::Null);
    assert_eq!(registrar.jobs_open(), 0);
    reply
}

/// A DID on the ledger, made by the registrar.
pub(crate) fn create(world: &World, seed: u8) -> String {
    let reply = finish(&registrar(world), Kind::Create, &creation(seed), &[&key(seed)]);
    reply.body["didState"]["did"].as_str().unwrap().to_owned()
}

pub(crate) fn deactivate(world: &World, did: &str, seed: u8) {
    finish(&registrar(world), Kind::Deactivate, &request(json!({ "did": did })), &[&key(seed)]);
}

fn failure(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.body["didState"]["state"], "failed", "{}", reply.body);
    assert_eq!(reply.body["jobId"], Value::Null);
    let reason = reply.body["didState"]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reply.error.as_ref(), Some(&reason));
    (reply.status, reason)
}

fn failed(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn a_did_is_created_changed_rotated_and_deactivated_with_keys_that_stay_at_the_client() {
    let world = World::new();
    let registrar = registrar(&world);
    let reply = finish(&registrar, Kind::Create, &creation(1), &[&key(1)]);
    assert_eq!(reply.status, 201);
    let did = reply.body["didState"]["did"].as_str().unwrap().to_owned();
    let resolved = |query: &str| body(&world.get(&format!("{did}?noCache=true{query}")));
    assert_eq!(reply.body["didState"]["didDocument"], resolved("")["didDocument"]);
    assert_eq!(
        reply.body["didDocumentMetadata"]["versionId"],
        resolved("")["didDocumentMetadata"]["versionId"]
    );
    assert!(reply.body["didRegistrationMetadata"]["transaction"].is_string());

    // The document as a resolver gives it, with one member more.
    let mut changed = resolved("")["didDocument"].clone();
    changed["alsoKnownAs"] = json!(["https://one.example/"]);
    let update =
        request(json!({"did": did, "didDocumentOperation": ["setDidDocument"], "didDocument": [changed]}));
    let reply = finish(&registrar, Kind::Update, &update, &[&key(1)]);
    assert_eq!((reply.status, &reply.body["didState"]["didDocument"]), (200, &changed));
    assert_eq!(resolved("")["didDocument"], changed);

    let control = json!({"threshold": 1, "keys": [key(2).public()],
        "next": {"threshold": 1, "hashes": [control_key_hash(&key(3).public())]}});
    let rotation = json!({"did": did, "options": {"clientSecretMode": true, "control": control}});
    finish(&registrar, Kind::Update, &rotation, &[&key(2)]);
    assert!(resolved("")["didDocumentMetadata"]["versionId"].as_str().unwrap().starts_with("3-"));

    let end = finish(&registrar, Kind::Deactivate, &request(json!({ "did": did })), &[&key(2)]);
    assert_eq!(end.body["didDocumentMetadata"]["deactivated"], true);
    assert_eq!(resolved("")["didDocumentMetadata"]["deactivated"], true);
    let again = send(&registrar, Kind::Deactivate, &request(json!({ "did": did })));
    assert_eq!(failure(&again), failed(400, "did.deactivated"));
}

#[test]
fn several_control_keys_may_sign_one_after_the_other() {
    let world = World::new();
    let registrar = registrar(&world);
    let control = json!({"threshold": 2, "keys": [key(1).public(), key(2).public(), key(3).public()],
        "next": {"threshold": 1, "hashes": [control_key_hash(&key(4).public())]}});
    let signers = json!([key(1).public(), key(3).public()]);
    let begun = json!({"didDocument": document(1),
        "options": {"clientSecretMode": true, "control": control, "signers": signers}});
    let first = send(&registrar, Kind::Create, &begun);
    let second = send(&registrar, Kind::Create, &sign(&first, &[&key(3)]));
    let open = second.body["didState"]["signingRequest"].as_object().unwrap();
    assert_eq!(open.keys().collect::<Vec<_>>(), ["signingRequest1"]);
    assert_eq!(second.body["jobId"], first.body["jobId"]);
    let reply = send(&registrar, Kind::Create, &sign(&second, &[&key(1)]));
    assert_eq!((reply.status, &reply.body["didState"]["state"]), (201, &json!("finished")));

    let mut too_few = begun.clone();
    too_few["options"]["signers"] = json!([key(1).public()]);
    assert_eq!(failure(&send(&registrar, Kind::Create, &too_few)), failed(400, "did.control"));
    too_few["options"]["signers"] = json!([key(1).public(), key(9).public()]);
    assert_eq!(failure(&send(&registrar, Kind::Create, &too_few)), failed(400, "did.control"));
}

#[test]
fn a_request_with_a_private_key_is_refused_and_leaves_nothing_behind() {
    let world = World::new();
    let registrar = registrar(&world);
    let jwk = aval_formats::SigningKey::from(key(1)).to_jwk();
    let d = jwk["d"].as_str().unwrap().to_owned();
    for secret in [
        json!({"verificationMethod": [{"purpose": ["control"], "privateKeyJwk": jwk}]}),
        json!({"verificationMethod": [{"purpose": ["control"], "publicKeyJwk": jwk}]}),
        json!({"verificationMethod": [{"purpose": ["control"], "privateKeyMultibase": "z3u2"}]}),
        json!({"seed": d}),
    ] {
        let mut begun = creation(1);
        begun["secret"] = secret.clone();
        let reply = send(&registrar, Kind::Create, &begun);
        assert_eq!(failure(&reply), failed(400, "registrar.secret"), "{secret}");
        assert!(!reply.body.to_string().contains(&d));
    }
    assert_eq!(registrar.jobs_open(), 0);
}

#[test]
fn a_job_holds_neither_a_secret_nor_anything_of_the_request_but_the_transaction() {
    let world = World::new();
    let registrar = registrar(&world);
    let mut begun = creation(1);
    begun["secret"]["verificationMethod"][0]["id"] = json!("#a-name-of-the-client");
    let asked = send(&registrar, Kind::Create, &begun);
    assert_eq!(registrar.jobs_open(), 1);
    let state = format!("{registrar:?}");
    assert!(state.contains(asked.body["didState"]["did"].as_str().unwrap()), "{state}");
    assert!(!state.contains("a-name-of-the-client"));
    for secret in [key(1).to_seed(), issuer_key().to_seed()] {
        assert!(!state.contains(&format!("{:?}", secret.as_slice())));
    }
}

#[test]
fn only_the_signatures_that_were_asked_for_are_taken() {
    let world = World::new();
    let registrar = registrar(&world);
    let changes: [(&str, fn(&mut Value)); 7] = [
        ("a signature by another key", |response| {
            response["signature"] = json!(BASE64_STANDARD.encode(key(9).sign(b"payload")));
        }),
        ("no base64", |response| response["signature"] = json!("!")),
        ("too short", |response| response["signature"] = json!("AAAA")),
        ("another kid", |response| response["kid"] = json!("did:example:1#key-1")),
        ("another algorithm", |response| response["alg"] = json!("ES256")),
        ("no algorithm", |response| response["alg"] = json!("none")),
        ("a zero signature", |response| response["signature"] = json!(BASE64_STANDARD.encode([0; 64]))),
    ];
    for (what, change) in changes {
        let asked = send(&registrar, Kind::Create, &creation(1));
        let mut answer = sign(&asked, &[&key(1)]);
        change(&mut answer["secret"]["signingResponse"]["signingRequest1"]);
        assert_eq!(
            failure(&send(&registrar, Kind::Create, &answer)),
            failed(400, "registrar.signature"),
            "{what}"
        );
        // The job ended with it.
        let good = sign(&asked, &[&key(1)]);
        assert_eq!(failure(&send(&registrar, Kind::Create, &good)), failed(400, "registrar.job"), "{what}");
    }
    let asked = send(&registrar, Kind::Create, &creation(1));
    let good = sign(&asked, &[&key(1)]);
    assert_eq!(failure(&send(&registrar, Kind::Deactivate, &good)), failed(400, "registrar.job"));
    let mut other = good.clone();
    other["did"] = json!(world.issuer());
    assert_eq!(failure(&send(&registrar, Kind::Create, &other)), failed(400, "registrar.job"));
    let mut unknown = good.clone();
    unknown["secret"]["signingResponse"] = json!({"signingRequest2": {"signature": "AAAA"}});
    assert_eq!(failure(&send(&registrar, Kind::Create, &unknown)), failed(400, "registrar.signature"));
    let none = json!({"jobId": "155eae21-45e5-4e71-bb22-fef51cda5bf7"});
    assert_eq!(failure(&send(&registrar, Kind::Create, &none)), failed(400, "registrar.job"));
}

#[test]
fn what_is_no_request_is_told_what_is_wrong_with_it() {
    let world = World::new();
    let registrar = registrar(&world);
    let change = |change: fn(&mut Value)| {
        let mut begun = creation(1);
        change(&mut begun);
        failure(&send(&registrar, Kind::Create, &begun))
    };
    let input = failed(400, "registrar.input");
    assert_eq!(change(|begun| begun["options"] = json!({})), input);
    assert_eq!(change(|begun| begun["options"]["storeSecrets"] = json!(true)), input);
    assert_eq!(change(|begun| begun["options"]["network"] = json!("other")), input);
    assert_eq!(change(|begun| begun["options"]["unknown"] = json!(1)), input);
    assert_eq!(change(|begun| begun["did"] = json!("did:aval:test:x")), input);
    assert_eq!(change(|begun| begun["didDocumentOperation"] = json!(["setDidDocument"])), input);
    assert_eq!(change(|begun| begun["didDocument"]["id"] = json!("did:example:1")), input);
    assert_eq!(change(|begun| begun["didDocument"]["name"] = json!("Ann")), input);
    assert_eq!(change(|begun| begun["didDocument"] = json!([])), input);
    assert_eq!(
        change(|begun| begun["didDocument"]["authentication"] = json!(["#key-2"])),
        failed(400, "did.document")
    );
    assert_eq!(change(|begun| begun["options"]["threshold"] = json!(2)), failed(400, "did.control"));
    assert_eq!(
        failure(&registrar.respond(Kind::Create, Some("key"), creation(1).to_string().as_bytes())),
        input
    );
    for text in ["", "{", "[]", "{\"did\": 1, \"did\": 2}"] {
        assert_eq!(failure(&registrar.respond(Kind::Create, Some("aval"), text.as_bytes())), input, "{text}");
    }
    let keyless = request(json!({"didDocument": document(1)}));
    let asked = send(&registrar, Kind::Create, &keyless);
    assert_eq!(asked.body["didState"]["action"], "getVerificationMethod");
    let nobody = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    for kind in [Kind::Update, Kind::Deactivate] {
        let unknown = request(json!({ "did": nobody }));
        assert_eq!(failure(&send(&registrar, kind, &unknown)), failed(400, "did.not_found"));
        assert_eq!(failure(&send(&registrar, kind, &request(json!({"did": "did:key:z6Mk"})))), input);
    }
    assert_eq!(registrar.jobs_open(), 0);
}

#[test]
fn without_an_endorser_nothing_is_created_and_what_needs_none_goes_on() {
    let world = World::new();
    let did = create(&world, 1);
    let alone = Registrar::new(verifying(&world.node), None);
    assert_eq!(failure(&send(&alone, Kind::Create, &creation(5))), failed(400, "registrar.endorser"));
    let update = request(json!({"did": did, "didDocument": [document(2)]}));
    assert_eq!(failure(&send(&alone, Kind::Update, &update)), failed(400, "registrar.endorser"));
    finish(&alone, Kind::Deactivate, &request(json!({ "did": did })), &[&key(1)]);
}

#[test]
fn what_the_ledger_refuses_has_its_code_and_what_it_does_not_answer_can_be_tried_again() {
    let world = World::new();
    let registrar = registrar(&world);
    let (first, second) =
        (send(&registrar, Kind::Create, &creation(1)), send(&registrar, Kind::Create, &creation(1)));
    let reply = send(&registrar, Kind::Create, &sign(&first, &[&key(1)]));
    assert_eq!(reply.status, 201);
    // The same inception a second time.
    let late = send(&registrar, Kind::Create, &sign(&second, &[&key(1)]));
    assert_eq!(failure(&late), failed(400, "did.exists"));

    let asked = send(&registrar, Kind::Create, &creation(7));
    world.node.tamper(|_, _, reply| *reply = crate::ledger_box::Reply::Nothing);
    let waiting = send(&registrar, Kind::Create, &sign(&asked, &[&key(7)]));
    assert_eq!((waiting.status, &waiting.body["didState"]["state"]), (200, &json!("wait")));
    assert_eq!(waiting.body["jobId"], asked.body["jobId"]);
    let unreachable = send(&registrar, Kind::Deactivate, &request(json!({ "did": world.issuer() })));
    assert_eq!(failure(&unreachable), failed(503, "client.unreachable"));
    world.node.be_honest();
    let done = send(&registrar, Kind::Create, &json!({"jobId": asked.body["jobId"]}));
    assert_eq!(done.status, 201, "{}", done.body);
}

#[test]
fn no_more_jobs_wait_than_there_is_room_for() {
    let world = World::new();
    let registrar = registrar(&world);
    for _ in 0..1024 {
        assert_eq!(send(&registrar, Kind::Create, &creation(1)).status, 200);
    }
    assert_eq!(failure(&send(&registrar, Kind::Create, &creation(1))), failed(503, "registrar.busy"));
}
