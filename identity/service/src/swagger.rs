//! The Swagger page of an interface, out of this program: nothing is loaded from elsewhere.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// What the page needs beyond what every other answer gets: its own scripts, styles and pictures, and calls of the
/// interface that it stands beside.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

/// The page under `/docs/`. It reads the description from `/docs/openapi.json`.
pub fn router(document: OpenApi) -> Router {
    let page: Router = SwaggerUi::new("/docs").url("/docs/openapi.json", document).into();
    page.layer(map_response(async |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        );
        response
    }))
}
