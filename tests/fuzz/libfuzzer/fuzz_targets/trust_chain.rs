//! libFuzzer on the target `trust_chain` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("trust_chain", bytes);
});
