//! The bodies of the fuzz targets in the ordinary tests: over the seeds, over what fuzzing found, and over damaged
//! copies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aval_fuzz::{TARGETS, Target};

/// Damaged copies of each input.
const COPIES: u64 = 12;
/// Bytes of the whole corpus.
const CORPUS_BYTES_MAX: u64 = 1_000_000;

fn folder() -> &'static Path {
    Path::new(".")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The seeds of a target and what is in its corpus, each with a name for who reads a failure.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = (target.seeds)().into_iter().enumerate();
    let mut inputs: Vec<_> = seeds.map(|(number, bytes)| (format!("seed {number}"), bytes)).collect();
    let kept = files(&folder().join("corpus").join(target.name)).into_iter();
    inputs.extend(kept.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())));
    inputs
}

fn run(target: &Target, what: &str, bytes: &[u8]) -> bool {
    std::panic::catch_unwind(|| (target.run)(bytes))
        .unwrap_or_else(|_| panic!("{}: {what}, {} bytes", target.name, bytes.len()))
}

#[test]
fn every_seed_and_every_input_that_fuzzing_found_keeps_every_property() {
    for target in TARGETS {
        let inputs = inputs(target);
        let read = inputs.iter().filter(|(what, bytes)| run(target, what, bytes)).count();
        assert!(read > 0, "{}: none of {} inputs is read, so nothing is tried", target.name, inputs.len());
        let longest = inputs.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
        assert!(longest <= target.bytes_max, "{}: an input of {longest} bytes is never tried", target.name);
    }
}

/// A small generator with no other purpose than to break things the same way every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn damage(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let (at, length) = (random.below(damaged.len()), random.below(16));
        let end = (at + length).min(damaged.len());
        match random.below(5) {
            _ if damaged.is_empty() => damaged.push(0),
            0 => damaged[at] ^= 1 << random.below(8),
            1 => damaged[at] = b"\0\xff\"{}[],:~.-09"[random.below(14)],
            2 => drop(damaged.drain(at..end)),
            3 => drop(damaged.splice(at..at, bytes[at.min(bytes.len())..end.min(bytes.len())].to_vec())),
            _ => damaged.truncate(at),
        }
    }
    damaged
}

#[test]
fn damaged_copies_keep_every_property() {
    let mut random = Random(0x5eed);
    for target in TARGETS {
        for (what, bytes) in inputs(target) {
            for copy in 0..COPIES {
                let damaged = damage(&bytes, &mut random);
                run(target, &format!("{what}, damaged copy {copy}"), &damaged);
            }
        }
    }
}

#[test]
fn every_target_has_its_program_and_the_corpus_belongs_to_targets_and_stays_small() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "two targets have one name");
    let manifest = std::fs::read_to_string(folder().join("libfuzzer/Cargo.toml")).unwrap();
    let programs = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let programs: BTreeSet<_> = programs.skip(1).map(str::to_owned).collect();
    assert_eq!(programs, names, "the programs of libfuzzer/Cargo.toml are not the targets");
    for name in &names {
        let text =
            std::fs::read_to_string(folder().join(format!("libfuzzer/fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("aval_fuzz::run(\"{name}\", bytes)")), "{name} runs another body");
    }
    let mut bytes = 0;
    for kept in files(&folder().join("corpus")) {
        let name = kept.file_name().unwrap().to_str().unwrap();
        assert!(names.contains(name), "corpus/{name} belongs to no target");
        bytes += files(&kept).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "the corpus has {bytes} bytes");
}
