//! The HTTP(S) binding of DID Resolution 1.0 without the HTTP: [`respond`] takes the parts of a request and gives the
//! parts of an answer. A ledger node answers in the same shapes (specs/did-method.md, section 8).
//!
//! | `Accept` | body |
//! |---|---|
//! | none, `application/did-resolution`, `application/json` | the resolution result; for `did:aval` with `proof` |
//! | `application/did`, `application/did+ld+json`, `application/did+json` | the DID document alone |
//! | `application/did-url-dereferencing` | the dereferencing result, with a member `proof` |
//! | `text/uri-list` | 303 to the selected service endpoint |
//!
//! Whatever has no document (an error, a deactivated DID) is answered as a result, whichever representation was asked
//! for. Beyond the specification: an entry of the ledger, named by a path, is JSON.

use aval_did::resolution::{Accept, ResolutionError, ResolutionProblem};
use serde_json::{Map, Value, json};

use crate::dereference::{self, Content, Missing};
use crate::request::{Request, Target};
use crate::{ResolveError, Resolved, Resolver};

/// What a client wants to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A complete resolution result, under this media type.
    Result(&'static str),
    /// The document or resource alone, under this media type.
    Content(&'static str),
    /// A complete dereferencing result.
    Dereferencing,
    /// The URL of a service.
    UriList,
}

const RESULT: &str = "application/did-resolution";
const DEREFERENCING: &str = "application/did-url-dereferencing";
const DOCUMENT: &str = "application/did";
/// A resolution result for a DID, the resource itself for a DID URL.
const PLAIN_JSON: &str = "application/json";

/// The first stands for a wildcard and for no header at all.
const OFFERS: &[(&str, Option<&str>, Form)] = &[
    (RESULT, None, Form::Result(RESULT)),
    (DOCUMENT, None, Form::Content(DOCUMENT)),
    ("application/did+ld+json", None, Form::Content("application/did+ld+json")),
    ("application/did+json", None, Form::Content("application/did+json")),
    (DEREFERENCING, None, Form::Dereferencing),
    ("text/uri-list", None, Form::UriList),
    (PLAIN_JSON, None, Form::Result(PLAIN_JSON)),
    (
        "application/ld+json",
        Some("https://w3id.org/did-resolution"),
        Form::Result("application/ld+json;profile=\"https://w3id.org/did-resolution\""),
    ),
];

/// The parts of a request that matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'a> {
    /// The path, as it was sent: `/1.0/identifiers/` and what follows.
    pub path: &'a str,
    /// The query, as it was sent, without `?`.
    pub query: Option<&'a str>,
    /// The values of the header `Accept`.
    pub accept: &'a [&'a str],
    /// The body of a POST: a JSON object of options.
    pub body: Option<&'a [u8]>,
}

/// The parts of an answer. Every answer varies with `Accept`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; none where there is no body.
    pub media_type: Option<&'static str>,
    /// `Location` of a redirection.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// The name of the error in it, for counting: a word of the vocabulary, or the code of what could not be had.
    pub error: Option<String>,
}

/// Answers a request. It blocks for as long as ledger and web take.
pub fn respond(resolver: &Resolver, question: &Question<'_>) -> Answer {
    let form = Accept::read(question.accept.iter().copied()).choose(OFFERS).copied();
    let request = match Request::read(question.path, question.query, question.body) {
        Ok(request) => request,
        Err(error) => return refuse(&error, form),
    };
    let Some(form) = form else {
        return refuse(&ResolveError::refused(ResolutionError::RepresentationNotSupported), form);
    };
    if let Target::Path(path) = &request.target {
        return entry(resolver, &request, path, form);
    }
    let resolved = match resolver.resolve(&request.did, &request.options) {
        Ok(resolved) => resolved,
        Err(error) => return refuse(&error, Some(form)),
    };
    if request.target != Target::Document || matches!(form, Form::Dereferencing | Form::UriList) {
        let form = if form == Form::Result(PLAIN_JSON) { Form::Content(PLAIN_JSON) } else { form };
        return inside(&resolved, &request, form);
    }
    let status = if resolved.is_deactivated() { 410 } else { 200 };
    match (form, &resolved.document) {
        (Form::Content(media_type), Some(document)) => write(status, media_type, document),
        (Form::Result(media_type), _) => write(status, media_type, &result(&resolved)),
        _ => write(status, RESULT, &result(&resolved)),
    }
}

fn result(resolved: &Resolved) -> Value {
    let metadata = match &resolved.document {
        Some(_) => json!({"contentType": DOCUMENT}),
        None => json!({}),
    };
    let mut members = Map::new();
    members.insert("didDocument".to_owned(), resolved.document.clone().unwrap_or_default());
    members.insert("didResolutionMetadata".to_owned(), metadata);
    members.insert("didDocumentMetadata".to_owned(), Value::Object(resolved.metadata.clone()));
    if let Some(proof) = &resolved.proof {
        members.insert("proof".to_owned(), proof.clone());
    }
    Value::Object(members)
}

/// The answer to a request for something inside of a document.
fn inside(resolved: &Resolved, request: &Request, form: Form) -> Answer {
    let metadata = Value::Object(resolved.metadata.clone());
    let proof = resolved.proof.as_ref();
    if resolved.is_deactivated() {
        return write(410, DEREFERENCING, &dereferenced(json!({}), Value::Null, metadata, proof));
    }
    let with_reference = matches!(&request.target, Target::Services { relative_ref: Some(_), .. });
    let wants_url = form == Form::UriList || (with_reference && !matches!(form, Form::Content(_)));
    match dereference::look_into(resolved, &request.did, &request.target, wants_url) {
        Ok(Content::Url(location)) => {
            Answer { status: 303, media_type: None, location: Some(location), body: Vec::new(), error: None }
        }
        Ok(Content::Document(content) | Content::Entry(content)) => match form {
            Form::Content(media_type) => write(200, media_type, &content),
            _ => {
                let about = json!({"contentType": DOCUMENT});
                write(200, DEREFERENCING, &dereferenced(about, content, metadata, proof))
            }
        },
        Err(Missing::Resolution(error)) => refuse_with(&error, Some(form), proof),
        Err(missing) => dereferencing_error(missing.http_status(), &missing.problem(), proof),
    }
}

/// The answer to a request for an entry of the ledger.
fn entry(resolver: &Resolver, request: &Request, path: &str, form: Form) -> Answer {
    if !request.did.starts_with(aval_did::syntax::PREFIX) {
        // Of the other methods none gives a path a meaning here; that the DID resolves says nothing of it.
        return refuse(&ResolveError::refused(ResolutionError::NotFound), Some(form));
    }
    if request.options.version != crate::Version::Latest {
        let error = ResolutionError::FeatureNotSupported("past entries of the ledger");
        return refuse(&ResolveError::refused(error), Some(form));
    }
    match resolver.ledger_resource(&request.did, path) {
        Ok(found) => match form {
            Form::Result(PLAIN_JSON) => write(200, PLAIN_JSON, &found.content),
            Form::Content(_) | Form::UriList => {
                refuse(&ResolveError::refused(ResolutionError::RepresentationNotSupported), Some(form))
            }
            _ => {
                let about = json!({"contentType": PLAIN_JSON});
                write(200, DEREFERENCING, &dereferenced(about, found.content, json!({}), Some(&found.proof)))
            }
        },
        Err(error) => refuse(&error, Some(form)),
    }
}

fn dereferenced(about: Value, content: Value, metadata: Value, proof: Option<&Value>) -> Value {
    let mut body =
        json!({"dereferencingMetadata": about, "contentStream": content, "contentMetadata": metadata});
    if let (Some(proof), Some(members)) = (proof, body.as_object_mut()) {
        members.insert("proof".to_owned(), proof.clone());
    }
    body
}

fn dereferencing_error(status: u16, problem: &ResolutionProblem, proof: Option<&Value>) -> Answer {
    let body = dereferenced(json!({ "error": problem }), Value::Null, json!({}), proof);
    let error = problem.problem_type.rsplit('#').next().map(str::to_owned);
    Answer { error, ..write(status, DEREFERENCING, &body) }
}

fn refuse(error: &ResolveError, form: Option<Form>) -> Answer {
    refuse_with(error, form, error.proof())
}

/// An error in the form of its specification.
fn refuse_with(error: &ResolveError, form: Option<Form>, proof: Option<&Value>) -> Answer {
    let status = error.kind().http_status();
    let mut body = json!({
        "didDocument": null,
        "didResolutionMetadata": {"error": error.problem()},
        "didDocumentMetadata": {},
    });
    if let (Some(proof), Some(members)) = (proof, body.as_object_mut()) {
        members.insert("proof".to_owned(), proof.clone());
    }
    let answer = match form {
        Some(Form::Dereferencing) => dereferencing_error(status, &error.problem(), proof),
        Some(Form::Result(media_type)) => write(status, media_type, &body),
        _ => write(status, RESULT, &body),
    };
    Answer { error: Some(error.code().to_owned()), ..answer }
}

fn write(status: u16, media_type: &'static str, body: &Value) -> Answer {
    // A value of JSON always has a text.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Answer { status, media_type: Some(media_type), location: None, body, error: None }
}
