//! `aval credential list` and `show`: what the vault holds. Claims are shown to their holder only.

use aval_credential::{Limits, Presentation};
use serde_json::{Value, json};

use super::select;
use crate::app::{App, now_s};
use crate::error::WalletError;
use crate::output::date_time;
use crate::vault::StoredCredential;

fn parse(credential: &StoredCredential) -> Result<Presentation, WalletError> {
    Presentation::parse(credential.sd_jwt.as_bytes(), &Limits::EDGE)
        .map_err(|error| WalletError::Failed(format!("credential {} cannot be read: {error}", credential.id)))
}

fn seconds(time_s: Option<i64>) -> Option<String> {
    time_s.and_then(|time_s| u64::try_from(time_s).ok()).map(|time_s| date_time(time_s.saturating_mul(1000)))
}

/// A credential without its claims.
pub(super) fn to_json(credential: &StoredCredential, presentation: &Presentation) -> Value {
    let status: Vec<Value> = presentation
        .status()
        .iter()
        .map(|entry| json!({"purpose": entry.purpose.name(), "list": entry.list, "index": entry.index}))
        .collect();
    json!({
        "id": credential.id,
        "types": presentation.types(),
        "issuer": presentation.issuer(),
        "roles": presentation.roles(),
        "validFrom": seconds(presentation.valid_from_s()),
        "validUntil": seconds(presentation.valid_until_s()),
        "status": status,
        "holderKey": credential.holder_key.public,
        "source": credential.source,
        "received": seconds(Some(credential.received_s)),
    })
}

pub(super) fn list(app: &App) -> Result<(), WalletError> {
    let contents = app.vault()?.read()?;
    let mut rows = Vec::new();
    let mut parsed = Vec::new();
    for credential in &contents.credentials {
        let presentation = parse(credential)?;
        let mut row = to_json(credential, &presentation);
        let did = contents.did_of_key(&credential.holder_key.path).map(|entry| entry.did.clone());
        let is_expired = presentation.valid_until_s().is_some_and(|until| until <= now_s());
        row["did"] = json!(did);
        row["expired"] = json!(is_expired);
        rows.push(row);
        parsed.push((credential, presentation, did, is_expired));
    }
    app.output.data(&Value::Array(rows), |text| {
        if parsed.is_empty() {
            text.line("No credential yet: `aval credential receive OFFER-URI`.");
        }
        for (credential, presentation, did, is_expired) in &parsed {
            text.title(&credential.id);
            select::describe(text, presentation);
            if *is_expired {
                text.field("state", "expired");
            }
            if let Some(did) = did {
                text.field("DID", did);
            }
        }
    })
}

pub(super) fn show(app: &App, id: &str, raw: bool) -> Result<(), WalletError> {
    let contents = app.vault()?.read()?;
    let credential = select::by_id(&contents, id)?;
    let presentation = parse(credential)?;
    if raw {
        return app.output.data(&json!({"id": credential.id, "sdJwt": credential.sd_jwt}), |text| {
            text.line(&credential.sd_jwt);
        });
    }
    let mut value = to_json(credential, &presentation);
    let claims = serde_json::to_value(&presentation.credential().subject)
        .map_err(|error| WalletError::Failed(error.to_string()))?;
    let hideable: Vec<&str> =
        presentation.sd_jwt().disclosures().iter().filter_map(|disclosure| disclosure.name()).collect();
    value["claims"] = claims.clone();
    value["selectivelyDisclosable"] = json!(hideable);
    value["did"] = json!(contents.did_of_key(&credential.holder_key.path).map(|entry| entry.did.clone()));
    app.output.data(&value, |text| {
        text.title(&credential.id);
        select::describe(text, &presentation);
        text.field("from", &credential.source);
        for entry in presentation.status() {
            text.field(entry.purpose.name(), &format!("{} #{}", entry.list, entry.index));
        }
        for (name, claim) in claims.as_object().into_iter().flatten() {
            let shown = claim.as_str().map_or_else(|| claim.to_string(), str::to_owned);
            let mark = if hideable.contains(&name.as_str()) { "  (can be kept back)" } else { "" };
            text.field(name, &format!("{shown}{mark}"));
        }
    })
}
