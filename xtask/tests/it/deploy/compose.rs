//! `docker-compose.yml`: its schema, how each container is confined, and what it says of settings,
//! ports, volumes and scripts.

use std::collections::BTreeSet;

use braid_config::{KEYS, Settings};
use serde_json::{Value, json};

use super::dockerfile::Dockerfile;
use super::settings;
use super::{assert_valid, entries, parse, port, problems, root, schema, text, texts};

const FILE: &str = "docker-compose.yml";
/// Without `COMPOSE_PROFILES`.
const DEFAULT: &str = "single";
/// It, and the choices of `COMPOSE_PROFILES`.
const PROFILES: [&str; 5] = [DEFAULT, "cluster", "embedded", "qdrant", "qdrant-cluster"];
/// Those with everything in Qdrant.
const IN_QDRANT: [&str; 2] = [DEFAULT, "cluster"];
/// The services that keep nothing, beside the first query server where everything is in Qdrant.
const STATELESS: [&str; 2] = ["braid-2", "worker"];
/// The first node of Qdrant.
const FIRST: &str = "qdrant-1";
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

/// The services that run with `profile`, by name: those that its command names, or all that are of it.
fn running<'a>(compose: &'a Value, profile: &str) -> Vec<(&'a str, &'a Value)> {
    let named = named(profile);
    let of_profile = |(name, service): &(&str, &Value)| {
        let profiles = texts(&service["profiles"]);
        let is_of_it = profiles.is_empty() || profiles.contains(&profile);
        is_of_it && (named.is_empty() || named.iter().any(|it| it == name))
    };
    entries(&compose["services"]).filter(of_profile).collect()
}

/// The services that the command at the top of the file names for `profile`.
fn named(profile: &str) -> Vec<String> {
    let file = text(FILE);
    let start = match profile {
        DEFAULT => "#   docker compose up ".to_owned(),
        profile => format!("#   COMPOSE_PROFILES={profile} docker compose up "),
    };
    let command = file.lines().find_map(|line| line.strip_prefix(&start));
    let command = command.unwrap_or_else(|| panic!("no line {start}"));
    let words = command.split("   ").next().unwrap().split(' ');
    let words = words.filter(|word| !word.is_empty() && !word.starts_with("--"));
    words.map(str::to_owned).collect()
}

fn services(compose: &Value) -> Vec<(&str, &Value)> {
    entries(&compose["services"]).collect()
}

/// Environment variables of a service.
fn environment(service: &Value) -> impl Iterator<Item = (&str, &Value)> {
    entries(&service["environment"])
}

#[test]
fn up_alone_starts_qdrant_braid_and_a_worker() {
    for (profile, expected) in [
        (DEFAULT, &["braid", "qdrant", "worker"][..]),
        (
            "cluster",
            &[
                "braid", "braid-2", "qdrant", "qdrant-2", "qdrant-3", "worker",
            ],
        ),
        ("embedded", &["braid"]),
        ("qdrant", &["braid", "qdrant"]),
        (
            "qdrant-cluster",
            &["braid", "qdrant", "qdrant-2", "qdrant-3"],
        ),
    ] {
        let compose = compose(profile);
        let mut names: Vec<_> = running(&compose, profile).iter().map(|it| it.0).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{profile}");
    }
    // Without the variable it is as with the default.
    let plain = parse(FILE, &interpolate(&text(FILE), &[]));
    assert_eq!(plain, compose(DEFAULT));
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
        for name in ["braid"].iter().chain(&STATELESS) {
            let braid = &compose["services"][name];
            let target = braid["configs"][0]["target"].as_str();
            assert_eq!(braid["environment"]["BRAID_CONFIG"].as_str(), target);
            let source = braid["configs"][0]["source"].as_str().unwrap();
            let file = compose["configs"][source]["file"].as_str().unwrap();
            assert_eq!(file, format!("./config/compose/{profile}.toml"));
        }
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
    // Those of no service of their own.
    profiles.extend([DEFAULT, "embedded", "qdrant"].map(str::to_owned));
    let folder = std::fs::read_dir(root().join("config/compose")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let files = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), profiles);
    assert_eq!(profiles, PROFILES.map(str::to_owned).into());
}

#[test]
fn data_is_in_volumes() {
    for profile in PROFILES.into_iter().filter(|it| !IN_QDRANT.contains(it)) {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        let directory = loaded.settings.storage.data_dir.display().to_string();
        assert!(mounts(&compose["services"]["braid"]).contains(&directory.as_str()));
        let image = Dockerfile::read();
        assert_eq!(
            image.last_stage("VOLUME"),
            [directory],
            "it is made for that user"
        );
    }
    for profile in PROFILES {
        let compose = compose(profile);
        for (name, service) in running(&compose, profile) {
            if name.starts_with("qdrant") {
                assert_eq!(mounts(service), ["/qdrant/storage", "/qdrant/snapshots"]);
            }
        }
    }
}

#[test]
fn the_stateless_keep_nothing() {
    let volumes = Dockerfile::read();
    for profile in IN_QDRANT {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        assert_eq!(loaded.written("storage.data_dir"), None);
        for name in STATELESS {
            let service = &compose["services"][name];
            assert!(mounts(service).is_empty(), "{name}");
            for volume in volumes.last_stage("VOLUME") {
                let tmpfs = texts(&service["tmpfs"]);
                let is_it = |mount: &&str| mount.split(':').next() == Some(volume);
                assert!(tmpfs.iter().any(is_it), "{name}: {volume} is a volume");
            }
        }
    }
}

#[test]
fn workers_can_be_scaled_and_are_asked_where_they_listen() {
    for profile in IN_QDRANT {
        let compose = compose(profile);
        let worker = &compose["services"]["worker"];
        assert_eq!(texts(&worker["command"]), ["ingest", "--worker"]);
        for field in ["container_name", "ports"] {
            assert!(worker[field].is_null(), "two would want the same {field}");
        }
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        let listen = loaded.settings.worker.listen;
        let test = texts(&worker["healthcheck"]["test"]);
        assert_eq!(
            test[3..],
            [listen.unwrap().port().to_string().as_str(), "/healthz"]
        );
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
    for (profile, storage) in [
        (DEFAULT, "\"cluster\""),
        ("qdrant", "\"qdrant\""),
        ("qdrant-cluster", "\"qdrant\""),
        ("cluster", "\"cluster\""),
    ] {
        let compose = compose(profile);
        let loaded = settings::read(&format!("config/compose/{profile}.toml"));
        assert_eq!(loaded.written("storage.profile"), Some(storage));
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
    for profile in ["qdrant-cluster", "cluster"] {
        check_nodes(profile);
    }
}

#[track_caller]
fn check_nodes(profile: &str) {
    let compose = compose(profile);
    let is_node = |(name, _): &(&str, &Value)| name.starts_with("qdrant");
    let nodes = running(&compose, profile).into_iter().filter(is_node);
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
        // The first has a name that is its alone, too.
        let is_first = *name == nodes[0].0;
        let own = if is_first { FIRST } else { *name };
        assert_eq!(after("--uri"), Some(format!("http://{own}:6335").as_str()));
        let wanted = (!is_first).then(|| format!("http://{FIRST}:6335"));
        assert_eq!(after("--bootstrap"), wanted.as_deref(), "{name}");
        let aliases = texts(&node["networks"]["default"]["aliases"]);
        assert!(!is_first || aliases == [FIRST], "{name}");
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

/// A collection that is made while a node is missing has no copy there.
#[test]
fn braid_waits_for_as_many_nodes_as_there_are_copies() {
    let compose = compose("cluster");
    let start = text(&compose["configs"]["start"]["file"].as_str().unwrap()[2..]);
    assert!(start.contains("seq -f 'qdrant-%.0f' \"$copies\""));
    assert!(start.contains("sed -n 's/^replication = //p' \"$BRAID_CONFIG\""));
    for profile in IN_QDRANT {
        let settings = settings::read(&format!("config/compose/{profile}.toml"));
        let copies = settings.settings.qdrant.replication;
        let line = format!("replication = {copies}");
        assert!(settings.text.lines().any(|it| it == line));
        let compose = super::compose::compose(profile);
        let nodes = running(&compose, profile).into_iter();
        let nodes = nodes.filter(|(name, _)| name.starts_with("qdrant")).count();
        assert_eq!(nodes, copies, "{profile}");
    }
    let settings = settings::read("config/compose/cluster.toml");
    let told = settings
        .text
        .lines()
        .any(|line| line == "profile = \"cluster\"");
    assert!(told && start.contains("grep -q '^profile = \"cluster\"'"));
    for script in Dockerfile::read().copied_to() {
        assert!(
            !script.ends_with("healthcheck") || start.contains(script),
            "{script}"
        );
    }
    for name in ["braid"].iter().chain(&STATELESS) {
        let service = &compose["services"][name];
        let mounted = service["configs"].as_array().unwrap();
        let is_it = |config: &&Value| config["source"] == "start";
        let target = mounted.iter().find(is_it).unwrap()["target"]
            .as_str()
            .unwrap();
        assert_eq!(texts(&service["entrypoint"]), ["bash", target], "{name}");
    }
}

#[test]
fn braid_runs_as_the_user_of_the_image() {
    let compose = compose("embedded");
    let user = Dockerfile::read().user();
    for name in ["braid", "ingest"].iter().chain(&STATELESS) {
        let expected = format!("{user}:{user}");
        assert_eq!(compose["services"][name]["user"], expected, "{name}");
    }
}
