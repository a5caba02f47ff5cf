//! The nodes of the network: who is registered, how each stands and why, and the way to the present validators.

use std::sync::Arc;

use aval_did::PublicKey;
use aval_machine::membership::{self, Member, Members};
use aval_machine::state_key;
use aval_types::NodeKind;
use aval_types::node::{EvidenceRecord, Participation, Service, Suspension, SuspensionCause};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Context, Shared, proofs};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NodesQuery {
    /// `validator` or `observer`; both if left out.
    #[param(value_type = Option<String>)]
    kind: Option<NodeKind>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChainQuery {
    /// The height that the asker knows the validators of; genesis if left out.
    #[serde(default)]
    from: u64,
}

/// The registered nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nodes {
    /// The height as of which this holds.
    height: u64,
    /// The epoch of the next block.
    epoch: u64,
    nodes: Vec<NodeView>,
}

/// A registered node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeView {
    /// Its network key, as a multikey.
    key: String,
    name: String,
    /// `validator` or `observer`.
    kind: &'static str,
    /// The DID that answers for it.
    operator: String,
    addresses: Vec<String>,
    sector: String,
    region: String,
    /// Height of the block that registered it; 0 for those of genesis.
    registered: u64,
    /// `validating`, `leaving`, `cut-off`, `candidate`, `suspended`, `observing` or `refused`.
    status: &'static str,
    /// `genesis`, `grant`, or the code of what speaks against it.
    why: &'static str,
    /// Whether other nodes connect with it.
    admitted: bool,
    /// The suspension in force: since, until, and its cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    suspended: Option<Suspension>,
    /// How often it was seen in the present epoch, if it validates and a window is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    service: Option<Service>,
}

/// One node with what the ledger has about it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeDetail {
    /// The height as of which its status holds.
    height: u64,
    node: NodeView,
    /// The fault proof against it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    evidence: Option<EvidenceRecord>,
    /// The proof of its record (specs/wire.md).
    #[schema(value_type = Object)]
    proof: Box<RawValue>,
}

struct Register {
    height: u64,
    epoch: u64,
    members: Members,
    participation: Option<Participation>,
    in_force: Vec<[u8; 32]>,
}

fn register(context: &Arc<Context>) -> Result<Register, Problem> {
    let ledger = context.ledger();
    let head = ledger.require_head()?;
    let view = ledger.view(&head.digest())?;
    let unreadable = |error: aval_machine::StateError| {
        tracing::error!(code = error.code(), %error, "the nodes cannot be read");
        Problem::internal()
    };
    let epoch_blocks = context.parts.genesis.genesis.parameters.validators.epoch_blocks;
    let participation = view.state(state_key::PARTICIPATION.as_bytes())?;
    Ok(Register {
        height: head.height(),
        epoch: membership::epoch_of(head.height().saturating_add(1), epoch_blocks),
        members: membership::members(&view, head.header().time_ms).map_err(unreadable)?,
        participation: participation.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        in_force: membership::validators(&view).map_err(unreadable)?,
    })
}

impl Register {
    fn view(&self, member: &Member) -> NodeView {
        let record = &member.record;
        NodeView {
            key: record.key.to_multikey(),
            name: record.name.clone(),
            kind: record.kind.name(),
            operator: record.operator.to_string(),
            addresses: record.addresses.iter().map(ToString::to_string).collect(),
            sector: record.sector.clone(),
            region: record.region.clone(),
            registered: record.registered,
            status: member.status.name(),
            why: member.why(),
            admitted: member.status.is_connected(),
            suspended: record.suspended.clone(),
            service: self.service(member),
        }
    }

    fn service(&self, member: &Member) -> Option<Service> {
        let counters = self.participation.as_ref().filter(|counters| counters.epoch == self.epoch)?;
        let place = self.in_force.iter().position(|key| *key == member.key)?;
        let present = *counters.present.get(place)?;
        Some(Service { epoch: counters.epoch, present, windows: counters.windows })
    }
}

/// The registered nodes, validators in force first.
#[utoipa::path(
    get, path = "/v1/nodes", tag = "nodes", params(NodesQuery),
    responses(
        (status = 200, description = "The nodes; each one's record is proven by /v1/nodes/{key}", body = Nodes),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(context): Shared,
    Query(query): Query<NodesQuery>,
) -> Result<Json<Nodes>, Problem> {
    let register = register(&context)?;
    let is_asked = |member: &&Member| query.kind.is_none_or(|kind| member.record.kind == kind);
    let nodes = register.members.all().filter(is_asked).map(|member| register.view(member)).collect();
    Ok(Json(Nodes { height: register.height, epoch: register.epoch, nodes }))
}

/// One node: how it stands, why, the fault proof against it if there is one, and the proof of its record.
#[utoipa::path(
    get, path = "/v1/nodes/{key}", tag = "nodes",
    params(("key" = String, Path, description = "The network key as a multikey")),
    responses(
        (status = 200, description = "The node", body = NodeDetail),
        (status = 400, description = "The key cannot be read", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "No node is registered with this key", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing is certified yet", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn node(
    State(context): Shared,
    Path(key): Path<String>,
) -> Result<Json<NodeDetail>, Problem> {
    let Ok(PublicKey::Ed25519(key)) = PublicKey::from_multikey(&key) else {
        return Err(Problem::malformed("The key is not an Ed25519 multikey."));
    };
    let register = register(&context)?;
    let Some(member) = register.members.get(&key) else {
        return Err(Problem::from(aval_types::Reject::NodeNotFound));
    };
    let ledger = context.ledger();
    let proof = context.finality.newest(ledger)?.state(ledger, context.network(), &state_key::node(&key))?;
    let evidence = match member.record.suspended.as_ref().map(|suspended| &suspended.cause) {
        Some(SuspensionCause::Equivocation(id)) => {
            let bytes = ledger.state(state_key::evidence(id).as_bytes())?;
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())
        }
        _ => None,
    };
    let node = register.view(member);
    Ok(Json(NodeDetail { height: register.height, node, evidence, proof: proofs::to_raw(&proof)? }))
}

/// The changes of the validator set above a height: what a client needs to check certificates of the present.
///
/// Epochs that kept the set are not in it. At most 32 changes are given at once; `more` says whether to ask again,
/// from the last one's height.
#[utoipa::path(
    get, path = "/v1/trust-chain", tag = "nodes", params(ChainQuery),
    responses(
        (status = 200, description = "A trust chain (specs/wire.md)", body = Object),
        (status = 400, description = "The query cannot be read", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn trust_chain(
    State(context): Shared,
    Query(query): Query<ChainQuery>,
) -> Result<Response, Problem> {
    let chain = context.ledger().trust_chain(context.network(), query.from)?;
    let media_type = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, media_type)], chain.to_json()).into_response())
}

/// Fault proofs that this node has seen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Faults {
    /// Each in the form of the action `node.evidence`, to be put into a transaction as it is.
    #[schema(value_type = Vec<Object>)]
    faults: Vec<aval_types::Action>,
}

/// Fault proofs that this node has seen, one for each validator that contradicted itself.
///
/// Anybody with a DID can put one on the ledger, where it is checked and takes effect.
#[utoipa::path(
    get, path = "/v1/faults", tag = "nodes",
    responses((status = 200, description = "The proofs, as actions", body = Faults))
)]
pub(super) async fn faults(State(context): Shared) -> Json<Faults> {
    let action = |evidence| aval_types::Action::NodeEvidence(Box::new(evidence));
    let faults = context.parts.core.executor.faults().all().into_iter().map(action).collect();
    Json(Faults { faults })
}
