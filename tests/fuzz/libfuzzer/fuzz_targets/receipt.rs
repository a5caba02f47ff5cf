//! libFuzzer on the target `receipt` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("receipt", bytes);
});
