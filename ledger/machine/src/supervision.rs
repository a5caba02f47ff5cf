//! Whether somebody who signs, or the kind of action, is denied or on hold (specs/rules.md, "Supervision").
//!
//! Neither reaches what a governor does as governor, nor a rotation that leaves the document as it is: a supervisor can
//! lock nobody out of the network's government, and a stolen key can always be taken out.

use aval_did::Did;
use aval_types::supervision::Target;
use aval_types::{Action, Reject};

use crate::authorize::{Case, Stop};
use crate::sabotage::{self, Sabotage};
use crate::state::StateRead;

impl<S: StateRead + ?Sized> Case<'_, S> {
    /// Refuses what is denied or on hold.
    pub(crate) fn expect_unrestricted(&self) -> Result<(), Stop> {
        if sabotage::is(Sabotage::SkipSupervision) {
            return Ok(());
        }
        let action = self.checked.action();
        if self.is_held(|target| matches!(target, Target::Action(kind) if kind == action.kind())) {
            return Err(Reject::SupervisionHeld.into());
        }
        if matches!(action, Action::DidRotate(rotate) if rotate.document.is_none()) {
            return Ok(());
        }
        let governs = matches!(action, Action::GovernancePropose(_) | Action::GovernanceVote(_));
        let mut before: Option<&Did> = None;
        for signer in &self.payload().signers {
            let did = signer.kid.did();
            // A DID signs with several control keys, one after the other.
            if before.replace(did) == Some(did) || (governs && self.constitution.is_governor(did)) {
                continue;
            }
            self.expect_free(did)?;
        }
        match action.grant() {
            Some(grant) => self.expect_free(&grant.issuer),
            None => Ok(()),
        }
    }

    fn expect_free(&self, did: &Did) -> Result<(), Stop> {
        if self.view.denial(&Target::Did(did.clone()))?.is_some() {
            return Err(Reject::DenyDid.into());
        }
        if self.is_held(|target| target.did() == Some(did)) {
            return Err(Reject::SupervisionHeld.into());
        }
        Ok(())
    }

    fn is_held(&self, covers: impl Fn(&Target) -> bool) -> bool {
        let time_ms = self.time_ms();
        self.constitution.holds.iter().any(|hold| time_ms < hold.expires && covers(&hold.target))
    }
}
