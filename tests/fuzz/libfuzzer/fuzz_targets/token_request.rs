//! libFuzzer on the target `token_request` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("token_request", bytes);
});
