//! libFuzzer on the target `public_key` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("public_key", bytes);
});
