//! The resolver and registrar: DIDs for those who have no ledger client of their own.
