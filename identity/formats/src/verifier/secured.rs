//! Secured forms, read into one shape: the document, and how its signatures are to be verified.

use crate::cose::{self, Sign1};
use crate::data_integrity::{self, Proof};
use crate::jose::sd_jwt::{DC_SD_JWT, SdJwt, VC_SD_JWT, VP_SD_JWT};
use crate::jose::{self, Jwt, VC_JWT, VP_JWT};
use crate::json::{self, Limits};
use crate::status::{StatusError, TokenListClaims};
use crate::vcdm::{self, Envelope, open_envelope};
use crate::{Contexts, FormatError, KeyType, VerificationKey};
use base64::Engine as _;
use serde_json::{Map, Value, json};

/// Something to be verified.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A document with proofs, or an enveloped object.
    Json(Value),
    /// A compact JWT or an SD-JWT.
    Text(String),
    /// A `COSE_Sign1`.
    Binary(Vec<u8>),
}

impl Input {
    /// Reads what came over the network: JSON if it begins as an object, COSE if it begins as that, else a token.
    pub fn read(bytes: &[u8], limits: Limits) -> Result<Self, FormatError> {
        if bytes.len() > limits.bytes_max {
            return Err(FormatError::Oversized("input"));
        }
        // Tag 18, or an array of four.
        if matches!(bytes.first(), Some(0xd2 | 0x84)) {
            return Ok(Self::Binary(bytes.to_vec()));
        }
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Ok(Self::Json(json::parse(bytes, "input", limits)?)),
            _ => std::str::from_utf8(bytes)
                .map(|text| Self::Text(text.trim().to_owned()))
                .map_err(|_| FormatError::malformed("input", "neither JSON nor a token")),
        }
    }
}

/// By whose rules the document is a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// VCDM, whichever version its context names.
    Vcdm,
    /// SD-JWT VC: claims and a `vct`.
    SdJwtVc,
    /// A token of a status list.
    StatusToken,
}

/// How a document is secured.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Securing {
    /// By the proofs in it.
    Proofs,
    /// By the token it came in.
    Jwt(Box<Jwt>),
    /// By the SD-JWT it came in.
    SdJwt(Box<SdJwt>),
    /// By the COSE message it came in.
    Cose(Box<Sign1>),
    /// Not at all.
    Nothing,
}

/// A document and how it is secured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Secured {
    pub(super) document: Value,
    pub(super) model: Model,
    pub(super) securing: Securing,
    /// The name of the form, for the record.
    pub(super) format: &'static str,
}

/// One signature: who is said to have made it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signature {
    /// Which of the proofs; 0 for a token.
    pub(super) index: usize,
    /// The key's URL, if it names one.
    pub(super) method: Option<String>,
    /// When it was made, in unix seconds, as far as it says.
    pub(super) signed_s: Option<i64>,
    /// The certificates that say whose key it is, if no DID does: DER, the signer's first.
    pub(super) chain: Option<Vec<Vec<u8>>>,
}

/// Most certificates of a chain.
const CERTIFICATES_MAX: usize = 8;

const TYPES_OF_CREDENTIALS: [&str; 2] = [DC_SD_JWT, VC_SD_JWT];

impl Secured {
    /// Reads a credential.
    pub(super) fn credential(input: &Input, limits: Limits) -> Result<Self, FormatError> {
        match input {
            Input::Json(document) if Envelope::is_one(document) => {
                let envelope = open_envelope(document)?;
                if envelope.is_presentation {
                    return Err(FormatError::Type("credential"));
                }
                Self::enveloped(&envelope, limits)
            }
            Input::Json(document) => Self::with_proofs(document),
            Input::Text(text) if text.contains('~') => Self::sd_jwt(text, &TYPES_OF_CREDENTIALS, limits),
            Input::Text(text) => Self::jwt(text, false, limits),
            Input::Binary(bytes) => Self::cose(bytes, false, limits),
        }
    }

    /// Reads a presentation; an SD-JWT is one of itself.
    pub(super) fn presentation(input: &Input, limits: Limits) -> Result<Self, FormatError> {
        match input {
            Input::Json(document) if Envelope::is_one(document) => {
                let envelope = open_envelope(document)?;
                if !envelope.is_presentation {
                    return Err(FormatError::Type("presentation"));
                }
                Self::enveloped(&envelope, limits)
            }
            Input::Json(document) => Self::with_proofs(document),
            Input::Text(text) if text.contains('~') => {
                Self::sd_jwt(text, &[DC_SD_JWT, VC_SD_JWT, VP_SD_JWT], limits)
            }
            Input::Text(text) => Self::jwt(text, true, limits),
            Input::Binary(bytes) => Self::cose(bytes, true, limits),
        }
    }

    /// Reads the JWT of a Token Status List.
    pub(super) fn status_token(text: &str, limits: Limits) -> Result<Self, FormatError> {
        let jwt = Jwt::parse(text, "status list", &[crate::status::token::JWT_TYPE], limits)?;
        Ok(Self::of_jwt(jwt.payload().clone().into(), jwt, Model::StatusToken, "statuslist+jwt"))
    }

    /// Reads the CWT of a Token Status List. Its claims stand in the document but for the list itself.
    pub(super) fn status_cwt(bytes: &[u8], limits: Limits) -> Result<Self, FormatError> {
        let message = Sign1::parse(bytes, "status list", &[crate::status::token::CWT_TYPE], limits)?;
        let claims = TokenListClaims::from_cbor(message.payload());
        let claims = claims.map_err(|error| FormatError::malformed("status list", error))?;
        let mut document = json!({"iat": claims.issued_s});
        if let (Some(members), Some(issuer)) = (document.as_object_mut(), claims.issuer) {
            members.insert("iss".to_owned(), issuer.into());
        }
        if let (Some(members), Some(end)) = (document.as_object_mut(), claims.expires_s) {
            members.insert("exp".to_owned(), end.into());
        }
        let securing = Securing::Cose(Box::new(message));
        Ok(Self { document, model: Model::StatusToken, securing, format: "statuslist+cwt" })
    }

    fn cose(bytes: &[u8], presentation: bool, limits: Limits) -> Result<Self, FormatError> {
        let (read, format) = if presentation {
            (cose::read_presentation(bytes, limits), "vp+cose")
        } else {
            (cose::read_credential(bytes, limits), "vc+cose")
        };
        let (message, members) = read?;
        let securing = Securing::Cose(Box::new(message));
        Ok(Self { document: Value::Object(members), model: Model::Vcdm, securing, format })
    }

    fn with_proofs(document: &Value) -> Result<Self, FormatError> {
        if !document.is_object() {
            return Err(FormatError::malformed("document", "not a JSON object"));
        }
        let (securing, format) = match data_integrity::proofs(document) {
            Ok(proofs) => (Securing::Proofs, proofs.first().map_or("", |proof| proof.suite.name())),
            Err(FormatError::ProofMissing) => (Securing::Nothing, "none"),
            Err(error) => return Err(error),
        };
        Ok(Self { document: document.clone(), model: Model::Vcdm, securing, format })
    }

    /// The content of an envelope, by its media type.
    fn enveloped(envelope: &Envelope, limits: Limits) -> Result<Self, FormatError> {
        let presentation = envelope.is_presentation;
        let bytes = match envelope.is_base64 {
            true => base64::engine::general_purpose::STANDARD
                .decode(&envelope.content)
                .map_err(|_| FormatError::malformed("envelope", "not base64"))?,
            false => envelope.content.clone().into_bytes(),
        };
        let text = || std::str::from_utf8(&bytes).map_err(|_| FormatError::malformed("envelope", "not text"));
        match (envelope.media_type.as_str(), presentation) {
            ("application/vc+jwt", false) | ("application/vp+jwt", true) | ("application/jwt", _) => {
                Self::jwt(text()?, presentation, limits)
            }
            ("application/vc+sd-jwt", false) => Self::sd_jwt(text()?, &[VC_SD_JWT], limits),
            ("application/vp+sd-jwt", true) => Self::sd_jwt(text()?, &[VP_SD_JWT], limits),
            ("application/dc+sd-jwt", false) => Self::sd_jwt(text()?, &[DC_SD_JWT], limits),
            ("application/vc+cose", false) | ("application/vp+cose", true) => {
                Self::cose(&bytes, presentation, limits)
            }
            _ => Err(FormatError::Type("envelope")),
        }
    }

    /// A JWT of VC-JOSE-COSE, or, if it does not say that it is one, of VCDM 1.1.
    fn jwt(text: &str, presentation: bool, limits: Limits) -> Result<Self, FormatError> {
        let (new, name) = if presentation {
            (jose::read_presentation(text, limits), VP_JWT)
        } else {
            (jose::read_credential(text, limits), VC_JWT)
        };
        match new {
            Ok(jwt) => Ok(Self::of_jwt(jwt.payload().clone().into(), jwt, Model::Vcdm, name)),
            Err(FormatError::Type(part)) => {
                let old = if presentation {
                    jose::read_presentation_1_1(text, limits)
                } else {
                    jose::read_credential_1_1(text, limits)
                };
                let old = old.map_err(|error| match error {
                    FormatError::Type(_) => FormatError::Type(part),
                    other => other,
                })?;
                Ok(Self::of_jwt(old.document, old.jwt, Model::Vcdm, "jwt"))
            }
            Err(error) => Err(error),
        }
    }

    fn of_jwt(document: Value, jwt: Jwt, model: Model, format: &'static str) -> Self {
        Self { document, model, securing: Securing::Jwt(Box::new(jwt)), format }
    }

    fn sd_jwt(text: &str, types: &[&str], limits: Limits) -> Result<Self, FormatError> {
        let sd_jwt = SdJwt::parse(text, types, limits)?;
        let typ = sd_jwt.jwt().media_type().unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        let (model, format) = match typ {
            DC_SD_JWT => (Model::SdJwtVc, DC_SD_JWT),
            VC_SD_JWT => (Model::Vcdm, VC_SD_JWT),
            _ => (Model::Vcdm, VP_SD_JWT),
        };
        let document = Value::Object(sd_jwt.claims().clone());
        Ok(Self { document, model, securing: Securing::SdJwt(Box::new(sd_jwt)), format })
    }

    /// The claims of the token that carries the signature, if one does: issuer, times, audience, nonce, key.
    pub(super) fn claims(&self) -> Option<&Map<String, Value>> {
        match &self.securing {
            Securing::Jwt(jwt) => Some(jwt.payload()),
            Securing::SdJwt(sd_jwt) => Some(sd_jwt.jwt().payload()),
            Securing::Cose(_) => self.document.as_object(),
            Securing::Proofs | Securing::Nothing => None,
        }
    }

    /// The type of key that the token's algorithm needs.
    pub(super) fn key_type(&self) -> Option<KeyType> {
        match &self.securing {
            Securing::Jwt(jwt) => Some(jwt.key_type()),
            Securing::SdJwt(sd_jwt) => Some(sd_jwt.jwt().key_type()),
            Securing::Cose(message) => Some(message.key_type()),
            Securing::Proofs | Securing::Nothing => None,
        }
    }

    /// The key that the token names. A `kid` of COSE is bytes; those that are no text name nothing that is known here.
    fn key_id(&self) -> Option<String> {
        match &self.securing {
            Securing::Jwt(jwt) => jwt.key_id().map(str::to_owned),
            Securing::SdJwt(sd_jwt) => sd_jwt.jwt().key_id().map(str::to_owned),
            Securing::Cose(message) => message.key_id().map(|id| String::from_utf8_lossy(id).into_owned()),
            Securing::Proofs | Securing::Nothing => None,
        }
    }

    /// The claims of a Token Status List.
    pub(super) fn status_list(&self) -> Result<TokenListClaims, StatusError> {
        match (&self.securing, self.document.as_object()) {
            (Securing::Cose(message), _) => TokenListClaims::from_cbor(message.payload()),
            (_, Some(claims)) => TokenListClaims::from_json(claims),
            _ => Err(StatusError::Malformed("there is no list")),
        }
    }

    /// The SD-JWT, if it is one.
    pub(super) fn sd_jwt_ref(&self) -> Option<&SdJwt> {
        match &self.securing {
            Securing::SdJwt(sd_jwt) => Some(sd_jwt),
            _ => None,
        }
    }

    /// Who issued the credential, or holds the presentation, as it says itself.
    pub(super) fn party(&self, presentation: bool) -> Option<String> {
        let named = match self.model {
            Model::SdJwtVc | Model::StatusToken => self.document.get("iss").and_then(Value::as_str),
            Model::Vcdm if presentation => vcdm::holder(&self.document),
            Model::Vcdm => vcdm::issuer(&self.document),
        };
        named.map(str::to_owned)
    }

    /// The proofs, read again where they stand.
    pub(super) fn proofs(&self) -> Result<Vec<Proof<'_>>, FormatError> {
        data_integrity::proofs(&self.document)
    }

    /// The signatures, with what they say of themselves.
    pub(super) fn signatures(&self) -> Result<Vec<Signature>, FormatError> {
        match (&self.securing, self.claims()) {
            (Securing::Nothing, _) => Err(FormatError::ProofMissing),
            (_, Some(claims)) => {
                let issued_s = jose::seconds(claims, "iat")?;
                let signed_s = issued_s.or(jose::seconds(claims, "nbf")?);
                let chain = self.certificates()?;
                Ok(vec![Signature { index: 0, method: self.key_id(), signed_s, chain }])
            }
            (_, None) => {
                let of = |(index, proof): (usize, Proof<'_>)| Signature {
                    index,
                    method: Some(proof.verification_method.to_owned()),
                    signed_s: proof.created_s,
                    chain: None,
                };
                Ok(self.proofs()?.into_iter().enumerate().map(of).collect())
            }
        }
    }

    /// The certificates in the header of an SD-JWT VC or of a status token (RFC 7515 section 4.1.6), unless the issuer
    /// is a DID, whose document then says which keys are its own.
    fn certificates(&self) -> Result<Option<Vec<Vec<u8>>>, FormatError> {
        let header = match &self.securing {
            Securing::Jwt(jwt) => jwt.header(),
            Securing::SdJwt(sd_jwt) => sd_jwt.jwt().header(),
            Securing::Proofs | Securing::Cose(_) | Securing::Nothing => return Ok(None),
        };
        let of_did = self.party(false).is_some_and(|issuer| issuer.starts_with("did:"));
        let Some(chain) = header.get("x5c").filter(|_| self.model != Model::Vcdm && !of_did) else {
            return Ok(None);
        };
        let malformed = || FormatError::malformed("x5c", "not a list of certificates");
        let chain = chain.as_array().filter(|chain| (1..=CERTIFICATES_MAX).contains(&chain.len()));
        let decode = |one: &Value| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(one.as_str().unwrap_or_default());
            decoded.ok().filter(|der| !der.is_empty()).ok_or_else(malformed)
        };
        chain.ok_or_else(malformed)?.iter().map(decode).collect::<Result<_, _>>().map(Some)
    }

    /// Verifies one of the signatures with a key.
    pub(super) fn verify(
        &self,
        contexts: &Contexts,
        index: usize,
        key: &VerificationKey,
    ) -> Result<(), FormatError> {
        match &self.securing {
            Securing::Jwt(jwt) => jwt.verify(key),
            Securing::SdJwt(sd_jwt) => sd_jwt.verify(key),
            Securing::Cose(message) => message.verify(key),
            Securing::Proofs => {
                let proofs = self.proofs()?;
                let proof = proofs.get(index).ok_or(FormatError::ProofMissing)?;
                data_integrity::verify_proof_with(contexts, &self.document, proof.value, key)
            }
            Securing::Nothing => Err(FormatError::ProofMissing),
        }
    }
}
