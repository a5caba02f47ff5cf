//! SD-JWT VC (`dc+sd-jwt`) as the ledger reads it.

use super::support::*;
use crate::{CredentialError, StatusPurpose};
use aval_codec::json::Json;
use std::collections::BTreeMap;

const DC: &str = concat!(
    r#"{"alg":"EdDSA","kid":"did:aval:test:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG#key-1","#,
    r#""typ":"dc+sd-jwt"}"#
);

fn workshop() -> Workshop {
    let (encoded, digest) = disclosure(r#"["c2FsdHNhbHRzYWx0c2FsdA","given_name","Ada"]"#);
    let jwk = text_of(&holder().public().to_jwk());
    let payload = format!(
        r#"{{"_sd":["{}"],"_sd_alg":"sha-256","cnf":{{"jwk":{jwk}}},"exp":{},
            "iat":{NOW_S},"iss":"{ISSUER}","nbf":{NOW_S},
            "role":["writer","auditor"],"status":{{"status_list":{{"idx":7,"uri":"https://issuer.example/tokens/1"}}}},
            "sub":"did:example:holder","vct":"AvalMembershipCredential"}}"#,
        digest.as_str().unwrap(),
        NOW_S + 1000,
    );
    Workshop { header: DC.to_owned(), payload, disclosures: vec![encoded], ..Workshop::new() }
}

fn with(name: &str, value: Json) -> Result<crate::Presentation, CredentialError> {
    parse(&workshop().payload(|payload| drop(payload.insert(name.to_owned(), value))).build())
}

#[test]
fn an_sd_jwt_vc_is_read_for_all_that_a_grant_rests_on() {
    let presentation = parse(&workshop().build()).unwrap();
    assert_eq!(presentation.issuer(), ISSUER);
    assert_eq!(presentation.types(), ["AvalMembershipCredential"]);
    assert_eq!(presentation.roles(), ["auditor", "writer"]);
    assert_eq!(presentation.subject_id(), Some("did:example:holder"));
    assert_eq!(presentation.valid_from_s(), Some(NOW_S));
    assert_eq!(presentation.valid_until_s(), Some(NOW_S + 1000));
    assert_eq!(presentation.cnf_key(), Some(&holder().public()));
    let [status] = presentation.status() else { panic!("one status entry") };
    assert_eq!((status.index, status.list.as_str()), (7, "https://issuer.example/tokens/1"));
    assert_eq!(status.purpose, StatusPurpose::Revocation);
    assert_eq!(presentation.claims().get("given_name"), Some(&"Ada".into()));
    assert_eq!(codes(&workshop().build()), Vec::<&str>::new());
}

#[test]
fn a_type_in_the_header_and_claims_of_the_other_model_do_not_go_together() {
    let vc_as_dc = Workshop { header: DC.to_owned(), ..Workshop::new() };
    assert_eq!(parse(&vc_as_dc.build()).unwrap_err().code(), "credential.data_model");
    let header = DC.replace("dc+sd-jwt", "vc+sd-jwt");
    let dc_as_vc = Workshop { header, ..workshop() };
    assert_eq!(parse(&dc_as_vc.build()).unwrap_err().code(), "credential.data_model");
    for name in ["@context", "type", "issuer", "validUntil", "credentialSubject", "credentialStatus", "vc"] {
        assert_eq!(with(name, "x".into()).unwrap_err().code(), "credential.data_model", "{name}");
    }
    let header = DC.replace("dc+sd-jwt", "DC+SD-JWT");
    assert_eq!(parse(&Workshop { header, ..workshop() }.build()).unwrap_err().code(), "credential.header");
}

#[test]
fn what_decides_cannot_be_hidden_or_left_out() {
    for name in ["exp", "role", "status", "vct", "sub", "cnf"] {
        let hidden = workshop().payload(|payload| {
            let value = payload.remove(name).unwrap();
            let (_, digest) = disclosure(&format!(r#"["salt","{name}",{}]"#, text_of(&value)));
            payload.insert("_sd".to_owned(), Json::Array(vec![digest]));
        });
        let (encoded, _) = disclosure(&format!(
            r#"["salt","{name}",{}]"#,
            text_of(object(&workshop().payload).get(name).unwrap())
        ));
        let hidden = Workshop { disclosures: vec![encoded], ..hidden };
        assert_eq!(
            parse(&hidden.build()).unwrap_err(),
            CredentialError::Concealed(match name {
                "exp" => "exp",
                "role" => "role",
                "status" => "status",
                "vct" => "vct",
                "sub" => "sub",
                _ => "cnf",
            })
        );
    }
    let without = workshop().payload(|payload| drop(payload.remove("vct")));
    assert_eq!(parse(&without.build()).unwrap_err().code(), "credential.data_model");
    assert_eq!(with("iss", "did:example:other".into()).unwrap_err(), CredentialError::ForeignKey);
    assert_eq!(with("exp", Json::Int(NOW_S - 1)).unwrap_err().code(), "credential.data_model");
}

#[test]
fn a_status_that_is_not_understood_is_refused() {
    let reference = |idx: Json, uri: Json| {
        Json::Object(BTreeMap::from([("idx".to_owned(), idx), ("uri".to_owned(), uri)]))
    };
    let claim = |name: &str, value: Json| Json::Object(BTreeMap::from([(name.to_owned(), value)]));
    assert!(
        with("status", claim("status_list", reference(Json::Int(0), "https://x.example".into()))).is_ok()
    );
    for wrong in [
        "none".into(),
        claim("other", reference(Json::Int(1), "https://x.example".into())),
        claim("status_list", reference("1".into(), "https://x.example".into())),
        claim("status_list", reference(Json::Int(-1), "https://x.example".into())),
        claim("status_list", reference(Json::Int(1), "".into())),
    ] {
        assert_eq!(with("status", wrong).unwrap_err().code(), "credential.data_model");
    }
}
