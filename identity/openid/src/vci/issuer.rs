//! The issuer's side: pure functions on requests, and the little state that a service stores for each offer.
//!
//! What must happen at most once is marked in the [`Session`], which the service replaces by compare-and-swap; what
//! must be spent at most once and is no part of the session (the access token, the nonce) the service spends in its
//! store. The order at the credential endpoint: find the session by the token, [`Issuer::accept`], spend the nonce
//! that it returns (if that fails, answer [`ErrorResponse::invalid_nonce`]), store the session after
//! [`Session::complete`], issue.

use crate::ErrorResponse;
use crate::vci::credential::CredentialRequest;
use crate::vci::encryption::ResponseEncryption;
use crate::vci::metadata::IssuerMetadata;
use crate::vci::offer::{CredentialOffer, TransactionCodeSpec};
use crate::vci::proof::{HolderKey, ProofOfPossession};
use crate::vci::token::TokenRequest;
use aval_codec::{Hash, sha256};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// How long things live and how often they may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerRules {
    /// Life of a pre-authorized code.
    pub code_life_s: i64,
    /// Life of an access token; five minutes is what the specification calls short.
    pub token_life_s: i64,
    /// Life of a nonce.
    pub nonce_life_s: i64,
    /// How old a proof may be by its own account.
    pub proof_age_max_s: i64,
    /// How far the wallet's clock may be off.
    pub clock_skew_s: i64,
    /// How many wrong transaction codes end an offer.
    pub tx_code_attempts_max: u8,
}

impl Default for IssuerRules {
    fn default() -> Self {
        Self {
            code_life_s: 600,
            token_life_s: 300,
            nonce_life_s: 300,
            proof_age_max_s: 300,
            clock_skew_s: 60,
            tx_code_attempts_max: 5,
        }
    }
}

/// A credential issuer: its metadata and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// What it says of itself.
    pub metadata: IssuerMetadata,
    /// Its rules.
    pub rules: IssuerRules,
}

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// The code has not been redeemed.
    Offered,
    /// The code was redeemed and a token given out.
    Redeemed,
    /// All that was offered was issued.
    Completed,
    /// It was ended: too many wrong transaction codes, or a second use of the code.
    Ended,
}

/// One offer on its way. Holds no secret but the hash of a short transaction code; kept as JSON by the service,
/// under the hash of the pre-authorized code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    state: SessionState,
    configuration_ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tx_code: Option<TransactionCode>,
    expires_s: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issued: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TransactionCode {
    salt: Hash,
    hash: Hash,
    attempts_left: u8,
}

impl TransactionCode {
    fn new(code: &str, salt: [u8; 32], attempts_left: u8) -> Self {
        let salt = Hash::new(salt);
        Self { salt, hash: Self::hash(&salt, code), attempts_left }
    }

    fn hash(salt: &Hash, code: &str) -> Hash {
        sha256(&[salt.as_bytes().as_slice(), code.as_bytes()].concat())
    }

    fn is(&self, code: &str) -> bool {
        Self::hash(&self.salt, code).as_bytes().ct_eq(self.hash.as_bytes()).into()
    }
}

/// What a credential request turned out to be: a good one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What to issue.
    pub configuration_id: String,
    /// The key to bind it to; possession is proven.
    pub holder: HolderKey,
    /// Further keys, each for a credential of its own with the same claims.
    pub further_holders: Vec<HolderKey>,
    /// The nonce of all proofs, which the service must now spend.
    pub nonce: String,
    /// How the response is to be encrypted.
    pub encryption: Option<ResponseEncryption>,
}

impl Accepted {
    /// All keys.
    pub fn holders(&self) -> impl Iterator<Item = &HolderKey> {
        std::iter::once(&self.holder).chain(&self.further_holders)
    }
}

impl Issuer {
    /// An issuer with the usual rules.
    pub fn new(metadata: IssuerMetadata) -> Self {
        Self { metadata, rules: IssuerRules::default() }
    }

    /// Makes an offer and its session. The service brings the secrets, all fresh and random: the code (at least 128
    /// bits), and the transaction code with a salt, if there is to be one.
    pub fn offer(
        &self,
        configuration_ids: Vec<String>,
        code: String,
        tx_code: Option<(&str, [u8; 32], TransactionCodeSpec)>,
        now_s: i64,
    ) -> (CredentialOffer, Session) {
        let spec = tx_code.as_ref().map(|(_, _, spec)| spec.clone());
        let session = Session {
            state: SessionState::Offered,
            configuration_ids: configuration_ids.clone(),
            tx_code: tx_code
                .map(|(code, salt, _)| TransactionCode::new(code, salt, self.rules.tx_code_attempts_max)),
            expires_s: now_s.saturating_add(self.rules.code_life_s),
            issued: Vec::new(),
            bound: None,
        };
        let issuer = &self.metadata.credential_issuer;
        (CredentialOffer::pre_authorized(issuer, configuration_ids, code, spec), session)
    }

    /// Checks a credential request against the session that its access token belongs to.
    pub fn accept(
        &self,
        session: &Session,
        request: &CredentialRequest,
        now_s: i64,
    ) -> Result<Accepted, ErrorResponse> {
        self.accept_opened(session, request, false, now_s)
    }

    /// The same for a request that may have come encrypted, see [`crate::vci::encryption::open_request`].
    pub fn accept_opened(
        &self,
        session: &Session,
        request: &CredentialRequest,
        encrypted: bool,
        now_s: i64,
    ) -> Result<Accepted, ErrorResponse> {
        if session.state != SessionState::Redeemed {
            return Err(ErrorResponse::invalid_token());
        }
        let configuration_id = self.requested_configuration(session, request)?;
        let responses = self.metadata.credential_response_encryption.as_ref();
        let asked = request.credential_response_encryption.as_ref();
        if responses.is_none() && asked.is_some() {
            return Err(ErrorResponse::invalid_encryption_parameters());
        }
        let required = responses.is_some_and(|one| one.encryption_required);
        let encryption = ResponseEncryption::read(asked, encrypted, required)?;
        let mut holders = Vec::new();
        let mut nonce = None;
        for text in request.jwt_proofs(self.metadata.batch_size())? {
            let (holder, its_nonce) = self.proven(text, now_s)?;
            if nonce.as_ref().is_some_and(|one| *one != its_nonce) {
                return Err(ErrorResponse::invalid_proof("the proofs of possession have different nonces"));
            }
            if holders.iter().any(|one: &HolderKey| one.key == holder.key) {
                return Err(ErrorResponse::invalid_proof("two proofs of possession are of the same key"));
            }
            nonce = Some(its_nonce);
            holders.push(holder);
        }
        let mut holders = holders.into_iter();
        match (holders.next(), nonce) {
            (Some(holder), Some(nonce)) => {
                let further_holders = holders.collect();
                Ok(Accepted { configuration_id, holder, further_holders, nonce, encryption })
            }
            _ => Err(ErrorResponse::invalid_proof("there is no proof of possession")),
        }
    }

    /// The key of a proof, and its nonce.
    fn proven(&self, text: &str, now_s: i64) -> Result<(HolderKey, String), ErrorResponse> {
        let proof = ProofOfPossession::parse(text).map_err(|_| {
            ErrorResponse::invalid_proof("the proof of possession cannot be read or does not verify")
        })?;
        if proof.audience != self.metadata.credential_issuer {
            return Err(ErrorResponse::invalid_proof("the proof of possession is for another issuer"));
        }
        if proof.client.is_some() {
            return Err(ErrorResponse::invalid_proof(
                "the proof of possession names a client that is not known",
            ));
        }
        let rules = &self.rules;
        if !proof.is_fresh(now_s, rules.proof_age_max_s, rules.clock_skew_s) {
            return Err(ErrorResponse::invalid_proof("the proof of possession is old or from the future"));
        }
        let nonce =
            proof.nonce.ok_or(ErrorResponse::invalid_proof("the proof of possession has no nonce"))?;
        Ok((proof.holder, nonce))
    }

    fn requested_configuration(
        &self,
        session: &Session,
        request: &CredentialRequest,
    ) -> Result<String, ErrorResponse> {
        let id = match (&request.credential_configuration_id, &request.credential_identifier) {
            (Some(id), None) => id,
            (None, Some(_)) => return Err(ErrorResponse::unknown_credential_identifier()),
            (Some(_), Some(_)) => {
                return Err(ErrorResponse::invalid_credential_request("the credential is named in two ways"));
            }
            (None, None) => {
                return Err(ErrorResponse::invalid_credential_request("the credential is not named"));
            }
        };
        let supported = self.metadata.credential_configurations_supported.contains_key(id);
        if !supported || !session.configuration_ids.contains(id) {
            return Err(ErrorResponse::unknown_credential_configuration());
        }
        if session.issued.contains(id) {
            return Err(ErrorResponse::credential_request_denied("this credential was issued already"));
        }
        Ok(id.clone())
    }
}

impl Session {
    /// A session that an authorization code has opened for these credentials.
    pub fn authorized(configuration_ids: Vec<String>, expires_s: i64) -> Self {
        Self {
            state: SessionState::Redeemed,
            configuration_ids,
            tx_code: None,
            expires_s,
            issued: Vec::new(),
            bound: None,
        }
    }

    /// Binds the access token to a key, by the thumbprint of the DPoP proof that came with the token request.
    pub fn bind(&mut self, thumbprint: String) {
        self.bound = Some(thumbprint);
    }

    /// The key that the access token is bound to; see [`crate::oauth::Credentials::check`].
    pub fn bound(&self) -> Option<&str> {
        self.bound.as_deref()
    }

    /// Where the offer stands.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// What was offered.
    pub fn configuration_ids(&self) -> &[String] {
        &self.configuration_ids
    }

    /// Until when the code can be redeemed, in unix seconds.
    pub fn expires_s(&self) -> i64 {
        self.expires_s
    }

    /// Redeems the code. The session changes also when the answer is a refusal, and must be stored either way,
    /// before the answer is sent: a wrong transaction code uses up an attempt, and a second use of the code ends
    /// the session, because one of the two who used it has stolen it (RFC 6749 section 4.1.2).
    pub fn redeem(&mut self, request: &TokenRequest, now_s: i64) -> Result<(), ErrorResponse> {
        match self.state {
            SessionState::Offered if now_s < self.expires_s => {}
            SessionState::Redeemed => {
                self.state = SessionState::Ended;
                return Err(ErrorResponse::invalid_grant());
            }
            _ => return Err(ErrorResponse::invalid_grant()),
        }
        match (&mut self.tx_code, &request.tx_code) {
            (None, None) => {}
            (Some(_), None) => return Err(ErrorResponse::invalid_request("tx_code is missing")),
            (None, Some(_)) => return Err(ErrorResponse::invalid_request("no tx_code is expected")),
            (Some(expected), Some(entered)) => {
                if !expected.is(entered) {
                    expected.attempts_left = expected.attempts_left.saturating_sub(1);
                    if expected.attempts_left == 0 {
                        self.state = SessionState::Ended;
                    }
                    return Err(ErrorResponse::invalid_grant());
                }
            }
        }
        self.state = SessionState::Redeemed;
        self.tx_code = None;
        Ok(())
    }

    /// Notes that a credential was issued; each is issued once.
    pub fn complete(&mut self, configuration_id: &str) {
        if !self.issued.iter().any(|id| id == configuration_id) {
            self.issued.push(configuration_id.to_owned());
        }
        if self.configuration_ids.iter().all(|id| self.issued.contains(id)) {
            self.state = SessionState::Completed;
        }
    }
}
