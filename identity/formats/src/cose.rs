//! COSE (RFC 9052): `vc+cose` and `vp+cose` of VC-JOSE-COSE 1.0 section 3.2, and below them the one signed form that
//! other tokens use, too.
//!
//! What decides must be in the protected header: algorithm and type. Headers outside the signature are read for
//! nothing but the key's identifier, which only says where to look.

use crate::json::{self, Limits};
use crate::{FormatError, KeyType, Signer, VerificationKey};
use coset::iana::{self, EnumI64 as _};
use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label};
use coset::{ContentType, RegisteredLabelWithPrivate, TaggedCborSerializable as _};
use serde_json::{Map, Value};

/// The `typ` of a credential.
pub const VC_COSE: &str = "application/vc+cose";
/// The `typ` of a presentation.
pub const VP_COSE: &str = "application/vp+cose";

/// The header parameter `typ` (RFC 9596).
const TYP: i64 = 16;

/// A parsed `COSE_Sign1`. Nothing is verified by parsing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign1 {
    part: &'static str,
    kind: KeyType,
    media_type: Option<String>,
    payload: Vec<u8>,
    cose: CoseSign1,
}

impl Sign1 {
    /// Reads a message with tag 18, or without tag, whose protected `typ` is one of `types` (with or without
    /// `application/`). A payload that is elsewhere and any critical extension are refused.
    pub fn parse(
        bytes: &[u8],
        part: &'static str,
        types: &[&str],
        limits: Limits,
    ) -> Result<Self, FormatError> {
        if bytes.len() > limits.bytes_max {
            return Err(FormatError::Oversized(part));
        }
        // Tag 18 is the byte 0xd2.
        let parsed = match bytes.first() {
            Some(0xd2) => CoseSign1::from_tagged_slice(bytes),
            _ => CoseSign1::from_slice(bytes),
        };
        let cose = parsed.map_err(|_| FormatError::malformed(part, "not a COSE_Sign1"))?;
        let header = &cose.protected.header;
        if !header.crit.is_empty() || !cose.unprotected.crit.is_empty() {
            return Err(FormatError::Critical(part));
        }
        if cose.unprotected.alg.is_some() || typ_of(&cose.unprotected).is_some() {
            return Err(FormatError::Header { part, reason: "an algorithm or type that is not protected" });
        }
        let kind = key_type(header).ok_or(FormatError::Algorithm(part))?;
        let short = |typ: &str| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase();
        let media_type = typ_of(header).and_then(|typ| typ.as_text()).map(str::to_owned);
        let fits = |typ: &String| types.iter().any(|one| short(one) == short(typ));
        if !media_type.as_ref().is_some_and(fits) {
            return Err(FormatError::Type(part));
        }
        let payload = cose.payload.clone().ok_or_else(|| FormatError::malformed(part, "no payload"))?;
        if cose.signature.len() != kind.signature_bytes() {
            return Err(FormatError::Signature(part));
        }
        Ok(Self { part, kind, media_type, payload, cose })
    }

    /// The type of key that the algorithm needs.
    pub fn key_type(&self) -> KeyType {
        self.kind
    }

    /// The `kid`, protected or not.
    pub fn key_id(&self) -> Option<&[u8]> {
        let ids = [&self.cose.protected.header.key_id, &self.cose.unprotected.key_id];
        ids.into_iter().find(|id| !id.is_empty()).map(Vec::as_slice)
    }

    /// The `typ`.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The protected and the unprotected value of `x5chain` or of another parameter; the protected one wins.
    pub fn parameter(&self, label: i64) -> Option<&ciborium::Value> {
        let headers = [&self.cose.protected.header, &self.cose.unprotected];
        headers.into_iter().find_map(|header| parameter(header, label))
    }

    /// Checks the signature. The key decides: an algorithm that does not fit it is refused.
    pub fn verify(&self, key: &VerificationKey) -> Result<(), FormatError> {
        if key.kind() != self.kind {
            return Err(FormatError::Algorithm(self.part));
        }
        self.cose.verify_signature(&[], |signature, message| key.verify(message, signature, self.part))
    }
}

/// Signs a payload as a tagged `COSE_Sign1`. `content_type` is that of the payload, if it shall be said.
pub fn sign(
    typ: &str,
    content_type: Option<&str>,
    key_id: &[u8],
    payload: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, FormatError> {
    let algorithm = match signer.public().kind() {
        KeyType::Ed25519 => iana::Algorithm::EdDSA,
        KeyType::P256 => iana::Algorithm::ES256,
        KeyType::P384 => iana::Algorithm::ES384,
        KeyType::P521 => iana::Algorithm::ES512,
    };
    let mut header = HeaderBuilder::new().algorithm(algorithm).key_id(key_id.to_vec());
    header = header.value(TYP, ciborium::Value::Text(typ.to_owned()));
    if let Some(content_type) = content_type {
        header = header.content_type(content_type.to_owned());
    }
    let cose = CoseSign1Builder::new()
        .protected(header.build())
        .payload(payload.to_vec())
        .try_create_signature(&[], |message| signer.sign(message))?
        .build();
    cose.to_tagged_vec().map_err(|error| FormatError::malformed("message", error))
}

/// Signs a credential of VCDM 2.0.
pub fn sign_credential(
    credential: &Value,
    key_id: &str,
    signer: &dyn Signer,
) -> Result<Vec<u8>, FormatError> {
    sign_document(VC_COSE, "application/vc", credential, key_id, signer)
}

/// Signs a presentation of VCDM 2.0. Audience and nonce, where they are wanted, are members of it.
pub fn sign_presentation(
    presentation: &Value,
    key_id: &str,
    signer: &dyn Signer,
) -> Result<Vec<u8>, FormatError> {
    sign_document(VP_COSE, "application/vp", presentation, key_id, signer)
}

/// Reads a credential; what is left to do is the signature, the data model and the dates.
pub fn read_credential(bytes: &[u8], limits: Limits) -> Result<(Sign1, Map<String, Value>), FormatError> {
    read_document(bytes, "credential", VC_COSE, "application/vc", limits)
}

/// Reads a presentation; what is left to do is as for a credential.
pub fn read_presentation(bytes: &[u8], limits: Limits) -> Result<(Sign1, Map<String, Value>), FormatError> {
    read_document(bytes, "presentation", VP_COSE, "application/vp", limits)
}

fn sign_document(
    typ: &str,
    content_type: &str,
    document: &Value,
    key_id: &str,
    signer: &dyn Signer,
) -> Result<Vec<u8>, FormatError> {
    let payload = crate::jcs::canonicalize(document)?;
    sign(typ, Some(content_type), key_id.as_bytes(), &payload, signer)
}

fn read_document(
    bytes: &[u8],
    part: &'static str,
    typ: &str,
    content_type: &str,
    limits: Limits,
) -> Result<(Sign1, Map<String, Value>), FormatError> {
    let message = Sign1::parse(bytes, part, &[typ], limits)?;
    match &message.cose.protected.header.content_type {
        None => {}
        Some(ContentType::Text(text)) if text == content_type => {}
        Some(_) => return Err(FormatError::Header { part, reason: "another content type" }),
    }
    let document = json::parse_object(message.payload(), part, limits)?;
    if document.contains_key("vc") || document.contains_key("vp") {
        return Err(FormatError::Claims("`vc` and `vp` belong to an older version"));
    }
    Ok((message, document))
}

fn key_type(header: &Header) -> Option<KeyType> {
    let RegisteredLabelWithPrivate::Assigned(algorithm) = header.alg.as_ref()? else { return None };
    match algorithm.to_i64() {
        // EdDSA, and the fully specified Ed25519, ESP256, ESP384 and ESP512 of RFC 9864.
        -8 | -19 => Some(KeyType::Ed25519),
        -7 | -9 => Some(KeyType::P256),
        -35 | -51 => Some(KeyType::P384),
        -36 | -52 => Some(KeyType::P521),
        _ => None,
    }
}

fn typ_of(header: &Header) -> Option<&ciborium::Value> {
    parameter(header, TYP)
}

fn parameter(header: &Header, label: i64) -> Option<&ciborium::Value> {
    header.rest.iter().find(|(name, _)| *name == Label::Int(label)).map(|(_, value)| value)
}
