//! The back office: templates, subjects, offers, issuance records, changes of status, operators, the audit log. On a
//! listener of its own; every request carries an operator's token, and every denied one is in the audit log.

use super::access::{self, Office, Operator};
use super::decisions::{Issuer, NewOffer, Order, TEMPLATES_MAX};
use super::paper::{
    Activated, AuditLine, Claims, Deferral, Issuance, NewSubject, NewTemplate, Subject, Template, Who,
};
use super::status::Change;
use super::vc_api;
use crate::clock::now_s;
use crate::layers::{self, Side};
use crate::metrics;
use crate::problem::Problem;
use crate::request::{Page, read_json};
use crate::storage::{Entry, GrantType, Role, Search, SubjectRow, TemplateRow};
use crate::swagger;
use aval_codec::Json as Strict;
use aval_openid::vci::Format;
use aval_types::grant::is_name;
use aval_types::registry::is_registry_name;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Claims that are not kept.
pub(super) const EMPTY: &str = "{}";
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Longer than the service waits for the ledger.
const TIMEOUT: Duration = Duration::from_secs(90);
const REQUESTS_MAX: usize = 64;
/// Deferrals of one answer.
const DEFERRALS_MAX: i64 = 1_000;
/// The longest validity that a template may have.
const VALIDITY_DAYS_MAX: i64 = 3_650;
/// The longest reference of a subject and name of a template.
const TEXT_LENGTH_MAX: usize = 128;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aval-identityd: the issuer's back office",
        description = "Templates, subjects, offers, issuance records, changes of status, the audit log. Every request \
                       carries `Authorization: Bearer <token>` with the token of an operator, made by \
                       `aval-identityd issuer operator add`, or that in the file `admin-token` of the issuer's home \
                       folder. Roles: viewer looks, issuer offers and keeps subjects, revoker revokes and suspends, \
                       admin does everything. Errors are problem details (RFC 9457). Lists go on at the `next` link \
                       (RFC 8288).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The issuer's admin listener")),
    components(schemas(Problem)),
    modifiers(&Security),
    security(("token" = [])),
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// What an offer is made for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OfferRequest {
    /// Claims of the subject; `role` is a list of role names. They come before those of `subjectId` and `template`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"role": ["member"], "legalName": "Example Ltd"}))]
    subject: BTreeMap<String, Strict>,
    /// The template; without one the configured credential is offered.
    template: Option<String>,
    /// A subject that is on record.
    subject_id: Option<String>,
    /// How it is redeemed: `preAuthorized`, with a transaction code, or `authorizationCode`, with a login code.
    #[serde(default)]
    grant: GrantType,
    /// Whether the link refers to the offer instead of holding it: shorter, and better as a QR code.
    #[serde(default)]
    by_reference: bool,
    /// Whether the link is wanted as a QR code, too (SVG).
    #[serde(default)]
    qr: bool,
}

/// How a credential is replaced.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReissueRequest {
    /// Whether the old credential is revoked first.
    #[serde(default)]
    revoke: bool,
}

/// Which issuances are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct IssuanceQuery {
    /// `valid`, `revoking`, `revoked`, `suspending`, `suspended` or `resuming`.
    #[serde(default)]
    state: String,
    /// The credential type.
    #[serde(default, rename = "type")]
    #[param(rename = "type")]
    credential_type: String,
    /// The template.
    #[serde(default)]
    template: String,
    /// The subject on record.
    #[serde(default)]
    subject_id: String,
    /// The RFC 7638 thumbprint of the holder's key.
    #[serde(default)]
    holder: String,
    /// Issued at or after, Unix seconds.
    #[serde(default)]
    from_s: i64,
    /// Issued before, Unix seconds.
    #[serde(default)]
    until_s: i64,
    /// Where the list goes on: from the `next` link.
    cursor: Option<String>,
    /// At most so many, 1 to 1,000.
    limit: Option<i64>,
}

/// Which subjects are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SubjectQuery {
    /// What their reference begins with.
    #[serde(default)]
    reference: String,
    /// Where the list goes on: from the `next` link.
    cursor: Option<String>,
    /// At most so many, 1 to 1,000.
    limit: Option<i64>,
}

/// Which lines of the audit log are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// About which thing.
    #[serde(default)]
    subject: String,
    /// Where the list goes on: from the `next` link.
    cursor: Option<String>,
    /// At most so many, 1 to 1,000.
    limit: Option<i64>,
}

fn routes() -> OpenApiRouter<Office> {
    let viewers = OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(list_templates))
        .routes(routes!(list_subjects))
        .routes(routes!(list_deferrals))
        .routes(routes!(show_subject))
        .routes(routes!(whoami))
        .routes(routes!(scrape));
    let issuers = OpenApiRouter::new()
        .routes(routes!(create_offer))
        .routes(routes!(reissue))
        .routes(routes!(approve))
        .routes(routes!(refuse))
        .routes(routes!(create_subject))
        .routes(routes!(change_subject))
        .routes(routes!(remove_subject));
    let revokers =
        OpenApiRouter::new().routes(routes!(revoke)).routes(routes!(suspend)).routes(routes!(unsuspend));
    let vc_body = DefaultBodyLimit::max(vc_api::BODY_BYTES_MAX);
    let vc_issuers =
        OpenApiRouter::new().routes(routes!(vc_api::issue)).routes(routes!(vc_api::issue_as)).layer(vc_body);
    let vc_revokers = OpenApiRouter::new().routes(routes!(vc_api::status)).layer(vc_body);
    let admins = OpenApiRouter::new()
        .routes(routes!(create_template))
        .routes(routes!(retire_template))
        .routes(routes!(list_operators))
        .routes(routes!(audit))
        .routes(routes!(activate_key));
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(viewers.route_layer(middleware::from_fn(access::viewer)))
        .merge(vc_issuers.route_layer(middleware::from_fn(access::issuer)))
        .merge(vc_revokers.route_layer(middleware::from_fn(access::revoker)))
        .merge(issuers.route_layer(middleware::from_fn(access::issuer)))
        .merge(revokers.route_layer(middleware::from_fn(access::revoker)))
        .merge(admins.route_layer(middleware::from_fn(access::admin)))
}

/// The API's description, as `specs/openapi/aval-identityd-issuer.json` holds it.
pub fn openapi_json() -> String {
    let mut text = routes().split_for_parts().1.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The routes behind tokens: those of operators, and one that always belongs to an admin unless it is empty.
pub fn router(issuer: Arc<Issuer>, token: &str) -> Router {
    let side = Side {
        name: "admin",
        body_bytes_max: BODY_BYTES_MAX,
        announced_bytes_max: vc_api::BODY_BYTES_MAX,
        requests_max: REQUESTS_MAX,
        timeout: TIMEOUT,
        error: |status| Problem::of_status(status).into_response(),
        metrics: issuer.metrics().clone(),
    };
    let office = Office::new(issuer, token);
    let (router, document) = routes().split_for_parts();
    let described = Arc::new(document.clone());
    let described = axum::routing::get(move || async move { Json((*described).clone()) });
    let router = router
        .route("/openapi.json", described)
        .route_layer(middleware::from_fn_with_state(office.gate().clone(), access::authenticate))
        .with_state(office)
        // The page is the same for everybody and holds nothing; what it calls wants a token.
        .merge(swagger::router(document));
    layers::around(router, &side)
}

/// Offer a credential
///
/// The offer goes to the wallet as a link or QR code; the transaction code goes to its holder another way.
///
/// Role: issuer.
#[utoipa::path(post, path = "/offers", request_body = OfferRequest, responses(
    (status = 200, description = "The offer", body = NewOffer),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "There is no such template or subject", body = Problem),
    (status = 413, description = "The body is too large", body = Problem),
    (status = 415, description = "The body is not application/json", body = Problem),
    (status = 422, description = "No credential can be made of this", body = Problem),
    (status = 502, description = "The ledger's answer cannot be used", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
async fn create_offer(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<NewOffer>, Problem> {
    let request: OfferRequest = read_json(&headers, body, BODY_BYTES_MAX)?;
    let records = office.issuer.records();
    let mut subject = BTreeMap::new();
    let template = match &request.template {
        Some(id) => Some(usable_template(&office, id).await?),
        None => None,
    };
    if let Some(template) = &template {
        subject.extend(claims_of(&template.claims)?);
    }
    if let Some(id) = &request.subject_id {
        let missing = || Problem::not_found("there is no such subject");
        let known = records.subject(id).await?.ok_or_else(missing)?;
        subject.extend(claims_of(&known.claims)?);
    }
    subject.extend(request.subject);
    let order = Order {
        subject,
        template,
        subject_id: request.subject_id,
        replaces: None,
        grant: request.grant,
        by_reference: request.by_reference,
        qr: request.qr,
    };
    office.issuer.offer(order, &operator.name).await.map(Json)
}

async fn usable_template(office: &Office, id: &str) -> Result<TemplateRow, Problem> {
    let missing = || Problem::not_found("there is no such template in use");
    let template =
        office.issuer.records().template(id).await?.filter(|template| template.retired_s.is_none());
    let template = template.ok_or_else(missing)?;
    // Another instance may have made it a moment ago.
    office.issuer.follow_templates().await?;
    Ok(template)
}

fn claims_of(text: &str) -> Result<BTreeMap<String, Strict>, Problem> {
    super::decisions::read_subject(text).map_err(|error| Problem::internal(&error))
}

/// List what was issued
///
/// The newest first. Role: viewer.
#[utoipa::path(get, path = "/issuances", params(IssuanceQuery), responses(
    (status = 200, description = "Issuances; the header `Link` leads to more", body = [Issuance]),
    (status = 400, description = "The query cannot be read", body = Problem),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn list(State(office): State<Office>, query: Query<IssuanceQuery>) -> Result<Response, Problem> {
    let Query(query) = query;
    let page = Page::new(query.limit)?;
    let after = match &query.cursor {
        None => None,
        Some(cursor) => {
            let (time, id) = cursor.split_once('.').ok_or_else(Page::bad_cursor)?;
            Some((time.parse().map_err(|_| Page::bad_cursor())?, id.to_owned()))
        }
    };
    let search = Search {
        state: query.state.clone(),
        credential_type: query.credential_type.clone(),
        template: query.template.clone(),
        subject: query.subject_id.clone(),
        holder: query.holder.clone(),
        from_s: query.from_s,
        until_s: query.until_s,
        after,
    };
    let rows = office.issuer.records().issuances(&search, page.limit).await?;
    let next = page.next(&rows, |row| format!("{}.{}", row.issued_s, row.id)).map(|cursor| {
        let mut link = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("state", &query.state),
            ("type", &query.credential_type),
            ("template", &query.template),
            ("subjectId", &query.subject_id),
            ("holder", &query.holder),
        ] {
            if !value.is_empty() {
                link.append_pair(name, value);
            }
        }
        link.append_pair("fromS", &query.from_s.to_string())
            .append_pair("untilS", &query.until_s.to_string());
        link.append_pair("cursor", &cursor).append_pair("limit", &page.limit.to_string());
        format!("/issuances?{}", link.finish())
    });
    Ok(page.answer(rows.into_iter().map(Issuance::from).collect::<Vec<_>>(), next))
}

/// Show what was issued
///
/// Role: viewer.
#[utoipa::path(get, path = "/issuances/{id}", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "The issuance", body = Issuance),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 404, description = "No credential was issued under this id", body = Problem)))]
async fn show(State(office): State<Office>, Path(id): Path<String>) -> Result<Json<Issuance>, Problem> {
    let missing = || Problem::not_found("no credential was issued under this id");
    office.issuer.records().issuance(&id).await?.map(|row| Json(row.into())).ok_or_else(missing)
}

/// Revoke a credential
///
/// Answers when the revocation is final on the ledger. Doing it again changes nothing. Once begun it goes on, also
/// when the answer is an error that tells to try later or nobody waits for the answer. Role: revoker.
#[utoipa::path(post, path = "/issuances/{id}/revoke", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "It is revoked", body = Issuance),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential was issued under this id", body = Problem),
    (status = 409, description = "The ledger refused", body = Problem),
    (status = 502, description = "The ledger's answer cannot be used", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
async fn revoke(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Issuance>, Problem> {
    office.issuer.change(&id, Change::Revoke, &operator.name).await.map(|row| Json(row.into()))
}

/// Suspend a credential
///
/// Like revoking, and can be undone. Role: revoker.
#[utoipa::path(post, path = "/issuances/{id}/suspend", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "It is suspended", body = Issuance),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential was issued under this id", body = Problem),
    (status = 409, description = "It is revoked, or has no entry for suspension", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
async fn suspend(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Issuance>, Problem> {
    office.issuer.change(&id, Change::Suspend, &operator.name).await.map(|row| Json(row.into()))
}

/// End a suspension
///
/// Role: revoker.
#[utoipa::path(post, path = "/issuances/{id}/unsuspend", params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "It is not suspended any more", body = Issuance),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential was issued under this id", body = Problem),
    (status = 409, description = "It is revoked, or has no entry for suspension", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
async fn unsuspend(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Issuance>, Problem> {
    office.issuer.change(&id, Change::Resume, &operator.name).await.map(|row| Json(row.into()))
}

/// Reissue a credential
///
/// Makes an offer with the same claims; the record of what comes of it names the one that it replaces. Role: issuer; to
/// revoke the old one too: admin.
#[utoipa::path(post, path = "/issuances/{id}/reissue", request_body = ReissueRequest,
    params(("id" = String, Path, description = "The issuance")),
    responses((status = 200, description = "The offer", body = NewOffer),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential was issued under this id, or its template is retired", body = Problem),
    (status = 422, description = "No credential can be made of this any more", body = Problem),
    (status = 503, description = "The ledger cannot be reached or is not done yet", body = Problem)))]
async fn reissue(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<NewOffer>, Problem> {
    let request: ReissueRequest = read_json(&headers, body, BODY_BYTES_MAX)?;
    if request.revoke && operator.role != Role::Admin {
        return Err(
            access::deny(office.gate(), &operator.name, "reissue with revocation", operator.role).await
        );
    }
    let missing = || Problem::not_found("no credential was issued under this id");
    let row = office.issuer.records().issuance(&id).await?.ok_or_else(missing)?;
    let template = match &row.template_id {
        Some(id) => Some(usable_template(&office, id).await?),
        None => None,
    };
    if request.revoke {
        office.issuer.change(&id, Change::Revoke, &operator.name).await?;
    }
    let subject = claims_of(&row.subject)?;
    let (subject_id, replaces) = (row.subject_id, Some(id));
    let order = Order { subject, template, subject_id, replaces, ..Order::default() };
    office.issuer.offer(order, &operator.name).await.map(Json)
}

/// List credentials that wait for approval
///
/// The oldest first, at most 1,000. Role: viewer.
#[utoipa::path(get, path = "/deferrals", responses(
    (status = 200, description = "What waits", body = [Deferral]),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn list_deferrals(State(office): State<Office>) -> Result<Json<Vec<Deferral>>, Problem> {
    let rows = office.issuer.records().deferrals("waiting", DEFERRALS_MAX).await?;
    Ok(Json(rows.into_iter().map(Deferral::from).collect()))
}

/// Approve a credential that waits
///
/// The wallet gets it when it asks again. Role: issuer.
#[utoipa::path(post, path = "/deferrals/{id}/approve", params(("id" = String, Path, description = "The deferral")),
    responses((status = 204, description = "It is approved"),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential waits under this id", body = Problem)))]
async fn approve(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    office.issuer.decide(&id, true, &operator.name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Refuse a credential that waits
///
/// The wallet is told when it asks again. Role: issuer.
#[utoipa::path(post, path = "/deferrals/{id}/refuse", params(("id" = String, Path, description = "The deferral")),
    responses((status = 204, description = "It is refused"),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "No credential waits under this id", body = Problem)))]
async fn refuse(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    office.issuer.decide(&id, false, &operator.name).await.map(|()| StatusCode::NO_CONTENT)
}

/// List templates
///
/// Role: viewer.
#[utoipa::path(get, path = "/templates", responses(
    (status = 200, description = "All templates, also retired ones", body = [Template]),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn list_templates(State(office): State<Office>) -> Result<Json<Vec<Template>>, Problem> {
    let rows = office.issuer.records().templates(TEMPLATES_MAX).await?;
    rows.into_iter().map(Template::of).collect::<Result<_, _>>().map(Json)
}

/// Make a template
///
/// The issuer has to be accredited for its type, and a schema has to be on the ledger. Role: admin.
#[utoipa::path(post, path = "/templates", request_body = NewTemplate, responses(
    (status = 201, description = "The template", body = Template),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 409, description = "There is one of this id", body = Problem),
    (status = 422, description = "Nothing could be issued of it", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
async fn create_template(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    let request: NewTemplate = read_json(&headers, body, BODY_BYTES_MAX)?;
    if !is_registry_name(&request.id) {
        return Err(Problem::invalid("a template's id is 1 to 32 of a-z, 0-9 and -"));
    }
    if !is_name(&request.credential_type) {
        return Err(Problem::invalid("credentialType is not a name of a credential type"));
    }
    if request.display_name.is_empty() || request.display_name.len() > TEXT_LENGTH_MAX {
        return Err(Problem::invalid(format!("displayName has 1 to {TEXT_LENGTH_MAX} bytes")));
    }
    if !(1..=VALIDITY_DAYS_MAX).contains(&request.validity_days) {
        return Err(Problem::invalid(format!("validityDays is 1 to {VALIDITY_DAYS_MAX}")));
    }
    if request.format.as_deref().is_some_and(|format| Format::from_name(format).is_none()) {
        let names = Format::ALL.map(Format::name).join(", ");
        return Err(Problem::invalid(format!("format is one of {names}")));
    }
    let row = TemplateRow {
        id: request.id,
        credential_type: request.credential_type,
        display_name: request.display_name,
        format: request.format.unwrap_or_else(|| Format::VcSdJwt.name().to_owned()),
        validity_days: request.validity_days,
        schema_id: request.schema_id,
        suspendable: request.suspendable,
        options: serde_json::to_string(&request.options).map_err(|error| Problem::internal(&error))?,
        claims: serde_json::to_string(&request.claims).map_err(|error| Problem::internal(&error))?,
        created_s: now_s(),
        retired_s: None,
    };
    office.issuer.check_template(&row).await?;
    let entry = Entry::of(&operator.name, "template.created", &row.id, row.created_s);
    if !office.issuer.records().add_template(&row, &entry).await? {
        return Err(exists("there is a template of this id, perhaps a retired one"));
    }
    office.issuer.follow_templates().await?;
    Ok((StatusCode::CREATED, Json(Template::of(row)?)))
}

fn exists(detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "request.exists", "It exists already", detail)
}

/// Retire a template
///
/// Nothing is offered of it any more; offers that are out are still redeemed. Role: admin.
#[utoipa::path(post, path = "/templates/{id}/retire", params(("id" = String, Path, description = "The template")),
    responses((status = 204, description = "It is retired"),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "There is no such template in use", body = Problem)))]
async fn retire_template(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let entry = Entry::of(&operator.name, "template.retired", &id, now_s());
    match office.issuer.records().retire_template(&id, &entry).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no such template in use")),
    }
}

/// List subjects
///
/// By reference, without their claims. Role: viewer.
#[utoipa::path(get, path = "/subjects", params(SubjectQuery), responses(
    (status = 200, description = "Subjects; the header `Link` leads to more", body = [Subject]),
    (status = 400, description = "The query cannot be read", body = Problem),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn list_subjects(
    State(office): State<Office>,
    query: Query<SubjectQuery>,
) -> Result<Response, Problem> {
    let Query(query) = query;
    let page = Page::new(query.limit)?;
    let after = query.cursor.unwrap_or_default();
    let rows = office.issuer.records().subjects(&query.reference, &after, page.limit).await?;
    let next = page.next(&rows, |row| row.reference.clone()).map(|cursor| {
        let mut link = url::form_urlencoded::Serializer::new(String::new());
        link.append_pair("reference", &query.reference).append_pair("cursor", &cursor);
        link.append_pair("limit", &page.limit.to_string());
        format!("/subjects?{}", link.finish())
    });
    Ok(page.answer(rows.into_iter().map(Subject::without_claims).collect::<Vec<_>>(), next))
}

/// Show a subject with their claims
///
/// Role: viewer.
#[utoipa::path(get, path = "/subjects/{id}", params(("id" = String, Path, description = "The subject")),
    responses((status = 200, description = "The subject", body = Subject),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 404, description = "There is no such subject", body = Problem)))]
async fn show_subject(
    State(office): State<Office>,
    Path(id): Path<String>,
) -> Result<Json<Subject>, Problem> {
    let missing = || Problem::not_found("there is no such subject");
    let row = office.issuer.records().subject(&id).await?.ok_or_else(missing)?;
    let claims = claims_of(&row.claims)?;
    Ok(Json(Subject { claims: Some(claims), ..Subject::without_claims(row) }))
}

/// Add a subject
///
/// Role: issuer.
#[utoipa::path(post, path = "/subjects", request_body = NewSubject, responses(
    (status = 201, description = "The subject", body = Subject),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 409, description = "There is one of this reference", body = Problem),
    (status = 422, description = "The reference is empty or too long", body = Problem)))]
async fn create_subject(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Subject>), Problem> {
    let request: NewSubject = read_json(&headers, body, BODY_BYTES_MAX)?;
    let fits = (1..=TEXT_LENGTH_MAX).contains(&request.reference.len());
    if !fits || request.reference.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("reference has 1 to {TEXT_LENGTH_MAX} visible bytes")));
    }
    let now_s = now_s();
    let row = SubjectRow {
        id: Uuid::new_v4().to_string(),
        reference: request.reference,
        claims: serde_json::to_string(&request.claims).map_err(|error| Problem::internal(&error))?,
        created_s: now_s,
        changed_s: now_s,
    };
    let entry = Entry::of(&operator.name, "subject.created", &row.id, now_s);
    if !office.issuer.records().add_subject(&row, &entry).await? {
        return Err(exists("there is a subject of this reference"));
    }
    Ok((StatusCode::CREATED, Json(Subject::without_claims(row))))
}

/// Replace a subject's claims
///
/// What was issued stays as it is. Role: issuer.
#[utoipa::path(put, path = "/subjects/{id}", request_body = Claims,
    params(("id" = String, Path, description = "The subject")),
    responses((status = 204, description = "They are replaced"),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "There is no such subject", body = Problem)))]
async fn change_subject(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let request: Claims = read_json(&headers, body, BODY_BYTES_MAX)?;
    let claims = serde_json::to_string(&request.claims).map_err(|error| Problem::internal(&error))?;
    let entry = Entry::of(&operator.name, "subject.changed", &id, now_s());
    match office.issuer.records().change_subject(&id, &claims, &entry).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no such subject")),
    }
}

/// Remove a subject
///
/// Their claims are deleted; what was issued to them stays on record. Role: issuer.
#[utoipa::path(delete, path = "/subjects/{id}", params(("id" = String, Path, description = "The subject")),
    responses((status = 204, description = "They are removed"),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "There is no such subject", body = Problem)))]
async fn remove_subject(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let entry = Entry::of(&operator.name, "subject.removed", &id, now_s());
    match office.issuer.records().remove_subject(&id, &entry).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("there is no such subject")),
    }
}

/// List operators
///
/// Their tokens are not kept. Operators are made and removed by the command line. Role: admin.
#[utoipa::path(get, path = "/operators", responses(
    (status = 200, description = "Operators by name", body = [Who]),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem)))]
async fn list_operators(State(office): State<Office>) -> Result<Json<Vec<Who>>, Problem> {
    let rows = office.issuer.records().operators().await?;
    Ok(Json(rows.into_iter().map(|row| Who { name: row.name, role: row.role }).collect()))
}

/// Show whose token this is
#[utoipa::path(get, path = "/operators/me", responses(
    (status = 200, description = "The operator", body = Who),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn whoami(Extension(operator): Extension<Operator>) -> Json<Who> {
    Json(Who { name: operator.name.to_string(), role: operator.role })
}

/// List what was done
///
/// The newest first; also what was denied. Role: admin.
#[utoipa::path(get, path = "/audit", params(AuditQuery), responses(
    (status = 200, description = "Lines of the log; the header `Link` leads to more", body = [AuditLine]),
    (status = 400, description = "The query cannot be read", body = Problem),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem)))]
async fn audit(State(office): State<Office>, query: Query<AuditQuery>) -> Result<Response, Problem> {
    let Query(query) = query;
    let page = Page::new(query.limit)?;
    let before = match &query.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Page::bad_cursor())?,
        None => i64::MAX,
    };
    let rows = office.issuer.records().audit(&query.subject, before, page.limit).await?;
    let next = page.next(&rows, |row| row.sequence.to_string()).map(|cursor| {
        let mut link = url::form_urlencoded::Serializer::new(String::new());
        link.append_pair("subject", &query.subject).append_pair("cursor", &cursor);
        link.append_pair("limit", &page.limit.to_string());
        format!("/audit?{}", link.finish())
    });
    Ok(page.answer(rows.into_iter().map(AuditLine::from).collect::<Vec<_>>(), next))
}

/// Sign with another key
///
/// The key is in the key file (`key add`) and in the issuer's DID document. All instances follow. Role: admin.
#[utoipa::path(post, path = "/keys/{name}/activate",
    params(("name" = String, Path, description = "The verification method without its #")),
    responses((status = 200, description = "It signs from now on", body = Activated),
    (status = 401, description = "The token is missing or wrong", body = Problem),
    (status = 403, description = "The operator's role does not allow it", body = Problem),
    (status = 404, description = "The key file has no such key", body = Problem),
    (status = 500, description = "The ledger does not let it sign, or the key file cannot be read", body = Problem),
    (status = 503, description = "The ledger cannot be reached", body = Problem)))]
async fn activate_key(
    State(office): State<Office>,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
) -> Result<Json<Activated>, Problem> {
    let key = office.issuer.activate_key(&format!("#{name}"), &operator.name).await?;
    Ok(Json(Activated { key_id: key.id().to_owned() }))
}

/// Metrics in the Prometheus text format
///
/// Role: viewer.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Counters and gauges", content_type = "application/openmetrics-text"),
    (status = 401, description = "The token is missing or wrong", body = Problem)))]
async fn scrape(State(office): State<Office>) -> Response {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], office.issuer.metrics().text()).into_response()
}
