pub(crate) mod support;

mod jcs_suites;
mod keys;
mod rdf_suites;
mod selective;
