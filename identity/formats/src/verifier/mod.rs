//! The one strict entry point for whoever relies on a credential or a presentation, in every format of this crate.
//!
//! Sans-io and in steps: a [`Verification`] says what it wants to know ([`Verification::wants`]), the caller supplies
//! each
//! as [`Evidence`] or says that it cannot be had, until nothing more is wanted; [`Verification::judge`] then gives the
//! [`Answer`]. Time comes with the [`Expectation`].
//!
//! | check | what is looked at |
//! |---|---|
//! | `format`, `data_model` | the secured form is well-formed, and what is in it is a credential or a presentation |
//! | `key_control` | the signing key is the issuer's (or holder's) own, by its document or its certificate |
//! | `key_purpose`, `key_now` | the document lists the key for the purpose, and it is neither expired nor revoked |
//! | `did_active` | the issuer's DID is not deactivated |
//! | `signature` | the signature, and what the proof says of itself: purpose, dates, challenge and domain |
//! | `key_at_signing` | the document of the time of signing had the same key for the same purpose |
//! | `dates`, `type` | the period of validity includes now; it is of the types that the caller relies on |
//! | `schema`, `status` | each schema holds; each status entry is clear in a list that was itself verified |
//! | `accreditation_at_issuance`, `accreditation_now` | the issuer may issue the type, by which chain |
//! | `holder_binding` | the holder's proof and each credential belong together |
//!
//! Always true: nothing is asked for on the word of a document whose signature was not verified, apart from the
//! document of the signer; a signer's key comes from that document alone; *invalid* (a verdict) and *undecided* (it
//! could
//! not be checked) are different, and neither is ever [`Verdict::Verified`]. Only [`Verification::judge`] makes a
//! [`Verified`].

mod answer;
mod claims;
mod evidence;
mod holder;
mod item;
mod keys;
mod lists;
mod schema;
mod secured;

#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Answer, Check, Outcome, Problem, Verdict, Verified, VerifiedCredential};
pub use evidence::{Accreditation, Certified, Evidence, LedgerStatus, Resolution, Want};
pub use lists::KnownList;
pub use secured::Input;

use crate::Contexts;
use crate::json::Limits;
use item::{Item, Role};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is presented for verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One credential.
    Credential,
    /// A presentation: of VCDM, or one SD-JWT with key binding.
    Presentation,
}

/// Whose issuers must be accredited on the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccreditationPolicy {
    /// Nobody's; it is said as a warning.
    Ignored,
    /// Those that are on the ledger (`did:aval`); for others it is said as a warning that nobody vouches for them.
    #[default]
    OfLedger,
    /// Everybody's.
    Required,
}

/// Whether a credential must belong to whoever presents it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HolderPolicy {
    /// A credential about somebody else gives a warning. An SD-JWT that names a holder's key must be bound all the
    /// same.
    #[default]
    Reported,
    /// A credential about somebody else is refused.
    Required,
}

/// What the verifier expects. Start with [`Expectation::at`] and change what is different.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Now, in unix seconds.
    pub now_s: i64,
    /// How far clocks may be apart, in seconds.
    pub skew_s: i64,
    /// The challenge or nonce that was given out for this presentation.
    pub challenge: Option<String>,
    /// The verifier's own name: the domain of a proof, the audience of a token.
    pub domain: Option<String>,
    /// How old a key binding may be, in seconds.
    pub presentation_age_max_s: i64,
    /// Whether a presentation must be signed; without, only the credentials in it are looked at.
    pub signed_presentation: bool,
    /// The types that the caller relies on: each credential must have one of them. Empty for any.
    pub types: Vec<String>,
    /// Who must be accredited.
    pub accreditation: AccreditationPolicy,
    /// Whether a credential must belong to its presenter.
    pub holder: HolderPolicy,
    /// Keys (URLs of verification methods) that were made known as those of an issuer by other ways than its document:
    /// issuers whose identifier resolves to nothing have no others. They count for credentials only.
    pub issuer_keys: BTreeMap<String, Vec<String>>,
    /// Who, beside the issuer of a credential, may sign its status list.
    pub status_issuers: Vec<String>,
    /// Whether a credential without status entry is refused.
    pub status_required: bool,
    /// Fewest entries of a bitstring status list.
    pub status_entries_min: u64,
    /// Whether revocation and suspension by an issuer on the ledger are read from its registries there, where the list
    /// is one of them: proven, as of now, and without asking the issuer.
    pub status_of_ledger: bool,
    /// How large and deep a secured form may be.
    pub limits: Limits,
    /// The contexts of linked data that are known; those that ship inside, if not said otherwise.
    pub contexts: Option<Arc<Contexts>>,
}

impl Expectation {
    /// What is expected by default at this time (unix seconds).
    pub fn at(now_s: i64) -> Self {
        Self {
            now_s,
            skew_s: 60,
            challenge: None,
            domain: None,
            presentation_age_max_s: 300,
            signed_presentation: true,
            types: Vec::new(),
            accreditation: AccreditationPolicy::default(),
            holder: HolderPolicy::default(),
            issuer_keys: BTreeMap::new(),
            status_issuers: Vec::new(),
            status_required: false,
            status_entries_min: crate::status::ENTRIES_MIN,
            status_of_ledger: false,
            limits: Limits::default(),
            contexts: None,
        }
    }

    fn contexts(&self) -> &Contexts {
        self.contexts.as_deref().unwrap_or_else(|| Contexts::shipped())
    }
}

/// Most questions of one verification: a presentation must not make the verifier fetch without end.
const WANTS_MAX: usize = 256;

/// A verification under way.
#[derive(Debug)]
pub struct Verification {
    expectation: Expectation,
    kind: Kind,
    items: Vec<Item>,
    state: State,
}

/// What the items of a verification share.
#[derive(Debug, Default)]
struct State {
    evidence: BTreeMap<Want, Evidence>,
    wants: Vec<Want>,
    asked: usize,
    lists: BTreeMap<(bool, String), lists::ListState>,
    checks: Vec<Check>,
    spawned: Vec<Item>,
}

impl State {
    /// The evidence, or `None`, and it is wanted from now on.
    fn evidence(&mut self, want: &Want) -> Option<Evidence> {
        if let Some(evidence) = self.evidence.get(want) {
            return Some(evidence.clone());
        }
        if !self.wants.contains(want) {
            if self.asked >= WANTS_MAX {
                return Some(Evidence::Unavailable("too much to look up for one verification".to_owned()));
            }
            self.asked += 1;
            self.wants.push(want.clone());
        }
        None
    }
}

impl Verification {
    /// Reads what was presented and goes as far as it can without asking.
    pub fn new(kind: Kind, input: &Input, expectation: Expectation) -> Self {
        let (role, name) = match kind {
            Kind::Credential => (Role::Credential { presented: false }, "credential"),
            Kind::Presentation => (Role::Presentation, "presentation"),
        };
        let mut state = State::default();
        let items = Item::read(role, name, input, &expectation, &mut state);
        let mut verification = Self { expectation, kind, items, state };
        verification.advance();
        verification
    }

    /// What is wanted next. Empty when [`Verification::judge`] can decide.
    pub fn wants(&self) -> &[Want] {
        &self.state.wants
    }

    /// Supplies what was wanted, or says that it cannot be had. What nobody asked for is ignored.
    pub fn supply(&mut self, want: &Want, evidence: Evidence) {
        if let Some(position) = self.state.wants.iter().position(|wanted| wanted == want) {
            self.state.wants.remove(position);
            self.state.evidence.insert(want.clone(), evidence);
            if self.state.wants.is_empty() {
                self.advance();
            }
        }
    }

    /// Asks `supplier` until nothing more is wanted, and judges.
    pub fn run(mut self, mut supplier: impl FnMut(&Want) -> Evidence) -> Answer {
        while let Some(want) = self.state.wants.first().cloned() {
            let evidence = supplier(&want);
            self.supply(&want, evidence);
        }
        self.judge()
    }

    /// Status lists that were verified here, to be kept and supplied to others as [`Evidence::KnownList`].
    pub fn known_lists(&self) -> Vec<Arc<KnownList>> {
        self.state.lists.values().filter_map(lists::ListState::ready).collect()
    }

    /// The answer. Whatever is still wanted counts as not to be had.
    pub fn judge(mut self) -> Answer {
        while let Some(want) = self.state.wants.first().cloned() {
            self.supply(&want, Evidence::Unavailable("it was not supplied".to_owned()));
        }
        holder::check(&self.items, &self.expectation, &mut self.state);
        answer::judge(self.kind, self.items, self.state.checks)
    }

    fn advance(&mut self) {
        loop {
            let mut moved = false;
            for item in &mut self.items {
                moved |= item.advance(&self.expectation, &mut self.state);
            }
            moved |= !self.state.spawned.is_empty();
            self.items.append(&mut self.state.spawned);
            if !moved {
                return;
            }
        }
    }
}
