//! braid-runtime.
