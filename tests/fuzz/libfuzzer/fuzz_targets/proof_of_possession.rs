//! libFuzzer on the target `proof_of_possession` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("proof_of_possession", bytes);
});
