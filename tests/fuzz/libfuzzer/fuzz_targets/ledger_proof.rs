//! libFuzzer on the target `ledger_proof` of `aval-fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    aval_fuzz::run("ledger_proof", bytes);
});
