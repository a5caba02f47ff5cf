//! Bounds on everything that comes from outside (specs/wire.md, "Limits"). They are consensus rules: raising one is a
//! change of protocol, because a node that still has the old bound would refuse the blocks of the others.

/// Bytes of a transaction's payload, as signed.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one protected header, as signed.
pub const HEADER_BYTES_MAX: usize = 512;
/// Bytes of the presentation that travels beside a transaction.
pub const WITNESS_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a whole transaction: its canonical binary envelope, and its JWS form in a submission.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the body of `POST /v1/transactions`: a transaction, a presentation and the JSON around them.
pub const SUBMISSION_BYTES_MAX: usize = TRANSACTION_BYTES_MAX + WITNESS_BYTES_MAX + 1024;
/// Signers of one transaction: a sender or sixteen controllers, and an endorser, with one to spare.
pub const SIGNERS_MAX: usize = 18;
/// Seconds between `nbf` and `exp`. Replay protection remembers the ids of blocks for as long.
pub const VALIDITY_SECONDS_MAX: i64 = 600;
/// Nesting of the JSON of a payload, a header or a submission.
pub const JSON_DEPTH_MAX: usize = 32;

/// Bytes of `genesis.json`.
pub const GENESIS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Validators of a network.
pub const VALIDATORS_MAX: usize = 256;
/// Nodes of a network, validators and observers.
pub const NODES_MAX: usize = 512;
/// Nodes of one operator.
pub const OPERATOR_NODES_MAX: usize = 16;
/// Addresses of one node.
pub const NODE_ADDRESSES_MAX: usize = 4;

/// Bytes of a block whatever the network's own parameter says: the length a decoder may ever be made to allocate.
pub const BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Transactions of a block whatever the network's own parameter says.
pub const BLOCK_TRANSACTIONS_MAX: usize = 65_536;

/// Characters of the URI of a status list.
pub const URI_LENGTH_MAX: usize = 256;
/// Characters of a credential type and of a role.
pub const NAME_LENGTH_MAX: usize = 64;
/// Roles of one grant, and of one type of an accreditation.
pub const ROLES_MAX: usize = 8;
/// Status lists of one registry.
pub const REGISTRY_LISTS_MAX: usize = 4;
/// Entries of one status list.
pub const REGISTRY_SIZE_MAX: u32 = 1 << 24;
/// Entries of one status list come in multiples of this.
pub const REGISTRY_SIZE_STEP: u32 = 1024;
/// Entries that one `registry.update` changes.
pub const REGISTRY_CHANGES_MAX: usize = 256;

/// Credential types of one accreditation.
pub const ACCREDITED_TYPES_MAX: usize = 32;
/// Schemas in force of one publisher for one credential type.
pub const SCHEMAS_IN_FORCE_MAX: usize = 8;
