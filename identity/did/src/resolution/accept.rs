//! Reading the `Accept` header (RFC 9110, section 12.5.1), as far as choosing among a handful of media types needs it.
//!
//! It stands here because a ledger node and a resolver must choose alike. Bounded: a header of more than [`RANGES_MAX`]
//! ranges is read up to there. A range that cannot be read is skipped.

/// Ranges that are looked at.
const RANGES_MAX: usize = 16;

/// One range of an `Accept` header, in lower case, with its weight in thousandths.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    media_type: String,
    /// `profile` as `application/ld+json` uses it.
    profile: Option<String>,
    weight: u16,
}

/// What a client accepts, by descending weight; equal weights stay in the order of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Vec<Range>);

impl Accept {
    /// Reads the values of the header; without any, everything is accepted.
    pub fn read<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Self(vec![Range { media_type: "*/*".into(), profile: None, weight: 1000 }]);
        }
        let mut ranges: Vec<Range> =
            values.flat_map(split_list).filter_map(|text| Range::read(&text)).take(RANGES_MAX).collect();
        ranges.sort_by_key(|range| std::cmp::Reverse(range.weight));
        Self(ranges)
    }

    /// The first of the client's ranges for which there is an offer. An offer is a media type and its profile, if it
    /// has one; the first offer stands for a wildcard, unless the client refuses it with weight 0.
    pub fn choose<'o, O>(&self, offers: &'o [(&str, Option<&str>, O)]) -> Option<&'o O> {
        self.0.iter().filter(|range| range.weight > 0).find_map(|range| {
            offers
                .iter()
                .find(|(media_type, profile, _)| {
                    range.matches(media_type, *profile) && !self.refuses(media_type)
                })
                .map(|(_, _, offer)| offer)
        })
    }

    fn refuses(&self, media_type: &str) -> bool {
        self.0.iter().any(|range| range.weight == 0 && range.media_type == media_type)
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let media_type = parts.next()?.trim().to_ascii_lowercase();
        media_type.split_once('/').filter(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty())?;
        let mut range = Self { media_type, profile: None, weight: 1000 };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.weight = weight(value)?,
                "profile" => range.profile = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(range)
    }

    fn matches(&self, media_type: &str, profile: Option<&str>) -> bool {
        if self.media_type == "*/*" {
            return true;
        }
        if let Some(kind) = self.media_type.strip_suffix("/*") {
            return media_type.split_once('/').is_some_and(|(offered, _)| offered == kind);
        }
        self.media_type == media_type && (profile.is_none() || self.profile.as_deref() == profile)
    }
}

/// `0`, `1`, `0.8`, `0.123`: a weight in thousandths, without floating point.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some((whole * 1000 + thousandths).min(1000))
}

/// Splits at commas outside of quotes.
fn split_list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match character {
            ',' if !quoted => items.push(String::new()),
            _ => {
                quoted ^= character == '"';
                if let Some(item) = items.last_mut() {
                    item.push(character);
                }
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: &[(&str, Option<&str>, u8)] = &[
        ("application/did-resolution", None, 1),
        ("application/did", None, 2),
        ("application/ld+json", Some("https://w3id.org/did-resolution"), 1),
        ("application/ld+json", None, 3),
    ];

    fn choose(text: &str) -> Option<u8> {
        Accept::read([text]).choose(OFFERS).copied()
    }

    #[test]
    fn the_best_weight_wins_and_order_breaks_ties() {
        assert_eq!(choose("application/did"), Some(2));
        assert_eq!(choose("application/did;q=0.5, application/did-resolution;q=0.8"), Some(1));
        assert_eq!(choose("application/did, application/did-resolution"), Some(2));
        assert_eq!(choose("text/html, application/did;q=0.1"), Some(2));
        assert_eq!(choose("Application/DID"), Some(2));
    }

    #[test]
    fn a_wildcard_takes_the_first_offer_that_is_not_refused() {
        assert_eq!(choose("*/*"), Some(1));
        assert_eq!(choose("application/*"), Some(1));
        assert_eq!(choose("*/*, application/did-resolution;q=0"), Some(2));
        assert_eq!(Accept::read([]).choose(OFFERS), Some(&1));
    }

    #[test]
    fn several_headers_are_one_list() {
        let accept = Accept::read(["application/did;q=0.2", "application/did-resolution"]);
        assert_eq!(accept.choose(OFFERS), Some(&1));
    }

    #[test]
    fn a_profile_tells_two_offers_of_one_type_apart() {
        assert_eq!(choose("application/ld+json;profile=\"https://w3id.org/did-resolution\""), Some(1));
        assert_eq!(choose("application/ld+json"), Some(3));
    }

    #[test]
    fn nonsense_is_skipped_and_nothing_fitting_gives_nothing() {
        assert_eq!(choose("application/x-unsupported"), None);
        assert_eq!(choose("application/did;q=0"), None);
        assert_eq!(choose(",,;q=1,/,application/did;q=nan, ,"), None);
        assert_eq!(choose(&"text/html,".repeat(1000)), None);
    }
}
