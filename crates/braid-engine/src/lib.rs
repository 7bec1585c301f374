//! braid-engine.
