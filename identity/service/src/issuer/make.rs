//! Making credentials: one set of claims in the form that a kind has.
//!
//! | format | what it is | bound to the holder by |
//! |---|---|---|
//! | `vc+sd-jwt` | VCDM 2.0 as SD-JWT (VC-JOSE-COSE), what the ledger reads | `cnf` |
//! | `dc+sd-jwt` | IETF SD-JWT VC, by key id or with certificates beside it | `cnf` |
//! | `jwt_vc_json` | VCDM 1.1 as JWT (section 6.3.1 there), as wallets of this format read it | the subject's DID |
//! | `ldp_vc` | VCDM 2.0 with Data Integrity | the subject's DID |
//!
//! In the SD-JWT forms `role` is plain and every other claim can be disclosed selectively.

use super::decisions::{CLOCK_SKEW_S, read_subject};
use super::kind::Kind;
use crate::keys::{IssuerKeys, Key};
use crate::storage::IssuanceRow;
use aval_codec::Json;
use aval_credential::{CredentialDraft, CredentialSchema, StatusEntry, StatusPurpose};
use aval_did::holder::HolderDid;
use aval_formats::data_integrity::{self, ProofOptions, Suite};
use aval_formats::date;
use aval_formats::jose::sd_jwt::{self, DC_SD_JWT};
use aval_formats::jose::{self, key_id_header};
use aval_formats::status::bitstring;
use aval_formats::vcdm::{CONTEXT_1_1, CONTEXT_2_0};
use aval_openid::vci::{Format, HolderKey};
use aval_types::schema::CREDENTIAL_SCHEMA_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt as _;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What terms that no other context defines are read by, so that claims of any name are signed.
const VOCABULARY_OF_OTHERS: &str = "https://www.w3.org/ns/credentials/undefined-term#";
/// Claims of an SD-JWT VC that are not the subject's.
const REGISTERED: [&str; 12] =
    ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "cnf", "vct", "vct#integrity", "status", "_sd"];

/// Makes a credential. The reason of a failure is for an operator.
pub(super) fn make(
    keys: &IssuerKeys,
    key: &Key,
    kind: &Kind,
    issuance: &IssuanceRow,
    holder: &HolderKey,
) -> Result<Value, String> {
    let claims = read_subject(&issuance.subject)?;
    let making = Making { did: keys.did().as_str(), keys, key, kind, issuance, holder };
    match kind.format {
        Format::VcSdJwt => making.vc_sd_jwt(claims).map(Value::String),
        Format::DcSdJwt => making.dc_sd_jwt(claims).map(Value::String),
        Format::JwtVcJson => making.jwt_vc_json(claims).map(Value::String),
        Format::LdpVc => making.ldp_vc(claims),
    }
}

/// The status entries of an issuance, as VCDM has them.
pub(super) fn status_entries(issuance: &IssuanceRow) -> Vec<Value> {
    let entries = issuance.status.iter().map(|entry| {
        let value = json!({
            "id": format!("{}#{}", entry.list, entry.list_index),
            "type": bitstring::ENTRY_TYPE,
            "statusPurpose": entry.purpose,
            "statusListIndex": entry.list_index.to_string(),
            "statusListCredential": entry.list,
        });
        match bitstring::BitstringEntry::read(&value) {
            Ok(read) => read.to_value(),
            Err(_) => value,
        }
    });
    entries.collect()
}

struct Making<'a> {
    did: &'a str,
    keys: &'a IssuerKeys,
    key: &'a Key,
    kind: &'a Kind,
    issuance: &'a IssuanceRow,
    holder: &'a HolderKey,
}

impl Making<'_> {
    fn valid_from_s(&self) -> i64 {
        self.issuance.issued_s.saturating_sub(CLOCK_SKEW_S)
    }

    fn vc_sd_jwt(&self, claims: BTreeMap<String, Json>) -> Result<String, String> {
        let disclosable: BTreeSet<String> = claims.keys().filter(|name| *name != "role").cloned().collect();
        let status = self.issuance.status.iter().map(|entry| StatusEntry {
            purpose: StatusPurpose::from_name(&entry.purpose),
            index: entry.index(),
            list: entry.list.clone(),
        });
        let schema = self.kind.schema_id.as_ref();
        let schema =
            schema.map(|id| CredentialSchema { id: id.clone(), kind: CREDENTIAL_SCHEMA_TYPE.to_owned() });
        let draft = CredentialDraft {
            issuer: self.did.to_owned(),
            key_id: self.key.id().to_owned(),
            id: Some(self.issuance.credential_id.clone()),
            contexts: Vec::new(),
            types: vec![self.issuance.credential_type.clone()],
            subject_id: None,
            claims,
            disclosable,
            status: status.collect(),
            valid_from_s: self.valid_from_s(),
            valid_until_s: Some(self.issuance.expires_s),
            holder_key: Some(self.holder.key),
            schema,
        };
        aval_credential::issue(&draft, self.key, &mut || rand::rng().random())
            .map_err(|error| error.to_string())
    }

    fn dc_sd_jwt(&self, claims: BTreeMap<String, Json>) -> Result<String, String> {
        if let Some(name) = claims.keys().find(|name| REGISTERED.contains(&name.as_str())) {
            return Err(format!("the claim `{name}` has a meaning of its own in a dc+sd-jwt"));
        }
        let concealed = claims.keys().filter(|name| *name != "role");
        let concealed: Vec<String> =
            concealed.map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
        let mut payload = members(claims)?;
        let mut put = |name: &str, value: Value| drop(payload.insert(name.to_owned(), value));
        put("iss", self.did.into());
        put("vct", self.kind.credential_type.clone().into());
        put("iat", self.issuance.issued_s.into());
        put("nbf", self.valid_from_s().into());
        put("exp", self.issuance.expires_s.into());
        put("cnf", json!({ "jwk": value(&self.holder.key.to_jwk())? }));
        if let Some(entry) = self.issuance.entry("revocation") {
            put("status", json!({ "status_list": { "idx": entry.list_index, "uri": entry.list } }));
        }
        let mut header = key_id_header(self.key.id());
        if self.kind.options.certified {
            let chain = self.keys.certificates(self.key.method());
            let chain =
                chain.ok_or("there are no certificates for this key: see `certificates` in config.json")?;
            let chain: Vec<Value> = chain.iter().map(|der| STANDARD.encode(der).into()).collect();
            header.insert("x5c".to_owned(), chain.into());
        }
        let concealed: Vec<&str> = concealed.iter().map(String::as_str).collect();
        sd_jwt::issue(DC_SD_JWT, &header, &payload, &concealed, self.key).map_err(|error| error.to_string())
    }

    /// The credential as VCDM has it, unsecured. `date_names` are those of the version.
    fn credential(
        &self,
        contexts: &[Value],
        date_names: [&str; 2],
        claims: BTreeMap<String, Json>,
    ) -> Result<Map<String, Value>, String> {
        let holder = || HolderDid::did_jwk(&self.holder.key).as_str().to_owned();
        let mut subject = members(claims)?;
        if subject.contains_key("id") {
            return Err("the claim `id` is the holder's, who shows a key for it".to_owned());
        }
        subject.insert("id".to_owned(), self.holder.did.clone().unwrap_or_else(holder).into());
        let date = |seconds| date::format(seconds).ok_or("the clock is wrong");
        let [from, until] = date_names;
        let credential = json!({
            "@context": contexts,
            "id": self.issuance.credential_id,
            "type": ["VerifiableCredential", self.kind.credential_type],
            "issuer": self.did,
            from: date(self.valid_from_s())?,
            until: date(self.issuance.expires_s)?,
            "credentialSubject": subject,
            "credentialStatus": status_entries(self.issuance),
        });
        let Value::Object(mut members) = credential else {
            return Err("the credential is no object".to_owned());
        };
        if let Some(schema) = &self.kind.schema_id {
            let schema = json!({ "id": schema, "type": CREDENTIAL_SCHEMA_TYPE });
            members.insert("credentialSchema".to_owned(), schema);
        }
        Ok(members)
    }

    fn jwt_vc_json(&self, claims: BTreeMap<String, Json>) -> Result<String, String> {
        let dates = ["issuanceDate", "expirationDate"];
        let credential = self.credential(&[CONTEXT_1_1.into()], dates, claims)?;
        let subject = credential.get("credentialSubject").and_then(|subject| subject.get("id")).cloned();
        let payload = Map::from_iter([
            ("iss".to_owned(), self.did.into()),
            ("sub".to_owned(), subject.unwrap_or_default()),
            ("jti".to_owned(), self.issuance.credential_id.clone().into()),
            ("iat".to_owned(), self.issuance.issued_s.into()),
            ("nbf".to_owned(), self.valid_from_s().into()),
            ("exp".to_owned(), self.issuance.expires_s.into()),
            ("vc".to_owned(), credential.into()),
        ]);
        jose::sign("JWT", &key_id_header(self.key.id()), &payload, self.key)
            .map_err(|error| error.to_string())
    }

    fn ldp_vc(&self, claims: BTreeMap<String, Json>) -> Result<Value, String> {
        let contexts = [CONTEXT_2_0.into(), json!({ "@vocab": VOCABULARY_OF_OTHERS })];
        let credential = self.credential(&contexts, ["validFrom", "validUntil"], claims)?;
        let suite = self.kind.suite(self.key.algorithm()).map_err(|problem| problem.detail)?;
        let mut options = ProofOptions {
            created: date::format(self.issuance.issued_s),
            ..ProofOptions::new(suite, self.key.id(), "assertionMethod")
        };
        if suite == Suite::EcdsaSd2023 {
            // What decides validity is always shown.
            let mandatory =
                ["/issuer", "/validFrom", "/validUntil", "/credentialStatus", "/credentialSubject/id"];
            options.mandatory_pointers = mandatory.map(str::to_owned).to_vec();
        }
        data_integrity::secure(&credential.into(), &options, self.key).map_err(|error| error.to_string())
    }
}

fn value(json: &Json) -> Result<Value, String> {
    serde_json::to_value(json).map_err(|error| error.to_string())
}

fn members(claims: BTreeMap<String, Json>) -> Result<Map<String, Value>, String> {
    claims.iter().map(|(name, claim)| Ok((name.clone(), value(claim)?))).collect()
}
