//! Presentations: who presents, to whom, and what is in them.

use super::super::world::*;
use super::Case;
use crate::data_integrity::ProofOptions;
use crate::verifier::{HolderPolicy, Input, Kind};
use serde_json::{Value, json};

fn case(name: &'static str, wrong: &'static str, document: Value, code: &'static str) -> Case {
    Case::new(name, wrong, Kind::Presentation, Input::Json(document), code)
}

fn text(name: &'static str, wrong: &'static str, text: String, code: &'static str) -> Case {
    Case::new(name, wrong, Kind::Presentation, Input::Text(text), code)
}

fn good() -> Value {
    di(&credential(), ISSUER)
}

fn signed(change: impl FnOnce(&mut ProofOptions)) -> Value {
    let mut options = vp_options(HOLDER);
    change(&mut options);
    vp_di(&presentation(&[good()]), &options, HOLDER)
}

/// A presentation of one credential.
fn of(credential: Value) -> Value {
    vp_di(&presentation(&[credential]), &vp_options(HOLDER), HOLDER)
}

fn claims_of(nonce: &str, audience: &str) -> Value {
    json!({"aud": audience, "nonce": nonce, "iat": NOW_S - 5})
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = replays();
    cases.extend(contents());
    cases.extend(holders());
    cases.extend(bindings());
    cases
}

fn replays() -> Vec<Case> {
    let document = presentation(&[good()]);
    let jwt = |nonce: &str, audience: &str| vp_jwt(&document, &claims_of(nonce, audience), HOLDER);
    vec![
        case(
            "challenge-of-another-session",
            "the presentation was made for another challenge",
            signed(|options| options.challenge = Some("another".into())),
            "proof.challenge",
        ),
        case(
            "challenge-missing",
            "the presentation was made for no challenge",
            signed(|options| options.challenge = None),
            "proof.challenge",
        ),
        case(
            "domain-of-another-verifier",
            "the presentation was made for another verifier",
            signed(|options| options.domain = vec!["https://other.example".into()]),
            "proof.domain",
        ),
        case(
            "domain-missing",
            "the presentation was made for no verifier",
            signed(|options| options.domain = Vec::new()),
            "proof.domain",
        ),
        case(
            "presentation-proof-expired",
            "the proof of the presentation has expired",
            signed(|options| options.expires = Some(date(NOW_S - 300))),
            "proof.expired",
        ),
        case(
            "presentation-signed-as-a-credential",
            "the holder signed for assertion, not for authentication",
            signed(|options| options.proof_purpose = "assertionMethod".into()),
            "proof.purpose",
        ),
        text(
            "nonce-of-another-session",
            "the token was made for another nonce",
            jwt("another", VERIFIER),
            "key_binding.nonce",
        ),
        text(
            "audience-of-another-verifier",
            "the token was made for another verifier",
            jwt(NONCE, "https://other.example"),
            "key_binding.audience",
        ),
        text(
            "presentation-token-without-audience",
            "the token was made for nobody",
            vp_jwt(&document, &json!({"nonce": NONCE}), HOLDER),
            "key_binding.audience",
        ),
    ]
}

fn contents() -> Vec<Case> {
    let forged = with(good(), "/credentialSubject/degree", json!("Master of Arts"));
    let expired = di(&with(credential(), "/validUntil", json!(date(NOW_S - 86_400))), ISSUER);
    let revoked = di(&with(credential(), "/credentialStatus", entry("revocation", 7)), ISSUER);
    let link = json!("https://university.example/credentials/1");
    let envelope = with(enveloped(&jwt(&credential(), ISSUER)), "/id", json!("data:text/plain,hello"));
    vec![
        case(
            "forged-credential-inside",
            "the presentation is good, a credential in it is forged",
            of(forged),
            "signature",
        ),
        case(
            "unsigned-credential-inside",
            "nobody signed the credential in the presentation",
            of(credential()),
            "proof.missing",
        ),
        case(
            "expired-credential-inside",
            "the credential in the presentation has expired",
            of(expired),
            "credential.expired",
        ),
        case(
            "revoked-credential-inside",
            "the credential in the presentation is revoked",
            of(revoked),
            "status.revoked",
        ),
        case(
            "link-instead-of-a-credential",
            "the presentation holds a link to a credential",
            of(link),
            "format.malformed",
        ),
        case(
            "envelope-of-another-media-type",
            "the envelope in the presentation holds plain text",
            of(envelope),
            "data_model.envelope",
        ),
    ]
}

fn holders() -> Vec<Case> {
    let mut options = vp_options(STRANGER);
    options.verification_method = method(STRANGER);
    let by_stranger = vp_di(&presentation(&[good()]), &options, STRANGER);
    let foreign = with(credential(), "/credentialSubject/id", json!(STRANGER));
    let bearer = with(credential(), "/credentialSubject/id", Value::Null);
    let confirmed = with(credential(), "/cnf", json!({"jwk": key(STRANGER).public().to_jwk()}));
    let named = with(credential(), "/cnf", json!({"kid": method(STRANGER)}));
    let required = |case: Case| case.expecting(|expectation| expectation.holder = HolderPolicy::Required);
    vec![
        case(
            "presented-by-a-stranger",
            "the presentation names a holder and is signed by somebody else",
            by_stranger,
            "holder.key",
        ),
        case(
            "presentation-unsigned",
            "nobody signed the presentation",
            presentation(&[good()]),
            "proof.missing",
        ),
        required(case(
            "credential-of-somebody-else",
            "the credential is about somebody else than its presenter",
            of(di(&foreign, ISSUER)),
            "holder.subject",
        )),
        required(case(
            "credential-of-nobody",
            "the credential does not say who may present it",
            of(di(&bearer, ISSUER)),
            "holder.bearer",
        )),
        case(
            "bound-to-another-key",
            "the credential is bound to a key that did not sign the presentation",
            of(enveloped(&jwt(&confirmed, ISSUER))),
            "holder.confirmation",
        ),
        case(
            "bound-to-another-key-by-name",
            "the credential names the key of somebody else",
            of(enveloped(&jwt(&named, ISSUER))),
            "holder.confirmation",
        ),
        case("holder-deactivated", "the DID of the holder is deactivated", of(good()), "did.deactivated")
            .facts(|facts| drop(facts.dids.insert((HOLDER.into(), None), json!("deactivated")))),
        case(
            "holder-may-not-authenticate",
            "the holder's document lists the key for assertion only",
            of(good()),
            "document.purpose",
        )
        .facts(|facts| {
            drop(
                facts
                    .dids
                    .insert((HOLDER.into(), None), with(document(HOLDER), "/authentication", json!([]))),
            )
        }),
    ]
}

fn bindings() -> Vec<Case> {
    let issued = sd_jwt(&claims());
    let other = sd_jwt(&with(claims(), "/degree", json!("Bachelor of Arts")));
    let moved = {
        let binding = bound(&other, NONCE, VERIFIER, NOW_S - 5, HOLDER);
        format!("{issued}{}", binding.rsplit('~').next().unwrap())
    };
    let unbound = with(claims(), "/cnf", Value::Null);
    let bearer = text(
        "sd-jwt-of-nobody",
        "the SD-JWT names no holder, and a holder is required",
        sd_jwt(&unbound),
        "holder.bearer",
    );
    vec![
        text(
            "key-binding-by-a-stranger",
            "somebody else than the holder made the key binding",
            bound(&issued, NONCE, VERIFIER, NOW_S - 5, STRANGER),
            "signature",
        ),
        text(
            "key-binding-of-another-presentation",
            "the key binding was made for other disclosures",
            moved,
            "key_binding.presentation_hash",
        ),
        text(
            "key-binding-of-another-session",
            "the key binding was made for another nonce",
            bound(&issued, "another", VERIFIER, NOW_S - 5, HOLDER),
            "key_binding.nonce",
        ),
        text(
            "key-binding-of-another-verifier",
            "the key binding was made for another verifier",
            bound(&issued, NONCE, "https://other.example", NOW_S - 5, HOLDER),
            "key_binding.audience",
        ),
        text(
            "key-binding-too-old",
            "the key binding was made an hour ago",
            bound(&issued, NONCE, VERIFIER, NOW_S - 3600, HOLDER),
            "key_binding.stale",
        ),
        text(
            "key-binding-from-the-future",
            "the key binding is made in an hour",
            bound(&issued, NONCE, VERIFIER, NOW_S + 3600, HOLDER),
            "key_binding.stale",
        ),
        text(
            "key-binding-missing",
            "the SD-JWT is bound to a key and presented without it",
            issued,
            "key_binding.missing",
        ),
        bearer.expecting(|expectation| expectation.holder = HolderPolicy::Required),
    ]
}
