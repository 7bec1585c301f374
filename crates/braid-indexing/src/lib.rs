//! braid-indexing.
