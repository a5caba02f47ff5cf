//! The first state, from the genesis file (specs/wire.md, section 2).

use aval_did::{Create, rules};
use aval_types::{Genesis, GenesisError};

use crate::effect::Effect;
use crate::state::Changes;
use crate::state_key;

/// The changes that make the first state out of nothing. The genesis must be one that [`Genesis::parse`] accepts;
/// what the rules of DIDs would refuse is an error here as well.
pub fn genesis_changes(genesis: &Genesis) -> Result<Changes, GenesisError> {
    let mut effect = Effect::default();
    let invalid = |error: &dyn std::fmt::Display| GenesisError::Invalid(error.to_string());
    for entry in &genesis.dids {
        let create = Create {
            did: entry.did.clone(),
            control: entry.control.clone(),
            document: entry.document.clone(),
        };
        let record = rules::genesis_record(&genesis.network, &create, genesis.time)
            .map_err(|error| GenesisError::Invalid(format!("{}: {error}", entry.did)))?;
        effect.put_did(&record).map_err(|error| invalid(&error))?;
    }
    for issuer in &genesis.issuers {
        effect.put_issuer(issuer).map_err(|error| invalid(&error))?;
    }
    effect.put(state_key::VALIDATORS.to_owned(), &genesis.validators).map_err(|error| invalid(&error))?;
    effect.put(state_key::GOVERNORS.to_owned(), &genesis.governors).map_err(|error| invalid(&error))?;
    effect.put(state_key::PARAMETERS.to_owned(), &genesis.parameters).map_err(|error| invalid(&error))?;
    Ok(effect.changes)
}
