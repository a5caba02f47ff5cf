//! The first state, from the genesis file (specs/wire.md, section 2).

use aval_did::{Create, PublicKey, rules};
use aval_types::governance::PolicyRecord;
use aval_types::{Genesis, GenesisError, NodeKind, NodeRecord, ValidatorEntry};

use crate::effect::Effect;
use crate::policy::{self, Policy};
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
    let text = genesis.policy.as_deref().unwrap_or(policy::DEFAULT_POLICY);
    let parsed = Policy::parse(text).map_err(|error| GenesisError::Invalid(format!("policy: {error}")))?;
    policy::self_lock(&parsed).map_err(|reason| GenesisError::Invalid(format!("policy: {reason}")))?;
    let record = PolicyRecord { hash: parsed.hash(), height: 0 };
    effect.put(state_key::POLICY.to_owned(), &record).map_err(|error| invalid(&error))?;
    effect.put_bytes(state_key::policy_text(&record.hash), text.as_bytes().to_vec());
    Ok(effect.seal().map_err(|error| invalid(&error))?.changes)
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
