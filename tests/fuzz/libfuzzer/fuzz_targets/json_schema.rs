//! libFuzzer on the target `json_schema` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("json_schema", bytes);
});
