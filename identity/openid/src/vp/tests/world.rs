//! A verifier and a wallet with one credential.

use crate::http::{HttpRequest, HttpResponse, JSON, Method};
use crate::jwe::DecryptionKey;
use crate::jwt::KeyName;
use crate::url_rules::UrlPolicy;
use crate::vp::client_id::ClientId;
use crate::vp::dcql::{Candidate, Presented, Query};
use crate::vp::holder::{Invitation, Reference, Unverified, Verified};
use crate::vp::request::MEDIA_TYPE;
use crate::vp::sd_jwt::{self, Binding};
use crate::vp::transaction_data::TransactionData;
use crate::vp::tree::Node;
use crate::vp::verifier::{Answer, Secrets, Session, SessionDraft, wallet_nonce};
use crate::x509::Anchors;
use crate::x509::tests::certified;
use crate::{ErrorResponse, OpenIdError};
use aval_credential::verify::{Expectation, KeyBindingPolicy, verify};
use aval_credential::{CredentialDraft, Limits, Presentation, issue};
use aval_did::key::{PublicKey, SigningKey};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const NOW_S: i64 = crate::x509::tests::NOW_S;
pub(super) const VERIFIER_DID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
pub(super) const ISSUER_DID: &str = "did:aval:test:QmVerifierVerifierVerifierVerifierVerifierVeri";
pub(super) const REQUEST_URI: &str = "https://verifier.example/requests/7";
pub(super) const RESPONSE_URI: &str = "https://verifier.example/answers/7";
pub(super) const STATE: &str = "c3RhdGVzdGF0ZXN0YXRlc3RhdGU";
pub(super) const NONCE: &str = "n-0S6_WzA2Mj.dGVzdA";
pub(super) const RESPONSE_CODE: &str = "091535f699ea575c7937fa5f0f454aee";
pub(super) const WALLET_NONCE: &str = "qPmxiNFCR3QTm19POc8u";

/// How the verifier is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Did,
    Dns,
    Hash,
    Address,
}

pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) session: Session,
    pub(super) anchors: Anchors,
    chain: Vec<Vec<u8>>,
    pub(super) signer: SigningKey,
    pub(super) wallet_nonce_in_object: Option<String>,
}

pub(super) fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).unwrap()
}

fn issuer_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

/// What the wallet has: a diploma of which name and grade can be hidden.
pub(super) fn credential() -> String {
    let claims = BTreeMap::from([
        ("name".to_owned(), "Ada".into()),
        ("grade".to_owned(), "A".into()),
        ("university".to_owned(), "Tirana".into()),
    ]);
    let draft = CredentialDraft {
        issuer: ISSUER_DID.to_owned(),
        key_id: format!("{ISSUER_DID}#key-1"),
        id: None,
        contexts: Vec::new(),
        types: vec!["Diploma".to_owned()],
        subject_id: None,
        claims,
        disclosable: BTreeSet::from(["name".to_owned(), "grade".to_owned()]),
        status: Vec::new(),
        valid_from_s: NOW_S - 60,
        valid_until_s: Some(NOW_S + 86_400),
        holder_key: Some(holder_key().public()),
        schema: None,
    };
    let mut next = 0;
    let mut salt = || {
        next += 1;
        [next; 16]
    };
    issue(&draft, &issuer_key(), &mut salt).unwrap()
}

pub(super) fn query() -> Query {
    Query::from_value(json!({"credentials": [{
        "id": "diploma",
        "format": "vc+sd-jwt",
        "meta": {"type_values": [["Diploma"]]},
        "claims": [
            {"path": ["credentialSubject", "name"]},
            {"path": ["credentialSubject", "university"], "values": ["Tirana"]},
        ],
    }]}))
    .unwrap()
}

pub(super) fn draft() -> SessionDraft {
    SessionDraft {
        query: query(),
        transaction_data: Vec::new(),
        encrypted: true,
        redirect_uri: None,
        client_metadata: BTreeMap::new(),
        life_s: 300,
    }
}

impl World {
    pub(super) fn new(kind: Kind, draft: &SessionDraft) -> Self {
        let (anchors, chain, certified_key) = certified(&["verifier.example"]);
        let client_id = match kind {
            Kind::Did => ClientId::Did(VERIFIER_DID.to_owned()),
            Kind::Dns => ClientId::X509SanDns("verifier.example".to_owned()),
            Kind::Hash => ClientId::X509Hash(crate::x509::leaf_hash(&chain[0])),
            Kind::Address => ClientId::RedirectUri(RESPONSE_URI.to_owned()),
        };
        let secrets = Secrets {
            nonce: NONCE.to_owned(),
            state: STATE.to_owned(),
            response_code: RESPONSE_CODE.to_owned(),
            decryption: DecryptionKey::from_seed(&[5; 32]).unwrap(),
        };
        let session =
            Session::new(draft, client_id, RESPONSE_URI, &secrets, UrlPolicy::HTTPS, NOW_S).unwrap();
        let signer = if kind == Kind::Did { SigningKey::from_seed(&[8; 32]) } else { certified_key };
        Self { kind, session, anchors, chain, signer, wallet_nonce_in_object: None }
    }

    pub(super) fn link(&self) -> String {
        self.session.link("openid4vp://", REQUEST_URI, true)
    }

    /// The address of the request object.
    pub(super) fn object(&mut self, request: &HttpRequest) -> String {
        assert_eq!((request.method, request.url.as_str()), (Method::Post, REQUEST_URI));
        let nonce = wallet_nonce(&request.body).unwrap();
        let nonce = self.wallet_nonce_in_object.clone().or(nonce);
        self.sign(nonce.as_deref())
    }

    pub(super) fn sign(&mut self, wallet_nonce: Option<&str>) -> String {
        let key_id = format!("{VERIFIER_DID}#key-1");
        let name = match self.kind {
            Kind::Did => KeyName::Id(&key_id),
            _ => KeyName::Certificates(&self.chain),
        };
        self.session.request_object(&self.signer, name, wallet_nonce, NOW_S).unwrap().unwrap()
    }

    /// The wallet up to the point where the user decides.
    pub(super) fn open(&mut self) -> Result<Verified, OpenIdError> {
        let reference = match Invitation::parse(&self.link(), UrlPolicy::HTTPS)? {
            Invitation::Value(verified) => return Ok(*verified),
            Invitation::Reference(reference) => reference,
        };
        let object = self.object(&reference.request(WALLET_NONCE));
        self.trust(fetched(&reference, &object)?)
    }

    pub(super) fn trust(&self, unverified: Unverified) -> Result<Verified, OpenIdError> {
        match self.kind {
            Kind::Did => unverified.verify_with_key(&self.signer.public()),
            _ => unverified.verify_with_certificates(&self.anchors, NOW_S),
        }
    }

    /// The address for answers, and what the service does with one.
    pub(super) fn answer(
        &mut self,
        request: &HttpRequest,
    ) -> Result<BTreeMap<String, Vec<Value>>, ErrorResponse> {
        assert_eq!((request.method, request.url.as_str()), (Method::Post, RESPONSE_URI));
        match self.session.accept(&request.body, NOW_S)? {
            Answer::Presentations(all) => Ok(all),
            Answer::Declined(error) => panic!("declined: {error}"),
        }
    }

    /// The verifier's own checks of a presentation, with the session's nonce and audience.
    pub(super) fn judge(&self, all: &BTreeMap<String, Vec<Value>>) -> Result<(), String> {
        let mut trees = Vec::new();
        let mut bindings = Vec::new();
        for (id, list) in all {
            for one in list {
                let text = one.as_str().ok_or("not a text")?;
                let presentation =
                    Presentation::parse(text.as_bytes(), &Limits::EDGE).map_err(|error| error.to_string())?;
                let key_binding = KeyBindingPolicy::Required {
                    nonce: self.session.nonce(),
                    audience: self.session.audience(),
                    age_max_s: 300,
                };
                let expectation = Expectation { now_s: NOW_S, clock_skew_s: 60, key_binding };
                let verdict =
                    verify(&presentation, &expectation, assertion_key).map_err(|error| error.to_string())?;
                verdict.into_result().map_err(|error| error.to_string())?;
                trees.push((id.as_str(), presentation.types().to_vec(), Node::of_sd_jwt(text)?));
                bindings.push((id.as_str(), sd_jwt::key_binding_payload(text)?));
            }
        }
        let presented: Vec<_> = trees
            .iter()
            .map(|(id, types, claims)| Presented { id, candidate: candidate(types, claims) })
            .collect();
        let bindings: Vec<_> = bindings.iter().map(|(id, payload)| (*id, payload)).collect();
        self.session.check(&presented, &bindings)
    }
}

pub(super) fn fetched(reference: &Reference, object: &str) -> Result<Unverified, OpenIdError> {
    let response = HttpResponse { status: 200, content_type: Some(MEDIA_TYPE), body: object.as_bytes() };
    reference.on_response(&response, WALLET_NONCE, NOW_S)
}

pub(super) fn json_answer(body: &[u8]) -> HttpResponse<'_> {
    HttpResponse { status: 200, content_type: Some(JSON), body }
}

pub(super) fn candidate<'a>(types: &'a [String], claims: &'a Node) -> Candidate<'a> {
    Candidate { format: "vc+sd-jwt", vct: None, types, claims, authorities: &[], holder_bound: true }
}

fn assertion_key(did: &str, key_id: &str) -> Result<Option<PublicKey>, String> {
    let known = did == ISSUER_DID && key_id == format!("{ISSUER_DID}#key-1");
    Ok(known.then(|| issuer_key().public()))
}

/// What the wallet makes of its credential for a request.
pub(super) fn present(verified: &Verified) -> BTreeMap<String, Vec<Value>> {
    let issued = credential();
    let claims = Node::of_sd_jwt(&issued).unwrap();
    let types = ["VerifiableCredential".to_owned(), "Diploma".to_owned()];
    let evaluation = verified.request().query.evaluate(&[candidate(&types, &claims)]).unwrap();
    let selected = &evaluation.answers["diploma"][0];
    let disclosures = claims.disclosures(&selected.claims);
    let (nonce, audience) = verified.binding();
    let data: Vec<&TransactionData> = verified.request().transaction_data.iter().collect();
    let binding = Binding { nonce, audience: &audience, issued_at_s: NOW_S, transaction_data: &data };
    let text = sd_jwt::present(&issued, &disclosures, &holder_key(), &binding).unwrap();
    BTreeMap::from([("diploma".to_owned(), vec![Value::from(text)])])
}
