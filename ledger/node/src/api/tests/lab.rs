//! A node with a hand on its clock and on the making of blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::testkit::{Credential, Kit, Party};
use aval_proof::{Certificate, LedgerProof, TrustAnchor, Verified, signed_bytes};
use aval_store::{Ledger, MemoryStorage, StoreConfig};
use aval_types::access::{AccessRequest, AccessToken};
use aval_types::{SubmittedTransaction, TransactionId};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use futures::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use uuid::Uuid;

use crate::access::Gate;
use crate::access::log::AccessLog;
use crate::api::admin::Controls;
use crate::api::{NodeInfo, Parts, router};
use crate::cli::log::LogControl;
use crate::config::ApiConfig;
use crate::core::{Core, CoreOptions, Network};
use crate::engine::{Application, Links, SealedBlock, Slot};
use crate::genesis_file::GenesisFile;
use crate::metrics::Metrics;
use crate::runtime::{Job, Runtime, SharedRuntime, Task};
use crate::stop::Stop;

/// Tasks on tokio, and a clock that is set by hand.
pub(super) struct LabRuntime {
    now_ms: AtomicU64,
}

impl Runtime for LabRuntime {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Task {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, _: &'static str, task: Task) {
        tokio::spawn(task);
    }

    fn random(&self) -> u64 {
        0
    }

    fn offload(&self, job: Job) {
        tokio::task::spawn_blocking(job);
    }
}

/// A node, its interface, and the network in a box around it.
pub(super) struct Lab {
    pub(super) kit: Kit,
    pub(super) core: Arc<Core>,
    runtime: Arc<LabRuntime>,
    router: Router,
    admin: Router,
    pub(super) gate: Arc<Gate>,
    pub(super) controls: Controls,
    _outgoing: crate::engine::Outgoing,
}

/// An answer of the interface.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn media_type(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// The code of a problem; fails if the answer is none.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.media_type(), "application/problem+json", "{}", self.json());
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("urn:aval:error:{}", problem["code"].as_str().unwrap()));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        (self.status.as_u16(), problem["code"].as_str().unwrap().to_owned())
    }
}

impl Lab {
    /// A node at genesis.
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, CoreOptions::default(), ApiConfig::default())
    }

    pub(super) fn with(seed: u64, mut options: CoreOptions, api: ApiConfig) -> Self {
        let kit = Kit::new(seed);
        options.block_interval = Duration::ZERO;
        let runtime = Arc::new(LabRuntime { now_ms: AtomicU64::new(kit.now_s * 1000) });
        let shared: SharedRuntime = runtime.clone();
        let genesis = Arc::new(GenesisFile::parse(kit.genesis_bytes().to_vec()).unwrap());
        let storage = MemoryStorage::default();
        let ledger = Ledger::open_memory(&storage, &genesis.hash, StoreConfig::default()).unwrap();
        let network = Network::parse(kit.genesis_bytes()).unwrap();
        let (links, outgoing) = Links::disconnected();
        let core = Core::start(network, ledger, shared, links, Arc::new(Metrics::new()), options).unwrap();
        let node = NodeInfo { key: kit.validator_keys()[0].public().to_multikey() };
        let gate = Arc::new(Gate::new(node.key.clone(), AccessLog::in_memory()));
        let parts = Parts { core: core.clone(), genesis, node, gate: gate.clone() };
        let controls = Controls { stop: Stop::by_request(), log: Arc::new(LogControl::detached("warn")) };
        let admin = crate::api::admin::router(parts.clone(), controls.clone());
        let router = router(parts, &api);
        Self { kit, core, runtime, router, admin, gate, controls, _outgoing: outgoing }
    }

    /// A node with the issuer's registry, and thereby with a certified block.
    pub(super) async fn ready(seed: u64) -> Self {
        let mut lab = Self::new(seed);
        let registry = lab.kit.create_registry();
        lab.finalize(&registry).await;
        lab
    }

    /// Moves kit and node to a later time.
    pub(super) fn advance_s(&mut self, seconds: u64) {
        self.kit.now_s += seconds;
        self.runtime.now_ms.store(self.kit.now_s * 1000, Ordering::Relaxed);
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        answer(self.router.clone(), request).await
    }

    /// Sends a request whose answer has no end; gives the answer with its body unread.
    pub(super) async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A token of a party for a request to this node.
    pub(super) fn token(&self, party: &Party, request: &AccessRequest) -> String {
        let (key, now_s) = (&party.authentication, self.kit.now_s);
        AccessToken::sign(&party.kid(), key, self.gate.node_key(), request, Uuid::new_v4(), now_s)
    }

    /// Sends a request to the interface for the operator, or to the other one, with this token.
    pub(super) async fn ask(
        &self,
        to_admin: bool,
        (method, path, body): (&str, &str, &'static str),
        token: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let router = if to_admin { &self.admin } else { &self.router };
        answer(router.clone(), request.body(Body::from(body)).unwrap()).await
    }

    /// Sends a request to the interface for the operator with a token of a party.
    pub(super) async fn administer(&self, party: &Party, request: (&str, &str, &'static str)) -> Answer {
        let (method, path, body) = request;
        let token = self.token(party, &AccessRequest::new(method, path, body.as_bytes()));
        self.ask(true, request, Some(&token)).await
    }

    /// Sends a request beside what the test does next.
    pub(super) fn spawn(&self, request: Request<Body>) -> JoinHandle<Answer> {
        tokio::spawn(answer(self.router.clone(), request))
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, media_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post("/v1/transactions").header(header::CONTENT_TYPE, media_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn submit(&self, submitted: &SubmittedTransaction) -> Answer {
        self.post("application/json", submitted.to_body()).await
    }

    /// Submits a transaction that is taken in; its id.
    pub(super) async fn accept(&self, submitted: &SubmittedTransaction) -> TransactionId {
        let answer = self.submit(submitted).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Submits a transaction and makes it final.
    pub(super) async fn finalize(&mut self, submitted: &SubmittedTransaction) -> TransactionId {
        let id = self.accept(submitted).await;
        self.make_block(true).await;
        assert!(self.core.ledger.transaction(&id).unwrap().is_some());
        id
    }

    /// A company that is a member, by its own transaction.
    pub(super) async fn member(&mut self, number: u64) -> (Party, Credential) {
        let company = self.kit.company(number);
        let credential = self.kit.membership(&company);
        let create = company.create_with(&self.kit, &credential);
        self.finalize(&create).await;
        (company, credential)
    }

    /// Makes a block of what waits, one second later, and makes it final, with a certificate of its own or without.
    pub(super) async fn make_block(&mut self, is_certified: bool) {
        self.advance_s(1);
        let head = self.core.ledger.require_head().unwrap();
        let parent = Arc::new(SealedBlock::new(self.core.ledger.block(head.height()).unwrap()));
        let leader = ed25519(&self.kit, 0);
        let (view, parent_view) = (head.header().view + 1, head.header().view);
        let slot = Slot { epoch: 0, view, parent_view, leader, parent: head.digest() };
        let ancestry = futures::stream::iter([parent]).boxed();
        let block = self.core.executor.propose(slot, ancestry).await.unwrap();
        let certificate = is_certified.then(|| self.certify(view, parent_view, &block.digest()));
        self.core.executor.finalized(block, certificate).await.unwrap();
    }

    fn certify(&self, view: u64, parent_view: u64, digest: &Hash) -> Certificate {
        let mut keys: Vec<_> = (0..4).map(|index| (ed25519(&self.kit, index), index)).collect();
        keys.sort_unstable();
        let message = signed_bytes(&self.kit.network().genesis(), 0, view, parent_view, digest);
        let signatures =
            keys[..3].iter().map(|(_, index)| self.kit.validator_keys()[*index].sign(&message)).collect();
        Certificate { epoch: 0, view, parent_view, signers: vec![0, 1, 2], signatures }
    }

    /// Verifies a ledger proof from nothing but the genesis file.
    pub(super) fn verify(&self, proof: &Value) -> Verified {
        let anchor = TrustAnchor::from_genesis(self.kit.genesis_bytes()).unwrap();
        let proof = LedgerProof::from_json(proof.to_string().as_bytes()).unwrap();
        proof.verify(&anchor).unwrap()
    }
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

fn ed25519(kit: &Kit, index: usize) -> [u8; 32] {
    match kit.validator_keys()[index].public() {
        aval_did::PublicKey::Ed25519(bytes) => bytes,
        aval_did::PublicKey::P256(_) => panic!("validators have Ed25519 keys"),
    }
}
