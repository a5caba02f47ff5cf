//! The authorization code for users who come to the issuer with a browser: pushed request, login, code, token.
//!
//! Who the user is, the back office has found out before: it made the offer, and gave its user a login code another
//! way. The code opens one offer once; after a few wrong ones the request is over. Requests are pushed, codes are tied
//! to a secret (S256), and tokens are bound to a key: DPoP is not an option here.

use super::access_token::Access;
use super::decisions::{Issuer, Refusal, read_session, secret, session_text};
use super::page;
use crate::clock::now_s;
use crate::storage::{AuthorizationRow, Entry, GrantType, Granted, OfferRow, Redeemed};
use aval_openid::ErrorResponse;
use aval_openid::oauth::authorization::{
    Authorization, AuthorizationState, CodeRequest, Pushed, REQUEST_URI_PREFIX,
};
use aval_openid::oauth::form;
use aval_openid::vci::TokenResponse;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;

/// How many wrong login codes end a request.
const ATTEMPTS_MAX: i64 = 5;
/// A login code that is longer was not made here.
const LOGIN_LENGTH_MAX: usize = 64;

/// What the user's browser brought.
struct Visit {
    request_uri: String,
    row: AuthorizationRow,
    authorization: Authorization,
}

impl Issuer {
    /// The endpoint for pushed requests: the body of its answer, with status 201.
    pub async fn push(&self, access: &Access<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let now_s = now_s();
        let thumbprint = self.proven(access, "/par", None, now_s).await?;
        let scopes = self.protocol().metadata.scopes();
        let pushed = Pushed::parse(body, &scopes, thumbprint.as_deref())?;
        let authorization = Authorization::new(pushed, now_s);
        let name = secret();
        self.records().insert_authorization(&name, &text(&authorization)?, authorization.expires_s()).await?;
        Ok(Authorization::pushed_response(&name))
    }

    /// The page that a user is sent to.
    pub async fn authorize(&self, query: &str) -> Result<Response, Refusal> {
        let parameters = form(query.as_bytes())?;
        let visit = self.visit(&parameters).await?;
        Ok(self.login_page(&visit, false))
    }

    /// What the user decided there.
    pub async fn decided(&self, body: &[u8]) -> Result<Response, Refusal> {
        let parameters = form(body)?;
        let mut visit = self.visit(&parameters).await?;
        let (now_s, issuer) = (now_s(), self.config().public_url.clone());
        if parameters.get("decision").map(String::as_str) != Some("agree") {
            let back = visit.authorization.deny(&issuer, now_s)?;
            self.keep(&visit, visit.row.attempts).await?;
            return Ok(redirection(&back));
        }
        let login = parameters.get("login_code").map(|code| code.trim().to_ascii_uppercase());
        let login = login.filter(|code| code.len() <= LOGIN_LENGTH_MAX).unwrap_or_default();
        let Some(offer) = self.offer_of(&login, visit.authorization.pushed(), now_s).await? else {
            let attempts = visit.row.attempts.saturating_add(1);
            if attempts >= ATTEMPTS_MAX {
                let back = visit.authorization.deny(&issuer, now_s)?;
                self.keep(&visit, attempts).await?;
                return Ok(redirection(&back));
            }
            self.keep(&visit, attempts).await?;
            return Ok(self.login_page(&visit, true));
        };
        let code = secret();
        let back = visit.authorization.grant(&code, &issuer, now_s)?;
        let granted = Granted {
            progress: &text(&visit.authorization)?,
            code: &code,
            expires_s: visit.authorization.expires_s(),
            offer: &offer.id,
            login: &login,
        };
        let entry = Entry::of_holder("offer.authorized", &offer.id, now_s);
        if !self.records().grant_authorization(&visit.row, &granted, &entry).await? {
            return Err(used().into());
        }
        tracing::info!(offer = offer.id, "authorized");
        Ok(redirection(&back))
    }

    /// The offer whose login code this is, if it is one of what the wallet asks for.
    async fn offer_of(&self, login: &str, pushed: &Pushed, now_s: i64) -> Result<Option<OfferRow>, Refusal> {
        let found = self.records().offer_by_login(login).await?;
        let found = found.filter(|offer| {
            offer.grant == GrantType::AuthorizationCode
                && now_s < offer.expires_s
                && pushed.configuration_ids.contains(&offer.configuration)
        });
        let (Some(offer), Some(state)) = (&found, &pushed.issuer_state) else { return Ok(found) };
        // The wallet began with an offer: its user must be that offer's.
        let begun = self.records().offer_by_code(state).await?;
        Ok(if begun.is_some_and(|begun| begun.id == offer.id) { found } else { None })
    }

    async fn keep(&self, visit: &Visit, attempts: i64) -> Result<(), Refusal> {
        let progress = text(&visit.authorization)?;
        let kept = self.records().move_authorization(&visit.row, &progress, attempts).await?;
        if kept { Ok(()) } else { Err(used().into()) }
    }

    /// Finds the pushed request that a browser brings. Until that is done nobody is sent anywhere.
    async fn visit(&self, parameters: &BTreeMap<String, String>) -> Result<Visit, Refusal> {
        let Some(request_uri) = parameters.get("request_uri") else {
            let reason = "the request has to be pushed first";
            return Err(ErrorResponse::invalid_request(reason).into());
        };
        let name = request_uri.strip_prefix(REQUEST_URI_PREFIX).unwrap_or_default();
        let row = self.records().authorization(name).await?.ok_or_else(used)?;
        let authorization = read(&row)?;
        let client = parameters.get("client_id").map(String::as_str).unwrap_or_default();
        authorization.open(client, now_s())?;
        Ok(Visit { request_uri: request_uri.clone(), row, authorization })
    }

    fn login_page(&self, visit: &Visit, wrong: bool) -> Response {
        let protocol = self.protocol();
        let pushed = visit.authorization.pushed();
        let supported = &protocol.metadata.credential_configurations_supported;
        let names: Vec<String> = pushed
            .configuration_ids
            .iter()
            .map(|id| supported.get(id).and_then(|one| one.name()).unwrap_or(id).to_owned())
            .collect();
        let action = format!("{}/authorize", self.config().public_path());
        page::login(pushed, &visit.request_uri, &names, &action, wrong)
    }

    /// The token endpoint, for both grants.
    pub async fn token(&self, access: &Access<'_>, body: &[u8]) -> Result<TokenResponse, Refusal> {
        let now_s = now_s();
        let is_code = form(body)?.get("grant_type").map(String::as_str) == Some(CodeRequest::GRANT_TYPE);
        let thumbprint = self.proven(access, "/token", None, now_s).await?;
        if is_code {
            self.redeem_code(body, thumbprint, now_s).await
        } else {
            self.redeem(body, thumbprint).await
        }
    }

    async fn redeem_code(
        &self,
        body: &[u8],
        thumbprint: Option<String>,
        now_s: i64,
    ) -> Result<TokenResponse, Refusal> {
        let request = CodeRequest::parse(body)?;
        let missing = ErrorResponse::invalid_dpop_proof("a proof of possession is missing");
        let thumbprint = thumbprint.ok_or(missing)?;
        let row = self.records().authorization_by_code(&request.code).await?;
        let row = row.ok_or(ErrorResponse::invalid_code())?;
        let mut authorization = read(&row)?;
        let before = authorization.state();
        if let Err(refusal) = authorization.redeem(&request, Some(&thumbprint), now_s) {
            if authorization.state() != before {
                self.records().move_authorization(&row, &text(&authorization)?, row.attempts).await?;
            }
            // One of the two who used the code has stolen it.
            if let (AuthorizationState::Redeemed, Some(offer)) = (before, &row.offer_id) {
                tracing::warn!(offer, "a code was used twice; its tokens end");
                self.records().end_tokens(offer).await?;
            }
            return Err(refusal.into());
        }
        let offer = row.offer_id.as_deref().ok_or_else(ErrorResponse::invalid_code)?;
        let offer = self.records().offer(offer).await?.ok_or_else(ErrorResponse::invalid_code)?;
        let mut session = read_session(&offer)?;
        session.bind(thumbprint);
        let (token, life_s) = (secret(), self.protocol().rules.token_life_s);
        let redeemed = Redeemed {
            progress: &text(&authorization)?,
            offer: &offer,
            session: &session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?,
            token: &token,
            expires_s: now_s.saturating_add(life_s),
        };
        if !self.records().redeem_authorization(&row, &redeemed, now_s).await? {
            return Err(ErrorResponse::invalid_code().into());
        }
        self.counters().redemptions.inc();
        tracing::info!(offer = offer.id, "redeemed");
        Ok(TokenResponse::dpop(token, u64::try_from(life_s).unwrap_or_default()))
    }
}

fn used() -> ErrorResponse {
    ErrorResponse::invalid_request("the request is unknown, used or expired")
}

fn text(authorization: &Authorization) -> Result<String, Refusal> {
    serde_json::to_string(authorization).map_err(|error| Refusal::Failed(error.to_string()))
}

fn read(row: &AuthorizationRow) -> Result<Authorization, Refusal> {
    serde_json::from_str(&row.progress)
        .map_err(|_| Refusal::Failed("an authorization cannot be read".to_owned()))
}

/// Sends the browser on. The address was checked when the request was pushed.
fn redirection(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store")]).into_response()
}
