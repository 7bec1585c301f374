//! `braid plan`: what so many chunks and queries need. It opens nothing.

use braid_core::{Error, Result};
use braid_eval::capacity::{self, Nodes, Part, Plan};

use crate::args::PlanArgs;
use crate::output::{self, Exit};

pub(crate) fn run(args: &PlanArgs) -> Result<Exit> {
    let wanted = args.wanted().map_err(Error::invalid)?;
    let plan = capacity::plan(&capacity::measured(), &wanted);
    if args.json {
        output::json(&plan)?;
        return Ok(Exit::Done);
    }
    print_nodes("Braid", &plan.braid);
    if let Some(qdrant) = &plan.qdrant {
        print_nodes("Qdrant", qdrant);
    }
    output::line(format!("ingestion, hours: {}", said(plan.ingest_hours)));
    print_drivers(&plan);
    print_list("problem", &plan.problems);
    print_list("not measured, and not in the numbers", &plan.not_measured);
    print_list("assumed", &plan.assumptions);
    print_error(&plan);
    Ok(Exit::Done)
}

fn print_nodes(name: &str, nodes: &Nodes) {
    let count = nodes
        .nodes
        .map_or_else(|| "not measured".to_owned(), |nodes| nodes.to_string());
    output::line(format!("{name}, nodes: {count}"));
    print_sum("memory of each, GiB", nodes.memory_gib, &nodes.memory);
    print_sum("disk of each, GiB", nodes.disk_gib, &nodes.disk);
    print_sum("CPU of a query, ms", nodes.query_cpu_ms, &nodes.query_cpu);
}

fn print_sum(name: &str, sum: Option<f64>, parts: &[Part]) {
    output::line(format!("  {name}: {}", said(sum)));
    for part in parts {
        output::line(format!("    {}: {}", part.what, said(part.value)));
    }
}

/// What binds: one node's worth is 1.
fn print_drivers(plan: &Plan) {
    for (index, driver) in plan.drivers.iter().enumerate() {
        let binds = if index == 0 { ", which binds" } else { "" };
        let share = said(Some(driver.nodes));
        output::line(format!(
            "cost driver: {}, {share} node(s){binds}",
            driver.resource
        ));
    }
}

fn print_list(name: &str, items: &[String]) {
    for item in items {
        output::line(format!("{name}: {item}"));
    }
}

/// How far off predictions were, or that nobody knows.
fn print_error(plan: &Plan) {
    let Some(measured) = plan.measured_chunks else {
        output::line(
            "error: not measured: `braid-bench capacity` has not been run for this release",
        );
        return;
    };
    let worst = plan
        .errors
        .iter()
        .max_by(|a, b| a.error.abs().total_cmp(&b.error.abs()));
    let error = worst.map_or_else(
        || "not measured: fewer than three sizes were".to_owned(),
        |worst| {
            let percent = worst.error.abs() * 100.0;
            let component = worst.component.name();
            format!(
                "at most {percent:.0} % at measured sizes ({component}, {} chunks)",
                worst.chunks
            )
        },
    );
    output::line(format!("error: {error}"));
    let times = plan.wanted.chunks as f64 / measured as f64;
    if times > 1.0 {
        output::line(format!(
            "extrapolated: {} times the largest measured size of {measured} chunks",
            said(Some(times))
        ));
    }
}

/// Three digits, or that there is none.
fn said(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "not measured".to_owned();
    };
    let digits = match value.abs() {
        value if value == 0.0 || value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}
