//! `aval credential present`: a DID that exists gets the grant of a further credential.

use aval_credential::{Limits, Presentation};
use aval_types::action::CredentialPresent;
use aval_types::{Action, KeyId};

use super::{grant, select};
use crate::app::{App, now_s};
use crate::did::operation::Draft;
use crate::did::{self, owned, settle};
use crate::error::WalletError;
use crate::keys::KeyRing;
use crate::vault::OperationKind;

pub(super) fn run(app: &App, id: &str, named: Option<&str>, yes: bool) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let connection = app.connection()?;
    let (network, ledger) = (connection.network_id()?, connection.ledger()?);
    let genesis = network.genesis().to_string();
    let before = vault.read()?;
    let credential = select::by_id(&before, id)?.clone();
    let named = match named {
        Some(named) => Some(named.to_owned()),
        None => before.did_of_key(&credential.holder_key.path).map(|entry| entry.did.clone()),
    };
    let entry = owned::entry(&before, named.as_deref(), &genesis)?;
    settle::require_settled(app, &vault, &ledger, entry)?;
    let contents = vault.read()?;
    let entry = owned::entry(&contents, named.as_deref(), &genesis)?;
    let did = owned::did(entry)?;
    let record = ledger
        .did_record(&did)?
        .value
        .ok_or_else(|| WalletError::NotFound(format!("{did} is not on the ledger")))?;
    let ring = KeyRing::new(&contents.entropy)?;
    let state = owned::align(&ring, &contents, entry, &record)?;
    let presentation = Presentation::parse(credential.sd_jwt.as_bytes(), &Limits::EDGE).map_err(|error| {
        WalletError::Failed(format!("credential {} cannot be read: {error}", credential.id))
    })?;
    app.output.ask_about(yes, |text| {
        text.title(&format!("Present credential {} to the ledger", credential.id));
        text.field("for", did.as_str());
        select::describe_presentation(text, &presentation);
        text.line("The grant that comes of it is public, with the issuer, the type and the roles.");
    });
    app.output.confirm("Present it?", yes)?;
    // The ledger wants the credential's own key among the authentication keys; it says so if it is not.
    let kid = KeyId::new(did.clone(), owned::public(&credential.holder_key)?);
    let terms = grant::terms(&ledger, &presentation)?;
    let draft = Draft {
        kind: OperationKind::Present,
        action: Action::CredentialPresent(CredentialPresent { grant: terms.for_subject(&did) }),
        sender: Some((kid, ring.private(&credential.holder_key)?)),
        controllers: Vec::new(),
        endorser: None,
        witness: Some(did::witness(&credential, &ring)?),
        after: state,
    };
    let signed = draft.sign(&network, now_s())?;
    vault.update(|contents| settle::note(contents, did.as_str(), &genesis, &signed))?;
    did::finish(app, &vault, &ledger, did.as_str(), signed, None, "the credential made a grant")
}
