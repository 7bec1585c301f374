//! Docker rules: what the Dockerfile copies is tracked and reaches the build; images are pinned, and what
//! runs is not root, says how it is, and leaves nothing behind.

use super::Violation;
use crate::tree::{Tree, is_within};

/// Checks every `COPY` of a path of the build context, and every instruction.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let dockerfile = tree.text("Dockerfile").unwrap_or_default();
    let ignored = ignored_paths(tree.text(".dockerignore").unwrap_or_default());
    let copied = copied_paths(dockerfile);
    let missing = copied
        .iter()
        .filter_map(|path| check_copied(path, tree, &ignored));
    missing.chain(check_instructions(dockerfile)).collect()
}

/// An instruction and what follows it, continued lines joined.
type Instruction<'a> = (&'a str, &'a str);

fn check_instructions(dockerfile: &str) -> Vec<Violation> {
    let joined = dockerfile.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let instructions: Vec<Instruction<'_>> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(name, rest)| (name, rest.trim()))
        .collect();
    let mut violations = check_images(&instructions);
    violations.extend(instructions.iter().filter_map(check_instruction));
    let last_stage = instructions.iter().rposition(|(name, _)| *name == "FROM");
    if let Some(start) = last_stage {
        violations.extend(check_last_stage(&instructions[start..]));
    }
    violations
}

/// Every image has a tag that says which release it is, or a digest.
fn check_images(instructions: &[Instruction<'_>]) -> Vec<Violation> {
    let mut stages: Vec<&str> = Vec::new();
    let mut violations = Vec::new();
    for (_, rest) in instructions.iter().filter(|(name, _)| *name == "FROM") {
        let mut words = rest
            .split_whitespace()
            .filter(|word| !word.starts_with("--"));
        let image = words.next().unwrap_or_default();
        if !stages.contains(&image) && !is_pinned(image) {
            let remedy = format!("name the release of {image}, as in {image}:1.2");
            violations.push(violation("docker-pinned", remedy));
        }
        stages.extend(words.nth(1));
    }
    violations
}

fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit('/').next().unwrap_or_default().split_once(':');
    image.contains("@sha256:")
        || tag.is_some_and(|(_, tag)| {
            tag.starts_with(|first: char| first.is_ascii_digit()) || is_codename(tag)
        })
}

/// Whether a tag is a release by name, as Debian's are.
fn is_codename(tag: &str) -> bool {
    ["bookworm", "trixie"]
        .iter()
        .any(|name| tag.starts_with(name))
}

fn check_instruction((name, rest): &Instruction<'_>) -> Option<Violation> {
    let remedy = match *name {
        "ADD" => "use COPY: ADD unpacks archives and fetches what nothing checks",
        "ENTRYPOINT" | "CMD" if !rest.starts_with('[') => {
            "write it as a JSON list: a shell in between gets the signals"
        }
        "RUN"
            if rest.contains("apt-get install") && !rest.contains("rm -rf /var/lib/apt/lists") =>
        {
            "remove /var/lib/apt/lists in the same RUN"
        }
        "RUN" if rest.contains("| sh") || rest.contains("| bash") => {
            "do not run what was fetched unless its checksum is compared"
        }
        _ => return None,
    };
    Some(violation("docker-instruction", remedy))
}

/// What runs is not root, and says how it is.
fn check_last_stage(stage: &[Instruction<'_>]) -> Vec<Violation> {
    let last = |wanted: &str| stage.iter().rfind(|(name, _)| *name == wanted);
    let user = last("USER").map_or("0", |(_, user)| *user);
    let number = user.split(':').next().unwrap_or_default().parse::<u32>();
    let mut violations = Vec::new();
    if !number.is_ok_and(|number| number > 0) {
        let remedy = "end with USER and a number above 0: Kubernetes checks numbers alone";
        violations.push(violation("docker-user", remedy));
    }
    if !last("HEALTHCHECK").is_some_and(|(_, rest)| rest.contains("CMD")) {
        violations.push(violation(
            "docker-healthcheck",
            "say how its health is checked",
        ));
    }
    violations
}

fn violation(rule: &'static str, remedy: impl Into<String>) -> Violation {
    Violation::new("Dockerfile", rule, remedy)
}

fn check_copied(path: &str, tree: &Tree, ignored: &[&str]) -> Option<Violation> {
    let path = path.trim_end_matches('/');
    let remedy = if !tree.holds(path) {
        format!("it copies {path}, which is not tracked; commit it or remove the COPY")
    } else if ignored.iter().any(|ignored| is_within(path, ignored)) {
        format!("it copies {path}, which .dockerignore leaves out; take it from there")
    } else {
        return None;
    };
    Some(Violation::new("Dockerfile", "docker-copy", remedy))
}

/// The context paths of the `COPY` instructions; copies between stages (`--from`) have none.
fn copied_paths(dockerfile: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let mut paths = Vec::new();
    for line in joined.lines() {
        let mut words = line.split_whitespace();
        let copies = words.next() == Some("COPY");
        let words: Vec<&str> = words.collect();
        if copies && !words.iter().any(|word| word.starts_with("--from")) {
            let named = words.iter().filter(|word| !word.starts_with("--"));
            let sources = named.clone().count().saturating_sub(1);
            paths.extend(named.take(sources).map(|word| (*word).to_owned()));
        }
    }
    paths
}

fn ignored_paths(dockerignore: &str) -> Vec<&str> {
    dockerignore
        .lines()
        .map(|line| line.trim().trim_start_matches('/').trim_end_matches('/'))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
