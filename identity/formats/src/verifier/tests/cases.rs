//! Every way in which something is wrong: one case for each trap and each attack that concerns a verifier.

mod credentials;
mod holders;
mod keys;
mod statuses;
mod tokens;

use super::world::{Facts, NOW_S, asked};
use crate::verifier::{Expectation, Input, Kind};

/// One thing that is wrong.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) wrong: &'static str,
    pub(super) kind: Kind,
    pub(super) input: Input,
    pub(super) expectation: Expectation,
    pub(super) facts: Facts,
    pub(super) outcome: &'static str,
    pub(super) code: &'static str,
}

impl Case {
    fn new(name: &'static str, wrong: &'static str, kind: Kind, input: Input, code: &'static str) -> Self {
        let expectation = if kind == Kind::Credential { Expectation::at(NOW_S) } else { asked() };
        Self { name, wrong, kind, input, expectation, facts: Facts::new(), outcome: "invalid", code }
    }

    /// It could not be checked, which is no verdict.
    fn undecided(self) -> Self {
        Self { outcome: "undecided", ..self }
    }

    fn facts(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.facts);
        self
    }

    fn expecting(mut self, change: impl FnOnce(&mut Expectation)) -> Self {
        change(&mut self.expectation);
        self
    }
}

pub(super) fn cases() -> Vec<Case> {
    [keys::cases(), credentials::cases(), tokens::cases(), statuses::cases(), holders::cases()]
        .into_iter()
        .flatten()
        .collect()
}
