//! A network of real `avald` processes on loopback, made from the test kit's genesis.

use crate::hosts::Hosts;
use crate::process::{Running, eventually, program};
use anyhow::{Context, Result, ensure};
use aval_client::{
    ClientOptions, MemoryCheckpoints, NodeClient, TransactionStatus, TrustedGenesis, VerifyingClient,
};
use aval_codec::b64u;
use aval_did::SigningKey;
use aval_machine::testkit::{Credential, Kit, Options, Party};
use aval_types::{NodeKind, SubmittedTransaction, TransactionId};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// How long a test waits for what should happen in well under a second, on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The wall clock, Unix seconds.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Validators as processes, with the keys of everybody in their genesis.
pub struct Network {
    /// The genesis, and all keys of those in it.
    pub kit: Kit,
    options: Options,
    folder: TempDir,
    nodes: Vec<Option<Running>>,
    api_ports: Vec<u16>,
    admin_ports: Vec<u16>,
    /// Where each runs on a host of its own.
    hosts: Option<Hosts>,
    /// Variables of the environment that a node is started with.
    environment: BTreeMap<usize, Vec<(String, String)>>,
}

impl Network {
    /// Starts four validators and waits until each is ready.
    pub fn start(seed: u64) -> Result<Self> {
        let mut network = Self::prepare(seed, |_| {})?;
        for index in 0..network.size() {
            network.start_node(index)?;
        }
        network.wait_ready()?;
        Ok(network)
    }

    /// Lays out the folders of four validators without starting any.
    pub fn prepare(seed: u64, change: impl FnOnce(&mut Options)) -> Result<Self> {
        let mut options =
            Options { seed, time_s: now_s() - 60, port: consecutive_ports(4)?, ..Options::default() };
        change(&mut options);
        let mut kit = Kit::with(options.clone());
        kit.now_s = now_s();
        let folder = tempfile::tempdir().context("a folder for the network")?;
        std::fs::write(folder.path().join("genesis.json"), kit.genesis_bytes())?;
        // One for the interface of each, then one for its operator.
        let count = kit.validator_keys().len();
        let api_port = consecutive_ports(2 * count)?;
        let (mut api_ports, mut admin_ports) = (Vec::new(), Vec::new());
        for (index, key) in (0u16..).zip(kit.validator_keys()) {
            let home = folder.path().join(format!("node-{index}"));
            std::fs::create_dir(&home)?;
            std::fs::write(home.join("genesis.json"), kit.genesis_bytes())?;
            write_key(&home, key)?;
            let admin_port = api_port + index + u16::try_from(count)?;
            let config = json!({
                "api": { "listen": format!("127.0.0.1:{}", api_port + index) },
                "admin": { "listen": format!("127.0.0.1:{admin_port}") },
            });
            std::fs::write(home.join("config.json"), config.to_string())?;
            api_ports.push(api_port + index);
            admin_ports.push(admin_port);
        }
        let nodes = api_ports.iter().map(|_| None).collect();
        Ok(Self {
            kit,
            options,
            folder,
            nodes,
            api_ports,
            admin_ports,
            hosts: None,
            environment: BTreeMap::new(),
        })
    }

    /// Lays out the folders of validators that run on a host each, without starting any.
    pub fn prepare_on_hosts(seed: u64, validators: usize, change: impl FnOnce(&mut Options)) -> Result<Self> {
        let mut network = Self::prepare(seed, |options| {
            options.validators = validators;
            let address = |index| SocketAddr::new(Hosts::address(index), options.port);
            options.addresses = Some((0..validators).map(address).collect());
            change(options);
        })?;
        network.hosts = Some(Hosts::new(seed, &network.api_ports)?);
        Ok(network)
    }

    /// The same genesis and keys once more, for another thread.
    pub fn kit_again(&self) -> Kit {
        let mut kit = Kit::with(self.options.clone());
        kit.now_s = self.kit.now_s;
        kit
    }

    /// Makes the status registry and companies with a DID and a live grant.
    pub fn enrol_members(&self, numbers: std::ops::Range<u64>) -> Result<Vec<Party>> {
        self.finalize(0, &self.kit.create_registry()).context("the registry")?;
        let client = self.client(0)?;
        let members: Vec<Party> = numbers.map(|number| self.kit.company(number)).collect();
        let mut pending = Vec::new();
        for member in &members {
            let create = member.create_with(&self.kit, &self.kit.membership(member));
            pending.push(client.submit(&create).context("a member")?);
        }
        for id in pending {
            ensure!(
                matches!(client.wait(id, PATIENCE)?, TransactionStatus::Final { .. }),
                "{id} is not final"
            );
        }
        // A node that has not come as far refuses what builds on this, and a test may write at any of them.
        self.ensure_agreement(self.head(0)?.0)?;
        Ok(members)
    }

    /// Gets an operator onto the ledger, registers its node, and lays out the node's folder without starting it.
    pub fn enrol_node(&mut self, number: u64, kind: NodeKind, region: &str) -> Result<Enrolled> {
        let operator = self.kit.company(5_000_000 + number);
        let credential = self.kit.credential(&operator, &["member", "observer", "operator"]);
        self.finalize(0, &operator.create_with(&self.kit, &credential)).context("the operator")?;
        let port = consecutive_ports(1)?;
        let mut node = self.kit.registration(&operator, number, kind, ("public", region));
        node.addresses = vec![([127, 0, 0, 1], port).into()];
        let key = node.key.to_multikey();
        self.finalize(0, &operator.register(&self.kit, node)).context("the node")?;
        let index = self.add_node(&self.kit.node_key(number), port)?;
        Ok(Enrolled { credential, key, index })
    }

    /// The hosts that the nodes run on.
    pub fn hosts(&mut self) -> Result<&mut Hosts> {
        self.hosts.as_mut().context("the nodes share one host")
    }

    /// Lays out the folder of a node that is not in the genesis file: it listens for nodes at `port` and
    /// joins by node 0. Returns its index.
    pub fn add_node(&mut self, key: &SigningKey, port: u16) -> Result<usize> {
        let index = self.nodes.len();
        let api_port = consecutive_ports(2)?;
        let home = self.home(index);
        std::fs::create_dir(&home)?;
        std::fs::write(home.join("genesis.json"), self.kit.genesis_bytes())?;
        write_key(&home, key)?;
        let config = json!({
            "api": { "listen": format!("127.0.0.1:{api_port}") },
            "admin": { "listen": format!("127.0.0.1:{}", api_port + 1) },
            "peers": { "listen": format!("127.0.0.1:{port}"), "join": self.url(0) },
        });
        std::fs::write(home.join("config.json"), config.to_string())?;
        self.api_ports.push(api_port);
        self.admin_ports.push(api_port + 1);
        self.nodes.push(None);
        Ok(index)
    }

    /// Changes a node's configuration before it is started.
    pub fn configure(&self, index: usize, change: impl FnOnce(&mut Value)) -> Result<()> {
        let file = self.home(index).join("config.json");
        let mut config = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        change(&mut config);
        Ok(std::fs::write(file, config.to_string())?)
    }

    /// What a node has written to its log.
    pub fn log(&self, index: usize) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder().join(format!("node-{index}.log")))?)
    }

    /// The address of a node's interface.
    pub fn api_address(&self, index: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.api_ports[index]))
    }

    /// The sum of a node's counter over its labels that hold this text.
    pub fn counter(&self, index: usize, name: &str, label: &str) -> Result<f64> {
        let text = ureq::get(format!("{}/metrics", self.url(index))).call()?.body_mut().read_to_string()?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Resident memory of a running node, MiB.
    pub fn resident_mib(&self, index: usize) -> Result<f64> {
        let id = self.process(index).context("the node runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// How many nodes there are.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// The folder that everything lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The genesis file.
    pub fn genesis_file(&self) -> PathBuf {
        self.folder().join("genesis.json")
    }

    /// A node's home.
    pub fn home(&self, index: usize) -> PathBuf {
        self.folder().join(format!("node-{index}"))
    }

    /// A node's address.
    pub fn url(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.api_ports[index])
    }

    /// The address of a node's interface for its operator.
    pub fn admin_url(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.admin_ports[index])
    }

    /// Waits until a node has ended in order, as somebody else asked it to.
    pub fn wait_ended(&mut self, index: usize) -> Result<()> {
        let node = self.nodes[index].take().context("the node runs")?;
        let status = node.ended(PATIENCE)?;
        ensure!(status.success(), "node {index} ended with {status}");
        Ok(())
    }

    /// How a node ended, if it has.
    pub fn ended(&mut self, index: usize) -> Result<Option<ExitStatus>> {
        let node = self.nodes[index].as_mut().context("the node was started")?;
        let status = node.status()?;
        if status.is_some() {
            self.nodes[index] = None;
        }
        Ok(status)
    }

    /// The process id of a running node.
    pub fn process(&self, index: usize) -> Option<u32> {
        self.nodes[index].as_ref().map(Running::id)
    }

    /// Starts a node's process.
    pub fn start_node(&mut self, index: usize) -> Result<()> {
        let mut command = match &self.hosts {
            Some(hosts) => hosts.command(index, &program("avald")?),
            None => Command::new(program("avald")?),
        };
        command.args(["start", "--home"]).arg(self.home(index));
        command.envs(self.environment.get(&index).into_iter().flatten().cloned());
        let log = self.folder().join(format!("node-{index}.log"));
        self.nodes[index] = Some(Running::start(&format!("avald {index}"), command, &log)?);
        Ok(())
    }

    /// Sets variables of the environment for the next starts of a node.
    pub fn set_environment(&mut self, index: usize, variables: &[(&str, &str)]) {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.insert(index, owned.collect());
    }

    /// Kills a node as a power failure would.
    pub fn kill(&mut self, index: usize) {
        if let Some(node) = self.nodes[index].take() {
            node.kill();
        }
    }

    /// Stops a node in order.
    pub fn stop(&mut self, index: usize) -> Result<()> {
        let node = self.nodes[index].take().context("the node runs")?;
        let status = node.stop(PATIENCE)?;
        ensure!(status.success(), "node {index} ended with {status}");
        Ok(())
    }

    /// Waits until every running node says that it is ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        for index in 0..self.size() {
            self.wait_node_ready(index)?;
        }
        Ok(())
    }

    /// Waits until a node says that it is ready.
    pub fn wait_node_ready(&mut self, index: usize) -> Result<()> {
        let url = format!("{}/ready", self.url(index));
        let Some(node) = self.nodes[index].as_mut() else { return Ok(()) };
        let ready = eventually(&format!("node {index} is ready"), PATIENCE, || {
            node.ensure_alive()?;
            Ok(ureq::get(&url).call().is_ok().then_some(()))
        });
        ready.with_context(|| node.log_tail())
    }

    /// A client of a node that believes it.
    pub fn client(&self, index: usize) -> Result<NodeClient> {
        Ok(NodeClient::new(&self.url(index), &ClientOptions::default())?)
    }

    /// A client of a node that verifies every answer from genesis.
    pub fn verifying(&self, index: usize) -> Result<VerifyingClient> {
        let genesis = TrustedGenesis::parse(self.kit.genesis_bytes().to_vec())?;
        Ok(VerifyingClient::new(self.client(index)?, &genesis, Arc::new(MemoryCheckpoints::default()))?)
    }

    /// A node's JSON answer to a GET request.
    pub fn get(&self, index: usize, path: &str) -> Result<Value> {
        let mut response = ureq::get(format!("{}{path}", self.url(index))).call()?;
        let text = response.body_mut().read_to_string()?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    /// Submits a transaction to a node and waits until it is final there.
    pub fn finalize(&self, index: usize, submitted: &SubmittedTransaction) -> Result<TransactionId> {
        let client = self.client(index)?;
        let id = client.submit(submitted)?;
        match client.wait(id, PATIENCE)? {
            TransactionStatus::Final { .. } => Ok(id),
            other => anyhow::bail!("{id} is {other:?}"),
        }
    }

    /// Submits a transaction to a node and waits until every running node has it: one that has not come as far answers
    /// what builds on it otherwise.
    pub fn finalize_everywhere(
        &self,
        index: usize,
        submitted: &SubmittedTransaction,
    ) -> Result<TransactionId> {
        let id = self.finalize(index, submitted)?;
        self.ensure_agreement(self.head(index)?.0)?;
        Ok(id)
    }

    /// A node's newest height and the state root there.
    pub fn head(&self, index: usize) -> Result<(u64, String)> {
        let status = self.get(index, "/v1/status")?;
        let height = status["height"].as_u64().with_context(|| format!("no height in {status}"))?;
        let root = status["stateRoot"].as_str().with_context(|| format!("no root in {status}"))?;
        Ok((height, root.to_owned()))
    }

    /// The header digest that a node has at a height.
    pub fn block_digest(&self, index: usize, height: u64) -> Result<String> {
        let block = self.get(index, &format!("/v1/blocks/{height}"))?;
        Ok(block["digest"].as_str().with_context(|| format!("no digest in {block}"))?.to_owned())
    }

    /// Waits until a node has reached `height`.
    pub fn wait_height(&self, index: usize, height: u64) -> Result<()> {
        eventually(&format!("node {index} reaches height {height}"), PATIENCE, || {
            Ok((self.head(index)?.0 >= height).then_some(()))
        })
    }

    /// Waits until all running nodes have reached `height`, then compares what they have there.
    pub fn ensure_agreement(&self, height: u64) -> Result<()> {
        let mut digests = Vec::new();
        for index in (0..self.size()).filter(|index| self.nodes[*index].is_some()) {
            self.wait_height(index, height)?;
            digests.push(self.block_digest(index, height)?);
        }
        ensure!(digests.windows(2).all(|pair| pair[0] == pair[1]), "nodes differ at {height}: {digests:?}");
        Ok(())
    }
}

/// A node that is not in the genesis file.
pub struct Enrolled {
    /// Its operator's.
    pub credential: Credential,
    /// Its network key, as a multikey.
    pub key: String,
    /// Its place among the nodes.
    pub index: usize,
}

/// Submits a transaction and returns the height of the block that it is in.
pub fn finalize_by(client: &NodeClient, submitted: &SubmittedTransaction) -> Result<u64> {
    let id = client.submit(submitted)?;
    match client.wait(id, PATIENCE)? {
        TransactionStatus::Final { height, .. } => Ok(height),
        other => anyhow::bail!("{id} is {other:?}"),
    }
}

/// A connection from one of the addresses of this machine: 127.0.0.`last`.
pub fn connect(to: SocketAddr, last: u8) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(10))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.set_write_timeout(Some(Duration::from_secs(15)))?;
    Ok(stream)
}

fn write_key(home: &Path, key: &SigningKey) -> Result<()> {
    let stored = json!({
        "type": "Ed25519", "public": key.public().to_multikey(), "seed": b64u::encode(*key.to_seed()),
    });
    write_private(&home.join("node.key"), &stored.to_string())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// The first of `count` consecutive loopback ports that are free at this moment.
///
/// Drawn from below the range that the kernel hands to outgoing connections, so that none of those takes one meanwhile.
pub fn consecutive_ports(count: usize) -> Result<u16> {
    use rand::RngExt as _;
    for _ in 0..200 {
        let first: u16 = rand::rng().random_range(10_000..30_000);
        let ports = (first..).take(count);
        let held: Vec<_> = ports.map_while(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
        if held.len() == count {
            return Ok(first);
        }
    }
    anyhow::bail!("no {count} free ports in a row")
}
