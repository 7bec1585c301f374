//! A disk that keeps only what was synced: `dropsync.c`, compiled and preloaded into a child.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{Role, Task, die, tell};
use crate::world::scratch;

/// What such a disk keeps of one process's data directory.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) image: PathBuf,
    /// While this file exists, the disk is full.
    pub(crate) full: PathBuf,
    /// The sync before which the process dies, from 1; 0 is none.
    pub(crate) death: usize,
}

impl Disk {
    /// An empty disk whose contents are kept in the folder `image`.
    pub(crate) fn new(image: &Path) -> Self {
        for part in ["files", "dirs"] {
            fs::create_dir_all(image.join(part)).unwrap();
        }
        Self {
            image: image.to_owned(),
            full: image.join("full"),
            death: 0,
        }
    }

    /// Makes `directory` of a process lie on it.
    pub(crate) fn attach(&self, command: &mut Command, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        command
            .env("LD_PRELOAD", library())
            .env("DROPSYNC_ROOT", directory.canonicalize().unwrap())
            .env("DROPSYNC_IMAGE", &self.image)
            .env("DROPSYNC_FULL", &self.full)
            .env("DROPSYNC_DEATH", self.death.to_string());
    }

    /// How many syncs there were in the life of a process that was not killed.
    pub(crate) fn syncs(&self) -> usize {
        let count = fs::read_to_string(self.image.join("syncs"));
        count.unwrap().parse().unwrap()
    }

    /// Makes `directory` what is left after the power went.
    pub(crate) fn restore(&self, directory: &Path) {
        self.restore_directory("root", directory);
    }

    fn restore_directory(&self, key: &str, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        // A directory that was never synced is empty.
        let entries = fs::read_to_string(self.image.join("dirs").join(key)).unwrap_or_default();
        for entry in entries.lines() {
            let [kind, key, name] = entry.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("no entry: {entry}");
            };
            let (content, path) = (self.image.join("files").join(key), directory.join(name));
            match kind {
                "d" => self.restore_directory(key, &path),
                _ if content.exists() => drop(fs::copy(content, path).unwrap()),
                _ => drop(File::create(path).unwrap()),
            }
        }
    }
}

/// The compiled library, made once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let compile = || {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("dropsync.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/dropsync.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(compiler)
            .args([
                "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("a C compiler");
        let errors = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{errors}");
        (folder, library)
    };
    &LIBRARY.get_or_init(compile).1
}

/// The child of the test below.
pub(crate) fn write_files(directory: &Path) {
    let sync = |path: &Path| File::open(path).unwrap().sync_all().unwrap();
    let create = |name: &str, text: &str| {
        let mut file = File::create(directory.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    create("synced", "old").sync_all().unwrap();
    create("replaced", "old").sync_all().unwrap();
    create("removed", "old").sync_all().unwrap();
    fs::create_dir(directory.join("folder")).unwrap();
    create("folder/inside", "old").sync_data().unwrap();
    create("empty", "unsynced content");
    sync(&directory.join("folder"));
    sync(directory);
    // From here on names are lost, and contents that are not synced.
    let mut synced = create("synced", "new");
    synced.sync_data().unwrap();
    synced.write_all(b" and more").unwrap();
    create("folder/inside", "new");
    create("draft", "new").sync_all().unwrap();
    fs::rename(directory.join("draft"), directory.join("replaced")).unwrap();
    fs::remove_file(directory.join("removed")).unwrap();
    create("created", "new").sync_all().unwrap();
    tell("written");
    die();
}

#[test]
fn the_disk_loses_what_was_not_synced_and_nothing_else() {
    let scratch = scratch();
    let disk = Disk::new(&scratch.path().join("disk"));
    let before = scratch.path().join("before");
    let ended = Task::new(Role::Files, &before).run(Some(&disk));
    assert!(ended.was_killed);
    assert_eq!(ended.lines, ["written"]);
    let read = |name: &str| fs::read_to_string(before.join(name)).unwrap();
    assert_eq!(read("synced"), "new and more", "the process saw its writes");
    let after = scratch.path().join("after");
    disk.restore(&after);
    let read = |name: &str| fs::read_to_string(after.join(name)).unwrap();
    assert_eq!(read("synced"), "new", "content as of the last sync");
    assert_eq!(
        read("folder/inside"),
        "old",
        "content that was not synced again"
    );
    assert_eq!(
        read("replaced"),
        "old",
        "a rename needs a sync of the directory"
    );
    assert_eq!(read("removed"), "old", "and so does a removal");
    assert_eq!(read("empty"), "", "a name without content");
    assert!(!after.join("created").exists(), "a content without name");
    assert!(!after.join("draft").exists());
}
