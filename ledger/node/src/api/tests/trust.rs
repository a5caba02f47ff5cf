//! Accreditations and the directory, as the interface tells of them.

use aval_machine::testkit::MEMBERSHIP;
use aval_types::Action;
use aval_types::action::{ServiceRegister, ServiceRemove};
use axum::http::StatusCode;

use super::lab::Lab;
use aval_did::resolution::format_time_ms;

#[tokio::test(flavor = "multi_thread")]
async fn who_is_accredited_is_answered_with_the_proof_of_each_link() {
    let mut lab = Lab::ready(1).await;
    let (issuer, root) = (lab.kit.issuer.did.clone(), lab.kit.root.clone());
    let path = format!("/v1/accreditations/{issuer}?type={MEMBERSHIP}&role=member");
    let answer = lab.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK);
    let yes = answer.json();
    assert_eq!((&yes["accredited"], &yes["level"]), (&true.into(), &"high".into()));
    assert_eq!(yes["chain"][0]["subject"], issuer.as_str());
    assert_eq!(yes["chain"][1]["subject"], root.did.as_str());
    for (proof, did) in [(&yes["proofs"][0], &issuer), (&yes["proofs"][1], &root.did)] {
        let key = aval_machine::state_key::accreditation(did);
        assert!(lab.verify(proof).value(&key).unwrap().is_some());
    }
    let before_ms = lab.kit.now_s * 1000;
    lab.advance_s(10);
    lab.finalize(&root.revoke_accreditation(&lab.kit, &issuer)).await;
    let no = lab.get(&path).await.json();
    assert_eq!((&no["accredited"], &no["broken"]["code"]), (&false.into(), &"chain.revoked".into()));
    assert_eq!(no["broken"]["subject"], issuer.as_str());
    // What was, stays provable: and that no later block was made by then.
    let then = lab.get(&format!("{path}&at={}", format_time_ms(before_ms))).await.json();
    assert_eq!(then["accredited"], true);
    let (record, next) = (lab.verify(&then["proofs"][0]), lab.verify(&then["next"]));
    assert_eq!(next.header().parent, record.header().digest());
    assert!(next.time_ms() > before_ms && record.time_ms() <= before_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_names_the_link_and_proves_it() {
    let mut lab = Lab::ready(2).await;
    let (member, _) = lab.member(1).await;
    let ask = |path: String| {
        let lab = &lab;
        async move { lab.get(&format!("/v1/accreditations/{path}")).await.json() }
    };
    let absent = ask(member.did.to_string()).await;
    assert_eq!((&absent["accredited"], &absent["broken"]["code"]), (&false.into(), &"chain.absent".into()));
    let key = aval_machine::state_key::accreditation(&member.did);
    assert_eq!(lab.verify(&absent["proofs"][0]).value(&key).unwrap(), None);
    let issuer = lab.kit.issuer.did.clone();
    for (query, code) in [
        ("type=DrivingLicence".to_owned(), "chain.type"),
        (format!("type={MEMBERSHIP}&role=king"), "chain.role"),
        ("as=body".to_owned(), "chain.kind"),
        ("at=9999-01-01T00:00:00Z".to_owned(), "chain.expired"),
    ] {
        assert_eq!(ask(format!("{issuer}?{query}")).await["broken"]["code"], code);
    }
    let root = lab.kit.root.did.clone();
    assert_eq!(ask(format!("{root}?as=body&type={MEMBERSHIP}")).await["accredited"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_make_no_sense_have_their_codes() {
    let lab = Lab::ready(3).await;
    let issuer = lab.kit.issuer.did.clone();
    for path in [
        "/v1/accreditations/nobody".to_owned(),
        format!("/v1/accreditations/{issuer}?type=a%20b"),
        format!("/v1/accreditations/{issuer}?role=member"),
        format!("/v1/accreditations/{issuer}?at=yesterday"),
        format!("/v1/accreditations/{issuer}?as=king"),
        "/v1/services?kind=No".to_owned(),
        "/v1/services?operator=nobody".to_owned(),
        "/v1/services?after=did/x".to_owned(),
    ] {
        assert_eq!(lab.get(&path).await.problem(), (400, "request.malformed".into()), "{path}");
    }
    let long_ago = format!("/v1/accreditations/{issuer}?at=2001-01-01T00:00:00Z");
    assert_eq!(lab.get(&long_ago).await.problem().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_lists_services_by_kind_and_operator() {
    let mut lab = Lab::ready(4).await;
    let (first, _) = lab.member(1).await;
    let (second, _) = lab.member(2).await;
    for (party, name, kind) in
        [(&first, "register", "issuer"), (&first, "verify", "verifier"), (&second, "register", "issuer")]
    {
        let action = Action::ServiceRegister(ServiceRegister {
            name: name.to_owned(),
            kind: kind.to_owned(),
            endpoint: format!("https://{name}.example/"),
            description: None,
        });
        lab.finalize(&party.send(&lab.kit, action)).await;
    }
    let list = |path: &'static str| {
        let lab = &lab;
        async move { lab.get(path).await.json()["services"].as_array().unwrap().clone() }
    };
    assert_eq!(list("/v1/services").await.len(), 3);
    assert_eq!(list("/v1/services?kind=issuer").await.len(), 2);
    assert_eq!(list("/v1/services?kind=wallet").await.len(), 0);
    let own = lab.get(&format!("/v1/services?operator={}", first.did)).await.json();
    assert_eq!(own["services"].as_array().unwrap().len(), 2);
    let entry = &own["services"][0];
    assert_eq!((&entry["operator"], &entry["name"]), (&first.did.as_str().into(), &"register".into()));
    let key = entry["key"].as_str().unwrap();
    let proof = lab.get(&format!("/v1/state?key={key}")).await.json();
    assert!(lab.verify(&proof).value(key).unwrap().is_some());
    let after = lab.get(&format!("/v1/services?after={key}")).await.json();
    assert_eq!(after["services"].as_array().unwrap().len(), 2);
    let remove = Action::ServiceRemove(ServiceRemove { name: "register".to_owned() });
    lab.finalize(&first.send(&lab.kit, remove)).await;
    assert_eq!(lab.get("/v1/services").await.json()["services"].as_array().unwrap().len(), 2);
}
