//! Whole agents of others: what they issue and verify by did:key.

use super::matrix::Matrix;
use super::*;

/// A format, the type of key of its issuer, and the name of both.
const FORMATS: [(&str, &str, KeyType); 6] = [
    ("vc+jwt EdDSA", jose::VC_JWT, KeyType::Ed25519),
    ("vc+jwt ES256", jose::VC_JWT, KeyType::P256),
    ("vc+jwt ES384", jose::VC_JWT, KeyType::P384),
    ("vc+sd-jwt ES256", VC_SD_JWT, KeyType::P256),
    ("dc+sd-jwt EdDSA", DC_SD_JWT, KeyType::Ed25519),
    ("dc+sd-jwt ES256", DC_SD_JWT, KeyType::P256),
];

/// A disclosure that no issuer signed.
fn disclosure() -> String {
    aval_codec::b64u::encode(json!(["salt", "family_name", "Another"]).to_string())
}

/// A credential of ours in a format, by the key that `method` names, signed by `key`.
fn issued(typ: &str, did: &str, method: &str, key: &SigningKey, holder: &SigningKey) -> String {
    let mut credential = plain();
    credential["issuer"] = json!(did);
    let header = jose::key_id_header(method);
    let secured = match typ {
        jose::VC_JWT => jose::sign_credential(&credential, method, key),
        VC_SD_JWT => {
            let concealed = ["/credentialSubject/alumniOf"];
            sd_jwt::issue(typ, &header, credential.as_object().unwrap(), &concealed, key)
        }
        _ => {
            let claims = json!({
                "iss": did, "iat": now_s(), "vct": "https://issuer.example/diploma", "family_name": "Hoxha",
                "given_name": "Ëndri", "cnf": {"jwk": holder.public().to_jwk()},
            });
            let concealed = ["/given_name", "/family_name"];
            sd_jwt::issue(typ, &header, claims.as_object().unwrap(), &concealed, key)
        }
    };
    secured.unwrap()
}

/// As it is shown: a credential of SD-JWT VC with the binding to its holder.
fn shown(typ: &str, issued: &str, holder: &SigningKey, nonce: &str, audience: &str) -> String {
    if typ != DC_SD_JWT {
        return issued.to_owned();
    }
    let issued = SdJwt::parse(issued, &[typ], Limits::default()).unwrap();
    presented(&issued, &["/given_name"], holder, nonce, audience)
}

/// What is forged after a token: its JWT in every way, and what lies behind it.
fn forged_token(text: &str) -> Map<String, Value> {
    let (jwt, rest) = text.split_at(text.find('~').unwrap_or(text.len()));
    let mut forged: Map<String, Value> = forged_jwt(jwt)
        .into_iter()
        .map(|(what, one)| (what, format!("{}{rest}", one.as_str().unwrap()).into()))
        .collect();
    if !rest.is_empty() {
        forged.insert("disclosure".to_owned(), format!("{jwt}~{}{rest}", disclosure()).into());
    }
    forged
}

/// Good and bad ones of a format.
fn examples(typ: &str, kind: KeyType) -> (String, Map<String, Value>) {
    let (key, did, method) = new_key(kind);
    let (other, holder) = (SigningKey::generate(kind), SigningKey::generate(KeyType::P256));
    let issued_by = |key: &SigningKey| issued(typ, &did, &method, key, &holder);
    let good_one = issued_by(&key);
    let good = shown(typ, &good_one, &holder, CHALLENGE, DOMAIN);
    let mut bad = forged_token(&good);
    bad.insert("signer".to_owned(), shown(typ, &issued_by(&other), &holder, CHALLENGE, DOMAIN).into());
    if typ == DC_SD_JWT {
        bad.insert("nonce".to_owned(), shown(typ, &good_one, &holder, "another", DOMAIN).into());
        bad.insert("audience".to_owned(), shown(typ, &good_one, &holder, CHALLENGE, "another").into());
        let thief = SigningKey::generate(KeyType::P256);
        bad.insert("holder".to_owned(), shown(typ, &good_one, &thief, CHALLENGE, DOMAIN).into());
        bad.insert("no binding".to_owned(), good_one.into());
    }
    (good, bad)
}

/// The key of an issuer by did:key.
fn issuer_key(claims: &Map<String, Value>) -> Result<VerificationKey, FormatError> {
    let issuer =
        claims.get("issuer").or_else(|| claims.get("iss")).and_then(Value::as_str).unwrap_or_default();
    VerificationKey::from_multikey(issuer.trim_start_matches("did:key:"))
}

fn read_token(typ: &str, text: &str) -> Result<(), FormatError> {
    if typ == jose::VC_JWT {
        let jwt = jose::read_credential(text, Limits::default())?;
        return jwt.verify(&issuer_key(jwt.payload())?);
    }
    let token = SdJwt::parse(text, &[typ], Limits::default())?;
    let key = issuer_key(token.claims())?;
    if typ == DC_SD_JWT {
        return read_sd_jwt(typ, text, &key, CHALLENGE, DOMAIN).map(drop);
    }
    token.verify(&key)
}

#[test]
#[ignore = "installs npm packages"]
fn tokens_go_both_ways_with_an_agent_of_credo() {
    let (mut good, mut bad) = (Map::new(), Map::new());
    for (name, typ, kind) in FORMATS {
        let (one, mut others) = examples(typ, kind);
        if typ == VC_SD_JWT {
            // For this format the library looks past a disclosure that no digest is of (RFC 9901, section 7.1, step 5).
            others.remove("disclosure");
        }
        good.insert(name.to_owned(), one.into());
        bad.insert(name.to_owned(), others.into());
    }
    let input =
        json!({"credential": plain(), "nonce": CHALLENGE, "audience": DOMAIN, "good": good, "bad": bad});
    let answer = ask("credo/run", &input);

    let (mut matrix, library) = (Matrix::default(), "@credo-ts/core");
    for (name, typ, _) in FORMATS {
        matrix.row(name, "aval", library, theirs(&answer, name));
        let outcome = match answer["made"][name].as_str() {
            None => Err(format!("it was not made: {}", answer["made"][name])),
            Some(made) => {
                let refused = forged_token(made);
                let refused = refused.iter().map(|(what, one)| {
                    (what.as_str(), read_token(typ, one.as_str().unwrap_or_default()).is_err())
                });
                ours(read_token(typ, made), refused)
            }
        };
        matrix.row(name, library, "aval", outcome);
    }
    matrix.finish();
}

#[test]
#[ignore = "installs a Python agent"]
fn proofs_of_vcdm_1_1_go_both_ways_with_an_agent_in_python() {
    let name = "Ed25519Signature2020";
    let secured = secured(Suite::Ed25519Signature2020, KeyType::Ed25519);
    let input = json!({"credential": old(), "bad": {name: forged(&secured)}, "good": {name: secured}});
    let answer = ask("acapy/run", &input);
    let mut matrix = Matrix::default();
    proof_both_ways(&mut matrix, &answer, name, "aries-cloudagent");
    matrix.finish();
}

/// A JWT VC 1.1 as the data model 1.1 has it (section 6.3.1). The product reads these and makes none.
fn jwt_1_1(did: &str, method: &str, key: &SigningKey) -> String {
    let old = old();
    let credential = json!({"@context": old["@context"], "type": old["type"], "credentialSubject": old["credentialSubject"]});
    let claims = json!({"iss": did, "sub": "did:example:one", "nbf": 1_767_225_600, "jti": old["id"], "vc": credential});
    jose::sign("JWT", &jose::key_id_header(method), claims.as_object().unwrap(), key).unwrap()
}

#[test]
#[ignore = "installs npm packages"]
fn tokens_of_vcdm_1_1_go_both_ways_with_an_agent_of_veramo() {
    let name = "JWT VC 1.1";
    let (key, did, method) = new_key(KeyType::Ed25519);
    let good = jwt_1_1(&did, &method, &key);
    let parts: Vec<&str> = good.split('.').collect();
    let payload = String::from_utf8(aval_codec::b64u::decode(parts[1]).unwrap()).unwrap();
    let payload = aval_codec::b64u::encode(payload.replace("Tiranës", "Vlorës"));
    let none = aval_codec::b64u::encode(r#"{"alg":"none","typ":"JWT"}"#);
    let bad = json!({
        "claims": format!("{}.{payload}.{}", parts[0], parts[2]),
        "signer": jwt_1_1(&did, &method, &SigningKey::generate(KeyType::Ed25519)),
        "no algorithm": format!("{none}.{}.", parts[1]),
    });
    let answer = ask("veramo/run", &json!({"credential": old(), "good": {name: good}, "bad": {name: bad}}));
    let mut matrix = Matrix::default();
    matrix.row(name, "aval", "@veramo/core", theirs(&answer, name));
    let made = answer["made"][name].as_str().ok_or_else(|| answer["made"][name].to_string());
    matrix.row(name, "@veramo/core", "aval", made.and_then(read_jwt_1_1));
    matrix.finish();
}
