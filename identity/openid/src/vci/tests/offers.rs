//! Offers that are not what they should be.

use super::world::*;
use crate::url_rules::UrlPolicy;
use crate::vci::PRE_AUTHORIZED_CODE;
use crate::vci::offer::{CredentialOffer, InputMode, OfferLink, SCHEME, TransactionCodeSpec};
use proptest::prelude::*;

fn parse(link: &str) -> Result<OfferLink, &'static str> {
    OfferLink::parse(link, UrlPolicy::HTTPS).map_err(|error| error.code())
}

fn parse_object(text: &str) -> Result<CredentialOffer, &'static str> {
    CredentialOffer::parse(text.as_bytes(), UrlPolicy::HTTPS).map_err(|error| error.code())
}

#[test]
fn the_link_of_the_specification_is_read() {
    let link = "openid-credential-offer://?credential_offer=%7B%22credential_issuer%22:%22https://credential-issuer.\
        example.com%22,%22credential_configuration_ids%22:%5B%22org.iso.18013.5.1.mDL%22%5D,%22grants%22:%7B%22urn:\
        ietf:params:oauth:grant-type:pre-authorized_code%22:%7B%22pre-authorized_code%22:%22oaKazRN8I0IbtZ0C7JuMn5\
        %22,%22tx_code%22:%7B%22input_mode%22:%22text%22,%22description%22:%22Please%20enter%20the%20serial%20\
        number%20of%20your%20physical%20drivers%20license%22%7D%7D%7D%7D";
    let Ok(OfferLink::Value(offer)) = parse(link) else { panic!("the example is read") };
    assert_eq!(offer.credential_issuer, "https://credential-issuer.example.com");
    assert_eq!(offer.credential_configuration_ids, ["org.iso.18013.5.1.mDL"]);
    let grant = offer.pre_authorized_code().unwrap();
    assert_eq!(grant.code, "oaKazRN8I0IbtZ0C7JuMn5");
    let spec = grant.tx_code.as_ref().unwrap();
    assert_eq!(spec.input_mode, Some(InputMode::Text));
    assert!(spec.description.as_ref().unwrap().starts_with("Please enter the serial number"));
}

#[test]
fn an_offer_is_read_as_it_was_written() {
    let offer = World::new().offer(Some(TX_CODE));
    assert_eq!(parse(&offer.to_uri()), Ok(OfferLink::Value(offer.clone())));
    assert!(!offer.to_uri().contains('+'));
    let web = offer.to_uri().replace("openid-credential-offer://", "https://wallet.example/offer");
    assert_eq!(parse(&web), Ok(OfferLink::Value(offer)));
}

#[test]
fn an_empty_description_of_a_transaction_code_still_wants_one() {
    let text = format!(
        r#"{{"credential_issuer":"{ISSUER}","credential_configuration_ids":["a"],
        "grants":{{"{PRE_AUTHORIZED_CODE}":{{"pre-authorized_code":"x","tx_code":{{}}}}}}}}"#
    );
    let offer = parse_object(&text).unwrap();
    assert_eq!(offer.pre_authorized_code().unwrap().tx_code, Some(TransactionCodeSpec::default()));
}

#[test]
fn unknown_members_are_ignored() {
    let text = format!(
        r#"{{"credential_issuer":"{ISSUER}","credential_configuration_ids":["a"],"more":[1],
        "grants":{{"authorization_code":{{"issuer_state":"x"}}}}}}"#
    );
    assert_eq!(parse_object(&text).unwrap().pre_authorized_code(), None);
}

#[test]
fn an_oversized_offer_is_refused() {
    let link = format!("{SCHEME}://?credential_offer={}", "x".repeat(20_000));
    assert_eq!(parse(&link), Err("openid.oversized"));
    let text = format!(r#"{{"credential_issuer":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(parse_object(&text), Err("openid.oversized"));
}

#[test]
fn links_that_are_no_offer_are_refused() {
    let offer = World::new().offer(None).to_uri();
    for link in [
        String::new(),
        "hello".to_owned(),
        format!("{SCHEME}://"),
        format!("{SCHEME}://?"),
        format!("{SCHEME}://?credential_offer="),
        format!("{SCHEME}://?credential_offer=%7B%7D"),
        offer.replace(SCHEME, "http"),
        offer.replace(SCHEME, "file"),
        format!("{offer}&credential_offer=%7B%7D"),
        format!("{offer}&credential_offer_uri=https%3A%2F%2Fissuer.example"),
    ] {
        assert_eq!(parse(&link), Err("openid.offer"), "{link}");
    }
}

#[test]
fn references_into_the_wallets_own_network_are_refused() {
    for reference in [
        "http://issuer.example/offer",
        "https://10.0.0.1/offer",
        "http://127.0.0.1/offer",
        "file:///etc/passwd",
    ] {
        assert_eq!(parse(&CredentialOffer::uri_by_reference(reference)), Err("openid.url"), "{reference}");
    }
    let local = CredentialOffer::uri_by_reference("http://127.0.0.1:8080/offer");
    assert!(OfferLink::parse(&local, UrlPolicy::LOOPBACK).is_ok());
}

#[test]
fn objects_out_of_bounds_are_refused() {
    let good = format!(
        r#"{{"credential_issuer":"{ISSUER}","credential_configuration_ids":["a"],
        "grants":{{"{PRE_AUTHORIZED_CODE}":{{"pre-authorized_code":"x","tx_code":{{"length":6}}}}}}}}"#
    );
    assert!(parse_object(&good).is_ok());
    let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(301));
    for (from, to) in [
        (r#"["a"]"#, "[]"),
        (r#"["a"]"#, r#"["a","a"]"#),
        (r#"["a"]"#, r#"[""]"#),
        (r#"["a"]"#, r#""a""#),
        (r#""x""#, r#""""#),
        (r#""x""#, "null"),
        (r#"{"length":6}"#, r#"{"length":0}"#),
        (r#"{"length":6}"#, r#"{"length":65}"#),
        (r#"{"length":6}"#, r#"{"length":6.5}"#),
        (r#"{"length":6}"#, r#"{"input_mode":"dance"}"#),
        (r#"{"length":6}"#, long.as_str()),
        (r#"{"credential_issuer""#, r#"{"grants":{},"credential_issuer""#),
    ] {
        assert_eq!(parse_object(&good.replacen(from, to, 1)), Err("openid.offer"), "{to}");
    }
    for issuer in
        ["http://issuer.example", "https://issuer.example?x=1", "https://issuer.example#x", "issuer"]
    {
        assert_eq!(parse_object(&good.replace(ISSUER, issuer)), Err("openid.url"), "{issuer}");
    }
}

proptest! {
    #[test]
    fn no_link_makes_the_reader_panic(link in "(openid-credential-offer://|https://)?.{0,200}") {
        let _ = OfferLink::parse(&link, UrlPolicy::LOOPBACK);
    }
}
