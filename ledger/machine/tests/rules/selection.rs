//! Selection as a pure function: bounds, caps, stability and determinism, on random networks.

use aval_machine::membership::faults;
use aval_machine::membership::selection::{Candidate, Cause, Incumbent, Leaving, select};
use aval_types::parameters::ValidatorParameters;
use proptest::prelude::*;

fn key(number: usize) -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = u8::try_from(number * 37 % 251).unwrap();
    key[1] = u8::try_from(number).unwrap();
    key
}

fn label(kind: &str, number: u8) -> String {
    format!("{kind}-{number}")
}

fn leaving() -> impl Strategy<Value = Option<Leaving>> {
    let cause = prop_oneof![Just(Cause::Standing), Just(Cause::Suspended), Just(Cause::Asked)];
    proptest::option::weighted(0.3, (cause, 0u64..50).prop_map(|(cause, since)| Leaving { cause, since }))
}

prop_compose! {
    fn network()(
        seats in proptest::collection::vec((0u8..4, 0u8..4, 0u64..5, leaving()), 1..24),
        waiting in proptest::collection::vec((0u8..4, 0u8..4), 0..12),
        size_min in 1u32..8,
        room in 0u32..20,
        per_sector_max in 1u32..12,
        per_region_max in 1u32..12,
    ) -> (Vec<Incumbent>, Vec<Candidate>, ValidatorParameters) {
        let count = seats.len();
        let incumbents = seats
            .into_iter()
            .enumerate()
            .map(|(number, (sector, region, since, leaving))| Incumbent {
                key: key(number),
                sector: label("sector", sector),
                region: label("region", region),
                since,
                leaving,
            })
            .collect();
        let candidates = waiting
            .into_iter()
            .enumerate()
            .map(|(number, (sector, region))| Candidate {
                key: key(count + number),
                sector: label("sector", sector),
                region: label("region", region),
            })
            .collect();
        let parameters = ValidatorParameters {
            size_min,
            size_max: size_min + room,
            per_sector_max,
            per_region_max,
            ..ValidatorParameters::default()
        };
        (incumbents, candidates, parameters)
    }
}

/// Of each member of the set: sector and region.
fn places<'a>(
    set: &[[u8; 32]],
    incumbents: &'a [Incumbent],
    candidates: &'a [Candidate],
) -> Vec<(&'a str, &'a str)> {
    set.iter()
        .map(|key| {
            let incumbent = incumbents.iter().find(|other| other.key == *key);
            let incumbent = incumbent.map(|other| (other.sector.as_str(), other.region.as_str()));
            let candidate = candidates.iter().find(|other| other.key == *key);
            incumbent.or(candidate.map(|other| (other.sector.as_str(), other.region.as_str()))).unwrap()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_bound_holds((incumbents, candidates, parameters) in network()) {
        let next = select(&incumbents, &candidates, &parameters);
        let before: Vec<[u8; 32]> = incumbents.iter().map(|incumbent| incumbent.key).collect();
        let left = before.iter().filter(|key| !next.contains(key)).count();
        let joined: Vec<[u8; 32]> = next.iter().filter(|key| !before.contains(key)).copied().collect();
        let (size_min, size_max) = (parameters.size_min as usize, parameters.size_max as usize);
        prop_assert!(next.is_sorted_by(|left, right| left < right), "ascending, nobody twice");
        prop_assert!(left <= faults(before.len()).max(1), "at most f leave");
        prop_assert!(next.len() >= size_min.min(before.len()), "never below the smallest size");
        prop_assert!(joined.is_empty() || next.len() <= size_max, "nobody joins above the largest size");
        let kept = next.len() - joined.len();
        prop_assert!(kept >= 1);
        let can_go_on = kept >= next.len() - faults(next.len()) || (next.len() < 4 && joined.len() <= 1);
        prop_assert!(can_go_on, "those who stay are a quorum");
        // Whoever joins finds its sector and region below the caps, itself counted.
        let places = places(&next, &incumbents, &candidates);
        for key in &joined {
            let own = candidates.iter().find(|candidate| candidate.key == *key).unwrap();
            let of_sector = places.iter().filter(|place| place.0 == own.sector).count();
            let of_region = places.iter().filter(|place| place.1 == own.region).count();
            prop_assert!(of_sector <= parameters.per_sector_max as usize);
            prop_assert!(of_region <= parameters.per_region_max as usize);
        }
    }

    #[test]
    fn equal_input_gives_equal_output_whatever_the_order_of_keys((incumbents, candidates, parameters) in network()) {
        let next = select(&incumbents, &candidates, &parameters);
        prop_assert_eq!(&next, &select(&incumbents, &candidates, &parameters));
        // Renaming keys renames the outcome and changes nothing else: no key is luckier than another, but among those
        // that lost their standing in the same block.
        let ties = incumbents.iter().filter_map(|one| one.leaving).collect::<Vec<_>>();
        let mut unique = ties.clone();
        unique.sort_unstable();
        unique.dedup();
        prop_assume!(unique.len() == ties.len());
        let rename = |key: &[u8; 32]| { let mut other = *key; other[0] ^= 0xff; other };
        let renamed_incumbents: Vec<Incumbent> =
            incumbents.iter().map(|one| Incumbent { key: rename(&one.key), ..one.clone() }).collect();
        let renamed_candidates: Vec<Candidate> =
            candidates.iter().map(|one| Candidate { key: rename(&one.key), ..one.clone() }).collect();
        let mut expected: Vec<[u8; 32]> = next.iter().map(rename).collect();
        expected.sort_unstable();
        prop_assert_eq!(select(&renamed_incumbents, &renamed_candidates, &parameters), expected);
    }

    #[test]
    fn without_a_reason_nobody_leaves((incumbents, candidates, mut parameters) in network()) {
        parameters.per_sector_max = 256;
        parameters.per_region_max = 256;
        parameters.size_max = 256;
        let incumbents: Vec<Incumbent> =
            incumbents.into_iter().map(|one| Incumbent { leaving: None, ..one }).collect();
        let next = select(&incumbents, &candidates, &parameters);
        prop_assert!(incumbents.iter().all(|one| next.contains(&one.key)));
        // And with nobody waiting, selecting again changes nothing.
        prop_assert_eq!(select(&incumbents, &[], &parameters).len(), incumbents.len());
    }

    #[test]
    fn in_time_the_caps_hold_or_the_smallest_size_is_reached((incumbents, candidates, parameters) in network()) {
        // Epoch after epoch, with nobody losing anything more.
        let place = |key: &[u8; 32]| places(&[*key], &incumbents, &candidates)[0];
        let mut seats = incumbents.clone();
        let mut settled = Vec::new();
        for epoch in 10u64..80 {
            let waiting: Vec<Candidate> = candidates
                .iter()
                .filter(|one| !seats.iter().any(|seat| seat.key == one.key))
                .cloned()
                .collect();
            let next = select(&seats, &waiting, &parameters);
            let seat = |key: &[u8; 32]| {
                let old = seats.iter().find(|seat| seat.key == *key).cloned();
                old.unwrap_or_else(|| Incumbent {
                    key: *key,
                    sector: place(key).0.to_owned(),
                    region: place(key).1.to_owned(),
                    since: epoch,
                    leaving: None,
                })
            };
            let following: Vec<Incumbent> = next.iter().map(seat).collect();
            seats = following;
            settled = next;
        }
        let size_min = parameters.size_min as usize;
        let places = places(&settled, &incumbents, &candidates);
        let over_cap = |place: &(&str, &str)| {
            places.iter().filter(|other| other.0 == place.0).count() > parameters.per_sector_max as usize
                || places.iter().filter(|other| other.1 == place.1).count() > parameters.per_region_max as usize
        };
        let has_to_leave = seats.iter().any(|seat| seat.leaving.is_some())
            || places.iter().any(over_cap)
            || settled.len() > parameters.size_max as usize;
        prop_assert!(!has_to_leave || settled.len() <= size_min.max(1), "{} stay", settled.len());
    }
}
