//! Places in the stream of events, and their ids.

use std::fmt;

/// The next event that has not been sent: everything before it, in the order of the fields, has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    /// Height of the block.
    pub(super) height: u64,
    /// Place of the receipt in its block.
    pub(super) leaf: u64,
    /// Place of the event in its receipt.
    pub(super) event: u64,
}

impl Cursor {
    /// The first event of a block.
    pub(super) fn at(height: u64) -> Self {
        Self { height, leaf: 0, event: 0 }
    }

    /// What comes after an id: after `12-0-1` the event `12-0-2`, after `12` block 13.
    pub(super) fn after(id: &str) -> Option<Self> {
        let mut parts = id.split('-').map(number);
        let height = parts.next()??;
        let Some(leaf) = parts.next() else { return Some(Self::at(height.checked_add(1)?)) };
        let (leaf, event) = (leaf?, parts.next()??);
        match parts.next() {
            None => Some(Self { height, leaf, event: event.checked_add(1)? }),
            Some(_) => None,
        }
    }
}

/// The id of the event at this place.
impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.height, self.leaf, self.event)
    }
}

/// A plain decimal number.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_what_comes_after_it() {
        let place = Cursor { height: 12, leaf: 3, event: 1 };
        assert_eq!(place.to_string(), "12-3-1");
        assert_eq!(Cursor::after("12-3-1"), Some(Cursor { event: 2, ..place }));
        assert_eq!(Cursor::after("12"), Some(Cursor::at(13)));
        assert!(Cursor::at(13) > place);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for id in ["", "x", "-1", "1-", "1-2", "1-2-", "1-2-3-4", "+1", "1-2-x", " 1", "18446744073709551615"]
        {
            assert_eq!(Cursor::after(id), None, "{id}");
        }
    }
}
