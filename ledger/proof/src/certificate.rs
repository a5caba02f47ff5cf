//! The finality certificate (specs/wire.md, "Certificate"). It is defined with the blocks that carry it.

pub use aval_types::certificate::{Certificate, finalize_namespace, signed_bytes};

use aval_types::certificate::CertificateError;

use crate::error::ProofError;

impl From<CertificateError> for ProofError {
    fn from(CertificateError(reason): CertificateError) -> Self {
        Self::Certificate(reason)
    }
}
