//! What the Dockerfile says that other files rely on. Its own rules are `cargo xtask tidy`'s.

use braid_config::Settings;
use serde_json::Value;

/// The Dockerfile, one instruction a line.
pub(super) struct Dockerfile(String);

impl Dockerfile {
    pub(super) fn read() -> Self {
        Self(super::text("Dockerfile").replace("\\\n", " "))
    }

    /// What follows `instruction` each time it stands in the last stage.
    pub(super) fn last_stage(&self, instruction: &str) -> Vec<&str> {
        let start = self.0.rfind("\nFROM ").unwrap();
        let lines = self.0[start..].lines();
        let rest = lines.filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' '));
        rest.map(str::trim).collect()
    }

    /// The user that the image runs as.
    pub(super) fn user(&self) -> u64 {
        self.last_stage("USER")[0].parse().unwrap()
    }

    /// Where `COPY` puts files of the repository or of other stages.
    pub(super) fn copied_to(&self) -> Vec<&str> {
        let copies = self.last_stage("COPY");
        copies
            .into_iter()
            .filter_map(|copy| copy.split_whitespace().last())
            .collect()
    }
}

#[test]
fn the_image_listens_and_stores_where_it_says() {
    let dockerfile = Dockerfile::read();
    let default = Settings::default().server.listen.port();
    assert_eq!(dockerfile.last_stage("EXPOSE"), [default.to_string()]);
    let command: Vec<String> = serde_json::from_str(dockerfile.last_stage("CMD")[0]).unwrap();
    let after = |flag: &str| {
        let at = command.iter().position(|word| word == flag).unwrap();
        command[at + 1].as_str()
    };
    assert_eq!(super::port(after("--listen")), default);
    assert_eq!(dockerfile.last_stage("VOLUME"), [after("--data-dir")]);
}

#[test]
fn the_health_check_and_the_library_are_in_the_image() {
    let dockerfile = Dockerfile::read();
    let copied = dockerfile.copied_to();
    let check = dockerfile.last_stage("HEALTHCHECK")[0];
    let (_, command) = check.split_once("CMD ").unwrap();
    let command: Value = serde_json::from_str(command).unwrap();
    let script = super::texts(&command)[1];
    assert!(copied.contains(&script), "{script} is not in {copied:?}");
    let library = dockerfile.last_stage("ENV")[0];
    let (variable, file) = library.split_once('=').unwrap();
    assert_eq!(variable, "BRAID_ORT_LIB");
    assert!(copied.contains(&file), "{file} is not in {copied:?}");
}

/// The build stage has every folder that a member of the workspace, or its build script, is built from.
#[test]
fn the_build_has_every_member() {
    let manifest = super::text("Cargo.toml");
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "))
        .unwrap();
    let mut wanted: Vec<String> = serde_json::from_str(members).unwrap();
    // The gRPC contract is compiled by a build script.
    wanted.push("proto".to_owned());
    let dockerfile = super::text("Dockerfile");
    for member in wanted {
        let folder = member.trim_end_matches("/*");
        let copy = format!("\nCOPY {folder} {folder}\n");
        assert!(dockerfile.contains(&copy), "no {}", copy.trim());
    }
}
