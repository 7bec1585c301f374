//! The flags that the image and the compose file pass are flags of the binary. What else those files say is
//! tested in xtask.

use crate::run::Place;

/// The words between brackets or quotes that begin with `--`.
fn flags(list: &str) -> Vec<&str> {
    let words = list.split(['[', ']', ',', '"', ' ']);
    words.filter(|word| word.starts_with("--")).collect()
}

#[track_caller]
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text
        .lines()
        .find(|line| line.trim_start().starts_with(start));
    found.unwrap_or_else(|| panic!("no line {start}"))
}

#[track_caller]
fn check(command: &str, flags: &[&str]) {
    assert!(!flags.is_empty(), "{command}");
    let help = Place::new().ok(&[command, "--help"]);
    for flag in flags {
        assert!(help.contains(flag), "braid {command} has no {flag}");
    }
}

#[test]
fn the_image_and_the_compose_file_pass_flags_that_are_there() {
    let dockerfile = include_str!("../../../../Dockerfile");
    let command = line(dockerfile, "CMD [\"serve\"");
    check("serve", &flags(command));
    let compose = include_str!("../../../../docker-compose.yml");
    let (_, service) = compose.split_once("\n  ingest:\n").unwrap();
    assert!(line(service, "entrypoint:").ends_with("[braid, ingest]"));
    check("ingest", &flags(line(service, "command:")));
    let (_, service) = compose.split_once("\n  worker:\n").unwrap();
    check("ingest", &flags(line(service, "command:")));
}
