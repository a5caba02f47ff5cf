//! Base58 with the Bitcoin alphabet, for texts as short as keys and hashes are.
//!
//! Every transaction reads and writes about twenty of them. The usual way works digit by digit and byte by
//! byte; this one takes five digits and four bytes at a time, which is about ten times faster. It still takes
//! time quadratic in the length: callers bound what they pass. Specification §2 and §3.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Digits that are taken at once, and 58 to that power.
const GROUP: usize = 5;
const GROUP_BASE: u64 = 58u64.pow(GROUP as u32);

const NO_DIGIT: u8 = u8::MAX;

/// The digit of each byte.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which refuses an index that is out of range"
)]
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// The text of some bytes; each leading zero byte becomes a `1`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // The number, least significant word first.
    let word = |chunk: &[u8]| chunk.iter().fold(0, |word: u32, byte| word << 8 | u32::from(*byte));
    let mut words: Vec<u32> = bytes.rchunks(4).map(word).collect();
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 7 / 5 + GROUP);
    loop {
        while words.last() == Some(&0) {
            words.pop();
        }
        if words.is_empty() {
            break;
        }
        let mut remainder = 0u64;
        for word in words.iter_mut().rev() {
            // The remainder is below the base, so the quotient fits a word.
            let dividend = remainder << 32 | u64::from(*word);
            *word = (dividend / GROUP_BASE) as u32;
            remainder = dividend % GROUP_BASE;
        }
        for _ in 0..GROUP {
            digits.push((remainder % 58) as u8);
            remainder /= 58;
        }
    }
    while digits.last() == Some(&0) {
        digits.pop();
    }
    digits.resize(digits.len() + zeros, 0);
    let character = |digit: &u8| ALPHABET.get(usize::from(*digit)).copied().map_or('1', char::from);
    digits.iter().rev().map(character).collect()
}

/// The bytes of a text; `None` if a character is not of the alphabet. The inverse of [`encode`]: there is one text for
/// some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|byte| *byte == b'1').count();
    let mut words: Vec<u32> = Vec::with_capacity(text.len() / GROUP + 1);
    for group in text.as_bytes().chunks(GROUP) {
        let (mut scale, mut carry) = (1u64, 0u64);
        for byte in group {
            let digit = DIGITS.get(usize::from(*byte)).copied().filter(|digit| *digit != NO_DIGIT)?;
            scale *= 58;
            carry = carry * 58 + u64::from(digit);
        }
        for word in &mut words {
            // At most (2^32 − 1) · 58^5 plus a carry that fits a word: far below 2^64.
            let product = u64::from(*word) * scale + carry;
            *word = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            words.push(carry as u32);
        }
    }
    let mut bytes = vec![0; zeros];
    let significant = words.iter().rev().flat_map(|word| word.to_be_bytes()).skip_while(|byte| *byte == 0);
    bytes.extend(significant);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_texts_are_written_and_read() {
        // draft-msporny-base58 §5.
        let known: [(&[u8], &str); 4] = [
            (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
            (
                b"The quick brown fox jumps over the lazy dog.",
                "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
            ),
            (&[0, 0, 0x28, 0x7f, 0xb4, 0xcd], "11233QC4"),
            (b"", ""),
        ];
        for (bytes, text) in known {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn characters_outside_of_the_alphabet_are_refused() {
        for text in ["0", "O", "I", "l", " ", "é", "2NEpo7TZRRrLZSi2U ", "+", "\0"] {
            assert_eq!(decode(text), None);
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_crate_that_everybody_uses(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = bs58::encode(&bytes).into_string();
            prop_assert_eq!(encode(&bytes), text.clone());
            prop_assert_eq!(decode(&text), Some(bytes));
        }

        #[test]
        fn it_agrees_on_texts_too(text in "[1-9A-HJ-NP-Za-km-z]{0,60}|.{0,20}|1{0,9}[2-9]{0,9}") {
            let expected = bs58::decode(&text).into_vec().ok();
            prop_assert_eq!(decode(&text), expected);
        }
    }
}
