//! Who may do what at an interface behind tokens, and the record of who was denied.
//!
//! A token is an operator's, of which the records keep a hash, or the one in the home folder, which is an admin's.

use crate::clock::now_s;
use crate::problem::Problem;
use crate::storage::{Entry, Records, Role};
use aval_openid::vci::token::bearer_token;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// The name of whoever has the token in the home folder.
const HOME: &str = "home";
/// A token that is longer was not made here.
const TOKEN_LENGTH_MAX: usize = 256;

/// Where tokens are looked up and denials recorded.
#[derive(Clone)]
pub struct Gate {
    records: Records,
    token: Arc<str>,
    denied: Counter,
}

impl Gate {
    /// A gate with the token of the home folder, which opens nothing if it is empty. `denied` counts.
    pub fn new(records: Records, token: &str, denied: Counter) -> Self {
        Self { records, token: token.into(), denied }
    }
}

/// Whoever makes a request.
#[derive(Clone)]
pub struct Operator {
    /// The name.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    gate: Gate,
}

/// Finds the operator of a request's token.
pub async fn authenticate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = bearer_token(header).unwrap_or_default().to_owned();
    let is_home = !gate.token.is_empty() && bool::from(given.as_bytes().ct_eq(gate.token.as_bytes()));
    let found = if is_home {
        Ok(Some((HOME.to_owned(), Role::Admin)))
    } else if given.is_empty() || given.len() > TOKEN_LENGTH_MAX {
        Ok(None)
    } else {
        let operator = gate.records.operator_by_token(&given).await;
        operator.map(|operator| operator.map(|operator| (operator.name, operator.role)))
    };
    match found {
        Ok(Some((name, role))) => {
            request.extensions_mut().insert(Operator { name: name.into(), role, gate });
            next.run(request).await
        }
        Ok(None) => {
            let detail = if given.is_empty() { "no token" } else { "unknown token" };
            record(&gate, "", &target(&request), detail).await;
            Problem::unauthorized().into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The method and the router's pattern of a request: never what a client sent.
fn target(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    format!("{} {path}", request.method())
}

async fn record(gate: &Gate, operator: &str, target: &str, detail: &str) {
    let entry = Entry { detail, ..Entry::of(operator, "access.denied", target, now_s()) };
    gate.denied.inc();
    tracing::warn!(operator, target, detail, "access denied");
    if let Err(error) = gate.records.note(&entry).await {
        tracing::error!(%error, "a denied access could not be recorded");
    }
}

/// Denies an operator something, and records it.
pub async fn deny(gate: &Gate, operator: &str, target: &str, role: Role) -> Problem {
    record(gate, operator, target, &format!("the role is {role}")).await;
    Problem::new(
        StatusCode::FORBIDDEN,
        "admin.forbidden",
        "The operator's role does not allow it",
        format!("your role is {role}; an admin can give you a token of another role"),
    )
}

async fn require(needed: Role, request: Request, next: Next) -> Response {
    let Some(operator) = request.extensions().get::<Operator>().cloned() else {
        // The routes stand behind `authenticate`; without it nobody gets in.
        return Problem::unauthorized().into_response();
    };
    if operator.role.allows(needed) {
        return next.run(request).await;
    }
    deny(&operator.gate, &operator.name, &target(&request), operator.role).await.into_response()
}

/// Lets in who may look.
pub async fn viewer(request: Request, next: Next) -> Response {
    require(Role::Viewer, request, next).await
}

/// Lets in who may offer and issue.
pub async fn issuer(request: Request, next: Next) -> Response {
    require(Role::Issuer, request, next).await
}

/// Lets in who may revoke.
pub async fn revoker(request: Request, next: Next) -> Response {
    require(Role::Revoker, request, next).await
}

/// Lets in who may verify, and ask holders for presentations.
pub async fn verifier(request: Request, next: Next) -> Response {
    require(Role::Verifier, request, next).await
}

/// Lets in who may do everything.
pub async fn admin(request: Request, next: Next) -> Response {
    require(Role::Admin, request, next).await
}
