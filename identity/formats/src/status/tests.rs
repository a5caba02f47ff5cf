use super::*;
use crate::tests::support::vector_text;
use aval_codec::b64u;
use proptest::prelude::*;
use rand::SeedableRng as _;
use serde_json::{Value, json};

const URI: &str = "https://issuer.example/status/1";

fn entry(purpose: &str, index: u64) -> BitstringEntry {
    BitstringEntry { purpose: purpose.into(), index, list: URI.into(), size: 1, messages: Vec::new() }
}

fn list_credential(list: &BitstringList) -> Value {
    list.to_credential(URI, "did:example:issuer", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z").unwrap()
}

/// A text of the draft: lines are folded, and what stands before the object is an explanation.
fn json_of(name: &str) -> Option<Value> {
    let text = vector_text(&format!("token-status-list/{name}"))?;
    let object = text.split_at(text.find('{').unwrap()).1.replace("\n  ", "").replace('\n', "");
    Some(serde_json::from_str(&object).unwrap())
}

fn hex_of(name: &str) -> Option<Vec<u8>> {
    let text = vector_text(&format!("token-status-list/{name}"))?;
    let digits = text.rsplit("encoded:").next().unwrap().split_whitespace().collect::<String>();
    Some(
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect(),
    )
}

fn cbor(bytes: &[u8]) -> ciborium::Value {
    ciborium::from_reader(bytes).unwrap()
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    let one = entry("revocation", 94_567);
    assert_eq!(BitstringEntry::read(&one.to_value()), Ok(one));
    let message = |status, message: &str| StatusMessage { status, message: message.into() };
    let messages =
        vec![message(0, "pending"), message(1, "accepted"), message(2, "rejected"), message(3, "undefined")];
    let several = BitstringEntry { size: 2, messages, ..entry("message", 3) };
    assert_eq!(BitstringEntry::read(&several.to_value()), Ok(several));
}

#[test]
fn an_entry_that_breaks_a_rule_is_refused() {
    let messages = json!([{"status": "0x0", "message": "a"}, {"status": "0x1", "message": "b"}]);
    let twice = json!([{"status": "0x0", "message": "a"}, {"status": "0x0", "message": "b"}]);
    let wrong = [
        ("type", json!("StatusList2021Entry")),
        ("statusPurpose", json!(["revocation"])),
        ("statusPurpose", json!("")),
        ("statusListIndex", json!(5)),
        ("statusListIndex", json!("-1")),
        ("statusListIndex", json!("0x5")),
        ("statusListIndex", json!("05")),
        ("statusListIndex", json!("")),
        ("statusListCredential", json!("status/1")),
        ("statusListCredential", json!(null)),
        ("id", json!(URI)),
        ("id", json!(7)),
        ("statusSize", json!(0)),
        ("statusSize", json!("1")),
        ("statusSize", json!(1.5)),
        ("statusSize", json!(2)),
        ("statusMessage", json!("set")),
        ("statusMessage", json!([{"status": "0x0", "message": "a"}])),
        ("statusMessage", twice),
        ("statusReference", json!("no URL")),
    ];
    for (name, value) in wrong {
        let mut entry = entry("revocation", 5).to_value();
        entry[name] = value;
        let refused = BitstringEntry::read(&entry).unwrap_err();
        assert_eq!(refused.name(), "MALFORMED_VALUE_ERROR", "{entry}");
    }
    let mut with_messages = entry("revocation", 5).to_value();
    with_messages["statusMessage"] = messages;
    assert!(BitstringEntry::read(&with_messages).is_ok());
}

#[test]
fn the_example_of_the_specification_unpacks_to_16_kilobytes_of_zeros() {
    let encoded = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
    assert_eq!(BitstringList::decode(encoded, 1), Ok(vec![0; 16 * 1024]));
}

#[test]
fn index_0_of_a_bitstring_is_the_highest_bit_and_of_a_token_list_the_lowest() {
    let mut list = BitstringList::new(&["revocation"], 0, 1).unwrap();
    list.set(0, 1).unwrap();
    assert_eq!(BitstringList::decode(&list.encode().unwrap(), 1).unwrap()[0], 0x80);
    let tokens = TokenList::of_bitmaps(&[0x80, 0x01], None).unwrap();
    assert_eq!(tokens.status(0).unwrap().meaning, Meaning::Revoked);
    assert_eq!(tokens.status(15).unwrap().meaning, Meaning::Revoked);
    assert_eq!((1..15).filter(|index| tokens.status(*index).unwrap().value != 0).count(), 0);
}

#[test]
fn every_size_of_list_and_entry_keeps_its_values() {
    for (entries, size) in
        [(1 << 17, 1), (1 << 17, 2), (1 << 18, 3), (1 << 20, 5), (1 << 17, 8), (1 << 24, 1)]
    {
        let mut list = BitstringList::new(&["message"], entries, size).unwrap();
        let largest = u8::MAX >> (8 - size);
        for (index, value) in [(0, largest), (1, 1), (77_777, largest), (entries - 1, largest)] {
            list.set(index, value).unwrap();
            assert_eq!(list.value(index, size), Ok(value), "{entries} {size} {index}");
        }
        list.set(77_777, 0).unwrap();
        let read = BitstringList::read(&list_credential(&list), size).unwrap();
        assert_eq!(read.entries(size), entries);
        let values =
            [0, 1, 77_776, 77_777, 77_778, entries - 1].map(|index| read.value(index, size).unwrap());
        assert_eq!(values, [largest, 1, 0, 0, 0, largest]);
        assert_eq!(read.value(entries, size), Err(StatusError::Range));
    }
    assert_eq!(BitstringList::new(&["revocation"], ENTRIES_MAX + 1, 1), Err(StatusError::Oversized));
}

#[test]
fn a_list_says_what_each_purpose_means() {
    let purposes = ["revocation", "suspension", "refresh", "else"];
    let mut list = BitstringList::new(&purposes, 0, 1).unwrap();
    list.id = Some(URI.into());
    list.set(9, 1).unwrap();
    let meaning = |purpose, index| list.status(&entry(purpose, index), ENTRIES_MIN).unwrap().meaning;
    assert_eq!(meaning("revocation", 8), Meaning::Clear);
    assert_eq!(
        purposes.map(|purpose| meaning(purpose, 9)),
        [Meaning::Revoked, Meaning::Suspended, Meaning::Refresh, Meaning::Unknown]
    );
}

#[test]
fn a_message_is_the_text_of_its_value() {
    let mut list = BitstringList::new(&["message"], 0, 2).unwrap();
    list.set(4, 2).unwrap();
    let messages = (0..4).map(|status| StatusMessage { status, message: format!("text {status}") }).collect();
    let entry = BitstringEntry { size: 2, messages, ..entry("message", 4) };
    let status = list.status(&entry, ENTRIES_MIN).unwrap();
    assert_eq!(status, Status { value: 2, meaning: Meaning::Message(Some("text 2".into())) });
}

#[test]
fn a_list_that_does_not_answer_for_an_entry_is_no_answer() {
    let mut list = BitstringList::new(&["revocation"], 0, 1).unwrap();
    list.id = Some(URI.into());
    let status = |entry: &BitstringEntry, least| list.status(entry, least).unwrap_err().name();
    assert_eq!(status(&entry("suspension", 1), ENTRIES_MIN), "STATUS_VERIFICATION_ERROR");
    assert_eq!(status(&entry("revocation", ENTRIES_MIN), ENTRIES_MIN), "RANGE_ERROR");
    assert_eq!(status(&entry("revocation", u64::MAX), ENTRIES_MIN), "RANGE_ERROR");
    assert_eq!(status(&entry("revocation", 1), ENTRIES_MIN + 1), "STATUS_LIST_LENGTH_ERROR");
    let elsewhere = BitstringEntry { list: format!("{URI}0"), ..entry("revocation", 1) };
    assert_eq!(status(&elsewhere, ENTRIES_MIN), "STATUS_VERIFICATION_ERROR");
    let wider = BitstringEntry { size: 2, ..entry("revocation", 1) };
    assert_eq!(status(&wider, ENTRIES_MIN), "MALFORMED_VALUE_ERROR");
}

#[test]
fn a_list_credential_that_breaks_a_rule_is_refused() {
    let good = list_credential(&BitstringList::new(&["revocation", "suspension"], 0, 1).unwrap());
    assert_eq!(BitstringList::read(&good, 1).unwrap().purposes, ["revocation", "suspension"]);
    let wrong = [
        ("type", json!(["VerifiableCredential"])),
        ("credentialSubject", json!([])),
        ("credentialSubject/type", json!("Other")),
        ("credentialSubject/statusPurpose", json!([])),
        ("credentialSubject/statusPurpose", json!([1])),
        ("credentialSubject/ttl", json!(-1)),
        ("credentialSubject/encodedList", json!(7)),
        ("credentialSubject/encodedList", json!("H4sIAAAA")),
        ("credentialSubject/encodedList", json!("uH4sIAAAA!")),
        ("credentialSubject/encodedList", json!("uH4sIAAAAAAAA")),
    ];
    for (path, value) in wrong {
        let mut credential = good.clone();
        *match path.split_once('/') {
            None => &mut credential[path],
            Some((outer, inner)) => &mut credential[outer][inner],
        } = value;
        let refused = BitstringList::read(&credential, 1).unwrap_err();
        assert_eq!(refused.name(), "MALFORMED_VALUE_ERROR", "{path}");
    }
}

#[test]
fn a_list_of_2_to_the_20_entries_is_read_and_a_bomb_of_gigabytes_is_not() {
    let honest = BitstringList::new(&["revocation"], 1 << 20, 1).unwrap();
    let packed = honest.encode().unwrap();
    assert!(packed.len() < 400, "{} bytes", packed.len());
    assert_eq!(BitstringList::decode(&packed, 1).unwrap().len(), 1 << 17);
    // 64 MiB of zeros in 64 KiB: the reader stops at its limit of 2 MiB.
    let bomb = inflate::gzip(&vec![0; 64 << 20]).unwrap();
    assert!(bomb.len() < 100_000);
    let encoded = format!("u{}", b64u::encode(&bomb));
    assert_eq!(BitstringList::decode(&encoded, 1), Err(StatusError::Oversized));
    let zlib = inflate::zlib(&vec![0; 64 << 20]).unwrap();
    let list = json!({"bits": 1, "lst": b64u::encode(&zlib)});
    assert_eq!(TokenList::from_json(&list), Err(StatusError::Oversized));
    // A bomb of bombs is only its outer layer here.
    let nested = inflate::gzip(&bomb).unwrap();
    assert_eq!(inflate::gunzip(&nested, 2 << 20).unwrap(), bomb);
}

#[test]
fn what_follows_a_compressed_list_is_refused() {
    let mut gzip = inflate::gzip(&[0; 100]).unwrap();
    gzip.extend(inflate::gzip(&[1; 100]).unwrap());
    assert!(matches!(inflate::gunzip(&gzip, 1000), Err(StatusError::Malformed(_))));
    let mut zlib = inflate::zlib(&[0; 100]).unwrap();
    zlib.push(0);
    assert!(matches!(inflate::unzlib(&zlib, 1000), Err(StatusError::Malformed(_))));
}

#[test]
fn the_drafts_short_lists_are_read_and_written() {
    for (json, cbor_name, bits, bytes) in [
        ("status_list_encoding_json.md", "status_list_encoding_cbor.md", 1, [0xb9, 0xa3].as_slice()),
        ("status_list_encoding2_json.md", "status_list_encoding2_cbor.md", 2, &[0xc9, 0x44, 0xf9]),
    ] {
        let (Some(json), Some(bytes_of_cbor)) = (json_of(json), hex_of(cbor_name)) else { return };
        let list = TokenList::from_json(&json).unwrap();
        assert_eq!(TokenList::from_cbor(&cbor(&bytes_of_cbor)), Ok(list.clone()));
        assert_eq!(list.bits(), bits);
        let in_a_byte = 8 / u64::from(bits);
        let values = (0..list.entries()).map(|index| list.status(index).unwrap().value).collect::<Vec<_>>();
        let expected: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| {
                (0..in_a_byte).map(move |at| (byte >> (at * u64::from(bits))) & (u8::MAX >> (8 - bits)))
            })
            .collect();
        assert_eq!(values, expected);
        assert_eq!(TokenList::from_json(&list.to_json().unwrap()), Ok(list.clone()));
        assert_eq!(TokenList::from_cbor(&list.to_cbor().unwrap()), Ok(list));
    }
}

#[test]
fn the_drafts_lists_of_2_to_the_20_entries_have_their_values_and_no_others() {
    let one = [0, 1993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345];
    let two = [1, 2, 1, 3, 1, 1, 2, 1, 1, 2, 3];
    let four = [
        (0, 1),
        (1993, 2),
        (35_460, 3),
        (459_495, 4),
        (595_669, 5),
        (754_353, 6),
        (845_645, 7),
        (923_232, 8),
        (924_445, 9),
        (934_534, 10),
        (1_004_534, 11),
        (1_000_345, 12),
        (1_030_203, 13),
        (1_030_204, 14),
        (1_030_205, 15),
    ];
    let cases: [(&str, Vec<(u64, u8)>); 3] = [
        ("status_list_encoding1_long_json.md", one.iter().map(|index| (*index, 1)).collect()),
        ("status_list_encoding2_long_json.md", one.into_iter().zip(two).collect()),
        ("status_list_encoding4_json.md", four.to_vec()),
    ];
    for (name, mut values) in cases {
        let Some(json) = json_of(name) else { return };
        let list = TokenList::from_json(&json).unwrap();
        assert_eq!(list.entries(), 1 << 20);
        values.sort_unstable();
        let set = (0..1 << 20).map(|index| (index, list.status(index).unwrap().value));
        assert_eq!(set.filter(|(_, value)| *value != 0).collect::<Vec<_>>(), values, "{name}");
    }
    let Some(json) = json_of("status_list_encoding8_json.md") else { return };
    let list = TokenList::from_json(&json).unwrap();
    let set = (0..1 << 20).map(|index| list.status(index).unwrap().value).filter(|value| *value != 0);
    let mut set: Vec<u8> = set.collect();
    set.sort_unstable();
    assert_eq!(set, (1..=255).collect::<Vec<u8>>());
    assert_eq!(
        [233_478, 52_451, 576_778, 513_575].map(|index| list.status(index).unwrap().value),
        [0, 1, 2, 3]
    );
    let Some(bytes) = hex_of("status_list_encoding1_long_cbor.md") else { return };
    let of_cbor = TokenList::from_cbor(&cbor(&bytes)).unwrap();
    assert_eq!(
        of_cbor,
        TokenList::from_json(&json_of("status_list_encoding1_long_json.md").unwrap()).unwrap()
    );
}

#[test]
fn a_list_of_two_registries_tells_revoked_from_suspended() {
    let list = TokenList::of_bitmaps(&[0b1010_0000], Some(&[0b1100_0000])).unwrap();
    let meanings = [0, 1, 2, 3].map(|index| list.status(index).unwrap().meaning);
    assert_eq!(meanings, [Meaning::Revoked, Meaning::Suspended, Meaning::Revoked, Meaning::Clear]);
    assert_eq!(list.status(8), Err(StatusError::Range));
}

fn claims() -> TokenListClaims {
    TokenListClaims {
        uri: URI.into(),
        issuer: Some("did:example:issuer".into()),
        issued_s: 1_700_000_000,
        expires_s: Some(1_700_003_600),
        ttl_s: Some(43_200),
        list: TokenList::of_bitmaps(&[0xb9, 0xa3], None).unwrap(),
    }
}

#[test]
fn claims_are_read_as_they_were_written() {
    let claims = claims();
    assert_eq!(TokenListClaims::from_json(&claims.to_json().unwrap()), Ok(claims.clone()));
    assert_eq!(TokenListClaims::from_cbor(&claims.to_cbor().unwrap()), Ok(claims.clone()));
    let bare = TokenListClaims { issuer: None, expires_s: None, ttl_s: None, ..claims };
    assert_eq!(TokenListClaims::from_json(&bare.to_json().unwrap()), Ok(bare.clone()));
    assert_eq!(TokenListClaims::from_cbor(&bare.to_cbor().unwrap()), Ok(bare));
}

#[test]
fn the_token_must_be_for_the_uri_that_led_to_it_and_be_valid_now() {
    let claims = claims();
    assert_eq!(claims.check(URI, 1_700_000_000, 0), Ok(()));
    assert_eq!(claims.check(&format!("{URI}0"), 1_700_000_000, 0), Err(StatusError::OtherList));
    assert_eq!(claims.check(URI, 1_700_003_600, 0), Err(StatusError::Stale));
    assert_eq!(claims.check(URI, 1_700_003_600, 10), Ok(()));
    assert_eq!(claims.check(URI, 1_699_999_990, 0), Err(StatusError::Stale));
}

#[test]
fn claims_that_break_a_rule_are_refused() {
    for (name, value) in [
        ("sub", json!(1)),
        ("iat", json!("today")),
        ("exp", json!("tomorrow")),
        ("ttl", json!(0)),
        ("ttl", json!(-5)),
        ("ttl", json!("5")),
        ("status_list", json!({"bits": 3, "lst": "eNrbuRgAAhcBXQ"})),
        ("status_list", json!({"bits": 1, "lst": "eNrbuRgAAhcBXQ="})),
        ("status_list", json!({"bits": 1, "lst": ""})),
        ("status_list", json!({"lst": "eNrbuRgAAhcBXQ"})),
        ("iss", json!(["a"])),
    ] {
        let mut changed = claims().to_json().unwrap();
        changed.insert(name.into(), value);
        assert!(matches!(TokenListClaims::from_json(&changed), Err(StatusError::Malformed(_))), "{name}");
        changed.remove(name);
        let optional = ["exp", "ttl", "iss"].contains(&name);
        assert_eq!(TokenListClaims::from_json(&changed).is_ok(), optional, "without {name}");
    }
}

#[test]
fn a_reference_is_read_as_it_was_written() {
    let reference = TokenEntry { uri: URI.into(), index: 3 };
    assert_eq!(TokenEntry::read(&reference.to_value()), Ok(Some(reference)));
    assert_eq!(TokenEntry::read(&json!({"other": {}})), Ok(None));
    for wrong in [
        json!("x"),
        json!({"status_list": {}}),
        json!({"status_list": {"idx": -1, "uri": URI}}),
        json!({"status_list": {"idx": "1", "uri": URI}}),
        json!({"status_list": {"idx": 1.5, "uri": URI}}),
        json!({"status_list": {"idx": 1, "uri": "not a uri"}}),
        json!({"status_list": []}),
    ] {
        assert!(TokenEntry::read(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn indices_are_drawn_once_each_and_uniformly() {
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut list = Allocation::new(131).unwrap();
    assert!(list.take(5) && !list.take(5) && !list.take(131));
    let mut drawn: Vec<u64> = std::iter::from_fn(|| list.draw(&mut random)).collect();
    assert_eq!(list.free(), 0);
    drawn.sort_unstable();
    assert_eq!(drawn, (0..131).filter(|index| *index != 5).collect::<Vec<_>>());
    // 40 of 100 are taken; 60,000 first draws fall on the others about 1,000 times each.
    let mut counts = [0_i64; 100];
    let mut partly = Allocation::new(100).unwrap();
    (0..40).for_each(|index| assert!(partly.take(index * 2)));
    for _ in 0..60_000 {
        counts[usize::try_from(partly.clone().draw(&mut random).unwrap()).unwrap()] += 1;
    }
    for (index, count) in counts.into_iter().enumerate() {
        let taken = index < 80 && index % 2 == 0;
        // Five standard deviations of such a count are 157.
        assert!(if taken { count == 0 } else { (count - 1000).abs() < 160 }, "{index}: {count}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = inflate::gunzip(&bytes, 1000);
        let _ = inflate::unzlib(&bytes, 1000);
        let _ = TokenListClaims::from_cbor(&bytes);
        let _ = BitstringList::decode(&String::from_utf8_lossy(&bytes), 1);
    }

    #[test]
    fn a_bit_changed_in_packed_bytes_is_an_error_or_within_the_limit(at in 0_usize..400, bit in 0_u8..8) {
        let mut list = BitstringList::new(&["revocation"], 0, 1).unwrap();
        list.set(77, 1).unwrap();
        let mut packed = b64u::decode(&list.encode().unwrap()[1..]).unwrap();
        let at = at % packed.len();
        packed[at] ^= 1 << bit;
        if let Ok(unpacked) = inflate::gunzip(&packed, 1 << 21) {
            // Free fields of the header and the padding before the checksum do not matter; the checksum covers the
            // rest.
            prop_assert_eq!(unpacked, BitstringList::decode(&list.encode().unwrap(), 1).unwrap());
        }
    }

    #[test]
    fn values_of_a_token_list_do_not_touch_each_other(
        bits in prop_oneof![Just(1_u8), Just(2), Just(4), Just(8)],
        values in proptest::collection::vec(any::<u8>(), 1..64),
    ) {
        let mut list = TokenList::new(values.len() as u64, bits).unwrap();
        let values: Vec<u8> = values.into_iter().map(|value| value & (u8::MAX >> (8 - bits))).collect();
        for (index, value) in (0..).zip(&values) {
            list.set(index, *value).unwrap();
        }
        let read = TokenList::from_json(&list.to_json().unwrap()).unwrap();
        for (index, value) in (0..).zip(&values) {
            prop_assert_eq!(read.status(index).unwrap().value, *value);
        }
    }
}

#[test]
fn a_list_of_several_bits_holds_only_what_its_context_defines() {
    let mut list = BitstringList::new(&["message"], ENTRIES_MIN, 2).unwrap();
    list.set(7, 2).unwrap();
    let credential = list
        .to_credential(
            "https://issuer.example/1",
            "did:example:1",
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        )
        .unwrap();
    let contexts = crate::Contexts::shipped();
    contexts.canonicalize(&credential, aval_linked_data::Hash::Sha256).unwrap();
    assert_eq!(BitstringList::read(&credential, 2).unwrap().value(7, 2).unwrap(), 2);
    // The entry says how large it is; read as one of another size, the same bits mean something else.
    assert_ne!(BitstringList::read(&credential, 1).unwrap().value(7, 1).unwrap(), 2);
}
