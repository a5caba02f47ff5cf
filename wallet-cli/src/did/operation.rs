//! Building and signing a transaction about a DID.
//!
//! What is sent is complete before anything is written or sent: the key binding of a presentation names the
//! transaction's id, and the id is a hash over the payload, so no later step can change what was agreed to.

use aval_client::ClientError;
use aval_codec::b64u;
use aval_credential::{Disclosed, KeyBindingDraft};
use aval_did::SigningKey;
use aval_types::transaction::SignError;
use aval_types::{
    Action, KeyId, NetworkId, SubmittedTransaction, TransactionBuilder, TransactionId, UnsignedTransaction,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::WalletError;
use crate::vault::{DidState, OperationKind, PendingOperation, StoredTransaction};

/// How far back the validity window begins: a block's time may be a little behind this machine's clock.
const WINDOW_BACK_S: i64 = 30;

/// A presentation that is to be bound to the transaction.
pub(crate) struct Witness {
    pub(crate) disclosed: Disclosed,
    pub(crate) holder_key: SigningKey,
}

/// A transaction about to be built.
pub(crate) struct Draft {
    pub(crate) kind: OperationKind,
    pub(crate) action: Action,
    /// Who acts for the DID when the action has a sender.
    pub(crate) sender: Option<(KeyId, SigningKey)>,
    /// Who controls the DID.
    pub(crate) controllers: Vec<(KeyId, SigningKey)>,
    /// Who endorses; without a private key the endorser signs elsewhere.
    pub(crate) endorser: Option<(KeyId, Option<SigningKey>)>,
    pub(crate) witness: Option<Witness>,
    /// What the DID is afterwards.
    pub(crate) after: DidState,
}

/// A transaction that this wallet has signed.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) id: TransactionId,
    pub(crate) expires_s: i64,
    /// What to submit; none while the endorser's signature is missing.
    pub(crate) submitted: Option<SubmittedTransaction>,
    /// What the endorser gets.
    pub(crate) partial: Option<PartialTransaction>,
    pub(crate) kind: OperationKind,
    pub(crate) after: DidState,
}

/// A general JSON JWS that lacks the endorser's signature: the file that goes from one wallet to another. It holds
/// public data only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartialTransaction {
    pub(crate) payload: String,
    pub(crate) signatures: Vec<PartialSignature>,
}

/// One signature in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartialSignature {
    pub(crate) protected: String,
    pub(crate) signature: String,
}

impl Draft {
    /// Builds and signs. `now_s` is the time of this machine.
    pub(crate) fn sign(self, network: &NetworkId, now_s: i64) -> Result<Signed, WalletError> {
        let nbf = u64::try_from(now_s.saturating_sub(WINDOW_BACK_S)).unwrap_or_default();
        let mut builder = TransactionBuilder::new(network.clone(), self.action, Uuid::new_v4(), nbf);
        let mut keys: Vec<&SigningKey> = Vec::new();
        if let Some((kid, key)) = &self.sender {
            builder = builder.sender(kid.clone());
            keys.push(key);
        }
        for (kid, key) in &self.controllers {
            builder = builder.controller(kid.clone());
            keys.push(key);
        }
        if let Some((kid, key)) = &self.endorser {
            builder = builder.endorser(kid.clone());
            keys.extend(key);
        }
        if let Some(witness) = &self.witness {
            builder = builder.presentation(witness.disclosed.sd_hash());
        }
        let unsigned = builder.build().map_err(|reject| not_built(reject.into()))?;
        let id = unsigned.id();
        let expires_s = i64::try_from(unsigned.payload().exp).unwrap_or(i64::MAX);
        let presentation = self.witness.map(|witness| bind(&witness, id, network, now_s)).transpose()?;
        let waits = matches!(self.endorser, Some((_, None)));
        let (submitted, partial) = if waits {
            (None, Some(PartialTransaction::of(&unsigned, &keys)?))
        } else {
            let signed = unsigned.sign(&keys).map_err(not_built)?;
            (Some(SubmittedTransaction::new(signed, presentation.map(String::into_bytes))), None)
        };
        Ok(Signed { id, expires_s, submitted, partial, kind: self.kind, after: self.after })
    }
}

fn bind(
    witness: &Witness,
    id: TransactionId,
    network: &NetworkId,
    now_s: i64,
) -> Result<String, WalletError> {
    let (nonce, audience) = (id.to_string(), network.to_string());
    let draft = KeyBindingDraft { nonce: &nonce, audience: &audience, issued_at_s: now_s };
    witness
        .disclosed
        .bind(&witness.holder_key, &draft)
        .map_err(|error| WalletError::Failed(error.to_string()))
}

/// The ledger's rules for shape are checked before anything is signed; a draft that breaks one is refused here.
fn not_built(error: SignError) -> WalletError {
    match error {
        SignError::Refused(reject) => ClientError::Refused(aval_client::Problem {
            code: reject.code().to_owned(),
            title: reject.title().to_owned(),
            detail: reject.detail().to_owned(),
            ..Default::default()
        })
        .into(),
        other => WalletError::Failed(other.to_string()),
    }
}

impl PartialTransaction {
    /// The signatures that can be made here.
    fn of(unsigned: &UnsignedTransaction, keys: &[&SigningKey]) -> Result<Self, WalletError> {
        let mut signatures = Vec::new();
        for key in keys {
            let made = unsigned.signatures(*key).map_err(not_built)?;
            signatures.extend(made.iter().map(|signature| PartialSignature {
                protected: b64u::encode(signature.header()),
                signature: b64u::encode(signature.bytes()),
            }));
        }
        Ok(Self { payload: b64u::encode(unsigned.payload_bytes()), signatures })
    }

    /// The payload, checked for shape.
    pub(crate) fn unsigned(&self) -> Result<UnsignedTransaction, WalletError> {
        let malformed =
            || WalletError::Failed("the file holds no transaction that waits for an endorser".to_owned());
        let payload = b64u::decode(&self.payload).map_err(|_| malformed())?;
        UnsignedTransaction::from_payload_bytes(payload)
            .map_err(|reject| WalletError::Invalid { code: reject.code(), message: reject.to_string() })
    }

    /// Adds the endorser's signature, which is the last one, and checks all of them.
    pub(crate) fn complete(mut self, key: &SigningKey) -> Result<SubmittedTransaction, WalletError> {
        let unsigned = self.unsigned()?;
        self.signatures.extend(Self::of(&unsigned, &[key])?.signatures);
        let jws = serde_json::to_vec(&self).map_err(|error| WalletError::Failed(error.to_string()))?;
        let refused = |reject: aval_types::Reject| WalletError::Invalid {
            code: reject.code(),
            message: format!("the transaction is not what it should be: {reject}"),
        };
        let signed = aval_types::SignedTransaction::from_submission(&jws).map_err(refused)?;
        signed.verify_signatures().map_err(refused)?;
        Ok(SubmittedTransaction::new(signed, None))
    }
}

impl Signed {
    /// What the vault keeps until the outcome is proven.
    pub(crate) fn pending(&self) -> PendingOperation {
        let body = self.submitted.as_ref().map(|submitted| submitted.to_body());
        PendingOperation {
            transaction: self.id.to_string(),
            kind: self.kind,
            expires_s: self.expires_s,
            submission: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            after: self.after.clone(),
        }
    }

    /// The vault's entry of the transaction.
    pub(crate) fn entry(&self, did: &str, genesis: &str, now_s: i64) -> StoredTransaction {
        StoredTransaction::pending(self.id.to_string(), self.kind, did, genesis, now_s)
    }
}
