//! libFuzzer on the target `presentation` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("presentation", bytes);
});
