//! Hosts of a test: network namespaces, and links between them whose delay, loss and cuts the test decides.
//!
//! Each host has one device. `switch.py` reads the packets that leave it, and unless their link loses them or is cut
//! it writes them, after the delay of the link, to the device of the host they are addressed to. So TCP, timers and
//! retransmission are the kernel's own. Making namespaces needs the rights of root.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SWITCH: &str = include_str!("switch.py");
const DEVICE: &str = "aval0";
const MTU: &str = "1400";

/// How a link treats packets, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// How long a packet takes.
    pub delay: Duration,
    /// How much longer it may take, evenly distributed; packets may overtake each other.
    pub jitter: Duration,
    /// How many of a thousand packets are lost.
    pub loss_permille: u16,
}

/// Namespaces with links between them.
pub struct Hosts {
    names: Vec<String>,
    links: Vec<Vec<Option<Link>>>,
    switch: Option<Switch>,
}

struct Switch {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Switch {
    /// Sends a line and waits for the answer.
    fn tell(&mut self, line: &Value) -> Result<()> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        ensure!(matches!(answer.trim(), "ready" | "done"), "the switch of the hosts ended");
        Ok(())
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("the program ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    Ok(())
}

impl Hosts {
    /// The address of a host.
    pub fn address(index: usize) -> IpAddr {
        Ipv4Addr::new(10, 213, 7, u8::try_from(index + 1).unwrap_or(u8::MAX)).into()
    }

    /// Makes a host for each port, each linked with each without delay. What listens on this port of 127.0.0.1 on
    /// the host is reached on the same port here. Losses and delays are drawn from the seed.
    pub fn new(seed: u64, ports: &[u16]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number, count) =
            (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed), ports.len());
        let names: Vec<String> = (0..count).map(|index| format!("aval-{process}-{number}-{index}")).collect();
        // From here on, dropping it takes the namespaces away again.
        let mut hosts = Self { names, links: vec![vec![Some(Link::default()); count]; count], switch: None };
        for name in &hosts.names {
            ip(&["netns", "add", name]).context("namespaces need the rights of root")?;
        }
        let mut python = Command::new("python3");
        python.args(["-c", SWITCH]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().context("python3")?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        let switch = hosts.switch.insert(Switch { process, input, output });
        let plan = json!({
            "namespaces": hosts.names, "device": DEVICE, "ports": ports, "seed": seed,
            "links": written(&hosts.links),
        });
        switch.tell(&plan)?;
        for (index, name) in hosts.names.iter().enumerate() {
            let address = format!("{}/24", Self::address(index));
            ip(&["-n", name, "addr", "add", &address, "dev", DEVICE])?;
            ip(&["-n", name, "link", "set", DEVICE, "mtu", MTU, "up"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(hosts)
    }

    /// A command that runs a program on a host; the process is the program's own.
    pub fn command(&self, index: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[index]]).arg(program);
        command
    }

    /// Gives every link the quality that `quality` says, from whom to whom; `None` is a cut.
    fn link(&mut self, quality: impl Fn(usize, usize) -> Option<Link>) -> Result<()> {
        for (from, row) in self.links.iter_mut().enumerate() {
            for (to, link) in row.iter_mut().enumerate() {
                *link = quality(from, to);
            }
        }
        self.switch.as_mut().context("the switch runs")?.tell(&written(&self.links))
    }

    /// Gives all links the same quality; what was cut is whole again.
    pub fn link_all(&mut self, link: Link) -> Result<()> {
        self.link(|_, _| Some(link))
    }

    /// Cuts every link between hosts of different groups and makes all others whole. A host in no group is alone.
    pub fn partition(&mut self, groups: &[Vec<usize>]) -> Result<()> {
        let group_of = |host: usize| groups.iter().position(|group| group.contains(&host));
        self.link(|from, to| {
            let is_whole = from == to || (group_of(from).is_some() && group_of(from) == group_of(to));
            is_whole.then(Link::default)
        })
    }

    /// Cuts one direction of the links of a host: nothing that it sends arrives.
    pub fn silence(&mut self, host: usize) -> Result<()> {
        self.link(|from, _| (from != host).then(Link::default))
    }
}

/// The links as the switch takes them: seconds, seconds, a probability.
fn written(links: &[Vec<Option<Link>>]) -> Value {
    let link = |link: &Option<Link>| {
        link.map(|link| {
            json!([
                link.delay.as_secs_f64(),
                link.jitter.as_secs_f64(),
                f64::from(link.loss_permille) / 1000.0
            ])
        })
    };
    links
        .iter()
        .map(|row| row.iter().map(link).collect::<Vec<_>>())
        .collect::<Vec<_>>()
        .into_iter()
        .map(Value::from)
        .collect()
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some(mut switch) = self.switch.take() {
            let _ = switch.process.kill();
            let _ = switch.process.wait();
        }
        for name in &self.names {
            // A namespace that was never made is nothing to take away.
            let _ = ip(&["netns", "del", name]);
        }
    }
}
