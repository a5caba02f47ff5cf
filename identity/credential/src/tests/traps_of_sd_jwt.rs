//! One test for each way in which SD-JWT readers have been fooled: header, disclosures, JSON, serialization.

use super::support::*;
use crate::presentation::{Limits, Presentation};
use aval_codec::b64u;
use aval_codec::json::Json;

#[test]
fn the_workshop_makes_good_presentations() {
    assert!(decide(&Workshop::new().build()).is_valid());
}

#[test]
fn the_algorithm_none_is_refused_with_and_without_a_signature() {
    let mut workshop = Workshop::new();
    workshop.header = format!(r#"{{"alg":"none","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
    let text = workshop.build();
    assert_eq!(codes(&text), ["credential.algorithm"]);
    let sd_jwt = workshop.sd_jwt();
    let (jwt, _) = sd_jwt.split_once('~').unwrap();
    let (head, _) = jwt.rsplit_once('.').unwrap();
    assert!(!decide(&format!("{head}.~")).is_valid());
}

#[test]
fn a_symmetric_algorithm_is_refused_even_if_the_public_key_is_its_secret() {
    for name in ["HS256", "hs256", "RS256", "PS256", "ES384", "ES256K", "EdDSA ", "eddsa", ""] {
        let mut workshop = Workshop::new();
        workshop.header = format!(r#"{{"alg":"{name}","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.algorithm"], "{name}");
    }
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_refused() {
    let mut workshop = Workshop::new();
    workshop.header = format!(r#"{{"alg":"ES256","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
    assert_eq!(codes(&workshop.build()), ["credential.algorithm"]);
}

#[test]
fn a_key_inside_the_header_is_not_used() {
    let mut workshop = Workshop::new();
    let jwk = text_of(&stranger().public().to_jwk());
    workshop.header = format!(r#"{{"alg":"EdDSA","jwk":{jwk},"kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
    workshop.signer = stranger();
    assert_eq!(codes(&workshop.build()), ["credential.signature"]);
}

#[test]
fn links_to_keys_inside_the_header_are_not_followed() {
    for member in ["jku", "x5u"] {
        let mut workshop = Workshop::new();
        workshop.header = format!(
            r#"{{"alg":"EdDSA","{member}":"http://127.0.0.1:1/","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#
        );
        assert!(decide(&workshop.build()).is_valid(), "ignored, and the issuer's key still counts");
        workshop.signer = stranger();
        assert_eq!(codes(&workshop.build()), ["credential.signature"]);
    }
}

#[test]
fn a_key_of_another_did_is_refused() {
    for key_id in [
        "did:aval:test:QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB#key-1".to_owned(),
        format!("{ISSUER}x#key-1"),
        ISSUER.to_owned(),
        format!("{ISSUER}#"),
        format!("{ISSUER}?a=b#key-1"),
        format!("{ISSUER}#key-1#key-2"),
        "#key-1".to_owned(),
        "key-1".to_owned(),
    ] {
        let mut workshop = Workshop::new();
        workshop.header = format!(r#"{{"alg":"EdDSA","kid":"{key_id}","typ":"vc+sd-jwt"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.foreign_key"], "{key_id}");
    }
    let mut workshop = Workshop::new();
    workshop.header = r#"{"alg":"EdDSA","typ":"vc+sd-jwt"}"#.to_owned();
    assert_eq!(codes(&workshop.build()), ["credential.foreign_key"]);
    workshop.header = r#"{"alg":"EdDSA","kid":7,"typ":"vc+sd-jwt"}"#.to_owned();
    assert_eq!(codes(&workshop.build()), ["credential.header"]);
}

#[test]
fn a_critical_header_is_refused() {
    for critical in [r#"["b64"]"#, "[]", r#""b64""#] {
        let mut workshop = Workshop::new();
        workshop.header =
            format!(r#"{{"alg":"EdDSA","b64":false,"crit":{critical},"kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.header"]);
    }
}

#[test]
fn a_wrong_or_missing_type_is_refused() {
    for typ in ["JWT", "vc+jwt", "kb+jwt", "aval-tx+jwt", "openid4vci-proof+jwt", "VC+SD-JWT", ""] {
        let mut workshop = Workshop::new();
        workshop.header = format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}","typ":"{typ}"}}"#);
        assert_eq!(codes(&workshop.build()), ["credential.header"], "{typ}");
    }
    let mut workshop = Workshop::new();
    workshop.header = format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}"}}"#);
    assert_eq!(codes(&workshop.build()), ["credential.header"]);
}

#[test]
fn duplicate_json_keys_are_refused_everywhere() {
    let mut workshop = Workshop::new();
    workshop.header = format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{KEY_ID}","typ":"vc+sd-jwt"}}"#);
    assert_eq!(codes(&workshop.build()), ["credential.malformed"]);

    let mut workshop = Workshop::new();
    workshop.payload = workshop.payload.replacen('{', r#"{"issuer":"did:example:other","#, 1);
    assert_eq!(codes(&workshop.build()), ["credential.malformed"]);

    let (encoded, digest) = disclosure(r#"["salt","address",{"city":"a","city":"b"}]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
    });
    workshop.disclosures = vec![encoded];
    assert_eq!(codes(&workshop.build()), ["credential.malformed"]);
}

#[test]
fn numbers_with_a_fraction_are_refused() {
    let mut workshop = Workshop::new();
    workshop.payload = workshop.payload.replacen('{', r#"{"nbf":1.0,"#, 1);
    assert_eq!(codes(&workshop.build()), ["credential.malformed"]);
}

#[test]
fn a_disclosure_that_occurs_twice_is_refused() {
    let mut workshop = Workshop::new();
    workshop.disclosures.push(workshop.disclosures[0].clone());
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn a_disclosure_that_the_issuer_did_not_sign_is_refused() {
    let mut workshop = Workshop::new();
    workshop.disclosures.push(disclosure(r#"["salt","role",["governor"]]"#).0);
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn a_digest_that_stands_in_two_places_is_refused() {
    let twice = Workshop::new().payload(|payload| {
        let digest = payload["credentialSubject"].get("_sd").unwrap().as_array().unwrap()[0].clone();
        payload.insert("evidence".to_owned(), Json::from([("_sd", Json::Array(vec![digest]))]));
    });
    assert_eq!(codes(&twice.build()), ["credential.disclosure"]);
    let mut undisclosed = twice;
    undisclosed.disclosures.clear();
    assert_eq!(codes(&undisclosed.build()), ["credential.disclosure"], "also when nobody discloses it");
}

#[test]
fn a_disclosed_claim_may_not_shadow_one_in_plain_text() {
    let (encoded, digest) = disclosure(r#"["salt","role",["governor"]]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
    });
    workshop.disclosures = vec![encoded];
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn two_disclosures_may_not_bring_the_same_claim() {
    let (first, first_digest) = disclosure(r#"["salt-1","age",1]"#);
    let (second, second_digest) = disclosure(r#"["salt-2","age",2]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(vec![first_digest, second_digest]));
    });
    workshop.disclosures = vec![first, second];
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn reserved_names_are_refused_in_disclosures_and_payload() {
    for name in ["_sd", "...", "_sd_alg"] {
        let (encoded, digest) = disclosure(&format!(r#"["salt","{name}","x"]"#));
        let mut workshop = Workshop::new().subject(|subject| {
            subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
        });
        workshop.disclosures = vec![encoded];
        assert_eq!(codes(&workshop.build()), ["credential.disclosure"], "{name}");
    }
    for (name, value) in
        [("...", Json::from("x")), ("_sd_alg", Json::from("sha-256")), ("_sd", Json::from("x"))]
    {
        let mut workshop = Workshop::new().subject(|subject| {
            subject.insert(name.to_owned(), value);
        });
        workshop.disclosures.clear();
        assert_eq!(codes(&workshop.build()), ["credential.disclosure"], "{name}");
    }
}

#[test]
fn another_hash_algorithm_is_refused() {
    for value in [Json::from("sha-512"), Json::from("md5"), Json::from("SHA-256"), Json::Null, Json::Int(256)]
    {
        let workshop = Workshop::new().payload(|payload| {
            payload.insert("_sd_alg".to_owned(), value);
        });
        assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
    }
    let absent = Workshop::new().payload(|payload| {
        payload.remove("_sd_alg");
    });
    assert!(decide(&absent.build()).is_valid(), "without a name it is sha-256");
}

#[test]
fn a_disclosure_of_the_wrong_form_for_its_place_is_refused() {
    let (member, member_digest) = disclosure(r#"["salt","name","value"]"#);
    let (element, element_digest) = disclosure(r#"["salt","value"]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(vec![element_digest]));
    });
    workshop.disclosures = vec![element];
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.remove("_sd");
        subject.insert("list".to_owned(), Json::Array(vec![Json::from([("...", member_digest)])]));
    });
    workshop.disclosures = vec![member];
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn a_disclosure_that_is_no_array_of_the_right_kind_is_refused() {
    for text in
        ["{}", "[]", r#"["s"]"#, r#"["s","n","v","w"]"#, r#"[1,"n","v"]"#, r#"["s",1,"v"]"#, "[1,2]", "x"]
    {
        let mut workshop = Workshop::new();
        workshop.disclosures = vec![disclosure(text).0];
        assert_eq!(codes(&workshop.build()), ["credential.malformed"], "{text}");
    }
}

#[test]
fn concealed_array_elements_appear_only_when_disclosed() {
    let (first, first_digest) = disclosure(r#"["salt-1","SQ"]"#);
    let (_, second_digest) = disclosure(r#"["salt-2","EN"]"#);
    let mut workshop = Workshop::new().subject(|subject| {
        subject.remove("_sd");
        let elements =
            vec![Json::from([("...", first_digest)]), Json::from([("...", second_digest)]), Json::from("DE")];
        subject.insert("languages".to_owned(), Json::Array(elements));
    });
    workshop.disclosures = vec![first];
    let presentation = parse(&workshop.build()).unwrap();
    assert_eq!(presentation.credential().subject["languages"], strings(&["SQ", "DE"]));
}

#[test]
fn a_concealed_array_element_with_other_members_is_refused() {
    let workshop = Workshop::new().subject(|subject| {
        let element = Json::from([("...", Json::from("x")), ("y", Json::Null)]);
        subject.insert("languages".to_owned(), Json::Array(vec![element]));
    });
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn disclosures_inside_disclosures_are_read_to_a_bounded_depth() {
    for (depth, outcome) in [(8, Ok(())), (40, Err("credential.oversized"))] {
        let mut disclosures = Vec::new();
        let (mut encoded, mut digest) = disclosure(r#"["salt","leaf",true]"#);
        for level in 0..depth {
            disclosures.push(encoded);
            (encoded, digest) =
                disclosure(&format!(r#"["salt","level-{level}",{{"_sd":[{}]}}]"#, text_of(&digest)));
        }
        disclosures.push(encoded);
        let mut workshop = Workshop::new().subject(|subject| {
            subject.insert("_sd".to_owned(), Json::Array(vec![digest]));
        });
        workshop.disclosures = disclosures;
        assert_eq!(decide(&workshop.build()).into_result().map_err(|error| error.code()), outcome);
    }
}

#[test]
fn a_disclosure_whose_outer_disclosure_is_missing_is_refused() {
    let (inner, inner_digest) = disclosure(r#"["salt","city","Tirana"]"#);
    let (_, outer_digest) =
        disclosure(&format!(r#"["salt","address",{{"_sd":[{}]}}]"#, text_of(&inner_digest)));
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(vec![outer_digest]));
    });
    workshop.disclosures = vec![inner];
    assert_eq!(codes(&workshop.build()), ["credential.disclosure"]);
}

#[test]
fn digests_that_nobody_discloses_are_ignored() {
    let mut workshop = Workshop::new().payload(|payload| {
        payload.insert("evidence".to_owned(), Json::from([("_sd", strings(&["decoy-1", "decoy-2"]))]));
    });
    workshop.disclosures.clear();
    let presentation = parse(&workshop.build()).unwrap();
    assert_eq!(presentation.claims()["evidence"], Json::from([] as [(&str, Json); 0]));
}

#[test]
fn only_the_one_serialization_is_read() {
    let good = presented();
    let (sd_jwt, binding) = good.rsplit_once('~').unwrap();
    let (jwt, disclosures) = sd_jwt.split_once('~').unwrap();
    for (what, text) in [
        ("white space behind", format!("{good}\n")),
        ("white space before", format!(" {good}")),
        ("an empty disclosure", format!("{jwt}~~{disclosures}~{binding}")),
        ("no tilde", jwt.to_owned()),
        ("a tilde too many", format!("{good}~")),
        ("padding", format!("{jwt}=~{disclosures}~{binding}")),
        ("a fourth segment", format!("{jwt}.AA~{disclosures}~{binding}")),
        ("an unsigned jwt", format!("{}~", jwt.rsplit_once('.').unwrap().0)),
        ("a letter outside ASCII", good.replacen('a', "ä", 1)),
        ("nothing", String::new()),
        ("tildes", "~~~".to_owned()),
        ("a JSON serialization", r#"{"payload":"","signatures":[]}"#.to_owned()),
    ] {
        assert!(!decide(&text).is_valid(), "{what}");
    }
    assert!(Presentation::parse(&[0xff; 8], &Limits::LEDGER).is_err());
}

#[test]
fn what_is_larger_than_allowed_is_refused() {
    let mut workshop = Workshop::new();
    workshop.disclosures.push(disclosure(&format!(r#"["salt","x","{}"]"#, "x".repeat(17_000))).0);
    assert_eq!(codes(&workshop.build()), ["credential.oversized"]);

    let many: Vec<_> = (0..65).map(|one| disclosure(&format!(r#"["{one}","claim-{one}",{one}]"#))).collect();
    let mut workshop = Workshop::new().subject(|subject| {
        subject.insert("_sd".to_owned(), Json::Array(many.iter().map(|one| one.1.clone()).collect()));
    });
    workshop.disclosures = many.into_iter().map(|one| one.0).collect();
    assert_eq!(codes(&workshop.build()), ["credential.oversized"]);

    let mut workshop = Workshop::new();
    workshop.header =
        format!(r#"{{"alg":"EdDSA","kid":"{KEY_ID}","typ":"vc+sd-jwt","x":"{}"}}"#, "x".repeat(3000));
    assert_eq!(codes(&workshop.build()), ["credential.oversized"]);
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let text = Workshop::new().sd_jwt();
    let (jwt, rest) = text.split_once('~').unwrap();
    let (input, signature) = jwt.rsplit_once('.').unwrap();
    let signature = b64u::decode(signature).unwrap();
    for length in [0, 32, 63] {
        let text = format!("{input}.{}~{rest}", b64u::encode(&signature[..length]));
        assert_eq!(codes(&text), ["credential.malformed"]);
    }
}
