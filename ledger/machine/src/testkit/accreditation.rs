//! Accrediting, as roots and bodies do it.

use aval_codec::{Hash, sha256};
use aval_did::Did;
use aval_types::accreditation::Level;
use aval_types::action::{AccreditationGrant, AccreditationRevoke};
use aval_types::{AccreditationKind, AccreditationRecord, AccreditedType, Action, SubmittedTransaction};

use super::{Draft, Kit, MEMBERSHIP, Party, accredited};
use crate::{StateRead, state_key};

/// What somebody is to be accredited for.
#[derive(Debug, Clone)]
pub struct AccreditationTerms {
    /// Body or issuer.
    pub kind: AccreditationKind,
    /// Which types.
    pub types: Vec<AccreditedType>,
    /// How many links may stand below.
    pub depth: u8,
    /// When it ends, seconds since 1970.
    pub expires_s: u64,
    /// The hash of the credential.
    pub credential: Hash,
}

impl Kit {
    /// What a body of this depth gets: memberships with the role `member`, for ten years.
    pub fn body_terms(&self, depth: u8) -> AccreditationTerms {
        AccreditationTerms {
            kind: AccreditationKind::Body,
            types: vec![accredited(MEMBERSHIP, &["endorser", "member"], Level::High)],
            depth,
            expires_s: self.now_s + 10 * 365 * 24 * 3600,
            credential: sha256(b"an accreditation credential"),
        }
    }

    /// The same for an issuer.
    pub fn issuer_terms(&self) -> AccreditationTerms {
        AccreditationTerms { kind: AccreditationKind::Issuer, ..self.body_terms(0) }
    }

    /// The accreditation of a DID on the kit's ledger.
    pub fn accreditation(&self, did: &Did) -> Option<AccreditationRecord> {
        let value = self.state().read(state_key::accreditation(did).as_bytes()).expect("a state in memory");
        value.map(|bytes| serde_json::from_slice(&bytes).expect("a record that the rules wrote"))
    }

    /// Makes a company that is accredited by somebody, on the kit's ledger.
    pub fn accredited(&mut self, number: u64, by: &Party, terms: &AccreditationTerms) -> Party {
        let (party, _) = self.member(number);
        let grant = by.accredit(self, &party.did, terms);
        self.expect_applied(grant);
        party
    }

    /// A status registry of an issuer of the kit, at an URI of its own.
    pub fn create_registry_for(&self, issuer: &Party) -> SubmittedTransaction {
        let action = aval_types::action::RegistryCreate {
            registry: "members".to_owned(),
            purpose: aval_types::Purpose::Revocation,
            bits: 1,
            size: super::LIST_SIZE,
            lists: vec![self.list_uri_of(issuer)],
        };
        issuer.send(self, Action::RegistryCreate(action))
    }

    /// The URI of the status list of [`Self::create_registry_for`].
    pub fn list_uri_of(&self, issuer: &Party) -> String {
        format!("https://{}.example/status", issuer.name.replace('/', "-"))
    }

    /// A member's credential for a party by an issuer with a registry of its own.
    pub fn membership_by(&self, issuer: &Party, party: &Party) -> super::Credential {
        let mut terms = self.terms(party);
        terms.registry = aval_types::RegistryId::new(issuer.did.clone(), "members").expect("the name is one");
        terms.list = self.list_uri_of(issuer);
        self.issue(issuer, terms)
    }
}

impl Party {
    /// Sends any action that has a sender.
    pub fn send(&self, kit: &Kit, action: Action) -> SubmittedTransaction {
        Draft::new(kit, action).sender(self).submit()
    }

    /// Accredits somebody, on top of whatever record there is on the kit's ledger.
    pub fn accredit(&self, kit: &Kit, subject: &Did, terms: &AccreditationTerms) -> SubmittedTransaction {
        let previous = kit.accreditation(subject).map_or(0, |record| record.version);
        self.accredit_after(kit, subject, terms, previous)
    }

    /// Accredits somebody on top of a version.
    pub fn accredit_after(
        &self,
        kit: &Kit,
        subject: &Did,
        terms: &AccreditationTerms,
        previous: u32,
    ) -> SubmittedTransaction {
        let action = AccreditationGrant {
            subject: subject.clone(),
            previous,
            kind: terms.kind,
            types: terms.types.clone(),
            depth: terms.depth,
            expires: terms.expires_s * 1000,
            credential: terms.credential,
        };
        self.send(kit, Action::AccreditationGrant(action))
    }

    /// Takes an accreditation back.
    pub fn revoke_accreditation(&self, kit: &Kit, subject: &Did) -> SubmittedTransaction {
        let reason = "a test".to_owned();
        let action = AccreditationRevoke { subject: subject.clone(), reason };
        self.send(kit, Action::AccreditationRevoke(action))
    }
}
