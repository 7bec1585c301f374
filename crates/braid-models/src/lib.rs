//! braid-models.
