//! Credentials as services and wallets read and write them, in every current standard format.
//!
//! Tier T1, sans-io: no network, no clock; time comes as an argument. The ledger does not link this crate: what it reads
//! is in `aval-credential`.
