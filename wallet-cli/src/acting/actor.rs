//! Who acts: a DID with its keys for the time of a command.

use std::collections::BTreeMap;
use std::path::Path;

use aval_codec::b64u;
use aval_did::{Algorithm, Did, DidRecord, Relationship, SigningKey};
use aval_types::{Action, KeyId, NetworkId};
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::app::App;
use crate::cli::ActorArgs;
use crate::did::{owned, settle};
use crate::error::WalletError;
use crate::home;
use crate::keys::KeyRing;
use crate::ledger::Ledger;
use crate::vault::Vault;

/// A DID that is on the ledger, with those of its keys that are at hand.
pub(crate) struct Actor {
    did: Did,
    record: DidRecord,
    keys: Vec<SigningKey>,
    vault: Option<Vault>,
}

/// A key file: what a development network and an issuer keep.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    did: Did,
    document_keys: BTreeMap<String, Secret>,
    #[serde(default)]
    control_keys: Vec<Secret>,
    #[serde(default)]
    next_control_keys: Vec<Secret>,
}

#[derive(Deserialize)]
struct Secret {
    algorithm: String,
    seed: String,
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl Secret {
    fn key(&self) -> Option<SigningKey> {
        let seed = Zeroizing::new(b64u::decode_array::<32>(&self.seed).ok()?);
        SigningKey::from_secret(Algorithm::from_name(&self.algorithm)?, &seed).ok()
    }
}

impl Actor {
    /// The DID that the options name.
    pub(crate) fn find(
        app: &App,
        arguments: &ActorArgs,
        network: &NetworkId,
        ledger: &Ledger,
    ) -> Result<Self, WalletError> {
        match &arguments.keys {
            Some(file) => Self::of_file(file, arguments.did.as_deref(), ledger),
            None => Self::of_vault(app, arguments.did.as_deref(), network, ledger),
        }
    }

    fn of_file(file: &Path, named: Option<&str>, ledger: &Ledger) -> Result<Self, WalletError> {
        let unreadable = || WalletError::Failed(format!("{} is no file of keys of a DID", file.display()));
        let bytes = Zeroizing::new(home::read_input(file)?);
        let parsed: KeyFile = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        if named.is_some_and(|named| named != parsed.did.as_str()) {
            return Err(WalletError::Usage(format!("{} has the keys of {}", file.display(), parsed.did)));
        }
        let secrets =
            parsed.document_keys.values().chain(&parsed.control_keys).chain(&parsed.next_control_keys);
        let keys = secrets.map(|secret| secret.key().ok_or_else(unreadable)).collect::<Result<_, _>>()?;
        let record = record(ledger, &parsed.did)?;
        Ok(Self { did: parsed.did.clone(), record, keys, vault: None })
    }

    fn of_vault(
        app: &App,
        named: Option<&str>,
        network: &NetworkId,
        ledger: &Ledger,
    ) -> Result<Self, WalletError> {
        let vault = app.vault()?;
        let genesis = network.genesis().to_string();
        let before = vault.read()?;
        settle::require_settled(app, &vault, ledger, owned::entry(&before, named, &genesis)?)?;
        let contents = vault.read()?;
        let entry = owned::entry(&contents, named, &genesis)?;
        let did = owned::did(entry)?;
        let record = record(ledger, &did)?;
        let ring = KeyRing::new(&contents.entropy)?;
        let state = owned::align(&ring, &contents, entry, &record)?;
        let noted = state.document_keys.iter().chain(&state.control).chain(&state.next);
        let keys = noted.map(|key| ring.private(key)).collect::<Result<_, _>>()?;
        Ok(Self { did, record, keys, vault: Some(vault) })
    }

    /// The DID.
    pub(crate) fn did(&self) -> &Did {
        &self.did
    }

    /// The vault that the DID is in.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// Whether the keys are a vault's.
    pub(crate) fn is_of_vault(&self) -> bool {
        self.vault.is_some()
    }

    /// A key that signs for the DID as a sender.
    pub(crate) fn authentication(&self) -> Result<(KeyId, SigningKey), WalletError> {
        let is_named = |key: &&SigningKey| {
            self.record.document.contains_key(&key.public(), Relationship::Authentication)
        };
        let key = self.keys.iter().find(is_named).ok_or_else(|| {
            WalletError::unauthorized(
                "did.key_not_in_document",
                format!("none of the keys is an authentication key of {} on the ledger", self.did),
            )
        })?;
        Ok(self.with_kid(key))
    }

    /// A key that makes claims for the DID, and the DID URL that names it.
    pub(crate) fn assertion(&self) -> Result<(String, SigningKey), WalletError> {
        for method in &self.record.document.verification_method {
            let url = self.did.url(method.id().trim_start_matches('#'));
            let Ok(public) = self.record.verification_key(&url, Relationship::AssertionMethod) else {
                continue;
            };
            if let Some(key) = self.keys.iter().find(|key| key.public() == public) {
                return Ok((url, key.clone()));
            }
        }
        Err(WalletError::unauthorized(
            "did.key_not_in_document",
            format!("none of the keys is an assertion key of {} on the ledger", self.did),
        ))
    }

    /// The keys that sign an action on the DID itself: those in force, or for a rotation those that it reveals.
    pub(crate) fn controllers(&self, action: &Action) -> Result<Vec<(KeyId, SigningKey)>, WalletError> {
        let control = match action {
            Action::DidRotate(rotate) => &rotate.control,
            _ => &self.record.control,
        };
        let keys: Vec<_> = self.keys.iter().filter(|key| control.contains(&key.public())).collect();
        if keys.is_empty() {
            return Err(WalletError::unauthorized(
                "did.control",
                format!("none of the keys controls {} as it is on the ledger", self.did),
            ));
        }
        Ok(keys.into_iter().map(|key| self.with_kid(key)).collect())
    }

    fn with_kid(&self, key: &SigningKey) -> (KeyId, SigningKey) {
        (KeyId::new(self.did.clone(), key.public()), key.clone())
    }
}

fn record(ledger: &Ledger, did: &Did) -> Result<DidRecord, WalletError> {
    let record = ledger.did_record(did)?.value;
    let record = record.ok_or_else(|| WalletError::NotFound(format!("{did} is not on the ledger")))?;
    if record.deactivated {
        let message = format!("{did} was deactivated, which is final");
        return Err(WalletError::unauthorized("did.deactivated", message));
    }
    Ok(record)
}
