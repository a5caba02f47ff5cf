//! Issuing: credentials as an issuer makes them, and the issuer's registry transactions.

use std::collections::{BTreeMap, BTreeSet};

use aval_codec::{Json, sha256};
use aval_credential::{CredentialDraft, CredentialSchema, SdJwt, StatusPurpose, issue};
use aval_did::{Did, PublicKey};
use aval_types::action::{RegistryCreate, RegistryUpdate, StatusChange};
use aval_types::schema::CREDENTIAL_SCHEMA_TYPE;
use aval_types::{Action, Grant, Purpose, RegistryId, SchemaHash, StatusEntry, SubmittedTransaction};

use super::{Draft, Kit, MEMBERSHIP, Party};

/// Entries of the issuer's status list: enough for a long benchmark, and only what is set takes room.
pub const LIST_SIZE: u32 = 1 << 20;

/// What a credential says. [`Kit::terms`] fills in what a member's credential usually says.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its type.
    pub credential_type: String,
    /// Its roles, sorted.
    pub roles: Vec<String>,
    /// Whose key it is bound to.
    pub holder_key: Option<PublicKey>,
    /// The subject's id; usually none.
    pub subject_id: Option<String>,
    /// The registry that the grant will name.
    pub registry: RegistryId,
    /// Its status list.
    pub list: String,
    /// The purpose of its status entry.
    pub purpose: StatusPurpose,
    /// Its status index.
    pub index: u64,
    /// From when on it is valid, seconds since 1970.
    pub valid_from_s: u64,
    /// When it expires, seconds since 1970.
    pub valid_until_s: u64,
    /// Claims that the holder may hide.
    pub claims: BTreeMap<String, Json>,
    /// Claims in plain text.
    pub plain: BTreeMap<String, Json>,
    /// The schema that it names.
    pub schema: Option<SchemaHash>,
}

/// An issued credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What its holder got: the issuer's JWT and all disclosures.
    pub sd_jwt: SdJwt,
    /// Who issued it.
    pub issuer: Did,
    /// What it says.
    pub terms: Terms,
}

impl Credential {
    /// The grant that it makes for a subject.
    pub fn grant(&self, subject: &Did) -> Grant {
        Grant {
            subject: subject.clone(),
            credential_type: self.terms.credential_type.clone(),
            issuer: self.issuer.clone(),
            roles: self.terms.roles.clone(),
            status: StatusEntry {
                registry: self.terms.registry.clone(),
                list: self.terms.list.clone(),
                index: self.terms.index,
            },
            expires: self.terms.valid_until_s,
        }
    }
}

impl Kit {
    /// A member's credential for a party, at the next free status index.
    pub fn membership(&self, party: &Party) -> Credential {
        self.credential(party, &["member"])
    }

    /// A credential with these roles (sorted) for a party, at the next free status index.
    pub fn credential(&self, party: &Party, roles: &[&str]) -> Credential {
        let mut terms = self.terms(party);
        terms.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.issue(&self.issuer, terms)
    }

    /// What a member's credential usually says; takes the next free status index.
    pub fn terms(&self, party: &Party) -> Terms {
        let text = |text: String| Json::String(text);
        Terms {
            credential_type: MEMBERSHIP.to_owned(),
            roles: vec!["member".to_owned()],
            holder_key: Some(party.authentication.public()),
            subject_id: None,
            registry: self.registry_id(),
            list: self.list_uri(),
            purpose: StatusPurpose::Revocation,
            index: self.next_index(),
            valid_from_s: self.now_s - 3600,
            valid_until_s: self.now_s + 365 * 24 * 3600,
            claims: BTreeMap::from([
                ("legalName".to_owned(), text(format!("Legal name of {}", party.name))),
                ("registrationNumber".to_owned(), text(format!("HRB-{}", party.name))),
                ("signatory".to_owned(), text("Maria Musterfrau".to_owned())),
            ]),
            plain: BTreeMap::new(),
            schema: None,
        }
    }

    /// A credential by any issuer, accredited or not.
    pub fn issue(&self, issuer: &Party, terms: Terms) -> Credential {
        let role = Json::Array(terms.roles.iter().map(|role| Json::String(role.clone())).collect());
        let mut claims = terms.claims.clone();
        claims.insert("role".to_owned(), role);
        claims.extend(terms.plain.clone());
        let status = aval_credential::StatusEntry {
            purpose: terms.purpose.clone(),
            index: terms.index,
            list: terms.list.clone(),
        };
        let seconds = |seconds: u64| i64::try_from(seconds).expect("a time in this era");
        let draft = CredentialDraft {
            issuer: issuer.did.to_string(),
            key_id: issuer.key_url(),
            id: Some(format!("urn:uuid:{}", self.next_jti())),
            contexts: Vec::new(),
            types: vec![terms.credential_type.clone()],
            subject_id: terms.subject_id.clone(),
            disclosable: terms.claims.keys().cloned().collect::<BTreeSet<_>>(),
            claims,
            status: vec![status],
            valid_from_s: seconds(terms.valid_from_s),
            valid_until_s: Some(seconds(terms.valid_until_s)),
            holder_key: terms.holder_key,
            schema: terms
                .schema
                .map(|schema| CredentialSchema { id: schema.urn(), kind: CREDENTIAL_SCHEMA_TYPE.to_owned() }),
        };
        let mut salts = 0u64;
        let mut salt = || {
            salts += 1;
            let hash = sha256(format!("{}/{}/{salts}", terms.list, terms.index).as_bytes());
            std::array::from_fn(|index| hash.as_bytes()[index])
        };
        let text = issue(&draft, &issuer.authentication, &mut salt).expect("the terms make a credential");
        let sd_jwt =
            SdJwt::parse(&text, &aval_credential::Limits::EDGE).expect("what was issued can be read");
        Credential { sd_jwt, issuer: issuer.did.clone(), terms }
    }

    /// Makes the issuer's revocation registry.
    pub fn create_registry(&self) -> SubmittedTransaction {
        self.create_registry_of(Purpose::Revocation, "members", 1, &self.list_uri())
    }

    /// Makes a further registry of the issuer, with one list.
    pub fn create_registry_of(
        &self,
        purpose: Purpose,
        name: &str,
        bits: u8,
        list: &str,
    ) -> SubmittedTransaction {
        let action = RegistryCreate {
            registry: name.to_owned(),
            purpose,
            bits,
            size: LIST_SIZE,
            lists: vec![list.to_owned()],
        };
        Draft::new(self, Action::RegistryCreate(action)).sender(&self.issuer).submit()
    }

    /// Revokes (or suspends) a credential.
    pub fn revoke(&self, credential: &Credential) -> SubmittedTransaction {
        self.set_status(credential, 0, 1)
    }

    /// Changes a credential's status entry.
    pub fn set_status(&self, credential: &Credential, from: u8, to: u8) -> SubmittedTransaction {
        let change =
            StatusChange { list: credential.terms.list.clone(), index: credential.terms.index, from, to };
        self.change_registry(credential.terms.registry.clone(), vec![change])
    }

    /// Changes entries of a registry of the issuer.
    pub fn change_registry(&self, registry: RegistryId, changes: Vec<StatusChange>) -> SubmittedTransaction {
        Draft::new(self, Action::RegistryUpdate(RegistryUpdate { registry, changes }))
            .sender(&self.issuer)
            .submit()
    }
}
