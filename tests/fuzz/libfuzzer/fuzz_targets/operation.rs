//! libFuzzer on the target `operation` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("operation", bytes);
});
