//! braid-text.
