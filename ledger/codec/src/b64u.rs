//! base64url without padding (RFC 4648 §5, RFC 7515 §2), read strictly: no padding, no white space, no other
//! alphabet, and the unused low bits of the last character are zero. One byte string therefore has one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not canonical base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64url without padding")]
pub struct Base64UrlError;

/// Encodes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes the one canonical spelling and refuses every other.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Base64UrlError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64UrlError)
}

/// Decodes exactly `N` bytes.
pub fn decode_array<const N: usize>(text: impl AsRef<[u8]>) -> Result<[u8; N], Base64UrlError> {
    decode(text)?.try_into().map_err(|_| Base64UrlError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(encode([0xff, 0xfe]), "__4");
        assert_eq!(decode("__4"), Ok(vec![0xff, 0xfe]));
        for bad in ["__4=", "__5", "_", "//4", "__4\n", " __4", "__ 4", "é"] {
            assert_eq!(decode(bad), Err(Base64UrlError), "{bad:?}");
        }
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode_array::<3>("__4"), Err(Base64UrlError));
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_text(text in "[A-Za-z0-9_=-]{0,24}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }

        #[test]
        fn bytes_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(encode(&bytes)).unwrap(), bytes);
        }
    }
}
