//! Reading requests strictly (DID Registration, "Input Fields"), and refusing private keys before anything else.

use std::collections::BTreeMap;

use aval_codec::{Json, Limits, json};
use aval_did::key::Jwk;
use aval_did::{Control, Did, NextControl, PublicKey, control_key_hash};
use serde::Deserialize;

use super::Failure;

/// Largest request, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
const DEPTH_MAX: usize = 12;

/// A request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    job_id: Option<String>,
    method: Option<String>,
    did: Option<String>,
    options: Option<Options>,
    secret: Option<Secret>,
    did_document: Option<Json>,
    did_document_operation: Option<Vec<String>>,
}

/// `options`. Those of the specification, and what `did:aval` needs to know.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    client_secret_mode: Option<bool>,
    store_secrets: Option<bool>,
    return_secrets: Option<bool>,
    /// The label of the network.
    pub(super) network: Option<String>,
    /// The control, as specs/did-method.md writes it; else it comes of the verification methods.
    control: Option<Control>,
    /// How many control keys have to sign; all of them unless it is said.
    threshold: Option<u32>,
    /// The same for the keys that follow.
    next_threshold: Option<u32>,
    /// Which control keys sign; the first that are enough unless it is said.
    pub(super) signers: Option<Vec<PublicKey>>,
    /// Whether the registrar shall endorse an update; unless it is said, it does for a DID without a grant.
    pub(super) endorse: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Secret {
    #[serde(default)]
    verification_method: Vec<MethodData>,
    #[serde(default)]
    signing_response: BTreeMap<String, SigningResponse>,
}

/// Public data of a key ("Verification Method Public Data").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MethodData {
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(rename = "controller")]
    _controller: Option<String>,
    #[serde(default)]
    purpose: Vec<String>,
    public_key_multibase: Option<PublicKey>,
    public_key_jwk: Option<Jwk>,
}

/// An answer to a signing request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SigningResponse {
    pub(super) signature: String,
    pub(super) kid: Option<String>,
    pub(super) alg: Option<String>,
    #[serde(rename = "purpose")]
    _purpose: Option<String>,
}

/// A request that was read.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) job_id: Option<String>,
    pub(super) method: Option<String>,
    pub(super) did: Option<String>,
    parsed_did: Option<Did>,
    pub(super) options: Options,
    methods: Vec<MethodData>,
    pub(super) signing_responses: BTreeMap<String, SigningResponse>,
    pub(super) document: Option<Json>,
    pub(super) operations: Option<Vec<String>>,
}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Input(reason.into()))
}

impl Input {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let limits = Limits { bytes_max: BODY_BYTES_MAX, depth_max: DEPTH_MAX };
        let unreadable = |error: aval_codec::JsonError| Failure::Input(format!("the request: {error}"));
        let value = json::parse(bytes, limits).map_err(unreadable)?;
        if holds_private_key(&value) {
            return Err(Failure::Secret);
        }
        let body: Body = json::from_json(value).map_err(unreadable)?;
        let options = body.options.unwrap_or_default();
        if options.store_secrets == Some(true) || options.return_secrets == Some(true) {
            return refuse("this registrar neither keeps nor makes secrets: use clientSecretMode");
        }
        if body.job_id.is_none() && options.client_secret_mode != Some(true) {
            return refuse("options.clientSecretMode has to be true: secrets stay with the client");
        }
        let (methods, signing_responses) = match body.secret {
            Some(secret) => (secret.verification_method, secret.signing_response),
            None => Default::default(),
        };
        Ok(Self {
            parsed_did: body.did.as_ref().and_then(|did| did.parse().ok()),
            job_id: body.job_id,
            method: body.method,
            did: body.did,
            options,
            methods,
            signing_responses,
            document: body.did_document,
            operations: body.did_document_operation,
        })
    }

    /// The DID of an update or deactivation on the network of this label.
    pub(super) fn require_did(&self, label: &str) -> Result<&Did, Failure> {
        if self.method.is_some() {
            return refuse("method is for creations; the DID says what it is");
        }
        match &self.parsed_did {
            Some(did) if did.network() == label => Ok(did),
            Some(_) => refuse("the DID is of another network"),
            None => refuse("did has to be a did:aval"),
        }
    }

    /// Whether no control keys are named; an error if only one half of them is.
    pub(super) fn lacks_control(&self) -> Result<bool, Failure> {
        Ok(self.control()?.is_none())
    }

    /// The control that the request names: whole, or by its keys.
    pub(super) fn control(&self) -> Result<Option<Control>, Failure> {
        if let Some(control) = &self.options.control {
            return Ok(Some(control.clone()));
        }
        let (keys, next) = (self.keys_for("control")?, self.keys_for("nextControl")?);
        if keys.is_empty() && next.is_empty() {
            return Ok(None);
        }
        let all = |keys: &[PublicKey]| u32::try_from(keys.len()).unwrap_or(u32::MAX);
        Ok(Some(Control {
            threshold: self.options.threshold.unwrap_or(all(&keys)),
            next: NextControl {
                threshold: self.options.next_threshold.unwrap_or(all(&next)),
                hashes: next.iter().map(control_key_hash).collect(),
            },
            keys,
        }))
    }

    fn keys_for(&self, purpose: &str) -> Result<Vec<PublicKey>, Failure> {
        let named = self.methods.iter().filter(|method| method.purpose.iter().any(|named| named == purpose));
        let key = |method: &MethodData| match (&method.public_key_multibase, &method.public_key_jwk) {
            (Some(key), None) => Ok(*key),
            (None, Some(jwk)) => {
                jwk.public_key().map_err(|error| Failure::Input(format!("a verification method: {error}")))
            }
            _ => refuse("a verification method has publicKeyMultibase or publicKeyJwk"),
        };
        named.map(key).collect()
    }
}

/// Whether a private key is anywhere inside, under one of the names that people give it.
fn holds_private_key(value: &Json) -> bool {
    match value {
        Json::Object(members) => {
            let names = ["private", "secretkey", "seed", "mnemonic", "passphrase"];
            let named = members.keys().map(|name| name.to_ascii_lowercase());
            let mut private = named.filter(|name| names.iter().any(|secret| name.starts_with(secret)));
            private.next().is_some()
                || (members.contains_key("kty") && members.contains_key("d"))
                || members.values().any(holds_private_key)
        }
        Json::Array(items) => items.iter().any(holds_private_key),
        _ => false,
    }
}
