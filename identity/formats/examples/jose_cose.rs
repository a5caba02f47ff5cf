//! The command line that the public suite for VC-JOSE-COSE drives: secures one credential or presentation with a key of
//! the suite, or verifies one, and writes `{"result": "success" | "failure" | "error", "data": …}`.
//!
//! `jose_cose issue|verify --input FILE --key FILE --feature credential_jose --output FILE [--sd '["path.to.claim"]']`

use aval_codec::b64u;
use aval_formats::jose::{self, sd_jwt};
use aval_formats::json::{self, Limits};
use aval_formats::vcdm::{self, Envelope, open_envelope};
use aval_formats::{FormatError, SigningKey, VerificationKey, cose};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

type Options = BTreeMap<String, String>;

/// The keys of the suite, by their identifiers.
struct Keys {
    folder: BTreeMap<String, VerificationKey>,
    given: VerificationKey,
}

impl Keys {
    fn of(&self, id: Option<&str>) -> VerificationKey {
        id.and_then(|id| self.folder.get(id)).copied().unwrap_or(self.given)
    }
}

fn read_json(path: &Path) -> Result<Value, FormatError> {
    let bytes =
        std::fs::read(path).map_err(|_| FormatError::malformed("input", "the file cannot be read"))?;
    json::parse(&bytes, "input", Limits::default())
}

fn keys(path: &Path) -> Result<(Keys, Value), FormatError> {
    let method = read_json(path)?;
    let given = VerificationKey::from_jwk(&method["publicKeyJwk"])?;
    let mut folder = BTreeMap::new();
    let entries = path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten();
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("vm-")) {
        let method = read_json(&entry.path())?;
        let Ok(key) = VerificationKey::from_jwk(&method["publicKeyJwk"]) else { continue };
        for id in [&method["id"], &method["publicKeyJwk"]["kid"]].into_iter().filter_map(Value::as_str) {
            folder.insert(id.to_owned(), key);
        }
    }
    Ok((Keys { folder, given }, method))
}

/// `credentialSubject.phoneNumbers[0]` as a JSON pointer.
fn pointer(path: &str) -> String {
    let plain = path.replace('[', ".").replace(']', "");
    plain.split('.').map(|part| format!("/{part}")).collect()
}

fn issue(options: &Options) -> Result<String, FormatError> {
    let (_, method) = keys(Path::new(&options["--key"]))?;
    let key = SigningKey::from_jwk(&method["secretKeyJwk"])?;
    let document = read_json(Path::new(&options["--input"]))?;
    let id = method["id"].as_str().unwrap_or_default();
    let feature = options["--feature"].as_str();
    match feature.split_once('_') {
        Some(("credential", _)) => vcdm::check_credential(&document).map(drop)?,
        _ => vcdm::check_presentation(&document).map(drop)?,
    }
    let base64 = |bytes| base64::engine::general_purpose::STANDARD.encode::<Vec<u8>>(bytes);
    match feature {
        "credential_jose" => jose::sign_credential(&document, id, &key),
        "presentation_jose" => jose::sign_presentation(&document, &Map::new(), id, &key),
        "credential_cose" => cose::sign_credential(&document, id, &key).map(base64),
        "presentation_cose" => cose::sign_presentation(&document, id, &key).map(base64),
        _ => {
            let typ = if feature == "credential_sdjwt" { sd_jwt::VC_SD_JWT } else { sd_jwt::VP_SD_JWT };
            let paths = json::parse(options["--sd"].as_bytes(), "paths", Limits::default())?;
            let paths = paths.as_array().into_iter().flatten().filter_map(Value::as_str);
            let paths: Vec<String> = paths.map(pointer).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let claims = document.as_object().cloned().unwrap_or_default();
            sd_jwt::issue(typ, &jose::key_id_header(id), &claims, &paths, &key)
        }
    }
}

/// The document in a secured form, its signature verified and, in presentations, those of the credentials.
fn open(feature: &str, text: &str, keys: &Keys) -> Result<Map<String, Value>, FormatError> {
    let limits = Limits::default();
    let document = match feature {
        "credential_jose" | "presentation_jose" => {
            let jwt = match feature {
                "credential_jose" => jose::read_credential(text, limits)?,
                _ => jose::read_presentation(text, limits)?,
            };
            jwt.verify(&keys.of(jwt.key_id()))?;
            jwt.into_payload()
        }
        "credential_sdjwt" | "presentation_sdjwt" => {
            let typ = if feature == "credential_sdjwt" { sd_jwt::VC_SD_JWT } else { sd_jwt::VP_SD_JWT };
            let token = sd_jwt::SdJwt::parse(text, &[typ], limits)?;
            token.verify(&keys.of(token.jwt().key_id()))?;
            token.claims().clone()
        }
        _ => {
            // The suite leaves out the padding.
            let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('='));
            let bytes = bytes.map_err(|_| FormatError::malformed("input", "not base64"))?;
            let (message, document) = match feature {
                "credential_cose" => cose::read_credential(&bytes, limits)?,
                _ => cose::read_presentation(&bytes, limits)?,
            };
            let id = message.key_id().and_then(|id| std::str::from_utf8(id).ok());
            message.verify(&keys.of(id))?;
            document
        }
    };
    let value = Value::Object(document.clone());
    if feature.starts_with("credential") {
        vcdm::check_credential(&value)?;
        return Ok(document);
    }
    vcdm::check_presentation(&value)?;
    for credential in vcdm::credentials(&value)? {
        let Envelope { media_type, content, .. } = open_envelope(credential)?;
        let inner = match media_type.as_str() {
            "application/vc+jwt" => "credential_jose",
            "application/vc+sd-jwt" => "credential_sdjwt",
            "application/vc+cose" => "credential_cose",
            _ => return Err(FormatError::Type("credential")),
        };
        open(inner, &content, keys)?;
    }
    Ok(document)
}

fn run(arguments: &[String]) -> Result<(), String> {
    let (verb, rest) = arguments.split_first().ok_or("issue or verify?")?;
    let options: Options = rest.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    for name in ["--input", "--key", "--feature", "--output"] {
        options.get(name).ok_or(format!("{name} is missing"))?;
    }
    let done = match verb.as_str() {
        "issue" => issue(&options),
        _ => keys(Path::new(&options["--key"])).and_then(|(keys, _)| {
            let text = std::fs::read_to_string(&options["--input"]);
            let text = text.map_err(|_| FormatError::malformed("input", "the file cannot be read"))?;
            let document = open(&options["--feature"], text.trim(), &keys)?;
            Ok(b64u::encode(Value::Object(document).to_string()))
        }),
    };
    let answer = match &done {
        Ok(data) => json!({"result": "success", "data": data}),
        // Nothing was found wrong: this program cannot say.
        Err(error) if error.is_undecided() => json!({"result": "error", "data": error.to_string()}),
        Err(error) => json!({"result": "failure", "data": error.to_string()}),
    };
    eprintln!("{answer:.200}");
    std::fs::write(&options["--output"], answer.to_string()).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jose_cose: {error}");
            ExitCode::from(2)
        }
    }
}
