//! Asking a resolver by its binding.

use std::sync::Arc;

use aval_client::{ClientOptions, MemoryCheckpoints, NodeClient, TrustedGenesis, VerifyingClient};
use aval_resolver::binding::{Answer, Question, respond};
use aval_resolver::{CacheBounds, Resolver};
use serde_json::Value;

use crate::host::Host;
use crate::ledger_box::{FakeLedger, FakeNode};

pub(crate) const RESULT: &str = "application/did-resolution";
pub(crate) const DEREFERENCING: &str = "application/did-url-dereferencing";

pub(crate) fn verifying(node: &FakeNode) -> VerifyingClient {
    let genesis = TrustedGenesis::parse(node.with_ledger(|ledger| ledger.genesis.clone())).unwrap();
    let client = NodeClient::new(&node.url(), &ClientOptions::default()).unwrap();
    VerifyingClient::new(client, &genesis, Arc::new(MemoryCheckpoints::default())).unwrap()
}

/// A resolver of all methods, with a ledger and a host that it may ask.
pub(crate) struct World {
    pub(crate) node: FakeNode,
    pub(crate) host: Host,
    pub(crate) resolver: Resolver,
}

impl World {
    pub(crate) fn new() -> Self {
        let node = FakeNode::start(FakeLedger::new());
        let host = Host::start();
        let resolver = Resolver::new(Some(verifying(&node)), Some(host.client()), CacheBounds::default());
        Self { node, host, resolver }
    }

    pub(crate) fn issuer(&self) -> String {
        self.node.with_ledger(|ledger| ledger.issuer.to_string())
    }

    pub(crate) fn get(&self, identifier: &str) -> Answer {
        ask(&self.resolver, identifier, &[])
    }

    pub(crate) fn get_as(&self, identifier: &str, accept: &str) -> Answer {
        ask(&self.resolver, identifier, &[accept])
    }
}

/// Asks for what stands behind `/1.0/identifiers/`, with its query.
pub(crate) fn ask(resolver: &Resolver, rest: &str, accept: &[&str]) -> Answer {
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let path = format!("/1.0/identifiers/{path}");
    respond(resolver, &Question { path: &path, query, accept, body: None })
}

pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The error of an answer that has no document.
pub(crate) fn error(answer: &Answer) -> (u16, String) {
    let result = body(answer);
    assert_eq!(result["didDocument"], Value::Null);
    let problem = &result["didResolutionMetadata"]["error"];
    assert!(!problem["title"].as_str().unwrap().is_empty());
    (answer.status, problem["type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned())
}

pub(crate) fn refused(status: u16, name: &str) -> (u16, String) {
    (status, name.to_owned())
}
