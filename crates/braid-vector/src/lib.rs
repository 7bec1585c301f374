//! braid-vector.
