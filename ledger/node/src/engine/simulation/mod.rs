//! The engine on the deterministic runtime and a simulated network: many nodes in one process, one seed, one history.
//!
//! A [`World`] starts nodes, crashes them, cuts and heals links. The journals of a node survive its crash;
//! what its application keeps elsewhere is the scenario's business. The runtime picks the next task by the
//! seed and lets time jump to the next event, so minutes of a network's life take seconds, and the same seed
//! gives the same history again. What a node's [`Machine`] is like (clock, disk, plug) and what becomes of its messages
//! on their way ([`Courier`]) is the scenario's to say.

mod machine;
mod wire;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commonware_codec::DecodeExt as _;
use commonware_cryptography::Signer as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_p2p::Sender as _;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Metrics as _, Runner as _, Spawner as _, Storage as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZUsize, Probability};
use futures::StreamExt as _;
use futures::channel::{mpsc, oneshot};

use super::Built;
use super::adapter::SharedApplication;
use super::peers::{Connections, Tracked};
use super::runtime::EngineRuntime;
use super::stack::{self, Channels, Node, channel};
use super::{Application, EngineError, Links, Settings};
use crate::runtime::SharedRuntime;

pub use machine::{Machine, Plug};
pub use wire::{Courier, Parcel, To, TravellingVote, Wire, digest_of_block, message_of_block};

use machine::OnMachine;
use wire::{Carried, Late};

/// The quality of a link in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// Mean delay.
    pub latency: Duration,
    /// Standard deviation of the delay.
    pub jitter: Duration,
    /// Messages in a hundred that get lost.
    pub loss_percent: u8,
}

impl Quality {
    /// A link inside one city.
    pub const GOOD: Self =
        Self { latency: Duration::from_millis(10), jitter: Duration::from_millis(3), loss_percent: 0 };
    /// A link that loses every tenth message.
    pub const LOSSY: Self =
        Self { latency: Duration::from_millis(20), jitter: Duration::from_millis(10), loss_percent: 10 };

    fn link(self) -> Link {
        let delivered = u64::from(100 - self.loss_percent.min(100));
        Link {
            latency: self.latency,
            jitter: self.jitter,
            success_rate: Probability::new(delivered, 100).expect("a share of one hundred is a probability"),
        }
    }
}

/// What a simulation left behind.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the scenario returned.
    pub result: T,
    /// A fingerprint of every event of the run: equal for equal seeds.
    pub fingerprint: String,
}

/// Runs a scenario. Panics if it takes longer than `limit` of simulated time.
pub fn simulate<T, F, Fut>(seed: u64, limit: Duration, keys: &[[u8; 32]], scenario: F) -> Outcome<T>
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = T>,
{
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(std::time::UNIX_EPOCH + START)
        .with_timeout(Some(limit));
    deterministic::Runner::new(config).start(|context| async move {
        let auditor = context.auditor();
        let world = World::new(&context, keys).await;
        let result = scenario(world).await;
        Outcome { result, fingerprint: auditor.state() }
    })
}

/// The simulated clock at the beginning, after the epoch.
pub const START: Duration = Duration::from_secs(1_800_000_000);

/// Messages per second and peer on a channel: twice the real bound, since a courier's messages are counted twice.
fn quota() -> commonware_runtime::Quota {
    commonware_runtime::Quota::per_second(const { std::num::NonZeroU32::new(512).expect("not zero") })
}

/// Whom each node holds connections with, and whether that changed since links were made by it.
#[derive(Default)]
struct Admitted {
    by_node: BTreeMap<usize, BTreeSet<PublicKey>>,
    changed: bool,
}

/// A node's end of [`Admitted`].
struct SimulatedConnections {
    index: usize,
    admitted: Arc<Mutex<Admitted>>,
}

impl Connections for SimulatedConnections {
    fn track(&mut self, _: u64, peers: Tracked) {
        let keys = peers.validators.into_iter().chain(peers.observers).map(|(key, _)| key).collect();
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.by_node.insert(self.index, keys);
        admitted.changed = true;
    }
}

struct Inner {
    context: deterministic::Context,
    oracle: Oracle<PublicKey, deterministic::Context>,
    keys: Vec<PublicKey>,
    /// The links as the scenario wants them; there is one only where both ends admit each other.
    wanted: BTreeMap<(usize, usize), Quality>,
    links: BTreeMap<(usize, usize), Quality>,
    /// Held while a link is changed, which takes two steps: scenario and nodes both do it.
    linking: Arc<futures::lock::Mutex<()>>,
    admitted: Arc<Mutex<Admitted>>,
    nodes: BTreeMap<usize, Handle<Result<(), EngineError>>>,
    machines: BTreeMap<usize, Arc<Machine>>,
    couriers: BTreeMap<usize, Arc<dyn Courier>>,
    starts: u64,
}

impl Inner {
    /// Whether a node would hold a connection with this key. Before it said anything, it would.
    fn admits(&self, index: usize, key: &PublicKey) -> bool {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.by_node.get(&index).is_none_or(|keys| keys.contains(key))
    }
}

/// The nodes and the network between them.
#[derive(Clone)]
pub struct World {
    inner: Rc<RefCell<Inner>>,
}

impl World {
    async fn new(context: &deterministic::Context, seeds: &[[u8; 32]]) -> Self {
        let keys: Vec<PublicKey> = seeds
            .iter()
            .map(|seed| {
                let key =
                    PrivateKey::decode(bytes::Bytes::copy_from_slice(seed)).expect("any 32 bytes are a seed");
                key.public_key()
            })
            .collect();
        let config = simulated::Config {
            max_size: 32 << 20,
            max_peers_per_set: NZUsize!(64),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(1),
        };
        let (network, oracle) =
            simulated::Network::new_with_peers(context.child("network"), config, keys.clone()).await;
        network.start();
        let inner = Inner {
            context: context.child("world"),
            oracle,
            keys,
            wanted: BTreeMap::new(),
            links: BTreeMap::new(),
            linking: Arc::default(),
            admitted: Arc::default(),
            nodes: BTreeMap::new(),
            machines: BTreeMap::new(),
            couriers: BTreeMap::new(),
            starts: 0,
        };
        Self { inner: Rc::new(RefCell::new(inner)) }
    }

    /// A runtime for what the scenario itself does.
    pub fn runtime(&self) -> SharedRuntime {
        Arc::new(EngineRuntime::new(&self.inner.borrow().context))
    }

    /// Lets simulated time pass; afterwards links are those of nodes that admit each other.
    pub async fn sleep(&self, duration: Duration) {
        let sleep = self.inner.borrow().context.sleep(duration);
        sleep.await;
        let changed = {
            let inner = self.inner.borrow();
            let mut admitted = inner.admitted.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut admitted.changed)
        };
        if changed {
            let wanted = self.inner.borrow().wanted.clone();
            for ((from, to), quality) in wanted {
                self.link(from, to, Some(quality)).await;
            }
        }
    }

    /// Whether a node has the journal of votes of an epoch.
    pub async fn has_journal(&self, index: usize, epoch: u64) -> bool {
        let context = self.inner.borrow().context.child("inspection");
        context.scan(&format!("node-{index}-consensus-{epoch}")).await.is_ok_and(|files| !files.is_empty())
    }

    /// Whether messages from one node reach another.
    pub fn is_linked(&self, from: usize, to: usize) -> bool {
        self.inner.borrow().links.contains_key(&(from, to))
    }

    /// Gives every pair of nodes a link of this quality, or of its own if `quality` says so; `None` is no link.
    pub async fn link_all(&self, quality: impl Fn(usize, usize) -> Option<Quality>) {
        let count = self.inner.borrow().keys.len();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                self.link(from, to, quality(from, to)).await;
            }
        }
    }

    async fn link(&self, from: usize, to: usize, wanted: Option<Quality>) {
        let linking = self.inner.borrow().linking.clone();
        let _turn = linking.lock().await;
        let (oracle, sender, receiver, before, after) = {
            let mut inner = self.inner.borrow_mut();
            match wanted {
                Some(quality) => inner.wanted.insert((from, to), quality),
                None => inner.wanted.remove(&(from, to)),
            };
            let (sender, receiver) = (inner.keys[from].clone(), inner.keys[to].clone());
            let after = wanted.filter(|_| inner.admits(from, &receiver) && inner.admits(to, &sender));
            let before = match after {
                Some(quality) => inner.links.insert((from, to), quality),
                None => inner.links.remove(&(from, to)),
            };
            (inner.oracle.clone(), sender, receiver, before, after)
        };
        if before == after {
            return;
        }
        if before.is_some() {
            oracle.remove_link(sender.clone(), receiver.clone()).await.expect("the link is known");
        }
        if let Some(quality) = after {
            oracle.add_link(sender, receiver, quality.link()).await.expect("no link was left");
        }
    }

    /// The machine that a node runs on, whether it runs or not.
    pub fn machine(&self, index: usize) -> Arc<Machine> {
        self.inner.borrow_mut().machines.entry(index).or_default().clone()
    }

    /// Lets a courier have the messages of a node from its next start on.
    pub fn set_courier(&self, index: usize, courier: Arc<dyn Courier>) {
        self.inner.borrow_mut().couriers.insert(index, courier);
    }

    /// Who refuses to talk to whom because of something that it sent.
    pub async fn blocked(&self) -> Vec<(usize, usize)> {
        let (oracle, keys) = {
            let inner = self.inner.borrow();
            (inner.oracle.clone(), inner.keys.clone())
        };
        let index = |key: &PublicKey| keys.iter().position(|own| own == key);
        let blocked = oracle.blocked().await.expect("the network runs");
        blocked.iter().filter_map(|(from, to)| Some((index(from)?, index(to)?))).collect()
    }

    /// Starts a node; its journals are those it left behind.
    pub async fn start<A, F>(&self, index: usize, mut settings: Settings, build: F)
    where
        A: Application,
        F: FnOnce(SharedRuntime, Links) -> Built<A>,
    {
        settings.partition_prefix = format!("node-{index}-");
        let (context, oracle, key, admitted, courier) = {
            let mut inner = self.inner.borrow_mut();
            inner.starts += 1;
            let context = inner.context.child("validator").with_attribute("start", inner.starts);
            let courier = inner.couriers.get(&index).cloned();
            (context, inner.oracle.clone(), inner.keys[index].clone(), inner.admitted.clone(), courier)
        };
        let machine = self.machine(index);
        machine.power_on();
        let control = oracle.control(key);
        let (late, mut waiting) = mpsc::unbounded::<Late>();
        let register = |number, wire| {
            let (control, courier, late) = (control.clone(), courier.clone(), late.clone());
            async move {
                let (sender, receiver) = control.register(number, quota()).await.expect("the network runs");
                (Carried { sender, wire, courier, late }, receiver)
            }
        };
        let channels = Channels {
            votes: register(channel::VOTES, Wire::Votes).await,
            certificates: register(channel::CERTIFICATES, Wire::Certificates).await,
            resolver: register(channel::RESOLVER, Wire::Resolver).await,
            backfill: register(channel::BACKFILL, Wire::Backfill).await,
            blocks: register(channel::BLOCKS, Wire::Blocks).await,
            messages: register(channel::MESSAGES, Wire::Messages).await,
        };
        let manager = oracle.manager();
        let connections = SimulatedConnections { index, admitted };
        // The node's own context exists inside its task, so that ending the task ends all of it.
        let (sender, receiver) = oneshot::channel();
        let handle = context.spawn(move |context| async move {
            let metrics = context.child("metrics");
            let (links, outgoing) = Links::new(move || metrics.encode());
            let runtime: SharedRuntime = Arc::new(EngineRuntime::new(&context));
            let runtime: SharedRuntime = Arc::new(OnMachine { runtime, machine });
            let _ = context.child("late").spawn(move |context| async move {
                while let Some((mut sender, after, recipients, message)) = waiting.next().await {
                    let _ = context.child("parcel").spawn(move |context| async move {
                        context.sleep(after).await;
                        let _ = sender.send(recipients, message, false);
                    });
                }
            });
            let (answer, built) = oneshot::channel();
            let _ = sender.send((runtime, links, answer));
            let Ok((application, history, membership)) = built.await else { return Ok(()) };
            let engine = context.child("engine");
            let node = Node { application, history, membership, outgoing };
            let running =
                stack::start(engine, &settings, channels, manager, control, connections, node).await?;
            Err(running.failed().await)
        });
        let (runtime, links, answer) = receiver.await.expect("the node's task runs");
        let Built { application, history, membership } = build(runtime, links);
        let application: SharedApplication = application;
        let _ = answer.send((application, history, membership));
        self.inner.borrow_mut().nodes.insert(index, handle);
    }

    /// Ends a node between two of its steps, as a kill would.
    pub async fn crash(&self, index: usize) {
        let handle = self.inner.borrow_mut().nodes.remove(&index);
        if let Some(handle) = handle {
            handle.abort();
            let _ = handle.await;
            // The node's tasks are dropped when their turn comes next.
            self.sleep(Duration::from_millis(50)).await;
        }
        self.machine(index).bury();
    }

    /// Whether a node that was started has stopped by itself, and why. It can be asked again.
    pub fn stopped(&self, index: usize) -> Option<String> {
        let mut inner = self.inner.borrow_mut();
        let handle = inner.nodes.get_mut(&index)?;
        let result = futures::FutureExt::now_or_never(handle)?;
        inner.nodes.remove(&index);
        Some(format!("{result:?}"))
    }

    /// Why a node stopped by itself, if it did.
    pub async fn failure(&self, index: usize) -> Option<String> {
        let handle = self.inner.borrow_mut().nodes.remove(&index)?;
        futures::pin_mut!(handle);
        let moment = self.sleep(Duration::from_millis(1));
        futures::pin_mut!(moment);
        match futures::future::select(handle, moment).await {
            futures::future::Either::Left((result, _)) => Some(format!("{result:?}")),
            futures::future::Either::Right(_) => None,
        }
    }
}
