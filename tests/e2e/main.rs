//! End to end: real `avald`, `aval-identityd` and `aval` processes, talking over real sockets.

mod damage;
mod disks;
mod faults;
mod governance;
mod interop;
mod links;
mod login;
mod membership;
mod overload;
mod oversight;
mod recovery;
mod refusals;
mod story;
mod trust;
mod verifier;
