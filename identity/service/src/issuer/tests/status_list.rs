//! The status list as verifiers get it.

use super::world::World;
use crate::tests::{Answer, request};
use aval_codec::b64u;
use aval_credential::jws::Jws;
use aval_credential::{date, date::Rounding};
use std::io::Read as _;
use std::sync::atomic::Ordering;

async fn fetch(world: &World, headers: &[(&str, &str)]) -> Answer {
    request("GET", world.endpoint("/status/membership"), headers, b"").await
}

/// The list's bits, after its signature and form were checked.
fn read(world: &World, answer: &Answer) -> Vec<u8> {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/vc+jwt"));
    assert_eq!(answer.header("cache-control"), "public, max-age=2");
    let issuer = world.chain.kit.lock().unwrap().issuer.clone();
    let jws = Jws::parse(&answer.text(), "list", "vc+jwt", aval_codec::Limits::bytes(1 << 20)).unwrap();
    jws.verify(&issuer.authentication.public()).unwrap();
    assert_eq!(jws.key_id(), Some(issuer.key_url().as_str()));
    let credential = serde_json::to_value(jws.payload()).unwrap();
    let uri = world.endpoint("/status/membership");
    assert_eq!(credential["id"], uri.as_str());
    assert_eq!(credential["issuer"], issuer.did.as_str());
    assert_eq!(credential["type"][1], "BitstringStatusListCredential");
    assert_eq!(credential["credentialSubject"]["type"], "BitstringStatusList");
    assert_eq!(credential["credentialSubject"]["statusPurpose"], "revocation");
    assert_ne!(credential["credentialSubject"]["id"], credential["id"]);
    let time = |name: &str| date::parse(credential[name].as_str().unwrap(), Rounding::Down).unwrap();
    let now_s = crate::clock::now_s();
    assert!(time("validFrom") <= now_s && now_s < time("validUntil"));
    let encoded = credential["credentialSubject"]["encodedList"].as_str().unwrap();
    let compressed = b64u::decode(encoded.strip_prefix('u').expect("multibase base64url")).unwrap();
    let mut bits = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut bits).unwrap();
    assert_eq!(bits.len(), 16 * 1024, "the smallest list that hides an index");
    bits
}

/// The bits of a list as `vc+jwt`; whoever wants to know whether it is signed looks in [`read`].
pub(super) fn bits(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let payload = b64u::decode(text.split('.').nth(1).unwrap()).unwrap();
    let credential: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let encoded = credential["credentialSubject"]["encodedList"].as_str().unwrap();
    let compressed = b64u::decode(encoded.strip_prefix('u').unwrap()).unwrap();
    let mut bits = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).read_to_end(&mut bits).unwrap();
    bits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_the_form_that_a_verifier_takes() {
    use aval_formats::status::{BitstringList, TokenListClaims};
    let world = World::start().await;
    let (received, id) = world.issued().await;
    world.issuer.revoke(&id, "test").await.unwrap();
    let index = received.presentation.status()[0].index;
    let public = world.chain.kit.lock().unwrap().issuer.authentication.public();
    let key = aval_formats::VerificationKey::from(public);
    let of = async |accept: &str| fetch(&world, &[("accept", accept)]).await;

    let answer = of("application/vc").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/vc"));
    let credential = answer.json();
    aval_formats::data_integrity::verify_proof(&credential, &credential["proof"], &key).unwrap();
    let list = BitstringList::read(&credential, 1).unwrap();
    assert_eq!((list.value(index, 1).unwrap(), list.ttl_ms), (1, Some(2_000)));
    assert_eq!(list.value(index ^ 1, 1).unwrap(), 0);

    let answer = of("application/statuslist+jwt").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/statuslist+jwt"));
    let limits = aval_formats::json::Limits::default();
    let types = [aval_formats::status::token::JWT_TYPE];
    let jwt = aval_formats::jose::Jwt::parse(&answer.text(), "status list", &types, limits).unwrap();
    jwt.verify(&key).unwrap();
    let claims = TokenListClaims::from_json(jwt.payload()).unwrap();
    claims.check(&world.endpoint("/status/membership"), crate::clock::now_s(), 0).unwrap();
    assert_ne!(claims.list.status(index).unwrap(), claims.list.status(index ^ 1).unwrap());

    let answer_cwt = of("application/statuslist+cwt").await;
    assert_eq!((answer_cwt.status, answer_cwt.header("content-type")), (200, "application/statuslist+cwt"));
    let types = [aval_formats::status::token::CWT_TYPE];
    let message = aval_formats::cose::Sign1::parse(&answer_cwt.body, "status list", &types, limits).unwrap();
    message.verify(&key).unwrap();
    let claims = TokenListClaims::from_cbor(message.payload()).unwrap();
    claims.check(&world.endpoint("/status/membership"), crate::clock::now_s(), 0).unwrap();
    assert_eq!(claims.ttl_s, Some(2));
    assert_ne!(claims.list.status(index).unwrap(), claims.list.status(index ^ 1).unwrap());
    let again = [("accept", "application/statuslist+cwt"), ("if-none-match", answer_cwt.header("etag"))];
    assert_eq!(fetch(&world, &again).await.status, 304);

    let tags =
        [of("application/vc").await, of("*/*").await, answer].map(|answer| answer.header("etag").to_owned());
    assert!(tags[0] != tags[1] && tags[1] != tags[2], "each form has a tag of its own");
    assert_eq!(of("application/vc+jwt;q=0.1, application/vc").await.header("content-type"), "application/vc");
    assert_eq!(of("text/html, */*;q=0.8").await.header("content-type"), "application/vc+jwt");
    assert_eq!(of("image/png").await.status, 406);
    assert_eq!(of("application/vc;q=0").await.status, 406);
    assert_eq!(request("GET", world.endpoint("/status/other"), &[], b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_leads_to_a_signed_list_that_has_its_revocation() {
    let world = World::start().await;
    let (received, id) = world.issued().await;
    let status = received.presentation.status()[0].clone();
    assert_eq!(status.list, world.endpoint("/status/membership"));
    let before = fetch(&world, &[]).await;
    assert!(read(&world, &before).iter().all(|byte| *byte == 0));
    world.issuer.revoke(&id, "test").await.unwrap();
    let after = fetch(&world, &[]).await;
    let bits = read(&world, &after);
    assert_eq!(bits.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    let index = usize::try_from(status.index).unwrap();
    assert_ne!(bits[index / 8] & (0x80 >> (index % 8)), 0, "index 0 is the highest bit of the first byte");
    assert_ne!(before.header("etag"), after.header("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_has_not_changed_is_neither_sent_nor_read_again() {
    let world = World::start().await;
    let first = fetch(&world, &[]).await;
    let reads = world.chain.reads.load(Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(fetch(&world, &[]).await.body, first.body);
    }
    let weak = format!("\"other\", W/{}", first.header("etag"));
    for tag in [first.header("etag"), weak.as_str(), "*"] {
        let answer = fetch(&world, &[("if-none-match", tag)]).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), first.header("etag"));
    }
    assert_eq!(fetch(&world, &[("if-none-match", "\"other\"")]).await.status, 200);
    assert_eq!(world.chain.reads.load(Ordering::SeqCst), reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_read_the_ledger_once() {
    let world = World::start().await;
    let before = world.chain.reads.load(Ordering::SeqCst);
    world.chain.delay_ms.store(100, Ordering::SeqCst);
    let answers =
        tokio::join!(fetch(&world, &[]), fetch(&world, &[]), fetch(&world, &[]), fetch(&world, &[]));
    assert_eq!([answers.0.status, answers.1.status, answers.2.status, answers.3.status], [200; 4]);
    assert_eq!(
        world.chain.reads.load(Ordering::SeqCst),
        before + 2,
        "a list of 16,384 entries has two chunks"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_list_is_served_while_the_ledger_cannot_be_reached() {
    let world = World::start().await;
    world.chain.reachable.store(false, Ordering::SeqCst);
    fetch(&world, &[]).await.assert_refused(503, "temporarily_unavailable");
    world.chain.reachable.store(true, Ordering::SeqCst);
    let first = fetch(&world, &[]).await;
    world.chain.reachable.store(false, Ordering::SeqCst);
    assert!(world.issuer.revoke("x", "test").await.is_err());
    assert_eq!(fetch(&world, &[]).await.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_may_have_from_2_17_to_2_24_entries() {
    use crate::issuer::decisions::prepare_ledger;
    use crate::issuer::status_list::{Form, StatusList};
    use crate::issuer::tests::world::{TestChain, config};
    let (public, admin) = ("127.0.0.1:8100".parse().unwrap(), "127.0.0.1:8101".parse().unwrap());
    for size in [1 << 17, 1 << 20, 1 << 24] {
        let mut config = config(public, admin);
        config.registries[0].size = size;
        config.validate().unwrap();
        let chain = TestChain::new();
        let keys = chain.keys_of(|kit| kit.issuer.clone());
        let ledger = chain.ledger(&config, &keys);
        prepare_ledger(&config, &ledger).await.unwrap();
        let uri = config.list_uri("membership");
        let last = u64::from(size) - 1;
        let changed = ledger.change(&uri, last, true).unwrap();
        crate::issuer::ledger::Chain::submit(&*chain, &changed).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let records = crate::storage::Records::open(&folder.path().join("issuer.sqlite")).await.unwrap();
        let list = StatusList::new(uri.clone(), &config.registries[0], keys, ledger, records);
        let signed = list.current(Form::TokenCwt).await.unwrap();
        let types = [aval_formats::status::token::CWT_TYPE];
        let limits = aval_formats::json::Limits::default();
        let message = aval_formats::cose::Sign1::parse(&signed.body, "list", &types, limits).unwrap();
        let claims = aval_formats::status::TokenListClaims::from_cbor(message.payload()).unwrap();
        assert_eq!(claims.list.entries(), u64::from(size));
        assert_ne!(claims.list.status(last).unwrap(), claims.list.status(last - 1).unwrap());
        assert!(claims.list.status(last + 1).is_err(), "there is no such index");
        let signed = list.current(Form::DataIntegrity).await.unwrap();
        let credential: serde_json::Value = serde_json::from_slice(&signed.body).unwrap();
        let read = aval_formats::status::BitstringList::read(&credential, 1).unwrap();
        assert_eq!((read.value(last, 1).unwrap(), read.value(last - 1, 1).unwrap()), (1, 0));
    }
    let mut too_large = config(public, admin);
    too_large.registries[0].size = (1 << 24) + 1024;
    assert!(too_large.validate().is_err());
}
