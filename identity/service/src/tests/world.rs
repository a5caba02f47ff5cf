//! A running issuer, the ledger's rules in memory, and a wallet.

use crate::config::{Config, CredentialConfig, Home, RegistryConfig};
use crate::issuer::{Issuer, now_s, prepare_ledger};
use crate::keys::IssuerKeys;
use crate::ledger::{Chain, Entry, Ledger, LedgerError};
use crate::records::Records;
use crate::server::Bounds;
use crate::service;
use aval_client::ClientError;
use aval_codec::Json;
use aval_did::key::SigningKey;
use aval_machine::StateRead as _;
use aval_machine::testkit::{Kit, MEMBERSHIP, Options};
use aval_openid::vci::holder::{Authorized, Discovery, Received, Redeemable};
use aval_openid::vci::offer::OfferLink;
use aval_openid::{HttpRequest, HttpResponse, Method, OpenIdError, UrlPolicy};
use aval_types::SubmittedTransaction;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(super) const TOKEN: &str = "a-token-of-the-back-office-for-tests";

/// The rules of the ledger in memory, with the faults of a network.
pub(super) struct TestChain {
    pub(super) kit: Mutex<Kit>,
    pub(super) reachable: AtomicBool,
    /// Takes the next transaction, and does not say so.
    pub(super) loses_answer: AtomicBool,
    pub(super) delay_ms: AtomicU64,
    pub(super) reads: AtomicUsize,
    pub(super) submissions: AtomicUsize,
}

impl TestChain {
    pub(super) fn new() -> Arc<Self> {
        let time_s = u64::try_from(now_s()).unwrap() - 100;
        Arc::new(Self {
            kit: Mutex::new(Kit::with(Options { seed: 7, time_s, ..Options::default() })),
            reachable: AtomicBool::new(true),
            loses_answer: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            reads: AtomicUsize::new(0),
            submissions: AtomicUsize::new(0),
        })
    }

    fn reach(&self) -> Result<(), LedgerError> {
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
        if self.reachable.load(Ordering::SeqCst) {
            return Ok(());
        }
        let (address, reason) = ("http://127.0.0.1:1/".to_owned(), "refused".to_owned());
        Err(ClientError::Unreachable { address, reason }.into())
    }

    pub(super) fn ledger(self: &Arc<Self>, config: &Config, keys: &Arc<IssuerKeys>) -> Ledger {
        let network = self.kit.lock().unwrap().network().clone();
        Ledger::new(config, self.clone(), network, keys.clone()).unwrap()
    }

    pub(super) fn keys_of(
        &self,
        party: impl FnOnce(&Kit) -> aval_machine::testkit::Party,
    ) -> Arc<IssuerKeys> {
        let party = party(&self.kit.lock().unwrap());
        Arc::new(IssuerKeys { did: party.did, method: "#key-1".to_owned(), signing: party.authentication })
    }
}

impl Chain for TestChain {
    fn state(&self, key: &str) -> Result<Entry, LedgerError> {
        self.reach()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        let kit = self.kit.lock().unwrap();
        let value = kit.state().read(key.as_bytes()).expect("a state in memory can be read");
        Ok(Entry { value, time_ms: kit.now_s * 1000 })
    }

    fn submit(&self, submitted: &SubmittedTransaction) -> Result<(), LedgerError> {
        self.reach()?;
        self.submissions.fetch_add(1, Ordering::SeqCst);
        let mut kit = self.kit.lock().unwrap();
        kit.now_s = u64::try_from(now_s()).unwrap();
        kit.apply(submitted.clone()).map_err(|reject| LedgerError::Refused {
            code: reject.code().to_owned(),
            detail: reject.to_string(),
        })?;
        if self.loses_answer.swap(false, Ordering::SeqCst) {
            return Err(ClientError::NotFinal { id: submitted.transaction.id().to_string() }.into());
        }
        Ok(())
    }
}

pub(super) fn config(public: SocketAddr, admin: SocketAddr) -> Config {
    Config {
        listen: public,
        admin_listen: admin,
        public_url: format!("http://{public}/register"),
        node: "http://127.0.0.1:1".to_owned(),
        registry: RegistryConfig { name: "membership".to_owned(), size: 16 * 1024 },
        credential: CredentialConfig {
            credential_type: MEMBERSHIP.to_owned(),
            display_name: "Membership".to_owned(),
            validity_days: 30,
            offer_minutes: 10,
        },
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn response(&self) -> HttpResponse<'_> {
        HttpResponse {
            status: self.status,
            content_type: Some(self.header("content-type")),
            body: &self.body,
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("answers are text")
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// That it is an error of the public side, in the words of the specifications.
    #[track_caller]
    pub(super) fn assert_refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(error)), "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert!(!self.header("x-request-id").is_empty());
    }

    /// That it is a problem of the admin side.
    #[track_caller]
    pub(super) fn assert_problem(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text());
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:aval:error:{code}"));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(!self.header("x-request-id").is_empty());
    }
}

/// One request, without a client's cleverness.
pub(super) async fn request(method: &str, url: String, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.to_vec()).unwrap();
    let ask = move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut answer = agent.run(request).unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: answer.body_mut().read_to_vec().unwrap(),
        }
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// A running issuer.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) chain: Arc<TestChain>,
    pub(super) issuer: Arc<Issuer>,
    pub(super) public: SocketAddr,
    pub(super) admin: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(Bounds::default()).await
    }

    pub(super) async fn with(bounds: Bounds) -> Self {
        let any = "127.0.0.1:0";
        let listeners = (TcpListener::bind(any).await.unwrap(), TcpListener::bind(any).await.unwrap());
        Self::on(tempfile::tempdir().unwrap(), TestChain::new(), listeners, bounds).await
    }

    async fn on(
        folder: TempDir,
        chain: Arc<TestChain>,
        (public, admin): (TcpListener, TcpListener),
        bounds: Bounds,
    ) -> Self {
        let addresses = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let config = config(addresses.0, addresses.1);
        config.validate().unwrap();
        let keys = chain.keys_of(|kit| kit.issuer.clone());
        let ledger = chain.ledger(&config, &keys);
        prepare_ledger(&config, &ledger).await.unwrap();
        let records = Records::open(&Home(folder.path().to_owned()).records()).await.unwrap();
        let issuer = Arc::new(Issuer::new(config, keys, records, ledger));
        let (stop, stopped) = watch::channel(false);
        let running = issuer.clone();
        let served = tokio::spawn(async move {
            service::run(running, public, admin, TOKEN, bounds, stopped).await;
        });
        Self { folder, chain, issuer, public: addresses.0, admin: addresses.1, stop, served }
    }

    pub(super) async fn stop(self) -> (TempDir, Arc<TestChain>) {
        self.stop.send_replace(true);
        self.served.await.unwrap();
        (self.folder, self.chain)
    }

    /// The same issuer after it was stopped.
    pub(super) async fn restart(self) -> Self {
        let (public, admin) = (self.public, self.admin);
        let (folder, chain) = self.stop().await;
        let listeners = (TcpListener::bind(public).await.unwrap(), TcpListener::bind(admin).await.unwrap());
        Self::on(folder, chain, listeners, Bounds::default()).await
    }

    pub(super) fn endpoint(&self, path: &str) -> String {
        format!("http://{}/register{path}", self.public)
    }

    /// A request to the back office with its token.
    pub(super) async fn office(&self, method: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        request(method, format!("http://{}{path}", self.admin), &headers, body.as_bytes()).await
    }

    /// A new offer: its link and the transaction code.
    pub(super) async fn offer(&self) -> (String, String) {
        let body = r#"{"subject":{"role":["member"],"legalName":"Example Ltd"}}"#;
        let answer = self.office("POST", "/offers", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let offer = answer.json();
        (offer["offerUri"].as_str().unwrap().to_owned(), offer["txCode"].as_str().unwrap().to_owned())
    }

    pub(super) async fn send(&self, asked: &HttpRequest) -> Answer {
        let bearer = asked.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend(asked.content_type.map(|value| ("content-type", value)));
        let method = match asked.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        request(method, asked.url.clone(), &headers, &asked.body).await
    }

    /// The wallet up to the point where its user decides.
    pub(super) async fn discover(&self, link: &str) -> Redeemable {
        let OfferLink::Value(offer) = OfferLink::parse(link, UrlPolicy::LOOPBACK).unwrap() else {
            panic!("the offer is in the link")
        };
        let discovery = Discovery::new(offer, UrlPolicy::LOOPBACK).unwrap();
        let answer = self.send(&discovery.request().unwrap()).await;
        let discovered = discovery.on_response(&answer.response()).unwrap();
        let answer = self.send(&discovered.request().unwrap()).await;
        discovered.on_response(&answer.response()).unwrap()
    }

    /// The wallet up to the token.
    pub(super) async fn authorize(&self) -> Authorized {
        let (link, tx_code) = self.offer().await;
        let redeemable = self.discover(&link).await;
        let answer = self.send(&redeemable.token_request(Some(&tx_code)).unwrap()).await;
        redeemable.on_token(&answer.response()).unwrap()
    }

    pub(super) async fn fetch_nonce(&self, authorized: &mut Authorized) {
        let answer = self.send(&authorized.nonce_request().unwrap()).await;
        authorized.on_nonce(&answer.response()).unwrap();
    }

    /// Nonce, proof, credential.
    pub(super) async fn receive(&self, authorized: &mut Authorized) -> Result<Received, OpenIdError> {
        self.fetch_nonce(authorized).await;
        let request = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
        let answer = self.send(&request).await;
        self.accept(authorized, &answer)
    }

    pub(super) fn accept(&self, authorized: &Authorized, answer: &Answer) -> Result<Received, OpenIdError> {
        let issuer = self.chain.kit.lock().unwrap().issuer.clone();
        authorized.on_credential(
            &answer.response(),
            MEMBERSHIP,
            &holder_key().public(),
            now_s(),
            |did, key_id| {
                let known = did == issuer.did.as_str() && key_id == issuer.key_url();
                Ok(known.then(|| issuer.authentication.public()))
            },
        )
    }

    /// An issued credential and its issuance id.
    pub(super) async fn issued(&self) -> (Received, String) {
        let received = self.receive(&mut self.authorize().await).await.unwrap();
        let id = match received.presentation.claims().get("id") {
            Some(Json::String(id)) => id.trim_start_matches("urn:uuid:").to_owned(),
            other => panic!("no id: {other:?}"),
        };
        (received, id)
    }
}

pub(super) fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).expect("a valid scalar")
}
