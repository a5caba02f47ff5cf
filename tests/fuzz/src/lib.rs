//! The bodies of the fuzz targets: one function for each decoder that takes bytes from outside.
//!
//! A body does more than wait for a panic. What decodes encodes to the same bytes, or, where a format has several
//! spellings, to one that decodes to the same value; what verifies verifies after a round trip; two ways to the same
//! answer agree. Each property is an assertion, so that a violation is a finding like any crash.
//!
//! The same functions run in two places: under libFuzzer (`libfuzzer/`, `make fuzz`), and in the ordinary tests over
//! the seeds of [`Target::seeds`], over what fuzzing found worth keeping (`corpus/`), and over damaged copies of both.

mod documents;
mod identity;
mod ledger;
mod openid;
mod proofs;
mod seeds;

/// One decoder.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, also that of its folder in `corpus/` and of its program in `libfuzzer/`.
    pub name: &'static str,
    /// Longest input that is tried: well above the longest seed, below what would only cost time.
    pub bytes_max: usize,
    /// The body. Panics where a property does not hold; says whether the bytes were read at all.
    pub run: fn(&[u8]) -> bool,
    /// Inputs to begin with, made from `specs/vectors` and from the test kit.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const fn target(
    name: &'static str,
    bytes_max: usize,
    run: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
) -> Target {
    Target { name, bytes_max, run, seeds }
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    target("access_token", 4_096, documents::access_token, seeds::access_tokens),
    target("audit", 32_768, proofs::audit, seeds::audits),
    target("block", 16_384, ledger::block, seeds::blocks),
    target("body", 16_384, ledger::body, seeds::bodies),
    target("certificate", 4_096, proofs::certificate, seeds::certificates),
    target("checkpoint", 4_096, proofs::checkpoint, seeds::checkpoints),
    target("credential_offer", 4_096, openid::offer, seeds::offers),
    target("credential_request", 8_192, openid::request, seeds::requests),
    target("did", 512, identity::did, seeds::dids),
    target("did_record", 8_192, identity::record, seeds::records),
    target("envelope", 8_192, ledger::envelope, seeds::envelopes),
    target("genesis", 16_384, documents::genesis, seeds::geneses),
    target("header", 512, ledger::header, seeds::headers),
    target("issuer_metadata", 8_192, openid::metadata, seeds::metadata),
    target("json", 4_096, documents::json, seeds::jsons),
    target("json_schema", 4_096, documents::json_schema, seeds::schemas),
    target("ledger_proof", 16_384, proofs::ledger_proof, seeds::ledger_proofs),
    target("operation", 16_384, identity::operation, seeds::operations),
    target("payload", 8_192, ledger::payload, seeds::payloads),
    target("policy", 8_192, documents::policy, seeds::policies),
    target("presentation", 16_384, identity::presentation, seeds::presentations),
    target("proof_of_possession", 4_096, openid::proof, seeds::proofs_of_possession),
    target("public_key", 1_024, identity::public_key, seeds::public_keys),
    target("receipt", 4_096, ledger::receipt, seeds::receipts),
    target("sd_jwt", 4_096, identity::sd_jwt, seeds::sd_jwts),
    target("snapshot_chunk", 4_096, proofs::snapshot_chunk, seeds::snapshot_chunks),
    target("submission", 32_768, ledger::submission, seeds::submissions),
    target("token_request", 2_048, openid::token, seeds::token_requests),
    target("trust_chain", 16_384, proofs::trust_chain, seeds::trust_chains),
];

/// Runs the body of a target; says whether the bytes were read.
///
/// # Panics
/// Where a property does not hold, and if there is no such target.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(bytes),
        None => panic!("there is no fuzz target {name}"),
    }
}
