//! What nobody may accept: forged, stolen, stale, repeated, out of time. Some of it turns out to be harmless, as when
//! what is repeated never arrived; the rules decide, not this file.

use aval_codec::sha256;
use aval_types::action::{DidCreate, StatusChange};
use aval_types::governance::{Change, GovernancePropose};
use aval_types::parameters::ParametersChange;
use aval_types::supervision::{SupervisionDeny, Target};
use aval_types::{Action, Commitment, SubmittedTransaction};

use super::super::Draft;
use super::{Effect, REGULARS, Workload};

impl Workload {
    /// A transaction that should not get far, if there is an occasion for one.
    pub(super) fn mischief(&mut self) -> Option<SubmittedTransaction> {
        let choice = self.dice.below(9);
        self.serial += 1;
        // Numbers that no honest company has.
        let stranger = self.kit.company(1_000_000 + self.serial);
        let submitted = match choice {
            // The same transaction once more.
            0 => {
                let sent = self.sent.clone();
                return self.dice.pick(&sent);
            }
            // A credential of nobody's accreditation.
            1 => {
                let nobody = self.kit.company(2_000_000 + self.serial);
                let credential = self.kit.issue(&nobody, self.kit.terms(&stranger));
                stranger.create_with(&self.kit, &credential)
            }
            // Somebody else's credential.
            2 => {
                let victim = self.idle_party(0)?;
                let credential = self.kit.membership(&victim);
                let operation = stranger.inception();
                let grant = Some(credential.grant(&stranger.did));
                Draft::new(&self.kit, Action::DidCreate(DidCreate { operation, grant }))
                    .controllers(&stranger)
                    .presenting(&credential, &stranger.authentication)
                    .try_submit()
                    .ok()?
            }
            // Another's keys on a DID.
            3 => {
                let victim = self.idle_party(0)?;
                let mut thief = victim.clone();
                thief.controllers.clone_from(&stranger.controllers);
                let document = self.kit.document(&victim, 66_000_000 + self.serial);
                thief.update(&self.kit, document)
            }
            // A version that is gone.
            4 => {
                let mut party = self.idle_party(0)?;
                party.version.hash = sha256(b"another version");
                let document = self.kit.document(&party, 77_000_000 + self.serial);
                party.update(&self.kit, document)
            }
            // Somebody who governs nothing.
            5 => {
                let change = ParametersChange { heartbeat_ms: Some(9_999), ..ParametersChange::default() };
                let action = GovernancePropose {
                    change: Change::Parameters(change),
                    execute_at: 1_000_000,
                    title: "a coup".to_owned(),
                };
                let usurper = self.idle_party(REGULARS)?;
                usurper.send(&self.kit, Action::GovernancePropose(action))
            }
            // Somebody who supervises nothing.
            6 => {
                let target = Target::Did(self.kit.issuer.did.clone());
                let action = SupervisionDeny { target, reason: "a grudge".to_owned() };
                let usurper = self.idle_party(REGULARS)?;
                usurper.send(&self.kit, Action::SupervisionDeny(action))
            }
            // A revocation that is taken back.
            7 => {
                let actor = self.idle(REGULARS)?;
                let credential = self.actors[actor].credentials.first()?.clone();
                let change = StatusChange {
                    list: credential.terms.list.clone(),
                    index: credential.terms.index,
                    from: 1,
                    to: 0,
                };
                self.kit.change_registry(credential.terms.registry, vec![change])
            }
            // Out of its time.
            _ => {
                let party = self.idle_party(0)?;
                let commitment = Commitment::of(&[9; 32], &self.serial.to_be_bytes());
                let action = aval_types::action::AnchorCreate { commitment, kind: "invoice".to_owned() };
                let begin = self.kit.now_s - 700;
                let draft = Draft::new(&self.kit, Action::AnchorCreate(action)).sender(&party);
                draft.window(begin, begin + 600).submit()
            }
        };
        self.note(&submitted, Effect::Nothing);
        Some(submitted)
    }
}
