//! Governance and supervision.

use aval_did::Did;
use aval_types::governance::{AGENDA_MAX, AHEAD_BLOCKS_MAX, Change, OPEN_PER_GOVERNOR_MAX};
use aval_types::node::key_bytes;
use aval_types::supervision::{HOLD_MS_MAX, HOLDS_MAX, Target};
use aval_types::{AccreditationKind, Action, TransactionId};

use super::decide::must;
use super::{Model, ModelAccreditation, No, family};

impl Model {
    pub(super) fn may_govern_or_supervise(&self, sender: &Did, action: &Action) -> Result<(), No> {
        match action {
            Action::GovernancePropose(propose) => {
                must(self.is_governor(sender), "it does not govern")?;
                let earliest = self.height + self.parameters.governance.notice_blocks;
                must(propose.execute_at >= earliest, "it comes too soon")?;
                must(propose.execute_at - earliest <= AHEAD_BLOCKS_MAX, "it comes too late")?;
                let open: Vec<_> = self.proposals.values().filter(|one| one.outcome.is_none()).collect();
                let own = open.iter().filter(|one| one.proposer == *sender).count();
                must(own < OPEN_PER_GOVERNOR_MAX, "it has too many proposals")?;
                let due = open.iter().filter(|one| one.execute_at == propose.execute_at).count();
                must(due < AGENDA_MAX, "the agenda is full")?;
                self.is_possible(&propose.change)
            }
            Action::GovernanceVote(vote) => {
                must(self.is_governor(sender), "it does not govern")?;
                let proposal = self.proposals.get(&vote.proposal).ok_or("there is no such proposal")?;
                must(proposal.outcome.is_none() && self.time_ms < proposal.closes, "the vote is closed")?;
                must(!proposal.votes.contains_key(sender), "it has voted")
            }
            Action::SupervisionHold(hold) => {
                self.supervises(sender, &hold.target)?;
                let lasts = self.time_ms < hold.expires && hold.expires <= self.time_ms + HOLD_MS_MAX;
                must(lasts, "it ends at no possible time")?;
                let in_force = self.holds.values().filter(|hold| self.in_force(hold)).count();
                must(in_force < HOLDS_MAX, "too many holds are in force")
            }
            Action::SupervisionRelease(release) => {
                let hold = self.holds.get(&release.hold).ok_or("there is no such hold")?;
                self.supervises(sender, &hold.target)?;
                must(self.in_force(hold), "the hold has ended")
            }
            Action::SupervisionDeny(deny) => {
                self.supervises(sender, &deny.target)?;
                must(!self.denials.contains_key(&deny.target), "it is denied already")
            }
            Action::SupervisionAllow(allow) => {
                self.supervises(sender, &allow.target)?;
                let governed = self.denials.get(&allow.target).ok_or("it is not denied")?;
                must(!governed, "governance denied it")
            }
            _ => Err("it is no action that the model knows"),
        }
    }

    fn in_force(&self, hold: &super::ModelHold) -> bool {
        !hold.released && self.time_ms < hold.expires
    }

    fn supervises(&self, sender: &Did, target: &Target) -> Result<(), No> {
        let scope = match target {
            Target::Did(_) => "did",
            Target::Node(_) => "node",
            Target::Action(kind) => family(kind),
        };
        let scoped = format!("supervisor-{scope}");
        let covers = self.roles(sender).iter().any(|role| role == "supervisor" || *role == scoped);
        must(covers, "it does not supervise that")
    }

    /// Does what is due at this height (specs/rules.md, section 10).
    pub(super) fn execute_agenda(&mut self) {
        for id in self.agenda.clone() {
            let proposal = self.proposals[&id].clone();
            if proposal.execute_at != self.height {
                continue;
            }
            let approvals = proposal
                .votes
                .iter()
                .filter(|(governor, approve)| **approve && self.is_governor(governor))
                .count();
            let outcome = if approvals < self.governors.threshold as usize {
                "rejected"
            } else if self.is_possible(&proposal.change).is_err() {
                "failed"
            } else {
                self.make(&proposal.change);
                "executed"
            };
            self.proposals.get_mut(&id).expect("it is there").outcome = Some(outcome);
        }
    }

    /// Whether a change can be made as things stand.
    fn is_possible(&self, change: &Change) -> Result<(), No> {
        match change {
            Change::Parameters(change) => {
                must(change.apply(&self.parameters).is_ok(), "the parameters are none")
            }
            Change::Policy(change) => must(change.text != self.policy, "the policy is in force already"),
            Change::Governors(governors) => {
                must(*governors != self.governors, "they govern already")?;
                must(governors.members.iter().all(|did| self.did(did).is_ok()), "a governor is not there")
            }
            Change::DenyAdd(change) => {
                must(self.denials.get(&change.target) != Some(&true), "it is denied already")
            }
            Change::DenyRemove(change) => must(self.denials.contains_key(&change.target), "it is not denied"),
            Change::RootAdd(change) => {
                must(self.time_ms < change.expires, "it has expired")?;
                self.did(&change.did).map(|_| ())
            }
            Change::RootRemove(change) => {
                let record = self.accreditations.get(&change.did).ok_or("there is no such root")?;
                must(record.kind == AccreditationKind::Root, "it is no root")?;
                must(!record.revoked, "it is revoked already")
            }
            Change::NodeExpel(change) => {
                let node = key_bytes(&change.key).and_then(|key| self.nodes.get(&key));
                must(node.ok_or("there is no such node")?.barred.is_none(), "it is barred already")
            }
            Change::HoldLift(change) => {
                let hold = self.holds.get(&change.hold).ok_or("there is no such hold")?;
                must(self.in_force(hold), "the hold has ended")
            }
            Change::Upgrade(_) => Err("the model knows one version of the protocol"),
        }
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::Parameters(change) => {
                self.parameters = change.apply(&self.parameters).expect("it is possible");
            }
            Change::Policy(change) => self.policy.clone_from(&change.text),
            Change::Governors(governors) => self.governors = governors.clone(),
            Change::DenyAdd(change) => {
                self.denials.insert(change.target.clone(), true);
            }
            Change::DenyRemove(change) => {
                self.denials.remove(&change.target);
            }
            Change::RootAdd(change) => {
                let version = self.accreditations.get(&change.did).map_or(1, |record| record.version + 1);
                let root = ModelAccreditation {
                    kind: AccreditationKind::Root,
                    parent: None,
                    types: change.types.clone(),
                    depth: change.depth,
                    expires: change.expires,
                    version,
                    revoked: false,
                    revoked_by: None,
                };
                self.accreditations.insert(change.did.clone(), root);
            }
            Change::RootRemove(change) => self.disaccredit(&change.did, None),
            Change::NodeExpel(change) => {
                let node = key_bytes(&change.key).and_then(|key| self.nodes.get_mut(&key));
                node.expect("it is possible").barred = Some(self.time_ms);
            }
            Change::HoldLift(change) => self.release(&change.hold),
            Change::Upgrade(_) => {}
        }
    }

    pub(super) fn release(&mut self, hold: &TransactionId) {
        self.holds.get_mut(hold).expect("it was decided upon").released = true;
    }
}
