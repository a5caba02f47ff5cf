//! `aval did create`: a new DID, paid for by a membership credential or by an endorser.

use aval_credential::{Limits, Presentation, SdJwt, Selection, disclose};
use aval_did::{Control, Create, Did, Document, Service, SigningKey, VerificationMethod};
use aval_types::action::DidCreate;
use aval_types::{Action, KeyId, NetworkId};
use serde_json::json;

use super::operation::{Draft, Signed, Witness};
use super::{owned, settle};
use crate::app::{App, now_s};
use crate::cli::{CreateArgs, ServiceArg};
use crate::error::WalletError;
use crate::home;
use crate::keys::{KeyRing, control_path, document_path};
use crate::ledger::Ledger;
use crate::output::date_time;
use crate::receive::{grant, select};
use crate::vault::{
    Contents, DidState, Holder, OperationKind, StoredCredential, StoredDid, StoredKey, Vault,
};

/// Who pays for the creation.
enum Voucher {
    Credential(Box<StoredCredential>, Box<grant::Terms>),
    Endorser(Box<Endorser>),
}

/// An endorser, with its private key if it is one of this vault's DIDs.
pub(super) struct Endorser {
    pub(super) kid: KeyId,
    pub(super) key: Option<SigningKey>,
}

pub(super) fn run(app: &App, arguments: &CreateArgs) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let connection = app.connection()?;
    let network = connection.network_id()?;
    let ledger = connection.ledger()?;
    let contents = vault.read()?;
    let voucher = voucher(app, &contents, &ledger, &network, arguments)?;
    consent(app, &contents, &voucher, &network, arguments)?;
    let (did, signed) = vault.update(|contents| {
        let (entry, signed) = build(contents, &network, &voucher, arguments)?;
        let did = entry.did.clone();
        contents.counters.did += 1;
        contents.dids.push(entry);
        settle::note(contents, &did, &network.genesis().to_string(), &signed)?;
        Ok::<_, WalletError>((did, signed))
    })?;
    if arguments.qr {
        app.output.qr(&did);
    }
    finish(app, &vault, &ledger, &did, signed, arguments.out.as_deref(), "the DID is on the ledger")
}

/// Sends a signed operation, or writes it down for its endorser.
pub(crate) fn finish(
    app: &App,
    vault: &Vault,
    ledger: &Ledger,
    did: &str,
    signed: Signed,
    out: Option<&std::path::Path>,
    done: &str,
) -> Result<(), WalletError> {
    let entry = signed.entry(did, "", now_s());
    if let Some(submitted) = &signed.submitted {
        let receipt = settle::carry_out(app, vault, ledger, did, submitted)?;
        return settle::report(app, done, did, &entry, &receipt);
    }
    let partial =
        serde_json::to_vec_pretty(&signed.partial).map_err(|error| WalletError::Failed(error.to_string()))?;
    // The command refuses to begin without --out when the endorser is elsewhere.
    let out = out.ok_or_else(|| WalletError::Usage("an endorser elsewhere needs --out FILE".to_owned()))?;
    home::write_output(out, &partial)?;
    let file = out.display().to_string();
    let expires_ms = u64::try_from(signed.expires_s).unwrap_or_default().saturating_mul(1000);
    app.output.data(
        &json!({
            "did": did,
            "transaction": entry.id,
            "status": "unendorsed",
            "file": file,
            "expires": date_time(expires_ms),
        }),
        |text| {
            text.done(&format!("signed, and waiting for its endorser in {file}"));
            text.field("DID", did);
            text.field("transaction", &entry.id);
            text.field("valid until", &date_time(expires_ms));
        },
    )?;
    app.output.note("The endorser runs `aval tx endorse FILE` within ten minutes; then run `aval did sync`.");
    Ok(())
}

fn voucher(
    app: &App,
    contents: &Contents,
    ledger: &Ledger,
    network: &NetworkId,
    arguments: &CreateArgs,
) -> Result<Voucher, WalletError> {
    if let Some(named) = &arguments.endorser {
        let endorser = endorser(app, contents, ledger, network, named)?;
        if endorser.key.is_none() && arguments.out.is_none() {
            return Err(WalletError::Usage(
                "the endorser is not a DID of this vault: add --out FILE and give the file to its owner"
                    .to_owned(),
            ));
        }
        return Ok(Voucher::Endorser(Box::new(endorser)));
    }
    let genesis = network.genesis().to_string();
    let credential = select::for_new_did(contents, arguments.credential.as_deref(), &genesis, now_s())?;
    // Asked before the vault is locked: the ledger may be slow.
    let terms = grant::terms(ledger, &parse(credential)?)?;
    Ok(Voucher::Credential(Box::new(credential.clone()), Box::new(terms)))
}

/// The endorser's key, as the ledger has it; with the private half if it is in this vault.
pub(super) fn endorser(
    app: &App,
    contents: &Contents,
    ledger: &Ledger,
    network: &NetworkId,
    named: &str,
) -> Result<Endorser, WalletError> {
    let (did_text, fragment) = named.split_once('#').map_or((named, None), |(did, key)| (did, Some(key)));
    let did = super::parse(did_text)?;
    let record = ledger
        .did_record(&did)?
        .value
        .ok_or_else(|| WalletError::NotFound(format!("the endorser {did} is not on the ledger")))?;
    let genesis = network.genesis().to_string();
    if let Some(entry) = contents.dids.iter().find(|entry| entry.did == did_text && entry.genesis == genesis)
    {
        let ring = KeyRing::new(&contents.entropy)?;
        let state = owned::align(&ring, contents, entry, &record)?;
        let key = owned::authentication_key(&state, &record)?;
        let kid = KeyId::new(did, owned::public(key)?);
        return Ok(Endorser { kid, key: Some(ring.private(key)?) });
    }
    let keys: Vec<_> = record
        .document
        .authentication
        .iter()
        .filter_map(|id| record.document.method(id)?.public_key())
        .filter(|key| fragment.is_none_or(|fragment| key.to_multikey() == fragment))
        .collect();
    let key = keys.first().ok_or_else(|| {
        WalletError::NotFound(format!("the document of {did} names no such authentication key"))
    })?;
    if keys.len() > 1 {
        app.output
            .note(&format!("{did} has several keys; the endorsement is asked of {}", key.to_multikey()));
    }
    Ok(Endorser { kid: KeyId::new(did, *key), key: None })
}

fn consent(
    app: &App,
    contents: &Contents,
    voucher: &Voucher,
    network: &NetworkId,
    arguments: &CreateArgs,
) -> Result<(), WalletError> {
    let presentation = match voucher {
        Voucher::Credential(credential, _) => Some(parse(credential)?),
        Voucher::Endorser(_) => None,
    };
    app.output.ask_about(arguments.yes, |text| {
        text.title(&format!("A new DID on the network {}", network.label()));
        text.line("It is public for good: keys, services, history and grants are open to all and never erased.");
        if contents.holder != Some(Holder::Organization) {
            let warning = "If you are a natural person: you need this only for a public identity. Credentials work \
                           without it, and what you put here can be linked to you.";
            let painted = text.yellow("warning:");
            text.line_as_is(&format!("{painted} {warning}"));
        }
        for service in &arguments.services {
            text.field("service", &format!("{} {} {}", service.id, service.kind, service.endpoint));
        }
        for uri in &arguments.also_known_as {
            text.field("also known as", uri);
        }
        match (voucher, &presentation) {
            (Voucher::Credential(credential, _), Some(presentation)) => {
                text.field("pays with", &format!("credential {}", credential.id));
                select::describe_presentation(text, presentation);
            }
            (Voucher::Endorser(endorser), _) => {
                text.field("endorsed by", endorser.kid.did().as_str());
            }
            _ => {}
        }
    });
    app.output.confirm("Put this DID on the ledger?", arguments.yes)
}

pub(super) fn parse(credential: &StoredCredential) -> Result<Presentation, WalletError> {
    Presentation::parse(credential.sd_jwt.as_bytes(), &Limits::EDGE)
        .map_err(|error| WalletError::Failed(format!("credential {} cannot be read: {error}", credential.id)))
}

/// The witness of a ledger transaction: nothing is disclosed but what is in plain text anyway.
pub(crate) fn witness(credential: &StoredCredential, ring: &KeyRing) -> Result<Witness, WalletError> {
    let failed = |error: aval_credential::CredentialError| WalletError::Failed(error.to_string());
    let issued = SdJwt::parse(&credential.sd_jwt, &Limits::EDGE).map_err(failed)?;
    let disclosed = disclose(&issued, &Selection::Nothing).map_err(failed)?;
    Ok(Witness { disclosed, holder_key: ring.private(&credential.holder_key)? })
}

fn build(
    contents: &Contents,
    network: &NetworkId,
    voucher: &Voucher,
    arguments: &CreateArgs,
) -> Result<(StoredDid, Signed), WalletError> {
    let ring = KeyRing::new(&contents.entropy)?;
    let index = contents.counters.did;
    let control_key = ring.stored(control_path(index, 0, 0))?;
    let next_key = ring.stored(control_path(index, 1, 0))?;
    // A presentation counts only if the credential's key is one of the DID's authentication keys.
    let (document_key, document_keys_made) = match voucher {
        Voucher::Credential(credential, _) => (credential.holder_key.clone(), 0),
        Voucher::Endorser(_) => (ring.stored(document_path(index, 0))?, 1),
    };
    let control = Control::single(&owned::public(&control_key)?, &owned::public(&next_key)?);
    let document = document(&document_key, &arguments.services, &arguments.also_known_as)?;
    let operation = Create::new(network.label(), control, document)
        .map_err(|error| WalletError::Usage(format!("this DID cannot be made: {error}")))?;
    operation.validate().map_err(|error| WalletError::Usage(format!("this DID cannot be made: {error}")))?;
    let did: Did = operation.did.clone();
    let (grant, witness, endorser) = match voucher {
        Voucher::Credential(credential, terms) => {
            (Some(terms.for_subject(&did)), Some(witness(credential, &ring)?), None)
        }
        Voucher::Endorser(endorser) => (None, None, Some((endorser.kid.clone(), endorser.key.clone()))),
    };
    let after = DidState {
        version_id: aval_did::Operation::Create(operation.clone()).version_id().to_string(),
        generation: 0,
        control: vec![control_key.clone()],
        next: vec![next_key],
        document_keys: vec![document_key],
        deactivated: false,
    };
    let kid = KeyId::new(did.clone(), owned::public(&control_key)?);
    let draft = Draft {
        kind: OperationKind::Create,
        action: Action::DidCreate(DidCreate { operation, grant }),
        sender: None,
        controllers: vec![(kid, ring.private(&control_key)?)],
        endorser,
        witness,
        after,
    };
    let signed = draft.sign(network, now_s())?;
    let entry = StoredDid {
        did: did.to_string(),
        genesis: network.genesis().to_string(),
        index,
        document_keys_made,
        state: None,
        pending: None,
    };
    Ok((entry, signed))
}

/// The first document: one key that acts for the DID and makes claims in its name.
fn document(
    key: &StoredKey,
    services: &[ServiceArg],
    also_known_as: &[String],
) -> Result<Document, WalletError> {
    let method = VerificationMethod::multikey("#key-1", &owned::public(key)?);
    Ok(Document {
        verification_method: vec![method],
        authentication: vec!["#key-1".to_owned()],
        assertion_method: vec!["#key-1".to_owned()],
        service: services.iter().map(service).collect(),
        also_known_as: also_known_as.to_vec(),
        ..Document::default()
    })
}

pub(super) fn service(argument: &ServiceArg) -> Service {
    Service {
        id: argument.id.clone(),
        service_type: argument.kind.clone(),
        service_endpoint: argument.endpoint.clone(),
    }
}
