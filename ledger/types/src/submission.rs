//! The body of `POST /v1/transactions`: a transaction, and the presentation beside it (specs/wire.md, "Submission").

use aval_codec::{Json, Limits, json};
use serde::Deserialize;

use crate::{block::Witness, limits, reject::Reject, transaction::SignedTransaction};

/// Media type of a JSON body.
pub const SUBMISSION_MEDIA_TYPE: &str = "application/json";
/// Media type of a body that is a compact JWS alone.
pub const TRANSACTION_MEDIA_TYPE: &str = "application/aval-tx+jwt";

/// A transaction with the witness that travels beside it: what is submitted, gossiped, and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedTransaction {
    /// The transaction.
    pub transaction: SignedTransaction,
    /// The presentation, or nothing. [`Witness::Stripped`] only comes out of blocks.
    pub witness: Witness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    transaction: Json,
    #[serde(default, deserialize_with = "json::strictly_some")]
    presentation: Option<String>,
}

impl SubmittedTransaction {
    /// Puts a transaction and its presentation together. Whether they fit is checked by [`Self::check_witness`].
    pub fn new(transaction: SignedTransaction, presentation: Option<Vec<u8>>) -> Self {
        Self { transaction, witness: presentation.map_or(Witness::None, Witness::Full) }
    }

    /// Reads a JSON body, or a compact or general JWS alone. ES256 signatures are brought into their low-S form.
    ///
    /// A general JWS and a JSON body are both objects; the member `transaction` tells them apart.
    pub fn from_body(bytes: &[u8]) -> Result<Self, Reject> {
        if bytes.len() > limits::SUBMISSION_BYTES_MAX {
            return Err(Reject::TransactionOversized);
        }
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let submitted = Self::new(SignedTransaction::from_submission(bytes.trim_ascii())?, None);
            return submitted.check_witness().map(|()| submitted);
        }
        let limits = Limits { bytes_max: limits::SUBMISSION_BYTES_MAX, depth_max: limits::JSON_DEPTH_MAX };
        let malformed = |error: json::JsonError| Reject::TransactionMalformed(error.to_string().into());
        let value = json::parse(bytes, limits).map_err(malformed)?;
        let submitted = if value.get("transaction").is_some() {
            let body: Body = json::from_json(value).map_err(malformed)?;
            let transaction = SignedTransaction::from_submission_json(body.transaction)?;
            Self::new(transaction, body.presentation.map(String::into_bytes))
        } else {
            Self::new(SignedTransaction::from_submission_json(value)?, None)
        };
        submitted.check_witness().map(|()| submitted)
    }

    /// The JSON body for this submission. A stripped witness cannot be submitted and is left out.
    pub fn to_body(&self) -> Vec<u8> {
        let jws = self.transaction.to_jws();
        // A compact JWS is base64url and dots; it needs quotes and no escapes. General JSON goes in as it is.
        let transaction = if jws.starts_with('{') { jws } else { format!("\"{jws}\"") };
        let presentation = match &self.witness {
            Witness::Full(bytes) => {
                let text = Json::String(String::from_utf8_lossy(bytes).into_owned()).to_jcs();
                format!(r#","presentation":{}"#, String::from_utf8_lossy(&text))
            }
            Witness::None | Witness::Stripped(_) => String::new(),
        };
        format!(r#"{{"transaction":{transaction}{presentation}}}"#).into_bytes()
    }

    /// Checks that there is a presentation exactly if the payload names one, and that it is within bounds and ASCII.
    pub fn check_witness(&self) -> Result<(), Reject> {
        match (&self.witness, self.transaction.payload().presentation) {
            (Witness::None, None) | (Witness::Stripped(_), Some(_)) => Ok(()),
            (Witness::None, Some(_)) => Err(Reject::PresentationMissing),
            (Witness::Full(_) | Witness::Stripped(_), None) => Err(Reject::PresentationUnexpected),
            (Witness::Full(bytes), Some(_)) if bytes.len() > limits::WITNESS_BYTES_MAX => {
                Err(Reject::PresentationOversized)
            }
            (Witness::Full(bytes), Some(_)) if !bytes.iter().all(u8::is_ascii_graphic) => {
                Err(Reject::PresentationMalformed("an SD-JWT is visible ASCII".into()))
            }
            (Witness::Full(_), Some(_)) => Ok(()),
        }
    }
}
