//! Dependency rules: layers, owners of external crates, and where crates come from.

use super::Violation;
use crate::rules::{ADAPTERS, CONFINED, CRATES, OWNED, Place, TEST_CRATES, WIRING};
use crate::workspace::{Dependency, Kind, Package};

/// Checks what one crate declares to depend on.
pub(super) fn check(package: &Package) -> Vec<Violation> {
    let Some(place) = place_of(&package.name) else {
        return vec![Violation::new(
            &package.name,
            "unknown-crate",
            "give it a layer in xtask/src/rules.rs",
        )];
    };
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        if dependency.source.is_none() {
            violations.extend(check_internal(package, place, dependency));
        } else {
            violations.extend(check_external(package, dependency));
        }
    }
    violations
}

fn place_of(name: &str) -> Option<Place> {
    CRATES
        .iter()
        .find(|(listed, _)| *listed == name)
        .map(|(_, place)| *place)
}

fn check_internal(package: &Package, from: Place, to: &Dependency) -> Option<Violation> {
    let found = match place_of(&to.name) {
        None => Some((
            "unknown-crate",
            format!("{} has no layer in xtask/src/rules.rs", to.name),
        )),
        Some(Place::DevOnly(_))
            if to.kind == Kind::Dev && TEST_CRATES.contains(&to.name.as_str()) =>
        {
            None
        }
        Some(Place::DevOnly(_)) => Some((
            "dev-only-crate",
            format!("{} is for tests and chores; remove it", to.name),
        )),
        Some(Place::Layer(layer)) => match from {
            Place::Layer(own) if to.kind == Kind::Dev => check_test_layer(own, layer, to),
            Place::Layer(own) => check_layer(package, own, layer, to),
            Place::DevOnly(allowed) => check_dev_only(allowed, to),
        },
    };
    found.map(|(rule, remedy)| Violation::new(&package.name, rule, remedy))
}

type Found = Option<(&'static str, String)>;

fn check_layer(package: &Package, own: u8, layer: u8, to: &Dependency) -> Found {
    if layer >= own {
        let remedy = format!(
            "layer {own} cannot depend on {} of layer {layer}; go through a port of braid-core",
            to.name
        );
        return Some(("layers", remedy));
    }
    let remedy = format!("only {WIRING} names adapters; reach {} through it", to.name);
    (layer == ADAPTERS && package.name != WIRING).then_some(("adapter", remedy))
}

fn check_test_layer(own: u8, layer: u8, to: &Dependency) -> Found {
    let remedy = format!(
        "tests in layer {own} cannot use {} of layer {layer}; move the test up",
        to.name
    );
    (layer > own).then_some(("layers", remedy))
}

fn check_dev_only(allowed: &[&str], to: &Dependency) -> Found {
    let fine = to.kind == Kind::Dev || allowed.contains(&to.name.as_str());
    let remedy = format!("it may use only {}, not {}", allowed.join(" and "), to.name);
    (!fine).then_some(("dev-only-crate", remedy))
}

fn check_external(package: &Package, to: &Dependency) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (pattern, owners) in OWNED {
        if matches(pattern, &to.name) && !owners.contains(&package.name.as_str()) {
            let remedy = format!("{} belongs in {} only", to.name, owners.join(" and "));
            violations.push(Violation::new(&package.name, "owned-crate", remedy));
        }
    }
    for (confined, allowed) in CONFINED {
        let counts = *confined == package.name && to.kind != Kind::Dev;
        if counts && !allowed.contains(&to.name.as_str()) {
            let remedy = format!("it may use only {}, not {}", allowed.join(", "), to.name);
            violations.push(Violation::new(&package.name, "confined-crate", remedy));
        }
    }
    let source = to.source.as_deref().unwrap_or_default();
    if !source.starts_with("registry+") {
        let remedy = format!("take {} from the registry, not from {source}", to.name);
        violations.push(Violation::new(&package.name, "crate-source", remedy));
    }
    violations
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.strip_prefix(start).is_some_and(|rest| {
            // `ort*` is `ort` and `ort-sys`, not `orthography`.
            rest.is_empty() || rest.starts_with('-')
        }),
        None => pattern == name,
    }
}
