//! What is found out before the service serves: each fault a sentence and an exit code.

use super::world::{TestChain, config};
use crate::fault::Fault;
use crate::issuer::config::Config;
use crate::issuer::decisions::prepare_ledger;
use crate::issuer::ledger::LedgerError;
use crate::keys::IssuerKeys;
use aval_client::ClientError;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn any_config() -> Config {
    config("127.0.0.1:8100".parse().unwrap(), "127.0.0.1:8101".parse().unwrap())
}

async fn fault_of(chain: &Arc<TestChain>, config: &Config, keys: &Arc<IssuerKeys>) -> Fault {
    let ledger = chain.ledger(config, keys);
    prepare_ledger(config, &ledger).await.unwrap_err().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registries_are_made_once() {
    let chain = TestChain::new();
    let keys = chain.keys_of(|kit| kit.issuer.clone());
    let ledger = chain.ledger(&any_config(), &keys);
    for _ in 0..3 {
        prepare_ledger(&any_config(), &ledger).await.unwrap();
    }
    assert_eq!(chain.submissions.load(Ordering::SeqCst), 2, "one for each purpose");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_another_shape_is_not_taken() {
    let chain = TestChain::new();
    let keys = chain.keys_of(|kit| kit.issuer.clone());
    prepare_ledger(&any_config(), &chain.ledger(&any_config(), &keys)).await.unwrap();
    let mut other = any_config();
    other.registries[0].size *= 2;
    let fault = fault_of(&chain, &other, &keys).await;
    assert_eq!(fault.exit_code(), 1);
    assert!(fault.to_string().contains("registry"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_nobody_accredited_is_refused() {
    let chain = TestChain::new();
    let keys = chain.keys_of(|kit| kit.operators[0].clone());
    let fault = fault_of(&chain, &any_config(), &keys).await;
    assert_eq!(fault.exit_code(), 4);
    assert!(fault.to_string().contains("not accredited"), "{fault}");
    let mut other = any_config();
    other.credential.credential_type = "DriversLicence".to_owned();
    let keys = chain.keys_of(|kit| kit.issuer.clone());
    assert_eq!(fault_of(&chain, &other, &keys).await.exit_code(), 4);
    assert_eq!(chain.submissions.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_did_that_is_not_on_the_ledger_is_refused() {
    let chain = TestChain::new();
    let keys = chain.keys_of(|kit| kit.company(1));
    let fault = fault_of(&chain, &any_config(), &keys).await;
    assert_eq!(fault.exit_code(), 5);
    assert!(fault.to_string().contains("not on this ledger"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_document_does_not_name_is_refused() {
    let chain = TestChain::new();
    let (issuer, other) = {
        let kit = chain.kit.lock().unwrap();
        (kit.issuer.clone(), kit.operators[0].clone())
    };
    let wrong_key = IssuerKeys::single(issuer.did.clone(), "#key-1", other.authentication);
    let wrong_name = IssuerKeys::single(issuer.did, "#key-2", issuer.authentication);
    for keys in [wrong_key, wrong_name] {
        let fault = fault_of(&chain, &any_config(), &Arc::new(keys)).await;
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.to_string().contains("keys.json"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_node_is_worth_another_try() {
    let chain = TestChain::new();
    chain.reachable.store(false, Ordering::SeqCst);
    let keys = chain.keys_of(|kit| kit.issuer.clone());
    assert_eq!(fault_of(&chain, &any_config(), &keys).await.exit_code(), 6);
}

#[test]
fn an_answer_of_another_network_points_at_the_genesis_file() {
    let error = ClientError::Contradiction("the proof is about another network");
    let fault = Fault::from(LedgerError::Client(error));
    assert_eq!(fault.exit_code(), 3);
    assert!(fault.to_string().contains("genesis.json"));
}
