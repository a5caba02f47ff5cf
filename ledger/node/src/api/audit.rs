//! Exports for auditors: a range of the ledger as a bundle that is checked offline (specs/audit.md).
//!
//! A bundle is written as it is read: nobody waits for it and nothing is collected. One answer holds a bounded number
//! of heights and bytes and says where it ended; the next one goes on there. Who exports shows an access token and
//! holds a live grant with the role `auditor`, and the export is in the log before its first byte.

use std::io;
use std::sync::Arc;

use aval_machine::standing::ROLE_AUDITOR;
use aval_proof::PATH_LENGTH_MAX;
use aval_proof::audit::AuditWriter;
use aval_store::StoreError;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::problem::Problem;
use super::{Context, Shared};
use crate::access::{Denial, Needed};

/// Heights of one answer.
const HEIGHTS_MAX: u64 = 100_000;
/// Bytes after which an answer takes in no further block.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Exports at the same time.
pub(super) const EXPORTS_MAX: usize = 4;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// The first height.
    from: u64,
    /// The last height.
    to: u64,
}

/// A range of the ledger as a bundle of an audit.
///
/// The answer may end before `to`: its last line says at which height.
#[utoipa::path(
    get, path = "/v1/audit", tag = "ledger",
    params(
        AuditQuery,
        ("Authorization" = String, Header, description = "`Bearer` and an access token (specs/rest.md)"),
    ),
    responses(
        (status = 200, description = "A segment of a bundle (specs/audit.md)", body = String,
            content_type = "application/jsonl"),
        (status = 400, description = "The range makes no sense", body = Problem,
            content_type = "application/problem+json"),
        (status = 401, description = "The access token is no good", body = Problem,
            content_type = "application/problem+json"),
        (status = 403, description = "Its DID is no auditor", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "The range is not final yet", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many exports, or nothing above the range is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(context): Shared,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Problem> {
    let AuditQuery { from, to } = query;
    if to < from {
        return Err(Problem::malformed("The member to is below the member from."));
    }
    context.admit("audit", &method, &uri, &headers, &[], Needed::Role(ROLE_AUDITOR))?;
    let Ok(place) = context.exports.clone().try_acquire_owned() else {
        return Err(Problem::overloaded("As many exports are under way as this node allows."));
    };
    let ledger = context.ledger();
    let newest = ledger.require_head()?.height();
    if to > newest {
        return Err(StoreError::NotYet { height: to, latest: newest }.into());
    }
    let to = to.min(from.saturating_add(HEIGHTS_MAX - 1));
    // Asked before the first byte goes out; a block that has a certificate above it keeps it.
    ledger.finality(to)?;
    let export = Export::begin(context, from, to, place);
    let mut response = Body::from_stream(export.stream()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    Ok(response)
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        use aval_types::access::AccessError;
        use axum::http::StatusCode;
        match denial {
            Denial::Token(AccessError::Forbidden) => Self::new(
                StatusCode::FORBIDDEN,
                denial.code(),
                "The DID may not do this",
                "Only this node's operator may.",
            ),
            Denial::Token(error) => {
                let detail = "Sign a fresh token for this request and this node (specs/rest.md).";
                Self::new(StatusCode::UNAUTHORIZED, error.code(), &sentence(&error), detail)
            }
            Denial::Standing(reject) => {
                let mut problem = Self::from(reject);
                problem.status = StatusCode::FORBIDDEN.as_u16();
                problem
            }
            Denial::Overloaded => Self::overloaded("Too many access tokens live at the moment."),
            Denial::Undecided => Self::internal(),
        }
    }
}

/// An error's text as a title.
fn sentence(error: &aval_types::access::AccessError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A bundle while it is written.
struct Export {
    context: Arc<Context>,
    next: u64,
    to: u64,
    written: usize,
    step: Step,
    _place: OwnedSemaphorePermit,
}

/// What is written next.
enum Step {
    Begin,
    /// Changes of the validator set above this height.
    Sets(AuditWriter, u64),
    Blocks(AuditWriter),
    /// Headers above the range, so many of them so far.
    Headers(AuditWriter, usize),
    End(AuditWriter),
    Done,
}

impl Export {
    fn begin(context: Arc<Context>, from: u64, to: u64, place: OwnedSemaphorePermit) -> Self {
        Self { context, next: from, to, written: 0, step: Step::Begin, _place: place }
    }

    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        futures::stream::unfold(Some(self), |export| async move {
            let mut export = export?;
            // Others have their turn between two lines.
            tokio::task::yield_now().await;
            match export.line() {
                Ok(Some(line)) => {
                    export.written += line.len();
                    Some((Ok(line.into()), Some(export)))
                }
                Ok(None) => None,
                Err(error) => {
                    // The answer has begun; cutting it off is the only way left to say that it is not whole.
                    tracing::error!(code = error.code(), %error, "an export broke off");
                    Some((Err(io::Error::other("the export broke off")), None))
                }
            }
        })
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let ledger = self.context.ledger();
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::Begin => {
                let genesis = &self.context.parts.genesis;
                let (writer, line) = AuditWriter::begin(&genesis.network, &genesis.bytes, self.next, self.to);
                self.step = Step::Sets(writer, 0);
                Ok(Some(line))
            }
            Step::Sets(mut writer, above) => {
                // Changes above the range have no part in it.
                let chain = ledger.trust_chain(self.context.network(), above)?;
                let mut lines = Vec::new();
                let mut last = None;
                for link in chain.links.iter().filter(|link| link.header.height < self.to) {
                    lines.extend(writer.set(link));
                    last = Some(link.header.height);
                }
                self.step = match last {
                    Some(height) if chain.more => Step::Sets(writer, height),
                    _ => Step::Blocks(writer),
                };
                Ok(Some(lines))
            }
            Step::Blocks(mut writer) => {
                let height = self.next;
                let certificate = ledger.certificate(height)?;
                let is_certified = certificate.is_some();
                let line =
                    writer.block(&ledger.stripped_block(height)?, &ledger.receipts(height)?, certificate);
                self.next = height + 1;
                let is_last = height >= self.to || self.written + line.len() > BYTES_MAX;
                self.step = match (is_last, is_certified) {
                    (false, _) => Step::Blocks(writer),
                    (true, true) => Step::End(writer),
                    (true, false) => Step::Headers(writer, 0),
                };
                Ok(Some(line))
            }
            Step::Headers(mut writer, count) => {
                let height = self.next;
                let certificate = ledger.certificate(height)?;
                let is_certified = certificate.is_some();
                if count >= PATH_LENGTH_MAX {
                    return Err(StoreError::NotCertified(height));
                }
                let line = writer.header(&ledger.header(height)?, certificate);
                self.next = height + 1;
                self.step = if is_certified { Step::End(writer) } else { Step::Headers(writer, count + 1) };
                Ok(Some(line))
            }
            Step::End(writer) => Ok(Some(writer.end())),
            Step::Done => Ok(None),
        }
    }
}
