//! braid-config.
