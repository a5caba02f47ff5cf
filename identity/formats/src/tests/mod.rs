pub(crate) mod support;

mod jcs_suites;
mod keys;
mod negative;
mod negative_cases;
mod rdf_suites;
mod selective;
