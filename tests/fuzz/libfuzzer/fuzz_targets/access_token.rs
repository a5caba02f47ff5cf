//! libFuzzer on the target `access_token` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("access_token", bytes);
});
