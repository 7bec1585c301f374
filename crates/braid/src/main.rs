//! The `braid` binary: the command line over the engine, the server, batch ingest and evaluation.

fn main() {}
