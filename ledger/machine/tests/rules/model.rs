//! A second set of rules, slow and obvious, that knows nothing of the first: no bytes, no keys, no hashes, only who
//! did what.
//!
//! It is written from specs/rules.md, one rule after the other, over plain sets. [`crate::random`] lets
//! both sets of rules judge the same random histories.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) const DAY_S: u64 = 24 * 3600;

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
                self.endorser_is_good(endorser)
            }
            Wish::Present { party, credential } => {
                self.must_be_active(party)?;
                self.credential_is_good(party, credential)
            }
            Wish::Update { party, version, endorser } => {
                self.must_be_at(party, version)?;
                match endorser {
                    Some(endorser) => self.endorser_is_good(endorser),
                    None => self.has_live_grant(party, "member"),
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
            Wish::EndIssuer if self.issuer_active => Ok(()),
            Wish::EndIssuer => Err("did.deactivated"),
        }
    }

    /// Makes it so. Only for what [`Self::decide`] allows.
    pub(crate) fn apply(&mut self, transaction: &ModelTransaction) {
        let now_s = self.now_s;
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
