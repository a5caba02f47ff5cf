//! Whether a transaction may happen.

use aval_credential::{Presentation, Schema};
use aval_did::{Control, Did, PublicKey, Relationship, control_key_hash};
use aval_types::action::{DidCreate, RegistryUpdate};
use aval_types::schema::CREDENTIAL_SCHEMA_TYPE;
use aval_types::supervision::Target;
use aval_types::{
    AccreditationKind, Action, Grant, Purpose, RegistryId, SchemaHash, SubmittedTransaction, Witness, limits,
};

use super::{Model, No, governs, signers};

/// Turns a fact into a verdict.
pub(super) fn must(fact: bool, otherwise: No) -> Result<(), No> {
    if fact { Ok(()) } else { Err(otherwise) }
}

impl Model {
    /// Whether a transaction may happen now. `fresh` is on the state before the block, where signatures and
    /// presentations are looked at; inside the block only what an earlier transaction can have changed is
    /// asked again.
    pub(super) fn decide(&self, submitted: &SubmittedTransaction, fresh: bool) -> Result<(), No> {
        let transaction = &submitted.transaction;
        let payload = transaction.payload();
        must(payload.network == self.network, "it is for another network")?;
        must(payload.nbf * 1000 <= self.time_ms, "it is too early for it")?;
        must(self.time_ms < payload.exp * 1000, "it has expired")?;
        must(payload.exp - payload.nbf <= 600, "its window is too long")?;
        must(!self.included.contains(&transaction.id()), "it is on the ledger already")?;
        if fresh {
            must(transaction.verify_signatures().is_ok(), "a signature does not verify")?;
            must(payload.signers.len() == transaction.signatures().len(), "a signature is missing")?;
        }
        self.is_free(submitted)?;
        must(!self.forbids(transaction.action().kind()), "the policy forbids it")?;
        let presentation = match (fresh, payload.action.grant()) {
            (true, Some(grant)) => Some(self.presentation(submitted, grant)?),
            _ => None,
        };
        self.act(submitted, presentation.as_ref(), fresh)?;
        self.payment(submitted).map(|_| ())
    }

    /// Nobody who signs is denied or on hold, nor the issuer of what is presented, nor this kind of action.
    fn is_free(&self, submitted: &SubmittedTransaction) -> Result<(), No> {
        let action = submitted.transaction.action();
        must(!self.is_held(&Target::Action(action.kind().to_owned())), "actions of this kind are on hold")?;
        if matches!(action, Action::DidRotate(rotate) if rotate.document.is_none()) {
            return Ok(());
        }
        let issuer = action.grant().map(|grant| grant.issuer.clone());
        let free = signers(submitted).into_iter().filter(|did| !(governs(action) && self.is_governor(did)));
        for did in free.chain(issuer) {
            let target = Target::Did(did);
            must(!self.denials.contains_key(&target), "somebody who signs is denied")?;
            must(!self.is_held(&target), "somebody who signs is on hold")?;
        }
        Ok(())
    }

    fn is_held(&self, target: &Target) -> bool {
        self.holds
            .values()
            .any(|hold| hold.target == *target && !hold.released && self.time_ms < hold.expires)
    }

    /// The sender, who signs with an authentication key.
    pub(super) fn sender(&self, submitted: &SubmittedTransaction) -> Result<Did, No> {
        let kid = submitted.transaction.payload().sender().ok_or("nobody sends it")?;
        let record = self.did(kid.did())?;
        let is_key = record.document.contains_key(&kid.key(), Relationship::Authentication);
        must(is_key, "the sender's key is no authentication key")?;
        Ok(kid.did().clone())
    }

    /// The endorser, who is another DID and signs with an authentication key.
    fn endorser(&self, submitted: &SubmittedTransaction, endorsed: &Did) -> Result<Did, No> {
        let kid = submitted.transaction.payload().endorser().ok_or("nobody endorses it")?;
        must(kid.did() != endorsed, "it endorses itself")?;
        let record = self.did(kid.did())?;
        let is_key = record.document.contains_key(&kid.key(), Relationship::Authentication);
        must(is_key, "the endorser's key is no authentication key")?;
        must(self.has_role(kid.did(), "endorser"), "the endorser may not endorse")?;
        Ok(kid.did().clone())
    }

    fn controllers(&self, submitted: &SubmittedTransaction, did: &Did) -> Result<Vec<PublicKey>, No> {
        let controllers: Vec<_> = submitted.transaction.payload().controllers().collect();
        must(controllers.iter().all(|kid| kid.did() == did), "keys of another DID sign")?;
        Ok(controllers.iter().map(|kid| kid.key()).collect())
    }

    fn act(
        &self,
        submitted: &SubmittedTransaction,
        presentation: Option<&Presentation>,
        fresh: bool,
    ) -> Result<(), No> {
        let action = submitted.transaction.action();
        match action {
            Action::DidCreate(create) => self.may_create(submitted, create, presentation),
            Action::DidUpdate(update) => {
                let record = self.did(&update.did)?;
                must(record.version == update.previous, "it builds on another version")?;
                control(&record.control, &self.controllers(submitted, &update.did)?)?;
                match submitted.transaction.payload().endorser() {
                    Some(_) => self.endorser(submitted, &update.did).map(|_| ()),
                    None => must(self.has_role(&update.did, "member"), "it is no member"),
                }
            }
            Action::DidRotate(rotate) => {
                let record = self.did(&rotate.did)?;
                must(record.version == rotate.previous, "it builds on another version")?;
                let keys = self.controllers(submitted, &rotate.did)?;
                let committed = |key: &PublicKey| record.control.next.hashes.contains(&control_key_hash(key));
                must(keys.iter().all(committed), "a key was not committed to")?;
                must(keys.iter().all(|key| rotate.control.keys.contains(key)), "a key is not taken over")?;
                enough(&keys, record.control.next.threshold)?;
                self.has_allowance(&rotate.did)
            }
            Action::DidDeactivate(deactivate) => {
                let record = self.did(&deactivate.did)?;
                must(record.version == deactivate.previous, "it builds on another version")?;
                control(&record.control, &self.controllers(submitted, &deactivate.did)?)?;
                self.has_allowance(&deactivate.did)?;
                self.can_govern_without(&deactivate.did)
            }
            Action::CredentialPresent(present) => {
                let sender = self.sender(submitted)?;
                must(present.grant.subject == sender, "it presents for another")?;
                self.may_grant(&present.grant, presentation, &self.did(&sender)?.document)
            }
            Action::RegistryCreate(create) => {
                let owner = self.sender(submitted)?;
                must(
                    self.is_accredited(&owner, AccreditationKind::Issuer, None, &[]),
                    "it is no live issuer",
                )?;
                let id = RegistryId::new(owner, &create.registry).ok_or("it has no name")?;
                must(!self.registries.contains_key(&id), "the registry exists")?;
                let taken = |uri| self.registries.values().any(|other| other.lists.contains(uri));
                must(!create.lists.iter().any(taken), "a list is taken")
            }
            Action::RegistryUpdate(update) => self.may_change_entries(&self.sender(submitted)?, update),
            Action::AnchorCreate(anchor) => {
                must(self.has_role(&self.sender(submitted)?, "member"), "it is no member")?;
                must(!self.anchors.contains(&anchor.commitment), "the anchor exists")
            }
            Action::ServiceRegister(_) => {
                must(self.has_role(&self.sender(submitted)?, "member"), "it is no member")
            }
            Action::ServiceRemove(remove) => {
                let key = (self.sender(submitted)?, remove.name.clone());
                must(self.services.contains(&key), "there is no such service")
            }
            Action::AccreditationGrant(grant) => self.may_accredit(&self.sender(submitted)?, grant),
            Action::AccreditationRevoke(revoke) => {
                self.may_disaccredit(&self.sender(submitted)?, &revoke.subject)
            }
            Action::SchemaPublish(publish) => self.may_publish(&self.sender(submitted)?, publish),
            Action::SchemaDeprecate(deprecate) => {
                self.may_deprecate(&self.sender(submitted)?, &deprecate.schema)
            }
            Action::NodeRegister(_)
            | Action::NodeUpdate(_)
            | Action::NodeLeave(_)
            | Action::NodeEvidence(_) => self.may_act_on_node(&self.sender(submitted)?, action, fresh),
            _ => self.may_govern_or_supervise(&self.sender(submitted)?, action),
        }
    }

    fn may_create(
        &self,
        submitted: &SubmittedTransaction,
        create: &DidCreate,
        presentation: Option<&Presentation>,
    ) -> Result<(), No> {
        let operation = &create.operation;
        must(operation.did.network() == self.network.label(), "the DID is of another network")?;
        must(!self.dids.contains_key(&operation.did), "the DID exists")?;
        must(operation.validate().is_ok(), "the DID is not that of its inception")?;
        control(&operation.control, &self.controllers(submitted, &operation.did)?)?;
        match &create.grant {
            Some(grant) => {
                must(grant.has_role("member"), "the credential makes no member")?;
                must(grant.subject == operation.did, "the grant is another's")?;
                self.may_grant(grant, presentation, &operation.document)
            }
            None => self.endorser(submitted, &operation.did).map(|_| ()),
        }
    }

    fn has_allowance(&self, did: &Did) -> Result<(), No> {
        let (since, used) = self.did(did)?.allowance;
        must(self.time_ms - since >= 24 * 3600 * 1000 || used < 8, "its allowance is used up")
    }

    fn can_govern_without(&self, did: &Did) -> Result<(), No> {
        let others = self.governors.members.iter().filter(|member| *member != did);
        let able = others.filter(|member| self.did(member).is_ok()).count();
        let enough = able >= self.governors.threshold as usize;
        must(!self.is_governor(did) || enough, "too few governors would be left")
    }

    /// The presentation of a transaction says what the grant says, and was made for this transaction and network.
    fn presentation(&self, submitted: &SubmittedTransaction, grant: &Grant) -> Result<Presentation, No> {
        let Witness::Full(bytes) = &submitted.witness else { return Err("the presentation is not there") };
        let limits = aval_credential::Limits::LEDGER;
        let presentation =
            Presentation::parse(bytes, &limits).map_err(|_| "the presentation is unreadable")?;
        let payload = submitted.transaction.payload();
        must(payload.presentation == Some(presentation.sd_hash()), "another presentation was signed")?;
        let nonce = submitted.transaction.id().to_string();
        let bound = presentation.verify_key_binding(&nonce, &self.network.to_string());
        must(bound.is_ok(), "the key binding is not the holder's for this transaction")?;
        must(presentation.issuer() == grant.issuer.as_str(), "another issuer")?;
        must(presentation.has_type(&grant.credential_type), "another type")?;
        must(presentation.roles() == grant.roles, "other roles")?;
        let subject = presentation.subject_id();
        must(subject.is_none_or(|subject| subject == grant.subject.as_str()), "another subject")?;
        let [entry] = presentation.status() else { return Err("not one status entry") };
        must(entry.list == grant.status.list && entry.index == grant.status.index, "another status entry")?;
        let ends = presentation.valid_until_s().and_then(|seconds| u64::try_from(seconds).ok());
        must(ends == Some(grant.expires), "it ends at another time")?;
        Ok(presentation)
    }

    /// From a credential to a grant (specs/rules.md, section 4).
    fn may_grant(
        &self,
        grant: &Grant,
        presentation: Option<&Presentation>,
        document: &aval_did::Document,
    ) -> Result<(), No> {
        let roles: Vec<&str> = grant.roles.iter().map(String::as_str).collect();
        let kind = AccreditationKind::Issuer;
        let live = self.is_accredited(&grant.issuer, kind, Some(&grant.credential_type), &roles);
        must(live, "the issuer is not accredited")?;
        must(self.time_ms < grant.expires * 1000, "the credential has expired")?;
        let registry = self.registries.get(&grant.status.registry).ok_or("no such registry")?;
        must(registry.lists.contains(&grant.status.list), "the list is another registry's")?;
        must(grant.status.registry.owner() == &grant.issuer, "the registry is another's")?;
        must(registry.purpose != Purpose::Message, "the registry takes nothing back")?;
        must(grant.status.index < u64::from(registry.size), "there is no such entry")?;
        must(
            self.entry(&grant.status.list, grant.status.index) == 0,
            "the credential is revoked or suspended",
        )?;
        must(!self.grants.contains_key(&grant.id()), "the status entry made a grant before")?;
        if let Some(presentation) = presentation {
            self.is_genuine(grant, presentation, document, registry.purpose)?;
        }
        let held = self.dids.get(&grant.subject).map_or(&[][..], |record| &record.grants);
        must(held.iter().filter(|id| self.takes_room(id)).count() < 16, "it has too many grants")
    }

    fn is_genuine(
        &self,
        grant: &Grant,
        presentation: &Presentation,
        document: &aval_did::Document,
        purpose: Purpose,
    ) -> Result<(), No> {
        let issuer = self.did(&grant.issuer)?;
        let (_, fragment) = presentation.issuer_kid().split_once('#').ok_or("the key has no name")?;
        let key = issuer.document.verification_key(fragment, Relationship::AssertionMethod);
        let key = key.ok_or("the issuer has no such key")?;
        must(presentation.verify_issuer_signature(&key).is_ok(), "the issuer did not sign it")?;
        let holder = presentation.cnf_key().ok_or("it is bound to no key")?;
        must(document.contains_key(holder, Relationship::Authentication), "it is bound to another's key")?;
        let begins = presentation.valid_from_s().unwrap_or(0);
        let time_s = i64::try_from(self.time_ms / 1000).expect("a time in this era");
        must(begins <= time_s, "it is not valid yet")?;
        let name = if purpose == Purpose::Suspension { "suspension" } else { "revocation" };
        let fits = presentation.status().iter().all(|entry| entry.purpose.name() == name);
        must(fits, "its status entry has another purpose")?;
        self.fits_schemas(grant, presentation)
    }

    /// What the bodies above the issuer ask of credentials of this type.
    fn fits_schemas(&self, grant: &Grant, presentation: &Presentation) -> Result<(), No> {
        let above = self.line(&grant.issuer);
        let binding: Vec<_> = self
            .schemas
            .iter()
            .filter(|(_, one)| !one.deprecated && one.credential_type == grant.credential_type)
            .filter(|(_, one)| above.iter().skip(1).any(|did| *did == one.publisher))
            .collect();
        if binding.is_empty() {
            return Ok(());
        }
        let named = presentation.schema_ids(CREDENTIAL_SCHEMA_TYPE);
        let named: Vec<_> = named.filter_map(|id| SchemaHash::from_urn(id).ok()).collect();
        let (_, schema) = named
            .iter()
            .find_map(|hash| binding.iter().find(|(own, _)| *own == hash))
            .ok_or("it names no schema in force")?;
        let schema = Schema::compile(&schema.schema).map_err(|_| "a schema in force is none")?;
        must(schema.validate(presentation.claims()).is_ok(), "it does not fit its schema")
    }

    fn may_change_entries(&self, sender: &Did, update: &RegistryUpdate) -> Result<(), No> {
        must(update.registry.owner() == sender, "the registry is another's")?;
        must(self.is_accredited(sender, AccreditationKind::Issuer, None, &[]), "it is no live issuer")?;
        let registry = self.registries.get(&update.registry).ok_or("no such registry")?;
        must(update.changes.len() <= limits::REGISTRY_CHANGES_MAX, "too many changes")?;
        for change in &update.changes {
            must(registry.lists.contains(&change.list), "no such list")?;
            must(change.index < u64::from(registry.size), "no such entry")?;
            let largest = (1u16 << registry.bits) - 1;
            must(u16::from(change.to.max(change.from)) <= largest, "the value does not fit")?;
            let current = self.entry(&change.list, change.index);
            match registry.purpose {
                Purpose::Revocation => {
                    must(change.to >= current && change.to >= change.from, "a revocation is taken back")?;
                }
                Purpose::Suspension | Purpose::Message => {
                    must(change.from == current, "the entry is another")?
                }
            }
        }
        Ok(())
    }
}

/// As many of the control keys as must sign, and no others.
fn control(control: &Control, keys: &[PublicKey]) -> Result<(), No> {
    must(keys.iter().all(|key| control.keys.contains(key)), "a key does not control the DID")?;
    enough(keys, control.threshold)
}

fn enough(keys: &[PublicKey], threshold: u32) -> Result<(), No> {
    let different = keys.iter().enumerate().all(|(index, key)| !keys[..index].contains(key));
    must(different, "a key signs twice")?;
    must(keys.len() >= threshold as usize, "too few keys sign")
}
