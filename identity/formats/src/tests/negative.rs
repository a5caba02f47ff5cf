//! The negative vectors of `specs/vectors/negative/formats`: each file says what is wrong with its input and which
//! code it must get. The cases are made here, from fixed keys, and read from the folder as anybody else would read
//! them.

use super::negative_cases;
use super::support::NOW_S;
use crate::data_integrity::{self, Expected};
use crate::document::ControllerDocument;
use crate::jose::{self, sd_jwt};
use crate::json::{self, Limits};
use crate::{FormatError, VerificationKey, cose, vcdm};
use aval_codec::b64u;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

fn folder() -> PathBuf {
    "../../specs/vectors/negative/formats".into()
}

/// What a verifier does with the input, up to its first objection.
fn judge(case: &Value) -> Result<(), FormatError> {
    let input = case["input"].as_str().unwrap();
    let limits = Limits::default();
    let parsed = || json::parse(input.as_bytes(), "document", limits);
    let key = || VerificationKey::from_multikey(case["key"].as_str().unwrap());
    let now_s = case["now"].as_i64().unwrap_or(NOW_S);
    match case["kind"].as_str().unwrap() {
        "credential" => vcdm::check_credential(&parsed()?).map(drop),
        "presentation" => vcdm::check_presentation(&parsed()?).map(drop),
        "dates" => vcdm::validity(&parsed()?)?.check(now_s, 60),
        "data integrity" => {
            let document = parsed()?;
            let expected = Expected {
                purpose: case["purpose"].as_str().unwrap_or("assertionMethod"),
                challenge: case["challenge"].as_str(),
                domain: case["domain"].as_str(),
                now_s,
                skew_s: 60,
            };
            data_integrity::proofs(&document)?.iter().try_for_each(|proof| {
                data_integrity::verify_proof(&document, proof.value, &key()?)?;
                proof.check(&expected)
            })
        }
        "vc+jwt" => {
            let jwt = jose::read_credential(input, limits)?;
            jwt.verify(&key()?)?;
            jwt.check_time(now_s, 60)?;
            vcdm::check_credential(&Value::Object(jwt.into_payload())).map(drop)
        }
        "vp+jwt" => jose::read_presentation(input, limits)?.verify(&key()?),
        "jwt of 1.1" => {
            let claims = jose::read_credential_1_1(input, limits)?;
            claims.jwt.verify(&key()?)?;
            claims.jwt.check_time(now_s, 60)?;
            vcdm::check_credential(&claims.document)?;
            vcdm::validity(&claims.document)?.check(now_s, 60)
        }
        "dc+sd-jwt" => {
            let credential = sd_jwt::SdJwt::parse(input, &[sd_jwt::DC_SD_JWT], limits)?;
            credential.verify(&key()?)?;
            credential.check_dc()?;
            credential.check_time(now_s, 60)?;
            let expected = sd_jwt::ExpectedBinding {
                audience: "https://verifier.example",
                nonce: "n-0S6_WzA2Mj",
                now_s,
                age_max_s: 300,
                skew_s: 60,
            };
            credential.verify_key_binding(&expected).map(drop)
        }
        "vc+cose" => {
            let bytes = b64u::decode(input).map_err(|error| FormatError::malformed("message", error))?;
            let (message, document) = cose::read_credential(&bytes, limits)?;
            message.verify(&key()?)?;
            vcdm::check_credential(&Value::Object(document)).map(drop)
        }
        "jwk" => VerificationKey::from_jwk(&parsed()?).map(drop),
        "multikey" => VerificationKey::from_multikey(input).map(drop),
        "controller document" => {
            let document = parsed()?;
            let document = ControllerDocument::new(&document)?;
            let purpose = case["purpose"].as_str().unwrap();
            document.method_for(purpose, case["method"].as_str().unwrap())?.check_time(now_s)
        }
        other => panic!("no such kind: {other}"),
    }
}

/// The cases; written to the folder first where that is asked for.
fn made() -> &'static [(String, Value)] {
    static MADE: OnceLock<Vec<(String, Value)>> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = negative_cases::all();
        if std::env::var_os("AVAL_GENERATE").is_some() {
            fs::create_dir_all(folder()).unwrap();
            for old in fs::read_dir(folder()).unwrap() {
                fs::remove_file(old.unwrap().path()).unwrap();
            }
            for (name, case) in &made {
                let text = serde_json::to_string_pretty(&sorted(case)).unwrap();
                fs::write(folder().join(format!("{name}.json")), text + "\n").unwrap();
            }
        }
        made
    })
}

#[test]
fn the_negative_vectors_in_the_specifications_are_those_made_here() {
    let made = made();
    for (name, case) in made {
        let kept = fs::read(folder().join(format!("{name}.json"))).unwrap_or_default();
        let kept: Value = serde_json::from_slice(&kept).unwrap_or_default();
        assert_eq!(kept, *case, "{name} is out of date; run the tests with AVAL_GENERATE=1");
    }
    assert_eq!(
        fs::read_dir(folder()).unwrap().count(),
        made.len(),
        "a name is used twice, or a file is left over"
    );
}

#[test]
fn every_negative_vector_is_refused_with_its_code_and_its_sound_sibling_is_not() {
    made();
    let (mut refused, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let code = judge(&case).err().map(|error| error.code());
        if code != case["code"].as_str() {
            wrong.push(format!("{}: {code:?} instead of {}", path.display(), case["code"]));
        }
        refused += usize::from(code.is_some());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused >= 50, "{refused} negative vectors");
}

/// Members in one order, whatever order the build keeps.
fn sorted(value: &Value) -> std::collections::BTreeMap<String, Value> {
    let members = value.as_object().unwrap();
    members.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}
