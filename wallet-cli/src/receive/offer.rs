//! `aval credential receive`: from an offer to a checked credential in the vault.
//!
//! The issuer's metadata say what it calls itself; who it is, the ledger says: its signature is checked with the key
//! that its DID names for assertions, and the DID's record is proven. A credential of an issuer that the ledger does
//! not know is not taken.

use std::path::PathBuf;

use aval_codec::sha256;
use aval_did::{PublicKey, Relationship, SigningKey};
use aval_openid::vci::{Authorized, CredentialOffer, Discovery, OfferLink, Received, Redeemable};
use aval_openid::{OpenIdError, UrlPolicy};
use serde_json::json;

use super::http::Http;
use super::{browser, select, show};
use crate::app::{App, now_s};
use crate::did::owned;
use crate::error::WalletError;
use crate::home;
use crate::keys::{KeyRing, holder_path};
use crate::ledger::Ledger;
use crate::output::clean;
use crate::vault::{Contents, StoredCredential, StoredKey, Vault};

/// What the command line says beside the offer.
pub(super) struct Choice {
    pub(super) tx_code: Option<String>,
    pub(super) tx_code_file: Option<PathBuf>,
    pub(super) did: Option<String>,
    pub(super) configuration: Option<String>,
    pub(super) yes: bool,
}

pub(super) fn receive(app: &App, link: &str, choice: &Choice) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let connection = app.connection()?;
    let genesis = connection.network_id()?.genesis().to_string();
    let ledger = connection.ledger()?;
    let http = Http::new();
    // Local networks of developers are spoken to without TLS; everything else must be https.
    let policy = UrlPolicy::LOOPBACK;
    let offer = match OfferLink::parse(link, policy).map_err(issuer)? {
        OfferLink::Value(offer) => offer,
        OfferLink::Reference(request) => {
            CredentialOffer::on_response(&http.send(&request)?.response(), policy).map_err(issuer)?
        }
    };
    let redeemable = discover(&http, offer, policy)?;
    let configuration = configuration(&redeemable, choice.configuration.as_deref())?;
    consent(app, &redeemable, &configuration, choice)?;
    let (key, signer) = holder_key(&vault, &ledger, &genesis, choice.did.as_deref())?;
    let mut authorized = redeem(app, &http, &redeemable, &configuration, choice)?;
    let received = fetch(&http, &mut authorized, &configuration, &signer, &ledger)?;
    let source = redeemable.metadata().credential_issuer.clone();
    let stored = StoredCredential {
        id: short_id(&received.text),
        sd_jwt: received.text.clone(),
        holder_key: key,
        network: genesis,
        source,
        received_s: now_s(),
    };
    let stored = vault.update(|contents| keep(contents, stored))?;
    report(app, &stored, &received)
}

fn discover(http: &Http, offer: CredentialOffer, policy: UrlPolicy) -> Result<Redeemable, WalletError> {
    let discovery = Discovery::new(offer, policy).map_err(issuer)?;
    let answer = http.send(&discovery.request().map_err(issuer)?)?;
    let discovered = discovery.on_response(&answer.response()).map_err(issuer)?;
    let answer = http.send(&discovered.request().map_err(issuer)?)?;
    discovered.on_response(&answer.response()).map_err(issuer)
}

fn configuration(redeemable: &Redeemable, named: Option<&str>) -> Result<String, WalletError> {
    let offered: Vec<&str> = redeemable.offered().map(|(id, _)| id).collect();
    match (named, offered.as_slice()) {
        (Some(named), _) if offered.contains(&named) => Ok(named.to_owned()),
        (Some(named), _) => Err(WalletError::NotFound(format!("the offer has no credential {named:?}"))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => {
            Err(WalletError::NotFound("the offer has no credential that this wallet can take".to_owned()))
        }
        (None, _) => Err(WalletError::Usage(format!(
            "the offer has several credentials; choose one with --configuration: {}",
            offered.join(", ")
        ))),
    }
}

fn consent(
    app: &App,
    redeemable: &Redeemable,
    configuration: &str,
    choice: &Choice,
) -> Result<(), WalletError> {
    let metadata = redeemable.metadata();
    let display = metadata.display.iter().flatten().find_map(|display| display.name.as_deref());
    let offered = redeemable.offered().find(|(id, _)| *id == configuration).map(|(_, offered)| offered);
    app.output.ask_about(choice.yes, |text| {
        text.title("An issuer offers a credential");
        text.field("issuer", &metadata.credential_issuer);
        if let Some(name) = display {
            text.field("calls itself", name);
        }
        if let Some(offered) = offered {
            text.field("credential", offered.name().unwrap_or(configuration));
            text.field("type", &offered.types().join(", "));
        }
        let binding = choice.did.as_deref().unwrap_or("a new key that only this credential uses");
        text.field("bound to", binding);
        text.field("it learns", "the public key the credential is bound to, and your network address");
    });
    app.output.confirm("Receive it?", choice.yes)
}

/// The key that the credential is to be bound to. A fresh one is counted in the vault before it is used, so that two
/// credentials never share a key by accident.
fn holder_key(
    vault: &Vault,
    ledger: &Ledger,
    genesis: &str,
    did: Option<&str>,
) -> Result<(StoredKey, SigningKey), WalletError> {
    let Some(did) = did else {
        return vault.update(|contents| {
            let ring = KeyRing::new(&contents.entropy)?;
            let path = holder_path(contents.counters.holder);
            contents.counters.holder += 1;
            let key = ring.stored(path)?;
            let signer = ring.private(&key)?;
            Ok((key, signer))
        });
    };
    let contents = vault.read()?;
    let ring = KeyRing::new(&contents.entropy)?;
    let entry = owned::entry(&contents, Some(did), genesis)?;
    let record = ledger
        .did_record(&owned::did(entry)?)?
        .value
        .ok_or_else(|| WalletError::NotFound(format!("{did} is not on the ledger")))?;
    let state = owned::align(&ring, &contents, entry, &record)?;
    let key = owned::authentication_key(&state, &record)?.clone();
    let signer = ring.private(&key)?;
    Ok((key, signer))
}

fn redeem(
    app: &App,
    http: &Http,
    redeemable: &Redeemable,
    configuration: &str,
    choice: &Choice,
) -> Result<Authorized, WalletError> {
    if redeemable.wants_login() {
        if choice.tx_code.is_some() || choice.tx_code_file.is_some() {
            let reason = "the offer wants no transaction code: its user logs in at the issuer";
            return Err(WalletError::Usage(reason.to_owned()));
        }
        return browser::authorize(app, http, redeemable, configuration);
    }
    let code = transaction_code(app, redeemable, choice)?;
    let request = redeemable.token_request(code.as_deref()).map_err(issuer)?;
    let answer = http.send(&request)?;
    redeemable.on_token(&answer.response()).map_err(issuer)
}

fn transaction_code(
    app: &App,
    redeemable: &Redeemable,
    choice: &Choice,
) -> Result<Option<String>, WalletError> {
    if let Some(code) = &choice.tx_code {
        return Ok(Some(code.clone()));
    }
    if let Some(path) = &choice.tx_code_file {
        let bytes = home::read_input(path)?;
        let text = String::from_utf8_lossy(&bytes);
        return Ok(Some(text.lines().next().unwrap_or_default().to_owned()));
    }
    let Some(wanted) = redeemable.transaction_code() else { return Ok(None) };
    if let Some(description) = &wanted.description {
        app.output.ask_about(false, |text| {
            text.field("the issuer says", description);
        });
    }
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(WalletError::Usage(
            "the offer wants a transaction code: give --tx-code or --tx-code-file".to_owned(),
        ));
    }
    rpassword::prompt_password("Transaction code: ")
        .map(Some)
        .map_err(|source| WalletError::io("ask for the transaction code on", "/dev/tty", source))
}

fn fetch(
    http: &Http,
    authorized: &mut Authorized,
    configuration: &str,
    signer: &SigningKey,
    ledger: &Ledger,
) -> Result<Received, WalletError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        if let Some(request) = authorized.nonce_request() {
            authorized.on_nonce(&http.send(&request)?.response()).map_err(issuer)?;
        }
        let answer = http.send_proven(|proving| {
            let mut request = authorized.credential_request(configuration, signer, proving.now_s)?;
            authorized.prove(&mut request, proving.id, proving.nonce, proving.now_s)?;
            Ok(request)
        })?;
        let mut undecided = None;
        let outcome = authorized.on_credential(
            &answer.response(),
            configuration,
            &signer.public(),
            now_s(),
            |did, kid| {
                assertion_key(ledger, did, kid).map_err(|error| {
                    let reason = error.to_string();
                    undecided = Some(error);
                    reason
                })
            },
        );
        match outcome {
            Ok(received) => return Ok(received),
            // A nonce may have run out between the two requests.
            Err(error) if error.refusal() == Some("invalid_nonce") && attempts == 1 => {}
            // The ledger's own error says more than "could not be checked".
            Err(OpenIdError::Undecided(reason)) => {
                return Err(undecided.unwrap_or_else(|| issuer(OpenIdError::Undecided(reason))));
            }
            Err(error) => return Err(issuer(error)),
        }
    }
}

/// The key by which an issuer makes claims, from its proven record.
fn assertion_key(ledger: &Ledger, did: &str, kid: &str) -> Result<Option<PublicKey>, WalletError> {
    // An issuer of another method has no keys on this ledger: that is an answer, not a failure.
    let Ok(did) = did.parse() else { return Ok(None) };
    let Some(record) = ledger.did_record(&did)?.value else { return Ok(None) };
    Ok(record.verification_key(kid, Relationship::AssertionMethod).ok())
}

/// The beginning of a hash over the credential: enough to tell a vault's credentials apart.
fn short_id(sd_jwt: &str) -> String {
    sha256(sd_jwt.as_bytes()).to_hex().chars().take(12).collect()
}

fn keep(contents: &mut Contents, credential: StoredCredential) -> Result<StoredCredential, WalletError> {
    match contents.credentials.iter().find(|other| other.id == credential.id) {
        Some(known) => Ok(known.clone()),
        None => {
            contents.credentials.push(credential.clone());
            Ok(credential)
        }
    }
}

fn report(app: &App, stored: &StoredCredential, received: &Received) -> Result<(), WalletError> {
    let mut value = show::to_json(stored, &received.presentation);
    let checks: Vec<&str> = received.verdict.checks.iter().map(|check| check.name()).collect();
    value["checks"] = json!(checks);
    app.output.data(&value, |text| {
        text.done(&format!("received credential {}", stored.id));
        select::describe(text, &received.presentation);
        text.field("checked", &checks.join(", "));
    })
}

/// An error of the exchange with the issuer.
pub(super) fn issuer(error: OpenIdError) -> WalletError {
    match error {
        OpenIdError::InvalidCredential(error) => WalletError::Invalid {
            code: error.code(),
            message: format!("the credential that came is not valid: {error}"),
        },
        OpenIdError::WrongCredential(_) => {
            WalletError::Invalid { code: error.code(), message: error.to_string() }
        }
        OpenIdError::Offer(_) | OpenIdError::TransactionCode(_) => WalletError::Usage(error.to_string()),
        error => WalletError::Issuer {
            code: error.code().to_owned(),
            message: clean(&error.to_string()).into_owned(),
            retryable: error.is_retryable(),
        },
    }
}
