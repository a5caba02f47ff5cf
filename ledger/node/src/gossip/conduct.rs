//! How other nodes behave: what makes this one fed up with another.
//!
//! The network slows down whoever sends more messages than its quota. That alone does not stop a node that sends
//! nothing but junk at the quota's rate, so three things are counted, each far beyond what a working node can do:
//!
//! | counted in ten seconds | at most | a working node |
//! |---|---|---|
//! | messages | [`MESSAGES_MAX`] | one per batch delay: half as many |
//! | messages that cannot be read | [`UNREADABLE_MAX`] | none |
//! | transactions that cannot be read or are signed by nobody | [`FORGED_MAX`] | none: it checks before it sends |
//!
//! A node beyond that is shut out for a while. The network keeps a quorum without it as long as no more than f are.

use std::collections::BTreeMap;

/// The time over which is counted.
const WINDOW_MS: u64 = 10_000;
/// Messages of one node in that time.
pub(super) const MESSAGES_MAX: u32 = 2_000;
/// Messages that cannot be read.
pub(super) const UNREADABLE_MAX: u32 = 16;
/// Transactions that no working node sends.
pub(super) const FORGED_MAX: u32 = 64;

/// What was heard of one node since a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    since_ms: u64,
    messages: u32,
    unreadable: u32,
    forged: u32,
}

/// What a node did too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Messages.
    Flood,
    /// Messages that cannot be read.
    Unreadable,
    /// Transactions that cannot be read or are signed by nobody.
    Forged,
}

impl Fault {
    /// A name for metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Unreadable => "unreadable",
            Self::Forged => "forged",
        }
    }
}

/// The counts of all nodes that were heard. Nodes have proved their keys and are admitted, so there are few.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    heard: BTreeMap<[u8; 32], Heard>,
}

impl Conduct {
    /// Takes note of a message.
    pub(super) fn message(&mut self, sender: [u8; 32], is_readable: bool, now_ms: u64) {
        let heard = self.of(sender, now_ms);
        heard.messages = heard.messages.saturating_add(1);
        heard.unreadable = heard.unreadable.saturating_add(u32::from(!is_readable));
    }

    /// Takes note of transactions that no working node would have sent.
    pub(super) fn forged(&mut self, sender: [u8; 32], count: u32, now_ms: u64) {
        let heard = self.of(sender, now_ms);
        heard.forged = heard.forged.saturating_add(count);
    }

    /// What a node did too much of. It begins anew after that: whoever is told shuts it out.
    pub(super) fn judge(&mut self, sender: [u8; 32]) -> Option<Fault> {
        let heard = self.heard.get(&sender)?;
        let fault = match heard {
            Heard { unreadable, .. } if *unreadable > UNREADABLE_MAX => Fault::Unreadable,
            Heard { forged, .. } if *forged > FORGED_MAX => Fault::Forged,
            Heard { messages, .. } if *messages > MESSAGES_MAX => Fault::Flood,
            _ => return None,
        };
        self.heard.remove(&sender);
        Some(fault)
    }

    fn of(&mut self, sender: [u8; 32], now_ms: u64) -> &mut Heard {
        let heard = self.heard.entry(sender).or_insert(Heard { since_ms: now_ms, ..Heard::default() });
        if now_ms.saturating_sub(heard.since_ms) >= WINDOW_MS {
            *heard = Heard { since_ms: now_ms, ..Heard::default() };
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: [u8; 32] = [1; 32];

    /// A node that sends a message every so many milliseconds for a minute; when it was shut out, and for what.
    fn sends(every_ms: u64, is_readable: bool) -> Option<(u64, Fault)> {
        let mut conduct = Conduct::default();
        let mut now_ms = 0;
        while now_ms < 60_000 {
            conduct.message(NODE, is_readable, now_ms);
            if let Some(fault) = conduct.judge(NODE) {
                return Some((now_ms, fault));
            }
            now_ms += every_ms;
        }
        None
    }

    #[test]
    fn a_node_that_works_is_never_shut_out_however_much_there_is_to_do() {
        // One message per batch delay, and the status.
        assert_eq!(sends(7, true), None);
    }

    #[test]
    fn a_node_that_floods_is_shut_out_within_a_window() {
        let (at_ms, fault) = sends(2, true).unwrap();
        assert_eq!(fault, Fault::Flood);
        assert!(at_ms < WINDOW_MS);
    }

    #[test]
    fn a_node_that_sends_what_cannot_be_read_is_shut_out_sooner() {
        assert_eq!(sends(10, false), Some((10 * u64::from(UNREADABLE_MAX), Fault::Unreadable)));
        // A damaged message now and then is no reason.
        assert_eq!(sends(1_000, false), None);
    }

    #[test]
    fn a_node_that_passes_on_forged_transactions_is_shut_out_and_others_are_not() {
        let mut conduct = Conduct::default();
        conduct.forged(NODE, FORGED_MAX, 0);
        assert_eq!(conduct.judge(NODE), None);
        conduct.forged(NODE, 1, 1);
        assert_eq!(conduct.judge([2; 32]), None);
        assert_eq!(conduct.judge(NODE), Some(Fault::Forged));
        assert_eq!(conduct.judge(NODE), None, "it begins anew");
    }
}
