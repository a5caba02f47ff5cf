//! `aval present`: answers a verifier that asks for credentials (OpenID4VP 1.0).
//!
//! Who asks is found out before anything is shown: a DID by the ledger or by itself, a certificate by the roots that
//! the user trusts. The user sees who it is, which claims it gets and which it does not, and agrees; only then
//! something leaves the vault, bound to this one request.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aval_codec::b64u;
use aval_credential::sd_jwt::{DC_TYPE, TYPE};
use aval_credential::{Limits, Presentation};
use aval_did::PublicKey;
use aval_did::Relationship;
use aval_did::holder::HolderDid;
use aval_openid::vp::dcql::{Candidate, Query, Selected};
use aval_openid::vp::sd_jwt::{self, Binding};
use aval_openid::vp::tree::Place;
use aval_openid::vp::{Identity, Invitation, Node, Unverified, Verified, Wanted};
use aval_openid::x509::Anchors;
use aval_openid::{OpenIdError, UrlPolicy};
use serde_json::{Value, json};
use ureq::tls::{PemItem, parse_pem};

use crate::app::{App, now_s, random};
use crate::cli::PresentArgs;
use crate::error::WalletError;
use crate::home;
use crate::keys::KeyRing;
use crate::output::clean;
use crate::receive::http::Http;
use crate::receive::select;
use crate::vault::{Contents, StoredCredential};

/// A credential of the vault, read for a question.
struct Held<'a> {
    stored: &'a StoredCredential,
    /// `vc+sd-jwt` or `dc+sd-jwt`.
    format: String,
    types: Vec<String>,
    claims: Node,
}

/// What is to be shown in answer to one part of a question.
struct Shown<'a> {
    /// The part of the question.
    id: String,
    held: &'a Held<'a>,
    /// Which of the credential's disclosures.
    disclosures: BTreeSet<usize>,
    /// The names of the claims that were asked for.
    claims: Vec<String>,
}

pub(crate) fn run(app: &App, arguments: &PresentArgs) -> Result<(), WalletError> {
    let vault = app.vault()?;
    let http = Http::new();
    let request = open(app, &http, arguments)?;
    // This wallet shows no kind of transaction to its user, so it agrees to none.
    request.check_transaction_types(&[]).map_err(verifier)?;
    let contents = vault.read()?;
    let held = held(&contents);
    let shown = match choose(&request.request().query, &held, &arguments.credentials) {
        Ok(shown) => shown,
        Err(error) => {
            decline(&http, &request, "access_denied");
            return Err(error);
        }
    };
    describe(app, &request, &shown, arguments.yes);
    if let Err(refusal) = app.output.confirm("Show this to the verifier?", arguments.yes) {
        decline(&http, &request, "access_denied");
        return Err(refusal);
    }
    let ring = KeyRing::new(&contents.entropy)?;
    let (nonce, audience) = request.binding();
    let binding = Binding { nonce, audience: &audience, issued_at_s: now_s(), transaction_data: &[] };
    let mut answer: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in &shown {
        let key = ring.private(&one.held.stored.holder_key)?;
        let presentation = sd_jwt::present(&one.held.stored.sd_jwt, &one.disclosures, &key, &binding);
        answer.entry(one.id.clone()).or_default().push(Value::String(presentation.map_err(verifier)?));
    }
    let reply = http.send(&request.respond(answer).map_err(verifier)?)?;
    let answered = request.on_response(&reply.response()).map_err(verifier)?;
    report(app, &audience, &shown, answered.redirect_uri.as_deref())
}

/// The verifier's request, from a verifier that was recognized.
fn open(app: &App, http: &Http, arguments: &PresentArgs) -> Result<Verified, WalletError> {
    // Local networks of developers are spoken to without TLS; everything else must be https.
    let reference = match Invitation::parse(&arguments.link, UrlPolicy::LOOPBACK).map_err(verifier)? {
        Invitation::Value(request) => return Ok(*request),
        Invitation::Reference(reference) => reference,
    };
    let nonce = b64u::encode(random::<16>()?);
    let answer = http.send(&reference.request(&nonce))?;
    let unverified = reference.on_response(&answer.response(), &nonce, now_s()).map_err(verifier)?;
    recognize(app, unverified, arguments.trusted_roots.as_deref())
}

fn recognize(app: &App, unverified: Unverified, roots: Option<&Path>) -> Result<Verified, WalletError> {
    let (did, key_id) = match unverified.wanted().map_err(verifier)? {
        Wanted::Certificates => {
            let anchors = roots.map(anchors).transpose()?.unwrap_or_default();
            return unverified.verify_with_certificates(&anchors, now_s()).map_err(verifier);
        }
        Wanted::Did { did, key_id } => (did.to_owned(), key_id.to_owned()),
    };
    let key = authentication_key(app, &did, &key_id)?.ok_or_else(|| {
        verifier(OpenIdError::Untrusted(format!("{did} has no key {key_id} to authenticate with")))
    })?;
    unverified.verify_with_key(&key).map_err(verifier)
}

/// The key by which a verifier authenticates: proven by the ledger, or in the DID itself.
fn authentication_key(app: &App, did: &str, key_id: &str) -> Result<Option<PublicKey>, WalletError> {
    if let Ok(did) = did.parse() {
        let record = app.connection()?.ledger()?.did_record(&did)?.value;
        return Ok(
            record.and_then(|record| record.verification_key(key_id, Relationship::Authentication).ok())
        );
    }
    match HolderDid::parse(did) {
        Ok(holder) if holder.key_id() == key_id => Ok(Some(*holder.public_key())),
        Ok(_) => Ok(None),
        Err(_) => Err(verifier(OpenIdError::Unsupported("a verifier with a DID of this method".to_owned()))),
    }
}

fn anchors(path: &Path) -> Result<Anchors, WalletError> {
    let unreadable = || WalletError::Usage(format!("{} holds no certificates as PEM", path.display()));
    let mut roots = Vec::new();
    for item in parse_pem(&home::read_input(path)?) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate.der().to_vec()),
            Ok(_) => {}
            Err(_) => return Err(unreadable()),
        }
    }
    if roots.is_empty() {
        return Err(unreadable());
    }
    Anchors::new(roots).map_err(|_| unreadable())
}

/// The credentials that are neither expired nor unreadable; the newest first.
fn held(contents: &Contents) -> Vec<Held<'_>> {
    let read = |stored: &'_ StoredCredential| -> Option<(String, Vec<String>, Node)> {
        let sd_jwt = stored.sd_jwt.as_str();
        let presentation = Presentation::parse(sd_jwt.as_bytes(), &Limits::EDGE).ok()?;
        let is_current = presentation.valid_until_s().is_none_or(|until| now_s() < until);
        let claims = Node::of_sd_jwt(sd_jwt).ok().filter(|_| is_current)?;
        let format = presentation.sd_jwt().media_type().unwrap_or(TYPE).to_owned();
        Some((format, presentation.types().to_vec(), claims))
    };
    let newest = contents.credentials.iter().rev();
    let held = |stored| read(stored).map(|(format, types, claims)| Held { stored, format, types, claims });
    newest.filter_map(held).collect()
}

/// Of what answers the question, what is to be shown: the verifier's first choice of each set that it requires.
fn choose<'a>(query: &Query, held: &'a [Held<'a>], named: &[String]) -> Result<Vec<Shown<'a>>, WalletError> {
    let usable: Vec<&Held<'_>> = held
        .iter()
        .filter(|one| named.is_empty() || named.iter().any(|name| one.stored.id.starts_with(name.as_str())))
        .collect();
    let candidates: Vec<Candidate<'_>> = usable
        .iter()
        .map(|one| Candidate {
            format: &one.format,
            vct: one.types.first().filter(|_| one.format == DC_TYPE).map(String::as_str),
            types: &one.types,
            claims: &one.claims,
            authorities: &[],
            holder_bound: true,
        })
        .collect();
    let evaluation = query.evaluate(&candidates).map_err(|unsatisfied| {
        WalletError::NotFound(format!("{}: see `aval credential list`", clean(&unsatisfied.to_string())))
    })?;
    let mut shown = Vec::new();
    let mut ids = BTreeSet::new();
    for choice in evaluation.choices.iter().filter(|choice| choice.required) {
        ids.extend(choice.options.first().into_iter().flatten());
    }
    for id in ids {
        let answers = evaluation.answers.get(id).map(Vec::as_slice).unwrap_or_default();
        let only = match answers {
            [only] => only,
            [] => return Err(WalletError::NotFound(format!("nothing in the vault answers {}", clean(id)))),
            [_, _, ..] => {
                let fitting: Vec<&str> = answers
                    .iter()
                    .filter_map(|one| usable.get(one.candidate))
                    .map(|one| one.stored.id.as_str())
                    .collect();
                return Err(WalletError::Usage(format!(
                    "several credentials fit: choose with --credential: {}",
                    fitting.join(", ")
                )));
            }
        };
        shown.extend(usable.get(only.candidate).map(|held| shown_of(id, held, only)));
    }
    Ok(shown)
}

fn shown_of<'a>(id: &str, held: &'a Held<'a>, selected: &Selected) -> Shown<'a> {
    let name = |place: &Place| match place {
        Place::Name(name) => name.clone(),
        Place::Index(index) => index.to_string(),
    };
    Shown {
        id: id.to_owned(),
        held,
        disclosures: held.claims.disclosures(&selected.claims),
        claims: selected
            .claims
            .iter()
            .map(|places| places.iter().map(name).collect::<Vec<_>>().join("."))
            .collect(),
    }
}

fn describe(app: &App, request: &Verified, shown: &[Shown<'_>], yes: bool) {
    let asks = request.request();
    app.output.ask_about(yes, |text| {
        text.title("A verifier asks for credentials");
        match request.identity() {
            Identity::Did(did) => text.field("verifier", did),
            Identity::Certificate(certified) => text.field("verifier", &certified.dns_names.join(", ")),
            Identity::Address => text.field("verifier", "not known: whoever is at the address below"),
        };
        if let Some(name) = asks.client_metadata.get("client_name").and_then(aval_codec::Json::as_str) {
            text.field("calls itself", name);
        }
        text.field("answer goes to", &asks.response_uri);
        for one in shown {
            text.title(&format!("Credential {}", one.held.stored.id));
            if let Ok(presentation) = Presentation::parse(one.held.stored.sd_jwt.as_bytes(), &Limits::EDGE) {
                select::describe(text, &presentation);
                let hidden: Vec<&str> = presentation
                    .sd_jwt()
                    .disclosures()
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| !one.disclosures.contains(index))
                    .filter_map(|(_, disclosure)| disclosure.name())
                    .collect();
                text.field("kept back", &hidden.join(", "));
            }
            text.field("it learns", &one.claims.join(", "));
        }
    });
}

/// Tells the verifier that there will be no answer. Whether it hears that changes nothing here.
fn decline(http: &Http, request: &Verified, error: &str) {
    if let Ok(refusal) = request.refuse(error) {
        let _ = http.send(&refusal);
    }
}

fn report(
    app: &App,
    audience: &str,
    shown: &[Shown<'_>],
    redirect_uri: Option<&str>,
) -> Result<(), WalletError> {
    let presented: Vec<Value> = shown
        .iter()
        .map(|one| json!({"id": one.id, "credential": one.held.stored.id, "claims": one.claims}))
        .collect();
    let value = json!({"verifier": audience, "presented": presented, "redirectUri": redirect_uri});
    app.output.data(&value, |text| {
        text.done("the verifier has your answer");
        text.field("verifier", audience);
        for one in shown {
            text.field(&one.held.stored.id, &one.claims.join(", "));
        }
        if let Some(uri) = redirect_uri {
            text.field("go on at", uri);
        }
    })
}

/// An error of the exchange with the verifier.
fn verifier(error: OpenIdError) -> WalletError {
    WalletError::Issuer {
        code: error.code().to_owned(),
        message: clean(&error.to_string()).into_owned(),
        retryable: error.is_retryable(),
    }
}
