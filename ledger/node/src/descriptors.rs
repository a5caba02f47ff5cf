//! Files and sockets that the process may have open at the same time.
//!
//! The ledger opens files while it works, and cannot go on if it cannot. So clients never get more than a half of what
//! the system allows, and one address never more than a half of that, whatever the configuration says.

use std::fs;

use crate::api::connections::Bounds;

/// Where the system names no limit, and what it usually is.
const USUAL: usize = 1024;

/// The limit of this process, where `/proc` exists.
pub fn limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    parse(&limits).unwrap_or(USUAL)
}

/// The soft limit in the text of `/proc/self/limits`.
fn parse(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

/// What is left of configured bounds under a limit of so many descriptors.
pub fn within(configured: Bounds, limit: usize) -> Bounds {
    let all = configured.all.min(limit / 2);
    if all < configured.all {
        tracing::warn!(
            limit,
            connections = all,
            "the system's limit on open files allows fewer connections than api.connectionsMax: raise it (ulimit -n)"
        );
    }
    Bounds { all, per_address: configured.per_address.min(all.div_ceil(2)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_more_than_half_and_one_address_half_of_that() {
        let configured = Bounds { all: 8192, per_address: 512 };
        assert_eq!(within(configured, 1 << 20), configured);
        assert_eq!(within(configured, 1024), Bounds { all: 512, per_address: 256 });
        assert_eq!(within(Bounds { all: 100, per_address: 100 }, 1024), Bounds { all: 100, per_address: 50 });
    }

    #[test]
    fn the_systems_limit_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             7823                 7823                 processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(parse(text), Some(1024));
        assert_eq!(
            parse("Max open files            unlimited            unlimited            files"),
            Some(usize::MAX)
        );
        assert_eq!(parse("nothing"), None);
        assert!(limit() >= 64);
    }
}
