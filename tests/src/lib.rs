//! What the end-to-end tests and the benchmark share: real programs, started on free loopback ports or on
//! hosts of their own, and ended with the test.
//!
//! Nothing here reaches into a program: a test sees what an operator, a wallet or an attacker would see.

pub mod files;
pub mod hosts;
pub mod network;
pub mod people;
pub mod process;
pub mod verifier;
pub mod writers;

use proptest as _;
