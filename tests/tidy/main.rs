//! The rules of `STYLE.md` and `ARCHITECTURE.md` that a machine can check.
//!
//! Each rule is a test of its own, so that a failure names what is wrong and where.

mod dependencies;
mod security;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new("..").canonicalize().expect("tests run in the folder of their package")
}

/// Every file that git tracks or would track, relative to the root.
fn tracked_files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is on the path");
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).expect("file names are UTF-8");
    list.lines().map(PathBuf::from).filter(|path| root().join(path).is_file()).collect()
}

fn tracked_with_extension(extension: &str) -> Vec<PathBuf> {
    tracked_files().into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
