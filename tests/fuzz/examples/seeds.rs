//! Writes what `run` gives to libFuzzer into a folder: for each target its seeds, a dictionary of the words in them,
//! and a line in `targets` with its name and the longest input.

use std::collections::BTreeSet;
use std::path::Path;

use aval_fuzz::TARGETS;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: seeds <folder>")?;
    let folder = Path::new(&folder);
    let mut lines = String::new();
    for target in TARGETS {
        let own = folder.join(target.name);
        std::fs::create_dir_all(&own)?;
        let mut words = BTreeSet::new();
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(own.join(format!("{number:03}")), &seed)?;
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"@$_.-".contains(byte);
            let parts = seed.split(|byte| !is_part(byte)).filter(|word| (2..=40).contains(&word.len()));
            words.extend(parts.filter_map(|word| String::from_utf8(word.to_vec()).ok()));
        }
        let dictionary: Vec<String> = words.iter().take(2_000).map(|word| format!("\"{word}\"\n")).collect();
        std::fs::write(folder.join(format!("{}.dict", target.name)), dictionary.concat())?;
        lines.push_str(&format!("{} {}\n", target.name, target.bytes_max));
    }
    std::fs::write(folder.join("targets"), lines)?;
    Ok(())
}
