//! The validator sets of all times, and the changes between them: what a trust chain is made of (D14).

use aval_machine::{membership, state_key};
use aval_proof::{TRUST_CHAIN_LINKS_MAX, TrustChain, TrustLink, ValidatorSet};
use aval_types::NetworkId;

use super::{Ledger, keys};
use crate::error::StoreError;
use crate::storage::Column;

impl Ledger {
    /// The keys of the validators that certify the block after the one at `height`, ascending. Kept for all heights.
    pub fn validators_after(&self, height: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        let value = self.state_at(state_key::VALIDATORS.as_bytes(), height)?;
        let value = value.ok_or_else(|| StoreError::corrupt("the state has no validators"))?;
        membership::read_validators(&value).map_err(|error| StoreError::corrupt(error.to_string()))
    }

    /// The heights above `above` at which the set of validators changed, ascending.
    ///
    /// Headers name the newest change at or below them, so this costs two reads for each change.
    pub fn set_changes(&self, above: u64) -> Result<Vec<u64>, StoreError> {
        let mut changes = Vec::new();
        let mut height = self.require_head()?.height();
        let base = self.base();
        loop {
            if height < base {
                // The headers between are not here; the changes are noted.
                let (from, to) = (keys::set_change(above.saturating_add(1)), keys::set_change(height + 1));
                for (key, _) in self.storage().scan(Column::Index, &from, &to, usize::MAX)?.iter().rev() {
                    changes.push(keys::chain_height(key)?);
                }
                break;
            }
            let change = self.header(height)?.last_set_change;
            if change == 0 || change <= above {
                break;
            }
            changes.push(change);
            height = change - 1;
        }
        changes.reverse();
        Ok(changes)
    }

    /// The way from the set that was in force after `above` to the present one, as far as one answer carries it.
    pub fn trust_chain(&self, network: &NetworkId, above: u64) -> Result<TrustChain, StoreError> {
        let changes = self.set_changes(above)?;
        let mut links = Vec::new();
        for height in changes.iter().take(TRUST_CHAIN_LINKS_MAX) {
            // The last block of an epoch has no descendant in it, so it is certified itself. Where the certificate is
            // still on its way, the chain ends before this change.
            let Some(certificate) = self.certificate(*height)? else { break };
            links.push(TrustLink {
                header: self.header(*height)?,
                certificate,
                next: ValidatorSet::new(self.validators_after(*height)?),
            });
        }
        let more = links.len() == TRUST_CHAIN_LINKS_MAX && links.len() < changes.len();
        Ok(TrustChain { network: network.clone(), links, more })
    }
}
