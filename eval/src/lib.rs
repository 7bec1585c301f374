//! braid-eval.
