//! One issuer of the sandbox: a key, the format it signs in, and its status lists.

use crate::clock::now_s;
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::date;
use aval_formats::jose;
use aval_formats::status::StatusError;
use aval_formats::status::bitstring::{BitstringEntry, BitstringList, StatusMessage};
use aval_formats::vc_api::{DeriveRequest, IssueRequest, RequestError, StatusRequest};
use aval_formats::vcdm::{Envelope, Version};
use aval_formats::{Contexts, FormatError, KeyType, SigningKey};
use rand::RngExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Entries of a status list; it is also how many credentials an instance with lists can issue.
const ENTRIES: u64 = 131_072;
/// For how long a list vouches, in seconds.
const LIST_LIFE_S: i64 = 300;
/// For how long a list may be kept, in milliseconds.
const LIST_TTL_MS: u64 = 1_000;
/// What the values of the list of messages stand for.
const MESSAGES: [&str; 4] = ["pending", "approved", "rejected", "undefined"];

/// The context of Data Integrity, which that of VCDM 1.1 does not hold.
const DATA_INTEGRITY_CONTEXT: &str = "https://w3id.org/security/data-integrity/v2";
/// The context of `Ed25519Signature2020`.
const ED25519_2020_CONTEXT: &str = "https://w3id.org/security/suites/ed25519-2020/v1";

/// How an instance secures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// By a Data Integrity proof.
    Proof(Suite),
    /// As `vc+jwt`, in an envelope.
    Jwt,
}

/// Every purpose of a list.
const PURPOSES: [&str; 3] = ["revocation", "suspension", "message"];

/// Name, key and form of each instance, and the purposes of the lists in which its credentials have an entry.
const INSTANCES: [(&str, KeyType, Form, &[&str]); 13] = [
    ("eddsa-rdfc-2022", KeyType::Ed25519, Form::Proof(Suite::EddsaRdfc2022), &[]),
    ("eddsa-jcs-2022", KeyType::Ed25519, Form::Proof(Suite::EddsaJcs2022), &[]),
    ("ecdsa-rdfc-2019-p256", KeyType::P256, Form::Proof(Suite::EcdsaRdfc2019), &[]),
    ("ecdsa-rdfc-2019-p384", KeyType::P384, Form::Proof(Suite::EcdsaRdfc2019), &[]),
    ("ecdsa-jcs-2019-p256", KeyType::P256, Form::Proof(Suite::EcdsaJcs2019), &[]),
    ("ecdsa-jcs-2019-p384", KeyType::P384, Form::Proof(Suite::EcdsaJcs2019), &[]),
    ("ecdsa-sd-2023", KeyType::P256, Form::Proof(Suite::EcdsaSd2023), &[]),
    ("ed25519-signature-2020", KeyType::Ed25519, Form::Proof(Suite::Ed25519Signature2020), &[]),
    ("vc-jwt-ed25519", KeyType::Ed25519, Form::Jwt, &[]),
    ("vc-jwt-p256", KeyType::P256, Form::Jwt, &[]),
    ("status", KeyType::Ed25519, Form::Proof(Suite::EddsaRdfc2022), &PURPOSES),
    ("vc-jwt-status", KeyType::P256, Form::Jwt, &PURPOSES),
    ("revocable", KeyType::Ed25519, Form::Proof(Suite::EddsaRdfc2022), &["revocation"]),
];

/// All instances, below a URL. Their keys are new.
pub fn instances(url: &str) -> Result<Vec<Instance>, StatusError> {
    let make = |(name, kind, form, purposes): (&'static str, KeyType, Form, &'static [&'static str])| {
        let key = SigningKey::generate(kind);
        let multikey = key.public().to_multikey();
        let did = format!("did:key:{multikey}");
        let lists = (!purposes.is_empty()).then(|| Lists::new(purposes)).transpose()?;
        Ok(Instance {
            name,
            key_id: format!("{did}#{multikey}"),
            did,
            key,
            form,
            url: format!("{url}/{name}"),
            lists: lists.map(Mutex::new),
        })
    };
    INSTANCES.into_iter().map(make).collect()
}

/// One issuer.
#[derive(Debug)]
pub struct Instance {
    name: &'static str,
    did: String,
    key_id: String,
    key: SigningKey,
    form: Form,
    url: String,
    lists: Option<Mutex<Lists>>,
}

/// The status lists of an instance, and which credential has which entry.
#[derive(Debug)]
struct Lists {
    by_purpose: BTreeMap<&'static str, BitstringList>,
    taken: BTreeMap<u64, String>,
}

impl Lists {
    fn new(purposes: &[&'static str]) -> Result<Self, StatusError> {
        let list = |purpose: &&'static str| {
            let size = if *purpose == "message" { 2 } else { 1 };
            let mut list = BitstringList::new(&[purpose], ENTRIES, size)?;
            list.ttl_ms = Some(LIST_TTL_MS);
            Ok((*purpose, list))
        };
        Ok(Self { by_purpose: purposes.iter().map(list).collect::<Result<_, _>>()?, taken: BTreeMap::new() })
    }

    /// A random index that nobody has.
    fn draw(&mut self, credential_id: &str) -> Result<u64, RequestError> {
        if self.taken.len() as u64 >= ENTRIES / 2 {
            return Err(RequestError::Member("the sandbox has no more entries in its lists: start it anew"));
        }
        loop {
            let index = rand::rng().random_range(0..ENTRIES);
            if let Entry::Vacant(free) = self.taken.entry(index) {
                free.insert(credential_id.to_owned());
                return Ok(index);
            }
        }
    }
}

impl Instance {
    /// Its name, which is also its path.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a client has to know.
    pub fn summary(&self) -> Value {
        let mut summary = json!({
            "name": self.name,
            "issuer": self.did,
            "keyType": self.key.public().kind().curve(),
            "issue": format!("{}/credentials/issue", self.url),
        });
        let more = [
            ("derive", self.derives(), "credentials/derive"),
            ("status", self.lists.is_some(), "credentials/status"),
        ];
        if let Some(members) = summary.as_object_mut() {
            for (name, has, path) in more {
                if has {
                    members.insert(name.to_owned(), format!("{}/{path}", self.url).into());
                }
            }
        }
        summary
    }

    fn derives(&self) -> bool {
        self.form == Form::Proof(Suite::EcdsaSd2023)
    }

    /// Secures a credential.
    pub fn issue(&self, request: IssueRequest) -> Result<Value, RequestError> {
        if request.issuer() != Some(self.did.as_str()) {
            return Err(RequestError::Member("`credential.issuer` is not this issuer"));
        }
        if !request.mandatory_pointers.is_empty() && !self.derives() {
            return Err(RequestError::UnknownOption);
        }
        let IssueRequest { mut credential, version, credential_id, mandatory_pointers } = request;
        if let Some(lists) = &self.lists {
            let id = credential_id.unwrap_or_else(|| format!("urn:uuid:{}", Uuid::new_v4()));
            let mut lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
            let index = lists.draw(&id)?;
            // The entry with most to say comes last.
            let entries = PURPOSES.iter().filter(|purpose| lists.by_purpose.contains_key(*purpose));
            let entries = entries.map(|purpose| self.entry(purpose, index)).collect();
            drop(lists);
            add_status(&mut credential, &id, entries);
        }
        Ok(self.secure(credential, version, mandatory_pointers)?)
    }

    fn secure(
        &self,
        mut credential: Value,
        version: Version,
        mandatory_pointers: Vec<String>,
    ) -> Result<Value, FormatError> {
        match self.form {
            Form::Jwt => {
                let content = jose::sign_credential(&credential, &self.key_id, &self.key)?;
                let media_type = "application/vc+jwt".to_owned();
                let envelope = Envelope { media_type, content, is_base64: false, is_presentation: false };
                Ok(envelope.to_object())
            }
            Form::Proof(suite) => {
                match (suite, version) {
                    (Suite::Ed25519Signature2020, _) => add_context(&mut credential, ED25519_2020_CONTEXT),
                    (_, Version::V1) => add_context(&mut credential, DATA_INTEGRITY_CONTEXT),
                    // The context of VCDM 2.0 defines Data Integrity itself.
                    (_, Version::V2) => {}
                }
                let options = ProofOptions {
                    created: date::format(now_s()),
                    mandatory_pointers,
                    ..ProofOptions::new(suite, &self.key_id, "assertionMethod")
                };
                data_integrity::secure(&credential, &options, &self.key)
            }
        }
    }

    /// Shows a part of a credential with a base proof, as its holder does.
    pub fn derive(&self, request: &DeriveRequest) -> Result<Value, RequestError> {
        if !self.derives() {
            return Err(RequestError::Member("this instance has no proofs to derive from"));
        }
        let pointers: Vec<&str> = request.selective_pointers.iter().map(String::as_str).collect();
        Ok(data_integrity::derive(Contexts::shipped(), &request.credential, &pointers)?)
    }

    /// Sets or clears the status of a credential; `None` if it issued no such credential or has no such list.
    pub fn change(&self, request: &StatusRequest) -> Option<Result<(), StatusError>> {
        let mut lists = self.lists.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |(index, id): (&u64, &String)| (*id == request.credential_id).then_some(*index);
        let index = lists.taken.iter().find_map(named)?;
        let list = lists.by_purpose.get_mut(request.purpose.as_str())?;
        Some(list.set(index, u8::from(request.status)))
    }

    /// The signed list of a purpose; `None` if there is none.
    pub fn list(&self, purpose: &str) -> Option<Result<Value, RequestError>> {
        let list = {
            let lists = self.lists.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
            lists.by_purpose.get(purpose)?.clone()
        };
        let now_s = now_s();
        let (from, until) = date::format(now_s).zip(date::format(now_s.saturating_add(LIST_LIFE_S)))?;
        let credential = list.to_credential(&self.list_url(purpose), &self.did, &from, &until);
        let secured = credential
            .map_err(RequestError::from)
            .and_then(|credential| Ok(self.secure(credential, Version::V2, Vec::new())?));
        Some(secured)
    }

    fn list_url(&self, purpose: &str) -> String {
        format!("{}/status/{purpose}", self.url)
    }

    fn entry(&self, purpose: &str, index: u64) -> Value {
        let texts: &[&str] = if purpose == "message" { &MESSAGES } else { &[] };
        let message = |(status, text): (usize, &&str)| StatusMessage {
            status: u8::try_from(status).unwrap_or_default(),
            message: (*text).to_owned(),
        };
        let size = if texts.is_empty() { 1 } else { 2 };
        let messages = texts.iter().enumerate().map(message).collect();
        let (list, purpose) = (self.list_url(purpose), purpose.to_owned());
        let mut entry = BitstringEntry { purpose, index, list, size, messages }.to_value();
        if let (Some(members), true) = (entry.as_object_mut(), size > 1) {
            members.insert("statusReference".to_owned(), format!("{}/", self.url).into());
        }
        entry
    }
}

/// Adds status entries to those that the client gave.
fn add_status(credential: &mut Value, id: &str, entries: Vec<Value>) {
    let Some(members) = credential.as_object_mut() else { return };
    members.entry("id").or_insert_with(|| id.into());
    let mut all = match members.remove("credentialStatus") {
        Some(Value::Array(given)) => given,
        Some(given) => vec![given],
        None => Vec::new(),
    };
    all.extend(entries);
    members.insert("credentialStatus".to_owned(), Value::Array(all));
}

/// Adds the context that defines a proof's members, unless it is there.
fn add_context(credential: &mut Value, context: &str) {
    let Some(members) = credential.as_object_mut() else { return };
    let mut contexts = match members.remove("@context") {
        Some(Value::Array(contexts)) => contexts,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    if !contexts.iter().any(|given| given.as_str() == Some(context)) {
        contexts.push(context.into());
    }
    members.insert("@context".to_owned(), Value::Array(contexts));
}
