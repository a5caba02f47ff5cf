//! How many credentials of about 500 bytes the library secures and verifies in a second of
//! processor time, on one core.
//!
//! `cargo run --release -p aval-formats --example speed` prints a table. Every document differs from the last one, so
//! that nothing but contexts can be remembered.

use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::jose::{self, sd_jwt};
use aval_formats::json::{self, Limits};
use aval_formats::{KeyType, SigningKey, VerificationKey, vcdm};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

const DOCUMENTS: usize = 500;

fn credential(number: usize) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": format!("urn:uuid:58172aac-d8ba-11ed-83dd-{number:012x}"),
        "type": ["VerifiableCredential", "AlumniCredential"],
        "name": "Alumni Credential",
        "issuer": "did:example:university",
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2036-01-01T00:00:00Z",
        "credentialSubject": {
            "id": format!("did:example:person{number}"),
            "alumniOf": "The School of Examples",
            "degree": "Master of Science"
        }
    })
}

/// Time on a processor, so that what else runs on the machine does not count; the clock where the system does not tell.
fn processor_time(begin: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
    nanoseconds.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

/// Runs over the inputs for at least a second of processor time; answers per second.
fn rate<T>(inputs: &[T], mut work: impl FnMut(&T)) -> f64 {
    let clock = Instant::now();
    let begin = processor_time(clock);
    let mut count = 0;
    loop {
        inputs.iter().for_each(&mut work);
        count += inputs.len();
        let spent = processor_time(clock).saturating_sub(begin);
        if spent > Duration::from_secs(1) {
            return count as f64 / spent.as_secs_f64();
        }
    }
}

fn print(name: &str, issued: f64, verified: f64) {
    println!("{name:32} {issued:>10.0} {verified:>10.0}");
}

fn suite(name: &str, suite: Suite, kind: KeyType, documents: &[Value]) {
    let key = SigningKey::generate(kind);
    let mut options = ProofOptions::new(suite, "did:example:university#key-1", "assertionMethod");
    options.created = Some("2026-01-01T00:00:00Z".to_owned());
    options.mandatory_pointers = vec!["/issuer".to_owned()];
    let secure = |document: &Value| data_integrity::secure(document, &options, &key).expect("it is secured");
    let issued = rate(documents, |document| drop(secure(document)));
    let shown = |document: &Value| match suite {
        Suite::EcdsaSd2023 => {
            let contexts = aval_formats::Contexts::shipped();
            data_integrity::derive(contexts, document, &["/credentialSubject/alumniOf"])
                .expect("it is derived")
        }
        _ => document.clone(),
    };
    let texts: Vec<String> = documents.iter().map(|one| shown(&secure(one)).to_string()).collect();
    // From the text to the verdict, with the rules of the data model.
    let verified = rate(&texts, |text| {
        let document = json::parse(text.as_bytes(), "credential", Limits::default()).expect("it is JSON");
        vcdm::check_credential(&document).ok();
        for proof in data_integrity::proofs(&document).expect("it has proofs") {
            data_integrity::verify_proof(&document, proof.value, &key.public()).expect("it verifies");
        }
    });
    print(name, issued, verified);
}

fn tokens(name: &str, kind: KeyType, documents: &[Value]) {
    let key = SigningKey::generate(kind);
    let sign = |document: &Value| jose::sign_credential(document, "did:example:university#key-1", &key);
    let issued = rate(documents, |document| drop(sign(document).expect("it is signed")));
    let texts: Vec<String> = documents.iter().map(|one| sign(one).expect("it is signed")).collect();
    let public: VerificationKey = key.public();
    let verified = rate(&texts, |text| {
        let jwt = jose::read_credential(text, Limits::default()).expect("it is a token");
        jwt.verify(&public).expect("it verifies");
        vcdm::check_credential(&Value::Object(jwt.into_payload())).expect("it is a credential");
    });
    print(name, issued, verified);
}

fn sd_jwt_vc(name: &str, kind: KeyType, bound: bool) {
    let (issuer, holder) = (SigningKey::generate(kind), SigningKey::generate(kind));
    let claims = |number: usize| -> Map<String, Value> {
        let claims = json!({
            "iss": "https://university.example", "vct": "https://credentials.example/diploma",
            "iat": 1_767_225_600, "exp": 2_082_758_400, "given_name": "Ada", "family_name": format!("L{number}"),
            "birthdate": "1815-12-10", "degree": "Master of Science", "honours": true,
            "cnf": {"jwk": holder.public().to_jwk()}
        });
        claims.as_object().cloned().expect("an object")
    };
    let concealed = ["/given_name", "/family_name", "/birthdate", "/degree", "/honours"];
    let header = jose::key_id_header("did:example:university#key-1");
    let all: Vec<_> = (0..DOCUMENTS).map(claims).collect();
    let issue =
        |claims: &Map<String, Value>| sd_jwt::issue(sd_jwt::DC_SD_JWT, &header, claims, &concealed, &issuer);
    let issued = rate(&all, |claims| drop(issue(claims).expect("it is issued")));
    let draft = sd_jwt::KeyBindingDraft {
        audience: "https://verifier.example",
        nonce: "n-0S6_WzA2Mj",
        issued_at_s: 1_800_000_000,
        claims: Map::new(),
    };
    let present = |claims| {
        let text = issue(claims).expect("it is issued");
        if bound { sd_jwt::bind(&text, &draft, &holder).expect("it is bound") } else { text }
    };
    let texts: Vec<String> = all.iter().map(present).collect();
    let expected = sd_jwt::ExpectedBinding {
        audience: draft.audience,
        nonce: draft.nonce,
        now_s: draft.issued_at_s,
        age_max_s: 300,
        skew_s: 60,
    };
    let verified = rate(&texts, |text| {
        let credential =
            sd_jwt::SdJwt::parse(text, &[sd_jwt::DC_SD_JWT], Limits::default()).expect("it is read");
        credential.check_dc().expect("it is a credential");
        credential.verify(&issuer.public()).expect("it verifies");
        if bound {
            credential.verify_key_binding(&expected).expect("it is bound");
        }
    });
    print(name, issued, verified);
}

fn main() {
    let documents: Vec<Value> = (0..DOCUMENTS).map(credential).collect();
    println!("a credential of {} bytes; one core", documents.first().map_or(0, |one| one.to_string().len()));
    println!("{:32} {:>10} {:>10}", "", "issued/s", "verified/s");
    suite("eddsa-jcs-2022", Suite::EddsaJcs2022, KeyType::Ed25519, &documents);
    suite("eddsa-rdfc-2022", Suite::EddsaRdfc2022, KeyType::Ed25519, &documents);
    suite("ecdsa-jcs-2019 P-256", Suite::EcdsaJcs2019, KeyType::P256, &documents);
    suite("ecdsa-rdfc-2019 P-256", Suite::EcdsaRdfc2019, KeyType::P256, &documents);
    suite("ecdsa-rdfc-2019 P-384", Suite::EcdsaRdfc2019, KeyType::P384, &documents);
    suite("ecdsa-sd-2023, one claim shown", Suite::EcdsaSd2023, KeyType::P256, &documents);
    tokens("vc+jwt EdDSA", KeyType::Ed25519, &documents);
    tokens("vc+jwt ES256", KeyType::P256, &documents);
    sd_jwt_vc("dc+sd-jwt EdDSA, 5 disclosures", KeyType::Ed25519, false);
    sd_jwt_vc("dc+sd-jwt EdDSA, 5, key binding", KeyType::Ed25519, true);
    sd_jwt_vc("dc+sd-jwt ES256, 5 disclosures", KeyType::P256, false);
}
