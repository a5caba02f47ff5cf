//! Compact JWS with a JSON payload: the header read strictly, the signature checked with a key that the caller
//! brings.

use crate::CredentialError;
use aval_codec::b64u;
use aval_codec::json::{self, Json};
use aval_did::key::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use std::collections::BTreeMap;

/// Headers are small; a larger one is an attempt to make us work.
const HEADER_BYTES_MAX: usize = 2048;

/// What to verify, for callers that collect signatures and check them in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureInput<'a> {
    /// The algorithm that the header names; the key must be of its type.
    pub algorithm: Algorithm,
    /// The bytes that are signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; 64],
}

/// A parsed compact JWS with a JSON object inside. Nothing is verified by parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jws {
    part: &'static str,
    algorithm: Algorithm,
    key_id: Option<String>,
    header: BTreeMap<String, Json>,
    payload: BTreeMap<String, Json>,
    signing_input: String,
    signature: [u8; 64],
}

impl Jws {
    /// Reads a JWS whose header must have exactly this `typ`. `part` names it in errors. Any `crit` is refused,
    /// because this crate understands no extension; `jwk`, `jku`, `x5u`, `x5c` and whatever else is there are
    /// ignored (RFC 7515 section 4).
    pub fn parse(
        text: &str,
        part: &'static str,
        typ: &str,
        limits: json::Limits,
    ) -> Result<Self, CredentialError> {
        Self::parse_any(text, part, &[typ], limits)
    }

    /// As [`Self::parse`], for a JWS whose header must have one of these `typ`.
    pub fn parse_any(
        text: &str,
        part: &'static str,
        types: &[&str],
        limits: json::Limits,
    ) -> Result<Self, CredentialError> {
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(CredentialError::malformed(part, "a compact JWS has three segments"));
        };
        if header.len() > HEADER_BYTES_MAX {
            return Err(CredentialError::Oversized("header"));
        }
        let signing_input = text.get(..header.len() + 1 + payload.len()).unwrap_or_default().to_owned();
        let header = object(part, header, limits)?;
        if header.contains_key("crit") {
            return Err(CredentialError::Header { part, reason: "a critical extension" });
        }
        match header.get("typ") {
            Some(Json::String(value)) if types.contains(&value.as_str()) => {}
            _ => return Err(CredentialError::Header { part, reason: "a wrong or missing type" }),
        }
        let algorithm = match header.get("alg") {
            Some(Json::String(name)) => Algorithm::from_name(name).ok_or(CredentialError::Algorithm(part))?,
            _ => return Err(CredentialError::Algorithm(part)),
        };
        let key_id = match header.get("kid") {
            Some(Json::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(CredentialError::Header { part, reason: "a key id that is not a string" }),
            None => None,
        };
        let payload = object(part, payload, limits)?;
        let signature = b64u::decode(signature)
            .map_err(|error| CredentialError::malformed(part, error))?
            .try_into()
            .map_err(|_| CredentialError::malformed(part, "the signature is not of 64 bytes"))?;
        Ok(Self { part, algorithm, key_id, header, payload, signing_input, signature })
    }

    /// The algorithm that the header names.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of the header.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The whole header. Whoever takes a key out of it must have a reason: only proofs of possession do.
    pub fn header(&self) -> &BTreeMap<String, Json> {
        &self.header
    }

    /// The payload.
    pub fn payload(&self) -> &BTreeMap<String, Json> {
        &self.payload
    }

    /// What to verify.
    pub fn signature_input(&self) -> SignatureInput<'_> {
        SignatureInput {
            algorithm: self.algorithm,
            message: self.signing_input.as_bytes(),
            signature: &self.signature,
        }
    }

    /// Checks the signature. The key decides: an `alg` that does not fit it is refused before any cryptography.
    pub fn verify(&self, key: &PublicKey) -> Result<(), CredentialError> {
        if key.algorithm() != self.algorithm {
            return Err(CredentialError::Algorithm(self.part));
        }
        key.verify(self.algorithm, self.signing_input.as_bytes(), &self.signature)
            .map_err(|_| CredentialError::Signature(self.part))
    }
}

fn object(
    part: &'static str,
    segment: &str,
    limits: json::Limits,
) -> Result<BTreeMap<String, Json>, CredentialError> {
    let bytes = b64u::decode(segment).map_err(|error| CredentialError::malformed(part, error))?;
    match json::parse(&bytes, limits).map_err(|error| CredentialError::malformed(part, error))? {
        Json::Object(members) => Ok(members),
        _ => Err(CredentialError::malformed(part, "not a JSON object")),
    }
}

/// Signs a payload as a compact JWS with the protected header `alg`, `kid` (if any) and `typ`.
pub fn sign(signer: &SigningKey, typ: &str, key_id: Option<&str>, payload: &Json) -> String {
    let header = key_id.map(|key_id| ("kid".to_owned(), Json::String(key_id.to_owned())));
    sign_with_header(signer, typ, header.into_iter().collect(), payload)
}

/// Signs a payload as a compact JWS with more members in the protected header than `alg` and `typ`.
pub fn sign_with_header(
    signer: &SigningKey,
    typ: &str,
    header: BTreeMap<String, Json>,
    payload: &Json,
) -> String {
    let input = signing_input(signer.algorithm(), typ, header, payload);
    let signature = signer.sign(input.as_bytes());
    format!("{input}.{}", b64u::encode(signature))
}

/// Like [`sign_with_header`], with a key that may be in a module and fail.
pub fn try_sign(
    signer: &dyn Signer,
    typ: &str,
    header: BTreeMap<String, Json>,
    payload: &Json,
) -> Result<String, SignerError> {
    let input = signing_input(signer.public().algorithm(), typ, header, payload);
    let signature = signer.try_sign(input.as_bytes())?;
    Ok(format!("{input}.{}", b64u::encode(signature)))
}

fn signing_input(
    algorithm: Algorithm,
    typ: &str,
    mut header: BTreeMap<String, Json>,
    payload: &Json,
) -> String {
    header.insert("alg".to_owned(), Json::String(algorithm.name().to_owned()));
    header.insert("typ".to_owned(), Json::String(typ.to_owned()));
    format!("{}.{}", b64u::encode(Json::Object(header).to_jcs()), b64u::encode(payload.to_jcs()))
}
