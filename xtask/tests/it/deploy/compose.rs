//! `docker-compose.yml`: its schema, how each container is confined, and what it says of settings,
//! ports, volumes and scripts.

use std::collections::BTreeSet;

use braid_config::{KEYS, Settings, StorageProfile};
use serde_json::{Value, json};

use super::dockerfile::Dockerfile;
use super::settings;
use super::{assert_valid, entries, parse, port, problems, root, schema, text, texts};

const FILE: &str = "docker-compose.yml";
/// The choices of `COMPOSE_PROFILES`, and the one without it.
const PROFILES: [&str; 4] = ["embedded", "qdrant", "qdrant-cluster", "cluster"];
/// Variables of Braid that are not settings.
const OTHER_VARIABLES: [&str; 2] = ["BRAID_CONFIG", "BRAID_ORT_LIB"];

/// The file as compose reads it where `COMPOSE_PROFILES` is `profile`.
#[track_caller]
fn compose(profile: &str) -> Value {
    let text = interpolate(&text(FILE), &[("COMPOSE_PROFILES", profile)]);
    parse(FILE, &text)
}

/// Replaces `${NAME:-DEFAULT}`.
fn interpolate(text: &str, variables: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = after.split_once('}').unwrap();
        let (name, default) = inside.split_once(":-").unwrap();
        let set = variables.iter().find(|(known, _)| *known == name);
        out.push_str(before);
        out.push_str(set.map_or(default, |(_, value)| value));
        rest = after;
    }
    out + rest
}

/// The services that run with `profile`, by name.
fn running<'a>(compose: &'a Value, profile: &str) -> Vec<(&'a str, &'a Value)> {
    let of_profile = |service: &Value| {
        let profiles = texts(&service["profiles"]);
        profiles.is_empty() || profiles.contains(&profile)
    };
    let services = entries(&compose["services"]);
    services
        .filter(|(_, service)| of_profile(service))
        .collect()
}

fn services(compose: &Value) -> Vec<(&str, &Value)> {
    entries(&compose["services"]).collect()
}

/// Environment variables of a service.
fn environment(service: &Value) -> impl Iterator<Item = (&str, &Value)> {
    entries(&service["environment"])
}

#[test]
fn it_is_as_the_specification_says() {
    for profile in PROFILES {
        assert_valid(FILE, &schema("compose-spec"), &compose(profile));
    }
}

#[test]
fn the_schema_finds_mistakes() {
    let schema = schema("compose-spec");
    let planted = [
        ("/services/braid/read_onli", json!(true)),
        ("/services/braid/healthcheck/retries", json!("x")),
        (
            "/services/braid/depends_on",
            json!({"qdrant": {"condition": "ready"}}),
        ),
        ("/volumes/braid-data", json!({"drivr": "local"})),
    ];
    for (pointer, value) in planted {
        let mut compose = compose("embedded");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = compose.pointer_mut(parent).unwrap();
        parent[name] = value;
        assert!(!problems(&schema, &compose).is_empty(), "{pointer}");
    }
}

#[test]
fn every_container_is_confined() {
    for (name, service) in services(&compose("embedded")) {
        let user = service["user"].as_str().unwrap_or("0");
        assert!(
            !user.starts_with('0') && !user.starts_with("root"),
            "{name}: {user}"
        );
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        let options = texts(&service["security_opt"]);
        assert!(options.contains(&"no-new-privileges:true"), "{name}");
        assert_eq!(service["privileged"], Value::Null, "{name}");
        assert_eq!(service["cap_add"], Value::Null, "{name}");
        for limit in ["cpus", "mem_limit", "pids_limit", "stop_grace_period"] {
            // A one-off that keeps nothing can be stopped as compose does by itself.
            let one_off = service["restart"] == "no" && limit == "stop_grace_period";
            assert!(one_off || !service[limit].is_null(), "{name}: no {limit}");
        }
    }
}

#[test]
fn images_are_pinned() {
    for (name, service) in services(&compose("embedded")) {
        let image = service["image"].as_str().unwrap();
        if image == "braid:local" {
            continue;
        }
        let (_, tag) = image
            .split_once(":v")
            .unwrap_or_else(|| panic!("{name}: {image}"));
        let mut parts = tag
            .split(['.', '-'])
            .map_while(|part| part.parse::<u32>().ok());
        let version = (parts.next().unwrap(), parts.next().unwrap());
        assert!(
            parts.next().is_some(),
            "{name}: {image} leaves the patch open"
        );
        assert!(
            version >= (1, 18),
            "{name}: {image} is older than Qdrant 1.18"
        );
    }
}

#[test]
fn ports_are_on_loopback_and_where_braid_listens() {
    let default = Settings::default().server.listen.port();
    for profile in PROFILES {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        assert_eq!(loaded.settings.server.listen.port(), default);
        for (name, service) in services(&compose) {
            for published in texts(&service["ports"]) {
                assert!(published.starts_with("127.0.0.1:"), "{name}: {published}");
                assert_eq!(port(published), default, "{name}: {published}");
            }
        }
        let ingest = texts(&compose["services"]["ingest"]["command"]);
        assert_eq!(*ingest.last().unwrap(), format!("http://braid:{default}"));
    }
}

#[test]
fn variables_and_settings_files_are_those_of_braid() {
    let variables: BTreeSet<String> = KEYS.iter().map(|key| key.variable()).collect();
    for profile in PROFILES {
        let compose = compose(profile);
        for (name, service) in services(&compose) {
            for (variable, _) in environment(service).filter(|(name, _)| name.starts_with("BRAID"))
            {
                let known = variables.contains(variable) || OTHER_VARIABLES.contains(&variable);
                assert!(known, "{name}: Braid does not read {variable}");
            }
        }
        let braid = &compose["services"]["braid"];
        let target = braid["configs"][0]["target"].as_str();
        assert_eq!(braid["environment"]["BRAID_CONFIG"].as_str(), target);
        let source = braid["configs"][0]["source"].as_str().unwrap();
        let file = compose["configs"][source]["file"].as_str().unwrap();
        assert_eq!(file, format!("./config/compose/{profile}.toml"));
    }
}

#[test]
fn every_profile_has_its_settings_and_every_file_its_profile() {
    let compose = compose("embedded");
    let named = services(&compose);
    let profiles = named
        .iter()
        .flat_map(|(_, service)| texts(&service["profiles"]));
    let mut profiles: BTreeSet<String> = profiles.map(str::to_owned).collect();
    profiles.remove("ingest");
    profiles.insert("embedded".to_owned());
    let folder = std::fs::read_dir(root().join("config/compose")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let files = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), profiles);
    assert_eq!(profiles, PROFILES.map(str::to_owned).into());
}

#[test]
fn data_is_in_volumes() {
    for profile in PROFILES {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        if loaded.settings.storage.profile == StorageProfile::Cluster {
            continue;
        }
        let directory = loaded.settings.storage.data_dir.display().to_string();
        assert!(mounts(&compose["services"]["braid"]).contains(&directory.as_str()));
        let image = Dockerfile::read();
        assert_eq!(
            image.last_stage("VOLUME"),
            [directory],
            "it is made for that user"
        );
        for (name, service) in running(&compose, profile) {
            if name.starts_with("qdrant") {
                assert_eq!(mounts(service), ["/qdrant/storage", "/qdrant/snapshots"]);
            }
        }
    }
}

/// Where volumes are mounted.
fn mounts(service: &Value) -> Vec<&str> {
    let volumes = texts(&service["volumes"]).into_iter();
    volumes
        .filter_map(|volume| volume.split(':').nth(1))
        .collect()
}

#[test]
fn every_volume_is_declared_and_of_one_service() {
    let compose = compose("embedded");
    let mut used = Vec::new();
    for (_, service) in services(&compose) {
        for volume in texts(&service["volumes"]) {
            let (source, _) = volume.split_once(':').unwrap();
            if !source.starts_with('.') {
                used.push(source);
            }
        }
    }
    used.sort_unstable();
    let mut declared: Vec<_> = entries(&compose["volumes"]).map(|(name, _)| name).collect();
    declared.sort_unstable();
    assert_eq!(used, declared);
}

#[test]
fn health_checks_run_scripts_that_are_there() {
    let compose = compose("embedded");
    let image = Dockerfile::read();
    for (name, service) in services(&compose) {
        if service["restart"] == "no" {
            continue;
        }
        let test = texts(&service["healthcheck"]["test"]);
        assert_eq!(&test[..2], ["CMD", "bash"], "{name}");
        let config = service["configs"].as_array().into_iter().flatten();
        let mut mounted = config.filter(|config| config["target"] == test[2]);
        if let Some(config) = mounted.next() {
            let source = config["source"].as_str().unwrap();
            let file = compose["configs"][source]["file"].as_str().unwrap();
            assert!(root().join(file).is_file(), "{name}: no {file}");
        } else {
            assert!(
                image.copied_to().contains(&test[2]),
                "{name}: no {}",
                test[2]
            );
        }
    }
}

#[test]
fn braid_reaches_qdrant_under_the_name_it_is_told() {
    for (profile, stored) in [
        ("qdrant", "qdrant"),
        ("qdrant-cluster", "qdrant"),
        ("cluster", "cluster"),
    ] {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        assert_eq!(
            loaded.written("storage.profile"),
            Some(format!("{stored:?}").as_str())
        );
        let url = loaded.written("qdrant.url").unwrap().trim_matches('"');
        let (host, port) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once(':')
            .unwrap();
        assert_eq!(port, "6334", "gRPC");
        let answers = |(name, service): &(&str, &Value)| {
            let aliases = texts(&service["networks"]["default"]["aliases"]);
            *name == host || aliases.contains(&host)
        };
        let nodes = running(&compose, profile)
            .into_iter()
            .filter(answers)
            .count();
        let replication = loaded.written("qdrant.replication").unwrap_or("1");
        let replication: usize = replication.parse().unwrap();
        assert!(
            nodes >= replication.max(1),
            "{profile}: {nodes} nodes answer to {host}"
        );
    }
}

#[test]
fn the_cluster_has_three_nodes_that_find_each_other() {
    let compose = compose("qdrant-cluster");
    let is_node = |(name, _): &(&str, &Value)| name.starts_with("qdrant");
    let nodes = running(&compose, "qdrant-cluster")
        .into_iter()
        .filter(is_node);
    let nodes: Vec<_> = nodes.collect();
    assert_eq!(nodes.len(), 3);
    for (name, node) in &nodes {
        assert_eq!(
            node["environment"]["QDRANT__CLUSTER__ENABLED"], "true",
            "{name}"
        );
        let command = texts(&node["command"]);
        let after = |flag: &str| {
            let at = command.iter().position(|word| *word == flag);
            at.map(|at| command[at + 1])
        };
        assert_eq!(after("--uri"), Some(format!("http://{name}:6335").as_str()));
        let first = nodes[0].0;
        let wanted = (*name != first).then(|| format!("http://{first}:6335"));
        assert_eq!(after("--bootstrap"), wanted.as_deref(), "{name}");
    }
}

#[test]
fn what_a_service_waits_for_runs_with_it() {
    for profile in PROFILES {
        let compose = compose(profile);
        let present: Vec<_> = running(&compose, profile)
            .iter()
            .map(|(name, _)| *name)
            .collect();
        for (name, service) in running(&compose, profile) {
            let listed = texts(&service["depends_on"]);
            let keyed = entries(&service["depends_on"]).map(|(name, _)| name);
            for wanted in listed.into_iter().chain(keyed) {
                assert!(present.contains(&wanted), "{name} waits for {wanted}");
            }
        }
    }
}

#[test]
fn braid_runs_as_the_user_of_the_image() {
    let compose = compose("embedded");
    let user = Dockerfile::read().user();
    for name in ["braid", "ingest", "braid-2", "worker"] {
        let expected = format!("{user}:{user}");
        assert_eq!(compose["services"][name]["user"], expected, "{name}");
    }
}

#[test]
fn two_servers_and_a_worker_share_the_cluster() {
    let compose = compose("cluster");
    let running: Vec<_> = running(&compose, "cluster")
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for name in [
        "braid", "braid-2", "worker", "qdrant-1", "qdrant-2", "qdrant-3",
    ] {
        assert!(running.contains(&name), "{name} is not there");
    }
    let services = &compose["services"];
    assert_eq!(
        texts(&services["worker"]["command"]),
        ["ingest", "--worker"]
    );
    for name in ["braid", "braid-2", "worker"] {
        assert_eq!(
            services[name]["configs"], services["braid"]["configs"],
            "{name}"
        );
    }
    assert_ne!(services["braid"]["ports"], services["braid-2"]["ports"]);
    let listen = settings::read("config/compose/cluster.toml")
        .settings
        .worker
        .listen;
    // The health check of the image asks there.
    assert_eq!(
        listen.unwrap().port(),
        Settings::default().server.listen.port()
    );
}
