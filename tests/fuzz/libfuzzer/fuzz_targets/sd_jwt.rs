//! libFuzzer on the target `sd_jwt` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("sd_jwt", bytes);
});
