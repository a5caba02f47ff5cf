//! A running service asked by its own command line, over the back office API.

use crate::fault::Fault;
use std::net::SocketAddr;
use std::time::Duration;

/// Longer than a service takes to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(100);

/// A request.
#[derive(Debug)]
pub enum Call {
    /// Reads.
    Get,
    /// Changes, with a JSON body.
    Post(serde_json::Value),
}

/// Asks the service that listens on an address with a token; gives the body of a good answer.
pub fn ask(address: SocketAddr, path: &str, call: &Call, token: &str) -> Result<String, Fault> {
    let url = format!("http://{address}{path}");
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build(),
    );
    let authorization = format!("Bearer {token}");
    let answer = match call {
        Call::Get => agent.get(&url).header("authorization", &authorization).call(),
        Call::Post(body) => {
            let request = agent.post(&url).header("authorization", &authorization);
            request.header("content-type", "application/json").send(body.to_string())
        }
    };
    let unreachable = |error: ureq::Error| {
        Fault::try_later(format!("the service at {address} cannot be reached ({error}): is it started?"))
    };
    let mut answer = answer.map_err(unreachable)?;
    let text = answer.body_mut().read_to_string().map_err(unreachable)?;
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        return Ok(text);
    }
    Err(refusal(status, &text))
}

/// The service's problem document as a fault.
fn refusal(status: u16, text: &str) -> Fault {
    let problem: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| problem.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let sentence = match (field("detail"), field("code")) {
        ("", _) => format!("the service answered with status {status}"),
        (detail, "") => detail.to_owned(),
        (detail, code) => format!("{detail} ({code})"),
    };
    match status {
        401 => Fault::locked(sentence),
        404 => Fault::not_found(sentence),
        408 | 429 | 503 => Fault::try_later(sentence),
        _ => Fault::failed(sentence),
    }
}
