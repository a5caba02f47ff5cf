//! Random histories, judged by the rules and by the model of [`crate::model`], must have the same outcome everywhere.

use std::collections::BTreeSet;

use aval_credential::StatusPurpose;
use aval_did::DidRecord;
use aval_machine::bitmap::Place;
use aval_machine::testkit::{Credential, Draft, Kit, Options, Party};
use aval_machine::{Checked, ExecuteError, StateRead, execute_block, propose_block, state_key};
use aval_types::action::{DidCreate, StatusChange};
use aval_types::supervision::{
    SupervisionAllow, SupervisionDeny, SupervisionHold, SupervisionRelease, Target,
};
use aval_types::{Action, Outcome, Purpose, RegistryId, SubmittedTransaction};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::model::{Aim, List, ModelCredential, ModelTransaction, QUOTA, QUOTA_S, Wish, World};

const PARTIES: usize = 4;
/// Credentials of each party.
const CREDENTIALS: usize = 6;
const SUSPENSION_LIST: &str = "https://issuer.example/status/suspended";

/// What happens next; `back` counts from the newest version or transaction.
#[derive(Debug, Clone)]
enum Step {
    CreateWith { party: usize, credential: usize },
    CreateEndorsed { party: usize, endorser: usize },
    Present { party: usize, credential: usize },
    Update { party: usize, back: usize, endorser: Option<usize> },
    Rotate { party: usize, back: usize },
    Deactivate { party: usize, back: usize },
    SetStatus { credential: usize, from: u8, to: u8 },
    EndIssuer,
    Hold { aim: Aim, seconds: u64 },
    Release { back: usize },
    Deny { aim: Aim },
    Allow { aim: Aim },
    Again { back: usize },
}

/// A party and one of the credentials, as a rule its own and as a rule the first of them.
fn presentation() -> impl Strategy<Value = (usize, usize)> {
    let kind = prop_oneof![4 => Just(0usize), 3 => Just(1usize), 2 => Just(3usize), 5 => 0..CREDENTIALS];
    (0..PARTIES, kind, prop::bool::weighted(0.85), 0..PARTIES)
        .prop_map(|(party, kind, own, other)| (party, if own { party } else { other } * CREDENTIALS + kind))
}

fn step() -> impl Strategy<Value = Step> {
    let party = 0..PARTIES;
    // Most of the time the newest version is meant.
    let back = prop_oneof![6 => Just(0usize), 1 => 1usize..4];
    prop_oneof![
        4 => presentation().prop_map(|(party, credential)| Step::CreateWith { party, credential }),
        4 => (party.clone(), party.clone()).prop_map(|(party, endorser)| Step::CreateEndorsed { party, endorser }),
        3 => presentation().prop_map(|(party, credential)| Step::Present { party, credential }),
        8 => (party.clone(), back.clone(), prop::option::weighted(0.3, party.clone()))
            .prop_map(|(party, back, endorser)| Step::Update { party, back, endorser }),
        4 => (party.clone(), back.clone()).prop_map(|(party, back)| Step::Rotate { party, back }),
        1 => (party, back).prop_map(|(party, back)| Step::Deactivate { party, back }),
        4 => (presentation(), prop::bool::weighted(0.8)).prop_map(|((_, credential), rises)| {
            let (from, to) = if rises { (0, 1) } else { (1, 0) };
            Step::SetStatus { credential, from, to }
        }),
        2 => supervision(),
        2 => (0usize..6).prop_map(|back| Step::Again { back }),
        1 => prop::bool::weighted(0.3).prop_map(|ends| if ends { Step::EndIssuer } else { Step::Again { back: 0 } }),
    ]
}

fn supervision() -> impl Strategy<Value = Step> {
    let did = prop_oneof![6 => (0..PARTIES).prop_map(Aim::Party), 1 => Just(Aim::Issuer)];
    let held = prop_oneof![5 => did.clone(), 1 => Just(Aim::Updates)];
    prop_oneof![
        3 => (held, prop_oneof![Just(2u64), 1u64..400]).prop_map(|(aim, seconds)| Step::Hold { aim, seconds }),
        3 => (0usize..3).prop_map(|back| Step::Release { back }),
        2 => did.clone().prop_map(|aim| Step::Deny { aim }),
        3 => did.prop_map(|aim| Step::Allow { aim }),
    ]
}

/// Blocks of steps, each after some seconds.
fn history() -> impl Strategy<Value = Vec<(u64, Vec<Step>)>> {
    let pause = prop_oneof![6 => Just(1u64), 2 => 2u64..300, 1 => 500u64..700, 1 => Just(90_000u64)];
    let any = prop::collection::vec((pause, prop::collection::vec(step(), 1..7)), 1..16);
    // One party rotates until it may not any more.
    let rotating = (1u64..300, step()).prop_map(|(pause_s, step)| (pause_s, vec![ROTATION, step]));
    let rotations = prop::collection::vec(rotating, 9..14).prop_map(|mut blocks| {
        blocks.insert(0, (1, vec![Step::CreateWith { party: 0, credential: 0 }]));
        blocks
    });
    prop_oneof![5 => any, 1 => rotations]
}

const ROTATION: Step = Step::Rotate { party: 0, back: 0 };

/// A transaction in both worlds, and what its party is once it has taken effect.
type Issued = (ModelTransaction, SubmittedTransaction, Option<(usize, Party)>);

/// Both worlds side by side.
struct Pair {
    kit: Kit,
    supervisor: Party,
    world: World,
    /// Every version of a party that came to be, oldest first.
    versions: Vec<Vec<Party>>,
    credentials: Vec<Credential>,
    issued: Vec<Issued>,
    /// Every answer that came up, on the state before a block or inside it.
    answers: BTreeSet<&'static str>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut options = Options { seed, ..Options::default() };
        options.parameters.quota.window_ms = QUOTA_S * 1000;
        options.parameters.quota.per_grant = u32::try_from(QUOTA).unwrap();
        let mut kit = Kit::with(options);
        let registry = kit.create_registry();
        kit.expect_applied(registry);
        let supervisor = kit.company(100);
        let credential = kit.credential(&supervisor, &["member", "supervisor"]);
        kit.expect_applied(supervisor.create_with(&kit, &credential));
        let registry = kit.create_registry_of(Purpose::Suspension, "suspended", 1, SUSPENSION_LIST);
        kit.expect_applied(registry);
        let parties: [Party; PARTIES] =
            [kit.company(0), kit.company(1), kit.company_of(2, 2, 3), kit.company_p256(3)];
        let (mut credentials, mut model) = (Vec::new(), Vec::new());
        for (holder, party) in parties.iter().enumerate() {
            let mut add =
                |roles: &[&'static str], lifetime_s: u64, list: List, index: Option<u64>, genuine: bool| {
                    let mut terms = kit.terms(party);
                    terms.roles = roles.iter().map(|role| (*role).to_owned()).collect();
                    terms.valid_until_s = kit.now_s + lifetime_s;
                    terms.index = index.unwrap_or(terms.index);
                    if list == List::Suspension {
                        terms.list = SUSPENSION_LIST.to_owned();
                        terms.purpose = StatusPurpose::Suspension;
                        terms.registry = RegistryId::new(kit.issuer.did.clone(), "suspended").unwrap();
                    }
                    model.push(ModelCredential {
                        holder,
                        genuine_issuer: genuine,
                        roles: roles.to_vec(),
                        expires_s: terms.valid_until_s,
                        entry: (list, terms.index),
                    });
                    let issuer = if genuine { &kit.issuer } else { &kit.operators[0] };
                    credentials.push(kit.issue(issuer, terms));
                };
            add(&["member"], 10 * 86_400, List::Revocation, None, true);
            add(&["endorser", "member"], 100_000, List::Suspension, None, true);
            add(&["endorser"], 10 * 86_400, List::Revocation, None, true);
            add(&["member"], 200, List::Revocation, None, true);
            // Two credentials on one status entry: an issuer's mistake that must not make two grants.
            add(&["member"], 10 * 86_400, List::Revocation, Some(5_000), true);
            add(&["member"], 10 * 86_400, List::Revocation, None, false);
        }
        let world = World::new(kit.now_s, model);
        let versions = parties.into_iter().map(|party| vec![party]).collect();
        Self { kit, supervisor, world, versions, credentials, issued: Vec::new(), answers: BTreeSet::new() }
    }

    /// The version of a party that lies `back` before its newest, and that version's number in the model.
    fn version(&self, party: usize, back: usize) -> (Party, u64) {
        let versions = &self.versions[party];
        let index = versions.len() - 1 - back.min(versions.len() - 1);
        (versions[index].clone(), index as u64 + 1)
    }

    /// Builds the transaction of a step; returns its number, and nothing if the step makes no sense.
    fn build(&mut self, step: &Step) -> Option<usize> {
        let kit = &self.kit;
        let (wish, submitted, next) = match *step {
            Step::Again { back } => {
                let index = self.issued.len().checked_sub(1 + back)?;
                return Some(index);
            }
            Step::CreateWith { party, credential } => {
                let (owner, _) = self.version(party, usize::MAX);
                let presented = &self.credentials[credential];
                let grant = Some(presented.grant(&owner.did));
                // Whoever presents it, its holder has bound it: the holder's key is what the rules must look at.
                let holder = self.version(self.world.credentials[credential].holder, 0).0;
                let action = Action::DidCreate(DidCreate { operation: owner.inception(), grant });
                let draft =
                    Draft::new(kit, action).controllers(&owner).presenting(presented, &holder.authentication);
                (Wish::CreateWith { party, credential }, draft.submit(), None)
            }
            Step::CreateEndorsed { party, endorser } if party != endorser => {
                let (owner, _) = self.version(party, usize::MAX);
                let (other, _) = self.version(endorser, 0);
                (Wish::CreateEndorsed { party, endorser }, owner.create_endorsed(kit, &other), None)
            }
            Step::Present { party, credential } => {
                let (owner, _) = self.version(party, 0);
                let holder = self.version(self.world.credentials[credential].holder, 0).0;
                let presented = &self.credentials[credential];
                let action = aval_types::action::CredentialPresent { grant: presented.grant(&owner.did) };
                let draft = Draft::new(kit, Action::CredentialPresent(action))
                    .sender(&owner)
                    .presenting(presented, &holder.authentication);
                (Wish::Present { party, credential }, draft.submit(), None)
            }
            Step::Update { party, back, endorser } if endorser != Some(party) => {
                let (mut owner, version) = self.version(party, back);
                let document = kit.document(&owner, self.issued.len() as u64);
                let mut draft = owner.update_draft(kit, document);
                if let Some(endorser) = endorser {
                    draft = draft.endorser(&self.version(endorser, 0).0);
                }
                (Wish::Update { party, version, endorser }, draft.submit(), Some((party, owner)))
            }
            Step::Rotate { party, back } => {
                let (mut owner, version) = self.version(party, back);
                let submitted = owner.rotate(kit);
                (Wish::Rotate { party, version }, submitted, Some((party, owner)))
            }
            Step::Deactivate { party, back } => {
                let (mut owner, version) = self.version(party, back);
                let submitted = owner.deactivate(kit);
                (Wish::Deactivate { party, version }, submitted, Some((party, owner)))
            }
            Step::SetStatus { credential, from, to } => {
                let terms = &self.credentials[credential].terms;
                let change = StatusChange { list: terms.list.clone(), index: terms.index, from, to };
                let entry = self.world.credentials[credential].entry;
                let submitted = kit.change_registry(terms.registry.clone(), vec![change]);
                (Wish::SetStatus { entry, from, to }, submitted, None)
            }
            Step::EndIssuer => (Wish::EndIssuer, kit.issuer.clone().deactivate(kit), None),
            Step::Hold { aim, seconds } => {
                let expires_s = kit.now_s + seconds;
                let action = SupervisionHold {
                    target: self.target(aim),
                    reason: "File 7".to_owned(),
                    legal_basis: "Section 12".to_owned(),
                    expires: expires_s * 1000,
                };
                (Wish::Hold { aim, expires_s }, self.supervise(Action::SupervisionHold(action)), None)
            }
            Step::Release { back } => {
                let is_hold = |issued: &&Issued| matches!(issued.0.wish, Wish::Hold { .. });
                let (placed, submitted, _) = self.issued.iter().rev().filter(is_hold).nth(back)?;
                let hold = submitted.transaction.id();
                let submitted = self.supervise(Action::SupervisionRelease(SupervisionRelease { hold }));
                (Wish::Release { hold: placed.number }, submitted, None)
            }
            Step::Deny { aim } => {
                let action = SupervisionDeny { target: self.target(aim), reason: "File 8".to_owned() };
                (Wish::Deny { aim }, self.supervise(Action::SupervisionDeny(action)), None)
            }
            Step::Allow { aim } => {
                let action = SupervisionAllow { target: self.target(aim) };
                (Wish::Allow { aim }, self.supervise(Action::SupervisionAllow(action)), None)
            }
            Step::CreateEndorsed { .. } | Step::Update { .. } => return None,
        };
        let number = self.issued.len();
        self.issued.push((ModelTransaction { number, built_s: kit.now_s, wish }, submitted, next));
        Some(number)
    }

    fn target(&self, aim: Aim) -> Target {
        match aim {
            Aim::Party(party) => Target::Did(self.versions[party][0].did.clone()),
            Aim::Issuer => Target::Did(self.kit.issuer.did.clone()),
            Aim::Updates => Target::Action("did.update".to_owned()),
        }
    }

    fn supervise(&self, action: Action) -> SubmittedTransaction {
        Draft::new(&self.kit, action).sender(&self.supervisor).submit()
    }

    fn block(&mut self, pause_s: u64, steps: &[Step]) -> Result<(), TestCaseError> {
        self.kit.now_s += pause_s;
        self.world.now_s = self.kit.now_s;
        let mut numbers: Vec<usize> = Vec::new();
        for step in steps {
            if let Some(number) = self.build(step).filter(|number| !numbers.contains(number)) {
                numbers.push(number);
            }
        }
        let checked: Vec<Checked> =
            numbers.iter().map(|number| self.kit.checked(self.issued[*number].1.clone())).collect();
        let context = self.kit.next_context();
        let mut running = self.world.clone();
        let (mut authorized, mut expected, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut first_refused = None;
        for (index, number) in numbers.iter().enumerate() {
            let transaction = &self.issued[*number].0;
            let advice = self.kit.verdict(self.issued[*number].1.clone()).map_err(|reject| reject.code());
            prop_assert_eq!(advice, self.world.decide(transaction), "{:?}", transaction);
            self.answers.insert(advice.err().unwrap_or("authorized"));
            if let Err(code) = advice {
                first_refused.get_or_insert((index, code));
                continue;
            }
            authorized.push(index);
            let outcome = running.decide(transaction);
            expected.push(outcome.err());
            self.answers.insert(if outcome.is_ok() { "applied" } else { "overtaken" });
            running.included.insert(*number);
            if outcome.is_ok() {
                kept.push(index);
                running.apply(transaction);
                if let Some((party, next)) = self.issued[*number].2.clone() {
                    self.versions[party].push(next);
                }
            }
        }
        let whole = execute_block(self.kit.state(), &context, &checked);
        match first_refused {
            Some((at, code)) => match whole {
                Err(ExecuteError::Unauthorized { index, reject }) => {
                    prop_assert_eq!((index, reject.code()), (at, code))
                }
                other => prop_assert!(false, "the block is invalid, not {:?}", other),
            },
            None => prop_assert!(whole.is_ok()),
        }
        let proposal = propose_block(self.kit.state(), &context, &checked, self.kit.block_limits()).unwrap();
        prop_assert_eq!(&proposal.kept, &kept);
        prop_assert_eq!(proposal.kept.len() + proposal.dropped.len(), checked.len());
        let proposed: Vec<&Checked> = kept.iter().map(|index| &checked[*index]).collect();
        prop_assert_eq!(&execute_block(self.kit.state(), &context, &proposed).unwrap(), &proposal.executed);

        let block: Vec<Checked> = authorized.iter().map(|index| checked[*index].clone()).collect();
        let executed = self.kit.apply_block(&block).unwrap();
        prop_assert_eq!(&executed.changes, &proposal.executed.changes);
        let outcomes: Vec<Option<&str>> = executed
            .receipts
            .iter()
            .map(|receipt| match &receipt.outcome {
                Outcome::Applied(_) => None,
                Outcome::Rejected(reject) => Some(reject.code()),
            })
            .collect();
        prop_assert_eq!(outcomes, expected);
        self.world = running;
        self.compare()
    }

    /// The state says what the model says.
    fn compare(&self) -> Result<(), TestCaseError> {
        for party in 0..PARTIES {
            let did = &self.versions[party][0].did;
            let value = self.kit.state().read(state_key::did(did).as_bytes()).unwrap();
            let record = value.map(|bytes| DidRecord::from_bytes(&bytes).unwrap());
            let model = self.world.dids.get(&party);
            prop_assert_eq!(
                record.as_ref().map(|record| (
                    record.version_id.number,
                    record.deactivated,
                    record.grants.len()
                )),
                model.map(|did| (did.version, did.deactivated, did.grants.len()))
            );
        }
        let grants = self.kit.state().entries().filter(|(key, _)| key.starts_with(b"grant/")).count();
        // The supervisor's is not one of the model's.
        prop_assert_eq!(grants, self.world.used_entries.len() + 1);
        let count =
            |prefix: &[u8]| self.kit.state().entries().filter(|(key, _)| key.starts_with(prefix)).count();
        prop_assert_eq!(count(b"hold/"), self.world.holds.len());
        prop_assert_eq!(count(b"deny/did/"), self.world.denied.len());
        for credential in &self.credentials {
            let place = Place::of(credential.terms.index, 1).unwrap();
            let key = state_key::status(&credential.terms.registry, 0, place.chunk);
            let chunk = self.kit.state().read(key.as_bytes()).unwrap().unwrap_or_default();
            let list = match credential.terms.purpose {
                StatusPurpose::Suspension => List::Suspension,
                _ => List::Revocation,
            };
            let expected = self.world.status.get(&(list, credential.terms.index)).copied().unwrap_or(0);
            prop_assert_eq!(place.value(&chunk), expected);
        }
        let issuer = self.kit.accreditation(&self.kit.issuer.did).unwrap();
        prop_assert_eq!(issuer.revoked.is_none(), self.world.issuer_active);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_and_the_model_judge_every_history_alike(seed in 0u64..4, history in history()) {
        let mut pair = Pair::new(seed);
        for (pause_s, steps) in &history {
            pair.block(*pause_s, steps)?;
        }
    }

    #[test]
    fn the_same_history_gives_the_same_bytes(history in history()) {
        let run = || -> Result<Vec<aval_codec::Hash>, TestCaseError> {
            let mut pair = Pair::new(1);
            let mut roots = Vec::new();
            for (pause_s, steps) in &history {
                pair.block(*pause_s, steps)?;
                let text: Vec<u8> = pair.kit.state().entries().flat_map(|(key, value)| [key, value].concat()).collect();
                roots.push(aval_codec::sha256(&text));
            }
            Ok(roots)
        };
        prop_assert_eq!(run()?, run()?);
    }
}

/// Every answer of the model, an authorized transaction's included.
const ANSWERS: [&str; 31] = [
    "applied",
    "authorized",
    "credential.expired",
    "credential.issuer_unaccredited",
    "credential.revoked",
    "credential.suspended",
    "deny.did",
    "did.allowance",
    "did.deactivated",
    "did.exists",
    "did.not_found",
    "did.stale_version",
    "endorser.grant",
    "grant.exists",
    "grant.expired",
    "grant.issuer_unaccredited",
    "grant.required",
    "grant.revoked",
    "grant.role",
    "grant.suspended",
    "overtaken",
    "presentation.holder_key",
    "quota.exceeded",
    "registry.monotonic",
    "registry.stale",
    "supervision.exists",
    "supervision.held",
    "supervision.not_found",
    "supervision.released",
    "transaction.duplicate",
    "transaction.expired",
];

/// A comparison of two sets of rules is worth as much as the answers that come up in it.
#[test]
fn random_histories_reach_every_answer_of_the_model() {
    let mut runner = TestRunner::deterministic();
    let mut missing: BTreeSet<&str> = ANSWERS.into();
    for _ in 0..1_000 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let mut pair = Pair::new(1);
        for (pause_s, steps) in &history {
            pair.block(*pause_s, steps).unwrap();
        }
        missing.retain(|answer| !pair.answers.contains(answer));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never came up: {missing:?}");
}
