//! What goes into the negative vectors. Each group begins with a sound case (`code` is null), so that a verifier that
//! refuses everything fails, too.

use super::support::{NOW_S, credential};
use crate::data_integrity::{self, ProofOptions, Suite};
use crate::jose::{self, sd_jwt};
use crate::{KeyType, SigningKey, cose};
use aval_codec::{b64u, sha256};
use serde_json::{Value, json};

const METHOD: &str = "did:example:university#key-1";

/// The same text in every build: the order of members is a matter of how serde_json was built.
trait Canonical {
    fn canonical(&self) -> String;
}

impl Canonical for Value {
    fn canonical(&self) -> String {
        String::from_utf8(crate::jcs::canonicalize(self).unwrap()).unwrap()
    }
}

struct Cases(Vec<(String, Value)>);

impl Cases {
    /// Adds a case; `more` are the members beside what every case has.
    fn add(&mut self, kind: &str, wrong: &str, code: Option<&str>, input: &str, more: Value) {
        let mut case = json!({"kind": kind, "wrong": wrong, "code": code, "input": input});
        for (name, value) in more.as_object().unwrap() {
            case[name] = value.clone();
        }
        let letters = |text: &str| {
            let plain = text.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' });
            plain.collect::<String>().split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
        };
        self.0.push((letters(&format!("{kind} {wrong}")).to_lowercase(), case));
    }
}

pub(super) fn all() -> Vec<(String, Value)> {
    let mut cases = Cases(Vec::new());
    credentials(&mut cases);
    presentations(&mut cases);
    proofs(&mut cases);
    proofs_over_statements(&mut cases);
    tokens(&mut cases);
    tokens_of_1_1(&mut cases);
    sd_jwts(&mut cases);
    key_bindings(&mut cases);
    messages(&mut cases);
    keys(&mut cases);
    documents(&mut cases);
    cases.0
}

fn issuer() -> SigningKey {
    SigningKey::from_secret(KeyType::Ed25519, &[7; 32]).unwrap()
}

fn holder() -> SigningKey {
    SigningKey::from_secret(KeyType::P256, &[9; 32]).unwrap()
}

fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap()[name] = value;
    changed
}

fn without(document: &Value, name: &str) -> Value {
    let mut changed = document.clone();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

fn credentials(cases: &mut Cases) {
    let good = credential();
    let mut add = |wrong: &str, code: Option<&str>, document: Value| {
        cases.add("credential", wrong, code, &document.canonical(), json!({}));
    };
    add("nothing", None, good.clone());
    add("no context", Some("data_model.context"), without(&good, "@context"));
    let turned = json!([good["@context"][1], good["@context"][0]]);
    add("the first context is another", Some("data_model.context"), with(&good, "/@context", turned));
    let both = json!([good["@context"][0], "https://www.w3.org/2018/credentials/v1"]);
    add("contexts of two versions", Some("data_model.context"), with(&good, "/@context", both));
    add("no type", Some("data_model.type"), without(&good, "type"));
    add("not the base type", Some("data_model.type"), with(&good, "/type", json!(["AlumniCredential"])));
    add("an identifier that is no URL", Some("data_model.id"), with(&good, "/id", json!("not a url")));
    add("an issuer that is no URL", Some("data_model.issuer"), with(&good, "/issuer", json!("university")));
    add("no subject", Some("data_model.subject"), without(&good, "credentialSubject"));
    add("an empty subject", Some("data_model.subject"), with(&good, "/credentialSubject", json!([{}])));
    add(
        "a date without time zone",
        Some("data_model.date"),
        with(&good, "/validFrom", json!("2023-01-01T00:00:00")),
    );
    let over = with(&good, "/validUntil", json!("2022-01-01T00:00:00Z"));
    add("it ends before it begins", Some("data_model.period"), over);
    let status = json!({"id": "https://university.example/status#1"});
    add("a status without type", Some("data_model.status"), with(&good, "/credentialStatus", status));
    let schema = json!({"type": "JsonSchema"});
    add("a schema without identifier", Some("data_model.schema"), with(&good, "/credentialSchema", schema));
    let resource = json!({"id": "https://www.w3.org/ns/credentials/v2", "digestSRI":
        format!("sha384-{}", b64u::encode([1; 48]))});
    add(
        "a resource with another digest",
        Some("data_model.resource"),
        with(&good, "/relatedResource", resource),
    );
    let twice = good.canonical().replacen('{', r#"{"issuer":"did:example:other","#, 1);
    cases.add("credential", "a key twice", Some("format.duplicate_key"), &twice, json!({}));
    let large = good.canonical().replacen('{', r#"{"number":9007199254740993,"#, 1);
    cases.add("credential", "a number that readers round", Some("format.number"), &large, json!({}));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    cases.add("credential", "nested too deep", Some("format.oversized"), &deep, json!({}));
    let over = with(&good, "/validUntil", json!("2024-01-01T00:00:00Z")).canonical();
    cases.add("dates", "expired", Some("credential.expired"), &over, json!({"now": NOW_S}));
    let early = with(&good, "/validFrom", json!("2099-01-01T00:00:00Z")).canonical();
    cases.add("dates", "not yet valid", Some("credential.not_yet_valid"), &early, json!({"now": NOW_S}));
}

fn presentations(cases: &mut Cases) {
    let good = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": "VerifiablePresentation",
        "holder": "did:example:holder",
        "verifiableCredential": [credential()]
    });
    let mut add = |wrong: &str, code: Option<&str>, document: Value| {
        cases.add("presentation", wrong, code, &document.canonical(), json!({}));
    };
    add("nothing", None, good.clone());
    add(
        "the type of a credential",
        Some("data_model.type"),
        with(&good, "/type", json!("VerifiableCredential")),
    );
    add(
        "a holder without identifier",
        Some("data_model.holder"),
        with(&good, "/holder", json!({"name": "H"})),
    );
    let text = with(&good, "/verifiableCredential", json!(["eyJ.eyJ.AA"]));
    add("a credential that is text", Some("format.malformed"), text);
    let envelope = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "https://university.example/vc.jwt",
        "type": "EnvelopedVerifiableCredential"
    });
    let envelope = with(&good, "/verifiableCredential", envelope);
    add("an envelope that points elsewhere", Some("data_model.envelope"), envelope);
}

fn options(suite: Suite) -> ProofOptions {
    let mut options = ProofOptions::new(suite, METHOD, "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    options
}

fn proofs(cases: &mut Cases) {
    let secure = |options: &ProofOptions| data_integrity::secure(&credential(), options, &issuer()).unwrap();
    let good = secure(&options(Suite::EddsaJcs2022));
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, document: Value, more: Value| {
        let mut all = json!({ "key": key });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        cases.add("data integrity", wrong, code, &document.canonical(), all);
    };
    add("nothing", None, good.clone(), json!({}));
    add("no proof", Some("proof.missing"), credential(), json!({}));
    add(
        "a changed claim",
        Some("signature"),
        with(&good, "/credentialSubject/alumniOf", json!("Elsewhere")),
        json!({}),
    );
    let other = SigningKey::from_secret(KeyType::Ed25519, &[8; 32]).unwrap().public().to_multikey();
    add("the key of somebody else", Some("signature"), good.clone(), json!({ "key": other }));
    let other = holder().public().to_multikey();
    add("a key of another type", Some("jose.algorithm"), good.clone(), json!({ "key": other }));
    add(
        "an unknown suite",
        Some("proof.unsupported"),
        with(&good, "/proof/cryptosuite", json!("eddsa-2099")),
        json!({}),
    );
    add("no suite", Some("proof.malformed"), with(&good, "/proof/cryptosuite", Value::Null), json!({}));
    let injected = json!([good["@context"][0], {"alumniOf": "https://evil.example/#alumniOf"}]);
    add(
        "a context put in the place of another",
        Some("proof.context"),
        with(&good, "/@context", injected),
        json!({}),
    );
    let purpose = with(&good, "/proof/proofPurpose", json!("authentication"));
    add("a changed purpose", Some("signature"), purpose, json!({}));
    add(
        "a proof for another purpose",
        Some("proof.purpose"),
        good.clone(),
        json!({"purpose": "authentication"}),
    );
    let short = with(&good, "/proof/proofValue", json!("z2HnFSSPPBzR36zdDg"));
    add("a signature that is too short", Some("proof.malformed"), short, json!({}));
    let base64 = with(&good, "/proof/proofValue", json!("uAAAA"));
    add("a signature in another base", Some("proof.malformed"), base64, json!({}));
    let mut expired = options(Suite::EddsaJcs2022);
    expired.expires = Some("2020-01-01T00:00:00Z".to_owned());
    add("a proof that has expired", Some("proof.expired"), secure(&expired), json!({"now": NOW_S}));
    let mut future = options(Suite::EddsaJcs2022);
    future.created = Some("2099-01-01T00:00:00Z".to_owned());
    add("a proof from the future", Some("proof.not_yet"), secure(&future), json!({"now": NOW_S}));
    let mut bound = options(Suite::EddsaJcs2022);
    bound.challenge = Some("for-one-verifier".to_owned());
    bound.domain = vec!["https://one.example".to_owned()];
    let bound = secure(&bound);
    add(
        "the challenge of another verifier",
        Some("proof.challenge"),
        bound.clone(),
        json!({"challenge": "for-another"}),
    );
    add(
        "the domain of another verifier",
        Some("proof.domain"),
        bound.clone(),
        json!({"domain": "https://another.example"}),
    );
    let unasked = json!({"challenge": "for-one-verifier"});
    add("a challenge that is not answered", Some("proof.challenge"), good.clone(), unasked);
    let mut chained = options(Suite::EddsaJcs2022);
    chained.id = Some("urn:uuid:1".to_owned());
    let first = secure(&chained);
    let mut second = options(Suite::EddsaJcs2022);
    second.previous_proof = vec!["urn:uuid:1".to_owned()];
    let chain = data_integrity::secure(&first, &second, &issuer()).unwrap();
    add("nothing in a chain", None, chain.clone(), json!({}));
    let missing = with(&chain, "/proof", json!([chain["proof"][1]]));
    add("a chain without its first proof", Some("proof.previous"), missing, json!({}));
    let same = with(&chain, "/proof/1/id", json!("urn:uuid:1"));
    add("two proofs of one name", Some("proof.malformed"), same, json!({}));
}

fn proofs_over_statements(cases: &mut Cases) {
    let good = data_integrity::secure(&credential(), &options(Suite::EddsaRdfc2022), &issuer()).unwrap();
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, document: &Value| {
        cases.add("data integrity", wrong, code, &document.canonical(), json!({ "key": key }));
    };
    add("nothing over statements", None, &good);
    let plain = with(&good, "/@context", json!(["https://www.w3.org/ns/credentials/v2"]));
    let plain = with(&plain, "/type", json!(["VerifiableCredential"]));
    add("a term that no context defines", Some("linked_data.unknown_term"), &plain);
    let unknown = json!([good["@context"][0], "https://evil.example/context"]);
    add(
        "a context that would have to be fetched",
        Some("linked_data.unknown_context"),
        &with(&good, "/@context", unknown),
    );
    let redefined = json!([good["@context"][0], {"name": "https://evil.example/#name"}]);
    add("a protected term redefined", Some("linked_data.protected"), &with(&good, "/@context", redefined));
    let relative = with(&good, "/credentialSubject/id", json!("alice"));
    add("a relative identifier", Some("linked_data.relative"), &relative);
    let unknown = with(&plain, "/credentialSubject", json!({"id": "did:example:person"}));
    let unknown = with(&unknown, "/type", json!(["VerifiableCredential", "Unknown"]));
    add("a type that no context defines", Some("linked_data.unknown_type"), &unknown);
    add("a statement added", Some("signature"), &with(&good, "/credentialSubject/degree", json!("Master")));
}

/// A compact JWS with any header at all, signed over what stands there.
fn raw(header: &Value, payload: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", b64u::encode(header.canonical()), b64u::encode(payload));
    format!("{input}.{}", b64u::encode(key.sign(input.as_bytes())))
}

fn tokens(cases: &mut Cases) {
    let key = issuer().public().to_multikey();
    let mut add = |kind: &str, wrong: &str, code: Option<&str>, token: &str| {
        cases.add(kind, wrong, code, token, json!({ "key": key }));
    };
    let good = jose::sign_credential(&credential(), METHOD, &issuer()).unwrap();
    add("vc+jwt", "nothing", None, &good);
    let header = |name: &str, value: Value| {
        let mut header = json!({"alg": "EdDSA", "kid": METHOD, "typ": "vc+jwt"});
        header[name] = value;
        raw(&header, &credential().canonical(), &issuer())
    };
    add("vc+jwt", "alg none", Some("jose.algorithm"), &header("alg", json!("none")));
    let mut unsigned = header("alg", json!("none"));
    unsigned.truncate(unsigned.rfind('.').unwrap() + 1);
    add("vc+jwt", "alg none and no signature", Some("jose.algorithm"), &unsigned);
    add(
        "vc+jwt",
        "alg HS256 with the public key as secret",
        Some("jose.algorithm"),
        &header("alg", json!("HS256")),
    );
    add(
        "vc+jwt",
        "the algorithm of another type of key",
        Some("jose.algorithm"),
        &header("alg", json!("ES256")),
    );
    add("vc+jwt", "a critical extension", Some("jose.critical"), &header("crit", json!(["exp"])));
    add("vc+jwt", "an unencoded payload", Some("jose.header"), &header("b64", json!(false)));
    add("vc+jwt", "no type", Some("jose.type"), &header("typ", Value::Null));
    add("vc+jwt", "the type of a draft", Some("jose.type"), &header("typ", json!("vc-ld+jwt")));
    add("vc+jwt", "the type of a presentation", Some("jose.type"), &header("typ", json!("vp+jwt")));
    add("vc+jwt", "another content type", Some("jose.header"), &header("cty", json!("vp")));
    add("vc+jwt", "a key id that is no text", Some("jose.header"), &header("kid", json!(7)));
    let other = SigningKey::from_secret(KeyType::Ed25519, &[8; 32]).unwrap();
    let own = json!({"alg": "EdDSA", "jwk": other.public().to_jwk(), "typ": "vc+jwt"});
    add(
        "vc+jwt",
        "a key of its own in the header",
        Some("signature"),
        &raw(&own, &credential().canonical(), &other),
    );
    let far = json!({"alg": "EdDSA", "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/",
        "kid": "http://127.0.0.1:1/#key", "typ": "vc+jwt"});
    add("vc+jwt", "keys to be fetched", Some("signature"), &raw(&far, &credential().canonical(), &other));
    let plain = json!({"alg": "EdDSA", "kid": METHOD, "typ": "vc+jwt"});
    let payload = |document: &Value| raw(&plain, &document.canonical(), &issuer());
    let claim = |name: &str, value: Value| payload(&with(&credential(), &format!("/{name}"), value));
    add("vc+jwt", "iss of somebody else", Some("jose.claims"), &claim("iss", json!("did:example:other")));
    add("vc+jwt", "a vc claim", Some("jose.claims"), &claim("vc", json!({})));
    add("vc+jwt", "exp in the past", Some("credential.expired"), &claim("exp", json!(NOW_S - 61)));
    add("vc+jwt", "exp that is text", Some("jose.claims"), &claim("exp", json!("2099")));
    add("vc+jwt", "not a credential", Some("data_model.issuer"), &payload(&without(&credential(), "issuer")));
    let twice = credential().canonical().replacen('{', r#"{"issuer":"did:example:other","#, 1);
    add("vc+jwt", "a key twice", Some("format.duplicate_key"), &raw(&plain, &twice, &issuer()));
    add("vc+jwt", "padding", Some("format.malformed"), &format!("{good}=="));
    add("vc+jwt", "four segments", Some("format.malformed"), &format!("{good}.AA"));
    add("vp+jwt", "the type of a credential", Some("jose.type"), &good);
}

fn tokens_of_1_1(cases: &mut Cases) {
    let claims = json!({
        "iss": "did:example:university", "sub": "did:example:person", "jti": "urn:uuid:1",
        "nbf": NOW_S - 1000, "exp": NOW_S + 1000,
        "vc": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential"],
            "credentialSubject": {"id": "did:example:person", "alumniOf": "The School of Examples"}
        }
    });
    let header = json!({"alg": "EdDSA", "kid": METHOD, "typ": "JWT"});
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, claims: &Value| {
        let token = raw(&header, &claims.canonical(), &issuer());
        cases.add("jwt of 1.1", wrong, code, &token, json!({"key": key, "now": NOW_S}));
    };
    add("nothing", None, &claims);
    add("expired by its claim alone", Some("credential.expired"), &with(&claims, "/exp", json!(NOW_S - 61)));
    add("no issuer", Some("jose.claims"), &without(&claims, "iss"));
    let other = with(&claims, "/vc/issuer", json!("did:example:other"));
    add("an issuer that is not iss", Some("jose.claims"), &other);
    add("a subject that is not sub", Some("jose.claims"), &with(&claims, "/sub", json!("did:example:other")));
    let date = with(&claims, "/vc/expirationDate", json!("2099-01-01T00:00:00Z"));
    add("an end that is not exp", Some("jose.claims"), &date);
    add("no vc", Some("jose.claims"), &without(&claims, "vc"));
    add("no beginning", Some("data_model.date"), &without(&claims, "nbf"));
    add("a proof inside", Some("jose.claims"), &with(&claims, "/vc/proof", json!({"type": "X"})));
}

/// An SD-JWT VC with fixed salts, which can be spoilt before it is signed.
struct Workshop {
    header: Value,
    claims: Value,
    disclosures: Vec<String>,
    binding_header: Value,
    binding: Value,
    binder: SigningKey,
    bound: bool,
}

fn disclosure(text: &str) -> (String, String) {
    let encoded = b64u::encode(text);
    let digest = b64u::encode(sha256(encoded.as_bytes()));
    (encoded, digest)
}

impl Workshop {
    fn new() -> Self {
        let (name, digest) = disclosure(r#"["c2FsdHNhbHRzYWx0c2FsdA","given_name","Ada"]"#);
        Workshop {
            header: json!({"alg": "EdDSA", "kid": METHOD, "typ": "dc+sd-jwt"}),
            claims: json!({
                "iss": "https://university.example", "vct": "https://credentials.example/diploma",
                "iat": NOW_S - 1000, "exp": NOW_S + 1000, "_sd_alg": "sha-256", "_sd": [digest],
                "degree": "Master", "cnf": {"jwk": holder().public().to_jwk()}
            }),
            disclosures: vec![name],
            binding_header: json!({"alg": "ES256", "typ": "kb+jwt"}),
            binding: json!({"aud": "https://verifier.example", "nonce": "n-0S6_WzA2Mj", "iat": NOW_S - 10}),
            binder: holder(),
            bound: true,
        }
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    fn bind(mut self, name: &str, value: Value) -> Self {
        self.binding[name] = value;
        self
    }

    fn build(self) -> String {
        let mut text = raw(&self.header, &self.claims.canonical(), &issuer()) + "~";
        for disclosure in &self.disclosures {
            text = text + disclosure + "~";
        }
        if !self.bound {
            return text;
        }
        let mut binding = self.binding;
        if binding.get("sd_hash").is_none() {
            binding["sd_hash"] = json!(b64u::encode(sha256(text.as_bytes())));
        }
        text + &raw(&self.binding_header, &binding.canonical(), &self.binder)
    }

    /// With one more disclosure, whose digest stands where the claims say.
    fn disclosing(mut self, text: &str, place: &str) -> Self {
        let (encoded, digest) = disclosure(text);
        self.disclosures.push(encoded);
        match self.claims.pointer_mut(place).unwrap() {
            Value::Array(digests) => digests.push(json!(digest)),
            other => other["_sd"] = json!([digest]),
        }
        self
    }
}

fn sd_jwts(cases: &mut Cases) {
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, workshop: Workshop| {
        cases.add(sd_jwt::DC_SD_JWT, wrong, code, &workshop.build(), json!({"key": key, "now": NOW_S}));
    };
    let new = Workshop::new;
    add("nothing", None, new());
    add(
        "the type of another format",
        Some("jose.type"),
        Workshop { header: json!({"alg": "EdDSA", "typ": "JWT"}), ..new() },
    );
    let mut twice = new();
    twice.disclosures.push(twice.disclosures[0].clone());
    add("a disclosure twice", Some("sd_jwt.disclosure"), twice);
    let mut foreign = new();
    foreign.disclosures.push(disclosure(r#"["salt","degree","Doctor"]"#).0);
    add("a disclosure that was not signed", Some("sd_jwt.disclosure"), foreign);
    add(
        "a disclosure that shadows a claim",
        Some("sd_jwt.disclosure"),
        new().disclosing(r#"["salt","degree","Doctor"]"#, "/_sd"),
    );
    add(
        "a disclosure of a reserved name",
        Some("sd_jwt.disclosure"),
        new().disclosing(r#"["salt","_sd","x"]"#, "/_sd"),
    );
    add(
        "an element disclosed as a member",
        Some("sd_jwt.disclosure"),
        new().disclosing(r#"["salt","x"]"#, "/_sd"),
    );
    add(
        "a disclosure with a key twice",
        Some("format.duplicate_key"),
        new().disclosing(r#"["salt","a",{"b":1,"b":2}]"#, "/_sd"),
    );
    add("another hash algorithm", Some("sd_jwt.disclosure"), new().claim("_sd_alg", json!("md5")));
    let same = new().claims["_sd"][0].clone();
    add("a digest twice", Some("sd_jwt.disclosure"), new().claim("_sd", json!([same, same])));
    let mut hidden = new();
    hidden.claims.as_object_mut().unwrap().remove("exp");
    let hidden = hidden.disclosing(r#"["salt","exp",4102444800]"#, "/_sd");
    add("an end of validity that can be hidden", Some("sd_jwt.disclosure"), hidden);
    add("no vct", Some("jose.claims"), new().claim("vct", Value::Null));
    add("expired", Some("credential.expired"), new().claim("exp", json!(NOW_S - 61)));
    add("no holder key", Some("key_binding.holder_key"), new().claim("cnf", json!({"kid": "x"})));
}

fn key_bindings(cases: &mut Cases) {
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, workshop: Workshop| {
        cases.add(sd_jwt::DC_SD_JWT, wrong, code, &workshop.build(), json!({"key": key, "now": NOW_S}));
    };
    let new = Workshop::new;
    add("no key binding", Some("key_binding.missing"), Workshop { bound: false, ..new() });
    let other = SigningKey::from_secret(KeyType::P256, &[5; 32]).unwrap();
    add("a key binding by another key", Some("signature"), Workshop { binder: other, ..new() });
    let typ = json!({"alg": "ES256", "typ": "JWT"});
    add("a key binding of another type", Some("jose.type"), Workshop { binding_header: typ, ..new() });
    let none = json!({"alg": "none", "typ": "kb+jwt"});
    add("a key binding with alg none", Some("jose.algorithm"), Workshop { binding_header: none, ..new() });
    add("a key binding for another nonce", Some("key_binding.nonce"), new().bind("nonce", json!("another")));
    let elsewhere = json!("https://another.example");
    add("a key binding for another verifier", Some("key_binding.audience"), new().bind("aud", elsewhere));
    let hash = json!(b64u::encode([1; 32]));
    add(
        "a key binding for other disclosures",
        Some("key_binding.presentation_hash"),
        new().bind("sd_hash", hash),
    );
    add("a key binding that is too old", Some("key_binding.stale"), new().bind("iat", json!(NOW_S - 361)));
    add("a key binding from the future", Some("key_binding.stale"), new().bind("iat", json!(NOW_S + 61)));
    add("a key binding without time", Some("jose.claims"), new().bind("iat", Value::Null));
}

fn messages(cases: &mut Cases) {
    let key = issuer().public().to_multikey();
    let mut add = |wrong: &str, code: Option<&str>, bytes: &[u8]| {
        cases.add("vc+cose", wrong, code, &b64u::encode(bytes), json!({ "key": key }));
    };
    let good = cose::sign_credential(&credential(), METHOD, &issuer()).unwrap();
    add("nothing", None, &good);
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    add("a changed signature", Some("signature"), &changed);
    let payload = credential().canonical();
    let typed = |typ: &str| cose::sign(typ, None, METHOD.as_bytes(), payload.as_bytes(), &issuer()).unwrap();
    add("the type of a presentation", Some("jose.type"), &typed("application/vp+cose"));
    let other =
        cose::sign(cose::VC_COSE, Some("application/vp"), b"", payload.as_bytes(), &issuer()).unwrap();
    add("another content type", Some("jose.header"), &other);
    add("cut off", Some("format.malformed"), &good[..good.len() - 1]);
    let p256 = cose::sign_credential(&credential(), METHOD, &holder()).unwrap();
    add("the algorithm of another type of key", Some("jose.algorithm"), &p256);
    let twice = payload.replacen('{', r#"{"issuer":"did:example:other","#, 1);
    let twice = cose::sign(cose::VC_COSE, None, b"", twice.as_bytes(), &issuer()).unwrap();
    add("a key twice", Some("format.duplicate_key"), &twice);
}

fn keys(cases: &mut Cases) {
    let good = holder().public().to_jwk();
    let mut add = |kind: &str, wrong: &str, code: Option<&str>, input: &str| {
        cases.add(kind, wrong, code, input, json!({}));
    };
    add("jwk", "nothing", None, &good.canonical());
    add("jwk", "a private key", Some("key.private"), &holder().to_jwk().canonical());
    add(
        "jwk",
        "a point off the curve",
        Some("key.malformed"),
        &with(&good, "/y", good["x"].clone()).canonical(),
    );
    add("jwk", "another algorithm", Some("key.malformed"), &with(&good, "/alg", json!("EdDSA")).canonical());
    add("jwk", "a symmetric key", Some("key.private"), r#"{"kty":"oct","k":"AAAA"}"#);
    add("jwk", "a type that is not known", Some("key.unsupported"), r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#);
    let weak = json!({"kty": "OKP", "crv": "Ed25519", "x": b64u::encode([0; 32])});
    add("jwk", "an Ed25519 key of small order", Some("key.malformed"), &weak.canonical());
    add("multikey", "a private key", Some("key.private"), &issuer().to_multikey());
    add("multikey", "not base58", Some("key.malformed"), "z6Mk0OIl");
}

fn documents(cases: &mut Cases) {
    let good = json!({
        "id": "did:example:university",
        "verificationMethod": [{
            "id": METHOD, "type": "Multikey", "controller": "did:example:university",
            "publicKeyMultibase": issuer().public().to_multikey()
        }],
        "assertionMethod": [METHOD]
    });
    let mut add = |wrong: &str, code: Option<&str>, document: &Value, purpose: &str, method: &str| {
        let more = json!({"purpose": purpose, "method": method, "now": NOW_S});
        cases.add("controller document", wrong, code, &document.canonical(), more);
    };
    add("nothing", None, &good, "assertionMethod", METHOD);
    add("a method for another purpose", Some("document.purpose"), &good, "authentication", METHOD);
    let unknown = "did:example:university#key-2";
    add("a method that is not there", Some("document.method"), &good, "assertionMethod", unknown);
    let foreign = with(&good, "/verificationMethod/0/controller", json!("did:example:other"));
    add("a method of somebody else", Some("document.malformed"), &foreign, "assertionMethod", METHOD);
    let revoked = with(&good, "/verificationMethod/0/revoked", json!("2020-01-01T00:00:00Z"));
    add("a method that is revoked", Some("document.method_expired"), &revoked, "assertionMethod", METHOD);
    let twice = with(&good, "/verificationMethod/0/publicKeyJwk", issuer().public().to_jwk());
    add("a method with two keys", Some("document.malformed"), &twice, "assertionMethod", METHOD);
    let removed = without(&good, "assertionMethod");
    add(
        "a key that is no longer used to issue",
        Some("document.purpose"),
        &removed,
        "assertionMethod",
        METHOD,
    );
}
