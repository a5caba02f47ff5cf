//! Step 4 of a transaction's way: may it happen on this state? (specs/rules.md, section 3)
//!
//! [`authorize`] decides and, if the answer is yes, knows all that would change; nothing is written. At ingress the
//! answer is advice that saves block space; on the state before a block it is law: a block that holds a transaction
//! which is not authorized there is invalid.
//!
//! In this order, for every action:
//! 1. the block's time lies in the validity window, and the transaction is not on the ledger yet;
//! 2. nobody who signs is denied or on hold, nor is this kind of action (`supervision`);
//! 3. the DIDs and keys: they exist, are not deactivated, and control or list the signing keys (`action`);
//! 4. the permit of [`crate::policy`], by live grants, accreditation and office at the block's time;
//! 5. the quota of the grant that pays for it (`quota`);
//! 6. the action's own rules.

use std::cell::{OnceCell, RefCell};

use aval_did::{Did, DidRecord, PublicKey, Relationship};
use aval_types::{Action, Event, KeyId, NetworkId, Payload, Reject, TransactionId};

use crate::action;
use crate::check::{Checked, Evidence};
use crate::constitution::Constitution;
use crate::effect::Effect;
use crate::grant::LiveGrant;
use crate::policy::Explanation;
use crate::quota::Payment;
use crate::sabotage::{self, Sabotage};
use crate::state::{Changes, StateError, StateRead};
use crate::view::View;

/// The block that a decision is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockContext {
    /// The network.
    pub network: NetworkId,
    /// The block's height.
    pub height: u64,
    /// The block's time, milliseconds since 1970: the only clock there is (D11).
    pub time_ms: u64,
    /// Who proposed this block and those before it, as many as [`crate::membership::participation::leaders_wanted`]
    /// says; nobody where no block is executed.
    pub leaders: Vec<[u8; 32]>,
}

/// A transaction that is authorized on one state, with what it would do there. Made by [`authorize`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    id: TransactionId,
    effect: Effect,
    reads: Vec<Vec<u8>>,
}

impl Admitted {
    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The changes that it would make.
    pub fn changes(&self) -> &Changes {
        &self.effect.changes
    }

    /// The events that it would leave in its receipt.
    pub fn events(&self) -> &[Event] {
        &self.effect.events
    }

    /// The state keys that the decision rests on: while none of them changes, it stands.
    pub fn reads(&self) -> &[Vec<u8>] {
        &self.reads
    }

    pub(crate) fn into_parts(self) -> (Changes, Vec<Event>) {
        (self.effect.changes, self.effect.events)
    }
}

/// Decides whether a transaction may happen on `state` in the block of `context`. The outer error means that nothing
/// was decided, because the state could not be read.
pub fn authorize<S: StateRead + ?Sized>(
    state: &S,
    checked: &Checked,
    context: &BlockContext,
) -> Result<Result<Admitted, Reject>, StateError> {
    authorize_under(state, &Constitution::of(state)?, checked, context)
}

/// As [`authorize`], with the constitution of this very state: whoever decides on many transactions reads it once.
///
/// The state keys that a constitution rests on are not among [`Admitted::reads`]: when it changes, every decision is
/// made again.
pub fn authorize_under<S: StateRead + ?Sized>(
    state: &S,
    constitution: &Constitution,
    checked: &Checked,
    context: &BlockContext,
) -> Result<Result<Admitted, Reject>, StateError> {
    let view = View::sharing(state, &constitution.memo);
    let outcome = Case::new(&view, constitution, checked, context, false).decide();
    conclude(checked, outcome, view)
}

/// Decides again, on what earlier transactions of the block left. The presentation was judged on the state before
/// the block and is not looked at again: who executes the block when its witnesses are erased cannot do so either,
/// and must come to the same receipts.
pub(crate) fn authorize_again<S: StateRead + ?Sized>(
    state: &S,
    constitution: &Constitution,
    checked: &Checked,
    context: &BlockContext,
) -> Result<Result<Admitted, Reject>, StateError> {
    let view = View::new(state);
    let outcome = Case::new(&view, constitution, checked, context, true).decide();
    conclude(checked, outcome, view)
}

fn conclude<S: StateRead + ?Sized>(
    checked: &Checked,
    outcome: Result<Effect, Stop>,
    view: View<'_, S>,
) -> Result<Result<Admitted, Reject>, StateError> {
    match outcome {
        Ok(effect) => Ok(Ok(Admitted { id: checked.id(), effect, reads: view.into_reads() })),
        Err(Stop::Reject(reject)) => Ok(Err(reject)),
        Err(Stop::State(error)) => Err(error),
    }
}

/// Why a decision ends early: a verdict, or a failure to reach one.
#[derive(Debug)]
pub(crate) enum Stop {
    Reject(Reject),
    State(StateError),
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// One transaction before one state and one block.
pub(crate) struct Case<'case, S: ?Sized> {
    pub(crate) view: &'case View<'case, S>,
    pub(crate) constitution: &'case Constitution,
    pub(crate) checked: &'case Checked,
    pub(crate) context: &'case BlockContext,
    /// Whether it was authorized before the block already.
    is_again: bool,
    /// The use of a grant that this transaction is charged to.
    pub(crate) payment: RefCell<Option<Payment>>,
    endorser: OnceCell<DidRecord>,
    /// The live grants of the DIDs that were asked about.
    pub(crate) live: RefCell<Vec<(Did, Vec<LiveGrant>)>>,
}

impl<'case, S: StateRead + ?Sized> Case<'case, S> {
    pub(crate) fn new(
        view: &'case View<'case, S>,
        constitution: &'case Constitution,
        checked: &'case Checked,
        context: &'case BlockContext,
        is_again: bool,
    ) -> Self {
        Self {
            view,
            constitution,
            checked,
            context,
            is_again,
            payment: RefCell::default(),
            endorser: OnceCell::new(),
            live: RefCell::default(),
        }
    }
}

impl<S: StateRead + ?Sized> Case<'_, S> {
    fn decide(&self) -> Result<Effect, Stop> {
        self.expect_network()?;
        self.expect_window()?;
        let is_known = self.view.contains_transaction(&self.checked.id())?;
        if is_known && !sabotage::is(Sabotage::SkipReplayCheck) {
            return Err(Reject::TransactionDuplicate.into());
        }
        self.expect_unrestricted()?;
        let mut effect = self.act()?;
        if let Some(payment) = self.payment.take() {
            effect.pay(payment);
        }
        Ok(effect.seal()?)
    }

    fn act(&self) -> Result<Effect, Stop> {
        match self.checked.action() {
            Action::DidCreate(action) => action::did::create(self, action),
            Action::DidUpdate(action) => action::did::update(self, action),
            Action::DidRotate(action) => action::did::rotate(self, action),
            Action::DidDeactivate(action) => action::did::deactivate(self, action),
            Action::CredentialPresent(action) => action::credential::present(self, action),
            Action::RegistryCreate(action) => action::registry::create(self, action),
            Action::RegistryUpdate(action) => action::registry::update(self, action),
            Action::NodeRegister(action) => action::node::register(self, action),
            Action::NodeUpdate(action) => action::node::update(self, action),
            Action::NodeLeave(action) => action::node::leave(self, action),
            Action::NodeEvidence(action) => action::node::evidence(self, action),
            Action::AccreditationGrant(action) => action::accreditation::grant(self, action),
            Action::AccreditationRevoke(action) => action::accreditation::revoke(self, action),
            Action::SchemaPublish(action) => action::schema::publish(self, action),
            Action::SchemaDeprecate(action) => action::schema::deprecate(self, action),
            Action::AnchorCreate(action) => action::directory::anchor(self, action),
            Action::ServiceRegister(action) => action::directory::register(self, action),
            Action::ServiceRemove(action) => action::directory::remove(self, action),
            Action::GovernancePropose(action) => action::governance::propose(self, action),
            Action::GovernanceVote(action) => action::governance::vote(self, action),
            Action::SupervisionHold(action) => action::supervision::hold(self, action),
            Action::SupervisionRelease(action) => action::supervision::release(self, action),
            Action::SupervisionDeny(action) => action::supervision::deny(self, action),
            Action::SupervisionAllow(action) => action::supervision::allow(self, action),
        }
    }

    pub(crate) fn payload(&self) -> &Payload {
        self.checked.payload()
    }

    pub(crate) fn evidence(&self) -> Option<&Evidence> {
        match self.checked.evidence() {
            Some(_) if self.is_again => Some(&Evidence::Erased),
            evidence => evidence,
        }
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.context.time_ms
    }

    /// A transaction that was checked by the rules of another network is none of this network's business.
    fn expect_network(&self) -> Result<(), Reject> {
        if self.payload().network == self.context.network { Ok(()) } else { Err(Reject::TransactionNetwork) }
    }

    /// `nbf <= block time < exp`.
    fn expect_window(&self) -> Result<(), Reject> {
        let (nbf, exp) = (self.payload().nbf, self.payload().exp);
        if self.time_ms() < nbf.saturating_mul(1000) {
            return Err(Reject::TransactionNotYetValid);
        }
        if self.time_ms() >= exp.saturating_mul(1000) && !sabotage::is(Sabotage::SkipExpiry) {
            return Err(Reject::TransactionExpired);
        }
        Ok(())
    }

    /// The record of a DID that an action needs to exist and to be active.
    pub(crate) fn expect_active(&self, did: &Did) -> Result<DidRecord, Stop> {
        let record = self.view.did(did)?.ok_or(Reject::DidNotFound)?;
        if record.deactivated { Err(Reject::DidDeactivated.into()) } else { Ok(record) }
    }

    /// The record of a DID that signs with one of its authentication keys.
    pub(crate) fn expect_authenticated(&self, kid: &KeyId) -> Result<DidRecord, Stop> {
        let record = self.expect_active(kid.did())?;
        if record.document.contains_key(&kid.key(), Relationship::Authentication) {
            Ok(record)
        } else {
            Err(Reject::DidKeyNotInDocument.into())
        }
    }

    /// The record of the sender, who signs with one of its authentication keys.
    pub(crate) fn expect_sender(&self) -> Result<DidRecord, Stop> {
        let missing = || Reject::TransactionSigners("the action needs a sender".into());
        self.expect_authenticated(self.payload().sender().ok_or_else(missing)?)
    }

    /// The keys of the controllers, in the order of their signatures.
    pub(crate) fn control_keys(&self) -> Vec<PublicKey> {
        self.payload().controllers().map(|kid| kid.key()).collect()
    }

    /// The record of the endorser, if there is one. An endorser vouches for one action on another's DID; it signs as
    /// itself and never lends its roles (D6).
    pub(crate) fn endorser_record(&self) -> Result<Option<DidRecord>, Stop> {
        let Some(endorser) = self.payload().endorser() else { return Ok(None) };
        if let Some(record) = self.endorser.get() {
            return Ok(Some(record.clone()));
        }
        let record = self.expect_authenticated(endorser)?;
        let _ = self.endorser.set(record.clone());
        Ok(Some(record))
    }
}

/// What the policies of `state` say of a transaction, and what the ledger says, for people. `None` if the DID that
/// acts is not on the ledger, so that there is nobody to ask about.
pub fn explain<S: StateRead + ?Sized>(
    state: &S,
    checked: &Checked,
    context: &BlockContext,
) -> Result<Option<Explanation>, StateError> {
    let constitution = Constitution::of(state)?;
    let verdict = authorize_under(state, &constitution, checked, context)?;
    let view = View::new(state);
    let code = verdict.as_ref().err().map(Reject::code);
    match Case::new(&view, &constitution, checked, context, false).explain(code) {
        Ok(explanation) => Ok(explanation),
        // The question could not be put: an endorser that is not on the ledger, say.
        Err(Stop::Reject(_)) => Ok(None),
        Err(Stop::State(error)) => Err(error),
    }
}
