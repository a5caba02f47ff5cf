//! `EnvelopedVerifiableCredential` and `EnvelopedVerifiablePresentation` (VCDM 2.0 sections 4.13.1 and 4.13.2): a
//! secured form inside a `data:` URL.

use super::members::{self, Rule};
use super::{CONTEXT_2_0, types_of};
use crate::FormatError;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

/// Types of enveloped objects.
const CREDENTIAL: &str = "EnvelopedVerifiableCredential";
const PRESENTATION: &str = "EnvelopedVerifiablePresentation";

const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an envelope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `application/vc+jwt` and the like, without parameters.
    pub media_type: String,
    /// The secured credential or presentation. Binary forms are base64 (`;base64` in the URL).
    pub content: String,
    /// True if the URL says `;base64`.
    pub is_base64: bool,
    /// True for a presentation.
    pub is_presentation: bool,
}

impl Envelope {
    /// Whether a document calls itself an envelope.
    pub fn is_one(document: &Value) -> bool {
        types_of(document).iter().any(|name| matches!(*name, CREDENTIAL | PRESENTATION))
    }

    /// What is enveloped, as it was secured. Base64 is read as the URL standard has it for `data:` URLs: white space
    /// and missing padding mean nothing. What no encoder writes is refused.
    pub fn bytes(&self) -> Result<Vec<u8>, FormatError> {
        if !self.is_base64 {
            return Ok(self.content.clone().into_bytes());
        }
        let text: Vec<u8> = self.content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        FORGIVING.decode(text).map_err(|_| FormatError::malformed("envelope", "not base64"))
    }

    /// The object for a secured form.
    pub fn to_object(&self) -> Value {
        let kind = if self.is_presentation { PRESENTATION } else { CREDENTIAL };
        let base64 = if self.is_base64 { ";base64" } else { "" };
        json!({
            "@context": [CONTEXT_2_0],
            "id": format!("data:{}{base64},{}", self.media_type, self.content),
            "type": kind,
        })
    }
}

/// Reads an envelope. What is in it is still to be verified.
pub fn open_envelope(document: &Value) -> Result<Envelope, FormatError> {
    let members = members::object(document)?;
    let contexts = match members.get("@context") {
        Some(Value::Array(contexts)) => contexts.first(),
        other => other,
    };
    if contexts.and_then(Value::as_str) != Some(CONTEXT_2_0) {
        return Err(Rule::ENVELOPE.broken());
    }
    let is_presentation = match types_of(document).as_slice() {
        [CREDENTIAL] => false,
        [PRESENTATION] => true,
        _ => return Err(Rule::ENVELOPE.broken()),
    };
    let url = members.get("id").and_then(Value::as_str).and_then(|id| id.strip_prefix("data:"));
    let (head, content) = url.and_then(|url| url.split_once(',')).ok_or_else(|| Rule::ENVELOPE.broken())?;
    let mut parts = head.split(';');
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !media_type.starts_with("application/") || content.is_empty() {
        return Err(Rule::ENVELOPE.broken());
    }
    let is_base64 = parts.any(|part| part == "base64");
    Ok(Envelope { media_type, content: content.to_owned(), is_base64, is_presentation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(url: &str) -> Result<Vec<u8>, FormatError> {
        open_envelope(&json!({"@context": CONTEXT_2_0, "type": CREDENTIAL, "id": url}))?.bytes()
    }

    #[test]
    fn base64_in_an_envelope_is_read_with_and_without_padding_and_white_space() {
        let of = |text: &str| bytes_of(&format!("data:application/vc+cose;base64,{text}"));
        for text in ["0oRYVqQ+/w==", "0oRYVqQ+/w", "0oRYVqQ+/w\n", "0oRY VqQ+\r\n/w=="] {
            assert_eq!(of(text).unwrap(), [0xd2, 0x84, 0x58, 0x56, 0xa4, 0x3e, 0xff], "{text:?}");
        }
        for text in ["0oRYVqQ-_w", "0oRYV=qQ", "0oRYVqQ+/x", "0oRYVqQ+/w%3D", "0oRYV", "0oRYVqQ+/w==="] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn text_in_an_envelope_is_not_changed() {
        assert_eq!(bytes_of("data:application/vc+jwt,e30.e30.AA==").unwrap(), b"e30.e30.AA==");
        for url in
            ["data:application/vc+jwt,", "data:application/vc+jwt", "data:text/plain,a", "https://a.example/"]
        {
            assert!(bytes_of(url).is_err(), "{url}");
        }
    }
}
