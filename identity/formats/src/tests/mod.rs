pub(crate) mod support;

mod jcs_suites;
mod keys;
