//! Other people's software reads what this crate secures, and the other way round. Needs the network on the first run,
//! therefore not part of every run: `make interop`, which also prints the matrix.

mod agents;
#[path = "../../../../tests/interop/matrix.rs"]
mod matrix;

use aval_formats::data_integrity::{self, Expected, Proof, ProofOptions, Suite};
use aval_formats::jose::sd_jwt::{self, DC_SD_JWT, ExpectedBinding, KeyBindingDraft, SdJwt, VC_SD_JWT};
use aval_formats::json::Limits;
use aval_formats::{Contexts, FormatError, KeyType, SigningKey, VerificationKey, jose};
use matrix::Matrix;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "did:example:issuer";
const KEY_ID: &str = "did:example:issuer#key";
const CHALLENGE: &str = "4d1c6a0f-9a2f-4f0e";
const DOMAIN: &str = "https://verifier.example";

/// Runs a script, and gives back what it printed.
fn ask(script: &str, input: &Value) -> Value {
    let path = format!("../../tests/interop/{script}");
    let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed; its reason stands above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn credential() -> Value {
    json!({
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            {"alumniOf": "https://schema.org/alumniOf", "degree": "https://schema.org/educationalCredentialAwarded"},
        ],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential"],
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:one", "alumniOf": "Universiteti i Tiranës", "degree": ["Master", "Doctor \u{1F393}"],
        },
    })
}

/// The same with the base context alone. A library that compares the contexts of a proof with those of its document by
/// identity knows no context that is an object.
fn plain() -> Value {
    let mut credential = credential();
    credential["@context"] = json!(["https://www.w3.org/ns/credentials/v2"]);
    credential
}

/// A credential of VCDM 1.1.
fn old() -> Value {
    json!({
        "@context": [
            "https://www.w3.org/2018/credentials/v1",
            "https://w3id.org/security/suites/ed25519-2020/v1",
            {"alumniOf": "https://schema.org/alumniOf"},
        ],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential"],
        "issuanceDate": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:one", "alumniOf": "Universiteti i Tiranës"},
    })
}

/// One way to secure: its name, the cryptosuite and the type of key.
const SUITES: [(&str, Suite, KeyType); 8] = [
    ("eddsa-rdfc-2022", Suite::EddsaRdfc2022, KeyType::Ed25519),
    ("eddsa-jcs-2022", Suite::EddsaJcs2022, KeyType::Ed25519),
    ("ecdsa-rdfc-2019 P-256", Suite::EcdsaRdfc2019, KeyType::P256),
    ("ecdsa-rdfc-2019 P-384", Suite::EcdsaRdfc2019, KeyType::P384),
    ("ecdsa-jcs-2019 P-256", Suite::EcdsaJcs2019, KeyType::P256),
    ("ecdsa-jcs-2019 P-384", Suite::EcdsaJcs2019, KeyType::P384),
    ("ecdsa-sd-2023", Suite::EcdsaSd2023, KeyType::P256),
    ("Ed25519Signature2020", Suite::Ed25519Signature2020, KeyType::Ed25519),
];
const PRESENTATION: &str = "eddsa-rdfc-2022 presentation";
const JWT: [(&str, KeyType); 3] =
    [("ES256", KeyType::P256), ("ES384", KeyType::P384), ("EdDSA", KeyType::Ed25519)];

/// A key, its did:key, and the name of the key in it.
fn new_key(kind: KeyType) -> (SigningKey, String, String) {
    let key = SigningKey::generate(kind);
    let multikey = key.public().to_multikey();
    (key, format!("did:key:{multikey}"), format!("did:key:{multikey}#{multikey}"))
}

/// A credential of ours, as its holder shows it.
fn secured(suite: Suite, kind: KeyType) -> Value {
    let (key, did, method) = new_key(kind);
    let mut credential = match suite {
        Suite::EddsaJcs2022 | Suite::EcdsaJcs2019 => plain(),
        Suite::Ed25519Signature2020 => old(),
        _ => credential(),
    };
    credential["issuer"] = json!(did);
    let mut options = ProofOptions::new(suite, &method, "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    if suite != Suite::EcdsaSd2023 {
        return data_integrity::secure(&credential, &options, &key).unwrap();
    }
    options.mandatory_pointers = vec!["/issuer".to_owned()];
    let base = data_integrity::secure(&credential, &options, &key).unwrap();
    data_integrity::derive(Contexts::shipped(), &base, &["/credentialSubject/alumniOf"]).unwrap()
}

/// A presentation of ours, for a challenge of a domain.
fn presentation(credential: &Value, challenge: &str, domain: &str) -> Value {
    let (key, did, method) = new_key(KeyType::Ed25519);
    let unsecured = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"], "holder": did,
        "verifiableCredential": [credential],
    });
    let mut options = ProofOptions::new(Suite::EddsaRdfc2022, &method, "authentication");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    options.challenge = Some(challenge.to_owned());
    options.domain = vec![domain.to_owned()];
    data_integrity::secure(&unsecured, &options, &key).unwrap()
}

/// What must be refused of something secured: changed in its claims, in its proof, and signed by another than it says.
fn forged(secured: &Value) -> Map<String, Value> {
    let mut claims = secured.clone();
    let subject = if secured.get("holder").is_some() { "/verifiableCredential/0" } else { "" };
    let subject = claims.pointer_mut(&format!("{subject}/credentialSubject"));
    // Where a library makes one credential, it does not put it in a list.
    let alone = "/verifiableCredential/credentialSubject";
    match subject {
        Some(subject) => subject["alumniOf"] = json!("Another University"),
        None => claims.pointer_mut(alone).unwrap()["alumniOf"] = json!("Another University"),
    }
    let mut signature = secured.clone();
    let value = secured["proof"]["proofValue"].as_str().unwrap();
    // In the middle: the last character of base64 may hold bits that no reader looks at.
    let (left, right) = value.split_at(value.len() / 2);
    let other = if right.starts_with('2') { "3" } else { "2" };
    signature["proof"]["proofValue"] = json!(format!("{left}{other}{}", &right[1..]));
    let mut signer = secured.clone();
    let kind = VerificationKey::from_multikey(multikey_of(secured)).unwrap().kind();
    let (_, did, method) = new_key(kind);
    let by = if secured.get("holder").is_some() { "holder" } else { "issuer" };
    signer[by] = json!(did);
    signer["proof"]["verificationMethod"] = json!(method);
    Map::from_iter([
        ("claims".to_owned(), claims),
        ("proof".to_owned(), signature),
        ("signer".to_owned(), signer),
    ])
}

/// The key of who secured by `did:key`.
fn multikey_of(secured: &Value) -> &str {
    let by = secured.get("holder").unwrap_or(&secured["issuer"]);
    by.as_str().unwrap().strip_prefix("did:key:").unwrap()
}

/// Verifies by the key that the document names, which the proof must name as well.
fn read(secured: &Value) -> Result<(), String> {
    let multikey = multikey_of(secured);
    if secured["proof"]["verificationMethod"] != format!("did:key:{multikey}#{multikey}") {
        return Err("the proof names another key".to_owned());
    }
    let key = VerificationKey::from_multikey(multikey).map_err(|error| error.to_string())?;
    data_integrity::verify_proof(secured, &secured["proof"], &key).map_err(|error| error.to_string())
}

/// As [`read`], for what this verifier asked for.
fn read_presentation(secured: &Value, challenge: &str, domain: &str) -> Result<(), String> {
    let (challenge, domain) = (Some(challenge), Some(domain));
    let expected = Expected { purpose: "authentication", challenge, domain, now_s: now_s(), skew_s: 60 };
    let proof = Proof::read(&secured["proof"]).map_err(|error| error.to_string())?;
    proof.check(&expected).map_err(|error| error.to_string())?;
    read(secured)
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// What a library said of what was made here.
fn theirs(answer: &Value, name: &str) -> Result<usize, String> {
    if answer["accepted"][name] != true {
        return Err(format!("refused: {}", answer["accepted"][name]));
    }
    let refused = answer["refused"][name].as_object().ok_or("nothing forged was read")?;
    match refused.iter().find(|(_, refused)| **refused != true) {
        Some((what, _)) => Err(format!("forged and accepted: {what}")),
        None => Ok(refused.len()),
    }
}

/// What is said here of what a library made, and of what is forged after it.
fn ours<'a>(
    good: Result<(), impl ToString>,
    forged: impl IntoIterator<Item = (&'a str, bool)>,
) -> Result<usize, String> {
    good.map_err(|error| format!("refused: {}", error.to_string()))?;
    let mut count = 0;
    for (what, refused) in forged {
        if !refused {
            return Err(format!("forged and accepted: {what}"));
        }
        count += 1;
    }
    if count == 0 { Err("nothing forged was read".to_owned()) } else { Ok(count) }
}

/// A token of ours, and what must be refused after it.
fn jwt(key: &SigningKey) -> (String, Map<String, Value>) {
    let mut issued = credential();
    issued["issuer"] = json!(ISSUER);
    let token = jose::sign_credential(&issued, KEY_ID, key).unwrap();
    let other = SigningKey::generate(key.public().kind());
    let by_other = jose::sign_credential(&issued, KEY_ID, &other).unwrap();
    let bad = forged_jwt(&token).into_iter().chain([("signer".to_owned(), by_other.into())]).collect();
    (token, bad)
}

/// A token with other claims, with no signature, and of another type, each under the signature of the first.
fn forged_jwt(token: &str) -> Map<String, Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let changed = |part: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&aval_codec::b64u::decode(part).unwrap()).unwrap();
        change(&mut value);
        aval_codec::b64u::encode(value.to_string())
    };
    let claims = changed(parts[1], &|claims| claims["credentialSubject"]["alumniOf"] = json!("Another"));
    let none = changed(parts[0], &|header| header["alg"] = json!("none"));
    let typ = changed(parts[0], &|header| header["typ"] = json!("vp+jwt"));
    Map::from_iter([
        ("claims".to_owned(), format!("{}.{claims}.{}", parts[0], parts[2]).into()),
        ("no algorithm".to_owned(), format!("{none}.{}.", parts[1]).into()),
        ("type".to_owned(), format!("{typ}.{}.{}", parts[1], parts[2]).into()),
    ])
}

fn read_jwt(token: &str, key: &VerificationKey) -> Result<(), FormatError> {
    jose::read_credential(token, Limits::default())?.verify(key)
}

#[test]
#[ignore = "installs npm packages"]
fn data_integrity_and_jwt_credentials_go_both_ways_with_libraries_in_javascript() {
    let (mut good, mut bad, mut keys) = (Map::new(), Map::new(), Map::new());
    for (name, suite, kind) in SUITES {
        let secured = secured(suite, kind);
        bad.insert(name.to_owned(), forged(&secured).into());
        good.insert(name.to_owned(), secured);
    }
    let credential_in_it = secured(Suite::EddsaRdfc2022, KeyType::Ed25519);
    let shown = presentation(&credential_in_it, CHALLENGE, DOMAIN);
    let mut wrong = forged(&shown);
    wrong.insert("challenge".to_owned(), presentation(&credential_in_it, "another", DOMAIN));
    wrong.insert("domain".to_owned(), presentation(&credential_in_it, CHALLENGE, "https://other.example"));
    let credential_forged = &forged(&credential_in_it)["claims"];
    wrong.insert("credential".to_owned(), presentation(credential_forged, CHALLENGE, DOMAIN));
    bad.insert(PRESENTATION.to_owned(), wrong.into());
    good.insert(PRESENTATION.to_owned(), shown);
    for (algorithm, kind) in JWT {
        let key = SigningKey::generate(kind);
        let (token, wrong) = jwt(&key);
        good.insert(format!("vc+jwt {algorithm}"), token.into());
        bad.insert(format!("vc+jwt {algorithm}"), wrong.into());
        keys.insert(algorithm.to_owned(), key.public().to_jwk());
    }
    let answer = ask(
        "digitalbazaar/run",
        &json!({
            "credential": credential(), "plain": plain(), "old": old(), "challenge": CHALLENGE, "domain": DOMAIN,
            "good": good, "bad": bad, "jwtKeys": keys,
        }),
    );

    let (mut matrix, library) = (Matrix::default(), "@digitalbazaar/vc");
    for (name, ..) in SUITES {
        proof_both_ways(&mut matrix, &answer, name, library);
    }
    matrix.row(PRESENTATION, "aval", library, theirs(&answer, PRESENTATION));
    let made = &answer["made"][PRESENTATION];
    let refused = forged(made);
    let refused = refused.iter().map(|(what, one)| (what.as_str(), read(one).is_err())).chain([
        ("challenge", read_presentation(made, "another", DOMAIN).is_err()),
        ("domain", read_presentation(made, CHALLENGE, "https://other.example").is_err()),
    ]);
    matrix.row(PRESENTATION, library, "aval", ours(read_presentation(made, CHALLENGE, DOMAIN), refused));
    for (algorithm, kind) in JWT {
        let name = &format!("vc+jwt {algorithm}");
        matrix.row(name, "aval", "jose", theirs(&answer, name));
        let made = answer["made"][name].as_str().unwrap();
        let key = VerificationKey::from_jwk(&answer["jwtKeys"][algorithm]).unwrap();
        let refused = forged_jwt(made);
        let refused = refused
            .iter()
            .map(|(what, one)| (what.as_str(), read_jwt(one.as_str().unwrap(), &key).is_err()))
            .chain([("signer", read_jwt(made, &SigningKey::generate(kind).public()).is_err())]);
        matrix.row(name, "jose", "aval", ours(read_jwt(made, &key), refused));
    }
    matrix.finish();
}

/// A presentation of ours of an SD-JWT, for one verifier.
fn presented(issued: &SdJwt, pointers: &[&str], holder: &SigningKey, nonce: &str, audience: &str) -> String {
    let draft = KeyBindingDraft { audience, nonce, issued_at_s: now_s(), claims: Map::new() };
    sd_jwt::bind(&issued.select(pointers).unwrap(), &draft, holder).unwrap()
}

/// What a library made, as a verifier here reads it.
fn read_sd_jwt(
    typ: &str,
    text: &str,
    key: &VerificationKey,
    nonce: &str,
    audience: &str,
) -> Result<Value, FormatError> {
    let read = SdJwt::parse(text, &[typ], Limits::default())?;
    read.verify(key)?;
    if typ == DC_SD_JWT {
        read.check_dc()?;
    }
    read.verify_key_binding(&ExpectedBinding {
        audience,
        nonce,
        now_s: now_s(),
        age_max_s: 300,
        skew_s: 60,
    })?;
    Ok(Value::Object(read.claims().clone()))
}

/// Goes both ways with one library; `typ` is that of the credential.
fn sd_jwt_both_ways(matrix: &mut Matrix, script: &str, library: &str, typ: &str) {
    let (issuer, holder) = (SigningKey::generate(KeyType::P256), SigningKey::generate(KeyType::P256));
    let mut claims = json!({
        "iss": "https://issuer.example", "vct": "https://issuer.example/diploma", "iat": now_s(),
        "cnf": {"jwk": holder.public().to_jwk()}, "given_name": "Ëndri", "languages": ["sq", "en", "de"],
        "address": {"city": "Tirana", "country": "AL"},
    });
    if typ == VC_SD_JWT {
        claims = plain();
        claims["issuer"] = json!(ISSUER);
        claims["cnf"] = json!({"jwk": holder.public().to_jwk()});
        claims["given_name"] = json!("Ëndri");
        claims["languages"] = json!(["sq", "en", "de"]);
        claims["address"] = json!({"city": "Tirana", "country": "AL"});
    }
    let concealed = ["/given_name", "/address", "/address/city", "/languages/0", "/languages/2"];
    let header = jose::key_id_header(KEY_ID);
    let issued = sd_jwt::issue(typ, &header, claims.as_object().unwrap(), &concealed, &issuer).unwrap();
    let issued = SdJwt::parse(&issued, &[typ], Limits::default()).unwrap();
    let everything = ["/given_name", "/address/city", "/languages/0", "/languages/2"];
    let show = |pointers: &[&str], nonce, audience| presented(&issued, pointers, &holder, nonce, audience);
    let (all, some) = (show(&everything, CHALLENGE, DOMAIN), show(&["/address/city"], CHALLENGE, DOMAIN));
    let (shown, binding) = (some.rsplit_once('~').unwrap().0, all.rsplit_once('~').unwrap().1);
    let other = SigningKey::generate(KeyType::P256);
    let forged = aval_codec::b64u::encode(json!(["salt", "given_name", "Another"]).to_string());
    let input = json!({
        "typ": typ, "issuer": ISSUER, "keyId": KEY_ID, "issuerKey": issuer.public().to_jwk(), "now": now_s(),
        "nonce": CHALLENGE, "audience": DOMAIN, "good": {"all": &all, "some": &some},
        "bad": {
            "nonce": show(&everything, "another", DOMAIN), "audience": show(&everything, CHALLENGE, "another"),
            "binding of another": format!("{shown}~{binding}"), "no binding": format!("{shown}~"),
            "holder": presented(&issued, &everything, &other, CHALLENGE, DOMAIN),
            "disclosure": some.replacen('~', &format!("~{forged}~"), 1), "signature": all.replacen('.', ".A", 2),
        },
    });
    let answer = ask(script, &input);
    let read = |name: &str| {
        let shown = &answer["accepted"][name];
        if shown["address"] != claims["address"] {
            return Err(format!("{name} was read as {shown}"));
        }
        let (name_shown, languages) = if name == "all" { (true, 3) } else { (false, 1) };
        let alike = shown.get("given_name").is_some() == name_shown
            && shown["languages"].as_array().is_some_and(|all| all.len() == languages);
        if alike { Ok(()) } else { Err(format!("{name} was read as {shown}")) }
    };
    let refused = answer["refused"].as_object().unwrap();
    let refused = refused.iter().map(|(what, refused)| (what.as_str(), *refused == true));
    matrix.row(typ, "aval", library, ours(read("all").and_then(|()| read("some")), refused));

    let made = &answer["made"];
    let text = made["presented"].as_str().unwrap();
    let key = VerificationKey::from_jwk(&made["issuerKey"]).unwrap();
    let good =
        read_sd_jwt(typ, text, &key, CHALLENGE, DOMAIN).map_err(|error| error.to_string()).and_then(|read| {
            let subject = &read["credentialSubject"];
            let alike = subject.get("legalName").is_none() && subject["address"]["city"] == "Tirana";
            if alike { Ok(()) } else { Err(format!("read as {read}")) }
        });
    let refuses = |text: &str, key: &VerificationKey, nonce: &str, audience: &str| {
        read_sd_jwt(typ, text, key, nonce, audience).is_err()
    };
    let forgeries = [
        ("nonce", refuses(text, &key, "another", DOMAIN)),
        ("audience", refuses(text, &key, CHALLENGE, "another")),
        ("no binding", refuses(made["issued"].as_str().unwrap(), &key, CHALLENGE, DOMAIN)),
        ("signer", refuses(text, &other.public(), CHALLENGE, DOMAIN)),
        ("disclosure", refuses(&text.replacen('~', &format!("~{forged}~"), 1), &key, CHALLENGE, DOMAIN)),
    ];
    matrix.row(typ, library, "aval", ours(good, forgeries));
}

#[test]
#[ignore = "installs an npm and a Python package"]
fn selectively_disclosed_credentials_go_both_ways_with_libraries_in_javascript_and_python() {
    let mut matrix = Matrix::default();
    for (script, library) in [("sd-jwt/run-node", "@sd-jwt/core"), ("sd-jwt/run-python", "sd-jwt (PyPI)")] {
        for typ in [DC_SD_JWT, VC_SD_JWT] {
            sd_jwt_both_ways(&mut matrix, script, library, typ);
        }
    }
    matrix.finish();
}

/// Documents whose contexts are in them: scoped and protected contexts, lists, sets, languages, values of other types,
/// blank nodes that only their surroundings tell apart.
fn linked_data() -> Vec<Value> {
    let context = json!({
        "@version": 1.1, "@protected": true, "id": "@id", "type": "@type", "@vocab": "https://example.org/vocab#",
        "knows": {"@id": "https://example.org/knows", "@type": "@id"},
        "born": {"@id": "https://example.org/born", "@type": "http://www.w3.org/2001/XMLSchema#date"},
        "steps": {"@id": "https://example.org/steps", "@container": "@list"},
        "names": {"@id": "https://example.org/names", "@container": "@language"},
        "Person": {"@id": "https://example.org/Person", "@context": {"age": "https://example.org/age"}},
        "evidence": {"@id": "https://example.org/evidence", "@container": "@graph"},
    });
    let with = |mut document: Value| {
        document["@context"] = context.clone();
        document
    };
    let ring: Vec<Value> =
        (0..4).map(|n| json!({"id": format!("_:n{n}"), "knows": format!("_:n{}", (n + 1) % 4)})).collect();
    vec![
        with(
            json!({"id": "urn:a", "type": "Person", "age": 42, "born": "1984-02-29", "name": "Ëndri \"E\" \\ \n"}),
        ),
        with(json!({
            "id": "urn:b", "steps": ["one", 2, true, {"type": "Person", "age": 1}],
            "names": {"sq": "emri", "en": "name"},
        })),
        with(json!({"knows": [{"name": "one"}, {"name": "two", "knows": {"name": "one"}}], "name": "root"})),
        with(json!({"id": "urn:ring", "part": ring})),
        with(json!({"id": "urn:graph", "evidence": {"type": "Person", "knows": "urn:somebody"}})),
        with(json!({
            "id": "urn:numbers", "a": 0.5, "b": 1e21, "c": -7, "d": 1e-7,
            "e": {"@value": "x", "@type": "urn:t"},
        })),
    ]
}

#[test]
#[ignore = "installs a Python package"]
fn canonical_forms_are_those_of_a_library_in_python() {
    let documents = linked_data();
    let mut input = documents.clone();
    // The first once more, with another value: a library that answers the same for it reads nothing.
    input.push(documents[0].clone());
    input[documents.len()]["age"] = json!(43);
    let theirs = ask("pyld/run", &Value::Array(input));
    let canonical =
        |document| Contexts::shipped().canonicalize(document, aval_linked_data::Hash::Sha256).unwrap();
    let mut matrix = Matrix::default();
    let unlike: Vec<_> = documents
        .iter()
        .zip(theirs.as_array().unwrap())
        .filter(|(document, theirs)| theirs.as_str() != Some(canonical(document).as_str()))
        .collect();
    let outcome = match unlike.first() {
        None if theirs[documents.len()].as_str() == Some(canonical(&documents[0]).as_str()) => {
            Err("another value has the same statements".to_owned())
        }
        None => Ok(1),
        Some((document, theirs)) => Err(format!("{document} is {theirs}")),
    };
    matrix.row("canonical statements", "aval", "PyLD", outcome);
    matrix.finish();
}

/// The lines of a proof in a document that went to a library and of one that came from it.
fn proof_both_ways(matrix: &mut Matrix, answer: &Value, name: &str, library: &str) {
    matrix.row(name, "aval", library, theirs(answer, name));
    let made = &answer["made"][name];
    let refused: Vec<_> = forged(made).into_iter().map(|(what, one)| (what, read(&one).is_err())).collect();
    let refused = refused.iter().map(|(what, refused)| (what.as_str(), *refused));
    matrix.row(name, library, "aval", ours(read(made), refused));
}

/// What is said here of a JWT VC 1.1 by did:key, and of what is forged after it.
fn read_jwt_1_1(token: &str) -> Result<usize, String> {
    let read = |token: &str, other: Option<&VerificationKey>| {
        let read = jose::read_credential_1_1(token, Limits::default())?;
        let issuer = read.document["issuer"].as_str().or(read.document["issuer"]["id"].as_str());
        let named =
            VerificationKey::from_multikey(issuer.unwrap_or_default().trim_start_matches("did:key:"))?;
        read.jwt.verify(other.unwrap_or(&named))
    };
    let parts: Vec<&str> = token.split('.').collect();
    let payload = String::from_utf8(aval_codec::b64u::decode(parts[1]).unwrap()).unwrap();
    assert!(payload.contains("Tiranës"));
    let payload = aval_codec::b64u::encode(payload.replace("Tiranës", "Vlorës"));
    let claims = read(&format!("{}.{payload}.{}", parts[0], parts[2]), None).is_err();
    let other = SigningKey::generate(KeyType::Ed25519);
    let refused = [("claims", claims), ("signer", read(token, Some(&other.public())).is_err())];
    ours(read(token, None), refused)
}

#[test]
#[ignore = "builds an old ssi, which takes minutes"]
fn credentials_of_vcdm_1_1_go_both_ways_with_didkit() {
    let name = "Ed25519Signature2020";
    let secured = secured(Suite::Ed25519Signature2020, KeyType::Ed25519);
    let input = json!({"credential": old(), "bad": forged(&secured), "good": {name: secured}});
    let mut answer = ask("didkit/run", &input);
    answer["refused"] = json!({name: answer["refused"]});
    let mut matrix = Matrix::default();
    proof_both_ways(&mut matrix, &answer, name, "didkit");

    let token = answer["made"]["JWT VC 1.1"].as_str().unwrap();
    matrix.row("JWT VC 1.1", "didkit", "aval", read_jwt_1_1(token));
    matrix.finish();
}
