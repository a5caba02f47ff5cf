//! The routes together with their description, so that the two cannot differ.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use std::sync::Arc;

use super::problem::Problem;
use super::{
    Context, accreditations, audit, blocks, events, governance, node, nodes, resolve, services, snapshots,
    state, transactions,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aval node",
        description = "Submit, track and prove transactions, and resolve DIDs. Every answer about the ledger carries a \
                       proof that can be verified offline (specs/wire.md). Errors are problem details (RFC 9457); the \
                       codes are listed in specs/errors.md.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This node")),
    tags(
        (name = "transactions", description = "Submitting and tracking"),
        (name = "identifiers", description = "DID Resolution 1.0"),
        (name = "trust", description = "Accreditations, and who runs what"),
        (name = "ledger", description = "State, blocks and trust"),
        (name = "nodes", description = "The nodes of the network and its validators"),
        (name = "governance", description = "What governors and supervisors decide"),
        (name = "node", description = "The node itself"),
    ),
    components(schemas(Problem)),
)]
struct Description;

/// The wildcard is axum's; the description has a plain parameter.
const WILDCARD: &str = "/1.0/identifiers/{*identifier}";

/// Routes that share their bounds.
type Routes = axum::Router<Arc<Context>>;

/// The routes about the node itself, those that answer at once, those that may wait, and the description of all.
pub(super) fn routes() -> (Routes, Routes, Routes, utoipa::openapi::OpenApi) {
    let quick = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(transactions::submit))
        .routes(routes!(transactions::receipt))
        .routes(routes!(transactions::policy))
        .routes(routes!(resolve::identifier))
        .routes(routes!(state::entry))
        .routes(routes!(accreditations::accreditation))
        .routes(routes!(services::services))
        .routes(routes!(blocks::run))
        .routes(routes!(blocks::block))
        .routes(routes!(blocks::block_header))
        .routes(routes!(blocks::block_receipt))
        .routes(routes!(blocks::checkpoint))
        .routes(routes!(snapshots::list))
        .routes(routes!(snapshots::chunk))
        .routes(routes!(snapshots::blocks))
        .routes(routes!(events::events))
        .routes(routes!(audit::export))
        .routes(routes!(governance::proposals))
        .routes(routes!(governance::proposal))
        .routes(routes!(governance::holds))
        .routes(routes!(governance::hold))
        .routes(routes!(blocks::genesis))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::node))
        .routes(routes!(nodes::trust_chain))
        .routes(routes!(nodes::faults));
    let own = OpenApiRouter::new()
        .routes(routes!(node::status))
        .routes(routes!(node::health))
        .routes(routes!(node::ready))
        .routes(routes!(node::metrics));
    let slow = OpenApiRouter::new().routes(routes!(transactions::status));
    let (quick, mut description) = quick.split_for_parts();
    let (own, of_node) = own.split_for_parts();
    description.merge(of_node);
    let (slow, further) = slow.split_for_parts();
    description.merge(further);
    if let Some(item) = description.paths.paths.remove(WILDCARD) {
        description.paths.paths.insert(WILDCARD.replace('*', ""), item);
    }
    (own, quick, slow, description)
}

/// The description as `specs/openapi/avald.json` holds it.
pub fn openapi_json() -> String {
    let (_, _, _, description) = routes();
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// What is answered where there is no route.
pub(super) async fn no_route() -> Response {
    Problem::of_status(StatusCode::NOT_FOUND).into_response()
}
