//! What happens when disks fail: the node stops with a sentence that says what to do, nothing acknowledged is lost,
//! and it goes on when the disk is well again.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use aval_tests::network::{Network, PATIENCE};
use aval_tests::process::eventually;

use crate::faults::{update_all, wait_final};

/// A node's home on a small file system of its own.
struct SmallDisk {
    home: PathBuf,
}

impl SmallDisk {
    /// Puts the files that are in the home on a file system of so many MiB.
    fn under(home: PathBuf, mib: u32) -> Result<Self> {
        let files: Vec<_> = std::fs::read_dir(&home)?.collect::<Result<_, _>>()?;
        let files: Vec<_> = files
            .iter()
            .map(|file| Ok((file.path(), std::fs::read(file.path())?, file.metadata()?.permissions())))
            .collect::<Result<_>>()?;
        let size = format!("size={mib}m,mode=0700");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&home).status()?;
        ensure!(status.success(), "mounting needs the rights of root");
        let disk = Self { home };
        for (path, bytes, permissions) in files {
            std::fs::write(&path, bytes)?;
            std::fs::set_permissions(&path, permissions)?;
        }
        Ok(disk)
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Result<()> {
        let mut filler = std::fs::File::create(self.home.join("filler"))?;
        let mut chunk = vec![1; 1024 * 1024];
        loop {
            match filler.write(&chunk) {
                Ok(_) => {}
                Err(_) if chunk.len() > 1 => chunk.truncate(chunk.len() / 2),
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the room back.
    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.home.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it until it closes it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.home).status();
    }
}

#[test]
fn a_full_disk_stops_its_node_with_a_clear_sentence_and_it_goes_on_when_there_is_room() -> Result<()> {
    let mut network = Network::prepare(206, |_| {})?;
    let disk = SmallDisk::under(network.home(3), 96)?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let mut companies = network.enrol_members(0..40)?;
    disk.fill()?;
    let mut submitted = Vec::new();
    let mut revision = 50;
    let ended = eventually("the node with the full disk ends", PATIENCE, || {
        submitted.extend(update_all(&network, &mut companies, 0, revision)?);
        wait_final(&network, 0, &submitted)?;
        revision += 1;
        network.ended(3)
    })?;
    ensure!(ended.code() == Some(1), "{ended}");
    let log = std::fs::read_to_string(network.folder().join("node-3.log"))?;
    let sentence = log.lines().rev().find(|line| line.starts_with("avald: ")).context("no sentence")?;
    ensure!(sentence.contains("is full or nearly so: make room there"), "{sentence}");
    println!("{sentence}");

    disk.empty()?;
    network.start_node(3)?;
    network.wait_node_ready(3)?;
    wait_final(&network, 3, &submitted)?;
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}

/// What makes calls of the operating system fail for a program that runs (Debian package `fiu-utils`).
struct FailingCalls {
    /// The path that names of the named pipes begin with.
    control: PathBuf,
}

impl FailingCalls {
    /// Prepares a node that is not started yet.
    fn under(network: &mut Network, index: usize) -> Result<Self> {
        let libraries = ["/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so"];
        for library in libraries {
            ensure!(Path::new(library).exists(), "{library} is missing: `make setup` installs it");
        }
        let control = network.folder().join("fiu");
        let fifo = control.to_str().context("a UTF-8 path")?.to_owned();
        network.set_environment(index, &[("LD_PRELOAD", &libraries.join(" ")), ("FIU_CTRL_FIFO", &fifo)]);
        Ok(Self { control })
    }

    /// From now on calls of this name fail in the process, with EIO.
    fn fail(&self, process: u32, call: &str) -> Result<()> {
        const EIO: u8 = 5;
        let command = format!("enable name={call},failinfo={EIO}");
        let mut control = Command::new("fiu-ctrl");
        control.args(["-c", &command, "-f"]).arg(&self.control).arg(process.to_string());
        ensure!(control.status()?.success(), "{command} was not taken");
        Ok(())
    }
}

/// A disk that no longer writes ends the node, whether the engine's journals or the ledger notice first.
fn stops_and_goes_on(seed: u64, call: &str) -> Result<()> {
    let mut network = Network::prepare(seed, |_| {})?;
    let calls = FailingCalls::under(&mut network, 3)?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    let mut companies = network.enrol_members(0..8)?;
    let process = network.process(3).context("the node runs")?;
    calls.fail(process, call)?;
    let mut submitted = Vec::new();
    let mut revision = 50;
    let ended = eventually("the node whose disk fails ends", PATIENCE, || {
        submitted.extend(update_all(&network, &mut companies, 0, revision)?);
        wait_final(&network, 0, &submitted)?;
        revision += 1;
        network.ended(3)
    })?;
    let log = std::fs::read_to_string(network.folder().join("node-3.log"))?;
    let sentence = log.lines().rev().find(|line| line.starts_with("avald: ")).context("no sentence")?;
    println!("{call}: {sentence}");
    ensure!(ended.code() == Some(1), "{ended}: {sentence}");
    ensure!(sentence.contains(network.home(3).to_str().context("a UTF-8 path")?), "{sentence}");
    ensure!(sentence.contains("Input/output error"), "{sentence}");

    // Another disk, the same files: what the node promised before is there, and it follows.
    network.set_environment(3, &[]);
    network.start_node(3)?;
    network.wait_node_ready(3)?;
    wait_final(&network, 3, &submitted)?;
    let (height, _) = network.head(0)?;
    network.ensure_agreement(height)
}

#[test]
fn a_write_error_stops_its_node_with_a_clear_sentence_and_nothing_is_lost() -> Result<()> {
    stops_and_goes_on(208, "posix/io/sync/fdatasync")
}

#[test]
fn an_error_of_a_journal_stops_its_node_with_a_clear_sentence_and_nothing_is_lost() -> Result<()> {
    stops_and_goes_on(209, "posix/io/sync/fsync")
}
