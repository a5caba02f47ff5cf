//! Who may depend on whom, and under which licences.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// The edges of `ARCHITECTURE.md`: a crate of ours, and the crates of ours that it may link.
const EDGES: &[(&str, &[&str])] = &[
    ("aval-codec", &[]),
    ("aval-did", &["aval-codec"]),
    ("aval-credential", &["aval-codec", "aval-did"]),
    ("aval-linked-data", &["aval-codec", "aval-did"]),
    ("aval-formats", &["aval-codec", "aval-did", "aval-credential", "aval-linked-data"]),
    ("aval-sealed", &[]),
    ("aval-types", &["aval-codec", "aval-did"]),
    ("aval-proof", &["aval-codec", "aval-did", "aval-types"]),
    ("aval-machine", &["aval-codec", "aval-did", "aval-credential", "aval-types"]),
    ("aval-openid", &["aval-codec", "aval-did", "aval-credential", "aval-formats"]),
    ("aval-store", &["aval-codec", "aval-did", "aval-types", "aval-proof", "aval-machine"]),
    ("aval-client", &["aval-codec", "aval-did", "aval-types", "aval-proof"]),
    ("aval-resolver", &["aval-codec", "aval-did", "aval-formats", "aval-types", "aval-proof", "aval-client"]),
    (
        "aval-node",
        &[
            "aval-codec",
            "aval-did",
            "aval-credential",
            "aval-types",
            "aval-proof",
            "aval-machine",
            "aval-store",
        ],
    ),
    (
        "aval-identity",
        &[
            "aval-codec",
            "aval-did",
            "aval-credential",
            "aval-linked-data",
            "aval-formats",
            "aval-resolver",
            "aval-types",
            "aval-proof",
            "aval-openid",
            "aval-client",
            "aval-sealed",
        ],
    ),
    (
        "aval-wallet",
        &[
            "aval-codec",
            "aval-did",
            "aval-credential",
            "aval-linked-data",
            "aval-formats",
            "aval-types",
            "aval-proof",
            "aval-openid",
            "aval-client",
            "aval-sealed",
        ],
    ),
];

/// Crates at the top that may link anything of ours.
const FREE: &[&str] = &["aval-tests", "aval-fuzz", "aval-examples"];

/// Third-party crates that exactly one crate of ours may link.
const CONFINED: &[(&str, &str)] = &[
    ("rocksdb", "aval-store"),
    ("jmt", "aval-store"),
    ("sqlx", "aval-identity"),
    ("ssi", "aval-linked-data"),
    ("ssi-contexts", "aval-linked-data"),
    ("josekit", "aval-openid"),
];

/// Third-party crates that only programs may link: facts and rules do no I/O and read no clock.
const PROGRAMS_ONLY: &[&str] = &["tokio", "axum", "ureq", "anyhow", "clap"];
const FACTS_AND_RULES: &[&str] = &[
    "aval-codec",
    "aval-did",
    "aval-credential",
    "aval-types",
    "aval-proof",
    "aval-machine",
    "aval-openid",
    "aval-linked-data",
    "aval-formats",
];

/// Licences that a dependency may carry; an expression passes when one alternative is made of these.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn metadata() -> Metadata {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    MetadataCommand::new()
        .manifest_path(crate::root().join("Cargo.toml"))
        // What other platforms would link is not fetched on this one.
        .other_options(vec!["--offline".into(), "--locked".into(), "--filter-platform".into(), platform])
        .exec()
        .expect("cargo metadata reads the workspace")
}

fn normal_dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let linked = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                .map(|dependency| dependency.name.clone())
                .collect();
            (package.name.to_string(), linked)
        })
        .collect()
}

#[test]
fn a_crate_of_ours_depends_only_on_lower_tiers() {
    let metadata = metadata();
    let allowed: BTreeMap<_, BTreeSet<_>> =
        EDGES.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for (name, linked) in normal_dependencies(&metadata) {
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let Some(edges) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} has no row in the table of edges"));
            continue;
        };
        for other in linked.iter().filter(|other| other.starts_with("aval-")) {
            if !edges.contains(other.as_str()) {
                wrong.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn heavy_libraries_stay_in_the_one_crate_that_owns_them() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for (name, linked) in normal_dependencies(&metadata) {
        for (library, owner) in CONFINED {
            if linked.contains(*library) && name != *owner {
                wrong.push(format!("{name} links {library}; only {owner} may"));
            }
        }
        if linked.iter().any(|library| library.starts_with("commonware")) && name != "aval-node" {
            wrong.push(format!("{name} links the consensus engine; only aval-node may"));
        }
        if FACTS_AND_RULES.contains(&name.as_str()) {
            for library in PROGRAMS_ONLY.iter().filter(|library| linked.contains(**library)) {
                wrong.push(format!("{name} holds facts or rules and must not link {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The packages that crates of the ledger link, directly or through others. Features are those of the whole
/// workspace, so that this is more than any program has, and never less.
fn linked_by_the_ledger(metadata: &Metadata) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("dependencies are resolved");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let ledger = crate::root().join("ledger");
    let of_ledger = |manifest: &std::path::Path| manifest.starts_with(&ledger);
    let mut waiting: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| of_ledger(package.manifest_path.as_std_path()))
        .map(|package| &package.id)
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let linked = nodes[id].deps.iter().filter(|dependency| {
            dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
        });
        waiting.extend(linked.map(|dependency| &dependency.pkg));
    }
    seen.into_iter().map(|id| names[id].clone()).collect()
}

#[test]
fn the_ledger_never_links_ssi_or_openssl() {
    let names = linked_by_the_ledger(&metadata());
    assert!(names.contains("aval-codec") && names.contains("serde"), "nothing was looked at: {names:?}");
    for forbidden in ["ssi", "openssl", "openssl-sys", "josekit", "didkit", "aval-openid", "aval-formats"] {
        assert!(!names.contains(forbidden), "the ledger links {forbidden}");
    }
}

#[test]
fn every_dependency_carries_an_allowed_licence() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        match package.license.as_deref() {
            Some(expression) if licence_allowed(expression) => {}
            Some(expression) => wrong.push(format!("{} {}: {expression}", package.name, package.version)),
            None => wrong.push(format!("{} {}: no licence stated", package.name, package.version)),
        }
    }
    assert!(wrong.is_empty(), "licences outside the list:\n{}", wrong.join("\n"));
}

#[test]
fn the_licence_rule_refuses_copyleft_and_reads_expressions() {
    assert!(licence_allowed("MIT OR Apache-2.0"));
    assert!(licence_allowed("MIT/Apache-2.0"));
    assert!(licence_allowed("GPL-3.0 OR MIT"));
    assert!(licence_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(licence_allowed("ISC AND (Apache-2.0 OR ISC) AND OpenSSL"));
    assert!(!licence_allowed("AGPL-3.0-only"));
    assert!(!licence_allowed("MIT AND GPL-3.0"));
    assert!(!licence_allowed("(MIT OR Apache-2.0) AND GPL-2.0"));
}

/// Reads an SPDX expression of `OR`, `AND`, `WITH` and parentheses. `/` is the old spelling of `OR`.
fn licence_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut position = 0;
    let allowed = alternatives(&tokens, &mut position);
    allowed && position == tokens.len()
}

fn alternatives(tokens: &[&str], position: &mut usize) -> bool {
    let mut allowed = conjunction(tokens, position);
    while tokens.get(*position) == Some(&"OR") {
        *position += 1;
        let other = conjunction(tokens, position);
        allowed = allowed || other;
    }
    allowed
}

fn conjunction(tokens: &[&str], position: &mut usize) -> bool {
    let mut allowed = licence(tokens, position);
    while tokens.get(*position) == Some(&"AND") {
        *position += 1;
        let other = licence(tokens, position);
        allowed = allowed && other;
    }
    allowed
}

fn licence(tokens: &[&str], position: &mut usize) -> bool {
    let Some(token) = tokens.get(*position) else { return false };
    *position += 1;
    if *token == "(" {
        let inside = alternatives(tokens, position);
        *position += 1;
        return inside;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*position) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*position + 1).unwrap_or(&""));
        *position += 2;
    }
    LICENCES.contains(&name.as_str())
}

/// Packages of the fuzzing programs that the product does not have, with their licences. Nothing of them is in any
/// program that is shipped.
const OF_FUZZING_ALONE: &[(&str, &str)] = &[
    ("arbitrary", "MIT OR Apache-2.0"),
    ("aval-libfuzzer", "Apache-2.0"),
    // The runtime of libFuzzer, which is a part of LLVM, under LLVM's former permissive licence.
    ("libfuzzer-sys", "(MIT OR Apache-2.0) AND NCSA"),
];

/// Name and version of every package of a lock file.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let text = crate::read(std::path::Path::new(path));
    let value =
        |line: &str, name: &str| Some(line.strip_prefix(name)?.trim_matches([' ', '=', '"']).to_owned());
    let packages = text.split("[[package]]").skip(1);
    let pair = |package: &str| {
        let name = package.lines().find_map(|line| value(line, "name"))?;
        Some((name, package.lines().find_map(|line| value(line, "version"))?))
    };
    packages.filter_map(pair).collect()
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let shipped = locked("Cargo.lock");
    let fuzzed = locked("tests/fuzz/libfuzzer/Cargo.lock");
    assert!(fuzzed.iter().any(|(name, _)| name == "aval-types"), "the lock file is not read");
    let foreign: Vec<_> = fuzzed
        .difference(&shipped)
        .filter(|(name, _)| !OF_FUZZING_ALONE.iter().any(|(known, _)| known == name))
        .collect();
    assert!(foreign.is_empty(), "other packages or versions than the product has: {foreign:?}");
}

/// Deliberate faults are for one test. A program must not contain them, so no crate has the feature among its defaults
/// or asks another for it, but by its own feature of the same name.
#[test]
fn no_crate_has_the_deliberate_faults_by_default() {
    let metadata = metadata();
    let mut having = BTreeSet::new();
    for package in metadata.workspace_packages() {
        for (feature, enables) in &package.features {
            let names_it = enables.iter().any(|enabled| enabled.contains("sabotage"));
            assert!(!names_it || feature == "sabotage", "{}: the feature {feature} has it", package.name);
            if feature == "sabotage" {
                having.insert(package.name.to_string());
            }
        }
        for dependency in &package.dependencies {
            let asks = dependency.features.iter().any(|feature| feature == "sabotage");
            assert!(!asks, "{} asks {} for it", package.name, dependency.name);
        }
    }
    assert_eq!(having, BTreeSet::from(["aval-machine".to_owned(), "aval-node".to_owned()]));
    let program = crate::read(std::path::Path::new("ledger/node/src/main.rs"));
    assert!(program.contains("assert!(!aval_machine::sabotage::COMPILED_IN"), "avald would compile with it");
}
