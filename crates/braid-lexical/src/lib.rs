//! braid-lexical.
