//! One suite, run on both back ends: what holds for memory holds for RocksDB.

mod chain;
mod concurrent;
mod cost;
mod damage;
mod fixture;
mod folder;
mod forks;
mod history;
mod profiles;
mod properties;
mod snapshot;
mod witnesses;

/// Runs each named function as a test on a disk of each kind.
macro_rules! on_both_back_ends {
    ($($name:ident),* $(,)?) => {
        mod on_memory {
            $(#[test]
            fn $name() {
                super::$name(&$crate::tests::fixture::Disk::memory());
            })*
        }

        mod on_rocks {
            $(#[test]
            fn $name() {
                super::$name(&$crate::tests::fixture::Disk::rocks());
            })*
        }
    };
}

pub(crate) use on_both_back_ends;
