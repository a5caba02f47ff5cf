//! Who comes with an access token, and the proofs of possession that go with bound ones (RFC 6750, RFC 9449).
//!
//! A proof is taken once: its name is kept until it is too old to be taken again.

use super::decisions::{Issuer, Refusal, read_session};
use crate::storage::OfferRow;
use aval_openid::ErrorResponse;
use aval_openid::oauth::Credentials;
use aval_openid::oauth::dpop::{Expectation, Proof};

/// How old a proof of possession may be.
const PROOF_AGE_MAX_S: i64 = 300;
/// How far the wallet's clock may be off.
const CLOCK_SKEW_S: i64 = 60;

/// The headers of a request.
#[derive(Clone, Copy, Default)]
pub struct Access<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `DPoP`, of which there may be one.
    pub proof: Option<&'a str>,
    /// Whether there are several.
    pub has_several: bool,
}

impl Issuer {
    /// The thumbprint of the key that a proof of possession shows, if there is a proof. `path` is the endpoint's.
    pub(super) async fn proven(
        &self,
        access: &Access<'_>,
        path: &str,
        token: Option<&str>,
        now_s: i64,
    ) -> Result<Option<String>, Refusal> {
        if access.has_several {
            return Err(ErrorResponse::invalid_dpop_proof("there is more than one proof").into());
        }
        let Some(text) = access.proof else { return Ok(None) };
        let url = format!("{}{path}", self.config().public_url);
        let proof = Proof::verify(
            text,
            &Expectation {
                method: "POST",
                url: &url,
                access_token: token,
                now_s,
                age_max_s: PROOF_AGE_MAX_S,
                skew_s: CLOCK_SKEW_S,
            },
        )?;
        if !self.records().spend_proof(&proof.replay_key.to_string(), proof.keep_until_s).await? {
            return Err(ErrorResponse::invalid_dpop_proof("the proof was used before").into());
        }
        Ok(Some(proof.thumbprint))
    }

    /// The offer that the access token of a request stands for.
    pub(super) async fn let_in(
        &self,
        access: &Access<'_>,
        path: &str,
        now_s: i64,
    ) -> Result<OfferRow, Refusal> {
        let credentials = Credentials::parse(access.authorization)?;
        let token = credentials.token();
        let proven = self.proven(access, path, Some(token), now_s).await;
        let thumbprint = proven.map_err(|refusal| match refusal {
            // For a resource a missing or wrong proof is a matter of authentication (RFC 9449 section 7.1).
            Refusal::Protocol(error) => ErrorResponse { status: 401, ..error }.into(),
            failed @ Refusal::Failed(_) => failed,
        })?;
        let row = self.records().offer_by_token(token, now_s).await?.ok_or(ErrorResponse::invalid_token())?;
        credentials.check(thumbprint.as_deref(), read_session(&row)?.bound())?;
        Ok(row)
    }
}
