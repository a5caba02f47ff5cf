//! Members who write all along, while something else is done to the network.

use crate::network::{Network, finalize_by};
use anyhow::Result;
use aval_client::NodeClient;
use aval_machine::testkit::{Kit, Party};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Members who replace their documents again and again, on a thread of their own.
pub struct Writers {
    is_over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writers {
    /// Starts to write to these nodes in turn.
    pub fn start(network: &Network, nodes: &[usize], members: Vec<Party>) -> Result<Self> {
        let clients = nodes.iter().map(|node| network.client(*node)).collect::<Result<Vec<_>>>()?;
        let (is_over, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (kit, stop, count) = (network.kit_again(), is_over.clone(), written.clone());
        let thread = std::thread::spawn(move || write(&kit, &clients, members, &stop, &count));
        Ok(Self { is_over, written, thread })
    }

    /// Stops, and says how many writes became final.
    pub fn stop(self) -> Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the writers panicked"))?;
        Ok(self.written.load(Ordering::Relaxed))
    }
}

fn write(kit: &Kit, clients: &[NodeClient], mut members: Vec<Party>, stop: &AtomicBool, count: &AtomicU64) {
    for revision in 10.. {
        for (number, member) in members.iter_mut().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let before = member.clone();
            let update = member.update(kit, kit.document(member, revision));
            match finalize_by(&clients[number % clients.len()], &update) {
                Ok(_) => {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                // A node that has not yet committed the version below refuses; it is sent again.
                Err(_) => *member = before,
            }
        }
    }
}
