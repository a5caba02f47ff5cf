//! Random histories of accreditations, judged by the rules and by a second set of rules that is slow, obvious and
//! written from specs/trust.md over plain sets: no records, no walk, no keys.

use std::collections::{BTreeMap, BTreeSet};

use aval_machine::testkit::{AccreditationTerms, DIPLOMA, Kit, MEMBERSHIP, Party, accredited};
use aval_machine::{check, propose_block};
use aval_types::accreditation::Level;
use aval_types::action::RegistryCreate;
use aval_types::{AccreditationKind, Action, Purpose, SubmittedTransaction};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};

/// Party 0 is the root.
const PARTIES: usize = 6;
const ROOT: usize = 0;
const HOUR_S: u64 = 3600;

/// What somebody is accredited for, as the model sees it.
#[derive(Debug, Clone)]
struct Scope {
    kind: AccreditationKind,
    types: BTreeMap<&'static str, (BTreeSet<&'static str>, Level)>,
    depth: u8,
    expires_s: u64,
}

#[derive(Debug, Clone)]
struct Held {
    scope: Scope,
    parent: Option<usize>,
    version: u32,
    revoked_by: Option<usize>,
}

#[derive(Debug, Clone)]
enum Wish {
    Grant { by: usize, subject: usize, scope: Scope, stale: bool },
    Revoke { by: usize, subject: usize },
    Deactivate { party: usize },
}

#[derive(Debug, Clone)]
struct World {
    now_s: u64,
    held: BTreeMap<usize, Held>,
    gone: BTreeSet<usize>,
}

impl World {
    /// The party and those above it, as far as records say.
    fn line(&self, party: usize) -> Vec<usize> {
        let mut line = vec![party];
        while let Some(parent) = self.held.get(&line[line.len() - 1]).and_then(|held| held.parent) {
            line.push(parent);
        }
        line
    }

    fn is_above(&self, who: usize, below: usize) -> bool {
        self.line(below)[1..].contains(&who)
    }

    fn is_live(&self, party: usize, accredits: bool) -> bool {
        let line = self.line(party);
        let good = |party: &usize| {
            self.held
                .get(party)
                .is_some_and(|held| held.revoked_by.is_none() && held.scope.expires_s > self.now_s)
        };
        let accredits_others = |party: &usize| {
            matches!(self.held[party].scope.kind, AccreditationKind::Root | AccreditationKind::Body)
        };
        line.iter().all(good)
            && line.len() <= 4
            && self.held[&line[line.len() - 1]].scope.kind == AccreditationKind::Root
            && accredits_others(&party) == accredits
            && line[1..].iter().all(accredits_others)
            && line.windows(2).all(|pair| self.held[&pair[0]].scope.depth < self.held[&pair[1]].scope.depth)
    }

    fn decide(&self, wish: &Wish, previous: u32) -> Result<(), &'static str> {
        match wish {
            Wish::Grant { by, subject, scope, .. } => {
                self.must_be_there(*by)?;
                if !self.is_live(*by, true) {
                    return Err("accreditation.required");
                }
                if by == subject {
                    return Err("accreditation.self");
                }
                self.must_be_there(*subject)?;
                self.must_be_within(*by, scope)?;
                self.must_be_free(*by, *subject, previous)
            }
            Wish::Revoke { by, subject } => {
                self.must_be_there(*by)?;
                let held = self.held.get(subject).ok_or("accreditation.not_found")?;
                if held.scope.kind == AccreditationKind::Root {
                    return Err("accreditation.root");
                }
                if by != subject {
                    if !self.is_above(*by, *subject) {
                        return Err("accreditation.not_above");
                    }
                    if !self.is_live(*by, true) {
                        return Err("accreditation.required");
                    }
                }
                if held.revoked_by.is_some() { Err("accreditation.revoked") } else { Ok(()) }
            }
            Wish::Deactivate { party } => self.must_be_there(*party),
        }
    }

    fn must_be_there(&self, party: usize) -> Result<(), &'static str> {
        if self.gone.contains(&party) { Err("did.deactivated") } else { Ok(()) }
    }

    fn must_be_within(&self, by: usize, scope: &Scope) -> Result<(), &'static str> {
        for (name, (roles, level)) in &scope.types {
            for above in self.line(by) {
                let Some((held_roles, held_level)) = self.held[&above].scope.types.get(name) else {
                    return Err("accreditation.type");
                };
                if !roles.is_subset(held_roles) {
                    return Err("accreditation.role");
                }
                if level > held_level {
                    return Err("accreditation.level");
                }
            }
        }
        if scope.depth >= self.held[&by].scope.depth || self.line(by).len() >= 4 {
            return Err("accreditation.depth");
        }
        let ends = |party: &usize| self.held[party].scope.expires_s;
        if scope.expires_s <= self.now_s || self.line(by).iter().any(|above| scope.expires_s > ends(above)) {
            return Err("accreditation.expiry");
        }
        Ok(())
    }

    fn must_be_free(&self, by: usize, subject: usize, previous: u32) -> Result<(), &'static str> {
        let Some(held) = self.held.get(&subject) else {
            return if previous == 0 { Ok(()) } else { Err("accreditation.stale") };
        };
        if held.scope.kind == AccreditationKind::Root {
            return Err("accreditation.root");
        }
        if previous != held.version {
            return Err("accreditation.stale");
        }
        match held.revoked_by {
            Some(revoker) if revoker == subject || revoker == by || self.is_above(by, revoker) => Ok(()),
            Some(_) => Err("accreditation.not_above"),
            None if held.parent == Some(by) => Ok(()),
            None if self.is_live(subject, true) || self.is_live(subject, false) => {
                Err("accreditation.exists")
            }
            None => Ok(()),
        }
    }

    fn apply(&mut self, wish: &Wish, previous: u32) {
        match wish {
            Wish::Grant { by, subject, scope, .. } => {
                let held =
                    Held { scope: scope.clone(), parent: Some(*by), version: previous + 1, revoked_by: None };
                self.held.insert(*subject, held);
            }
            Wish::Revoke { by, subject } => self.revoke(*subject, *by),
            Wish::Deactivate { party } => {
                self.gone.insert(*party);
                if self.held.get(party).is_some_and(|held| held.revoked_by.is_none()) {
                    self.revoke(*party, *party);
                }
            }
        }
    }

    fn revoke(&mut self, subject: usize, by: usize) {
        let held = self.held.get_mut(&subject).unwrap();
        held.revoked_by = Some(by);
        held.version += 1;
    }
}

/// The rules and the model side by side.
struct Pair {
    kit: Kit,
    parties: Vec<Party>,
    world: World,
    answers: BTreeSet<&'static str>,
}

impl Pair {
    fn new() -> Self {
        let mut kit = Kit::ready(1);
        let mut parties = vec![kit.root.clone()];
        for number in 1..PARTIES {
            let (party, _) = kit.member(number as u64);
            parties.push(party);
        }
        let record = kit.accreditation(&kit.root.did).unwrap();
        let roles = ["auditor", "endorser", "member", "observer", "operator", "supervisor"];
        let scope = Scope {
            kind: AccreditationKind::Root,
            types: BTreeMap::from([
                (DIPLOMA, (BTreeSet::new(), Level::High)),
                (MEMBERSHIP, (BTreeSet::from(roles), Level::High)),
            ]),
            depth: 3,
            expires_s: record.expires / 1000,
        };
        let held = BTreeMap::from([(ROOT, Held { scope, parent: None, version: 1, revoked_by: None })]);
        let world = World { now_s: kit.now_s, held, gone: BTreeSet::new() };
        Self { kit, parties, world, answers: BTreeSet::new() }
    }

    fn version(&self, subject: usize) -> u32 {
        self.world.held.get(&subject).map_or(0, |held| held.version)
    }

    fn submit(&self, wish: &Wish, previous: u32) -> SubmittedTransaction {
        match wish {
            Wish::Grant { by, subject, scope, .. } => {
                let types = scope.types.iter().map(|(name, (roles, level))| {
                    accredited(name, &roles.iter().copied().collect::<Vec<_>>(), *level)
                });
                let mut types: Vec<_> = types.collect();
                types.sort();
                let terms = AccreditationTerms {
                    kind: scope.kind,
                    types,
                    depth: scope.depth,
                    expires_s: scope.expires_s,
                    credential: aval_codec::sha256(b"credential"),
                };
                self.parties[*by].accredit_after(&self.kit, &self.parties[*subject].did, &terms, previous)
            }
            Wish::Revoke { by, subject } => {
                self.parties[*by].revoke_accreditation(&self.kit, &self.parties[*subject].did)
            }
            Wish::Deactivate { party } => self.parties[*party].clone().deactivate(&self.kit),
        }
    }

    /// One block of wishes, as a proposer makes it.
    fn block(&mut self, pause_s: u64, wishes: &[Wish]) -> Result<(), TestCaseError> {
        self.kit.now_s += pause_s;
        self.world.now_s += pause_s;
        let before = self.world.clone();
        let mut wishes: Vec<(Wish, u32)> = wishes
            .iter()
            .map(|wish| {
                let previous = match wish {
                    Wish::Grant { subject, stale, .. } => self.version(*subject) + u32::from(*stale),
                    _ => 0,
                };
                (wish.clone(), previous)
            })
            .collect();
        for (wish, _) in &mut wishes {
            if let Wish::Grant { scope, .. } = wish {
                scope.expires_s += self.world.now_s;
            }
        }
        let submitted = wishes.iter().map(|(wish, previous)| self.submit(wish, *previous));
        let checked: Vec<_> = submitted.map(|one| check(one, &self.kit.rules()).unwrap()).collect();
        let context = self.kit.next_context();
        let proposal = propose_block(self.kit.state(), &context, &checked, self.kit.block_limits()).unwrap();
        for (index, (wish, previous)) in wishes.iter().enumerate() {
            let verdict = before.decide(wish, *previous).and_then(|()| self.world.decide(wish, *previous));
            let code = match &verdict {
                Ok(()) => {
                    self.world.apply(wish, *previous);
                    None
                }
                Err(code) => Some(*code),
            };
            self.answers.insert(code.unwrap_or("applied"));
            let dropped = proposal.dropped.iter().find(|dropped| dropped.index == index);
            prop_assert_eq!(dropped.map(|dropped| dropped.reject.code()), code, "{:?}", wish);
        }
        let kept: Vec<_> = proposal.kept.iter().map(|index| checked[*index].clone()).collect();
        self.kit.apply_block(&kept).unwrap();
        self.compare()
    }

    /// Whoever the model holds for a live issuer can make a registry, and nobody else; whoever accredits can accredit.
    fn compare(&self) -> Result<(), TestCaseError> {
        for (party, keys) in self.parties.iter().enumerate() {
            let action = RegistryCreate {
                registry: "probe".to_owned(),
                purpose: Purpose::Message,
                bits: 1,
                size: 1024,
                lists: vec![format!("https://probe.example/{party}")],
            };
            let verdict = self.kit.verdict(keys.send(&self.kit, Action::RegistryCreate(action)));
            let expected = match (self.world.gone.contains(&party), self.world.is_live(party, false)) {
                (true, _) => Err("did.deactivated"),
                (false, true) => Ok(()),
                (false, false) => Err("credential.issuer_unaccredited"),
            };
            prop_assert_eq!(verdict.map_err(|reject| reject.code()), expected, "party {}", party);
            let record = self.kit.accreditation(&keys.did);
            let held = self.world.held.get(&party);
            prop_assert_eq!(
                record.map(|record| (record.version, record.revoked.is_some())),
                held.map(|held| (held.version, held.revoked_by.is_some()))
            );
        }
        Ok(())
    }
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![3 => Just(Level::High), 2 => Just(Level::Substantial), 1 => Just(Level::Low)]
}

fn scope() -> impl Strategy<Value = Scope> {
    let roles = prop::sample::subsequence(vec!["endorser", "member", "operator", "stranger"], 0..3);
    let kind = prop_oneof![
        Just((AccreditationKind::Issuer, 0)),
        (1u8..3).prop_map(|n| (AccreditationKind::Body, n))
    ];
    // Mostly what can be given; a few beyond every bound.
    let roles = prop_oneof![3 => Just(vec!["member"]), 1 => roles];
    let expires =
        prop_oneof![6 => Just(100 * HOUR_S), 3 => 1..(20 * HOUR_S), 1 => Just(40 * 365 * 24 * HOUR_S)];
    let diploma = prop_oneof![2 => Just(None), 1 => level().prop_map(Some)];
    (kind, roles, level(), diploma, expires).prop_map(|((kind, depth), roles, level, diploma, expires_s)| {
        let mut types = BTreeMap::from([(MEMBERSHIP, (roles.into_iter().collect(), level))]);
        types.extend(diploma.map(|level| (DIPLOMA, (BTreeSet::new(), level))));
        Scope { kind, types, depth, expires_s }
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let party = || prop_oneof![2 => Just(ROOT), 5 => 0..PARTIES];
    prop_oneof![
        8 => (party(), 0..PARTIES, scope(), prop::bool::weighted(0.05))
            .prop_map(|(by, subject, scope, stale)| Wish::Grant { by, subject, scope, stale }),
        4 => (party(), 0..PARTIES).prop_map(|(by, subject)| Wish::Revoke { by, subject }),
        // The root's end would end every history.
        1 => (1..PARTIES).prop_map(|party| Wish::Deactivate { party }),
    ]
}

fn history() -> impl Strategy<Value = Vec<(u64, Vec<Wish>)>> {
    prop::collection::vec(
        (prop_oneof![4 => Just(1), 1 => 1..(10 * HOUR_S)], prop::collection::vec(wish(), 1..5)),
        1..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_and_the_model_agree_on_every_history_of_accreditations(history in history()) {
        let mut pair = Pair::new();
        for (pause_s, wishes) in &history {
            pair.block(*pause_s, wishes)?;
        }
    }
}

/// A comparison of two sets of rules is worth as much as the answers that come up in it.
#[test]
fn random_histories_reach_every_answer_about_accreditations() {
    let mut runner = TestRunner::deterministic();
    let mut missing = BTreeSet::from([
        "applied",
        "accreditation.depth",
        "accreditation.exists",
        "accreditation.expiry",
        "accreditation.level",
        "accreditation.not_above",
        "accreditation.not_found",
        "accreditation.required",
        "accreditation.revoked",
        "accreditation.role",
        "accreditation.root",
        "accreditation.self",
        "accreditation.stale",
        "accreditation.type",
        "did.deactivated",
    ]);
    for _ in 0..500 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let mut pair = Pair::new();
        for (pause_s, wishes) in &history {
            pair.block(*pause_s, wishes).unwrap();
        }
        missing.retain(|answer| !pair.answers.contains(answer));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never came up: {missing:?}");
}
