//! Status entries and status lists.

use super::super::world::*;
use super::Case;
use crate::status::{BitstringList, TokenEntry, TokenList, TokenListClaims, inflate};
use crate::verifier::{Input, Kind};
use aval_codec::b64u;
use serde_json::{Value, json};

/// A credential with this status, signed.
fn case(name: &'static str, wrong: &'static str, status: Value, code: &'static str) -> Case {
    let document = di(&with(credential(), "/credentialStatus", status), ISSUER);
    Case::new(name, wrong, Kind::Credential, Input::Json(document), code)
}

/// A good entry in another list than there should be.
fn in_list(name: &'static str, wrong: &'static str, list: String, code: &'static str) -> Case {
    case(name, wrong, entry("revocation", 5), code)
        .facts(move |facts| drop(facts.lists.insert((false, LIST.into()), list)))
}

fn with_token(name: &'static str, wrong: &'static str, index: u64, code: &'static str) -> Case {
    let claims = with(claims(), "/status", TokenEntry { uri: TOKENS.into(), index }.to_value());
    Case::new(name, wrong, Kind::Credential, Input::Text(sd_jwt(&claims)), code)
}

fn in_tokens(name: &'static str, wrong: &'static str, list: String, code: &'static str) -> Case {
    with_token(name, wrong, 5, code)
        .undecided()
        .facts(move |facts| drop(facts.lists.insert((true, TOKENS.into()), list)))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = entries();
    cases.extend(lists());
    cases.extend(token_lists());
    cases
}

fn entries() -> Vec<Case> {
    let index = with(entry("revocation", 5), "/statusListIndex", json!("-5"));
    let elsewhere = json!([entry("revocation", 5), entry("suspension", 7)]);
    vec![
        case("revoked", "the credential is revoked", entry("revocation", 7), "status.revoked"),
        case("suspended", "the credential is suspended", entry("suspension", 7), "status.suspended"),
        case(
            "second-entry-says-suspended",
            "the first of two entries is clear, the second is not",
            elsewhere,
            "status.suspended",
        ),
        case(
            "index-out-of-range",
            "the index lies behind the end of the list",
            entry("revocation", 1 << 17),
            "status.range",
        ),
        case(
            "index-beyond-all-lists",
            "the index is larger than any integer",
            entry("revocation", u64::MAX),
            "status.range",
        ),
        case("negative-index", "the index is negative", index, "status.malformed"),
        case(
            "purpose-of-another-list",
            "the list is not for the purpose of the entry",
            entry("approval", 5),
            "status.purpose",
        ),
        case(
            "kind-of-status-unknown",
            "the credential names a kind of status that is not known here",
            json!({"id": "https://university.example/crl#5", "type": "CertificateRevocationList"}),
            "status.unknown_type",
        )
        .undecided(),
        case("no-status", "a status is required, and the credential has none", Value::Null, "status.missing")
            .expecting(|expectation| expectation.status_required = true),
    ]
}

fn lists() -> Vec<Case> {
    let short = json!(format!("u{}", b64u::encode(inflate::gzip(&[0; 16]).unwrap())));
    let short = sign_list(&with(list(), "/credentialSubject/encodedList", short), ISSUER);
    let bomb = json!(format!("u{}", b64u::encode(inflate::gzip(&vec![0; 8 << 20]).unwrap())));
    let bomb = sign_list(&with(list(), "/credentialSubject/encodedList", bomb), ISSUER);
    let broken = sign_list(&with(list(), "/credentialSubject/encodedList", json!("uH4sI")), ISSUER);
    let good = sign_list(&list(), ISSUER);
    let clear = BitstringList::new(&["revocation"], 0, 1).unwrap();
    let clear = clear.to_credential(LIST, ISSUER, &date(NOW_S - 600), &date(NOW_S + 600)).unwrap();
    let forged = {
        let other = sign_list(&clear, ISSUER);
        let payload = other.split('.').nth(1).unwrap();
        let mut parts: Vec<&str> = good.split('.').collect();
        parts[1] = payload;
        parts.join(".")
    };
    let foreign = sign_list(&with(clear, "/issuer", json!(STRANGER)), STRANGER);
    let old = with(list(), "/validUntil", json!(date(NOW_S - 300)));
    let other = with(list(), "/id", json!("https://university.example/status/2"));
    let own = BitstringList::new(&["approval"], 0, 1).map(|mut list| {
        list.set(5, 1).unwrap();
        list.to_credential(LIST, ISSUER, &date(NOW_S - 600), &date(NOW_S + 600)).unwrap()
    });
    let own = sign_list(&own.unwrap(), ISSUER);
    let undecided = |name, wrong, list, code| in_list(name, wrong, list, code).undecided();
    vec![
        in_list(
            "list-too-short",
            "the list has 128 entries: nobody hides in it",
            short,
            "status.list_length",
        ),
        undecided(
            "list-is-a-bomb",
            "8 KiB that unpack to 8 MiB, four times the largest list",
            bomb,
            "status.oversized",
        ),
        undecided("list-is-not-gzip", "the list cannot be unpacked", broken, "status.malformed"),
        undecided("list-forged", "the list was exchanged under the issuer's signature", forged, "signature"),
        undecided(
            "list-of-somebody-else",
            "the list is well signed, and not by the issuer",
            foreign,
            "status.issuer",
        ),
        undecided(
            "list-expired",
            "the list is no longer valid",
            sign_list(&old, ISSUER),
            "credential.expired",
        ),
        undecided(
            "list-of-another-url",
            "the list says that it is another one",
            sign_list(&other, ISSUER),
            "status.other_list",
        ),
        undecided(
            "list-is-no-list",
            "a signed credential that is no status list",
            jwt(&with(credential(), "/id", json!(LIST)), ISSUER),
            "status.malformed",
        )
        .facts(|facts| drop(facts.dids.insert((ISSUER.into(), Some(SIGNED_S)), document(ISSUER)))),
        case(
            "status-value-unknown",
            "a status of the issuer's own kind is set",
            entry("approval", 5),
            "status.unknown_value",
        )
        .undecided()
        .facts(move |facts| drop(facts.lists.insert((false, LIST.into()), own))),
        case(
            "list-unavailable",
            "nobody serves the list at the moment",
            entry("revocation", 5),
            "status.unavailable",
        )
        .undecided()
        .facts(|facts| facts.lists.clear()),
    ]
}

fn token_lists() -> Vec<Case> {
    let signed = |change: &dyn Fn(&mut TokenListClaims)| {
        let mut claims = tokens();
        change(&mut claims);
        sign_tokens(&claims, ISSUER)
    };
    let mut payload = Value::Object(tokens().to_json().unwrap());
    payload["iat"] = json!(NOW_S - 10);
    let header = json!({"kid": method(ISSUER)});
    let untyped = token("JWT", &header, &payload, ISSUER);
    let padded = format!("{}=", payload["status_list"]["lst"].as_str().unwrap());
    let padded =
        token("statuslist+jwt", &header, &with(payload.clone(), "/status_list/lst", json!(padded)), ISSUER);
    let three = token("statuslist+jwt", &header, &with(payload, "/status_list/bits", json!(3)), ISSUER);
    let foreign = TokenListClaims { issuer: Some(STRANGER.into()), ..tokens() };
    let small = signed(&|claims| claims.list = TokenList::new(4, 2).unwrap());
    vec![
        with_token("token-revoked", "the token is revoked", 7, "status.revoked"),
        with_token("token-suspended", "the token is suspended", 8, "status.suspended"),
        with_token(
            "token-index-out-of-range",
            "the index lies behind the end of the list",
            1 << 17,
            "status.range",
        ),
        with_token(
            "token-status-unknown",
            "the status has a meaning for the issuer only",
            9,
            "status.unknown_value",
        )
        .undecided(),
        with_token(
            "token-index-in-a-small-list",
            "the list has four entries, the index is the sixth",
            5,
            "status.range",
        )
        .facts(move |facts| drop(facts.lists.insert((true, TOKENS.into()), small))),
        in_tokens(
            "token-list-without-type",
            "the list's token is typed `JWT`: it could be anything",
            untyped,
            "jose.type",
        ),
        in_tokens(
            "token-list-padded",
            "the list is base64 with padding, as an old draft had it",
            padded,
            "status.malformed",
        ),
        in_tokens(
            "token-list-of-three-bits",
            "the list has entries of three bits",
            three,
            "status.malformed",
        ),
        in_tokens(
            "token-list-of-another-uri",
            "the subject of the list is another URI",
            signed(&|claims| claims.uri = format!("{TOKENS}0")),
            "status.other_list",
        ),
        in_tokens(
            "token-list-expired",
            "the status list has expired",
            signed(&|claims| claims.expires_s = Some(NOW_S - 300)),
            "credential.expired",
        ),
        in_tokens(
            "token-list-of-somebody-else",
            "the list is well signed, and not by the issuer",
            sign_tokens(&foreign, STRANGER),
            "status.issuer",
        ),
        in_tokens(
            "token-list-by-a-stranger",
            "the list says that it is the issuer's, and a stranger signed it",
            sign_tokens(&tokens(), STRANGER),
            "issuer.key",
        ),
    ]
}
