//! Keys, a credential, and a workshop for forgeries: take a good one apart, change it, sign it again.

use crate::issue::{CredentialDraft, issue};
use crate::key_binding::KeyBindingDraft;
use crate::present::{Selection, disclose};
use crate::presentation::{Limits, Presentation};
use crate::sd_jwt::SdJwt;
use crate::status::{StatusEntry, StatusPurpose};
use crate::verify::{Expectation, Failure, KeyBindingPolicy, Verdict, verify};
use aval_codec::b64u;
use aval_codec::json::{self, Json};
use aval_did::key::SigningKey;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ISSUER: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
pub(crate) const KEY_ID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG#key-1";
pub(crate) const NONCE: &str = "4d1c6a0f";
pub(crate) const AUDIENCE: &str = "aval:test:00";
pub(crate) const NOW_S: i64 = 1_795_339_800;

pub(crate) fn issuer() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(crate) fn holder() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).expect("a valid scalar")
}

pub(crate) fn stranger() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub(crate) fn strings(texts: &[&str]) -> Json {
    Json::Array(texts.iter().map(|text| Json::from(*text)).collect())
}

pub(crate) fn draft() -> CredentialDraft {
    CredentialDraft {
        issuer: ISSUER.to_owned(),
        key_id: KEY_ID.to_owned(),
        id: Some("urn:uuid:6f1c2d7e-8f0a-4d8e-9c55-0d3b7a1f2e44".to_owned()),
        contexts: Vec::new(),
        types: vec!["AvalMembershipCredential".to_owned()],
        subject_id: None,
        claims: BTreeMap::from([
            ("role".to_owned(), strings(&["member"])),
            ("legalName".to_owned(), Json::from("Contoso Sh.p.k.")),
            ("registrationNumber".to_owned(), Json::from("L12345678A")),
        ]),
        disclosable: BTreeSet::from(["legalName".to_owned(), "registrationNumber".to_owned()]),
        status: vec![StatusEntry {
            purpose: StatusPurpose::Revocation,
            index: 123,
            list: "https://issuer.example/status/1".to_owned(),
        }],
        valid_from_s: NOW_S - 3600,
        valid_until_s: Some(NOW_S + 3600),
        holder_key: Some(holder().public()),
        schema: None,
    }
}

pub(crate) fn salts() -> impl FnMut() -> [u8; 16] {
    let mut next = 0;
    move || {
        next += 1;
        [next; 16]
    }
}

pub(crate) fn issue_draft(draft: &CredentialDraft) -> SdJwt {
    let text = issue(draft, &issuer(), &mut salts()).expect("the draft can be issued");
    SdJwt::parse(&text, &Limits::LEDGER).expect("what was issued can be read")
}

pub(crate) fn issued() -> SdJwt {
    issue_draft(&draft())
}

pub(crate) fn binding() -> KeyBindingDraft<'static> {
    KeyBindingDraft { nonce: NONCE, audience: AUDIENCE, issued_at_s: NOW_S }
}

/// A good presentation with all disclosures.
pub(crate) fn presented() -> String {
    let disclosed = disclose(&issued(), &Selection::Everything).expect("everything can be disclosed");
    disclosed.bind(&holder(), &binding()).expect("the holder can bind")
}

pub(crate) fn parse(text: &str) -> Result<Presentation, crate::CredentialError> {
    Presentation::parse(text.as_bytes(), &Limits::LEDGER)
}

pub(crate) fn expectation() -> Expectation<'static> {
    Expectation {
        now_s: NOW_S,
        clock_skew_s: 60,
        key_binding: KeyBindingPolicy::Required { nonce: NONCE, audience: AUDIENCE, age_max_s: 300 },
    }
}

/// What a verifier that knows the issuer decides about a text.
pub(crate) fn decide(text: &str) -> Verdict {
    match parse(text) {
        Err(error) => Verdict::malformed(error),
        Ok(presentation) => decide_parsed(&presentation, &expectation()).expect("the issuer is known"),
    }
}

pub(crate) fn decide_parsed(
    presentation: &Presentation,
    expectation: &Expectation<'_>,
) -> Result<Verdict, Failure> {
    verify(presentation, expectation, |did, key_id| {
        Ok((did == ISSUER && key_id == KEY_ID).then(|| issuer().public()))
    })
}

/// The codes of all problems of a text.
pub(crate) fn codes(text: &str) -> Vec<&'static str> {
    decide(text).errors.iter().map(|problem| problem.error.code()).collect()
}

pub(crate) fn object(text: &str) -> BTreeMap<String, Json> {
    json::parse(text.as_bytes(), json::Limits::default())
        .expect("test JSON is good")
        .into_object()
        .expect("test JSON is an object")
}

/// A presentation taken apart. Header and payload are texts, so that bad JSON can be put in.
pub(crate) struct Workshop {
    pub(crate) header: String,
    pub(crate) payload: String,
    pub(crate) disclosures: Vec<String>,
    pub(crate) signer: SigningKey,
    pub(crate) binding_header: String,
    /// `None` computes the right one.
    pub(crate) binding_payload: Option<String>,
    pub(crate) binder: SigningKey,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let issued = issued();
        Self {
            header: format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#),
            payload: text_of(&Json::Object(issued.signed_payload().clone())),
            disclosures: issued.disclosures().iter().map(|one| one.as_str().to_owned()).collect(),
            signer: issuer(),
            binding_header: r#"{"alg":"ES256","typ":"kb+jwt"}"#.to_owned(),
            binding_payload: None,
            binder: holder(),
        }
    }

    /// Changes the payload as JSON.
    pub(crate) fn payload(mut self, change: impl FnOnce(&mut BTreeMap<String, Json>)) -> Self {
        let mut payload = object(&self.payload);
        change(&mut payload);
        self.payload = text_of(&Json::Object(payload));
        self
    }

    /// Changes the subject as JSON.
    pub(crate) fn subject(self, change: impl FnOnce(&mut BTreeMap<String, Json>)) -> Self {
        self.payload(|payload| {
            let Some(Json::Object(subject)) = payload.get_mut("credentialSubject") else {
                panic!("the credential has a subject")
            };
            change(subject);
        })
    }

    pub(crate) fn sd_jwt(&self) -> String {
        let mut text = sign(&self.header, &self.payload, &self.signer);
        text.push('~');
        for disclosure in &self.disclosures {
            text.push_str(disclosure);
            text.push('~');
        }
        text
    }

    pub(crate) fn build(&self) -> String {
        let sd_jwt = self.sd_jwt();
        let payload = self.binding_payload.clone().unwrap_or_else(|| {
            let hash = b64u::encode(aval_codec::sha256(sd_jwt.as_bytes()));
            format!(r#"{{"iat":{NOW_S},"aud":"{AUDIENCE}","nonce":"{NONCE}","sd_hash":"{hash}"}}"#)
        });
        format!("{sd_jwt}{}", sign(&self.binding_header, &payload, &self.binder))
    }

    /// Replaces a text in the key binding's payload.
    pub(crate) fn binding(mut self, from: &str, to: &str) -> Self {
        let hash = b64u::encode(aval_codec::sha256(self.sd_jwt().as_bytes()));
        let payload = format!(r#"{{"iat":{NOW_S},"aud":"{AUDIENCE}","nonce":"{NONCE}","sd_hash":"{hash}"}}"#);
        assert!(payload.contains(from), "{from}");
        self.binding_payload = Some(payload.replace(from, to));
        self
    }
}

pub(crate) fn sign(header: &str, payload: &str, signer: &SigningKey) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    let signature = signer.sign(input.as_bytes());
    format!("{input}.{}", b64u::encode(signature))
}

pub(crate) fn text_of(json: &Json) -> String {
    String::from_utf8(json.to_jcs()).expect("JCS is UTF-8")
}

/// A disclosure from its JSON text.
pub(crate) fn disclosure(text: &str) -> (String, Json) {
    let encoded = b64u::encode(text);
    let digest = b64u::encode(aval_codec::sha256(encoded.as_bytes()));
    (encoded, Json::String(digest))
}
