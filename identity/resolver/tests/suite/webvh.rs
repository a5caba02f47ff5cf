//! `did:webvh`: logs written here by hand from the method's specification, and every way in which one must not verify.

use aval_codec::{Json, Limits, json as strict, sha256};
use aval_did::SigningKey;
use aval_did::syntax::multihash_text;
use aval_formats::data_integrity::{ProofOptions, Suite, secure};
use aval_resolver::{Options, Version};
use serde_json::{Map, Value, json};

use crate::host::File;
use crate::world::{World, body, error, refused};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn multikey(seed: u8) -> String {
    key(seed).public().to_multikey()
}

fn hash(value: &Value) -> String {
    let json: Json = strict::parse(value.to_string().as_bytes(), Limits::bytes(1 << 20)).unwrap();
    multihash_text(&sha256(&json.to_jcs()))
}

fn commitment(seed: u8) -> String {
    multihash_text(&sha256(multikey(seed).as_bytes()))
}

fn sign(document: &Value, seed: u8) -> Value {
    let method = format!("did:key:{0}#{0}", multikey(seed));
    let mut options = ProofOptions::new(Suite::EddsaJcs2022, &method, "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    let mut secured = secure(document, &options, &key(seed)).unwrap();
    let proof = secured["proof"].take();
    secured["proof"] = if proof.is_array() { proof } else { json!([proof]) };
    secured
}

/// A log that grows.
struct Author {
    scid: String,
    id: String,
    entries: Vec<Value>,
    minute: u32,
}

impl Author {
    /// A log with one entry, at a place of a host.
    fn new(place: &str, parameters: Value, seed: u8) -> Self {
        let mut said = json!({"method": "did:webvh:1.0", "scid": "{SCID}", "updateKeys": [multikey(seed)]});
        said.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let draft = json!({
            "versionId": "{SCID}",
            "versionTime": "2026-01-01T00:00:00Z",
            "parameters": said,
            "state": {"@context": ["https://www.w3.org/ns/did/v1.1"], "id": format!("did:webvh:{{SCID}}:{place}")},
        });
        let scid = hash(&draft);
        let draft: Value = serde_json::from_str(&draft.to_string().replace("{SCID}", &scid)).unwrap();
        let id = format!("did:webvh:{scid}:{place}");
        let mut author = Self { scid: scid.clone(), id, entries: Vec::new(), minute: 0 };
        author.seal(draft, scid, &[seed]);
        author
    }

    fn seal(&mut self, mut draft: Value, previous: String, signers: &[u8]) {
        draft["versionId"] = json!(previous);
        let number = self.entries.len() + 1;
        draft["versionId"] = json!(format!("{number}-{}", hash(&draft)));
        let sealed = signers.iter().fold(draft, |entry, seed| sign(&entry, *seed));
        self.entries.push(sealed);
    }

    fn last(&self) -> String {
        self.entries.last().unwrap()["versionId"].as_str().unwrap().to_owned()
    }

    /// One version more, in which the document has a member.
    fn update(&mut self, parameters: Value, signers: &[u8]) -> &mut Self {
        self.update_with(parameters, signers, |_| {})
    }

    fn update_with(
        &mut self,
        parameters: Value,
        signers: &[u8],
        change: impl FnOnce(&mut Value),
    ) -> &mut Self {
        self.minute += 1;
        let mut draft = json!({
            "versionTime": format!("2026-01-01T00:{:02}:00Z", self.minute),
            "parameters": parameters,
            "state": {"@context": ["https://www.w3.org/ns/did/v1.1"], "id": self.id,
                      "alsoKnownAs": [format!("https://version.example/{}", self.entries.len() + 1)]},
        });
        change(&mut draft);
        let last = self.last();
        self.seal(draft, last, signers);
        self
    }

    fn publish(&self, world: &World, folder: &str) {
        let lines: Vec<String> = self.entries.iter().map(Value::to_string).collect();
        let file = File::new(lines.join("\n") + "\n").header("cache-control: no-store");
        world.host.put(&format!("{folder}/did.jsonl"), file);
    }

    fn witness(&self, world: &World, folder: &str, proofs: &[(usize, u8)]) {
        let items: Vec<Value> = proofs
            .iter()
            .map(|(number, seed)| {
                let version_id = self.entries[number - 1]["versionId"].clone();
                let signed = sign(&json!({ "versionId": version_id }), *seed);
                json!({"versionId": version_id, "proof": signed["proof"]})
            })
            .collect();
        world.host.put(&format!("{folder}/did-witness.json"), File::new(json!(items).to_string()));
    }
}

const FOLDER: &str = "/.well-known";

fn author(world: &World, parameters: Value) -> Author {
    Author::new(&world.host.encoded(), parameters, 1)
}

fn resolve(world: &World, author: &Author, query: &str) -> aval_resolver::binding::Answer {
    author.publish(world, FOLDER);
    world.get(&format!("{}?noCache=true{query}", author.id.replace('%', "%25")))
}

fn version(answer: &aval_resolver::binding::Answer) -> Value {
    let result = body(answer);
    assert_eq!(answer.status, 200, "{result}");
    result["didDocumentMetadata"]["versionId"].clone()
}

fn invalid(world: &World, author: &Author, what: &str) {
    let answer = resolve(world, author, "");
    assert_eq!(error(&answer), refused(400, "INVALID_DID"), "{what}: {}", body(&answer));
}

#[test]
fn a_log_is_read_from_its_place_and_verified_to_its_newest_version() {
    let world = World::new();
    let mut author = author(&world, json!({"ttl": 60}));
    author.update(json!({"updateKeys": [multikey(2)]}), &[1]).update(json!({}), &[2]);
    let answer = resolve(&world, &author, "");
    assert_eq!(version(&answer), json!(author.last()));
    let result = body(&answer);
    assert_eq!(result["didDocument"], author.entries[2]["state"]);
    let metadata = &result["didDocumentMetadata"];
    assert_eq!(metadata["created"], "2026-01-01T00:00:00Z");
    assert_eq!(metadata["updated"], "2026-01-01T00:02:00Z");
    assert_eq!(metadata["scid"], author.scid);
    assert_eq!((&metadata["ttl"], &metadata["portable"]), (&json!("60"), &json!(false)));
    // In a folder of the host as well.
    let elsewhere = Author::new(&format!("{}:dids:one", world.host.encoded()), json!({}), 1);
    elsewhere.publish(&world, "/dids/one");
    assert_eq!(world.get(&elsewhere.id.replace('%', "%25")).status, 200);
}

#[test]
fn versions_are_found_by_id_and_by_time() {
    let world = World::new();
    let mut author = author(&world, json!({}));
    author.update(json!({}), &[1]).update(json!({}), &[1]);
    for (number, time) in [(0, "00:00:30"), (1, "00:01:00"), (1, "00:01:59"), (2, "23:00:00")] {
        let expected = &author.entries[number]["versionId"];
        let by_id = format!("&versionId={}", expected.as_str().unwrap());
        assert_eq!(version(&resolve(&world, &author, &by_id)), *expected);
        let by_time = resolve(&world, &author, &format!("&versionTime=2026-01-01T{time}Z"));
        assert_eq!(version(&by_time), *expected, "{time}");
        let next = author.entries.get(number + 1).map_or(Value::Null, |next| next["versionId"].clone());
        assert_eq!(body(&by_time)["didDocumentMetadata"]["nextVersionId"], next);
    }
    for query in ["&versionId=4-Qm", "&versionTime=2025-12-31T23:59:59Z"] {
        assert_eq!(error(&resolve(&world, &author, query)), refused(404, "NOT_FOUND"), "{query}");
    }
}

#[test]
fn a_changed_entry_does_not_verify_and_neither_does_what_follows() {
    let world = World::new();
    let mut author = author(&world, json!({}));
    author.update(json!({}), &[1]).update(json!({}), &[1]);
    let good = author.entries.clone();
    let changes: [(&str, usize, fn(&mut Value)); 12] = [
        ("another document", 1, |entry| entry["state"]["alsoKnownAs"] = json!(["https://evil.example/"])),
        ("another time", 1, |entry| entry["versionTime"] = json!("2026-01-01T00:01:30Z")),
        ("another parameter", 1, |entry| entry["parameters"]["ttl"] = json!(1)),
        ("another key in the first entry", 0, |entry| {
            entry["parameters"]["updateKeys"] = json!([multikey(9)])
        }),
        ("no proof", 1, |entry| entry["proof"] = json!([])),
        ("a proof that was changed", 1, |entry| entry["proof"][0]["created"] = json!("2026-01-02T00:00:00Z")),
        ("a proof for another purpose", 1, |entry| {
            entry["proof"][0]["proofPurpose"] = json!("authentication")
        }),
        ("a proof of another suite", 1, |entry| entry["proof"][0]["cryptosuite"] = json!("ecdsa-jcs-2019")),
        ("another number", 1, |entry| {
            let id = entry["versionId"].as_str().unwrap().replacen("2-", "3-", 1);
            entry["versionId"] = json!(id);
        }),
        ("no number", 1, |entry| entry["versionId"] = json!("nonsense")),
        ("a member more", 1, |entry| entry["more"] = json!(1)),
        ("no object", 1, |entry| *entry = json!("entry")),
    ];
    for (what, number, change) in changes {
        author.entries = good.clone();
        change(&mut author.entries[number]);
        invalid(&world, &author, what);
    }
    author.entries = good.clone();
    author.entries.remove(1);
    invalid(&world, &author, "an entry is left out");
    author.entries = good.clone();
    author.entries.swap(1, 2);
    invalid(&world, &author, "two entries change places");
    author.entries = good[..2].to_vec();
    assert_eq!(version(&resolve(&world, &author, "")), good[1]["versionId"], "the end can be withheld");
}

#[test]
fn versions_before_a_broken_entry_can_still_be_asked_for() {
    let world = World::new();
    let mut author = author(&world, json!({}));
    author.update(json!({}), &[1]).update(json!({}), &[1]);
    author.entries[2]["state"]["alsoKnownAs"] = json!([]);
    invalid(&world, &author, "the newest");
    for number in [0, 1] {
        let id = author.entries[number]["versionId"].as_str().unwrap().to_owned();
        assert_eq!(version(&resolve(&world, &author, &format!("&versionId={id}"))), json!(id));
    }
    let at = |time: &str| resolve(&world, &author, &format!("&versionTime={time}"));
    assert_eq!(version(&at("2026-01-01T00:00:30Z")), author.entries[0]["versionId"]);
    // How long the second was in force is not known.
    assert_eq!(error(&at("2026-01-01T00:01:30Z")), refused(400, "INVALID_DID"));
    let third = format!("&versionId={}", author.entries[2]["versionId"].as_str().unwrap());
    assert_eq!(error(&resolve(&world, &author, &third)), refused(400, "INVALID_DID"));
}

#[test]
fn only_the_keys_in_force_may_sign() {
    let world = World::new();
    let rotated = |signers: &[u8]| {
        let mut author = author(&world, json!({}));
        author.update(json!({"updateKeys": [multikey(2), multikey(3)]}), &[1]).update(json!({}), signers);
        author
    };
    for signers in [&[2][..], &[3], &[2, 3]] {
        assert_eq!(resolve(&world, &rotated(signers), "").status, 200, "{signers:?}");
    }
    for signers in [&[1][..], &[9], &[2, 9]] {
        invalid(&world, &rotated(signers), &format!("{signers:?}"));
    }
    let mut by_new_key = author(&world, json!({}));
    by_new_key.update(json!({"updateKeys": [multikey(2)]}), &[2]);
    invalid(&world, &by_new_key, "a new key does not sign itself in");
    let mut closed = author(&world, json!({}));
    closed.update(json!({"updateKeys": []}), &[1]).update(json!({}), &[1]);
    invalid(&world, &closed, "without keys there are no updates");
    let first = Author::new(&world.host.encoded(), json!({"updateKeys": [multikey(2)]}), 1);
    invalid(&world, &first, "the first entry by a key that it does not name");
}

#[test]
fn with_pre_rotation_a_key_must_have_been_committed_to() {
    let world = World::new();
    let start = || author(&world, json!({"nextKeyHashes": [commitment(2), commitment(3)]}));
    let step = |parameters: Value, signers: &[u8]| {
        let mut author = start();
        author.update(parameters, signers);
        author
    };
    let good = step(json!({"updateKeys": [multikey(2)], "nextKeyHashes": [commitment(4)]}), &[2]);
    assert_eq!(resolve(&world, &good, "").status, 200);
    for (what, parameters, signer) in [
        ("not committed to", json!({"updateKeys": [multikey(9)], "nextKeyHashes": []}), 9),
        ("one of two", json!({"updateKeys": [multikey(2), multikey(9)], "nextKeyHashes": []}), 2),
        ("the old key signs", json!({"updateKeys": [multikey(2)], "nextKeyHashes": []}), 1),
        ("no new keys", json!({"nextKeyHashes": []}), 1),
        ("no new hashes", json!({"updateKeys": [multikey(2)]}), 2),
        ("nothing", json!({}), 1),
    ] {
        invalid(&world, &step(parameters, &[signer]), what);
    }
    // Switched off, the entry itself still reveals; the next one goes by the other rule.
    let mut off = step(json!({"updateKeys": [multikey(3)], "nextKeyHashes": []}), &[3]);
    off.update(json!({"updateKeys": [multikey(9)]}), &[3]).update(json!({}), &[9]);
    assert_eq!(resolve(&world, &off, "").status, 200);
}

#[test]
fn parameters_are_what_the_method_defines() {
    let world = World::new();
    for (what, parameters) in [
        ("an unknown one", json!({"colour": "red"})),
        ("another version of the method", json!({"method": "did:webvh:0.5"})),
        ("a later version", json!({"method": "did:webvh:2.0"})),
        ("another scid", json!({"scid": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"})),
        ("keys that are no list", json!({"updateKeys": "z6Mk"})),
        ("portable that is no flag", json!({"portable": "yes"})),
        ("ttl below zero", json!({"ttl": -1})),
        ("a threshold of none", json!({"witness": {"threshold": 0, "witnesses": [{"id": "did:key:z"}]}})),
        ("a threshold above all", json!({"witness": {"threshold": 2, "witnesses": [{"id": "did:key:z"}]}})),
        ("no witnesses", json!({"witness": {"threshold": 1, "witnesses": []}})),
        (
            "a witness twice",
            json!({"witness": {"threshold": 1, "witnesses": [{"id": "did:key:z"}, {"id": "did:key:z"}]}}),
        ),
        (
            "a witness of another method",
            json!({"witness": {"threshold": 1, "witnesses": [{"id": "did:web:a"}]}}),
        ),
    ] {
        invalid(&world, &author(&world, parameters), what);
    }
    for (what, parameters) in
        [("a scid again", json!({"scid": "{SCID}"})), ("portable later", json!({"portable": true}))]
    {
        let mut author = author(&world, json!({}));
        author.update(parameters, &[1]);
        invalid(&world, &author, what);
    }
    // Early logs wrote null for what is not in force.
    let nulls = json!({"nextKeyHashes": null, "witness": null, "watchers": null, "ttl": null});
    let answer = resolve(&world, &author(&world, nulls), "");
    assert_eq!(body(&answer)["didDocumentMetadata"]["ttl"], "3600");
}

#[test]
fn times_go_on_and_are_not_of_the_future() {
    let world = World::new();
    for (what, time) in [
        ("as old as the one before", "2026-01-01T00:00:00Z"),
        ("older", "2025-01-01T00:00:00Z"),
        ("of the future", "2999-01-01T00:00:00Z"),
        ("not UTC", "2026-02-01T00:00:00+02:00"),
        ("no time", "yesterday"),
    ] {
        let mut author = author(&world, json!({}));
        author.update_with(json!({}), &[1], |draft| draft["versionTime"] = json!(time));
        invalid(&world, &author, what);
    }
}

#[test]
fn a_deactivated_did_is_gone_and_stays_so() {
    let world = World::new();
    let mut author = author(&world, json!({}));
    author.update(json!({"deactivated": true, "updateKeys": []}), &[1]);
    let answer = resolve(&world, &author, "");
    assert_eq!(answer.status, 410);
    assert_eq!(body(&answer)["didDocument"], Value::Null);
    assert_eq!(body(&answer)["didDocumentMetadata"]["deactivated"], true);
    let first = format!("&versionId={}", author.entries[0]["versionId"].as_str().unwrap());
    assert_eq!(resolve(&world, &author, &first).status, 200);
    let mut undone = self::author(&world, json!({}));
    undone.update(json!({"deactivated": true}), &[1]).update(json!({"deactivated": false}), &[1]);
    invalid(&world, &undone, "an entry after the deactivation");
}

#[test]
fn a_did_moves_only_if_it_is_portable_and_says_where_from() {
    let world = World::new();
    let moved = |parameters: Value, known_as: bool| {
        let mut author = author(&world, parameters);
        let (before, after) = (author.id.clone(), format!("{}:new", author.id));
        author.update_with(json!({}), &[1], |draft| {
            draft["state"]["id"] = json!(after);
            draft["state"]["alsoKnownAs"] = if known_as { json!([before]) } else { json!([]) };
        });
        (author, after)
    };
    let (author, after) = moved(json!({"portable": true}), true);
    author.publish(&world, "/new");
    let answer = world.get(&after.replace('%', "%25"));
    assert_eq!(body(&answer)["didDocument"]["id"], after);
    // Under its old name it answers with the new one.
    let old = resolve(&world, &author, "");
    assert_eq!(body(&old)["didDocumentMetadata"]["canonicalId"], after);
    invalid(&world, &moved(json!({}), true).0, "not portable");
    invalid(&world, &moved(json!({"portable": true}), false).0, "it does not say where from");
}

#[test]
fn a_log_proves_the_identifier_that_was_asked_for_and_no_other() {
    let world = World::new();
    let log = author(&world, json!({}));
    log.publish(&world, FOLDER);
    let other = Author::new(&world.host.encoded(), json!({"ttl": 7}), 1);
    let answer = world.get(&other.id.replace('%', "%25"));
    assert_eq!(error(&answer), refused(400, "INVALID_DID"), "another identifier at the same place");
    log.publish(&world, "/elsewhere");
    let answer = world.get(&format!("{}:elsewhere", log.id).replace('%', "%25"));
    assert_eq!(error(&answer), refused(400, "INVALID_DID"), "the same identifier at another place");
    for id in [
        "did:webvh:QmNope:issuer.example",
        "did:webvh:issuer.example",
        &format!("did:webvh:{}:10.0.0.1", log.scid),
    ] {
        assert_eq!(error(&world.get(id)), refused(400, "INVALID_DID"), "{id}");
    }
    let gone = format!("did:webvh:{}:{}:gone", log.scid, world.host.encoded());
    assert_eq!(error(&world.get(&gone.replace('%', "%25"))), refused(404, "NOT_FOUND"));
    for text in ["", "\n", "{}", "\n\n\n"] {
        world.host.put("/.well-known/did.jsonl", File::new(text));
        let answer = world.get(&format!("{}?noCache=true", log.id.replace('%', "%25")));
        assert_eq!(error(&answer), refused(400, "INVALID_DID"), "{text:?}");
    }
}

fn rule(threshold: u64, seeds: &[u8]) -> Value {
    let witnesses: Vec<Value> =
        seeds.iter().map(|seed| json!({"id": format!("did:key:{}", multikey(*seed))})).collect();
    json!({"witness": {"threshold": threshold, "witnesses": witnesses}})
}

#[test]
fn witnessed_entries_need_a_threshold_of_proofs_for_themselves_or_a_later_entry() {
    let world = World::new();
    let mut author = author(&world, rule(2, &[21, 22, 23]));
    author.update(json!({}), &[1]).update(json!({}), &[1]);
    let try_with = |proofs: &[(usize, u8)]| {
        author.witness(&world, FOLDER, proofs);
        resolve(&world, &author, "")
    };
    for proofs in [&[(3, 21), (3, 22)][..], &[(3, 23), (1, 22), (3, 21)], &[(3, 21), (3, 22), (3, 23)]] {
        assert_eq!(try_with(proofs).status, 200, "{proofs:?}");
    }
    let metadata = body(&try_with(&[(3, 21), (3, 22)]))["didDocumentMetadata"].clone();
    assert_eq!(metadata["witness"]["threshold"], "2");
    for (what, proofs) in [
        ("none", &[][..]),
        ("one", &[(3, 21)]),
        ("one of them twice", &[(3, 21), (3, 21), (2, 21)]),
        ("a stranger", &[(3, 21), (3, 9)]),
        ("the newest by one alone", &[(3, 21), (2, 22)]),
    ] {
        assert_eq!(error(&try_with(proofs)), refused(400, "INVALID_DID"), "{what}");
    }
    // What was approved can still be asked for.
    author.witness(&world, FOLDER, &[(2, 21), (2, 22)]);
    let second = author.entries[1]["versionId"].as_str().unwrap();
    assert_eq!(resolve(&world, &author, &format!("&versionId={second}")).status, 200);
    assert_eq!(error(&resolve(&world, &author, "")), refused(400, "INVALID_DID"));
}

#[test]
fn a_witness_proof_is_over_the_version_that_it_names_and_verifies() {
    let world = World::new();
    let author = author(&world, rule(1, &[21]));
    let proof_of =
        |version_id: &Value, seed: u8| sign(&json!({ "versionId": version_id }), seed)["proof"].clone();
    let version_id = &author.entries[0]["versionId"];
    let file = |items: Value| {
        world.host.put("/.well-known/did-witness.json", File::new(items.to_string()));
        resolve(&world, &author, "").status
    };
    assert_eq!(file(json!([{"versionId": version_id, "proof": proof_of(version_id, 21)}])), 200);
    let other = json!("1-QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG");
    assert_eq!(file(json!([{"versionId": version_id, "proof": proof_of(&other, 21)}])), 400);
    assert_eq!(file(json!([{"versionId": other, "proof": proof_of(&other, 21)}])), 400, "not published");
    let mut purpose = proof_of(version_id, 21);
    purpose[0]["proofPurpose"] = json!("authentication");
    assert_eq!(file(json!([{"versionId": version_id, "proof": purpose}])), 400);
    for nonsense in [
        json!({}),
        json!([1]),
        json!([{"versionId": version_id}]),
        json!([{"versionId": version_id, "proof": [7]}]),
    ] {
        assert_eq!(file(nonsense), 400);
    }
    // A host that fails decides nothing.
    world.host.put("/.well-known/did-witness.json", File::status(503));
    assert_eq!(error(&resolve(&world, &author, "")).1, "INTERNAL_ERROR");
    let options = Options { version: Version::Latest, no_cache: true, ..Options::default() };
    assert!(!world.resolver.resolve(&author.id, &options).unwrap_err().is_decided());
}

#[test]
fn new_witnesses_count_from_the_entry_after_the_one_that_names_them() {
    let world = World::new();
    let mut author = author(&world, rule(1, &[21]));
    author.update(rule(1, &[22]), &[1]).update(json!({"witness": {}}), &[1]).update(json!({}), &[1]);
    let try_with = |proofs: &[(usize, u8)]| {
        author.witness(&world, FOLDER, proofs);
        resolve(&world, &author, "").status
    };
    // 21 approves the entry that replaces it, 22 the one that ends witnessing; the last needs nobody.
    assert_eq!(try_with(&[(2, 21), (3, 22)]), 200);
    assert_eq!(try_with(&[(1, 21), (3, 22)]), 400);
    assert_eq!(try_with(&[(2, 21), (2, 22)]), 400);
    // Where there was no rule before, it counts at once.
    let mut later = self::author(&world, json!({}));
    later.update(rule(1, &[21]), &[1]);
    later.witness(&world, FOLDER, &[]);
    assert_eq!(resolve(&world, &later, "").status, 400);
    later.witness(&world, FOLDER, &[(2, 21)]);
    assert_eq!(resolve(&world, &later, "").status, 200);
}

#[test]
fn a_log_is_bounded() {
    let world = World::new();
    let mut author = author(&world, json!({}));
    author.entries = vec![json!("x".repeat(2_000_000))];
    assert_eq!(error(&resolve(&world, &author, "")), refused(500, "INVALID_DID_DOCUMENT"));
    let mut members = Map::new();
    members.insert("a".repeat(300_000), json!(1));
    author.entries = vec![Value::Object(members)];
    invalid(&world, &author, "one huge line");
}
