//! What a retrieval leaves in the metrics.

use braid_core::ErrorCode;
use braid_testkit::{Call, Fault};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::setup::{Setup, block_on};

#[test]
fn stages_that_ran_are_timed_and_those_that_fell_short_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        block_on(async {
            let setup = Setup::new("d1: red fox").await;
            let fail = Fault::FailBefore(ErrorCode::Corrupt);
            setup
                .script_lexical(|index| index.on(Call::Search, 2, fail))
                .await;
            setup.retrieve(setup.request("fox")).await;
            setup.retrieve(setup.request("fox")).await;
        });
    });
    let rendered = recorder.handle().render();
    for line in [
        "braid_retrieve_stage_seconds_count{stage=\"dense\"} 2",
        "braid_retrieve_stage_seconds_count{stage=\"total\"} 2",
        "braid_retrieve_degraded_total{stage=\"lexical\"} 1",
    ] {
        assert!(rendered.contains(line), "{line} is not in:\n{rendered}");
    }
    assert!(!rendered.contains("stage=\"rerank\""), "{rendered}");
}
