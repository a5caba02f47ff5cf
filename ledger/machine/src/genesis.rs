//! The first state, from the genesis file (specs/wire.md, section 2).

use aval_did::{Create, PublicKey, rules};
use aval_types::{Genesis, GenesisError, NodeKind, NodeRecord, ValidatorEntry};

use crate::effect::Effect;
use crate::state::{Changes, StateError};
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
    for accreditation in &genesis.accreditations {
        effect.put_accreditation(&accreditation.record()).map_err(|error| invalid(&error))?;
    }
    put_nodes(genesis, &mut effect).map_err(|error| invalid(&error))?;
    effect.put(state_key::GOVERNORS.to_owned(), &genesis.governors).map_err(|error| invalid(&error))?;
    effect.put(state_key::PARAMETERS.to_owned(), &genesis.parameters).map_err(|error| invalid(&error))?;
    Ok(effect.changes)
}

/// The validators of genesis are the first nodes and the first set. They stand on this file until their operators hold
/// grants: no status registry exists yet that a credential could name.
fn put_nodes(genesis: &Genesis, effect: &mut Effect) -> Result<(), StateError> {
    for validator in &genesis.validators {
        effect.put_node(&NodeRecord {
            key: validator.key,
            kind: NodeKind::Validator,
            name: validator.name.clone(),
            operator: validator.operator.clone(),
            addresses: vec![validator.address],
            sector: validator.sector.clone(),
            region: validator.region.clone(),
            registered: 0,
            founding: true,
            leaving: false,
            suspended: None,
        })?;
    }
    effect.put_nodes(&genesis.validators.iter().map(|validator| validator.key).collect::<Vec<_>>())?;
    let entry = |key: [u8; 32]| ValidatorEntry { key: PublicKey::Ed25519(key), since: 0, leaving: None };
    effect.put_validators(&genesis.validator_keys().into_iter().map(entry).collect::<Vec<_>>())
}
