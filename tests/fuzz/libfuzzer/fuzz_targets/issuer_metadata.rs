//! libFuzzer on the target `issuer_metadata` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("issuer_metadata", bytes);
});
