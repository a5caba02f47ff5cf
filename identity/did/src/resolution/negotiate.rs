//! Content negotiation of the HTTP binding (RFC 9110 §12.5.1).

use super::{DOCUMENT_MEDIA_TYPE, RESULT_MEDIA_TYPE, ResolutionError};

/// What a resolver can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// The complete resolution result.
    Result,
    /// The document alone.
    Document,
}

/// Media types that are understood, and what each gets. The older names are those that clients in the field still send.
pub const ACCEPTED: [(&str, Representation); 8] = [
    (RESULT_MEDIA_TYPE, Representation::Result),
    (DOCUMENT_MEDIA_TYPE, Representation::Document),
    ("application/did+json", Representation::Document),
    ("application/did+ld+json", Representation::Document),
    ("application/ld+json;profile=\"https://w3id.org/did-resolution\"", Representation::Result),
    ("application/json", Representation::Result),
    ("application/*", Representation::Result),
    ("*/*", Representation::Result),
];

impl Representation {
    /// The media type of the answer.
    pub const fn media_type(self) -> &'static str {
        match self {
            Representation::Result => RESULT_MEDIA_TYPE,
            Representation::Document => DOCUMENT_MEDIA_TYPE,
        }
    }
}

/// Picks what to answer with from an `Accept` header: the best weight wins, the first of equals. Without a header it is the
/// complete result.
pub fn negotiate(accept: Option<&str>) -> Result<Representation, ResolutionError> {
    let Some(accept) = accept else { return Ok(Representation::Result) };
    let mut best: Option<(u32, Representation)> = None;
    for range in accept.split(',') {
        let mut media_type = String::new();
        let mut weight = 1000;
        for (index, part) in range.split(';').map(str::trim).enumerate() {
            match part.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                    weight = thousandths(value.trim())
                }
                _ if index == 0 => media_type = part.to_ascii_lowercase(),
                _ => media_type = format!("{media_type};{}", part.replace(' ', "")),
            }
        }
        let known = ACCEPTED.iter().find(|(name, _)| *name == media_type);
        if let Some((_, representation)) = known
            && weight > best.map_or(0, |(weight, _)| weight)
        {
            best = Some((weight, *representation));
        }
    }
    best.map(|(_, representation)| representation).ok_or(ResolutionError::RepresentationNotSupported)
}

/// A weight `0`, `1`, `0.5`, `0.125`, `1.000` in thousandths; 0 for anything else.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = format!("{fraction:0<3}");
    match (whole, padded.parse::<u32>()) {
        ("1", Ok(0)) => 1000,
        ("0", Ok(value)) if fraction.len() <= 3 => value,
        _ => 0,
    }
}
