//! A second set of rules, slow and obvious, that knows nothing of the first: no bytes, no keys, no hashes, only who
//! did what.
//!
//! It is written from specs/rules.md, one rule after the other, over plain sets. [`crate::random`] lets
//! both sets of rules judge the same random histories.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) const DAY_S: u64 = 24 * 3600;
/// Uses of one credential's grant in a sliding window, and its length.
pub(crate) const QUOTA: u64 = 3;
pub(crate) const QUOTA_S: u64 = 600;
/// The credential of the supervisor, which is not among those of the parties.
const SUPERVISORS: usize = usize::MAX;

/// Whom or what a supervisor may stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aim {
    Party(usize),
    Issuer,
    /// The kind of action `did.update`.
    Updates,
}

/// A hold: the transaction that placed it, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelHold {
    pub(crate) number: usize,
    aim: Aim,
    expires_s: u64,
    released: bool,
}

/// A status list: revocation or suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Revocation,
    Suspension,
}

/// What a credential says.
#[derive(Debug, Clone)]
pub(crate) struct ModelCredential {
    pub(crate) holder: usize,
    pub(crate) genuine_issuer: bool,
    pub(crate) roles: Vec<&'static str>,
    pub(crate) expires_s: u64,
    pub(crate) entry: (List, u64),
}

/// What a transaction wants.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    CreateWith { party: usize, credential: usize },
    CreateEndorsed { party: usize, endorser: usize },
    Present { party: usize, credential: usize },
    Update { party: usize, version: u64, endorser: Option<usize> },
    Rotate { party: usize, version: u64 },
    Deactivate { party: usize, version: u64 },
    SetStatus { entry: (List, u64), from: u8, to: u8 },
    EndIssuer,
    Hold { aim: Aim, expires_s: u64 },
    Release { hold: usize },
    Deny { aim: Aim },
    Allow { aim: Aim },
}

/// A transaction.
#[derive(Debug, Clone)]
pub(crate) struct ModelTransaction {
    pub(crate) number: usize,
    pub(crate) built_s: u64,
    pub(crate) wish: Wish,
}

/// A DID.
#[derive(Debug, Clone)]
pub(crate) struct ModelDid {
    pub(crate) version: u64,
    pub(crate) deactivated: bool,
    pub(crate) grants: Vec<usize>,
    window_begin_s: u64,
    used: u32,
}

/// Everything that the model knows.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) now_s: u64,
    pub(crate) credentials: Vec<ModelCredential>,
    pub(crate) dids: BTreeMap<usize, ModelDid>,
    pub(crate) used_entries: BTreeSet<(List, u64)>,
    pub(crate) status: BTreeMap<(List, u64), u8>,
    pub(crate) issuer_active: bool,
    pub(crate) included: BTreeSet<usize>,
    pub(crate) holds: Vec<ModelHold>,
    pub(crate) denied: BTreeSet<Aim>,
    /// Uses of each credential in each stretch of the window's length.
    uses: BTreeMap<(usize, u64), u64>,
}

impl World {
    pub(crate) fn new(now_s: u64, credentials: Vec<ModelCredential>) -> Self {
        Self {
            now_s,
            credentials,
            dids: BTreeMap::new(),
            used_entries: BTreeSet::new(),
            status: BTreeMap::new(),
            issuer_active: true,
            included: BTreeSet::new(),
            holds: Vec::new(),
            denied: BTreeSet::new(),
            uses: BTreeMap::new(),
        }
    }

    /// The code of the refusal, or nothing.
    pub(crate) fn decide(&self, transaction: &ModelTransaction) -> Result<(), &'static str> {
        // The kit's windows begin five seconds early and last for ten minutes.
        if self.now_s + 5 < transaction.built_s {
            return Err("transaction.not_yet_valid");
        }
        if self.now_s >= transaction.built_s - 5 + 600 {
            return Err("transaction.expired");
        }
        if self.included.contains(&transaction.number) {
            return Err("transaction.duplicate");
        }
        self.is_free(&transaction.wish)?;
        match transaction.wish {
            Wish::CreateWith { party, credential } => {
                self.must_not_exist(party)?;
                if !self.credentials[credential].roles.contains(&"member") {
                    return Err("grant.role");
                }
                self.credential_is_good(party, credential)
            }
            Wish::CreateEndorsed { party, endorser } => {
                self.must_not_exist(party)?;
                self.endorser_is_good(endorser)?;
                self.pays(endorser, "endorser").map(|_| ())
            }
            Wish::Present { party, credential } => {
                self.must_be_active(party)?;
                self.credential_is_good(party, credential)
            }
            Wish::Update { party, version, endorser } => {
                self.must_be_at(party, version)?;
                match endorser {
                    Some(endorser) => {
                        self.endorser_is_good(endorser)?;
                        self.pays(endorser, "endorser").map(|_| ())
                    }
                    None => {
                        self.has_live_grant(party, "member")?;
                        self.pays(party, "member").map(|_| ())
                    }
                }
            }
            Wish::Rotate { party, version } | Wish::Deactivate { party, version } => {
                self.must_be_at(party, version)?;
                let did = &self.dids[&party];
                let same_window = self.now_s - did.window_begin_s < DAY_S;
                if same_window && did.used >= 8 { Err("did.allowance") } else { Ok(()) }
            }
            Wish::SetStatus { entry, from, to } => {
                if !self.issuer_active {
                    return Err("did.deactivated");
                }
                let current = self.status.get(&entry).copied().unwrap_or(0);
                match entry.0 {
                    List::Revocation if to < current || to < from => Err("registry.monotonic"),
                    List::Suspension if from != current => Err("registry.stale"),
                    _ => Ok(()),
                }
            }
            Wish::Hold { .. } => self.supervises(),
            Wish::Release { hold } => {
                self.supervises()?;
                match self.holds.iter().find(|one| one.number == hold) {
                    None => Err("supervision.not_found"),
                    Some(one) if one.released || one.expires_s <= self.now_s => Err("supervision.released"),
                    Some(_) => Ok(()),
                }
            }
            Wish::Deny { aim } => {
                self.supervises()?;
                if self.denied.contains(&aim) { Err("supervision.exists") } else { Ok(()) }
            }
            Wish::Allow { aim } => {
                self.supervises()?;
                if self.denied.contains(&aim) { Ok(()) } else { Err("supervision.not_found") }
            }
            Wish::EndIssuer if self.issuer_active => Ok(()),
            Wish::EndIssuer => Err("did.deactivated"),
        }
    }

    /// Makes it so. Only for what [`Self::decide`] allows.
    pub(crate) fn apply(&mut self, transaction: &ModelTransaction) {
        let now_s = self.now_s;
        self.charge(&transaction.wish);
        match transaction.wish {
            Wish::CreateWith { party, credential } => {
                self.create(party);
                self.grant(party, credential);
            }
            Wish::CreateEndorsed { party, .. } => self.create(party),
            Wish::Present { party, credential } => self.grant(party, credential),
            Wish::Update { party, .. } => self.dids.get_mut(&party).unwrap().version += 1,
            Wish::Rotate { party, .. } | Wish::Deactivate { party, .. } => {
                let did = self.dids.get_mut(&party).unwrap();
                did.version += 1;
                did.deactivated = matches!(transaction.wish, Wish::Deactivate { .. });
                if now_s - did.window_begin_s >= DAY_S {
                    (did.window_begin_s, did.used) = (now_s, 0);
                }
                did.used += 1;
            }
            Wish::SetStatus { entry, to, .. } => {
                self.status.insert(entry, to);
            }
            Wish::EndIssuer => self.issuer_active = false,
            Wish::Hold { aim, expires_s } => {
                let number = transaction.number;
                self.holds.push(ModelHold { number, aim, expires_s, released: false });
            }
            Wish::Release { hold } => {
                for one in self.holds.iter_mut().filter(|one| one.number == hold) {
                    one.released = true;
                }
            }
            Wish::Deny { aim } => {
                self.denied.insert(aim);
            }
            Wish::Allow { aim } => {
                self.denied.remove(&aim);
            }
        }
    }

    fn create(&mut self, party: usize) {
        let window_begin_s = self.now_s;
        let did = ModelDid { version: 1, deactivated: false, grants: Vec::new(), window_begin_s, used: 0 };
        self.dids.insert(party, did);
    }

    fn grant(&mut self, party: usize, credential: usize) {
        self.used_entries.insert(self.credentials[credential].entry);
        self.dids.get_mut(&party).unwrap().grants.push(credential);
    }

    /// Nobody who signs is shut out or on hold, nor the issuer of what is presented, nor the kind of action.
    /// Control keys may be rotated whatever stands against the DID.
    fn is_free(&self, wish: &Wish) -> Result<(), &'static str> {
        if matches!(wish, Wish::Update { .. }) && self.is_held(Aim::Updates) {
            return Err("supervision.held");
        }
        let mut signers = match *wish {
            Wish::CreateWith { party, .. } | Wish::Present { party, .. } | Wish::Deactivate { party, .. } => {
                vec![Aim::Party(party)]
            }
            Wish::CreateEndorsed { party, endorser } => vec![Aim::Party(party), Aim::Party(endorser)],
            Wish::Update { party, endorser, .. } => {
                [Some(party), endorser].into_iter().flatten().map(Aim::Party).collect()
            }
            Wish::SetStatus { .. } | Wish::EndIssuer => vec![Aim::Issuer],
            Wish::Rotate { .. }
            | Wish::Hold { .. }
            | Wish::Release { .. }
            | Wish::Deny { .. }
            | Wish::Allow { .. } => Vec::new(),
        };
        if let Wish::CreateWith { credential, .. } | Wish::Present { credential, .. } = *wish
            && self.credentials[credential].genuine_issuer
        {
            signers.push(Aim::Issuer);
        }
        for signer in signers {
            if self.denied.contains(&signer) {
                return Err("deny.did");
            }
            if self.is_held(signer) {
                return Err("supervision.held");
            }
        }
        Ok(())
    }

    fn is_held(&self, aim: Aim) -> bool {
        self.holds.iter().any(|hold| hold.aim == aim && !hold.released && self.now_s < hold.expires_s)
    }

    /// The supervisor's grant stands with its issuer, and has its quota.
    fn supervises(&self) -> Result<(), &'static str> {
        if !self.issuer_active {
            return Err("grant.issuer_unaccredited");
        }
        if self.has_room(SUPERVISORS) { Ok(()) } else { Err("quota.exceeded") }
    }

    /// The credential whose grant pays: the first live one with the role that has room.
    fn pays(&self, party: usize, role: &str) -> Result<usize, &'static str> {
        let mut live =
            self.dids[&party].grants.iter().filter(|credential| self.why_dead(**credential, role).is_none());
        live.find(|credential| self.has_room(**credential)).copied().ok_or("quota.exceeded")
    }

    fn has_room(&self, credential: usize) -> bool {
        let (window, gone) = (self.now_s / QUOTA_S, self.now_s % QUOTA_S);
        let used = |window: u64| self.uses.get(&(credential, window)).copied().unwrap_or(0);
        used(window - 1) * (QUOTA_S - gone) + (used(window) + 1) * QUOTA_S <= QUOTA * QUOTA_S
    }

    fn charge(&mut self, wish: &Wish) {
        let credential = match *wish {
            Wish::CreateEndorsed { endorser, .. } | Wish::Update { endorser: Some(endorser), .. } => {
                self.pays(endorser, "endorser")
            }
            Wish::Update { party, .. } => self.pays(party, "member"),
            Wish::Hold { .. } | Wish::Release { .. } | Wish::Deny { .. } | Wish::Allow { .. } => {
                Ok(SUPERVISORS)
            }
            _ => return,
        };
        let window = self.now_s / QUOTA_S;
        *self.uses.entry((credential.unwrap(), window)).or_default() += 1;
    }

    fn must_not_exist(&self, party: usize) -> Result<(), &'static str> {
        if self.dids.contains_key(&party) { Err("did.exists") } else { Ok(()) }
    }

    fn must_be_active(&self, party: usize) -> Result<(), &'static str> {
        match self.dids.get(&party) {
            None => Err("did.not_found"),
            Some(did) if did.deactivated => Err("did.deactivated"),
            Some(_) => Ok(()),
        }
    }

    fn must_be_at(&self, party: usize, version: u64) -> Result<(), &'static str> {
        self.must_be_active(party)?;
        if self.dids[&party].version == version { Ok(()) } else { Err("did.stale_version") }
    }

    fn endorser_is_good(&self, endorser: usize) -> Result<(), &'static str> {
        self.must_be_active(endorser)?;
        self.has_live_grant(endorser, "endorser").map_err(|_| "endorser.grant")
    }

    fn credential_is_good(&self, party: usize, credential: usize) -> Result<(), &'static str> {
        let credential = &self.credentials[credential];
        if !self.issuer_active || !credential.genuine_issuer {
            return Err("credential.issuer_unaccredited");
        }
        if credential.holder != party {
            return Err("presentation.holder_key");
        }
        if self.now_s >= credential.expires_s {
            return Err("credential.expired");
        }
        if self.status.get(&credential.entry).copied().unwrap_or(0) != 0 {
            return Err(match credential.entry.0 {
                List::Revocation => "credential.revoked",
                List::Suspension => "credential.suspended",
            });
        }
        if self.used_entries.contains(&credential.entry) {
            return Err("grant.exists");
        }
        Ok(())
    }

    fn has_live_grant(&self, party: usize, role: &str) -> Result<(), &'static str> {
        let reasons: Vec<Option<&'static str>> =
            self.dids[&party].grants.iter().map(|credential| self.why_dead(*credential, role)).collect();
        if reasons.contains(&None) {
            return Ok(());
        }
        // From the most telling reason to the least.
        let order =
            ["grant.revoked", "grant.suspended", "grant.issuer_unaccredited", "grant.expired", "grant.role"];
        Err(order.into_iter().find(|reason| reasons.contains(&Some(*reason))).unwrap_or("grant.required"))
    }

    fn why_dead(&self, credential: usize, role: &str) -> Option<&'static str> {
        let credential = &self.credentials[credential];
        let set = self.status.get(&credential.entry).copied().unwrap_or(0) != 0;
        if !credential.roles.contains(&role) {
            Some("grant.role")
        } else if set && credential.entry.0 == List::Revocation {
            Some("grant.revoked")
        } else if set {
            Some("grant.suspended")
        } else if !self.issuer_active {
            Some("grant.issuer_unaccredited")
        } else if self.now_s >= credential.expires_s {
            Some("grant.expired")
        } else {
            None
        }
    }
}
