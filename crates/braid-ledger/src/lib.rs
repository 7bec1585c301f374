//! braid-ledger.
