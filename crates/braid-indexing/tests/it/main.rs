//! The pipeline over in-memory doubles: what it promises, and that it keeps it through crashes.

mod crash;
mod failures;
mod ingest;
mod model;
mod rebuild;
mod verify;
mod world;
