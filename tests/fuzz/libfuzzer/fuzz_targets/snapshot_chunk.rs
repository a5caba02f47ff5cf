//! libFuzzer on the target `snapshot_chunk` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("snapshot_chunk", bytes);
});
