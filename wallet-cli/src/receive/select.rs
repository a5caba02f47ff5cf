//! Choosing a credential, and describing one before something is done with it.

use aval_credential::{Limits, Presentation};

use crate::error::WalletError;
use crate::output::{Text, date_time};
use crate::vault::{Contents, StoredCredential};

/// A credential by its id or an unambiguous beginning of it.
pub(crate) fn by_id<'a>(contents: &'a Contents, id: &str) -> Result<&'a StoredCredential, WalletError> {
    let mut found =
        contents.credentials.iter().filter(|credential| !id.is_empty() && credential.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(WalletError::NotFound(format!(
            "the vault has no credential {id}: see `aval credential list`"
        ))),
        (Some(_), Some(_)) => {
            Err(WalletError::Usage(format!("several credentials begin with {id}: give more of the id")))
        }
    }
}

/// The credential that a new DID is to be made from: the one named, or the only one that is not expired and has made
/// no DID yet.
pub(crate) fn for_new_did<'a>(
    contents: &'a Contents,
    named: Option<&str>,
    genesis: &str,
    now_s: i64,
) -> Result<&'a StoredCredential, WalletError> {
    if let Some(named) = named {
        // The ledger decides about one that was named; the wallet only keeps it from the wrong network.
        let credential = by_id(contents, named)?;
        if credential.network != genesis {
            return Err(WalletError::Usage(format!("credential {} is of another network", credential.id)));
        }
        return Ok(credential);
    }
    let fits = |credential: &&StoredCredential| {
        let is_current = Presentation::parse(credential.sd_jwt.as_bytes(), &Limits::EDGE)
            .is_ok_and(|presentation| presentation.valid_until_s().is_none_or(|until| now_s < until));
        credential.network == genesis
            && is_current
            && contents.did_of_key(&credential.holder_key.path).is_none()
    };
    let mut fitting = contents.credentials.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(WalletError::unauthorized(
            "grant.required",
            "a DID needs a membership credential that has made none yet: get one with `aval credential receive`, or \
             find a member who endorses you (--endorser)",
        )),
        (Some(_), Some(_)) => Err(WalletError::Usage(
            "several credentials fit: choose one with --credential, see `aval credential list`".to_owned(),
        )),
    }
}

/// A credential for people.
pub(crate) fn describe(text: &mut Text, presentation: &Presentation) {
    let types: Vec<&str> = presentation
        .types()
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "VerifiableCredential")
        .collect();
    text.field("type", &types.join(", "));
    text.field("issuer", presentation.issuer());
    if !presentation.roles().is_empty() {
        text.field("roles", &presentation.roles().join(", "));
    }
    if let Some(until) = presentation.valid_until_s().and_then(|until| u64::try_from(until).ok()) {
        text.field("valid until", &date_time(until.saturating_mul(1000)));
    }
}

/// What the ledger's validators see of a credential, and what they do not.
pub(crate) fn describe_presentation(text: &mut Text, presentation: &Presentation) {
    describe(text, presentation);
    text.field("validators see", "the above, the status entry and the key of the credential");
    let hidden: Vec<&str> =
        presentation.sd_jwt().disclosures().iter().filter_map(|disclosure| disclosure.name()).collect();
    let hidden = if hidden.is_empty() {
        "nothing: the credential has nothing that can be kept back".to_owned()
    } else {
        hidden.join(", ")
    };
    text.field("kept back", &hidden);
}
