//! libFuzzer on the target `block` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("block", bytes);
});
