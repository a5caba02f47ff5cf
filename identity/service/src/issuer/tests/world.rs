//! A running issuer, the ledger's rules in memory, and a wallet.

use crate::clock::now_s;
use crate::issuer::Issuer;
use crate::issuer::config::{Config, CredentialConfig, Home, KeysConfig, RegistryConfig};
use crate::issuer::decisions::prepare_ledger;
use crate::issuer::instance::Instances;
use crate::issuer::ledger::{Chain, Entry, Ledger, LedgerError};
use crate::issuer::service;
use crate::keys::{IssuerKeys, Key};
use crate::server::Bounds;
use crate::tests::{Answer, request};
use aval_client::ClientError;
use aval_codec::Json;
use aval_did::VerificationMethod;
use aval_did::key::{PublicKey, SigningKey};
use aval_machine::StateRead as _;
use aval_machine::testkit::{Kit, MEMBERSHIP, Options};
use aval_openid::vci::holder::{Authorized, Discovery, Received, Redeemable};
use aval_openid::vci::offer::OfferLink;
use aval_openid::{HttpRequest, Method, OpenIdError, UrlPolicy};
use aval_types::SubmittedTransaction;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "a-token-of-the-back-office-for-tests";

/// The rules of the ledger in memory, with the faults of a network.
pub(crate) struct TestChain {
    pub(crate) kit: Mutex<Kit>,
    pub(crate) reachable: AtomicBool,
    /// Takes the next transaction, and does not say so.
    pub(crate) loses_answer: AtomicBool,
    pub(crate) delay_ms: AtomicU64,
    pub(crate) reads: AtomicUsize,
    pub(crate) submissions: AtomicUsize,
    /// Under which several instances are known.
    first_address: OnceLock<SocketAddr>,
}

impl TestChain {
    pub(crate) fn new() -> Arc<Self> {
        let time_s = u64::try_from(now_s()).unwrap() - 100;
        Arc::new(Self {
            kit: Mutex::new(Kit::with(Options { seed: 7, time_s, ..Options::default() })),
            reachable: AtomicBool::new(true),
            loses_answer: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            reads: AtomicUsize::new(0),
            submissions: AtomicUsize::new(0),
            first_address: OnceLock::new(),
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

    pub(crate) fn ledger(self: &Arc<Self>, config: &Config, keys: &Arc<IssuerKeys>) -> Ledger {
        let network = self.kit.lock().unwrap().network().clone();
        Ledger::new(config, self.clone(), network, keys.clone()).unwrap()
    }

    pub(crate) fn keys_of(
        &self,
        party: impl FnOnce(&Kit) -> aval_machine::testkit::Party,
    ) -> Arc<IssuerKeys> {
        let party = party(&self.kit.lock().unwrap());
        Arc::new(IssuerKeys::single(party.did, "#key-1", party.authentication))
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

pub(crate) fn config(public: SocketAddr, admin: SocketAddr) -> Config {
    Config {
        listen: public,
        admin_listen: admin,
        public_url: format!("http://{public}/register"),
        node: "http://127.0.0.1:1".to_owned(),
        registries: [("membership", "revocation"), ("membership-hold", "suspension")]
            .map(|(name, purpose)| RegistryConfig {
                name: name.to_owned(),
                purpose: purpose.to_owned(),
                size: 16 * 1024,
            })
            .into(),
        credential: CredentialConfig {
            credential_type: MEMBERSHIP.to_owned(),
            display_name: "Membership".to_owned(),
            validity_days: 30,
            offer_minutes: 10,
        },
        database: None,
        keys: KeysConfig::default(),
        certificates: BTreeMap::new(),
    }
}

/// A running issuer.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) chain: Arc<TestChain>,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Bounds::default()).await
    }

    /// With further issuers of the VC-API.
    pub(crate) async fn start_with(instances: Instances) -> Self {
        let any = "127.0.0.1:0";
        let listeners = (TcpListener::bind(any).await.unwrap(), TcpListener::bind(any).await.unwrap());
        let config = config(listeners.0.local_addr().unwrap(), listeners.1.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        Self::of_instances(folder, TestChain::new(), listeners, Bounds::default(), config, instances).await
    }

    pub(crate) async fn with(bounds: Bounds) -> Self {
        let any = "127.0.0.1:0";
        let listeners = (TcpListener::bind(any).await.unwrap(), TcpListener::bind(any).await.unwrap());
        Self::on(tempfile::tempdir().unwrap(), TestChain::new(), listeners, bounds).await
    }

    /// One of several instances, on a PostgreSQL database and under one public address.
    pub(crate) async fn instance(chain: &Arc<TestChain>, database: &str) -> Self {
        let any = "127.0.0.1:0";
        let listeners = (TcpListener::bind(any).await.unwrap(), TcpListener::bind(any).await.unwrap());
        let first = chain.first_address.get_or_init(|| listeners.0.local_addr().unwrap());
        let config = Config { database: Some(database.to_owned()), ..config(*first, *first) };
        Self::of(tempfile::tempdir().unwrap(), chain.clone(), listeners, Bounds::default(), config).await
    }

    async fn on(
        folder: TempDir,
        chain: Arc<TestChain>,
        listeners: (TcpListener, TcpListener),
        bounds: Bounds,
    ) -> Self {
        let config = config(listeners.0.local_addr().unwrap(), listeners.1.local_addr().unwrap());
        config.validate().unwrap();
        Self::of(folder, chain, listeners, bounds, config).await
    }

    async fn of(
        folder: TempDir,
        chain: Arc<TestChain>,
        listeners: (TcpListener, TcpListener),
        bounds: Bounds,
        config: Config,
    ) -> Self {
        Self::of_instances(folder, chain, listeners, bounds, config, Instances::new()).await
    }

    async fn of_instances(
        folder: TempDir,
        chain: Arc<TestChain>,
        (public, admin): (TcpListener, TcpListener),
        bounds: Bounds,
        config: Config,
        instances: Instances,
    ) -> Self {
        let addresses = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let keys = chain.keys_of(|kit| kit.issuer.clone());
        let ledger = chain.ledger(&config, &keys);
        prepare_ledger(&config, &ledger).await.unwrap();
        let records = service::open_records(&config, &Home(folder.path().to_owned())).await.unwrap();
        let issuer = Arc::new(Issuer::new(config, keys, records, ledger).with_instances(instances));
        let (stop, stopped) = watch::channel(false);
        let running = issuer.clone();
        let served = tokio::spawn(async move {
            service::run(running, public, admin, TOKEN, bounds, stopped).await;
        });
        Self { folder, chain, issuer, public: addresses.0, admin: addresses.1, stop, served }
    }

    pub(crate) async fn stop(self) -> (TempDir, Arc<TestChain>) {
        self.stop.send_replace(true);
        self.served.await.unwrap();
        (self.folder, self.chain)
    }

    /// The same issuer after it was stopped.
    pub(crate) async fn restart(self) -> Self {
        let (public, admin) = (self.public, self.admin);
        let (folder, chain) = self.stop().await;
        let listeners = (TcpListener::bind(public).await.unwrap(), TcpListener::bind(admin).await.unwrap());
        Self::on(folder, chain, listeners, Bounds::default()).await
    }

    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("http://{}/register{path}", self.public)
    }

    /// A request to the back office with its token.
    pub(crate) async fn office(&self, method: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        request(method, format!("http://{}{path}", self.admin), &headers, body.as_bytes()).await
    }

    /// A new offer: its link and the transaction code.
    pub(crate) async fn offer(&self) -> (String, String) {
        let body = r#"{"subject":{"role":["member"],"legalName":"Example Ltd"}}"#;
        let answer = self.office("POST", "/offers", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let offer = answer.json();
        (offer["offerUri"].as_str().unwrap().to_owned(), offer["txCode"].as_str().unwrap().to_owned())
    }

    /// Has the issuer's document on the ledger name a further key.
    pub(crate) fn name_key(&self, method: &str, public: &PublicKey) {
        let mut kit = self.chain.kit.lock().unwrap();
        kit.now_s = u64::try_from(now_s()).unwrap();
        let registry = kit.create_registry();
        kit.apply(registry).unwrap();
        let (endorser, _) = kit.endorser(1);
        let mut issuer = kit.issuer.clone();
        let mut document = issuer.document.clone();
        document.verification_method.push(VerificationMethod::multikey(method, public));
        document.authentication.push(method.to_owned());
        document.assertion_method.push(method.to_owned());
        let updated = issuer.update_endorsed(&kit, document, &endorser);
        kit.apply(updated).unwrap();
        kit.issuer = issuer;
    }

    /// Gives the issuer a second key, which its document names.
    pub(crate) fn second_key(&self, key: SigningKey) {
        self.name_key("#key-2", &key.public());
        let keys = self.issuer.keys();
        keys.add(Key::new(keys.did(), "#key-2", Box::new(key)));
    }

    /// An endpoint of this very instance.
    pub(crate) fn here(&self, path: &str) -> String {
        format!("http://{}/register{path}", self.public)
    }

    /// Where the issuer's metadata is.
    pub(crate) fn metadata_url(&self) -> String {
        format!("http://{}/.well-known/openid-credential-issuer/register", self.public)
    }

    /// Sends what is meant for the public address to this very instance.
    pub(crate) async fn send_here(&self, asked: &HttpRequest) -> Answer {
        let mut url = url::Url::parse(&asked.url).unwrap();
        url.set_port(Some(self.public.port())).unwrap();
        self.send(&HttpRequest { url: url.to_string(), ..asked.clone() }).await
    }

    /// Takes an offer of the back office all the way; gives the claims of the credential.
    pub(crate) async fn redeem(&self, offer: &serde_json::Value, configuration: &str) -> serde_json::Value {
        let redeemable = self.discover(offer["offerUri"].as_str().unwrap()).await;
        let request = redeemable.token_request(offer["txCode"].as_str()).unwrap();
        let answer = self.send(&request).await;
        let mut authorized = redeemable.on_token(&answer.response()).unwrap();
        self.fetch_nonce(&mut authorized).await;
        let request = authorized.credential_request(configuration, &holder_key(), now_s()).unwrap();
        let answer = self.send(&request).await;
        let received = self.accept_as(&authorized, &answer, configuration).unwrap();
        serde_json::to_value(received.presentation.claims()).unwrap()
    }

    pub(crate) async fn send(&self, asked: &HttpRequest) -> Answer {
        let bearer = asked.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend(asked.content_type.map(|value| ("content-type", value)));
        headers.extend(asked.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let method = match asked.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        request(method, asked.url.clone(), &headers, &asked.body).await
    }

    /// The wallet up to the point where its user decides.
    pub(crate) async fn discover(&self, link: &str) -> Redeemable {
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
    pub(crate) async fn authorize(&self) -> Authorized {
        let (link, tx_code) = self.offer().await;
        let redeemable = self.discover(&link).await;
        let answer = self.send(&redeemable.token_request(Some(&tx_code)).unwrap()).await;
        redeemable.on_token(&answer.response()).unwrap()
    }

    pub(crate) async fn fetch_nonce(&self, authorized: &mut Authorized) {
        let answer = self.send(&authorized.nonce_request().unwrap()).await;
        authorized.on_nonce(&answer.response()).unwrap();
    }

    /// Nonce, proof, credential.
    pub(crate) async fn receive(&self, authorized: &mut Authorized) -> Result<Received, OpenIdError> {
        self.fetch_nonce(authorized).await;
        let request = authorized.credential_request(MEMBERSHIP, &holder_key(), now_s()).unwrap();
        let answer = self.send(&request).await;
        self.accept(authorized, &answer)
    }

    pub(crate) fn accept(&self, authorized: &Authorized, answer: &Answer) -> Result<Received, OpenIdError> {
        self.accept_as(authorized, answer, MEMBERSHIP)
    }

    fn accept_as(
        &self,
        authorized: &Authorized,
        answer: &Answer,
        configuration: &str,
    ) -> Result<Received, OpenIdError> {
        let issuer = self.chain.kit.lock().unwrap().issuer.clone();
        authorized.on_credential(
            &answer.response(),
            configuration,
            &holder_key().public(),
            now_s(),
            |did, key_id| {
                let known = did == issuer.did.as_str() && key_id == issuer.key_url();
                Ok(known.then(|| issuer.authentication.public()))
            },
        )
    }

    /// An issued credential and its issuance id.
    pub(crate) async fn issued(&self) -> (Received, String) {
        let received = self.receive(&mut self.authorize().await).await.unwrap();
        let id = match received.presentation.claims().get("id") {
            Some(Json::String(id)) => id.trim_start_matches("urn:uuid:").to_owned(),
            other => panic!("no id: {other:?}"),
        };
        (received, id)
    }
}

pub(crate) fn holder_key() -> SigningKey {
    SigningKey::p256_from_seed(&[2; 32]).expect("a valid scalar")
}
