//! The registrar's endorser: a member of the network whose grant has the role `endorser`, by its key file.

use crate::keys::IssuerKeys;
use aval_did::key::Signer as _;
use aval_resolver::registrar::Endorser;
use aval_types::transaction::KeyId;

/// Signs with the key of a key file.
#[derive(Debug)]
pub struct FileEndorser(pub IssuerKeys);

impl Endorser for FileEndorser {
    fn key_id(&self) -> KeyId {
        KeyId::new(self.0.did().clone(), self.0.active().public())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], String> {
        self.0.active().try_sign(message).map_err(|error| error.to_string())
    }
}
