//! The payload: what everybody who signs agrees to.

use aval_codec::{Hash, Json, Limits, b64u, json};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::{key_id::KeyId, shape};
use crate::{action::Action, limits, network::NetworkId, reject::Reject};

/// In which capacity somebody signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Whose action it is; signs with an authentication key of its DID.
    Sender,
    /// Signs with a control key of the DID that the action is about.
    Controller,
    /// A member that vouches for the action; signs with an authentication key of its DID.
    Endorser,
}

/// One who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// The capacity.
    pub role: Role,
    /// The DID and key.
    pub kid: KeyId,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// A UUID that makes the payload unique.
    pub jti: Uuid,
    /// The network it is for.
    pub network: NetworkId,
    /// From when it may be executed, seconds since 1970.
    pub nbf: u64,
    /// Until when, exclusive, seconds since 1970.
    pub exp: u64,
    /// What to do.
    pub action: Action,
    /// Who signs, in order: sender, controllers, endorser.
    pub signers: Vec<Signer>,
    /// `sd_hash` of the presentation that travels beside the transaction.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_presentation")]
    pub presentation: Option<Hash>,
}

fn serialize_presentation<S: Serializer>(hash: &Option<Hash>, serializer: S) -> Result<S::Ok, S::Error> {
    match hash {
        Some(hash) => serializer.serialize_str(&b64u::encode(hash)),
        None => serializer.serialize_none(),
    }
}

/// The payload's members before the action is looked into.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    jti: String,
    network: NetworkId,
    nbf: u64,
    exp: u64,
    action: Json,
    signers: Vec<Signer>,
    #[serde(default, deserialize_with = "json::strictly_some")]
    presentation: Option<String>,
}

impl Payload {
    /// Reads a payload strictly and checks all that needs neither state nor clock.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        if bytes.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Reject::TransactionOversized);
        }
        let limits = Limits { bytes_max: limits::PAYLOAD_BYTES_MAX, depth_max: limits::JSON_DEPTH_MAX };
        let value = json::parse(bytes, limits).map_err(malformed)?;
        // Said in its own words, because a list of actions is what people try first.
        if value.get("actions").is_some()
            || value.get("action").is_some_and(|action| action.as_array().is_some())
        {
            return Err(Reject::TransactionOneAction);
        }
        let members: Members = json::from_json(value).map_err(malformed)?;
        let payload = Self {
            jti: parse_jti(&members.jti)?,
            network: members.network,
            nbf: members.nbf,
            exp: members.exp,
            action: Action::from_json(members.action)?,
            signers: members.signers,
            presentation: members.presentation.as_deref().map(parse_presentation).transpose()?,
        };
        payload.validate()?;
        Ok(payload)
    }

    /// The bytes that a signer of ours signs. Other encodings of the same payload are as good, and have other ids.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, strings and structs alone: serde_json has no way to fail on them.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The rules that need neither state nor clock.
    pub fn validate(&self) -> Result<(), Reject> {
        let window =
            i64::try_from(self.exp).ok().zip(i64::try_from(self.nbf).ok()).map(|(exp, nbf)| exp - nbf);
        if !window.is_some_and(|seconds| (1..=limits::VALIDITY_SECONDS_MAX).contains(&seconds)) {
            return Err(Reject::TransactionWindow);
        }
        shape::check(self)
    }

    /// The sender, if the action has one.
    pub fn sender(&self) -> Option<&KeyId> {
        self.of_role(Role::Sender).next()
    }

    /// The controllers.
    pub fn controllers(&self) -> impl Iterator<Item = &KeyId> {
        self.of_role(Role::Controller)
    }

    /// The endorser, if there is one.
    pub fn endorser(&self) -> Option<&KeyId> {
        self.of_role(Role::Endorser).next()
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = &KeyId> {
        self.signers.iter().filter(move |signer| signer.role == role).map(|signer| &signer.kid)
    }
}

pub(super) fn malformed(error: json::JsonError) -> Reject {
    Reject::TransactionMalformed(error.to_string().into())
}

/// One spelling only: a UUID has several, and the id of a transaction must not depend on a reader's taste.
fn parse_jti(text: &str) -> Result<Uuid, Reject> {
    Uuid::try_parse(text)
        .ok()
        .filter(|uuid| uuid.hyphenated().to_string() == text)
        .ok_or(Reject::TransactionMalformed("jti is not a lowercase UUID".into()))
}

fn parse_presentation(text: &str) -> Result<Hash, Reject> {
    b64u::decode_array::<32>(text)
        .map(Hash::new)
        .map_err(|_| Reject::TransactionMalformed("presentation is not a base64url SHA-256 hash".into()))
}
