//! A registrar for `did:aval` by the DIF's DID Registration interface: create, update, deactivate.
//!
//! Secrets stay with the client ("client-managed secret mode"); there is no other mode. An operation becomes a job: the
//! registrar writes the transaction and asks for signatures over it, the client signs, the registrar submits and says
//! what became of it, proven. A job holds public data alone: the transaction, and signatures of it. What comes with a
//! private key in it is refused as a whole.
//!
//! `did.create`, and `did.update` of a DID without a membership of its own, need an endorser (specs/rules.md,
//! section 2). That is the registrar's own DID, if it has one: then whoever may call the registrar spends its
//! quota, and the program around it decides who may.

mod input;
mod jobs;
mod operation;

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aval_client::{ClientError, Outcome, VerifyingClient};
use aval_codec::Json;
use aval_did::DidError;
use aval_types::transaction::{KeyId, SignError, Signature, TransactionBuilder, UnsignedTransaction};
use aval_types::{Reject, SubmittedTransaction};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use input::{Input, SigningResponse};
use jobs::{Job, Jobs};
use operation::Plan;

/// How long a request waits for its transaction to become final.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far a transaction's window reaches back, so that a validator whose clock is a little behind takes it.
const CLOCK_SKEW_S: u64 = 5;
/// How long a client is told to wait before it asks again, in milliseconds.
const WAIT_MS: u64 = 1000;

/// What an operation on a DID is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Brings a DID into being.
    Create,
    /// Replaces its document or its control keys.
    Update,
    /// Ends it for good.
    Deactivate,
}

/// Whoever vouches for the operations of others: a member whose grant has the role `endorser`.
pub trait Endorser: Send + Sync {
    /// Its DID and the authentication key that signs.
    fn key_id(&self) -> KeyId;

    /// Signs; the reason if it cannot.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], String>;
}

/// An answer: its HTTP status and its JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// 200, 201 for a DID that was created, 400 for what the client has to change, 503 for what may go later.
    pub status: u16,
    /// `jobId`, `didState`, `didRegistrationMetadata`, `didDocumentMetadata`.
    pub body: Value,
    /// The code of a failure, for counting.
    pub error: Option<String>,
}

/// Why an operation does not go on.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The request is not one.
    #[error("{0}")]
    Input(String),
    /// The request holds a private key.
    #[error("the request holds a private key: it was not kept, and is not safe any more; sign at the client")]
    Secret,
    /// There is no such job.
    #[error("there is no such job: it has ended or expired, or belongs to another operation")]
    Job,
    /// A signature is not what was asked for.
    #[error("{0}")]
    Signature(String),
    /// This registrar does not endorse.
    #[error("the operation needs an endorser, and this registrar has none")]
    Endorser,
    /// The rules of the method say no.
    #[error(transparent)]
    Method(#[from] DidError),
    /// The rules of transactions say no.
    #[error(transparent)]
    Transaction(#[from] Reject),
    /// The ledger said no.
    #[error("{detail}")]
    Refused {
        /// The ledger's code.
        code: String,
        /// Its reason.
        detail: String,
    },
    /// Too many jobs are open.
    #[error("too many operations are under way; try again later")]
    Busy,
    /// What the answer depends on could not be had.
    #[error("{0}")]
    Ledger(#[from] ClientError),
}

impl Failure {
    fn code(&self) -> &str {
        match self {
            Self::Input(_) => "registrar.input",
            Self::Secret => "registrar.secret",
            Self::Job => "registrar.job",
            Self::Signature(_) => "registrar.signature",
            Self::Endorser => "registrar.endorser",
            Self::Method(error) => error.code(),
            Self::Transaction(reject) => reject.code(),
            Self::Refused { code, .. } => code,
            Self::Busy => "registrar.busy",
            Self::Ledger(error) => error.code(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Busy => 503,
            Self::Ledger(error) if error.fault() != aval_client::Fault::Ledger => 503,
            _ => 400,
        }
    }

    fn reply(&self) -> Reply {
        let state = json!({"state": "failed", "reason": self.code(), "description": self.to_string()});
        let body = envelope(None, state, json!({}), json!({}));
        Reply { status: self.status(), body, error: Some(self.code().to_owned()) }
    }
}

/// The registrar. It blocks; calls may come from many threads.
pub struct Registrar {
    ledger: VerifyingClient,
    endorser: Option<Box<dyn Endorser>>,
    jobs: Jobs,
    patience: Duration,
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Registrar {
    /// A registrar on a ledger, with an endorser or without.
    pub fn new(ledger: VerifyingClient, endorser: Option<Box<dyn Endorser>>) -> Self {
        Self { ledger, endorser, jobs: Jobs::default(), patience: PATIENCE }
    }

    /// How many jobs wait for their clients.
    pub fn jobs_open(&self) -> usize {
        self.jobs.len()
    }

    /// Answers a request: begins an operation, or goes on with a job. `method` is the parameter of this name in the
    /// query, which stands for the member of the body.
    pub fn respond(&self, kind: Kind, method: Option<&str>, body: &[u8]) -> Reply {
        match self.answer(kind, method, body) {
            Ok(reply) => reply,
            Err(failure) => failure.reply(),
        }
    }

    fn answer(&self, kind: Kind, method: Option<&str>, body: &[u8]) -> Result<Reply, Failure> {
        let input = Input::read(body)?;
        if let Some(id) = &input.job_id {
            return self.resume(kind, id, &input);
        }
        let label = self.ledger.anchor().network().label().to_owned();
        let current = |did: &aval_did::Did| -> Result<aval_did::DidRecord, Failure> {
            Ok(self.ledger.did_record(did)?.value.ok_or(DidError::NotFound)?)
        };
        let plan = match kind {
            Kind::Create if input.lacks_control()? => return Ok(ask_for_keys()),
            Kind::Create => Plan::create(&input, method, &label)?,
            Kind::Update => Plan::update(&input, &current(input.require_did(&label)?)?)?,
            Kind::Deactivate => Plan::deactivate(&input, &current(input.require_did(&label)?)?)?,
        };
        let job = self.begin(kind, plan)?;
        let id = Uuid::new_v4().to_string();
        let reply = ask_for_signatures(&id, &job);
        self.jobs.put(id, job, Instant::now())?;
        Ok(reply)
    }

    /// Writes the transaction.
    fn begin(&self, kind: Kind, plan: Plan) -> Result<Job, Failure> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let network = self.ledger.anchor().network().clone();
        let nbf = now_s.saturating_sub(CLOCK_SKEW_S);
        let mut builder = TransactionBuilder::new(network, plan.action, Uuid::new_v4(), nbf);
        let controllers: Vec<KeyId> =
            plan.signers.into_iter().map(|key| KeyId::new(plan.did.clone(), key)).collect();
        for kid in &controllers {
            builder = builder.controller(kid.clone());
        }
        if plan.endorsed {
            builder = builder.endorser(self.endorser.as_ref().ok_or(Failure::Endorser)?.key_id());
        }
        Ok(Job {
            kind,
            did: plan.did,
            version_id: plan.version_id,
            document: plan.document,
            unsigned: builder.build()?,
            controllers,
            signatures: Vec::new(),
            endorsed: plan.endorsed,
        })
    }

    fn resume(&self, kind: Kind, id: &str, input: &Input) -> Result<Reply, Failure> {
        let (mut job, until) = self.jobs.take(id, Instant::now()).ok_or(Failure::Job)?;
        if job.kind != kind || input.did.as_ref().is_some_and(|did| did != job.did.as_str()) {
            self.jobs.put_back(id.to_owned(), job, until);
            return Err(Failure::Job);
        }
        for (request, response) in &input.signing_responses {
            let kid = job
                .signer(request)
                .cloned()
                .ok_or_else(|| Failure::Signature(format!("{request} is no signing request of this job")))?;
            let signature = read_signature(&job.unsigned, &kid, request, response)?;
            job.signatures.retain(|(signer, _)| *signer != kid);
            job.signatures.push((kid, signature));
        }
        if job.signatures.len() < job.controllers.len() {
            let reply = ask_for_signatures(id, &job);
            self.jobs.put_back(id.to_owned(), job, until);
            return Ok(reply);
        }
        match self.submit(&job) {
            Err(Failure::Ledger(error)) if error.is_retryable() => {
                let reply = wait(id, &job, &error);
                self.jobs.put_back(id.to_owned(), job, until);
                Ok(reply)
            }
            other => other,
        }
    }

    /// Submits a transaction that has all signatures, as often as it takes: the ledger uses it once.
    fn submit(&self, job: &Job) -> Result<Reply, Failure> {
        let mut signatures: Vec<Signature> =
            job.signatures.iter().map(|(_, signature)| signature.clone()).collect();
        if job.endorsed {
            let endorser = self.endorser.as_ref().ok_or(Failure::Endorser)?;
            let kid = endorser.key_id();
            let inputs = job.unsigned.signing_inputs();
            let input = inputs.iter().find(|(signer, _)| *signer == kid).ok_or(Failure::Endorser)?;
            let bytes = endorser.sign(&input.1).map_err(Failure::Signature)?;
            signatures.push(job.unsigned.signature(&kid, bytes).map_err(explain)?);
        }
        let transaction = job.unsigned.clone().assemble(signatures).map_err(explain)?;
        let submitted = SubmittedTransaction::new(transaction, None);
        let receipt = match self.ledger.submit_and_wait(&submitted, self.patience)? {
            Outcome::Final(receipt) => receipt,
            Outcome::Refused(problem) => {
                let detail = problem.sentence().to_owned();
                return Err(Failure::Refused { code: problem.code, detail });
            }
        };
        if let aval_types::Outcome::Rejected(reject) = &receipt.value.outcome {
            return Err(Failure::Refused { code: reject.code().to_owned(), detail: reject.to_string() });
        }
        let mut state = json!({"state": "finished", "did": job.did});
        if let (Some(document), Some(members)) = (&job.document, state.as_object_mut()) {
            members.insert("didDocument".to_owned(), document.clone());
        }
        let about = json!({"transaction": receipt.value.transaction, "height": receipt.value.height});
        let time = aval_did::resolution::format_time_ms(receipt.value.time_ms);
        let mut metadata = json!({"versionId": job.version_id});
        let name = if job.kind == Kind::Create { "created" } else { "updated" };
        if let Some(members) = metadata.as_object_mut() {
            members.insert(name.to_owned(), Value::String(time));
            if job.kind == Kind::Deactivate {
                members.insert("deactivated".to_owned(), Value::Bool(true));
            }
        }
        let status = if job.kind == Kind::Create { 201 } else { 200 };
        Ok(Reply { status, body: envelope(None, state, about, metadata), error: None })
    }
}

fn explain(error: SignError) -> Failure {
    match error {
        SignError::Refused(reject) => Failure::Transaction(reject),
        other => Failure::Signature(other.to_string()),
    }
}

fn envelope(job: Option<&str>, state: Value, about: Value, metadata: Value) -> Value {
    json!({"jobId": job, "didState": state, "didRegistrationMetadata": about, "didDocumentMetadata": metadata})
}

fn in_progress(job: Option<&str>, state: Value) -> Reply {
    Reply { status: 200, body: envelope(job, state, json!({}), json!({})), error: None }
}

/// The client has to name its control keys before there can be a DID.
fn ask_for_keys() -> Reply {
    let template = json!([
        {"type": "Multikey", "purpose": ["control"]},
        {"type": "Multikey", "purpose": ["nextControl"]},
    ]);
    let state = json!({
        "state": "action",
        "action": "getVerificationMethod",
        "verificationMethodTemplate": template,
        "description": "give public keys that control the DID, and the keys that follow them, in secret.verificationMethod",
    });
    in_progress(None, state)
}

fn ask_for_signatures(id: &str, job: &Job) -> Reply {
    let payload = aval_codec::json::parse(job.unsigned.payload_bytes(), aval_codec::Limits::bytes(1 << 20));
    let payload = payload.ok().map(|payload: Json| serde_json::to_value(payload).unwrap_or_default());
    let inputs = job.unsigned.signing_inputs();
    let requests = job.open_requests().filter_map(|(name, kid)| {
        let (_, input) = inputs.iter().find(|(signer, _)| signer == kid)?;
        let request = json!({
            "kid": kid.to_string(),
            "alg": kid.key().algorithm().name(),
            "purpose": "control",
            "payload": payload,
            "serializedPayload": BASE64_STANDARD.encode(input),
        });
        Some((name, request))
    });
    let requests: serde_json::Map<String, Value> = requests.collect();
    let state =
        json!({"state": "action", "action": "signPayload", "did": job.did, "signingRequest": requests});
    in_progress(Some(id), state)
}

fn wait(id: &str, job: &Job, error: &ClientError) -> Reply {
    let wait = format!("the transaction is not final yet ({error}); ask again with this job");
    in_progress(Some(id), json!({"state": "wait", "did": job.did, "wait": wait, "waitTime": WAIT_MS}))
}

fn read_signature(
    unsigned: &UnsignedTransaction,
    kid: &KeyId,
    request: &str,
    response: &SigningResponse,
) -> Result<Signature, Failure> {
    let wrong = |reason: &str| Failure::Signature(format!("the response to {request}: {reason}"));
    if response.kid.as_ref().is_some_and(|named| *named != kid.to_string()) {
        return Err(wrong("it is by another key"));
    }
    if response.alg.as_ref().is_some_and(|named| named != kid.key().algorithm().name()) {
        return Err(wrong("it is of another algorithm"));
    }
    // Clients write either alphabet, with padding or without.
    let plain = response.signature.replace('-', "+").replace('_', "/");
    let bytes = BASE64_STANDARD_NO_PAD.decode(plain.trim_end_matches('='));
    let bytes = bytes.ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| wrong("it is not base64 of 64 bytes"))?;
    unsigned.signature(kid, bytes).map_err(|_| wrong("it does not verify"))
}
