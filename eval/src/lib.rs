//! The offline harness: topics, qrels and runs in, measured quality out.
//!
//! `braid eval run` ranks every topic of a BEIR folder through the same in-process pipeline that serves
//! requests and measures each stage ([`harness`], [`served`], [`report`], [`html`]). [`compare`], [`convert`] and
//! [`gate`] work on run files and reports. [`losses`] follows every relevant document to the stage that
//! lost it. [`study`] replays many settings ([`trials`]) over each query's legs, searched once; [`outcome`]
//! and [`tune`] say what came of it. [`paraphrases`] measures the cache of stored answers; [`capacity`] plans nodes from measured sizes. Metrics follow trec_eval. This crate never ranks anything itself: what
//! it measures comes from `braid-query`. Start at [`harness`] and [`metrics`].

pub mod bootstrap;
pub mod calibration;
pub mod capacity;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod dataset;
pub mod gate;
pub mod harness;
pub mod html;
pub mod losses;
pub mod memo;
pub mod metrics;
pub mod outcome;
pub mod paraphrases;
pub mod report;
pub mod served;
pub mod study;
pub mod table;
pub mod trec;
pub mod trials;
pub mod tune;
