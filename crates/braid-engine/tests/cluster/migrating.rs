//! Copying from a data directory.
