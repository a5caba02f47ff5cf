//! The Merkle list of RFC 6962 §2.1 (RFC 9162 §2.1): one root over an ordered list, with inclusion proofs.
//!
//! Leaf = SHA-256(0x00 || leaf bytes), node = SHA-256(0x01 || left || right); a list of n > 1 leaves splits at the
//! largest power of two below n; the empty list's root is SHA-256 of nothing. A proof lists siblings from the leaf up
//! to the root.

use sha2::{Digest, Sha256};

use crate::{Hash, sha256};

/// Hash of one leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash::new(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// Hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::new(Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into())
}

/// Root over the leaves in order.
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> Hash {
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    root_of_hashes(&hashes)
}

/// Siblings from the leaf at `index` up to the root; `None` if there is no such leaf.
pub fn inclusion_proof<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    let mut siblings = Vec::new();
    let (mut part, mut index) = (hashes.as_slice(), index);
    while part.len() > 1 {
        let (left, right) = part.split_at_checked(split(part.len()))?;
        if index < left.len() {
            siblings.push(root_of_hashes(right));
            part = left;
        } else {
            siblings.push(root_of_hashes(left));
            index -= left.len();
            part = right;
        }
    }
    // The walk goes from the root down; a proof is read from the leaf up.
    siblings.reverse();
    Some(siblings)
}

/// True if `leaf` is number `index` of the `count` leaves under `root`. A proof with a sibling too many or too few is
/// false.
pub fn verify_inclusion(root: &Hash, leaf: &[u8], index: u64, count: u64, siblings: &[Hash]) -> bool {
    if index >= count {
        return false;
    }
    // RFC 9162 §2.1.3.2.
    let (mut node, mut last) = (index, count - 1);
    let mut current = leaf_hash(leaf);
    for sibling in siblings {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            current = node_hash(sibling, &current);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            current = node_hash(&current, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && current == *root
}

fn root_of_hashes(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => sha256(b""),
        [only] => *only,
        _ => {
            // A split of n > 1 is in 1..n, so both halves exist and are shorter.
            let (left, right) = hashes.split_at_checked(split(hashes.len())).unwrap_or((hashes, &[]));
            node_hash(&root_of_hashes(left), &root_of_hashes(right))
        }
    }
}

/// The largest power of two below `count`, for `count` > 1.
fn split(count: usize) -> usize {
    count.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves and roots of the test tree that certificate-transparency implementations share.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_the_certificate_transparency_test_tree() {
        let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| hex::decode(leaf).unwrap()).collect();
        assert_eq!(root::<Vec<u8>>(&[]), sha256(b""));
        for (count, expected) in (1..).zip(ROOTS) {
            assert_eq!(root(&leaves[..count]).to_hex(), expected, "{count} leaves");
        }
    }

    #[test]
    fn split_is_the_largest_power_of_two_below() {
        let pairs = [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (9, 8), (1024, 512), (1025, 1024)];
        for (count, expected) in pairs {
            assert_eq!(split(count), expected);
        }
    }

    #[test]
    fn every_leaf_is_proved_and_nothing_else_is() {
        for count in 1..40usize {
            let leaves: Vec<[u8; 8]> = (0..count as u64).map(u64::to_be_bytes).collect();
            let root = root(&leaves);
            for index in 0..count {
                let proof = inclusion_proof(&leaves, index).unwrap();
                let verify = |leaf: usize, at: usize, of: usize, proof: &[Hash]| {
                    verify_inclusion(&root, &leaves[leaf], at as u64, of as u64, proof)
                };
                assert!(verify(index, index, count, &proof));
                for other in (0..count).filter(|other| *other != index) {
                    assert!(!verify(other, index, count, &proof));
                    assert!(!verify(index, other, count, &proof));
                }
                assert!(!verify(index, index, 0, &proof));
                let longer = [proof.as_slice(), &[Hash::ZERO]].concat();
                assert!(!verify(index, index, count, &longer));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify(index, index, count, shorter));
                }
            }
            assert_eq!(inclusion_proof(&leaves, count), None);
        }
    }

    #[test]
    fn extreme_counts_do_not_overflow() {
        assert!(!verify_inclusion(&Hash::ZERO, b"", u64::MAX - 1, u64::MAX, &[Hash::ZERO; 64]));
        assert!(!verify_inclusion(&Hash::ZERO, b"", u64::MAX, u64::MAX, &[]));
        assert!(!verify_inclusion(&Hash::ZERO, b"", 0, 0, &[]));
    }
}
