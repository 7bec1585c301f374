//! The offline harness: topics, qrels and runs in, measured quality out.
//!
//! `braid eval run` ranks every topic of a BEIR folder through the same in-process pipeline that
//! serves requests and reports nDCG, recall, MRR and MAP per stage with bootstrap intervals and
//! latencies; `braid eval compare` compares two run files pairwise. Metrics follow trec_eval. This
//! crate never ranks anything itself. Start at [`harness`] and [`metrics`].

pub mod bootstrap;
pub mod calibration;
pub mod cli;
pub mod compare;
pub mod dataset;
pub mod harness;
pub mod metrics;
pub mod report;
pub mod trec;
