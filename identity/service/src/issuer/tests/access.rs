//! Who may do what, and the record of it.

use super::world::World;
use crate::clock::now_s;
use crate::storage::{Entry, OperatorRow, Role};
use crate::tests::{Answer, request};
use serde_json::{Value, json};

/// An operator of a role; gives the token.
async fn operator(world: &World, name: &str, role: Role) -> String {
    let token = format!("the-token-of-{name}-for-tests");
    let row = OperatorRow { id: name.to_owned(), name: name.to_owned(), role, created_s: now_s() };
    let entry = Entry::of("command", "operator.created", name, now_s());
    assert!(world.issuer.records().add_operator(&row, &token, &entry).await.unwrap());
    token
}

/// An issuance that can be suspended.
async fn suspendable(world: &World) -> String {
    let template = json!({
        "id": "hold", "credentialType": aval_machine::testkit::MEMBERSHIP, "displayName": "Hold", "validityDays": 7,
        "suspendable": true,
    });
    assert_eq!(world.office("POST", "/templates", &template.to_string()).await.status, 201);
    let order = json!({"template": "hold", "subject": {"role": ["member"]}}).to_string();
    let offer = world.office("POST", "/offers", &order).await.json();
    world.redeem(&offer, "hold").await;
    world.office("GET", "/issuances?template=hold", "").await.json()[0]["id"].as_str().unwrap().to_owned()
}

async fn ask(world: &World, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(method, format!("http://{}{path}", world.admin), &headers, body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_can_do_its_own_work_and_nothing_else() {
    let world = World::start().await;
    let id = suspendable(&world).await;
    let roles = [Role::Viewer, Role::Issuer, Role::Revoker, Role::Admin];
    let mut tokens = Vec::new();
    for role in roles {
        tokens.push((role, operator(&world, role.name(), role).await));
    }
    let offer = json!({"subject": {"role": ["member"]}});
    let subject = json!({"reference": "HRB 1", "claims": {}});
    let requests = [
        (Role::Viewer, "GET", "/issuances".to_owned(), Value::Null),
        (Role::Viewer, "GET", format!("/issuances/{id}"), Value::Null),
        (Role::Viewer, "GET", "/templates".to_owned(), Value::Null),
        (Role::Viewer, "GET", "/subjects".to_owned(), Value::Null),
        (Role::Viewer, "GET", "/metrics".to_owned(), Value::Null),
        (Role::Viewer, "GET", "/deferrals".to_owned(), Value::Null),
        (Role::Issuer, "POST", "/deferrals/none/approve".to_owned(), Value::Null),
        (Role::Issuer, "POST", "/deferrals/none/refuse".to_owned(), Value::Null),
        (Role::Issuer, "POST", "/instances/none/credentials/issue".to_owned(), json!({})),
        (Role::Issuer, "POST", "/offers".to_owned(), offer),
        (Role::Issuer, "POST", "/subjects".to_owned(), subject),
        (Role::Issuer, "POST", format!("/issuances/{id}/reissue"), json!({})),
        (Role::Issuer, "POST", "/credentials/issue".to_owned(), json!({})),
        (Role::Revoker, "POST", format!("/issuances/{id}/suspend"), Value::Null),
        (Role::Revoker, "POST", format!("/issuances/{id}/unsuspend"), Value::Null),
        (Role::Revoker, "POST", "/credentials/status".to_owned(), json!({})),
        (Role::Revoker, "POST", format!("/issuances/{id}/revoke"), Value::Null),
        (Role::Admin, "POST", "/templates".to_owned(), json!({})),
        (Role::Admin, "GET", "/operators".to_owned(), Value::Null),
        (Role::Admin, "GET", "/audit".to_owned(), Value::Null),
        (Role::Admin, "POST", "/keys/key-1/activate".to_owned(), Value::Null),
    ];
    let mut denied = 0;
    for (needed, method, path, body) in &requests {
        for (role, token) in &tokens {
            let answer = ask(&world, token, method, path, body).await;
            if role == needed || *needed == Role::Viewer || *role == Role::Admin {
                assert!(![401, 403].contains(&answer.status), "{role} {method} {path}: {}", answer.text());
            } else {
                answer.assert_problem(403, "admin.forbidden");
                denied += 1;
            }
        }
    }
    let lines = world.issuer.records().audit("", i64::MAX, 1_000).await.unwrap();
    let recorded: Vec<_> = lines.iter().filter(|line| line.event == "access.denied").collect();
    assert_eq!(recorded.len(), denied);
    assert!(recorded.iter().any(|line| line.operator == "viewer" && line.subject == "POST /offers"));
    assert!(lines.iter().any(|line| line.event == "credential.suspended" && line.operator == "revoker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_known_token_is_recorded_and_the_token_is_not() {
    let world = World::start().await;
    ask(&world, "a-token-that-nobody-has", "GET", "/issuances", &Value::Null)
        .await
        .assert_problem(401, "admin.unauthorized");
    let lines = world.office("GET", "/audit", "").await;
    assert!(
        lines.text().contains("unknown token") && lines.text().contains("GET /issuances"),
        "{}",
        lines.text()
    );
    assert!(!lines.text().contains("a-token-that-nobody-has"));
    assert!(world.office("GET", "/metrics", "").await.text().contains("aval_issuer_denied_total 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_operator_is_nobody() {
    let world = World::start().await;
    let token = operator(&world, "clerk", Role::Issuer).await;
    let me = ask(&world, &token, "GET", "/operators/me", &Value::Null).await.json();
    assert_eq!(me, json!({"name": "clerk", "role": "issuer"}));
    let entry = Entry::of("command", "operator.removed", "clerk", now_s());
    world.issuer.records().remove_operator("clerk", &entry).await.unwrap();
    ask(&world, &token, "GET", "/operators/me", &Value::Null).await.assert_problem(401, "admin.unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_and_a_subject_make_an_offer_together() {
    let world = World::start().await;
    let template = json!({
        "id": "gold", "credentialType": aval_machine::testkit::MEMBERSHIP, "displayName": "Gold",
        "validityDays": 7, "claims": {"role": ["member"], "level": "gold"},
    });
    let made = world.office("POST", "/templates", &template.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    world.office("POST", "/templates", &template.to_string()).await.assert_problem(409, "request.exists");
    let metadata = request("GET", world.metadata_url(), &[], b"").await.json();
    assert!(metadata["credential_configurations_supported"].get("gold").is_some());

    let subject = r#"{"reference":"HRB 7","claims":{"legalName":"Example Ltd"}}"#;
    let subject = world.office("POST", "/subjects", subject).await;
    assert_eq!(subject.status, 201, "{}", subject.text());
    assert!(subject.json().get("claims").is_none(), "claims are shown where they are asked for");
    let id = subject.json()["id"].as_str().unwrap().to_owned();
    let shown = world.office("GET", &format!("/subjects/{id}"), "").await.json();
    assert_eq!(shown["claims"]["legalName"], "Example Ltd");

    let order = json!({"template": "gold", "subjectId": id}).to_string();
    let offer = world.office("POST", "/offers", &order).await;
    assert_eq!(offer.status, 200, "{}", offer.text());
    let claims = world.redeem(&offer.json(), "gold").await;
    assert_eq!(claims["credentialSubject"]["level"], "gold");
    assert_eq!(claims["credentialSubject"]["legalName"], "Example Ltd");
    let found = world.office("GET", &format!("/issuances?template=gold&subjectId={id}"), "").await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["expiresS"].as_i64().unwrap() - found[0]["issuedS"].as_i64().unwrap(), 7 * 86_400);

    assert_eq!(world.office("POST", "/templates/gold/retire", "").await.status, 204);
    world.office("POST", "/offers", &order).await.assert_problem(404, "request.not_found");
    let unknown = json!({"template": "silver", "subject": {"role": ["member"]}}).to_string();
    world.office("POST", "/offers", &unknown).await.assert_problem(404, "request.not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_nothing_could_be_issued_of_is_refused() {
    let world = World::start().await;
    let good = json!({
        "id": "gold", "credentialType": aval_machine::testkit::MEMBERSHIP, "displayName": "Gold", "validityDays": 7,
    });
    for (name, value) in [
        ("id", json!("No Name")),
        ("credentialType", json!("no name")),
        ("displayName", json!("")),
        ("validityDays", json!(0)),
        ("schemaId", json!("urn:aval:schema:nothing")),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        world.office("POST", "/templates", &bad.to_string()).await.assert_problem(422, "request.invalid");
    }
    let mut foreign = good;
    foreign["credentialType"] = json!("TreasureCredential");
    let answer = world.office("POST", "/templates", &foreign.to_string()).await;
    answer.assert_problem(403, "issuer.not_accredited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_credential_is_set_on_its_list_and_can_come_back_until_it_is_revoked() {
    let world = World::start().await;
    let (_, rigid) = world.issued().await;
    world
        .office("POST", &format!("/issuances/{rigid}/suspend"), "")
        .await
        .assert_problem(409, "issuance.no_status");
    let id = suspendable(&world).await;
    let change = async |what: &str| world.office("POST", &format!("/issuances/{id}/{what}"), "").await;
    let bits = async || {
        let answer = request("GET", world.endpoint("/status/membership-hold"), &[], b"").await;
        super::status_list::bits(&answer).iter().map(|byte| byte.count_ones()).sum::<u32>()
    };
    assert_eq!(bits().await, 0);
    assert_eq!(change("suspend").await.json()["state"], "suspended");
    assert_eq!(change("suspend").await.json()["state"], "suspended", "twice is once");
    assert_eq!(bits().await, 1);
    assert_eq!(change("unsuspend").await.json()["state"], "valid");
    assert_eq!(bits().await, 0);
    assert_eq!(change("revoke").await.json()["state"], "revoked");
    change("suspend").await.assert_problem(409, "issuance.revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissued_credential_names_the_one_that_it_replaces() {
    let world = World::start().await;
    let (_, id) = world.issued().await;
    let offer = world.office("POST", &format!("/issuances/{id}/reissue"), r#"{"revoke":true}"#).await;
    assert_eq!(offer.status, 200, "{}", offer.text());
    let claims = world.redeem(&offer.json(), aval_machine::testkit::MEMBERSHIP).await;
    assert_eq!(claims["credentialSubject"]["legalName"], "Example Ltd");
    let rows = world.office("GET", "/issuances?state=valid", "").await.json();
    assert_eq!(rows[0]["replaces"], id.as_str());
    let old = world.office("GET", &format!("/issuances/{id}"), "").await.json();
    assert_eq!(old["state"], "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_leads_on_to_its_end() {
    let world = World::start().await;
    for _ in 0..3 {
        world.issued().await;
    }
    let mut path = "/issuances?limit=2".to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let answer = world.office("GET", &path, "").await;
        for row in answer.json().as_array().unwrap() {
            assert!(seen.insert(row["id"].as_str().unwrap().to_owned()), "a row comes once");
        }
        let link = answer.header("link").to_owned();
        if link.is_empty() {
            break;
        }
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen.len(), 3);
    for query in ["?limit=0", "?limit=1001", "?cursor=x", "?more=1"] {
        let status = world.office("GET", &format!("/issuances{query}"), "").await.status;
        assert!([400, 422].contains(&status), "{query}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swagger_page_loads_nothing_from_outside_and_needs_no_token() {
    let world = World::start().await;
    let get = async |path: &str| request("GET", format!("http://{}{path}", world.admin), &[], b"").await;
    let page = get("/docs/").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    for attribute in ["src=\"", "href=\""] {
        for link in page.text().split(attribute).skip(1) {
            let link = link.split('"').next().unwrap();
            assert!(!link.contains("//"), "{link}");
        }
    }
    assert!(get("/docs/openapi.json").await.json()["paths"].get("/issuances/{id}/revoke").is_some());
    assert_eq!(get("/docs/swagger-ui.css").await.status, 200);
    get("/issuances").await.assert_problem(401, "admin.unauthorized");
}
