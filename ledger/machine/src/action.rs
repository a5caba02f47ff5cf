//! The actions, one module per family: each function decides one action and says what it would change.

pub(crate) mod accreditation;
pub(crate) mod credential;
pub(crate) mod did;
pub(crate) mod directory;
pub(crate) mod governance;
pub(crate) mod node;
pub(crate) mod registry;
pub(crate) mod schema;
pub(crate) mod supervision;
