//! Files and sockets that the process may have open at the same time.
//!
//! The ledger opens files while it works, and cannot go on if it cannot. So clients never get more than a half of what
//! the system allows, and one address never more than a half of that, whatever the configuration says.

use crate::api::connections::Bounds;

/// What a process usually may have, where the system says nothing.
const USUAL: usize = 1024;

/// Raises this process's soft limit as far as the system lets it, and gives back what it is then. The soft limit is
/// kept low for programs that use `select`, which counts descriptors up to 1024 only; this one does not.
pub fn raise() -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(reason) => {
            tracing::warn!(%reason, "the limit on open files could not be raised");
            let limit = rlimit::getrlimit(rlimit::Resource::NOFILE);
            limit.map_or(USUAL, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
        }
    }
}

/// What is left of configured bounds under a limit of so many descriptors.
pub fn within(configured: Bounds, limit: usize) -> Bounds {
    let all = configured.all.min(limit / 2);
    if all < configured.all {
        tracing::warn!(
            limit,
            connections = all,
            "the system's limit on open files allows fewer connections than api.connectionsMax: raise it (ulimit -Hn)"
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
    fn the_soft_limit_rises_to_what_the_system_allows_and_is_that_from_then_on() {
        let (soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
        rlimit::setrlimit(rlimit::Resource::NOFILE, soft.min(256), hard).unwrap();
        let raised = u64::try_from(raise()).unwrap();
        assert_eq!(raised, rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap().0);
        assert!(raised >= soft);
    }
}
