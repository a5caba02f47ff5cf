//! Somebody with a DID: its keys, the version of its DID, and the operations that it signs.

use aval_codec::Hash;
use aval_did::{
    Algorithm, Control, Create, Deactivate, Did, Document, NextControl, Rotate, SigningKey, Update,
    VersionId, control_key_hash,
};
use aval_types::action::{CredentialPresent, DidCreate};
use aval_types::{Action, KeyId, SubmittedTransaction};

use super::{Credential, Draft, Kit, Options, derive_key_of, document};

/// Somebody with a DID.
#[derive(Debug, Clone)]
pub struct Party {
    /// What the kit calls it: the keys come from it.
    pub name: String,
    /// Its DID.
    pub did: Did,
    /// The version that its next operation builds on.
    pub version: VersionId,
    /// Its document.
    pub document: Document,
    /// Its current control keys.
    pub controllers: Vec<SigningKey>,
    /// The control keys that it committed to.
    pub next_controllers: Vec<SigningKey>,
    /// How many control keys have to sign.
    pub threshold: u32,
    /// The key of its document: signs transactions as sender and endorser, holds credentials, issues them.
    pub authentication: SigningKey,
    seed: u64,
    algorithm: Algorithm,
    generation: u32,
}

impl Party {
    pub(super) fn new(options: &Options, name: &str, algorithm: Algorithm) -> Self {
        Self::with_control(options, name, algorithm, 1, 1)
    }

    pub(super) fn with_control(
        options: &Options,
        name: &str,
        algorithm: Algorithm,
        threshold: u32,
        controllers: usize,
    ) -> Self {
        let keys = |generation| control_keys(options.seed, name, algorithm, generation, controllers);
        let (controllers, next_controllers) = (keys(0), keys(1));
        let authentication = derive_key_of(options.seed, &format!("{name}/authentication"), algorithm);
        let document = document(&authentication, name, 1);
        let control = control(threshold, &controllers, &next_controllers);
        let create = Create::new(&options.network, control, document.clone()).expect("the label is one");
        Self {
            name: name.to_owned(),
            version: VersionId { number: 1, hash: create.did.inception() },
            did: create.did,
            document,
            controllers,
            next_controllers,
            threshold,
            authentication,
            seed: options.seed,
            algorithm,
            generation: 1,
        }
    }

    /// Its current control.
    pub fn control(&self) -> Control {
        control(self.threshold, &self.controllers, &self.next_controllers)
    }

    /// The kid of its authentication key.
    pub fn kid(&self) -> KeyId {
        KeyId::new(self.did.clone(), self.authentication.public())
    }

    /// The DID URL of its key, as issuers name it.
    pub fn key_url(&self) -> String {
        self.did.url("key-1")
    }

    /// The operation that creates its DID.
    pub fn inception(&self) -> Create {
        Create { did: self.did.clone(), control: self.control(), document: self.document.clone() }
    }

    /// Creates its DID and its first grant from a credential.
    pub fn create_with(&self, kit: &Kit, credential: &Credential) -> SubmittedTransaction {
        let grant = Some(credential.grant(&self.did));
        Draft::new(kit, Action::DidCreate(DidCreate { operation: self.inception(), grant }))
            .controllers(self)
            .presenting(credential, &self.authentication)
            .submit()
    }

    /// Creates its DID with an endorser's signature.
    pub fn create_endorsed(&self, kit: &Kit, endorser: &Party) -> SubmittedTransaction {
        Draft::new(kit, Action::DidCreate(DidCreate { operation: self.inception(), grant: None }))
            .controllers(self)
            .endorser(endorser)
            .submit()
    }

    /// Turns a further credential into a grant.
    pub fn present(&self, kit: &Kit, credential: &Credential) -> SubmittedTransaction {
        Draft::new(kit, Action::CredentialPresent(CredentialPresent { grant: credential.grant(&self.did) }))
            .sender(self)
            .presenting(credential, &self.authentication)
            .submit()
    }

    /// Replaces its document, on its own grant.
    pub fn update(&mut self, kit: &Kit, document: Document) -> SubmittedTransaction {
        self.update_draft(kit, document).submit()
    }

    /// Replaces its document with an endorser's signature.
    pub fn update_endorsed(
        &mut self,
        kit: &Kit,
        document: Document,
        endorser: &Party,
    ) -> SubmittedTransaction {
        self.update_draft(kit, document).endorser(endorser).submit()
    }

    /// Replaces its control keys by the ones it committed to.
    pub fn rotate(&mut self, kit: &Kit) -> SubmittedTransaction {
        self.rotate_draft(kit).submit()
    }

    /// Ends its DID.
    pub fn deactivate(&mut self, kit: &Kit) -> SubmittedTransaction {
        let operation = Deactivate { did: self.did.clone(), previous: self.version };
        self.version = operation.version_id();
        Draft::new(kit, Action::DidDeactivate(operation)).controllers(self).submit()
    }

    /// [`Self::update`], not submitted yet.
    pub fn update_draft<'kit>(&mut self, kit: &'kit Kit, document: Document) -> Draft<'kit> {
        let operation = Update { did: self.did.clone(), previous: self.version, document };
        self.version = operation.version_id();
        self.document = operation.document.clone();
        Draft::new(kit, Action::DidUpdate(operation)).controllers(self)
    }

    /// [`Self::rotate`], not submitted yet.
    pub fn rotate_draft<'kit>(&mut self, kit: &'kit Kit) -> Draft<'kit> {
        let operation = self.rotation();
        Draft::new(kit, Action::DidRotate(operation)).controllers(self)
    }

    /// The operation of [`Self::rotate`].
    pub fn rotation(&mut self) -> Rotate {
        self.generation += 1;
        let next =
            control_keys(self.seed, &self.name, self.algorithm, self.generation, self.controllers.len());
        self.controllers = std::mem::replace(&mut self.next_controllers, next);
        let operation =
            Rotate { did: self.did.clone(), previous: self.version, control: self.control(), document: None };
        self.version = operation.version_id();
        operation
    }
}

fn control(threshold: u32, current: &[SigningKey], next: &[SigningKey]) -> Control {
    let hashes: Vec<Hash> = next.iter().map(|key| control_key_hash(&key.public())).collect();
    Control {
        threshold,
        keys: current.iter().map(SigningKey::public).collect(),
        next: NextControl { threshold, hashes },
    }
}

fn control_keys(
    seed: u64,
    name: &str,
    algorithm: Algorithm,
    generation: u32,
    count: usize,
) -> Vec<SigningKey> {
    (0..count).map(|n| derive_key_of(seed, &format!("{name}/control/{generation}/{n}"), algorithm)).collect()
}
