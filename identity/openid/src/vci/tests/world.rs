//! An issuer with its store and its HTTP routes, all in memory, and a wallet that talks to it.

use crate::http::JSON;
use crate::url_rules::UrlPolicy;
use crate::vci::holder::{Authorized, Discovery, Received, Redeemable};
use crate::vci::issuer::{Accepted, Issuer, Session};
use crate::vci::metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
use crate::vci::offer::{CredentialOffer, OfferLink, TransactionCodeSpec};
use crate::vci::token::{TokenRequest, TokenResponse, bearer_token, nonce_response};
use crate::vci::{CredentialRequest, CredentialResponse};
use crate::{ErrorResponse, HttpRequest, HttpResponse, Method, OpenIdError};
use aval_credential::{CredentialDraft, issue};
use aval_did::key::{PublicKey, SigningKey};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ISSUER: &str = "https://issuer.example/register";
pub(super) const ISSUER_DID: &str = "did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
pub(super) const CONFIGURATION: &str = "membership";
pub(super) const TYPE: &str = "AvalMembershipCredential";
pub(super) const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";
pub(super) const TX_CODE: &str = "493536";
pub(super) const NOW_S: i64 = 1_795_339_800;

pub(super) fn issuer_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(super) fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).expect("a valid scalar")
}

/// An answer of the issuer's HTTP routes.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, body }
    }

    pub(super) fn response(&self) -> HttpResponse<'_> {
        HttpResponse { status: self.status, content_type: Some(JSON), body: &self.body }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("answers are text")
    }
}

impl From<ErrorResponse> for Answer {
    fn from(error: ErrorResponse) -> Self {
        Self { status: error.status, body: error.body() }
    }
}

/// What an issuing service keeps.
pub(super) struct World {
    pub(super) issuer: Issuer,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) nonces: BTreeSet<String>,
    pub(super) now_s: i64,
    /// Changes a draft before it is signed, to make a bad issuer.
    pub(super) tamper: fn(&mut CredentialDraft),
    counter: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let metadata = IssuerMetadata::new(ISSUER)
            .with_configuration(CONFIGURATION, CredentialConfiguration::vc_sd_jwt(TYPE, "Membership"))
            .with_configuration("other", CredentialConfiguration::vc_sd_jwt("OtherCredential", "Other"));
        Self {
            issuer: Issuer::new(metadata),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            nonces: BTreeSet::new(),
            now_s: NOW_S,
            tamper: |_| (),
            counter: 0,
        }
    }

    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{what}-{}", self.counter)
    }

    pub(super) fn offer(&mut self, tx_code: Option<&str>) -> CredentialOffer {
        let tx_code = tx_code.map(|code| (code, [7; 32], TransactionCodeSpec::digits(6)));
        let ids = vec![CONFIGURATION.to_owned()];
        let (offer, session) = self.issuer.offer(ids, CODE.to_owned(), tx_code, self.now_s);
        self.sessions.insert(CODE.to_owned(), session);
        offer
    }

    /// The routes of the service.
    pub(super) fn send(&mut self, request: &HttpRequest) -> Answer {
        let path = request.url.strip_prefix("https://issuer.example").expect("only this issuer is asked");
        let outcome = match (request.method, path) {
            (Method::Get, "/.well-known/openid-credential-issuer/register") => {
                Ok(self.issuer.metadata.to_json())
            }
            (Method::Get, "/.well-known/oauth-authorization-server/register") => {
                Ok(AuthorizationServerMetadata::new(ISSUER).to_json())
            }
            (Method::Post, "/register/token") => self.token(&request.body),
            (Method::Post, "/register/nonce") => {
                let nonce = self.fresh("nonce");
                self.nonces.insert(nonce.clone());
                Ok(nonce_response(&nonce))
            }
            (Method::Post, "/register/credential") => {
                let header = request.bearer.as_ref().map(|token| format!("Bearer {token}"));
                self.credential(header.as_deref(), &request.body)
            }
            other => panic!("no such route: {other:?}"),
        };
        outcome.map_or_else(Answer::from, Answer::ok)
    }

    fn token(&mut self, form: &[u8]) -> Result<Vec<u8>, ErrorResponse> {
        let request = TokenRequest::parse(form)?;
        let session = self.sessions.get_mut(&request.code).ok_or(ErrorResponse::invalid_grant())?;
        session.redeem(&request, self.now_s)?;
        let token = self.fresh("token");
        self.tokens.insert(token.clone(), request.code);
        Ok(TokenResponse::bearer(token, 300).to_json())
    }

    fn credential(&mut self, header: Option<&str>, body: &[u8]) -> Result<Vec<u8>, ErrorResponse> {
        let token = bearer_token(header)?;
        let code = self.tokens.get(token).ok_or(ErrorResponse::invalid_token())?.clone();
        let session = self.sessions.get(&code).ok_or(ErrorResponse::invalid_token())?;
        let accepted = self.issuer.accept(session, &CredentialRequest::parse(body)?, self.now_s)?;
        if !self.nonces.remove(&accepted.nonce) {
            return Err(ErrorResponse::invalid_nonce());
        }
        let session = self.sessions.get_mut(&code).ok_or(ErrorResponse::invalid_token())?;
        session.complete(&accepted.configuration_id);
        Ok(CredentialResponse::of(self.issue(&accepted)).to_json())
    }

    fn issue(&self, accepted: &Accepted) -> String {
        let mut draft = CredentialDraft {
            issuer: ISSUER_DID.to_owned(),
            key_id: format!("{ISSUER_DID}#key-1"),
            id: None,
            contexts: Vec::new(),
            types: vec![TYPE.to_owned()],
            subject_id: accepted.holder.did.clone(),
            claims: BTreeMap::from([("legalName".to_owned(), "Contoso".into())]),
            disclosable: BTreeSet::from(["legalName".to_owned()]),
            status: Vec::new(),
            valid_from_s: self.now_s,
            valid_until_s: Some(self.now_s + 86_400),
            holder_key: Some(accepted.holder.key),
            schema: None,
        };
        (self.tamper)(&mut draft);
        issue(&draft, &issuer_key(), &mut || [9; 16]).expect("the draft can be issued")
    }
}

/// What the wallet knows of issuers.
pub(super) fn assertion_key(did: &str, key_id: &str) -> Result<Option<PublicKey>, String> {
    let known = did == ISSUER_DID && key_id == format!("{ISSUER_DID}#key-1");
    Ok(known.then(|| issuer_key().public()))
}

/// The wallet up to the point where the user decides.
pub(super) fn discover(world: &mut World, link: &str) -> Result<Redeemable, OpenIdError> {
    let OfferLink::Value(offer) = OfferLink::parse(link, UrlPolicy::HTTPS)? else {
        panic!("the offer is in the link")
    };
    let discovery = Discovery::new(offer, UrlPolicy::HTTPS)?;
    let answer = world.send(&discovery.request()?);
    let discovered = discovery.on_response(&answer.response())?;
    let answer = world.send(&discovered.request()?);
    discovered.on_response(&answer.response())
}

/// The wallet up to the token.
pub(super) fn redeem(world: &mut World, tx_code: Option<&str>) -> Result<Authorized, OpenIdError> {
    let offer = match tx_code {
        Some(_) => world.offer(Some(TX_CODE)),
        None => world.offer(None),
    };
    let redeemable = discover(world, &offer.to_uri())?;
    let answer = world.send(&redeemable.token_request(tx_code)?);
    redeemable.on_token(&answer.response())
}

/// Nonce, proof, credential.
pub(super) fn receive(world: &mut World, authorized: &mut Authorized) -> Result<Received, OpenIdError> {
    let answer = world.send(&authorized.nonce_request().expect("the issuer has a nonce endpoint"));
    authorized.on_nonce(&answer.response())?;
    let request = authorized.credential_request(CONFIGURATION, &holder_key(), world.now_s)?;
    let answer = world.send(&request);
    accept(world, authorized, &answer)
}

pub(super) fn accept(
    world: &World,
    authorized: &Authorized,
    answer: &Answer,
) -> Result<Received, OpenIdError> {
    let key = holder_key().public();
    authorized.on_credential(&answer.response(), CONFIGURATION, &key, world.now_s, assertion_key)
}
