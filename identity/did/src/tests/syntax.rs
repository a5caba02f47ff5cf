//! Identifiers, version ids and DID URLs.

use proptest::prelude::*;

use crate::syntax::{Did, DidUrl, VersionId, is_did, is_network_label, multihash_text, parse_multihash};
use aval_codec::{Hash, sha256};

#[test]
fn an_identifier_is_prefix_label_and_multihash() {
    let did = Did::new("demo", &sha256(b"x")).unwrap();
    let id = did.id().to_owned();
    assert_eq!(did.to_string(), format!("did:aval:demo:{id}"));
    assert!(id.starts_with("Qm") && id.len() == 46);
    assert_eq!((did.network(), did.inception()), ("demo", sha256(b"x")));
    assert_eq!(did.url("key-1"), format!("{did}#key-1"));
    assert_eq!(did.url("#key-1"), did.url("key-1"));
    assert_eq!(serde_json::from_str::<Did>(&format!("\"{did}\"")).unwrap(), did);
    for label in ["a", "a-1", &"a".repeat(32)] {
        assert!(is_network_label(label), "{label}");
        assert_eq!(Did::new(label, &sha256(b"x")).unwrap().network(), label);
    }
}

#[test]
fn other_texts_are_no_identifiers() {
    let id = multihash_text(&sha256(b"x"));
    let labels = ["", "A", "1a", "-a", "a_b", "ä", "a:b", &"a".repeat(33)];
    let mut texts: Vec<String> = labels.iter().map(|label| format!("did:aval:{label}:{id}")).collect();
    texts.extend([
        format!("did:aval:{id}"),
        format!("did:aval:demo:{id}:{id}"),
        format!("DID:aval:demo:{id}"),
        format!("did:Aval:demo:{id}"),
        format!(" did:aval:demo:{id}"),
        format!("did:aval:demo:{id} "),
        format!("did:aval:demo:{id}#key-1"),
        format!("did:aval:demo:{}", id.replace("Qm", "Q0")),
        format!("did:aval:demo:{}", &id[..45]),
        format!("did:aval:demo:{id}1"),
        format!("did:aval:demo:1{}", &id[..45]),
        // A multihash of another function and of another length, 46 characters each.
        format!("did:aval:demo:{}", bs58::encode([&[0x13u8, 0x20][..], &[7; 32]].concat()).into_string()),
        format!("did:aval:demo:{}", bs58::encode([&[0x12u8, 0x21][..], &[7; 32]].concat()).into_string()),
        "did:aval:demo:".into(),
        String::new(),
    ]);
    for text in texts {
        assert_eq!(text.parse::<Did>().map_err(|error| error.code()), Err("did.invalid"), "{text}");
    }
}

#[test]
fn version_ids_have_one_spelling() {
    let id = VersionId { number: 12, hash: sha256(b"x") };
    assert_eq!(id.to_string().parse::<VersionId>().unwrap(), id);
    let hash = multihash_text(&sha256(b"x"));
    for text in [
        format!("012-{hash}"),
        format!("0-{hash}"),
        format!("+1-{hash}"),
        format!("-{hash}"),
        hash.clone(),
        format!("1-{hash}x"),
        "1-".into(),
        format!("99999999999999999999-{hash}"),
        format!("1_{hash}"),
    ] {
        assert!(text.parse::<VersionId>().is_err(), "{text}");
    }
}

#[test]
fn did_urls_split_by_the_grammar() {
    let url: DidUrl = "did:example:a:b%20c/path/x?versionId=1-2&s=a%2Fb#frag".parse().unwrap();
    assert_eq!((url.did.as_str(), url.method()), ("did:example:a:b%20c", "example"));
    assert_eq!(url.path.as_deref(), Some("/path/x"));
    assert_eq!(url.parameter("s").as_deref(), Some("a/b"));
    assert_eq!(url.parameter("none"), None);
    assert_eq!(url.fragment.as_deref(), Some("frag"));
    assert_eq!(url.to_string(), "did:example:a:b%20c/path/x?versionId=1-2&s=a%2Fb#frag");
    assert!(url.aval().is_err());
    for text in [
        "did:example",
        "did:example:",
        "did:Example:a",
        "did::a",
        "did:e:a:",
        "did:e:a%2",
        "did:e:ä",
        "did:e:a#b#c",
        "did:e:a b",
        "did:e:a?x y",
        "example:a",
        "",
        "did:e:a/%zz",
    ] {
        assert!(text.parse::<DidUrl>().is_err(), "{text}");
    }
    assert!(is_did("did:a1:b:c") && !is_did("did:a1:b#c"));
    assert!(format!("did:e:{}", "a".repeat(3000)).parse::<DidUrl>().is_err());
}

#[test]
fn key_ids_name_one_did_and_one_fragment() {
    let did = Did::new("demo", &sha256(b"x")).unwrap();
    let split = crate::record::split_key_id(&did.url("key-1")).unwrap();
    assert_eq!(split, (did.clone(), "key-1".to_owned()));
    for text in
        [did.to_string(), format!("{did}#"), format!("{did}?a=b#k"), format!("{did}/p#k"), "#k".into()]
    {
        assert!(crate::record::split_key_id(&text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn identifiers_round_trip(bytes in any::<[u8; 32]>(), label in "[a-z][a-z0-9-]{0,31}") {
        let did = Did::new(&label, &Hash::new(bytes)).unwrap();
        prop_assert_eq!(did.as_str().parse::<Did>().unwrap(), did.clone());
        prop_assert_eq!(did.inception().to_bytes(), bytes);
        prop_assert_eq!(did.network(), label);
        prop_assert!(is_did(did.as_str()));
    }

    #[test]
    fn multihash_text_is_injective(text in "Qm[1-9A-HJ-NP-Za-km-z]{44}") {
        if let Some(hash) = parse_multihash(&text) {
            prop_assert_eq!(multihash_text(&hash), text);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), tail in "[did:aval%#?/0-9Qmé]{0,60}") {
        for text in [text, format!("did:aval:{tail}"), format!("did:{tail}")] {
            let _ = text.parse::<Did>();
            let _ = text.parse::<VersionId>();
            if let Ok(url) = text.parse::<DidUrl>() {
                prop_assert_eq!(url.to_string(), text);
            }
        }
    }
}
