//! What a person sees: the page that asks an offer's user to log in and to agree, and offers as pictures.
//!
//! Pages are without scripts and load nothing. Every text that came from outside is escaped.

use crate::problem::Problem;
use aval_openid::oauth::authorization::Pushed;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qrcode::{Color, QrCode};
use std::fmt::Write as _;

/// Light modules around a QR code (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// Styles in the page itself are all that it needs. `form-action` is left open: browsers apply it to the redirection to
/// the wallet, too.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1rem/1.5 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}\
                     input{font:inherit;padding:.4rem;width:16rem;letter-spacing:.1em}\
                     button{font:inherit;padding:.4rem 1rem;margin:1rem .5rem 0 0}.wrong{color:#a00}";

/// A link as a QR code, SVG.
pub fn qr_svg(link: &str) -> Result<String, Problem> {
    let code = QrCode::new(link.as_bytes())
        .map_err(|_| Problem::invalid("the offer is too long for a QR code: offer it by reference"))?;
    let (width, side) = (code.width(), code.width() + 2 * QUIET_ZONE);
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + QUIET_ZONE, at / width + QUIET_ZONE);
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>\n"
    ))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Credential</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style><main>{body}</main></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (status, headers, html).into_response();
    response.extensions_mut().insert(crate::layers::InForm);
    response
}

/// The page that asks for the login code and for consent. `wrong` after a wrong code.
pub fn login(pushed: &Pushed, request_uri: &str, names: &[String], action: &str, wrong: bool) -> Response {
    let names: String = names.iter().map(|name| format!("<li>{}</li>", escaped(name))).collect();
    let to = url::Url::parse(&pushed.redirect_uri).ok();
    let to = to.map_or_else(String::new, |url| match url.host_str() {
        Some(host) if url.scheme().starts_with("http") => host.to_owned(),
        _ => format!("the app of {}:", url.scheme()),
    });
    let note = if wrong { "<p class=\"wrong\">This login code is not known.</p>" } else { "" };
    let body = format!(
        "<h1>Receive a credential</h1><p>A wallet asks for:</p><ul>{names}</ul>\
         <p>It will go to <strong>{}</strong>. Enter the login code that the issuer gave you if you started this \
         yourself and agree.</p>{note}<form method=\"post\" action=\"{}\">\
         <input type=\"hidden\" name=\"client_id\" value=\"{}\">\
         <input type=\"hidden\" name=\"request_uri\" value=\"{}\">\
         <label>Login code <input name=\"login_code\" autocomplete=\"one-time-code\" autocapitalize=\"characters\" \
         spellcheck=\"false\" autofocus></label><br>\
         <button name=\"decision\" value=\"agree\">Agree</button>\
         <button name=\"decision\" value=\"deny\">Deny</button></form>",
        escaped(&to),
        escaped(action),
        escaped(&pushed.client_id),
        escaped(request_uri),
    );
    page(if wrong { StatusCode::FORBIDDEN } else { StatusCode::OK }, &body)
}

/// The page for a request that cannot go on: nobody is sent anywhere. `error` is the specification's code.
pub fn refused(status: u16, error: &str, description: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = format!(
        "<h1>This cannot go on</h1><p>{}</p><p><code>{}</code></p>",
        escaped(description),
        escaped(error)
    );
    page(status, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_square_picture_and_one_that_is_too_long_none() {
        let svg =
            qr_svg("openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example").unwrap();
        assert!(svg.starts_with("<svg") && svg.matches("h1v1h-1z").count() > 200, "{svg}");
        assert!(qr_svg(&"a".repeat(5_000)).is_err());
    }

    #[test]
    fn what_came_from_outside_is_text_in_a_page() {
        assert_eq!(escaped("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
