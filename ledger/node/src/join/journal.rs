//! What a node must remember of how its ledger came here, in the folder of the engine's journals.
//!
//! A ledger that was fetched or restored says nothing of how this key voted before: the folder may stand in for one
//! that was lost. So the height that it reached without the engine is written down before anything is fetched, and
//! the node votes only in epochs after that height's. Where the key may have voted above that height too, the node
//! is in *doubt* until it has committed a block that was certainly made after its start, and then waits for the end
//! of that block's epoch (specs/decisions/0022-backup-restore-and-votes.md).

use std::io::Write as _;
use std::path::Path;

use crate::fault::{Fault, file_fault};

/// The file's name.
const JOINED_FILE: &str = "JOINED";

/// Whether the key may have voted above the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It has not, or not so that it counts.
    Settled,
    /// It has if it is one of the validators.
    Joined,
    /// It may have: the ledger is from a backup.
    Restored,
}

/// How a ledger came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The height that it reached without the engine, or more.
    pub height: u64,
    /// What is not known.
    pub doubt: Doubt,
}

impl Joined {
    /// Reads what was written down, if this folder's ledger ever grew without the engine.
    pub fn read(engine_folder: &Path) -> Result<Option<Self>, Fault> {
        let file = engine_folder.join(JOINED_FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_fault("the consensus engine", &file, &error)),
        };
        let mut words = text.split_whitespace();
        let height = words.next().and_then(|word| word.parse().ok());
        let doubt = match (words.next(), words.next()) {
            (None, None) => Some(Doubt::Settled),
            (Some("joined"), None) => Some(Doubt::Joined),
            (Some("restored"), None) => Some(Doubt::Restored),
            _ => None,
        };
        match (height, doubt) {
            (Some(height), Some(doubt)) => Ok(Some(Self { height, doubt })),
            _ => Err(Fault::invalid(format!(
                "{} is damaged: write the ledger's height and the word restored into it",
                file.display()
            ))),
        }
    }

    /// Writes it down, durably and at once.
    pub fn write(&self, engine_folder: &Path) -> Result<(), Fault> {
        let file = engine_folder.join(JOINED_FILE);
        let new = engine_folder.join(format!("{JOINED_FILE}.new"));
        let word = match self.doubt {
            Doubt::Settled => "",
            Doubt::Joined => " joined",
            Doubt::Restored => " restored",
        };
        let write = || -> std::io::Result<()> {
            let mut out = std::fs::File::create(&new)?;
            writeln!(out, "{}{word}", self.height)?;
            out.sync_all()?;
            std::fs::rename(&new, &file)?;
            std::fs::File::open(engine_folder)?.sync_all()
        };
        write().map_err(|error| file_fault("the consensus engine", &file, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_keeps_the_node_from_voting() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Joined::read(folder.path()).unwrap(), None);
        for doubt in [Doubt::Settled, Doubt::Joined, Doubt::Restored] {
            let joined = Joined { height: 1_234, doubt };
            joined.write(folder.path()).unwrap();
            assert_eq!(Joined::read(folder.path()).unwrap(), Some(joined));
        }
        for damaged in ["", "x", "12 13", "12 restored too"] {
            std::fs::write(folder.path().join(JOINED_FILE), damaged).unwrap();
            assert_eq!(Joined::read(folder.path()).unwrap_err().exit_code(), 3, "{damaged:?}");
        }
    }
}
