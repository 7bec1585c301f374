//! braid-testkit.
