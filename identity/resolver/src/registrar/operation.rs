//! From a request to the action of a transaction, by the rules of specs/did-method.md, sections 4 to 6.

use std::collections::BTreeMap;

use aval_codec::{Json, json};
use aval_did::document::{Document, Relationship};
use aval_did::{Control, Create, Deactivate, Did, DidError, DidRecord, PublicKey, Rotate, Update, VersionId};
use aval_types::Action;
use aval_types::action::DidCreate;
use serde_json::Value;

use super::Failure;
use super::input::{Input, refuse};

/// What has to be signed, and by whom.
pub(super) struct Plan {
    pub(super) did: Did,
    pub(super) version_id: VersionId,
    pub(super) action: Action,
    /// The control keys that sign.
    pub(super) signers: Vec<PublicKey>,
    pub(super) endorsed: bool,
    /// The DID document after the operation.
    pub(super) document: Option<Value>,
}

impl Plan {
    pub(super) fn create(input: &Input, method: Option<&str>, label: &str) -> Result<Self, Failure> {
        match (method.or(input.method.as_deref()), &input.did) {
            (Some("aval"), None) => {}
            (_, Some(_)) => return refuse("the DID follows from what is created: leave did out"),
            _ => return refuse("method has to be aval"),
        }
        if input.options.network.as_deref().is_some_and(|network| network != label) {
            return refuse(format!("this registrar is of the network {label}"));
        }
        if input.operations.is_some() {
            return refuse("didDocumentOperation is for updates");
        }
        let content = input.document.clone().unwrap_or_else(|| Json::Object(BTreeMap::new()));
        let control =
            input.control()?.ok_or_else(|| Failure::Input("there are no control keys".to_owned()))?;
        let create = Create::new(label, control, content_of(content, None)?)?;
        create.validate()?;
        let operation = aval_did::Operation::Create(create.clone());
        let signers = signers(input, &create.control.keys, create.control.threshold)?;
        Ok(Self {
            version_id: operation.version_id(),
            document: expanded(&create.document, &create.did),
            did: create.did.clone(),
            action: Action::DidCreate(DidCreate { operation: create, grant: None }),
            signers,
            endorsed: true,
        })
    }

    pub(super) fn update(input: &Input, record: &DidRecord) -> Result<Self, Failure> {
        record.require_active()?;
        let whole = "setDidDocument".to_owned();
        if input.operations.as_ref().is_some_and(|operations| *operations != [whole]) {
            return refuse("the one operation on documents is setDidDocument, once");
        }
        let document = match input.document.clone() {
            None => None,
            Some(Json::Array(mut items)) if items.len() == 1 => items.pop(),
            Some(document @ Json::Object(_)) => Some(document),
            Some(_) => return refuse("didDocument is a list with the one new document"),
        };
        let document = document.map(|document| content_of(document, Some(&record.did))).transpose()?;
        match input.control()? {
            Some(control) => rotate(input, record, control, document),
            None => match document {
                Some(document) => update(input, record, document),
                None => refuse("an update has a new document, new control keys, or both"),
            },
        }
    }

    pub(super) fn deactivate(input: &Input, record: &DidRecord) -> Result<Self, Failure> {
        record.require_active()?;
        if input.document.is_some() || input.operations.is_some() {
            return refuse("a deactivation has no document");
        }
        let deactivate = Deactivate { did: record.did.clone(), previous: record.version_id };
        Ok(Self {
            did: record.did.clone(),
            version_id: deactivate.version_id(),
            signers: signers(input, &record.control.keys, record.control.threshold)?,
            action: Action::DidDeactivate(deactivate),
            endorsed: false,
            document: None,
        })
    }
}

fn update(input: &Input, record: &DidRecord, document: Document) -> Result<Plan, Failure> {
    let update = Update { did: record.did.clone(), previous: record.version_id, document };
    update.validate()?;
    update.document.validate_apart_from(&record.control)?;
    Ok(Plan {
        did: record.did.clone(),
        version_id: update.version_id(),
        signers: signers(input, &record.control.keys, record.control.threshold)?,
        endorsed: input.options.endorse.unwrap_or(record.grants.is_empty()),
        document: expanded(&update.document, &record.did),
        action: Action::DidUpdate(update),
    })
}

fn rotate(
    input: &Input,
    record: &DidRecord,
    control: Control,
    document: Option<Document>,
) -> Result<Plan, Failure> {
    let rotate = Rotate { did: record.did.clone(), previous: record.version_id, control, document };
    rotate.validate()?;
    let next = &record.control.next;
    let committed: Vec<PublicKey> =
        rotate.control.keys.iter().filter(|key| next.commits_to(key)).copied().collect();
    Ok(Plan {
        did: record.did.clone(),
        version_id: rotate.version_id(),
        signers: signers(input, &committed, next.threshold)?,
        endorsed: false,
        document: expanded(rotate.document.as_ref().unwrap_or(&record.document), &record.did),
        action: Action::DidRotate(rotate),
    })
}

/// Who signs: those that the client names, or the first that are enough.
fn signers(input: &Input, keys: &[PublicKey], threshold: u32) -> Result<Vec<PublicKey>, Failure> {
    let enough = usize::try_from(threshold).unwrap_or(usize::MAX);
    let signers = match &input.options.signers {
        Some(named) => named.clone(),
        None => keys.iter().take(enough).copied().collect(),
    };
    if signers.len() < enough || !signers.iter().all(|key| keys.contains(key)) {
        return Err(DidError::Control("too few of the signers are keys that may sign this").into());
    }
    Ok(signers)
}

fn expanded(document: &Document, did: &Did) -> Option<Value> {
    serde_json::to_value(document.expand(did.as_str())).ok()
}

/// The content of a document as operations carry it: relative to its DID. A DID document with absolute ids, as a
/// resolver gives it, is brought into this form.
fn content_of(document: Json, did: Option<&Did>) -> Result<Document, Failure> {
    let Json::Object(mut members) = document else { return refuse("didDocument is not an object") };
    members.remove("@context");
    match (members.remove("id"), did) {
        (None, _) => {}
        (Some(Json::String(id)), Some(did)) if id == did.as_str() => {}
        (Some(_), None) => return refuse("the document of a new DID has no id: write ids as #fragment"),
        (Some(_), Some(_)) => return refuse("the document is of another DID"),
    }
    let relative = |text: &mut Json| {
        if let (Json::String(text), Some(did)) = (text, did)
            && let Some(rest) = text.strip_prefix(did.as_str())
        {
            *text = rest.to_owned();
        }
    };
    for (name, value) in &mut members {
        let Json::Array(items) = value else { continue };
        for item in items {
            match item {
                Json::Object(item) => {
                    if let Some(id) = item.get_mut("id") {
                        relative(id);
                    }
                    // Content names no controller: it is the DID.
                    let own = match (item.get("controller"), did) {
                        (Some(Json::String(controller)), Some(did)) => controller == did.as_str(),
                        (None, _) => true,
                        _ => false,
                    };
                    if !own {
                        return refuse("a method is controlled by its own DID: leave controller out");
                    }
                    item.remove("controller");
                }
                reference if Relationship::ALL.iter().any(|known| known.name() == name) => {
                    relative(reference)
                }
                _ => {}
            }
        }
    }
    members.retain(|_, value| !matches!(value, Json::Array(items) if items.is_empty()));
    json::from_json(Json::Object(members)).map_err(|error| Failure::Input(format!("didDocument: {error}")))
}
