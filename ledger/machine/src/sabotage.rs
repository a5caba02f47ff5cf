//! Faults that somebody could make in this program one day, made on purpose: what the simulation has to catch.
//!
//! Built with the feature `sabotage`, the program asks at each of these places whether the fault was chosen
//! ([`choose`]). Built without it, as everything but that one test is, [`is`] is constantly false and leaves nothing
//! behind. `avald` cannot be built with it ([`COMPILED_IN`]).

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sabotage {
    /// Rules: what the issuer has revoked still counts.
    SkipRevocation,
    /// Rules: what was issued outlives the accreditation of who issued it.
    SkipAccreditation,
    /// Rules: a transaction that is on the ledger may be there once more.
    SkipReplayCheck,
    /// Rules: the end of the validity window does not matter.
    SkipExpiry,
    /// Rules: signatures are not looked at.
    SkipSignatures,
    /// Rules: denials and holds stop nobody.
    SkipSupervision,
    /// Rules: a grant may be used without end.
    SkipQuota,
    /// Rules: proposals are executed without enough votes.
    GovernWithoutVotes,
    /// Executor: votes for blocks that it has not executed.
    VoteWithoutExecution,
    /// Executor: votes for blocks whose witnesses are not there.
    AcceptStripped,
    /// Executor: does not look at the size of a block.
    SkipSizeCheck,
    /// Executor: a block may be older than its parent.
    SkipTimeCheck,
    /// Executor: does not look at the validator sets in a header.
    SkipSetCheck,
    /// Pool: takes in without end.
    UnboundedPool,
    /// Pool: forgets what it handed to a proposer, whether or not the block becomes final.
    ForgetCandidates,
    /// Store: acknowledges a block before it is synced.
    CommitWithoutSync,
    /// Store: keeps values that a block has deleted.
    KeepDeleted,
    /// Store: does not keep certificates.
    LoseCertificates,
}

impl Sabotage {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::SkipRevocation,
        Self::SkipAccreditation,
        Self::SkipReplayCheck,
        Self::SkipExpiry,
        Self::SkipSignatures,
        Self::SkipSupervision,
        Self::SkipQuota,
        Self::GovernWithoutVotes,
        Self::VoteWithoutExecution,
        Self::AcceptStripped,
        Self::SkipSizeCheck,
        Self::SkipTimeCheck,
        Self::SkipSetCheck,
        Self::UnboundedPool,
        Self::ForgetCandidates,
        Self::CommitWithoutSync,
        Self::KeepDeleted,
        Self::LoseCertificates,
    ];
}

/// Whether this build asks at all.
pub const COMPILED_IN: bool = cfg!(feature = "sabotage");

#[cfg(feature = "sabotage")]
static CHOSEN: std::sync::Mutex<Option<Sabotage>> = std::sync::Mutex::new(None);

/// Chooses the one fault that the program has from now on; none for a sound program.
#[cfg(feature = "sabotage")]
pub fn choose(fault: Option<Sabotage>) {
    *CHOSEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = fault;
}

/// Whether the program has this fault.
#[cfg(feature = "sabotage")]
pub fn is(fault: Sabotage) -> bool {
    *CHOSEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) == Some(fault)
}

/// Whether the program has this fault: never.
#[cfg(not(feature = "sabotage"))]
#[inline(always)]
pub const fn is(_: Sabotage) -> bool {
    false
}
