//! braid-ingest.
