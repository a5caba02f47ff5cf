//! Inputs to begin with: what `specs/vectors` holds, good and bad, and what the test kit makes.

use aval_codec::json::{self, Json, Limits};
use aval_codec::{Hash, b64u, sha256};
use aval_did::{Did, Operation, SigningKey};
use aval_machine::policy::{DEFAULT_POLICY, POLICY_SCHEMA};
use aval_machine::testkit::Kit;
use aval_openid::vci::{
    AuthorizationServerMetadata, CredentialConfiguration, CredentialOffer, CredentialRequest,
    CredentialResponse, IssuerMetadata, TokenRequest, TokenResponse, TransactionCodeSpec, proof,
};
use aval_proof::audit::AuditWriter;
use aval_proof::snapshot::SnapshotChunk;
use aval_proof::{Certificate, ValidatorSet, signed_bytes};
use aval_types::access::{AccessRequest, AccessToken};
use aval_types::block::{encode_body, transactions_root, witnesses_root};
use aval_types::receipt::receipts_root;
use aval_types::{Block, BlockTransaction, KeyId, SubmittedTransaction};

use crate::openid::ISSUER;

/// The genesis file of the vectors.
pub(crate) const GENESIS: &[u8] = include_bytes!("../../../specs/vectors/genesis.json");

/// Vector files by name.
const FILES: &[(&str, &[u8])] = &[
    ("block", include_bytes!("../../../specs/vectors/block.json")),
    ("certificate", include_bytes!("../../../specs/vectors/certificate.json")),
    ("did", include_bytes!("../../../specs/vectors/did.json")),
    ("ledger-proof", include_bytes!("../../../specs/vectors/ledger-proof.json")),
    ("receipt", include_bytes!("../../../specs/vectors/receipt.json")),
    ("sd-jwt/presentations", include_bytes!("../../../specs/vectors/sd-jwt/presentations.json")),
    ("sd-jwt/rfc9901", include_bytes!("../../../specs/vectors/sd-jwt/rfc9901.json")),
    ("transaction", include_bytes!("../../../specs/vectors/transaction.json")),
    ("transaction-python", include_bytes!("../../../specs/vectors/transaction-python.json")),
    ("trust-chain", include_bytes!("../../../specs/vectors/trust-chain.json")),
];

/// A key for whatever a target signs.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn kid() -> KeyId {
    let did: Did = "did:aval:demo:QmTnjfSdRnAsHghQa3vBnWXoMWA9FqydRZUXBcrqopEhN5".parse().expect("a DID");
    KeyId::new(did, key().public())
}

/// A vector file.
pub(crate) fn vectors(name: &str) -> Json {
    let (_, bytes) = FILES.iter().find(|(known, _)| *known == name).expect("a vector file");
    json::parse(bytes, Limits { bytes_max: usize::MAX, depth_max: 64 }).expect("vectors are strict JSON")
}

/// A state of two entries, on either side of the root, and the root. Ascending by the hashes of the keys.
pub(crate) fn snapshot_state() -> (Hash, Vec<(Vec<u8>, Vec<u8>)>) {
    let is_right = |key: &[u8]| sha256(key).as_bytes()[0] & 0x80 != 0;
    let key = |right: bool| {
        let mut keys = (0u8..).map(|number| vec![b'k', number]);
        keys.find(|key| is_right(key) == right).expect("half of all hashes")
    };
    let entries = vec![(key(false), b"left".to_vec()), (key(true), b"right".to_vec())];
    let [left, right] = [snapshot_leaf(&entries[0]), snapshot_leaf(&entries[1])];
    (sha256(&[b"JMT::IntrnalNode".as_slice(), left.as_bytes(), right.as_bytes()].concat()), entries)
}

fn snapshot_leaf((key, value): &(Vec<u8>, Vec<u8>)) -> Hash {
    sha256(&[b"JMT::LeafNode".as_slice(), sha256(key).as_bytes(), sha256(value).as_bytes()].concat())
}

/// Chunks of that state: the whole, each half, and one that lies.
pub(crate) fn snapshot_chunks() -> Vec<Vec<u8>> {
    let (_, entries) = snapshot_state();
    let [left, right] = [snapshot_leaf(&entries[0]), snapshot_leaf(&entries[1])];
    let mut half = [0; 32];
    half[0] = 0x80;
    let chunk = |from: [u8; 32], siblings: Vec<Hash>, entries: &[(Vec<u8>, Vec<u8>)]| {
        let chunk = SnapshotChunk { height: 7, from: Hash::new(from), siblings, entries: entries.to_vec() };
        chunk.encode().expect("a short chunk")
    };
    vec![
        chunk([0; 32], Vec::new(), &entries),
        chunk([0; 32], vec![right], &entries[..1]),
        chunk(half, vec![left], &entries[1..]),
        chunk([0; 32], vec![right], &[]),
    ]
}

/// Every text under a member of this name, anywhere in a vector file.
fn texts(file: &str, member: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&vectors(file), member, &mut found);
    assert!(!found.is_empty(), "{file} has no {member}");
    let text = |value: Json| match value {
        Json::String(text) => text,
        other => String::from_utf8(other.to_jcs()).expect("JSON is UTF-8"),
    };
    found.into_iter().filter(|value| *value != Json::Null).map(text).collect()
}

fn collect(value: &Json, member: &str, found: &mut Vec<Json>) {
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                if name == member {
                    found.push(value.clone());
                } else {
                    collect(value, member, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, member, found)),
        _ => {}
    }
}

fn bytes(texts: impl IntoIterator<Item = String>) -> Vec<Vec<u8>> {
    texts.into_iter().map(String::into_bytes).collect()
}

/// Texts that hold bytes in hexadecimal digits.
fn from_hex(texts: impl IntoIterator<Item = String>) -> Vec<Vec<u8>> {
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    texts.into_iter().filter_map(|text| text.as_bytes().chunks(2).map(byte).collect()).collect()
}

/// Transactions of the kit, with and without a presentation, with one signature and with two.
fn submitted() -> Vec<SubmittedTransaction> {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let (bank, _) = kit.endorser(2);
    let mut phone = kit.company_p256(3);
    let credential = kit.membership(&phone);
    let create = phone.create_with(&kit, &credential);
    let document = kit.document(&phone, 2);
    let update = phone.update_endorsed(&kit, document, &bank);
    let endorsed = kit.company(4).create_endorsed(&kit, &bank);
    let further = kit.membership(&company);
    let present = company.present(&kit, &further);
    vec![create, update, endorsed, present, kit.revoke(&further)]
}

fn in_block(submitted: &SubmittedTransaction) -> BlockTransaction {
    BlockTransaction { envelope: submitted.transaction.to_envelope(), witness: submitted.witness.clone() }
}

pub(crate) fn submissions() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("transaction", "submission"));
    all.extend(bytes(texts("transaction-python", "body")));
    all.extend(submitted().iter().map(SubmittedTransaction::to_body));
    all
}

pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("transaction", "payload"));
    all.extend(submitted().iter().map(|one| one.transaction.payload_bytes().to_vec()));
    all
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let mut all = from_hex(texts("transaction", "envelope"));
    all.extend(submitted().iter().map(|one| one.transaction.to_envelope()));
    all
}

pub(crate) fn bodies() -> Vec<Vec<u8>> {
    let transactions: Vec<BlockTransaction> = submitted().iter().map(in_block).collect();
    let stripped = |one: &BlockTransaction| BlockTransaction { witness: one.witness.strip(), ..one.clone() };
    let stripped: Vec<_> = transactions.iter().map(stripped).collect();
    vec![
        encode_body(&[]),
        encode_body(&transactions[..1]),
        encode_body(&transactions),
        encode_body(&stripped),
    ]
}

pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let mut all = from_hex(texts("block", "block"));
    all.extend(from_hex(texts("block", "stripped")));
    all
}

pub(crate) fn headers() -> Vec<Vec<u8>> {
    from_hex(texts("block", "header"))
}

pub(crate) fn receipts() -> Vec<Vec<u8>> {
    bytes(texts("receipt", "bytes"))
}

pub(crate) fn certificates() -> Vec<Vec<u8>> {
    bytes(texts("certificate", "certificate"))
}

pub(crate) fn ledger_proofs() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("ledger-proof", "proof"));
    all.extend(bytes(texts("trust-chain", "proof")));
    all
}

pub(crate) fn trust_chains() -> Vec<Vec<u8>> {
    bytes(texts("trust-chain", "chain"))
}

pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    bytes(texts("ledger-proof", "checkpoint"))
}

/// A bundle of one block with two transactions, certified by all validators.
pub(crate) fn audits() -> Vec<Vec<u8>> {
    let mut kit = Kit::new(1);
    let (genesis, bytes) = (kit.genesis().clone(), kit.genesis_bytes().to_vec());
    let network = kit.network().clone();
    let mut keys = kit.validator_keys().to_vec();
    keys.sort_by_key(SigningKey::public);
    let transactions = [kit.create_registry()];
    let checked: Vec<_> = transactions.iter().map(|one| kit.checked(one.clone())).collect();
    let context = kit.next_context();
    let executed = kit.apply_block(&checked).expect("the registry can be made");
    let transactions: Vec<_> = transactions.iter().map(in_block).collect();
    let mut header = genesis.header(network.genesis(), Hash::ZERO);
    header.parent = header.digest();
    header.height = 1;
    header.view = 1;
    header.time_ms = context.time_ms;
    header.transactions_root = transactions_root(&transactions);
    header.witnesses_root = witnesses_root(&transactions);
    header.receipts_root = receipts_root(&executed.receipts);
    let message = signed_bytes(&network.genesis(), 0, 1, 0, &header.digest());
    let count = u32::try_from(ValidatorSet::of_genesis(&genesis).count()).expect("a small set");
    let certificate = Certificate {
        epoch: 0,
        view: 1,
        parent_view: 0,
        signers: (0..count).collect(),
        signatures: keys.iter().map(|key| key.sign(&message)).collect(),
    };
    let receipts: Vec<_> = executed.receipts.iter().map(aval_types::Receipt::encode).collect();
    let (mut writer, mut bundle) = AuditWriter::begin(&network, &bytes, 1, 1);
    bundle.extend(writer.block(&Block { header, transactions }, &receipts, Some(certificate)));
    bundle.extend(writer.end());
    vec![bundle]
}

pub(crate) fn geneses() -> Vec<Vec<u8>> {
    vec![GENESIS.to_vec(), Kit::new(1).genesis_bytes().to_vec()]
}

pub(crate) fn policies() -> Vec<Vec<u8>> {
    let overflow =
        r#"@id("a") permit (principal, action, resource) when { context.time + 9223372036854775807 > 0 };"#;
    let named = r#"@id("b") forbid (principal == Did::"x", action in [Action::"did.create"], resource)
        unless { principal.roles.containsAny(["member"]) || !context.presentation };"#;
    let of_schema = POLICY_SCHEMA.lines().take(4).collect::<String>();
    bytes([DEFAULT_POLICY.to_owned(), overflow.to_owned(), named.to_owned(), of_schema])
}

pub(crate) fn jsons() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":[1,-9007199254740991,true,null,"\u00e4\ud83d\ude00\n"],"b":{}}"#,
        r#"{"a":1,"a":2}"#,
        "[1.0]",
        "[-0]",
        r#""\ud800""#,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ];
    let mut all = bytes(texts.map(str::to_owned));
    all.extend(payloads().into_iter().take(3));
    all
}

pub(crate) fn schemas() -> Vec<Vec<u8>> {
    let schema = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["a"],
        "properties":{"a":{"type":["string","null"],"minLength":1,"maxLength":9},"b":{"enum":["x",1,null]},
        "c":{"type":"array","items":{"minimum":1,"exclusiveMaximum":9},"uniqueItems":true,"maxItems":3}},
        "additionalProperties":false,"minProperties":1,"anyOf":[{"not":{"const":1}},true],
        "oneOf":[{"required":["b"]},{"required":["c"]}],"allOf":[{}]}"#;
    let values = [r#"{"a":"xy","b":"x"}"#, r#"{"a":null,"c":[1,2]}"#, r#"{"a":"","b":2}"#, "[]"];
    values.iter().map(|value| format!("{schema}\0{value}").into_bytes()).collect()
}

pub(crate) fn access_tokens() -> Vec<Vec<u8>> {
    let request = AccessRequest::new("GET", "/v1/audit?from=1", b"");
    let text = AccessToken::sign(&kid(), &key(), "zNode", &request, Default::default(), 1_800_000_000);
    let decoded = |segment: &str| b64u::decode(segment).expect("a token is base64url");
    let segments: Vec<_> = text.split('.').take(2).map(decoded).collect();
    vec![segments.join(&0), text.into_bytes()]
}

pub(crate) fn dids() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("did", "versionId"));
    all.extend(bytes(texts("did", "did")));
    let key = key().public().to_multikey();
    let others = [
        format!("did:key:{key}#{key}"),
        "did:aval:demo:QmTnjfSdRnAsHghQa3vBnWXoMWA9FqydRZUXBcrqopEhN5/a?service=x%20y&versionId=1#z"
            .to_owned(),
        "2027-01-15T08:00:00Z".to_owned(),
    ];
    all.extend(bytes(others));
    all
}

pub(crate) fn public_keys() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("did", "multikey"));
    all.extend(bytes(texts("did", "jwk")));
    all
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    bytes(texts("did", "record"))
}

pub(crate) fn operations() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("did", "operation"));
    let create = Kit::new(1).company_of(5, 2, 3).inception();
    let create = serde_json::to_vec(&Operation::Create(create)).expect("an operation is JSON");
    all.push(create);
    all
}

pub(crate) fn presentations() -> Vec<Vec<u8>> {
    let mut all = bytes(texts("sd-jwt/presentations", "presentation"));
    all.extend(bytes(texts("sd-jwt/rfc9901", "presented")));
    all
}

/// The presentations of the vectors as lines of JSON.
pub(crate) fn sd_jwts() -> Vec<Vec<u8>> {
    let lines = |text: String| {
        let (sd_jwt, _) = text.rsplit_once('~')?;
        let mut parts = sd_jwt.split('~');
        let payload = b64u::decode(parts.next()?.split('.').nth(1)?).ok()?;
        let disclosures: Vec<_> = parts.filter_map(|part| b64u::decode(part).ok()).collect();
        Some([vec![payload], disclosures].concat().join(&b'\n'))
    };
    texts("sd-jwt/presentations", "presentation").into_iter().filter_map(lines).collect()
}

pub(crate) fn offers() -> Vec<Vec<u8>> {
    let code = TransactionCodeSpec::digits(6);
    let offer = CredentialOffer::pre_authorized(ISSUER, vec!["m".to_owned()], "code".to_owned(), Some(code));
    let reference = CredentialOffer::uri_by_reference("https://issuer.example/offers/1");
    vec![offer.to_json(), offer.to_uri().into_bytes(), reference.into_bytes()]
}

pub(crate) fn metadata() -> Vec<Vec<u8>> {
    let configuration = CredentialConfiguration::vc_sd_jwt("AvalMembershipCredential", "Membership");
    let issuer = IssuerMetadata::new(ISSUER).with_configuration("m", configuration);
    vec![issuer.to_json(), AuthorizationServerMetadata::new(ISSUER).to_json()]
}

pub(crate) fn token_requests() -> Vec<Vec<u8>> {
    let request = TokenRequest { code: "a code & more".to_owned(), tx_code: Some("123456".to_owned()) };
    let response = TokenResponse::bearer("token".to_owned(), 300).to_json();
    vec![request.to_form(), response, b"Bearer token".to_vec(), br#"{"c_nonce":"n"}"#.to_vec()]
}

pub(crate) fn proofs_of_possession() -> Vec<Vec<u8>> {
    let claims = br#"{"aud":"https://issuer.example/register","iat":1800000000,"nonce":"n"}"#;
    vec![proof::sign(&key(), ISSUER, Some("n"), 1_800_000_000).into_bytes(), claims.to_vec()]
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let proof = proof::sign(&key(), ISSUER, Some("n"), 1_800_000_000);
    let request = CredentialRequest {
        credential_configuration_id: Some("m".to_owned()),
        credential_identifier: None,
        proofs: Some([("jwt".to_owned(), Json::Array(vec![Json::String(proof)]))].into()),
        credential_response_encryption: None,
    };
    let deferred = br#"{"transaction_id":"later"}"#.to_vec();
    vec![request.to_json(), CredentialResponse::of("a~b~".to_owned()).to_json(), deferred]
}
