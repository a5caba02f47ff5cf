//! The parameters of a network: what every node must agree on, and what governance may change (specs/wire.md,
//! "Parameters").
//!
//! A group that is left out has its defaults, which are here and are part of the protocol; a group that has
//! its defaults is left out, in the genesis file and in the state. A change names only what changes; the
//! result is checked as a whole, so no change can bring about parameters that a genesis file could not have
//! had.

use std::collections::BTreeMap;

use aval_codec::json::strictly_some;
use serde::{Deserialize, Serialize};

use crate::{grant::is_name, limits};

/// The version of the protocol that this program's genesis files start with.
pub const PROTOCOL_VERSION_FIRST: u32 = 1;

/// Credential types that may have a limit of their own.
const QUOTA_TYPES_MAX: usize = 64;
/// One day.
const DAY_MS: u64 = 86_400_000;

fn in_range(name: &str, value: u64, low: u64, high: u64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!("parameter {name} is {value}, allowed is {low} to {high}"))
    }
}

/// Declares a group of numbers: the struct, its defaults, the struct of a change, and the check of its ranges.
macro_rules! numbers {
    ($(#[$about:meta])* $group:ident, $change:ident {
        $($(#[$doc:meta])* $field:ident ($name:literal): $type:ty = $default:expr, $low:expr, $high:expr;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $group { $($(#[$doc])* pub $field: $type,)* }

        impl Default for $group {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $group {
            fn validate(&self) -> Result<(), String> {
                $(in_range($name, u64::from(self.$field), $low, $high)?;)*
                Ok(())
            }
        }

        #[doc = concat!("A change of [`", stringify!($group), "`].")]
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $change { $(
            $(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
            pub $field: Option<$type>,
        )* }

        impl $change {
            fn apply(&self, group: &mut $group) {
                $(if let Some(value) = self.$field { group.$field = value; })*
            }
        }
    };
}

numbers! {
    /// How governors decide.
    GovernanceParameters, GovernanceChange {
        /// How long votes are taken after a proposal, milliseconds.
        voting_period_ms ("governance.votingPeriodMs"): u64 = 7 * DAY_MS, 1_000, 366 * DAY_MS;
        /// Blocks between a proposal and its execution at least.
        notice_blocks ("governance.noticeBlocks"): u64 = 10, 1, 10_000_000;
    }
}

numbers! {
    /// Who may be a validator, and how long a set stays. The length of an epoch is fixed at genesis.
    ValidatorParameters, ValidatorChange {
        /// Validators below which the set never shrinks.
        size_min ("validators.sizeMin"): u32 = 4, 1, limits::VALIDATORS_MAX as u64;
        /// Validators at most.
        size_max ("validators.sizeMax"): u32 = 64, 1, limits::VALIDATORS_MAX as u64;
        /// Validators of one sector at most.
        per_sector_max ("validators.perSectorMax"): u32 = 256, 1, limits::VALIDATORS_MAX as u64;
        /// Validators of one region at most.
        per_region_max ("validators.perRegionMax"): u32 = 256, 1, limits::VALIDATORS_MAX as u64;
        /// Part of the blocks of an epoch that a validator has to take part in, percent.
        service_level_percent ("validators.serviceLevelPercent"): u32 = 50, 0, 100;
        /// How long a validator below the service level is suspended, milliseconds.
        suspension_ms ("validators.suspensionMs"): u64 = 3_600_000, 1_000, 366 * DAY_MS;
        /// Blocks of an epoch.
        epoch_blocks ("validators.epochBlocks"): u64 = 300, 2, 1_000_000;
    }
}

/// How much one grant may be used in a sliding window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct QuotaParameters {
    /// Length of the window, milliseconds.
    pub window_ms: u64,
    /// Transactions of one grant in a window.
    pub per_grant: u32,
    /// The same for grants of certain credential types.
    pub by_type: BTreeMap<String, u32>,
}

impl Default for QuotaParameters {
    fn default() -> Self {
        Self { window_ms: 3_600_000, per_grant: 100_000, by_type: BTreeMap::new() }
    }
}

impl QuotaParameters {
    /// Transactions that a grant of this type may make in a window.
    pub fn limit(&self, credential_type: &str) -> u32 {
        self.by_type.get(credential_type).copied().unwrap_or(self.per_grant)
    }

    fn validate(&self) -> Result<(), String> {
        in_range("quota.windowMs", self.window_ms, 1_000, 31 * DAY_MS)?;
        in_range("quota.perGrant", self.per_grant.into(), 1, 1_000_000_000)?;
        if self.by_type.len() > QUOTA_TYPES_MAX {
            return Err(format!("parameter quota.byType has more than {QUOTA_TYPES_MAX} types"));
        }
        for (name, limit) in &self.by_type {
            if !is_name(name) {
                return Err("parameter quota.byType names something that is not a type".to_owned());
            }
            in_range("quota.byType", (*limit).into(), 1, 1_000_000_000)?;
        }
        Ok(())
    }
}

/// A change of [`QuotaParameters`]; `byType` is replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuotaChange {
    /// See [`QuotaParameters::window_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub window_ms: Option<u64>,
    /// See [`QuotaParameters::per_grant`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub per_grant: Option<u32>,
    /// See [`QuotaParameters::by_type`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub by_type: Option<BTreeMap<String, u32>>,
}

impl QuotaChange {
    fn apply(&self, group: &mut QuotaParameters) {
        group.window_ms = self.window_ms.unwrap_or(group.window_ms);
        group.per_grant = self.per_grant.unwrap_or(group.per_grant);
        if let Some(by_type) = &self.by_type {
            group.by_type = by_type.clone();
        }
    }
}

/// Parameters that every node must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// Bytes of a block.
    pub block_bytes_max: u32,
    /// Transactions of a block.
    pub block_transactions_max: u32,
    /// Time between blocks while there is nothing to do, milliseconds.
    pub heartbeat_ms: u64,
    /// How long presentations are kept, milliseconds.
    pub witness_retention_ms: u64,
    /// How long validators wait for a leader, milliseconds.
    pub leader_timeout_ms: u64,
    /// The version of the protocol in force.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub version: u32,
    /// How governors decide.
    #[serde(default, skip_serializing_if = "is_default")]
    pub governance: GovernanceParameters,
    /// Who may be a validator.
    #[serde(default, skip_serializing_if = "is_default")]
    pub validators: ValidatorParameters,
    /// How much a grant may be used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quota: QuotaParameters,
}

const fn first_version() -> u32 {
    PROTOCOL_VERSION_FIRST
}

fn is_first_version(version: &u32) -> bool {
    *version == PROTOCOL_VERSION_FIRST
}

fn is_default<T: Default + PartialEq>(group: &T) -> bool {
    *group == T::default()
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            block_bytes_max: 4 * 1024 * 1024,
            block_transactions_max: 4096,
            heartbeat_ms: 1_000,
            witness_retention_ms: DAY_MS,
            leader_timeout_ms: 2_000,
            version: PROTOCOL_VERSION_FIRST,
            governance: GovernanceParameters::default(),
            validators: ValidatorParameters::default(),
            quota: QuotaParameters::default(),
        }
    }
}

/// A change of [`Parameters`]: the members that change, and no others. The version changes by an upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParametersChange {
    /// See [`Parameters::block_bytes_max`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub block_bytes_max: Option<u32>,
    /// See [`Parameters::block_transactions_max`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub block_transactions_max: Option<u32>,
    /// See [`Parameters::heartbeat_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub heartbeat_ms: Option<u64>,
    /// See [`Parameters::witness_retention_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub witness_retention_ms: Option<u64>,
    /// See [`Parameters::leader_timeout_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub leader_timeout_ms: Option<u64>,
    /// See [`Parameters::governance`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub governance: Option<GovernanceChange>,
    /// See [`Parameters::validators`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub validators: Option<ValidatorChange>,
    /// See [`Parameters::quota`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strictly_some")]
    pub quota: Option<QuotaChange>,
}

impl ParametersChange {
    /// The parameters after the change, or in one sentence why there are none.
    pub fn apply(&self, before: &Parameters) -> Result<Parameters, String> {
        let mut after = before.clone();
        after.block_bytes_max = self.block_bytes_max.unwrap_or(before.block_bytes_max);
        after.block_transactions_max = self.block_transactions_max.unwrap_or(before.block_transactions_max);
        after.heartbeat_ms = self.heartbeat_ms.unwrap_or(before.heartbeat_ms);
        after.witness_retention_ms = self.witness_retention_ms.unwrap_or(before.witness_retention_ms);
        after.leader_timeout_ms = self.leader_timeout_ms.unwrap_or(before.leader_timeout_ms);
        if let Some(change) = &self.governance {
            change.apply(&mut after.governance);
        }
        if let Some(change) = &self.validators {
            change.apply(&mut after.validators);
        }
        if let Some(change) = &self.quota {
            change.apply(&mut after.quota);
        }
        if after.validators.epoch_blocks != before.validators.epoch_blocks {
            return Err("validators.epochBlocks is fixed at genesis".to_owned());
        }
        if after == *before {
            return Err("it changes nothing".to_owned());
        }
        after.validate()?;
        Ok(after)
    }
}

impl Parameters {
    /// Checks every range; says in one sentence what is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let block_bytes_max = limits::BLOCK_BYTES_MAX as u64;
        let transactions_max = limits::BLOCK_TRANSACTIONS_MAX as u64;
        // A block must have room for its header and one transaction of the largest kind.
        in_range("blockBytesMax", self.block_bytes_max.into(), 128 * 1024, block_bytes_max)?;
        in_range("blockTransactionsMax", self.block_transactions_max.into(), 1, transactions_max)?;
        in_range("heartbeatMs", self.heartbeat_ms, 100, 3_600_000)?;
        in_range("witnessRetentionMs", self.witness_retention_ms, 1_000, 10 * 366 * DAY_MS)?;
        in_range("leaderTimeoutMs", self.leader_timeout_ms, 100, 600_000)?;
        in_range("version", self.version.into(), 1, 1_000_000)?;
        self.governance.validate()?;
        self.validators.validate()?;
        if self.validators.size_min > self.validators.size_max {
            return Err("parameter validators.sizeMin is above validators.sizeMax".to_owned());
        }
        self.quota.validate()
    }
}
