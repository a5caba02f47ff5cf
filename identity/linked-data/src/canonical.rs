//! RDF Dataset Canonicalization, RDFC-1.0.
//!
//! Most blank nodes differ in the statements that they are in, and are named by the hash of these. Nodes that do not
//! are told apart by trying all orders of their neighbours, which an adversary can make arbitrarily long:
//! [`STEPS_MAX`] ends it.

use crate::LinkedDataError;
use crate::quad::Dataset;
use sha2::{Digest as _, Sha256, Sha384};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// Most orders of neighbours that are tried for one dataset. Credentials need none or a few.
const STEPS_MAX: usize = 4096;
/// Deepest recursion from neighbour to neighbour.
const DEPTH_MAX: usize = 64;

/// The hash inside RDF canonicalization. Data Integrity takes the one that fits the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256, the default of RDFC-1.0.
    Sha256,
    /// SHA-384, for keys on P-384.
    Sha384,
}

impl Hash {
    fn hex(self, text: &str) -> String {
        fn hex(bytes: &[u8]) -> String {
            bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
        match self {
            Hash::Sha256 => hex(&Sha256::digest(text)),
            Hash::Sha384 => hex(&Sha384::digest(text)),
        }
    }
}

/// The canonical form of a dataset.
#[derive(Clone, Debug)]
pub(crate) struct Canonical {
    /// The lines, each with its end, sorted.
    pub(crate) lines: Vec<String>,
    /// The number in `c14n<number>` of each blank node that occurs, by its number in the dataset.
    pub(crate) numbers: HashMap<u32, usize>,
}

/// Names blank nodes in the order in which they are asked for.
#[derive(Clone, Debug)]
struct Issuer {
    prefix: &'static str,
    order: Vec<u32>,
    issued: HashMap<u32, usize>,
}

impl Issuer {
    fn new(prefix: &'static str) -> Self {
        Issuer { prefix, order: Vec::new(), issued: HashMap::new() }
    }

    fn issue(&mut self, node: u32) -> String {
        let next = self.order.len();
        let number = *self.issued.entry(node).or_insert(next);
        if number == next {
            self.order.push(node);
        }
        format!("_:{}{number}", self.prefix)
    }

    fn name(&self, node: u32) -> Option<String> {
        self.issued.get(&node).map(|number| format!("_:{}{number}", self.prefix))
    }
}

/// The canonical form.
pub(crate) fn canonicalize(dataset: &Dataset, hash: Hash) -> Result<Canonical, LinkedDataError> {
    let mut state = State {
        dataset,
        hash,
        quads_of: BTreeMap::new(),
        first: HashMap::new(),
        canonical: Issuer::new("c14n"),
        steps: 0,
    };
    for (index, quad) in dataset.quads.iter().enumerate() {
        for (_, node) in quad.blanks() {
            let quads = state.quads_of.entry(node).or_default();
            if quads.last() != Some(&index) {
                quads.push(index);
            }
        }
    }
    let mut by_hash: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let nodes: Vec<u32> = state.quads_of.keys().copied().collect();
    for node in nodes {
        by_hash.entry(state.first_degree(node)).or_default().push(node);
    }
    let mut alike = Vec::new();
    for nodes in by_hash.into_values() {
        match nodes.as_slice() {
            [one] => drop(state.canonical.issue(*one)),
            _ => alike.push(nodes),
        }
    }
    for nodes in alike {
        let mut paths = Vec::new();
        for node in nodes {
            if state.canonical.issued.contains_key(&node) {
                continue;
            }
            let mut issuer = Issuer::new("b");
            issuer.issue(node);
            paths.push(state.n_degree(node, issuer, 0)?);
        }
        paths.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (_, issuer) in paths {
            for node in issuer.order {
                state.canonical.issue(node);
            }
        }
    }
    let numbers = state.canonical.issued;
    let mut name = |node: u32, line: &mut String| {
        let _ = write!(line, "c14n{}", numbers.get(&node).copied().unwrap_or_default());
    };
    let mut lines: Vec<String> = dataset.quads.iter().map(|quad| quad.write(&mut name)).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(Canonical { lines, numbers })
}

struct State<'a> {
    dataset: &'a Dataset,
    hash: Hash,
    quads_of: BTreeMap<u32, Vec<usize>>,
    first: HashMap<u32, String>,
    canonical: Issuer,
    steps: usize,
}

impl State<'_> {
    /// Hash First Degree Quads, section 4.6.
    fn first_degree(&mut self, node: u32) -> String {
        if let Some(known) = self.first.get(&node) {
            return known.clone();
        }
        let mut name = |other: u32, line: &mut String| line.push(if other == node { 'a' } else { 'z' });
        let quads = self.quads_of.get(&node).into_iter().flatten();
        let mut lines: Vec<String> = quads
            .filter_map(|index| self.dataset.quads.get(*index))
            .map(|quad| quad.write(&mut name))
            .collect();
        lines.sort_unstable();
        let hash = self.hash.hex(&lines.concat());
        self.first.insert(node, hash.clone());
        hash
    }

    /// Hash Related Blank Node, section 4.7.
    fn related(&mut self, node: u32, predicate: &str, issuer: &Issuer, position: char) -> String {
        let mut input = String::from(position);
        if position != 'g' {
            input.push_str(predicate);
        }
        let name = self.canonical.name(node).or_else(|| issuer.name(node));
        input.push_str(&name.unwrap_or_else(|| self.first_degree(node)));
        self.hash.hex(&input)
    }

    /// Hash N-Degree Quads, section 4.8.
    fn n_degree(
        &mut self,
        node: u32,
        mut issuer: Issuer,
        depth: usize,
    ) -> Result<(String, Issuer), LinkedDataError> {
        if depth > DEPTH_MAX {
            return Err(LinkedDataError::Excessive("blank nodes that are alike"));
        }
        let mut related: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let dataset = self.dataset;
        for index in self.quads_of.get(&node).cloned().unwrap_or_default() {
            let Some(quad) = dataset.quads.get(index) else { continue };
            for (position, other) in quad.blanks().filter(|(_, other)| *other != node) {
                let hash = self.related(other, &quad.predicate, &issuer, position);
                related.entry(hash).or_default().push(other);
            }
        }
        let mut data = String::new();
        for (hash, mut list) in related {
            data.push_str(&hash);
            let mut chosen: Option<(String, Issuer)> = None;
            list.sort_unstable();
            loop {
                self.steps += 1;
                if self.steps > STEPS_MAX {
                    return Err(LinkedDataError::Excessive("blank nodes that are alike"));
                }
                let best = chosen.as_ref().map(|(path, _)| path.as_str());
                if let Some(better) = self.path(&list, &issuer, best, depth)? {
                    chosen = Some(better);
                }
                if !next_permutation(&mut list) {
                    break;
                }
            }
            if let Some((path, of_path)) = chosen {
                data.push_str(&path);
                issuer = of_path;
            }
        }
        Ok((self.hash.hex(&data), issuer))
    }

    /// The path of one order of neighbours, unless it is no better than the best so far.
    fn path(
        &mut self,
        order: &[u32],
        issuer: &Issuer,
        best: Option<&str>,
        depth: usize,
    ) -> Result<Option<(String, Issuer)>, LinkedDataError> {
        let worse = |path: &str| best.is_some_and(|best| path.len() >= best.len() && path > best);
        let mut issuer = issuer.clone();
        let mut path = String::new();
        let mut unnamed = Vec::new();
        for other in order {
            match self.canonical.name(*other) {
                Some(name) => path.push_str(&name),
                None => {
                    if !issuer.issued.contains_key(other) {
                        unnamed.push(*other);
                    }
                    path.push_str(&issuer.issue(*other));
                }
            }
            if worse(&path) {
                return Ok(None);
            }
        }
        for other in unnamed {
            let (hash, deeper) = self.n_degree(other, issuer.clone(), depth + 1)?;
            path.push_str(&issuer.issue(other));
            path.push('<');
            path.push_str(&hash);
            path.push('>');
            issuer = deeper;
            if worse(&path) {
                return Ok(None);
            }
        }
        Ok(if best.is_none_or(|best| path.as_str() < best) { Some((path, issuer)) } else { None })
    }
}

/// The next order in lexicographic sequence; false after the last. Equal entries are not exchanged.
fn next_permutation(list: &mut [u32]) -> bool {
    let Some(pivot) = list.windows(2).rposition(|pair| matches!(pair, [left, right] if left < right)) else {
        return false;
    };
    let at_pivot = list.get(pivot).copied();
    let Some(swap) = list.iter().rposition(|other| Some(*other) > at_pivot) else { return false };
    list.swap(pivot, swap);
    if let Some(rest) = list.get_mut(pivot + 1..) {
        rest.reverse();
    }
    true
}
