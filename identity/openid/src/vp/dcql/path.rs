//! Claims path pointers (OpenID4VP 1.0 section 7).

use crate::vp::tree::{Content, Node, Place};
use serde::{Deserialize, Serialize};

/// How many steps a path may have.
pub(crate) const STEPS_MAX: usize = 32;

/// How many nodes a path may select.
const SELECTED_MAX: usize = 4096;

/// One step of a path. In JSON a string, `null` or a number that is not negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// The member of this name.
    Name(String),
    /// The element at this position.
    Index(u32),
    /// All elements.
    All(()),
}

/// A path into the claims of a credential. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimsPath(pub Vec<Step>);

impl ClaimsPath {
    /// A path of names.
    pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| Step::Name(name.to_owned())).collect())
    }

    /// The nodes that the path selects, each with its own place (section 7.1). `None` where the specification aborts
    /// with an error: a step does not fit what it meets, or nothing is selected in the end.
    pub fn select<'a>(&self, root: &'a Node) -> Option<Vec<(Vec<Place>, &'a Node)>> {
        let mut selected: Vec<(Vec<Place>, &Node)> = vec![(Vec::new(), root)];
        for step in &self.0 {
            let mut next = Vec::new();
            for (way, node) in selected {
                let mut push = |place: Place, inner: &'a Node| {
                    let mut way = way.clone();
                    way.push(place);
                    next.push((way, inner));
                };
                match (step, &node.content) {
                    (Step::Name(name), Content::Object(members)) => {
                        if let Some(inner) = members.get(name) {
                            push(Place::Name(name.clone()), inner);
                        }
                    }
                    (Step::Index(index), Content::Array(elements)) => {
                        let index = usize::try_from(*index).ok()?;
                        if let Some(Some(inner)) = elements.get(index) {
                            push(Place::Index(index), inner);
                        }
                    }
                    (Step::All(()), Content::Array(elements)) => {
                        for (index, inner) in elements.iter().enumerate() {
                            if let Some(inner) = inner {
                                push(Place::Index(index), inner);
                            }
                        }
                    }
                    _ => return None,
                }
            }
            if next.is_empty() || next.len() > SELECTED_MAX {
                return None;
            }
            selected = next;
        }
        Some(selected)
    }
}
