//! Was somebody accredited for something at a time, and by which chain? (specs/trust.md, section 4)
//!
//! The answer carries the records that the chain was walked over, each inside its proof at one height, so that whoever
//! asks walks it again and believes nothing else of what is said here (`aval_client::AccreditationAnswer`). For a past
//! time it carries the header of the next block as well: it shows that no later block was made by then. A no is
//! an answer like a yes.

use std::cell::RefCell;

use aval_did::Did;
use aval_did::resolution::{format_time_ms, parse_time};
use aval_machine::state_key;
use aval_proof::LedgerProof;
use aval_store::Ledger;
use aval_types::AccreditationRecord;
use aval_types::accreditation::{Broken, Capacity, Chain, Question, chain};
use aval_types::grant::is_name;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Context, Shared, proofs};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AccreditationQuery {
    /// The credential type; without one the question is whether the accreditation holds at all.
    #[serde(rename = "type")]
    credential_type: Option<String>,
    /// A role that credentials of the type give.
    role: Option<String>,
    /// `issuer` (default) for who issues, `body` for who accredits.
    #[serde(rename = "as", default)]
    capacity: CapacityName,
    /// The time that is asked about, `2026-11-22T10:00:00Z`; now if left out.
    at: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CapacityName {
    #[default]
    Issuer,
    Body,
}

/// Whether somebody is accredited, with what it takes to believe it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccreditationView {
    #[schema(value_type = String)]
    subject: Did,
    #[serde(rename = "as")]
    capacity: CapacityName,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    credential_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The time that was asked about, in milliseconds since 1970.
    at: u64,
    /// The verdict.
    accredited: bool,
    /// Why not: the first link that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<BrokenView>,
    /// The level of assurance for the type: the lowest of the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    /// The records that decided, from the one asked about towards the root.
    #[schema(value_type = Vec<Object>)]
    chain: Vec<AccreditationRecord>,
    /// The block after which the answer holds.
    height: u64,
    /// Its time in UTC.
    time: String,
    /// A ledger proof (specs/wire.md) of each record, or of the absence of the last one, in the order of the chain.
    #[schema(value_type = Vec<Object>)]
    proofs: Vec<Box<RawValue>>,
    /// A ledger proof of the next block's header, if there is one: it came after the time asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    next: Option<Box<RawValue>>,
}

/// The link that does not hold.
#[derive(Debug, Serialize, ToSchema)]
struct BrokenView {
    #[schema(value_type = String)]
    subject: Did,
    code: &'static str,
    detail: &'static str,
}

/// Whether somebody is or was accredited, and by which chain, with proof.
///
/// "No" is a verdict like "yes", with status 200 and proofs that show the link which does not hold.
#[utoipa::path(
    get, path = "/v1/accreditations/{did}", tag = "trust",
    params(("did" = String, Path, description = "Who is asked about"), AccreditationQuery),
    responses(
        (status = 200, description = "The verdict with its proofs", body = AccreditationView),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "The time is before the network began", body = Problem,
            content_type = "application/problem+json"),
        (status = 410, description = "The time is pruned here", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn accreditation(
    State(context): Shared,
    Path(did): Path<String>,
    Query(query): Query<AccreditationQuery>,
) -> Result<Response, Problem> {
    let did: Did = did.parse().map_err(|_| Problem::malformed("The path does not end in a did:aval."))?;
    let named = |name: &Option<String>| name.as_deref().is_none_or(is_name);
    if !named(&query.credential_type) || !named(&query.role) {
        return Err(Problem::malformed("A type or role is a name: a letter, then letters, digits, - and _."));
    }
    if query.role.is_some() && query.credential_type.is_none() {
        return Err(Problem::malformed("A role is one of a type: name the type."));
    }
    let asked_ms = match &query.at {
        None => None,
        Some(at) => {
            let seconds = parse_time(at)
                .ok_or_else(|| Problem::malformed("`at` is a time in UTC: 2026-11-22T10:00:00Z."))?;
            Some(seconds.saturating_mul(1000))
        }
    };
    Ok(Json(answer(&context, did, query, asked_ms)?).into_response())
}

/// The height whose state answers, and the header that shows that no later block was made by then.
fn place(context: &Context, asked_ms: Option<u64>) -> Result<(u64, u64, Option<LedgerProof>), Problem> {
    let ledger = context.ledger();
    let newest = ledger.newest_certified()?;
    let newest_ms = ledger.header(newest)?.time_ms;
    let Some(asked_ms) = asked_ms else { return Ok((newest, newest_ms, None)) };
    if asked_ms >= newest_ms {
        return Ok((newest, asked_ms, None));
    }
    let height = ledger
        .height_at(asked_ms)?
        .ok_or_else(|| Problem::not_found("The network did not exist at this time."))?;
    let next = ledger.header_proof(context.network(), height + 1)?;
    Ok((height, asked_ms, Some(next)))
}

fn answer(
    context: &Context,
    did: Did,
    query: AccreditationQuery,
    asked_ms: Option<u64>,
) -> Result<AccreditationView, Problem> {
    let ledger = context.ledger();
    let (height, at, next) = place(context, asked_ms)?;
    let proven = RefCell::new(Vec::new());
    let roles: Vec<&str> = query.role.as_deref().into_iter().collect();
    let question = Question {
        subject: &did,
        capacity: match query.capacity {
            CapacityName::Issuer => Capacity::Issue,
            CapacityName::Body => Capacity::Accredit,
        },
        credential_type: query.credential_type.as_deref(),
        roles: &roles,
        time_ms: at,
    };
    let read = |did: &Did| {
        let (record, proof) = prove(context, ledger, did, height)?;
        proven.borrow_mut().push((record.clone(), proof));
        Ok::<_, Problem>(record)
    };
    let outcome = chain(&question, read)?;
    let (records, proofs): (Vec<_>, Vec<_>) = proven.into_inner().into_iter().unzip();
    let level = |chain: &Chain| chain.level(query.credential_type.as_deref()?).map(|level| level.name());
    Ok(AccreditationView {
        accredited: outcome.is_ok(),
        level: outcome.as_ref().ok().and_then(level),
        broken: outcome.err().map(|Broken { subject, why, .. }| BrokenView {
            subject,
            code: why.code(),
            detail: why.sentence(),
        }),
        subject: did,
        capacity: query.capacity,
        credential_type: query.credential_type,
        role: query.role,
        at,
        chain: records.into_iter().flatten().collect(),
        height,
        time: format_time_ms(ledger.header(height)?.time_ms),
        proofs: proofs.iter().map(proofs::to_raw).collect::<Result<_, _>>()?,
        next: next.as_ref().map(proofs::to_raw).transpose()?,
    })
}

/// The record of one link with its proof.
fn prove(
    context: &Context,
    ledger: &Ledger,
    did: &Did,
    height: u64,
) -> Result<(Option<AccreditationRecord>, LedgerProof), Problem> {
    let key = state_key::accreditation(did);
    let proof = ledger.state_proof(context.network(), &key, height)?;
    let record = proofs::value(&proof).map(serde_json::from_slice).transpose().map_err(|error| {
        tracing::error!(%did, %error, "an accreditation record is damaged");
        Problem::internal()
    })?;
    Ok((record, proof))
}
