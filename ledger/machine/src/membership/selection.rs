//! Which set follows a set: a pure function of who is in it, who waits, and the parameters (R-CONS-1).
//!
//! In this order:
//! 1. Who leaves: first whoever lost its standing, then the suspended, then those that asked to; then the juniors above
//!    the caps per sector and region, and those above `sizeMax`.
//! 2. At most f of them leave at once (one, if the set tolerates no fault), and only as many as leave the set, with
//!    those that join, no smaller than `sizeMin` (or than it was, if it was smaller).
//! 3. Candidates join in the order of their registration while there is room below `sizeMax` and the caps of their
//!    sector and region allow it, and only as many as the new set tolerates faults: so those that stay are a quorum
//!    of the new set by themselves, even if no newcomer is there. Below four validators one may join at a time.
//!
//! What follows: nobody joins above a cap; without a reason nobody leaves and nobody is replaced; equal input gives
//! equal output.

use aval_types::parameters::ValidatorParameters;

use super::faults;

/// A validator in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incumbent {
    /// Its key.
    pub key: [u8; 32],
    /// Its sector.
    pub sector: String,
    /// Its region.
    pub region: String,
    /// The epoch since which it is in the set: the lower, the more senior.
    pub since: u64,
    /// Why it has to leave, if it has to.
    pub leaving: Option<Leaving>,
}

/// Why a validator has to leave; those that come first in the order leave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaving {
    /// The cause.
    pub cause: Cause,
    /// The height since which it holds.
    pub since: u64,
}

/// The cause of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It lost its standing.
    Standing,
    /// It is suspended.
    Suspended,
    /// It asked to leave.
    Asked,
}

/// A validator that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub key: [u8; 32],
    /// Its sector.
    pub sector: String,
    /// Its region.
    pub region: String,
}

/// The set that follows, ascending by key. Incumbents and candidates are in the order of their registration.
pub fn select(
    incumbents: &[Incumbent],
    candidates: &[Candidate],
    parameters: &ValidatorParameters,
) -> Vec<[u8; 32]> {
    let caps = Caps::of(parameters);
    let leavers = leavers(incumbents, &caps);
    let floor = caps.size_min.min(incumbents.len());
    // The last one never leaves: somebody has to hand the chain on.
    let most = leavers.len().min(faults(incumbents.len()).max(1)).min(incumbents.len().saturating_sub(1));
    for count in (0..=most).rev() {
        let gone: Vec<[u8; 32]> = leavers.iter().take(count).copied().collect();
        let kept: Vec<&Incumbent> =
            incumbents.iter().filter(|incumbent| !gone.contains(&incumbent.key)).collect();
        let mut next = fill(&kept, candidates, &caps);
        if next.len() >= floor {
            next.sort_unstable();
            return next;
        }
    }
    // Not reached: with nobody leaving, the set is as large as it was.
    let mut same: Vec<[u8; 32]> = incumbents.iter().map(|incumbent| incumbent.key).collect();
    same.sort_unstable();
    same
}

struct Caps {
    size_min: usize,
    size_max: usize,
    per_sector: usize,
    per_region: usize,
}

impl Caps {
    fn of(parameters: &ValidatorParameters) -> Self {
        let size = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            size_min: size(parameters.size_min),
            size_max: size(parameters.size_max),
            per_sector: size(parameters.per_sector_max),
            per_region: size(parameters.per_region_max),
        }
    }

    /// Whether one more of this sector and region fits to those that are there.
    fn admit<'place>(
        &self,
        present: impl Iterator<Item = (&'place str, &'place str)>,
        sector: &str,
        region: &str,
    ) -> bool {
        let (mut of_sector, mut of_region) = (0usize, 0usize);
        for (other_sector, other_region) in present {
            of_sector += usize::from(other_sector == sector);
            of_region += usize::from(other_region == region);
        }
        of_sector < self.per_sector && of_region < self.per_region
    }
}

/// The keys of those that have to leave, in the order in which they do.
fn leavers(incumbents: &[Incumbent], caps: &Caps) -> Vec<[u8; 32]> {
    let mut first: Vec<(Leaving, [u8; 32])> = incumbents
        .iter()
        .filter_map(|incumbent| incumbent.leaving.map(|leaving| (leaving, incumbent.key)))
        .collect();
    first.sort_unstable();
    // Seniors keep their place: the sort is stable, so within an epoch registration decides.
    let mut seniority: Vec<&Incumbent> =
        incumbents.iter().filter(|incumbent| incumbent.leaving.is_none()).collect();
    seniority.sort_by_key(|incumbent| incumbent.since);
    let mut staying: Vec<&Incumbent> = Vec::with_capacity(seniority.len());
    let mut above = Vec::new();
    for incumbent in seniority {
        let present = staying.iter().map(|other| (other.sector.as_str(), other.region.as_str()));
        if staying.len() < caps.size_max && caps.admit(present, &incumbent.sector, &incumbent.region) {
            staying.push(incumbent);
        } else {
            above.push(incumbent.key);
        }
    }
    above.reverse();
    first.into_iter().map(|(_, key)| key).chain(above).collect()
}

/// Those who stay and those who join them.
fn fill(kept: &[&Incumbent], candidates: &[Candidate], caps: &Caps) -> Vec<[u8; 32]> {
    let mut places: Vec<(&str, &str)> =
        kept.iter().map(|incumbent| (incumbent.sector.as_str(), incumbent.region.as_str())).collect();
    let mut next: Vec<[u8; 32]> = kept.iter().map(|incumbent| incumbent.key).collect();
    for candidate in candidates {
        if next.len() >= caps.size_max || !may_grow(kept.len(), next.len().saturating_add(1)) {
            break;
        }
        if caps.admit(places.iter().copied(), &candidate.sector, &candidate.region) {
            places.push((&candidate.sector, &candidate.region));
            next.push(candidate.key);
        }
    }
    next
}

/// Whether `kept` validators may become `size` at once: the newcomers are no more than the faults that the new set
/// tolerates, or one in a set that tolerates none.
const fn may_grow(kept: usize, size: usize) -> bool {
    let joining = size.saturating_sub(kept);
    joining <= faults(size) || (size < 4 && joining <= 1)
}
