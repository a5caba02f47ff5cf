//! The stream of events: what the ledger changed, as server-sent events, from any height on (specs/rest.md, "Events").
//!
//! ```text
//! id: 12-0-1                                   height, place of the receipt in its block, place of the event in it
//! event: did.created                           the event's type
//! data: {"id":"12-0-1","height":12,"time":…,"transaction":"…","receipt":"/v1/…","event":{…}}
//! ```
//!
//! - The ledger is the queue: events are read from the receipts of final blocks, so a reader may come back with the
//!   last id it saw, to any node, after any time, and nothing is missing or doubled.
//! - An id alone (`id: 12`, with a comment) says that everything up to that block has been sent. It comes now and then,
//!   so that a reader of few events resumes where it really is.
//! - Each event names the receipt that proves it, and carries the proof if asked.
//! - Readers are bounded in number, and each in what waits for it. One that takes nothing for a while gets what it has
//!   room for, a last comment, and the end.

mod cursor;
mod feed;
mod filter;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response, Sse};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::problem::Problem;
use super::server::Stopping;
use cursor::Cursor;
use feed::Feed;
use filter::Filter;

/// What a reader that reconnects sends by itself.
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Height to begin with, or `latest` (default): the next block. The header `Last-Event-ID` goes before it.
    from: Option<String>,
    /// Types, separated by commas: `did.created`, or `did.*` for all of a kind.
    #[serde(rename = "type")]
    kinds: Option<String>,
    /// Only events that name this DID, as subject, issuer, owner or otherwise.
    did: Option<String>,
    /// Only events of this issuer.
    issuer: Option<String>,
    /// Only events of this status registry.
    registry: Option<String>,
    /// Whether each event carries its ledger proof.
    #[serde(default)]
    proof: bool,
}

/// Events of the ledger, from a height on and then as they happen.
#[utoipa::path(
    get, path = "/v1/events", tag = "ledger",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The last id that was seen: goes on after it"),
    ),
    responses(
        (status = 200, description = "Server-sent events (specs/rest.md)", body = String,
            content_type = "text/event-stream"),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "There are as many readers as the node allows", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(context): Shared,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let filter = Filter::of(&query)?;
    let head = context.ledger().require_head()?.height();
    let begin = match headers.get(LAST_EVENT_ID) {
        Some(id) => {
            let id = id.to_str().ok().and_then(Cursor::after);
            id.ok_or_else(|| Problem::malformed("Last-Event-ID is not an id of this stream."))?
        }
        None => match query.from.as_deref() {
            None | Some("latest") => Cursor::at(head.saturating_add(1)),
            Some(height) => cursor::number(height).map(Cursor::at).ok_or_else(|| {
                Problem::malformed("The member from is a height, a decimal number, or `latest`.")
            })?,
        },
    };
    let Ok(place) = context.event_readers.clone().try_acquire_owned() else {
        return Err(Problem::overloaded("As many programs read events as this node allows."));
    };
    let stopping = stopping.map(|Extension(stopping)| stopping);
    let body = Feed::new(context, filter, begin, query.proof).start(place, stopping);
    let mut response = Sse::new(body).into_response();
    // A proxy that collects before it sends would hold events back.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}
