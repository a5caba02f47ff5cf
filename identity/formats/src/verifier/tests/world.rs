//! A small world to verify in: an issuer on the ledger, a holder, lists, a schema, accreditations. Everything in it is
//! made from fixed seeds, so that vectors come out the same each time.

use crate::data_integrity::{self, ProofOptions, Suite};
use crate::jose::sd_jwt::{self, DC_SD_JWT, KeyBindingDraft};
use crate::jose::{self, VC_JWT, VP_JWT};
use crate::status::{BitstringEntry, BitstringList, TokenEntry, TokenList, TokenListClaims};
use crate::verifier::{
    Accreditation, Answer, Evidence, Expectation, Input, Kind, Resolution, Verification, Want,
};
use crate::{KeyType, SigningKey, date};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) const NOW_S: i64 = 1_780_000_000;
/// When credentials were signed: 30 days before.
pub(crate) const SIGNED_S: i64 = NOW_S - 30 * 86_400;
pub(crate) const ISSUER: &str = "did:aval:test:university";
pub(crate) const HOLDER: &str = "did:web:holder.example";
pub(crate) const STRANGER: &str = "did:web:stranger.example";
pub(crate) const ROOT: &str = "did:aval:test:root";
pub(crate) const TYPE: &str = "UniversityDegreeCredential";
pub(crate) const LIST: &str = "https://university.example/status/1";
pub(crate) const TOKENS: &str = "https://university.example/tokens/1";
pub(crate) const SCHEMA: &str = "https://university.example/schemas/degree.json";
pub(crate) const VERIFIER: &str = "https://verifier.example";
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj";

pub(crate) fn date(seconds: i64) -> String {
    date::format(seconds).unwrap()
}

pub(crate) fn key(did: &str) -> SigningKey {
    let seed = did.bytes().fold(0, |seed: u8, byte| seed.wrapping_mul(31).wrapping_add(byte));
    SigningKey::from_secret(KeyType::Ed25519, &[seed; 32]).unwrap()
}

pub(crate) fn method(did: &str) -> String {
    format!("{did}#key-1")
}

/// The document of a DID with its one key for everything.
pub(crate) fn document(did: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [{
            "id": method(did),
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": key(did).public().to_multikey(),
        }],
        "authentication": [method(did)],
        "assertionMethod": [method(did)],
    })
}

/// All that a verification may be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Documents by DID and time; `Null` for a DID that does not exist, text for one that is deactivated.
    pub(crate) dids: BTreeMap<(String, Option<i64>), Value>,
    pub(crate) lists: BTreeMap<(bool, String), String>,
    pub(crate) schemas: BTreeMap<String, String>,
    pub(crate) accreditations: BTreeMap<(String, String, Option<i64>), Result<Vec<String>, String>>,
}

impl Facts {
    pub(crate) fn new() -> Self {
        let mut facts = Self::default();
        for did in [ISSUER, HOLDER, STRANGER] {
            facts.dids.insert((did.into(), None), document(did));
        }
        facts.dids.insert((ISSUER.into(), Some(SIGNED_S)), document(ISSUER));
        facts.lists.insert((false, LIST.into()), sign_list(&list(), ISSUER));
        facts.lists.insert((true, TOKENS.into()), sign_tokens(&tokens(), ISSUER));
        facts.schemas.insert(SCHEMA.into(), schema().to_string());
        for at_s in [None, Some(SIGNED_S)] {
            let chain = Ok(vec![ISSUER.to_owned(), ROOT.to_owned()]);
            facts.accreditations.insert((ISSUER.into(), TYPE.into(), at_s), chain);
        }
        facts
    }

    pub(crate) fn supply(&self, want: &Want) -> Evidence {
        let unavailable = || Evidence::Unavailable("nobody answers".to_owned());
        match want {
            Want::Did { did, at_s } => match self.dids.get(&(did.clone(), *at_s)) {
                None if at_s.is_some() && did.starts_with("did:web:") => Evidence::NoHistory,
                None => unavailable(),
                Some(Value::Null) => Evidence::DidNotFound,
                Some(Value::String(_)) => {
                    Evidence::Did(Resolution { document: None, deactivated: true, version_id: None })
                }
                Some(document) => Evidence::Did(Resolution::of(document.clone())),
            },
            Want::StatusList { uri, token } => {
                let list = self.lists.get(&(*token, uri.clone()));
                list.map_or_else(unavailable, |text| Evidence::StatusList(text.clone().into_bytes()))
            }
            Want::LedgerStatus { .. } => Evidence::NotOfLedger,
            Want::Certificates { .. } => unavailable(),
            Want::Schema { uri } => {
                let schema = self.schemas.get(uri);
                schema.map_or_else(unavailable, |text| Evidence::Schema(text.clone().into_bytes()))
            }
            Want::Accreditation { issuer, credential_type, at_s } => {
                match self.accreditations.get(&(issuer.clone(), credential_type.clone(), *at_s)) {
                    None => unavailable(),
                    Some(Ok(chain)) => {
                        Evidence::Accreditation(Accreditation::Accredited { chain: chain.clone() })
                    }
                    Some(Err(reason)) => {
                        Evidence::Accreditation(Accreditation::Refused { reason: reason.clone() })
                    }
                }
            }
        }
    }

    pub(crate) fn verify(&self, kind: Kind, input: &Input, expectation: Expectation) -> Answer {
        Verification::new(kind, input, expectation).run(|want| self.supply(want))
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "type": "object",
        "properties": {"credentialSubject": {"$ref": "#/$defs/graduate"}},
        "required": ["credentialSubject"],
        "$defs": {"graduate": {
            "type": "object",
            "properties": {"degree": {"type": "string", "pattern": "^(Bachelor|Master) of [A-Z]"}},
            "required": ["degree"],
        }},
    })
}

/// Index 7 is revoked.
pub(crate) fn list() -> Value {
    let mut list = BitstringList::new(&["revocation", "suspension", "refresh", "message"], 0, 1).unwrap();
    list.set(7, 1).unwrap();
    list.to_credential(LIST, ISSUER, &date(NOW_S - 600), &date(NOW_S + 600)).unwrap()
}

/// Index 7 is revoked, index 8 suspended, index 9 of a kind of its own.
pub(crate) fn tokens() -> TokenListClaims {
    let mut list = TokenList::new(1 << 17, 2).unwrap();
    for (index, value) in [(7, 1), (8, 2), (9, 3)] {
        list.set(index, value).unwrap();
    }
    TokenListClaims {
        uri: TOKENS.into(),
        issuer: Some(ISSUER.into()),
        issued_s: NOW_S - 600,
        expires_s: Some(NOW_S + 600),
        ttl_s: Some(300),
        list,
    }
}

/// Signed now, so that nobody asks for the issuer's document of an earlier time.
pub(crate) fn sign_list(list: &Value, did: &str) -> String {
    let mut list = list.clone();
    list["iat"] = (NOW_S - 10).into();
    jwt_of(&list, did)
}

pub(crate) fn sign_tokens(claims: &TokenListClaims, did: &str) -> String {
    let mut claims = claims.to_json().unwrap();
    claims.insert("iat".into(), (NOW_S - 10).into());
    jose::sign("statuslist+jwt", &jose::key_id_header(&method(did)), &claims, &key(did)).unwrap()
}

pub(crate) fn entry(purpose: &str, index: u64) -> Value {
    let list = LIST.to_owned();
    BitstringEntry { purpose: purpose.into(), index, list, size: 1, messages: Vec::new() }.to_value()
}

pub(crate) fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", TYPE],
        "issuer": ISSUER,
        "validFrom": date(SIGNED_S),
        "validUntil": date(NOW_S + 86_400),
        "credentialSubject": {"id": HOLDER, "degree": "Bachelor of Science"},
        "credentialStatus": entry("revocation", 5),
        "credentialSchema": {"id": SCHEMA, "type": "JsonSchema"},
    })
}

pub(crate) fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    document
}

pub(crate) fn proof_options(did: &str) -> ProofOptions {
    let mut options = ProofOptions::new(Suite::EddsaJcs2022, &method(did), "assertionMethod");
    options.created = Some(date(SIGNED_S));
    options
}

/// Signed with a Data Integrity proof.
pub(crate) fn di(credential: &Value, did: &str) -> Value {
    data_integrity::secure(credential, &proof_options(did), &key(did)).unwrap()
}

/// Signed as `vc+jwt`.
pub(crate) fn jwt(credential: &Value, did: &str) -> String {
    let mut credential = credential.clone();
    credential["iat"] = SIGNED_S.into();
    jwt_of(&credential, did)
}

fn jwt_of(credential: &Value, did: &str) -> String {
    jose::sign_credential(credential, &method(did), &key(did)).unwrap()
}

/// Any JWT with any header.
pub(crate) fn token(typ: &str, header: &Value, payload: &Value, did: &str) -> String {
    jose::sign(typ, header.as_object().unwrap(), payload.as_object().unwrap(), &key(did)).unwrap()
}

/// Claims of an SD-JWT VC, bound to the holder's key.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "iat": SIGNED_S,
        "exp": NOW_S + 86_400,
        "vct": TYPE,
        "cnf": {"jwk": key(HOLDER).public().to_jwk()},
        "degree": "Bachelor of Science",
        "status": TokenEntry { uri: TOKENS.into(), index: 5 }.to_value(),
    })
}

pub(crate) fn sd_jwt(claims: &Value) -> String {
    let header = jose::key_id_header(&method(ISSUER));
    sd_jwt::issue(DC_SD_JWT, &header, claims.as_object().unwrap(), &[], &key(ISSUER)).unwrap()
}

pub(crate) fn bound(sd_jwt: &str, nonce: &str, audience: &str, issued_at_s: i64, did: &str) -> String {
    let draft = KeyBindingDraft { audience, nonce, issued_at_s, claims: Map::new() };
    sd_jwt::bind(sd_jwt, &draft, &key(did)).unwrap()
}

pub(crate) fn presentation(credentials: &[Value]) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": HOLDER,
        "verifiableCredential": credentials,
    })
}

pub(crate) fn vp_options(did: &str) -> ProofOptions {
    let mut options = ProofOptions::new(Suite::EddsaJcs2022, &method(did), "authentication");
    options.created = Some(date(NOW_S - 10));
    options.challenge = Some(NONCE.into());
    options.domain = vec![VERIFIER.into()];
    options
}

pub(crate) fn vp_di(presentation: &Value, options: &ProofOptions, did: &str) -> Value {
    data_integrity::secure(presentation, options, &key(did)).unwrap()
}

pub(crate) fn vp_jwt(presentation: &Value, claims: &Value, did: &str) -> String {
    let mut payload = presentation.clone();
    for (name, value) in claims.as_object().unwrap() {
        payload[name] = value.clone();
    }
    token(VP_JWT, &json!({"kid": method(did)}), &payload, did)
}

/// A credential in its envelope.
pub(crate) fn enveloped(jwt: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": format!("data:application/{VC_JWT},{jwt}"),
        "type": "EnvelopedVerifiableCredential",
    })
}

pub(crate) fn asked() -> Expectation {
    Expectation { challenge: Some(NONCE.into()), domain: Some(VERIFIER.into()), ..Expectation::at(NOW_S) }
}
