//! `EnvelopedVerifiableCredential` and `EnvelopedVerifiablePresentation` (VCDM 2.0 sections 4.13.1 and 4.13.2): a
//! secured form inside a `data:` URL.

use super::members::{self, Rule};
use super::{CONTEXT_2_0, types_of};
use crate::FormatError;
use serde_json::{Value, json};

/// Types of enveloped objects.
const CREDENTIAL: &str = "EnvelopedVerifiableCredential";
const PRESENTATION: &str = "EnvelopedVerifiablePresentation";

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
