//! Events of the ledger, one after the other, over reconnects and restarts: nothing missing, nothing doubled.
//!
//! [`EventReader`] believes the node; [`VerifiedEvents`] asks for a proof with each event and hands out what it
//! proves. A proof shows that an event happened, not that none was left out: who needs that compares with other
//! nodes, or reads whole blocks (the bundle of an audit).

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use aval_codec::{Json, Limits, json};
use aval_did::Did;
use aval_proof::{Claim, LedgerProof};
use aval_types::{Event, RegistryId, TransactionId};
use serde::Deserialize;

use crate::error::ClientError;
use crate::node::NodeClient;
use crate::verified::{Verified, VerifyingClient};

/// A line of the stream: an event with its ledger proof.
const LINE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The longest silence of a stream that lives; nodes say something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Messages that were read and wait for the caller.
const MESSAGES_MAX: usize = 32;
/// The first pause before a reader that lost its node asks again; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Which events are wanted. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// The height to begin with; the next block if it is left out.
    pub from: Option<u64>,
    /// The last id that was seen; goes before `from`.
    pub after: Option<String>,
    /// Types, such as `did.created` or `did.*`.
    pub kinds: Vec<String>,
    /// A DID that the event names.
    pub did: Option<Did>,
    /// The issuer.
    pub issuer: Option<Did>,
    /// The status registry.
    pub registry: Option<RegistryId>,
}

impl EventQuery {
    fn parameters(&self, with_proof: bool) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        parameters.extend(self.from.map(|height| ("from", height.to_string())));
        if !self.kinds.is_empty() {
            parameters.push(("type", self.kinds.join(",")));
        }
        parameters.extend(self.did.as_ref().map(|did| ("did", did.to_string())));
        parameters.extend(self.issuer.as_ref().map(|did| ("issuer", did.to_string())));
        parameters.extend(self.registry.as_ref().map(|id| ("registry", id.to_string())));
        if with_proof {
            parameters.push(("proof", "true".to_owned()));
        }
        parameters
    }
}

/// Where an event is: block, receipt, and place in the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    /// Height of the block.
    pub height: u64,
    /// Place of the receipt in its block.
    pub leaf: u64,
    /// Place of the event in its receipt.
    pub event: u64,
}

impl EventPlace {
    fn parse(id: &str) -> Option<Self> {
        let mut parts = id.split('-').map(|part| part.parse::<u64>().ok());
        let place = Self { height: parts.next()??, leaf: parts.next()??, event: parts.next()?? };
        (parts.next().is_none() && place.id() == id).then_some(place)
    }

    /// The id, as [`EventQuery::after`] takes it.
    pub fn id(&self) -> String {
        format!("{}-{}-{}", self.height, self.leaf, self.event)
    }
}

/// A change of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEvent {
    /// Where it is.
    pub place: EventPlace,
    /// The block's time, milliseconds since 1970.
    pub time_ms: u64,
    /// The transaction that made it; a change that the block itself made has none.
    pub transaction: Option<TransactionId>,
    /// Where the node has the receipt with its proof.
    pub receipt: String,
    /// What changed. A node may be newer than this program: see [`Self::typed`].
    pub event: Json,
    /// The proof, if it was asked for.
    pub proof: Option<LedgerProof>,
}

impl LedgerEvent {
    /// Its type, such as `did.created`.
    pub fn kind(&self) -> &str {
        self.event.get("type").and_then(Json::as_str).unwrap_or_default()
    }

    /// What changed, if this program knows events of this type.
    pub fn typed(&self) -> Option<Event> {
        json::from_json(self.event.clone()).ok()
    }
}

#[derive(Deserialize)]
struct Told {
    id: String,
    height: u64,
    time: u64,
    #[serde(default)]
    transaction: Option<TransactionId>,
    receipt: String,
    event: Json,
    #[serde(default)]
    proof: Option<Json>,
}

impl Told {
    fn read(self) -> Result<LedgerEvent, ClientError> {
        let place = EventPlace::parse(&self.id).filter(|place| place.height == self.height);
        Ok(LedgerEvent {
            place: place.ok_or_else(|| ClientError::Malformed("an event has no proper id".to_owned()))?,
            time_ms: self.time,
            transaction: self.transaction,
            receipt: self.receipt,
            event: self.event,
            proof: self.proof.map(LedgerProof::from_json_value).transpose().map_err(ClientError::Unproven)?,
        })
    }
}

/// Reads events from a node, and goes on where it was after every interruption.
pub struct EventReader {
    node: NodeClient,
    query: EventQuery,
    with_proof: bool,
    messages: Option<Receiver<Result<Message, ClientError>>>,
    newest: Option<EventPlace>,
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventReader").field("query", &self.query).finish_non_exhaustive()
    }
}

impl EventReader {
    /// Prepares to read; nothing is sent yet.
    pub fn new(node: NodeClient, query: EventQuery, with_proof: bool) -> Self {
        Self { node, query, with_proof, messages: None, newest: None }
    }

    /// What to give as [`EventQuery::after`] in order to go on here in another run.
    pub fn last_id(&self) -> Option<&str> {
        self.query.after.as_deref()
    }

    /// The next event; `None` if there is none within `patience`. A node that cannot be reached is asked again until
    /// then, and what went wrong is told only if it never answered.
    pub fn next_within(&mut self, patience: Duration) -> Result<Option<LedgerEvent>, ClientError> {
        let end = Instant::now() + patience;
        let mut pause = PAUSE_FIRST;
        loop {
            let failed = match self.attempt(end) {
                Ok(Attempt::Event(event)) => return Ok(Some(*event)),
                Ok(Attempt::OutOfPatience) => return Ok(None),
                Ok(Attempt::Ended) => None,
                Err(error) if error.is_retryable() => Some(error),
                Err(error) => return Err(error),
            };
            if Instant::now() + pause >= end {
                return failed.map_or(Ok(None), Err);
            }
            std::thread::sleep(pause);
            pause = if failed.is_some() { (pause * 2).min(PAUSE_MAX) } else { PAUSE_FIRST };
        }
    }

    /// One connection, up to the next event. It stays open for the next call unless it ended or failed.
    fn attempt(&mut self, end: Instant) -> Result<Attempt, ClientError> {
        let messages = match self.messages.take() {
            Some(messages) => messages,
            None => self.connect()?,
        };
        loop {
            let message = match messages.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) => message?,
                Err(RecvTimeoutError::Disconnected) => return Ok(Attempt::Ended),
                Err(RecvTimeoutError::Timeout) => {
                    self.messages = Some(messages);
                    return Ok(Attempt::OutOfPatience);
                }
            };
            let Some(data) = message.data else {
                // How far the stream is, without an event.
                self.query.after = message.id.or(self.query.after.take());
                continue;
            };
            let event = self.take(&data)?;
            self.messages = Some(messages);
            return Ok(Attempt::Event(Box::new(event)));
        }
    }

    /// Reads an event and remembers its place.
    fn take(&mut self, data: &str) -> Result<LedgerEvent, ClientError> {
        let told: Told = json::from_slice(data.as_bytes(), Limits::bytes(LINE_BYTES_MAX as usize))
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let event = told.read()?;
        if self.newest.is_some_and(|newest| event.place <= newest) {
            return Err(ClientError::Contradiction("an event came twice, or out of its order"));
        }
        self.newest = Some(event.place);
        self.query.after = Some(event.place.id());
        Ok(event)
    }

    /// Opens a stream. A thread reads it, since a read that waits cannot be left when the caller's patience is over;
    /// it ends with the stream, or with the first message that nobody takes.
    fn connect(&self) -> Result<Receiver<Result<Message, ClientError>>, ClientError> {
        let parameters = self.query.parameters(self.with_proof);
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let last = self.query.after.as_deref().map(|id| ("last-event-id", id));
        let body =
            self.node.stream(&["v1", "events"], &parameters, "text/event-stream", last, SILENCE_MAX)?;
        let (sender, messages) = sync_channel(MESSAGES_MAX);
        std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || read_messages(BufReader::new(body), &sender))
            .map_err(|error| ClientError::Request(format!("no thread for the stream: {error}")))?;
        Ok(messages)
    }
}

/// What one connection gave.
enum Attempt {
    Event(Box<LedgerEvent>),
    OutOfPatience,
    Ended,
}

/// A message while its lines are read.
#[derive(Default)]
struct Message {
    id: Option<String>,
    data: Option<String>,
}

impl Message {
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.id = Some(value.to_owned()),
            "data" => self.data = Some(self.data.take().map_or(value.to_owned(), |data| data + "\n" + value)),
            // Comments, the event's name, which the data has as well, and what later versions may add.
            _ => {}
        }
    }
}

/// Reads messages until the stream ends or breaks, says nothing for too long, or nobody wants more.
fn read_messages(mut bytes: impl BufRead, sender: &SyncSender<Result<Message, ClientError>>) {
    let mut message = Message::default();
    loop {
        match read_line(&mut bytes) {
            Ok(Some(line)) if line.is_empty() => {
                if sender.send(Ok(std::mem::take(&mut message))).is_err() {
                    return;
                }
            }
            Ok(Some(line)) => message.field(&line),
            // The next connection goes on.
            Ok(None) => return,
            Err(error) => {
                // Whoever is told of it is gone if this fails.
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

/// A line without its end; `None` at the end of the stream, where an unfinished line is worth nothing.
fn read_line(bytes: &mut impl BufRead) -> Result<Option<String>, ClientError> {
    let mut line = Vec::new();
    match bytes.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
        // The connection broke, or nothing came for too long: the next one goes on.
        Err(_) | Ok(0) => return Ok(None),
        Ok(_) => {}
    }
    if line.pop() != Some(b'\n') {
        let is_full = line.len() as u64 + 1 >= LINE_BYTES_MAX;
        return if is_full { Err(ClientError::TooLarge { limit: LINE_BYTES_MAX }) } else { Ok(None) };
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| ClientError::Malformed("it is not text".to_owned()))
}

/// Reads events and their proofs, and hands out what is proven.
#[derive(Debug)]
pub struct VerifiedEvents {
    client: VerifyingClient,
    reader: EventReader,
}

impl VerifiedEvents {
    pub(crate) fn new(client: VerifyingClient, query: EventQuery) -> Self {
        let reader = EventReader::new(client.node().clone(), query, true);
        Self { client, reader }
    }

    /// What to give as [`EventQuery::after`] in order to go on here in another run.
    pub fn last_id(&self) -> Option<&str> {
        self.reader.last_id()
    }

    /// The next event, proven; see [`EventReader::next_within`].
    pub fn next_within(&mut self, patience: Duration) -> Result<Option<Verified<LedgerEvent>>, ClientError> {
        let event = self.reader.next_within(patience)?;
        event.map(|event| verify(&self.client, event)).transpose()
    }
}

/// What of a receipt an event is compared with; the block's own receipt has no transaction.
#[derive(Deserialize)]
struct Proven {
    #[serde(default)]
    transaction: Option<TransactionId>,
    #[serde(default)]
    index: Option<u64>,
    height: u64,
    time: u64,
    #[serde(default)]
    events: Vec<Json>,
}

fn verify(client: &VerifyingClient, mut event: LedgerEvent) -> Result<Verified<LedgerEvent>, ClientError> {
    let proof = event.proof.take().ok_or(ClientError::Contradiction("an event came without its proof"))?;
    client.verify_past(&proof)?;
    let Claim::Receipt(receipt) = &proof.claim else {
        return Err(ClientError::Contradiction("an event's proof is not about a receipt"));
    };
    let proven: Proven = json::from_slice(&receipt.bytes, Limits::bytes(receipt.bytes.len()))
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    let place = usize::try_from(event.place.event).unwrap_or(usize::MAX);
    let is_same = proven.transaction == event.transaction
        && proven.index.is_none_or(|index| index == event.place.leaf)
        && (proven.height, proven.time) == (event.place.height, event.time_ms)
        && proven.events.get(place) == Some(&event.event);
    if !is_same {
        return Err(ClientError::Contradiction("an event is not the one of its receipt"));
    }
    let (height, time_ms) = (event.place.height, event.time_ms);
    Ok(Verified { value: event, height, time_ms, proof })
}
