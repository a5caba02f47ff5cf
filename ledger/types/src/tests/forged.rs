//! Transactions that no builder of ours makes: each is refused, and the vectors say with which code.

use aval_codec::b64u;
use aval_did::{Algorithm, SigningKey};

use super::{Person, bank, company, create, network, sd_hash, transaction, transaction::high_s, update};

/// A name, what is submitted, and the code.
pub(super) type Bad = (&'static str, String, &'static str);

const MALFORMED: &str = "transaction.malformed";
const SIGNERS: &str = "transaction.signers";
const WINDOW: &str = "transaction.window";

/// A good `did.update` of the company in parts, to be put together wrongly.
struct Forger {
    payload: String,
    header: String,
    key: SigningKey,
}

impl Forger {
    fn new() -> Self {
        let company = company();
        let good = transaction(update(&company), 3).controller(company.control_kid()).build().unwrap();
        let kid = company.control_kid();
        Self {
            payload: String::from_utf8(good.payload_bytes().to_vec()).unwrap(),
            header: format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"aval-tx+jwt"}}"#),
            key: company.control,
        }
    }

    /// The good one.
    fn jws(&self) -> String {
        sign(&self.payload, &self.header, &self.key)
    }

    /// Signed over a payload in which one text is replaced.
    fn payload(&self, from: &str, to: &str) -> String {
        assert!(self.payload.contains(from), "{from}");
        sign(&self.payload.replacen(from, to, 1), &self.header, &self.key)
    }

    /// Signed under a header in which one text is replaced.
    fn header(&self, from: &str, to: &str) -> String {
        assert!(self.header.contains(from), "{from}");
        sign(&self.payload, &self.header.replacen(from, to, 1), &self.key)
    }
}

/// Signs any text as a payload under any header.
fn sign(payload: &str, header: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    format!("{input}.{}", b64u::encode(key.sign(input.as_bytes())))
}

pub(super) fn submissions() -> Vec<Bad> {
    [bad_forms(), bad_headers(), bad_payloads(), bad_signers()].concat()
}

fn bad_forms() -> Vec<Bad> {
    let forger = Forger::new();
    let jws = forger.jws();
    let [protected, body, signature] = jws.split('.').collect::<Vec<_>>().try_into().unwrap();
    let general = |entries: &str| format!(r#"{{"payload":"{body}","signatures":[{entries}]}}"#);
    let entry = format!(r#"{{"protected":"{protected}","signature":"{signature}"}}"#);
    let mut changed = b64u::decode(signature).unwrap();
    changed[5] ^= 4;
    let other = b64u::encode(forger.payload.replace("\"nbf\"", " \"nbf\""));
    vec![
        ("empty", String::new(), MALFORMED),
        ("two segments", format!("{protected}.{body}"), MALFORMED),
        ("four segments", format!("{jws}.{signature}"), MALFORMED),
        ("base64url with padding", format!("{jws}=="), MALFORMED),
        ("base64 of the other alphabet", format!("{protected}.{body}.{}", "+".repeat(86)), MALFORMED),
        ("a signature of 63 bytes", format!("{protected}.{body}.{}", b64u::encode([1; 63])), MALFORMED),
        ("an unprotected header", general(&entry.replace('}', r#","header":{"kid":"x"}}"#)), MALFORMED),
        (
            "flattened JSON",
            format!(r#"{{"payload":"{body}","protected":"{protected}","signature":"{signature}"}}"#),
            MALFORMED,
        ),
        ("no signature", general(""), SIGNERS),
        ("more signatures than signers", general(&format!("{entry},{entry}")), SIGNERS),
        (
            "a bit of the signature changed",
            format!("{protected}.{body}.{}", b64u::encode(changed)),
            "transaction.signature",
        ),
        (
            "signed by another key",
            sign(&forger.payload, &forger.header, &company().key),
            "transaction.signature",
        ),
        (
            "the same JSON in other bytes than were signed",
            format!("{protected}.{other}.{signature}"),
            "transaction.signature",
        ),
    ]
}

fn bad_headers() -> Vec<Bad> {
    let forger = Forger::new();
    let (kid, other_kid) = (company().control_kid().to_string(), company().kid().to_string());
    let large = format!("{{{}", " ".repeat(512));
    vec![
        ("alg none", forger.header("EdDSA", "none"), "transaction.algorithm"),
        ("alg HS256", forger.header("EdDSA", "HS256"), "transaction.algorithm"),
        ("alg ES256 for an Ed25519 key", forger.header("EdDSA", "ES256"), "transaction.algorithm"),
        ("alg in another case", forger.header("EdDSA", "EDDSA"), "transaction.algorithm"),
        ("typ JWT", forger.header("aval-tx+jwt", "JWT"), MALFORMED),
        ("a header with jwk", forger.header("{", r#"{"jwk":{},"#), MALFORMED),
        ("a header with jku", forger.header("{", r#"{"jku":"https://evil.example","#), MALFORMED),
        ("a header with crit", forger.header("{", r#"{"crit":["exp"],"#), MALFORMED),
        ("a header with alg twice", forger.header("{", r#"{"alg":"none","#), MALFORMED),
        ("a header above 512 bytes", forger.header("{", &large), "transaction.oversized"),
        ("the kid of another key", forger.header(&kid, &other_kid), SIGNERS),
    ]
}

fn bad_payloads() -> Vec<Bad> {
    let forger = Forger::new();
    let (network, kid) = (network().to_string(), company().control_kid().to_string());
    let action = forger.payload.split_once(r#""action":"#).unwrap().1;
    let action = action.split_once(r#","signers""#).unwrap().0.to_owned();
    let large = format!("{{{}", " ".repeat(16 * 1024));
    let before_nbf = |member: &str| forger.payload(r#""nbf":"#, &format!(r#"{member},"nbf":"#));
    let exp = |seconds: &str| forger.payload(r#""exp":1795306200"#, &format!(r#""exp":{seconds}"#));
    let role = |role: &str| forger.payload(r#""controller""#, role);
    let presentation = format!(r#""presentation":"{}""#, b64u::encode(sd_hash()));
    let jti = (r#""jti":"01920000-0000-7000"#, r#""jti":"01920000-000A-7000"#);
    vec![
        ("a member twice", before_nbf(r#""nbf":1"#), MALFORMED),
        ("a member too many", before_nbf(r#""note":"hello""#), MALFORMED),
        ("a fraction", exp("1795306200.0"), MALFORMED),
        ("an exponent", exp("1795306200e0"), MALFORMED),
        ("a negative time", exp("-1"), MALFORMED),
        ("a jti with capitals", forger.payload(jti.0, jti.1), MALFORMED),
        ("a null presentation", before_nbf(r#""presentation":null"#), MALFORMED),
        ("an unknown action", forger.payload("did.update", "did.upgrade"), MALFORMED),
        (
            "a member too many in the action",
            forger.payload(r#""previous":"#, r#""x":1,"previous":"#),
            MALFORMED,
        ),
        ("an unknown role", role(r#""owner""#), MALFORMED),
        ("a network without genesis hash", forger.payload(&network, "aval:demo"), MALFORMED),
        ("an action in a list", forger.payload(&action, &format!("[{action}]")), "transaction.one_action"),
        (
            "two actions in a list",
            forger.payload(&action, &format!("[{action},{action}]")),
            "transaction.one_action",
        ),
        ("an actions member", before_nbf(r#""actions":[]"#), "transaction.one_action"),
        ("a window of no second", exp("1795305600"), WINDOW),
        ("a window of 601 seconds", exp("1795306201"), WINDOW),
        ("a DID of another network", forger.payload("aval:demo:", "aval:test:"), "did.network"),
        ("no signers", forger.payload(&format!(r#"{{"role":"controller","kid":"{kid}"}}"#), ""), SIGNERS),
        ("a sender of did.update", role(r#""sender""#), SIGNERS),
        ("an endorser alone", role(r#""endorser""#), SIGNERS),
        ("a presentation for did.update", before_nbf(&presentation), "presentation.unexpected"),
        ("a payload above 16 KiB", forger.payload("{", &large), "transaction.oversized"),
    ]
}

/// Refusals that need other actions than an update.
fn bad_signers() -> Vec<Bad> {
    let (company, bank) = (company(), bank());
    let create =
        transaction(create(&company, None), 1).controller(company.control_kid()).endorser(bank.kid());
    let payload = String::from_utf8(create.build().unwrap().payload_bytes().to_vec()).unwrap();
    let (control, endorser) = (company.control_kid(), bank.kid());
    let entry = |kid: &crate::transaction::KeyId, key: &SigningKey, payload: &str| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"aval-tx+jwt"}}"#);
        let input = format!("{}.{}", b64u::encode(&header), b64u::encode(payload));
        let (header, signature) = (b64u::encode(&header), b64u::encode(key.sign(input.as_bytes())));
        format!(r#"{{"protected":"{header}","signature":"{signature}"}}"#)
    };
    let general = |payload: &str, entries: &[String]| {
        format!(r#"{{"payload":"{}","signatures":[{}]}}"#, b64u::encode(payload), entries.join(","))
    };
    let ours = entry(&control, &company.control, &payload);
    let theirs = entry(&endorser, &bank.key, &payload);
    let alone = payload.replace(&format!(r#",{{"role":"endorser","kid":"{endorser}"}}"#), "");
    assert_ne!(alone, payload);
    let rotate = payload.replacen("did.create", "did.deactivate", 1).replacen(
        &payload[payload.find(r#""control":"#).unwrap()..payload.find(r#"},"signers""#).unwrap()],
        &format!(r#""previous":"{}""#, company.version()),
        1,
    );
    vec![
        ("signatures in the wrong order", general(&payload, &[theirs.clone(), ours.clone()]), SIGNERS),
        ("the endorser's signature missing", general(&payload, std::slice::from_ref(&ours)), SIGNERS),
        (
            "did.create with neither endorser nor grant",
            general(&alone, &[entry(&control, &company.control, &alone)]),
            "grant.required",
        ),
        (
            "an endorser of did.deactivate",
            general(
                &rotate,
                &[entry(&control, &company.control, &rotate), entry(&endorser, &bank.key, &rotate)],
            ),
            "endorser.scope",
        ),
    ]
}

/// Bad envelopes, as a faulty proposer might put them into a block.
pub(super) fn envelopes() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let phone = Person::with_keys(6, Algorithm::Es256);
    let es256 =
        transaction(update(&phone), 9).controller(phone.control_kid()).sign(&[&phone.control]).unwrap();
    let good = es256.to_envelope();
    let tail = good.len() - 64;
    let high = [&good[..tail], &high_s(es256.signatures()[0].bytes())].concat();
    let mut long = good.clone();
    long[..4].copy_from_slice(&[0, 0, 0x40, 1]);
    let mut many = good.clone();
    let payload = es256.payload_bytes().len();
    many[4 + payload] = 19;
    vec![
        ("ES256 with a high S", high, "transaction.signature"),
        ("ES256 with r and s zero", [&good[..tail], &[0; 64]].concat(), "transaction.signature"),
        ("a byte too many", [good.as_slice(), &[0]].concat(), "transaction.malformed"),
        ("a byte too few", good[..good.len() - 1].to_vec(), "transaction.malformed"),
        ("a payload length above 16 KiB", long, "transaction.oversized"),
        ("more signatures than there may be", many, "transaction.oversized"),
    ]
}
