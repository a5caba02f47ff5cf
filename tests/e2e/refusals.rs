//! What the network refuses: each with its own code, and without any change of state.

use anyhow::{Context, Result, bail, ensure};
use aval_client::ClientError;
use aval_did::Create;
use aval_machine::testkit::{Draft, Party};
use aval_tests::network::Network;
use aval_types::action::{CredentialPresent, DidCreate};
use aval_types::{Action, NetworkId, SubmittedTransaction};

/// Submits and expects a refusal; answers with its code.
fn refusal(network: &Network, submitted: &SubmittedTransaction) -> Result<String> {
    network.wait_height(1, network.head(0)?.0.max(network.head(2)?.0))?;
    match network.client(1)?.submit(submitted) {
        Err(ClientError::Refused(problem)) => Ok(problem.code),
        Err(other) => bail!("not a refusal: {other:?}"),
        Ok(id) => bail!("{id} was accepted"),
    }
}

/// Posts bytes as they are and answers with the problem's code.
fn raw_refusal(network: &Network, body: &[u8]) -> Result<String> {
    let agent =
        ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let url = format!("{}/v1/transactions", network.url(0));
    let mut response = agent.post(url).header("Content-Type", "application/json").send(body)?;
    ensure!(response.status().is_client_error(), "status {}", response.status());
    let problem: serde_json::Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    Ok(problem["code"].as_str().context("a problem has a code")?.to_owned())
}

/// A creation without a grant, which wants an endorser.
fn create(network: &Network, number: u64) -> Action {
    let company = network.kit.company(number);
    Action::DidCreate(DidCreate { operation: company.inception(), grant: None })
}

struct Scene {
    network: Network,
    member: Party,
    revoked: Party,
}

fn scene() -> Result<Scene> {
    let network = Network::start(301)?;
    let kit = &network.kit;
    network.finalize_everywhere(0, &kit.create_registry())?;
    let (member, revoked) = (kit.company(1), kit.company(2));
    network.finalize_everywhere(0, &member.create_with(kit, &kit.membership(&member)))?;
    let credential = kit.membership(&revoked);
    network.finalize_everywhere(0, &revoked.create_with(kit, &credential))?;
    network.finalize_everywhere(0, &kit.revoke(&credential))?;
    Ok(Scene { network, member, revoked })
}

#[test]
fn every_refusal_has_its_own_code_and_changes_nothing() -> Result<()> {
    let Scene { network, member, revoked } = scene()?;
    let kit = &network.kit;
    let (_, root) = network.head(1)?;
    let expect = |what: &str, submitted: &SubmittedTransaction, code: &str| -> Result<()> {
        let given = refusal(&network, submitted).with_context(|| what.to_owned())?;
        ensure!(given == code, "{what}: {given}, not {code}");
        Ok(())
    };

    let stranger = kit.company(10);
    let unused = kit.membership(&stranger);
    let bare = SubmittedTransaction::new(stranger.create_with(kit, &unused).transaction, None);
    expect("no credential", &bare, "presentation.missing")?;

    let outsider = kit.company(11);
    let foreign = kit.issue(&outsider, kit.terms(&stranger));
    expect("an unaccredited issuer", &stranger.create_with(kit, &foreign), "credential.issuer_unaccredited")?;

    let mut terms = kit.terms(&stranger);
    terms.valid_until_s = kit.now_s - 10;
    expect("expired", &stranger.create_with(kit, &kit.issue(&kit.issuer, terms)), "credential.expired")?;

    let mut terms = kit.terms(&stranger);
    terms.index = 1;
    let reused = kit.issue(&kit.issuer, terms);
    expect("a revoked index", &stranger.create_with(kit, &reused), "credential.revoked")?;

    let stolen = kit.membership(&member);
    expect("another's credential", &stranger.create_with(kit, &stolen), "presentation.key_binding")?;
    let lent = Draft::new(kit, bare_create(&stranger, &stolen))
        .controllers(&stranger)
        .presenting(&stolen, &member.authentication)
        .submit();
    expect("presented by someone else's key", &lent, "presentation.holder_key")?;

    let own = kit.membership(&stranger);
    let replayed = Draft::new(kit, bare_create(&stranger, &own))
        .controllers(&stranger)
        .presenting(&own, &stranger.authentication)
        .nonce("of another transaction")
        .submit();
    expect("a replayed presentation", &replayed, "presentation.replayed")?;

    let elsewhere = NetworkId::new("test", aval_codec::sha256(b"another genesis")).context("a label")?;
    let wrong = Draft::new(kit, create(&network, 12)).controllers(&kit.company(12)).endorser(&member);
    expect("another network", &wrong.network(elsewhere).submit(), "transaction.network")?;

    let past = Draft::new(kit, create(&network, 13)).controllers(&kit.company(13)).endorser(&member);
    let past = past.window(kit.now_s - 500, kit.now_s - 100).submit();
    expect("an expired window", &past, "transaction.expired")?;

    let update = member.clone().update(kit, kit.document(&member, 2));
    network.finalize_everywhere(2, &update)?;
    let (_, root_after_update) = network.head(2)?;
    ensure!(root != root_after_update, "an update changes the root");
    expect("a duplicate", &update, "transaction.duplicate")?;

    let stale = member.clone().update(kit, kit.document(&member, 3));
    expect("a stale version", &stale, "did.stale_version")?;

    let mut impostor = member.clone();
    impostor.controllers = vec![kit.key("not a control key")];
    impostor.version = aval_version(&network, &member)?;
    expect("a key that does not control", &impostor.update(kit, kit.document(&member, 4)), "did.control")?;

    let update = revoked.clone().update(kit, kit.document(&revoked, 2));
    expect("a revoked company", &update, "grant.revoked")?;

    let credential = kit.membership(&stranger);
    network.finalize_everywhere(0, &stranger.create_with(kit, &credential))?;
    // The second DID lists the same holder key, so that nothing but the used credential stands in its way.
    let mut second = kit.company(20);
    second.document = stranger.document.clone();
    second.did = Create::new("test", second.control(), second.document.clone())?.did;
    let twice = Draft::new(kit, bare_create(&second, &credential))
        .controllers(&second)
        .presenting(&credential, &stranger.authentication)
        .submit();
    expect("a second DID on one credential", &twice, "grant.exists")?;

    let endorsed = kit.company(21).create_endorsed(kit, &member);
    expect("an endorser without the role", &endorsed, "endorser.grant")?;

    let present = present_with_a_foreign_key(&network, &member);
    expect("a key that is not in the document", &present, "did.key_not_in_document")?;

    refuse_a_second_action(&network, &endorsed)?;

    refuse_bytes(&network, &update)?;

    let mut gone = stranger.clone();
    let mut late = gone.clone();
    network.finalize_everywhere(0, &gone.deactivate(kit))?;
    late.version = gone.version;
    expect("a deactivated DID", &late.update(kit, kit.document(&late, 9)), "did.deactivated")?;

    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}

/// What cannot be read, is too large, or was changed on its way.
fn refuse_bytes(network: &Network, update: &SubmittedTransaction) -> Result<()> {
    ensure!(raw_refusal(network, b"{")? == "transaction.malformed");
    let large = format!(r#"{{"transaction":"{}"}}"#, "A".repeat(110_000)).into_bytes();
    ensure!(raw_refusal(network, &large)? == "transaction.oversized");
    let mut broken = String::from_utf8(update.to_body())?;
    let at = broken.rfind("\",\"").or_else(|| broken.rfind('"')).context("a string")? - 3;
    let replacement = if broken.as_bytes()[at] == b'A' { "B" } else { "A" };
    broken.replace_range(at..=at, replacement);
    let code = raw_refusal(network, broken.as_bytes())?;
    ensure!(code == "transaction.signature", "a bad signature: {code}");
    Ok(())
}

/// A further credential of a member, sent under a key that its DID document does not list.
fn present_with_a_foreign_key(network: &Network, member: &Party) -> SubmittedTransaction {
    let kit = &network.kit;
    let credential = kit.membership(member);
    let mut locked_out = member.clone();
    locked_out.authentication = kit.key("not in the document");
    let present = Action::CredentialPresent(CredentialPresent { grant: credential.grant(&member.did) });
    Draft::new(kit, present).sender(&locked_out).presenting(&credential, &member.authentication).submit()
}

/// An endorser that signs for two actions at once. No builder makes such a payload, so it is put together by hand.
fn refuse_a_second_action(network: &Network, endorsed: &SubmittedTransaction) -> Result<()> {
    let payload: serde_json::Value = serde_json::from_slice(endorsed.transaction.payload_bytes())?;
    let mut twice = payload.clone();
    twice["action"] = serde_json::json!([payload["action"], payload["action"]]);
    let kid = endorsed.transaction.payload().endorser().context("an endorser signs")?.to_string();
    let header = serde_json::json!({ "alg": "EdDSA", "kid": kid, "typ": "aval-tx+jwt" });
    let [header, payload] = [header, twice].map(|part| aval_codec::b64u::encode(part.to_string()));
    let input = format!("{header}.{payload}");
    let signature = network.kit.company(1).authentication.sign(input.as_bytes());
    let jws = format!("{input}.{}", aval_codec::b64u::encode(signature));
    let body = serde_json::json!({ "transaction": jws }).to_string();
    let code = raw_refusal(network, body.as_bytes())?;
    ensure!(code == "transaction.one_action", "an endorser who signs for two actions: {code}");
    Ok(())
}

fn bare_create(party: &Party, credential: &aval_machine::testkit::Credential) -> Action {
    Action::DidCreate(DidCreate { operation: party.inception(), grant: Some(credential.grant(&party.did)) })
}

fn aval_version(network: &Network, party: &Party) -> Result<aval_did::syntax::VersionId> {
    let record = network.verifying(0)?.did_record(&party.did)?.value.context("the DID is on the ledger")?;
    Ok(record.version_id)
}
