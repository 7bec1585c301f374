//! braid-readers.
