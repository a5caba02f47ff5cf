//! The node interface of the box, over HTTP on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use aval_did::resolution::{
    NextVersion, ResolutionError, ResolutionOptions, ResolutionResult, VersionSelector,
};
use aval_did::{Did, DidRecord};
use aval_proof::{Claim, LedgerProof};
use aval_types::{Outcome, Reject, SubmittedTransaction, TransactionId};
use serde_json::{Value, json};
use url::Url;

use super::ledger::FakeLedger;

/// What goes back over the wire.
#[derive(Debug, Clone)]
pub enum Reply {
    Json(u16, &'static str, Value),
    Raw(u16, &'static str, Vec<u8>),
    /// A redirect to this address.
    Redirect(String),
    /// The connection is closed without an answer.
    Nothing,
}

impl Reply {
    pub fn json(status: u16, value: Value) -> Self {
        let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
        Self::Json(status, media_type, value)
    }

    /// Changes the body of a JSON answer.
    pub fn change(&mut self, change: impl FnOnce(&mut Value)) {
        match self {
            Self::Json(_, _, value) => change(value),
            other => panic!("not JSON: {other:?}"),
        }
    }
}

pub struct Request {
    pub method: String,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

type Tamper = Box<dyn FnMut(&Request, &FakeLedger, &mut Reply) + Send>;
type Extra = Box<dyn FnMut(&Request) -> Option<Reply> + Send>;

struct Shared {
    ledger: FakeLedger,
    tamper: Option<Tamper>,
    extra: Option<Extra>,
    paths: Vec<String>,
}

/// A running node. It ends with the process.
#[derive(Clone)]
pub struct FakeNode {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
}

impl FakeNode {
    pub fn start(ledger: FakeLedger) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { ledger, tamper: None, extra: None, paths: Vec::new() }));
        let node = Self { shared, address };
        let serving = node.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let node = serving.clone();
                std::thread::spawn(move || node.serve(stream));
            }
        });
        node
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every answer goes through this.
    pub fn tamper(&self, tamper: impl FnMut(&Request, &FakeLedger, &mut Reply) + Send + 'static) {
        self.lock().tamper = Some(Box::new(tamper));
    }

    pub fn be_honest(&self) {
        self.lock().tamper = None;
    }

    /// Serves other paths, too: an issuer beside the node.
    pub fn serve_also(&self, extra: impl FnMut(&Request) -> Option<Reply> + Send + 'static) {
        self.lock().extra = Some(Box::new(extra));
    }

    pub fn with_ledger<T>(&self, use_it: impl FnOnce(&mut FakeLedger) -> T) -> T {
        use_it(&mut self.lock().ledger)
    }

    /// The paths that were asked for so far.
    pub fn paths(&self) -> Vec<String> {
        self.lock().paths.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn serve(&self, stream: TcpStream) {
        let Some(request) = read(&stream) else { return };
        let reply = {
            let mut shared = self.lock();
            let shared = &mut *shared;
            shared.paths.push(request.url.path().to_owned());
            let extra = shared.extra.as_mut().and_then(|extra| extra(&request));
            let mut reply = extra.unwrap_or_else(|| answer(&mut shared.ledger, &request));
            if let Some(tamper) = &mut shared.tamper {
                tamper(&request, &shared.ledger, &mut reply);
            }
            reply
        };
        write(stream, &reply);
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let url = Url::parse("http://node.test").unwrap().join(&target).ok()?;
    Some(Request { method, url, headers, body })
}

fn write(mut stream: TcpStream, reply: &Reply) {
    let (status, headers, body) = match reply {
        Reply::Nothing => return,
        Reply::Json(status, media_type, value) => {
            (*status, format!("content-type: {media_type}\r\n"), value.to_string().into_bytes())
        }
        Reply::Raw(status, media_type, body) => {
            (*status, format!("content-type: {media_type}\r\n"), body.clone())
        }
        Reply::Redirect(to) => (302, format!("location: {to}\r\n"), Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

pub fn proof_json(proof: &LedgerProof) -> Value {
    serde_json::from_slice(&proof.to_json()).unwrap()
}

fn problem(status: u16, code: &str, title: &str) -> Reply {
    Reply::json(
        status,
        json!({"type": format!("urn:aval:error:{code}"), "title": title, "status": status, "code": code}),
    )
}

fn answer(ledger: &mut FakeLedger, request: &Request) -> Reply {
    let segments: Vec<&str> = request.url.path_segments().unwrap().collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "transactions"]) => submit(ledger, &request.body),
        ("GET", ["v1", "transactions", id]) => status(ledger, id.parse().unwrap()),
        ("GET", ["v1", "transactions", id, "receipt"]) => {
            let id: TransactionId = id.parse().unwrap();
            match ledger.receipt_proof(&id) {
                Some(proof) => Reply::json(200, proof_json(&proof)),
                None => problem(404, "receipt.not_found", "There is no receipt"),
            }
        }
        ("GET", ["v1", "state"]) => {
            let key = request.query("key").unwrap();
            Reply::json(200, proof_json(&ledger.state_proof(&key, ledger.blocks.len() - 1)))
        }
        ("GET", ["v1", "checkpoint"]) => {
            let header = ledger.head().header.clone();
            Reply::json(200, proof_json(&ledger.proof(&header, Claim::Header)))
        }
        ("GET", ["v1", "trust-chain"]) => {
            let above: u64 = request.query("from").unwrap().parse().unwrap();
            let mut chain = ledger.trust_chain.clone();
            chain.links.retain(|link| link.header.height > above);
            // Two at a time, so that the client has to ask again.
            chain.more = chain.links.len() > 2;
            chain.links.truncate(2);
            Reply::Raw(200, "application/json", chain.to_json())
        }
        ("GET", ["v1", "genesis"]) => Reply::Raw(200, "application/json", ledger.genesis.clone()),
        ("GET", ["v1", "status"]) => Reply::json(
            200,
            json!({
                "network": ledger.network.to_string(),
                "height": ledger.head().header.height,
                "more": {"to": "come"},
            }),
        ),
        ("GET", ["1.0", "identifiers", did]) => resolve(ledger, request, &did.replace("%3A", ":")),
        _ => problem(404, "request.not_found", "There is no such resource"),
    }
}

fn submit(ledger: &mut FakeLedger, body: &[u8]) -> Reply {
    let outcome = SubmittedTransaction::from_body(body).and_then(|submitted| ledger.submit(&submitted));
    match outcome {
        Ok(id) => Reply::json(202, json!({"id": id, "status": "pending"})),
        Err(reject) => refuse(&reject),
    }
}

pub fn refuse(reject: &Reject) -> Reply {
    problem(reject.http_status(), reject.code(), reject.title())
}

fn status(ledger: &FakeLedger, id: TransactionId) -> Reply {
    Reply::json(
        200,
        match ledger.place(&id) {
            None => json!({"id": id, "status": "unknown"}),
            Some(receipt) => {
                let outcome =
                    if matches!(receipt.outcome, Outcome::Applied(_)) { "applied" } else { "rejected" };
                json!({"id": id, "status": "final", "height": receipt.height, "index": 0, "outcome": outcome})
            }
        },
    )
}

fn resolve(ledger: &FakeLedger, request: &Request, did: &str) -> Reply {
    let did: Did = did.parse().unwrap();
    let key = format!("did/{did}");
    let (id, time) = (request.query("versionId"), request.query("versionTime"));
    let options = ResolutionOptions::parse(id.as_deref(), time.as_deref()).unwrap();
    let newest = ledger.blocks.len() - 1;
    let height = match &options.version {
        VersionSelector::Latest => Some(newest),
        VersionSelector::Id(id) => ledger.height_of_version(&did, id.number),
        VersionSelector::Time(time_s) => {
            ledger.blocks.iter().rposition(|block| block.header.time_ms / 1000 <= *time_s)
        }
    };
    let record = height
        .and_then(|height| ledger.blocks[height].state.get(&key))
        .map(|bytes| DidRecord::from_bytes(bytes).unwrap());
    let (Some(height), Some(record)) = (height, record) else {
        let proof = proof_json(&ledger.state_proof(&key, newest));
        return result(404, ResolutionResult::of_error(&ResolutionError::NotFound), proof);
    };
    let next = ledger
        .height_of_version(&did, record.version_id.number + 1)
        .filter(|_| options.version != VersionSelector::Latest);
    let next = next.map(|height| {
        let next = DidRecord::from_bytes(&ledger.blocks[height].state[&key]).unwrap();
        NextVersion { version_id: next.version_id, time_ms: next.updated }
    });
    let answer = ResolutionResult::of_record(&record, next, Vec::new());
    result(answer.http_status(), answer, proof_json(&ledger.state_proof(&key, height)))
}

fn result(status: u16, result: ResolutionResult, proof: Value) -> Reply {
    let mut value = serde_json::to_value(result).unwrap();
    value["proof"] = proof;
    Reply::Json(status, "application/did-resolution", value)
}
