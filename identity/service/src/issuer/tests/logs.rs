//! The logs of a whole story hold no claim, no key and no token.

use super::world::{TOKEN, World};
use crate::tests::request;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_of_a_whole_story_hold_no_claim_no_key_and_no_token() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    // For the whole process, because the service works on threads of its own; other tests may write here too.
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let installed = tracing::subscriber::set_global_default(subscriber.with_ansi(false).finish());
    installed.expect("this is the one test that listens to the logs");
    let world = World::start().await;
    let subject = r#"{"reference":"Geheimnummer 4711","claims":{"legalName":"Verschwiegen GmbH"}}"#;
    let subject = world.office("POST", "/subjects", subject).await.json();
    let id = subject["id"].as_str().unwrap().to_owned();
    let order = format!(r#"{{"subjectId":"{id}","subject":{{"role":["member"],"iban":"DE00SECRETIBAN"}}}}"#);
    let offer = world.office("POST", "/offers", &order).await;
    assert_eq!(offer.status, 200, "{}", offer.text());
    let offer = offer.json();
    world.redeem(&offer, aval_machine::testkit::MEMBERSHIP).await;
    let rows = world.office("GET", "/issuances?limit=1", "").await.json();
    let issuance = rows[0]["id"].as_str().unwrap().to_owned();
    for what in ["suspend", "unsuspend", "revoke", "revoke"] {
        world.office("POST", &format!("/issuances/{issuance}/{what}"), "").await;
    }
    // And what goes wrong.
    let wrong = "Bearer a-wrong-token-of-a-stranger";
    request("GET", format!("http://{}/issuances", world.admin), &[("authorization", wrong)], b"").await;
    world
        .office(
            "POST",
            "/offers",
            r#"{"subject":{"role":["member"],"legalName":"Verschwiegen GmbH","x":1.5}}"#,
        )
        .await;
    world.office("GET", "/issuances?holder=Verschwiegen", "").await;
    let template = r#"{"id":"t","credentialType":"Verschlusssache","displayName":"T","validityDays":7}"#;
    world.office("POST", "/templates", template).await.assert_problem(403, "issuer.not_accredited");
    let form = b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=a-guess";
    let media = [("content-type", "application/x-www-form-urlencoded")];
    request("POST", world.endpoint("/token"), &media, form).await;
    let seed = world.chain.kit.lock().unwrap().issuer.authentication.to_seed();
    let code =
        offer["offerUri"].as_str().unwrap().split("code%22%3A%22").nth(1).unwrap_or("no code in the link");
    let code = code.split('%').next().unwrap().to_owned();
    let tx_code = offer["txCode"].as_str().unwrap().to_owned();
    world.stop().await;

    let log = String::from_utf8_lossy(&buffer.0.lock().unwrap()).into_owned();
    assert!(log.contains("access denied") && log.contains("issued"), "the story is in the log");
    let seed = aval_codec::b64u::encode(seed.as_slice());
    for secret in [
        "Verschwiegen",
        "SECRETIBAN",
        "Verschlusssache",
        "Geheimnummer",
        "a-wrong-token-of-a-stranger",
        "a-guess",
        TOKEN,
        &seed,
        &code,
        &format!("{tx_code} "),
        &format!("\"{tx_code}\""),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {}", line.unwrap_or_default());
    }
}
