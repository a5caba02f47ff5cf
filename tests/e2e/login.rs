//! A credential whose user has to log in at the issuer: wallet, issuer and a browser, over real sockets.

use anyhow::{Context, Result, ensure};
use aval_tests::network::{Network, PATIENCE};
use aval_tests::people::{IssuerService, Wallet};
use aval_tests::process::{Running, eventually};
use serde_json::Value;

/// What came back to the browser: status and where it is sent.
struct Page {
    status: u16,
    location: String,
    text: String,
}

/// A browser that does not follow redirections by itself.
fn browse(
    request: impl FnOnce(&ureq::Agent) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Page> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let agent = config.max_redirects_will_error(false).build().new_agent();
    let mut response = request(&agent)?;
    let location = response.headers().get("location").map(|value| value.to_str().map(str::to_owned));
    Ok(Page {
        status: response.status().as_u16(),
        location: location.transpose()?.unwrap_or_default(),
        text: response.body_mut().read_to_string()?,
    })
}

fn open(address: &str) -> Result<Page> {
    browse(|agent| agent.get(address).call())
}

/// Fills in the issuer's page.
fn decide(page: &str, login: &str, decision: &str) -> Result<Page> {
    let (address, query) = page.split_once('?').context("an address with parameters")?;
    let form = format!("{query}&login_code={login}&decision={decision}");
    browse(|agent| agent.post(address).content_type("application/x-www-form-urlencoded").send(form))
}

struct Scene {
    issuer: IssuerService,
    citizen: Wallet,
    login: String,
    receiving: Running,
    page: String,
    _network: Network,
}

/// Up to the moment at which the wallet has named the issuer's page.
fn scene(seed: u64) -> Result<Scene> {
    let network = Network::start(seed)?;
    let issuer = IssuerService::start(&network)?;
    let citizen = Wallet::create(&network, "citizen", 1)?;
    let offer = issuer.command(&["offer", "--role", "member", "--login"])?.json()?;
    let text = |name: &str| offer[name].as_str().map(str::to_owned).with_context(|| format!("{offer}"));
    let (link, login) = (text("offerUri")?, text("loginCode")?);
    let with_code = citizen.run(&["credential", "receive", &link, "--tx-code", "123456", "--yes"])?;
    ensure!(with_code.code == 2, "a code that nobody asked for: {with_code:?}");
    let receiving = citizen.start(&["credential", "receive", &link, "--yes"])?;
    let page = eventually("the wallet names the issuer's page", PATIENCE, || {
        let talk = receiving.log_tail();
        Ok(talk
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("http") && line.contains('?'))
            .map(str::to_owned))
    })?;
    Ok(Scene { issuer, citizen, login, receiving, page, _network: network })
}

#[test]
fn a_user_who_logs_in_at_the_issuer_receives_a_credential_and_a_forged_way_back_is_not_taken() -> Result<()> {
    let scene = scene(141)?;
    let shown = open(&scene.page)?;
    ensure!(shown.status == 200 && shown.text.contains("127.0.0.1"), "{}", shown.text);
    let wrong = decide(&scene.page, "ABCD-EFGH", "agree")?;
    ensure!(wrong.status == 403 && wrong.location.is_empty(), "a wrong login code: {}", wrong.status);
    let agreed = decide(&scene.page, &scene.login, "agree")?;
    ensure!(agreed.status == 303 && agreed.location.starts_with("http://127.0.0.1:"), "{}", agreed.location);
    for (right, forged) in [("state=", "state=x"), ("iss=http", "iss=https"), ("/?", "/other?")] {
        let forged = open(&agreed.location.replace(right, forged))?;
        ensure!(forged.status == 400, "an answer with another {right}: {}", forged.status);
    }
    ensure!(open(&agreed.location)?.status == 200);
    let talk = scene.receiving.log_path().to_owned();
    let status = scene.receiving.ended(PATIENCE)?;
    ensure!(status.success(), "{status}: {}", std::fs::read_to_string(talk)?);
    let held = scene.citizen.json(&["credential", "list"])?;
    ensure!(held.as_array().map(Vec::len) == Some(1), "{held}");
    ensure!(scene.issuer.issuances()?.len() == 1);
    let created = scene.citizen.json(&["did", "create", "--yes"])?;
    ensure!(created.get("did").is_some_and(Value::is_string), "{created}");
    Ok(())
}

#[test]
fn a_user_who_denies_at_the_issuer_receives_nothing() -> Result<()> {
    let scene = scene(142)?;
    let denied = decide(&scene.page, "", "deny")?;
    ensure!(denied.status == 303 && denied.location.contains("access_denied"), "{}", denied.location);
    ensure!(open(&denied.location)?.status == 200);
    let talk = scene.receiving.log_path().to_owned();
    let status = scene.receiving.ended(PATIENCE)?;
    let talk = std::fs::read_to_string(talk)?;
    ensure!(status.code() == Some(1) && talk.contains("access_denied"), "{status}: {talk}");
    ensure!(scene.issuer.issuances()?.is_empty(), "something was issued");
    Ok(())
}
