//! The holder's side: which disclosures to show, and the key binding for them.

use crate::CredentialError;
use crate::key_binding::{self, KeyBindingDraft};
use crate::presentation::Limits;
use crate::sd_jwt::{self, Disclosure, SdJwt};
use crate::vcdm::Credential;
use aval_codec::Hash;
use aval_codec::json::Json;
use aval_did::key::SigningKey;
use std::collections::BTreeSet;

/// Which disclosures to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None: only what is in plain text.
    Nothing,
    /// All that the credential has.
    Everything,
    /// Those of claims with these names, wherever they are.
    Names(BTreeSet<String>),
    /// Exactly those with these digests.
    Digests(BTreeSet<String>),
}

impl Selection {
    /// A selection by names.
    pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Names(names.into_iter().map(str::to_owned).collect())
    }
}

/// A credential reduced to what is to be shown, not yet bound to an occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    sd_jwt: SdJwt,
}

/// Reduces a credential to a selection. A disclosure inside another one brings the outer one with it: without it
/// nobody could tell where it belongs.
pub fn disclose(issued: &SdJwt, selection: &Selection) -> Result<Disclosed, CredentialError> {
    let all = issued.disclosures();
    let mut chosen: Vec<bool> = match selection {
        Selection::Nothing => vec![false; all.len()],
        Selection::Everything => vec![true; all.len()],
        Selection::Names(names) => {
            known(names, all.iter().filter_map(Disclosure::name))?;
            all.iter().map(|one| one.name().is_some_and(|name| names.contains(name))).collect()
        }
        Selection::Digests(digests) => {
            known(digests, all.iter().map(Disclosure::digest))?;
            all.iter().map(|one| digests.contains(one.digest())).collect()
        }
    };
    loop {
        let missing = all.iter().enumerate().position(|(index, outer)| {
            let inner_chosen =
                |inner: &(&Disclosure, &bool)| *inner.1 && holds(outer.value(), inner.0.digest());
            !chosen.get(index).copied().unwrap_or(true)
                && all.iter().zip(&chosen).any(|pair| inner_chosen(&pair))
        });
        match missing.and_then(|index| chosen.get_mut(index)) {
            Some(choice) => *choice = true,
            None => break,
        }
    }
    let mut text = format!("{}~", issued.issuer_jwt());
    for (disclosure, _) in all.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
        text.push_str(disclosure.as_str());
        text.push('~');
    }
    Ok(Disclosed { sd_jwt: SdJwt::parse_any(&text, &[sd_jwt::TYPE, sd_jwt::DC_TYPE], &Limits::EDGE)? })
}

impl Disclosed {
    /// The SD-JWT without key binding.
    pub fn sd_jwt(&self) -> &SdJwt {
        &self.sd_jwt
    }

    /// What the key binding will commit to. A ledger transaction names it, and the key binding names the transaction.
    pub fn sd_hash(&self) -> Hash {
        self.sd_jwt.sd_hash()
    }

    /// Binds it to an occasion. The signer must be the holder that the credential names.
    pub fn bind(&self, signer: &SigningKey, draft: &KeyBindingDraft<'_>) -> Result<String, CredentialError> {
        if Credential::read(&self.sd_jwt)?.holder_key != Some(signer.public()) {
            return Err(CredentialError::HolderKey);
        }
        Ok(format!("{}{}", self.sd_jwt.as_str(), key_binding::sign(signer, self.sd_hash(), draft)))
    }
}

fn known<'a>(
    wanted: &BTreeSet<String>,
    existing: impl Iterator<Item = &'a str>,
) -> Result<(), CredentialError> {
    let existing: BTreeSet<&str> = existing.collect();
    match wanted.iter().find(|name| !existing.contains(name.as_str())) {
        Some(name) => Err(CredentialError::Selection(name.clone())),
        None => Ok(()),
    }
}

/// Whether a disclosed value refers to a digest. Its nesting is bounded by the reader.
fn holds(value: &Json, digest: &str) -> bool {
    match value {
        Json::Object(members) => members.values().any(|member| holds(member, digest)),
        Json::Array(elements) => elements.iter().any(|element| holds(element, digest)),
        Json::String(text) => text == digest,
        _ => false,
    }
}
