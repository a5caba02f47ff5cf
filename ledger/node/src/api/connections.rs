//! Who is connected to the interface: a bound for all, a bound for each address, and who has to go when there is no
//! room.
//!
//! A connection is *idle* while no request of it is under way: its head has not arrived, or its answer is gone. When
//! there is no room, the one that has been idle for longest makes room for the next, so that whoever holds connections
//! without using them keeps nobody out. One whose request is under way is never chosen.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use tokio::sync::Notify;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of everybody together.
    pub all: usize,
    /// Of one address.
    pub per_address: usize,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowded {
    /// The address has as many as one may have.
    Address,
    /// Everybody together has, and all of them are in use.
    All,
}

impl Crowded {
    /// A name for metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::All => "all",
        }
    }
}

/// The open connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    turns: u64,
    open: HashMap<u64, Open>,
    per_address: HashMap<IpAddr, usize>,
    /// Connections by the turn in which they became idle.
    idle: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Open {
    requests: usize,
    idle_since: Option<u64>,
    evicted: Arc<Notify>,
}

/// One connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    id: u64,
    address: IpAddr,
    evicted: Arc<Notify>,
}

/// A request that is under way, until its answer is gone.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

/// What came of asking for a place.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The place.
    pub(super) place: Place,
    /// Whether another connection has to go for it.
    pub(super) evicts: bool,
}

impl Connections {
    /// Nobody yet.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared { bounds, table: Mutex::default() }))
    }

    /// A place for a connection from this address.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Admitted, Crowded> {
        let address = neighbourhood(address);
        let mut table = self.0.lock();
        let own = table.per_address.get(&address).copied().unwrap_or_default();
        if own >= self.0.bounds.per_address {
            return Err(Crowded::Address);
        }
        let evicts = table.open.len() >= self.0.bounds.all;
        if evicts {
            let (_, longest) = table.idle.pop_first().ok_or(Crowded::All)?;
            if let Some(open) = table.open.get_mut(&longest) {
                open.idle_since = None;
                open.evicted.notify_one();
            }
        }
        let id = table.turn();
        let evicted = Arc::new(Notify::new());
        table.open.insert(id, Open { requests: 0, idle_since: Some(id), evicted: evicted.clone() });
        table.idle.insert(id, id);
        *table.per_address.entry(address).or_default() += 1;
        Ok(Admitted { place: Place { shared: self.0.clone(), id, address, evicted }, evicts })
    }
}

impl Shared {
    /// Nothing is done under the lock that could panic half-way.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}

impl Place {
    /// Completes when the connection has to go.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut table = self.shared.lock();
        if let Some(open) = table.open.get_mut(&self.id) {
            open.requests += 1;
            let idle_since = open.idle_since.take();
            idle_since.and_then(|turn| table.idle.remove(&turn));
        }
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let place = &self.0;
        let mut table = place.shared.lock();
        let turn = table.turn();
        let Some(open) = table.open.get_mut(&place.id) else { return };
        open.requests = open.requests.saturating_sub(1);
        if open.requests == 0 {
            open.idle_since = Some(turn);
            table.idle.insert(turn, place.id);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        if let Some(turn) = table.open.remove(&self.id).and_then(|open| open.idle_since) {
            table.idle.remove(&turn);
        }
        if let Some(own) = table.per_address.get_mut(&self.address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                table.per_address.remove(&self.address);
            }
        }
    }
}

/// The addresses that one client can choose from: an IPv4 address alone, or the /64 of an IPv6 address.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// An answer's body that keeps its request under way until the last byte is handed over.
pub(super) struct Held {
    body: Body,
    _busy: Busy,
}

impl Held {
    /// Ties a body to its request.
    pub(super) fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn admit(connections: &Connections, last: u8) -> Result<Arc<Place>, Crowded> {
        connections.admit(address(last)).map(|admitted| Arc::new(admitted.place))
    }

    fn has_to_go(place: &Place) -> bool {
        place.evicted().now_or_never().is_some()
    }

    #[test]
    fn one_address_has_so_many_connections_and_another_its_own() {
        let connections = Connections::new(Bounds { all: 100, per_address: 2 });
        let first = admit(&connections, 1).unwrap();
        let _second = admit(&connections, 1).unwrap();
        assert_eq!(admit(&connections, 1).unwrap_err(), Crowded::Address);
        let _other = admit(&connections, 2).unwrap();
        drop(first);
        assert!(admit(&connections, 1).is_ok());
    }

    #[test]
    fn without_room_who_was_idle_for_longest_goes_and_nobody_who_is_served() {
        let connections = Connections::new(Bounds { all: 3, per_address: 3 });
        let places: Vec<_> = (1..=3).map(|last| admit(&connections, last).unwrap()).collect();
        // The first is served, and the second was: it is idle for less long than the third.
        let _busy = places[0].begin();
        drop(places[1].begin());
        let _next = admit(&connections, 4).unwrap();
        assert_eq!(places.iter().map(|place| has_to_go(place)).collect::<Vec<_>>(), [false, false, true]);
        let after = admit(&connections, 5).unwrap();
        assert_eq!(places.iter().map(|place| has_to_go(place)).collect::<Vec<_>>(), [false, true, false]);
        let _busy_too = (after.begin(), _next.begin());
        assert_eq!(admit(&connections, 6).unwrap_err(), Crowded::All);
    }

    #[test]
    fn nothing_is_left_of_connections_that_are_gone() {
        let connections = Connections::new(Bounds { all: 2, per_address: 2 });
        for round in 0..10 {
            let place = admit(&connections, round).unwrap();
            let busy = place.begin();
            drop(place);
            drop(busy);
        }
        let table = connections.0.lock();
        assert!(table.open.is_empty() && table.idle.is_empty() && table.per_address.is_empty());
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_address() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
