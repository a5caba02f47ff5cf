//! libFuzzer on the target `credential_request` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("credential_request", bytes);
});
