//! End to end: real `avald`, `aval-identityd` and `aval` processes, talking over real sockets.

mod damage;
mod faults;
mod governance;
mod interop;
mod links;
mod membership;
mod overload;
mod oversight;
mod recovery;
mod refusals;
mod story;
mod trust;
mod verifier;
