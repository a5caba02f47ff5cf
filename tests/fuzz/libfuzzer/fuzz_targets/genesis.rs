//! libFuzzer on the target `genesis` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("genesis", bytes);
});
