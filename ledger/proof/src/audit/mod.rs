//! Bundles of an audit: any range of the ledger in one file that is checked offline (specs/audit.md).
//!
//! A bundle is text, one JSON object a line, in segments of what a node hands out at a time:
//!
//! ```text
//! {"type":"begin",…}     network, genesis file, range
//! {"type":"set",…}       changes of the validator set up to the range, each certified by the set before it
//! {"type":"block",…}     one per height, ascending: the stripped block, its receipts, its certificate if it has its
//! own {"type":"header",…}    headers above the range, up to one with a certificate
//! {"type":"end",…}       last height, number of lines, hash over all lines of the segment
//! ```
//!
//! The next segment begins at the height after the last one. [`AuditWriter`] writes segments, [`AuditVerifier`] reads
//! bundles; both go line by line, so neither holds more than a block.

mod bundle;
mod report;
mod verify;

pub use bundle::{AUDIT_LINE_BYTES_MAX, AuditWriter};
pub use report::{AuditReport, UNSHOWN};
pub use verify::{AuditError, AuditVerifier};
