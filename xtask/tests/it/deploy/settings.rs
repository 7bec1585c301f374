//! Every settings file in `config/` is read as `braid` reads it.

use std::fs;
use std::path::{Path, PathBuf};

use braid_config::{KEYS, Overrides, Settings, load};

use super::root;

/// Keys of the profile `qdrant`, which a build may not have yet: then they alone are refused.
const OF_QDRANT: [&str; 2] = ["storage.profile", "qdrant."];

/// What a settings file says.
pub(super) struct Loaded {
    /// The settings; those of the profile `qdrant` are left out where this build has none.
    pub(super) settings: Settings,
    /// The file.
    pub(super) text: String,
}

/// Reads a settings file of the repository.
///
/// # Panics
/// When it is refused.
#[track_caller]
pub(super) fn read(path: &str) -> Loaded {
    let text = super::text(path);
    let known = match has_qdrant() {
        true => text.clone(),
        false => without_qdrant(&text),
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), known).unwrap();
    let overrides = Overrides {
        file: Some(file.path().to_owned()),
        ..Overrides::default()
    };
    let settings = load(&overrides).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    Loaded { settings, text }
}

impl Loaded {
    /// The value of `section.name` as it is written in the file, quotes and all.
    pub(super) fn written(&self, key: &str) -> Option<&str> {
        let (wanted, name) = key.split_once('.').unwrap();
        let mut section = "";
        self.text.lines().find_map(|line| {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
            }
            let (key, value) = line.split_once('=')?;
            (section == wanted && key.trim() == name).then(|| value.trim())
        })
    }
}

fn has_qdrant() -> bool {
    KEYS.iter().any(|key| key.path == OF_QDRANT[0])
}

/// `text` without the keys of the profile `qdrant`.
fn without_qdrant(text: &str) -> String {
    let mut section = "";
    let mut kept = String::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        }
        let name = line.split(['=', ' ']).next().unwrap_or_default();
        let key = format!("{section}.{name}");
        if section != "qdrant" && key != OF_QDRANT[0] {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// Every `.toml` file in `config/`, relative to the repository.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join("config"), &mut found);
    let relative = |path: &PathBuf| {
        let path = path.strip_prefix(root()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    found.iter().map(relative).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
}

#[test]
fn every_settings_file_is_accepted() {
    let files = files();
    for wanted in ["config/braid.toml", "config/compose/embedded.toml"] {
        assert!(files.iter().any(|file| file == wanted), "{files:?}");
    }
    for file in files {
        read(&file);
    }
}

#[test]
fn keys_of_the_profile_are_told_from_others() {
    let text = "[storage]\nprofile = \"qdrant\"\ndata_dir = \"/d\"\n[qdrant]\nurl = \"u\"\n[log]\n";
    let kept = without_qdrant(text);
    assert_eq!(kept, "[storage]\n\ndata_dir = \"/d\"\n\n\n[log]\n");
}

#[test]
#[should_panic(expected = "bogus")]
fn an_unknown_key_is_refused() {
    let loaded = Loaded {
        settings: Settings::default(),
        text: "[log]\nbogus = 1\n".to_owned(),
    };
    assert_eq!(loaded.written("log.bogus"), Some("1"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &loaded.text).unwrap();
    let overrides = Overrides {
        file: Some(file.path().to_owned()),
        ..Overrides::default()
    };
    load(&overrides).unwrap();
}
