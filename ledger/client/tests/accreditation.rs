//! Who was accredited, judged offline from a node's answer: honest answers, noes, and every way to lie.

mod support;

use aval_client::{AccreditationAnswer, AccreditationQuestion, ClientError};
use aval_did::Did;
use aval_proof::{Claim, LedgerProof, TrustAnchor};
use aval_types::accreditation::{Capacity, Why};
use serde_json::{Value, json};
use support::FakeLedger;
use support::ledger::CREDENTIAL_TYPE;

/// A ledger of a few blocks in which nothing happens: the issuer stands on the operator, who is the root.
struct World {
    ledger: FakeLedger,
    anchor: TrustAnchor,
    root: Did,
}

impl World {
    fn new() -> Self {
        let mut ledger = FakeLedger::new();
        for _ in 0..4 {
            ledger.heartbeat();
        }
        let anchor = TrustAnchor::from_genesis(&ledger.genesis).unwrap();
        let genesis: Value = serde_json::from_slice(&ledger.genesis).unwrap();
        let root = genesis["accreditations"][0]["did"].as_str().unwrap().parse().unwrap();
        Self { ledger, anchor, root }
    }

    fn question(&self) -> AccreditationQuestion {
        AccreditationQuestion {
            subject: self.ledger.issuer.clone(),
            capacity: Capacity::Issue,
            credential_type: Some(CREDENTIAL_TYPE.to_owned()),
            role: Some("member".to_owned()),
            at_s: None,
        }
    }

    fn proof(&self, did: &Did, height: usize) -> Value {
        value(&self.ledger.state_proof(&format!("accreditation/{did}"), height))
    }

    fn header(&self, height: usize) -> Value {
        value(&self.ledger.proof(&self.ledger.blocks[height].header, Claim::Header))
    }

    fn time_s(&self, height: usize) -> u64 {
        self.ledger.blocks[height].header.time_ms / 1000
    }

    fn newest(&self) -> usize {
        self.ledger.blocks.len() - 1
    }

    /// What an honest node answers from a height.
    fn answer(&self, height: usize) -> Value {
        let dids = [&self.ledger.issuer, &self.root];
        let proofs: Vec<Value> = dids.iter().map(|did| self.proof(did, height)).collect();
        let mut answer = json!({"accredited": true, "proofs": proofs});
        if height < self.newest() {
            answer["next"] = self.header(height + 1);
        }
        answer
    }

    fn judge(
        &self,
        answer: &Value,
        question: &AccreditationQuestion,
    ) -> Result<aval_client::AccreditationVerdict, ClientError> {
        AccreditationAnswer::from_json(answer.to_string().as_bytes())?.verify(question, &self.anchor)
    }

    /// The code of the error.
    fn lie(&self, answer: &Value, question: &AccreditationQuestion) -> String {
        self.judge(answer, question).expect_err("the answer proves nothing").code().to_owned()
    }
}

fn value(proof: &LedgerProof) -> Value {
    serde_json::from_slice(&proof.to_json()).unwrap()
}

#[test]
fn a_yes_is_the_chain_up_to_its_root_and_dated() {
    let world = World::new();
    let verdict = world.judge(&world.answer(world.newest()), &world.question()).unwrap();
    let chain = verdict.outcome.unwrap();
    assert_eq!(chain.links().len(), 2);
    assert_eq!((&chain.links()[0].subject, &chain.links()[1].subject), (&world.ledger.issuer, &world.root));
    assert_eq!(verdict.height, world.ledger.blocks[world.newest()].header.height);
    assert!(!verdict.is_settled);
}

#[test]
fn an_answer_about_the_past_is_settled_by_the_block_that_followed() {
    let world = World::new();
    // Between the block of genesis and the first one.
    let at_s = world.time_s(0) + 100;
    let question = AccreditationQuestion { at_s: Some(at_s), ..world.question() };
    let verdict = world.judge(&world.answer(0), &question).unwrap();
    assert!(verdict.is_accredited() && verdict.is_settled);
    assert_eq!((verdict.at_ms, verdict.height), (at_s * 1000, 0));
}

#[test]
fn a_no_is_a_verdict_with_the_link_that_breaks() {
    let world = World::new();
    let mut answer = world.answer(world.newest());
    answer["accredited"] = json!(false);
    let why = |question: &AccreditationQuestion| {
        world
            .judge(&answer, question)
            .unwrap()
            .outcome
            .map_err(|broken| (broken.link, broken.why))
            .unwrap_err()
    };
    let other = Some("Other".to_owned());
    assert_eq!(
        why(&AccreditationQuestion { credential_type: other.clone(), ..world.question() }),
        (0, Why::Type)
    );
    assert_eq!(why(&AccreditationQuestion { role: other, ..world.question() }), (0, Why::Role));
    assert_eq!(
        why(&AccreditationQuestion { capacity: Capacity::Accredit, ..world.question() }),
        (0, Why::Kind)
    );
    assert_eq!(
        why(&AccreditationQuestion { at_s: Some(2_000_000_000), ..world.question() }),
        (0, Why::Expired)
    );
    // The absence of a record is proven like a record.
    let nobody: Did = support_did();
    let answer = json!({"accredited": false, "proofs": [world.proof(&nobody, world.newest())]});
    let question = AccreditationQuestion { subject: nobody, ..world.question() };
    let broken = world.judge(&answer, &question).unwrap().outcome.unwrap_err();
    assert_eq!((broken.link, broken.why), (0, Why::Absent));
}

/// A DID of the network that nobody has heard of.
fn support_did() -> Did {
    let hash = aval_codec::sha256(b"nobody");
    Did::new(support::ledger::LABEL, &hash).unwrap()
}

#[test]
fn an_answer_that_does_not_prove_what_it_says_is_an_error() {
    let world = World::new();
    let (newest, question) = (world.newest(), world.question());
    let good = world.answer(newest);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut answer = good.clone();
        change(&mut answer);
        world.lie(&answer, &question)
    };
    let contradiction = "client.contradiction";
    assert_eq!(with(&|answer| answer["accredited"] = json!(false)), contradiction);
    assert_eq!(with(&|answer| drop(answer["proofs"].as_array_mut().unwrap().pop())), contradiction);
    assert_eq!(with(&|answer| drop(answer["proofs"].as_array_mut().unwrap().remove(0))), contradiction);
    assert_eq!(with(&|answer| answer["proofs"] = json!([])), contradiction);
    // Links of different blocks, a header in place of a record, a record of something else.
    assert_eq!(with(&|answer| answer["proofs"][1] = world.proof(&world.root, newest - 1)), contradiction);
    assert_eq!(with(&|answer| answer["proofs"][1] = world.header(newest)), contradiction);
    let did = value(&world.ledger.state_proof(&format!("did/{}", world.root), newest));
    assert_eq!(with(&|answer| answer["proofs"][1] = did.clone()), contradiction);
    // A changed record, a forged absence.
    let forged = with(&|answer| answer["proofs"][0]["state"]["value"] = Value::Null);
    assert!(forged.starts_with("proof."), "{forged}");
    let swapped = with(&|answer| {
        answer["proofs"][0]["state"]["value"] = answer["proofs"][1]["state"]["value"].clone();
    });
    assert!(swapped.starts_with("proof."), "{swapped}");
    // Somebody else's chain.
    let foreign = World { ledger: FakeLedger::with_seed(40), ..World::new() };
    let answer = json!({"accredited": true, "proofs": [foreign.proof(&foreign.ledger.issuer, 1)]});
    assert!(world.lie(&answer, &question).starts_with("proof."));
}

#[test]
fn a_node_cannot_pass_off_another_time_for_the_one_asked_about() {
    let world = World::new();
    let newest = world.newest();
    let at =
        |height: usize| AccreditationQuestion { at_s: Some(world.time_s(height) + 1), ..world.question() };
    // A block that is later than the time asked about.
    let early = AccreditationQuestion { at_s: Some(world.time_s(0)), ..world.question() };
    assert_eq!(world.lie(&world.answer(newest), &early), "client.contradiction");
    // An older block than the newest one of that time: its next one came before the time asked about.
    let late = AccreditationQuestion { at_s: Some(world.time_s(newest) + 100), ..world.question() };
    assert_eq!(world.lie(&world.answer(1), &late), "client.contradiction");
    // A next block that is not the next one.
    let mut answer = world.answer(1);
    answer["next"] = world.header(3);
    assert_eq!(world.lie(&answer, &at(1)), "client.contradiction");
    // Without a next one an answer is about the present, and that is not behind what was seen before.
    let seen = {
        let proof = world.ledger.proof(&world.ledger.blocks[newest].header, Claim::Header);
        let mut anchor = world.anchor.clone();
        let verified = proof.verify(&anchor).unwrap();
        anchor.advance(&verified).unwrap();
        anchor
    };
    let mut stale = world.answer(1);
    stale.as_object_mut().unwrap().remove("next");
    let answer = AccreditationAnswer::from_json(stale.to_string().as_bytes()).unwrap();
    assert!(answer.verify(&world.question(), &seen).unwrap_err().code().starts_with("proof."));
    // Kept and dated it is good for what it was.
    assert_eq!(answer.verify_kept(&world.question(), &seen).unwrap().height, 1);
}
