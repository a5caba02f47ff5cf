//! `aval did update`, `rotate` and `deactivate`: changes of a DID that this vault controls.

use aval_did::{
    Control, Deactivate, Did, DidRecord, Document, Operation, Rotate, SigningKey, Update, VerificationMethod,
};
use aval_types::{Action, KeyId, NetworkId};

use super::create::{self, Endorser};
use super::operation::{Draft, Signed};
use super::{owned, settle};
use crate::app::{App, now_s};
use crate::cli::{DeactivateArgs, RotateArgs, UpdateArgs};
use crate::error::WalletError;
use crate::keys::{KeyRing, control_path, document_path};
use crate::ledger::Ledger;
use crate::vault::{Contents, DidState, OperationKind, StoredKey, Vault};

/// A DID of this vault as the ledger has it now, with nothing open.
struct Present {
    vault: Vault,
    ledger: Ledger,
    network: NetworkId,
    contents: Contents,
    ring: KeyRing,
    did: Did,
    index: u32,
    document_keys_made: u32,
    record: DidRecord,
    state: DidState,
}

impl Present {
    fn find(app: &App, named: Option<&str>) -> Result<Self, WalletError> {
        let vault = app.vault()?;
        let connection = app.connection()?;
        let (network, ledger) = (connection.network_id()?, connection.ledger()?);
        let genesis = network.genesis().to_string();
        let before = vault.read()?;
        settle::require_settled(app, &vault, &ledger, owned::entry(&before, named, &genesis)?)?;
        let contents = vault.read()?;
        let entry = owned::entry(&contents, named, &genesis)?;
        let did = owned::did(entry)?;
        let record = ledger
            .did_record(&did)?
            .value
            .ok_or_else(|| WalletError::NotFound(format!("{did} is not on the ledger")))?;
        if record.deactivated {
            return Err(WalletError::unauthorized(
                "did.deactivated",
                format!("{did} was deactivated, which is final"),
            ));
        }
        let ring = KeyRing::new(&contents.entropy)?;
        let state = owned::align(&ring, &contents, entry, &record)?;
        let (index, document_keys_made) = (entry.index, entry.document_keys_made);
        Ok(Self { vault, ledger, network, did, index, document_keys_made, record, state, ring, contents })
    }

    fn controllers(&self, keys: &[StoredKey]) -> Result<Vec<(KeyId, SigningKey)>, WalletError> {
        let with_kid = |key: &StoredKey| {
            Ok((KeyId::new(self.did.clone(), owned::public(key)?), self.ring.private(key)?))
        };
        keys.iter().map(with_kid).collect()
    }

    fn draft(
        &self,
        kind: OperationKind,
        action: Action,
        keys: &[StoredKey],
        after: DidState,
    ) -> Result<Draft, WalletError> {
        let controllers = self.controllers(keys)?;
        Ok(Draft { kind, action, sender: None, controllers, endorser: None, witness: None, after })
    }

    /// Notes, sends, reports.
    fn carry_out(
        &self,
        app: &App,
        draft: Draft,
        out: Option<&std::path::Path>,
        done: &str,
    ) -> Result<(), WalletError> {
        let signed: Signed = draft.sign(&self.network, now_s())?;
        let (did, genesis) = (self.did.to_string(), self.network.genesis().to_string());
        self.vault.update(|contents| {
            settle::note(contents, &did, &genesis, &signed)?;
            if let Some(entry) = contents.did_mut(&did) {
                // What the ledger says now, so that a refusal does not leave the vault behind.
                entry.state = Some(self.state.clone());
                entry.document_keys_made = self.document_keys_made;
            }
            Ok::<_, WalletError>(())
        })?;
        create::finish(app, &self.vault, &self.ledger, &did, signed, out, done)
    }
}

pub(super) fn update(app: &App, arguments: &UpdateArgs) -> Result<(), WalletError> {
    if arguments.services.is_empty()
        && arguments.remove_services.is_empty()
        && arguments.also_known_as.is_empty()
    {
        let message = "nothing to update: give --service, --remove-service or --also-known-as";
        return Err(WalletError::Usage(message.to_owned()));
    }
    let present = Present::find(app, arguments.did.as_deref())?;
    let document = updated(&present.record.document, arguments)?;
    let endorser: Option<Endorser> = match &arguments.endorser {
        Some(named) => {
            Some(create::endorser(app, &present.contents, &present.ledger, &present.network, named)?)
        }
        None => None,
    };
    if endorser.as_ref().is_some_and(|endorser| endorser.key.is_none()) && arguments.out.is_none() {
        return Err(WalletError::Usage(
            "the endorser is not a DID of this vault: add --out FILE and give the file to its owner"
                .to_owned(),
        ));
    }
    app.output.ask_about(arguments.yes, |text| {
        text.title(&format!("Update {}", present.did));
        for service in &document.service {
            text.field(
                "service",
                &format!("{} {} {}", service.id, service.service_type, service.service_endpoint),
            );
        }
        for uri in &document.also_known_as {
            text.field("also known as", uri);
        }
        text.line("Earlier versions stay readable for good.");
    });
    app.output.confirm("Put this on the ledger?", arguments.yes)?;
    let operation = Update { did: present.did.clone(), previous: present.record.version_id, document };
    operation.validate().map_err(|error| WalletError::Usage(error.to_string()))?;
    let after = DidState { version_id: operation.version_id().to_string(), ..present.state.clone() };
    let keys = present.state.control.clone();
    let mut draft = present.draft(OperationKind::Update, Action::DidUpdate(operation), &keys, after)?;
    draft.endorser = endorser.map(|endorser| (endorser.kid, endorser.key));
    present.carry_out(app, draft, arguments.out.as_deref(), "the DID document is updated")
}

fn updated(document: &Document, arguments: &UpdateArgs) -> Result<Document, WalletError> {
    let mut document = document.clone();
    for id in &arguments.remove_services {
        let id = format!("#{}", id.strip_prefix('#').unwrap_or(id));
        let before = document.service.len();
        document.service.retain(|service| service.id != id);
        if document.service.len() == before {
            return Err(WalletError::NotFound(format!("the document has no service {id}")));
        }
    }
    for argument in &arguments.services {
        let service = create::service(argument);
        match document.service.iter_mut().find(|other| other.id == service.id) {
            Some(other) => *other = service,
            None => document.service.push(service),
        }
    }
    if !arguments.also_known_as.is_empty() {
        document.also_known_as.clone_from(&arguments.also_known_as);
    }
    Ok(document)
}

pub(super) fn rotate(app: &App, arguments: &RotateArgs) -> Result<(), WalletError> {
    let mut present = Present::find(app, arguments.did.as_deref())?;
    let generation = present.state.generation + 1;
    let revealed = present.state.next.clone();
    let committed = present.ring.stored(control_path(present.index, generation + 1, 0))?;
    let current =
        revealed.first().ok_or_else(|| WalletError::Failed("there is no next control key".to_owned()))?;
    let control = Control::single(&owned::public(current)?, &owned::public(&committed)?);
    let mut document_keys = present.state.document_keys.clone();
    let document = if arguments.document_keys {
        let key = present.ring.stored(document_path(present.index, present.document_keys_made))?;
        present.document_keys_made += 1;
        let document = with_new_key(&present.record.document, &document_keys, &key)?;
        document_keys = vec![key];
        Some(document)
    } else {
        None
    };
    app.output.ask_about(arguments.yes, |text| {
        text.title(&format!("Rotate the keys of {}", present.did));
        text.line("The control keys committed to become the current ones, and new ones are committed to.");
        if arguments.document_keys {
            let warning = "The document gets a new key, too. A credential bound to an old key can no longer be \
                           presented; grants that exist stay.";
            let painted = text.yellow("warning:");
            text.line_as_is(&format!("{painted} {warning}"));
        }
    });
    app.output.confirm("Rotate?", arguments.yes)?;
    let operation =
        Rotate { did: present.did.clone(), previous: present.record.version_id, control, document };
    operation.validate().map_err(|error| WalletError::Failed(error.to_string()))?;
    let after = DidState {
        version_id: operation.version_id().to_string(),
        generation,
        control: revealed.clone(),
        next: vec![committed],
        document_keys,
        deactivated: false,
    };
    let draft = present.draft(OperationKind::Rotate, Action::DidRotate(operation), &revealed, after)?;
    present.carry_out(app, draft, None, "the keys are rotated")
}

/// The document with one new method in the place of all methods of this vault; methods of others stay.
fn with_new_key(
    document: &Document,
    owned_keys: &[StoredKey],
    key: &StoredKey,
) -> Result<Document, WalletError> {
    let is_owned = |method: &VerificationMethod| {
        method.public_key().is_some_and(|key| owned_keys.iter().any(|own| own.public == key.to_multikey()))
    };
    let replaced: Vec<String> = document
        .verification_method
        .iter()
        .filter(|method| is_owned(method))
        .map(|method| method.id().to_owned())
        .collect();
    // An id that was never in use, as far as the document shows, so that nobody takes the new key for an old one.
    let highest = document.verification_method.iter().filter_map(|method| {
        method.fragment().strip_prefix("key-").and_then(|number| number.parse::<u32>().ok())
    });
    let id = format!("#key-{}", highest.max().unwrap_or(0).saturating_add(1));
    let mut document = document.clone();
    document.verification_method.retain(|method| !is_owned(method));
    document.verification_method.push(VerificationMethod::multikey(&id, &owned::public(key)?));
    let relationships = [
        &mut document.authentication,
        &mut document.assertion_method,
        &mut document.capability_invocation,
        &mut document.capability_delegation,
    ];
    for references in relationships {
        let had_owned = references.iter().any(|reference| replaced.contains(reference));
        references.retain(|reference| !replaced.contains(reference));
        if had_owned {
            references.push(id.clone());
        }
    }
    Ok(document)
}

pub(super) fn deactivate(app: &App, arguments: &DeactivateArgs) -> Result<(), WalletError> {
    let present = Present::find(app, Some(&arguments.did))?;
    app.output.ask_about(arguments.yes, |text| {
        text.title(&format!("Deactivate {}", present.did));
        text.line("This is final. The DID can never be used again; its history stays readable for good.");
    });
    app.output.confirm("Deactivate it?", arguments.yes)?;
    let operation = Deactivate { did: present.did.clone(), previous: present.record.version_id };
    let version_id = Operation::Deactivate(operation.clone()).version_id().to_string();
    let after =
        DidState { version_id, document_keys: Vec::new(), deactivated: true, ..present.state.clone() };
    let keys = present.state.control.clone();
    let draft = present.draft(OperationKind::Deactivate, Action::DidDeactivate(operation), &keys, after)?;
    present.carry_out(app, draft, None, "the DID is deactivated")
}
