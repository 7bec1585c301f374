//! Where wakes come from: the system's file events, or a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Sends wakes until it is dropped.
#[derive(Debug)]
pub(super) struct WakeSource(tokio::task::JoinHandle<()>);

impl Drop for WakeSource {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to watch `paths`: by events, or every `poll` seconds.
///
/// # Errors
/// `Unavailable` when the system refuses to watch them.
pub(super) fn begin(
    paths: &[PathBuf],
    poll: Option<u32>,
) -> Result<(mpsc::Receiver<()>, WakeSource)> {
    // One wake that waits is as good as many: a full channel loses nothing.
    let (sender, wakes) = mpsc::channel(1);
    let source = match poll {
        Some(seconds) => clock(sender, Duration::from_secs(seconds.into())),
        None => events(sender, paths)?,
    };
    Ok((wakes, source))
}

fn clock(sender: mpsc::Sender<()>, interval: Duration) -> WakeSource {
    WakeSource(tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                return;
            }
        }
    }))
}

fn events(sender: mpsc::Sender<()>, paths: &[PathBuf]) -> Result<WakeSource> {
    let watched = Watched::of(paths)?;
    // One note that waits is as good as many here as well.
    let (note, mut notes) = mpsc::channel(1);
    let replaced = Arc::new(AtomicBool::new(false));
    let (seen, set) = (watched.clone(), Arc::clone(&replaced));
    let on_event = move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(|event| seen.is_idle(event)) {
            return;
        }
        if event.as_ref().map_or(true, |event| seen.is_replaced(event)) {
            set.store(true, Ordering::SeqCst);
        }
        // An error, such as too many events at once, is a reason to look as well.
        let _ = note.try_send(());
    };
    let config = Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(on_event, config).map_err(refused)?;
    watched.begin(&mut watcher)?;
    Ok(WakeSource(tokio::spawn(async move {
        while notes.recv().await.is_some() {
            if replaced.swap(false, Ordering::SeqCst) {
                // Before the wake: what is written later is seen, what was before is looked for.
                watched.begin_anew(&mut watcher);
            }
            if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                return;
            }
        }
    })))
}

/// What is watched. A watch is of a folder, not of its name: where another folder takes its place,
/// the folder that it is in says so, and it is watched anew.
#[derive(Clone, Debug)]
struct Watched {
    /// The sources as events may name them: as they are watched, and behind links.
    names: Vec<PathBuf>,
    folders: BTreeMap<PathBuf, RecursiveMode>,
    /// Of the folders, those that are sources themselves; the others stay.
    replaceable: Vec<PathBuf>,
    /// Folders that sources are in, watched where that is allowed.
    around: BTreeSet<PathBuf>,
}

impl Watched {
    fn of(paths: &[PathBuf]) -> Result<Self> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).map_err(|error| {
                let message = format!("cannot find {}: {error}", path.display());
                Error::new(ErrorCode::Unavailable, message)
            })
        };
        let sources: Vec<PathBuf> = paths.iter().map(absolute).collect::<Result<_>>()?;
        let folders = folders(&sources);
        let behind_links = sources.iter().filter_map(|path| path.canonicalize().ok());
        let behind_links: Vec<_> = behind_links.collect();
        let is_source = |folder: &&PathBuf| sources.contains(folder);
        let replaceable: Vec<PathBuf> = folders.keys().filter(is_source).cloned().collect();
        let around = replaceable.iter().filter_map(|folder| folder.parent());
        let around = around.map(Path::to_owned);
        let around = around.filter(|folder| !folders.contains_key(folder));
        Ok(Self {
            around: around.collect(),
            names: sources.iter().cloned().chain(behind_links).collect(),
            folders,
            replaceable,
        })
    }

    fn begin(&self, watcher: &mut RecommendedWatcher) -> Result<()> {
        for (folder, mode) in &self.folders {
            watcher.watch(folder, *mode).map_err(refused)?;
        }
        for folder in &self.around {
            // Where it may not be watched, what is in the source is followed all the same.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        Ok(())
    }

    /// Watches what now has the names. What is not there is watched once it is.
    fn begin_anew(&self, watcher: &mut RecommendedWatcher) {
        for folder in &self.replaceable {
            // The folder that was watched may be gone, and its watch with it.
            let _ = watcher.unwatch(folder);
            let _ = watcher.watch(folder, self.folders[folder]);
        }
    }

    /// Whether an event changes nothing that would be read.
    fn is_idle(&self, event: &Event) -> bool {
        if event.need_rescan() {
            return false;
        }
        let concerns = |path: &PathBuf| {
            let is_within = |source: &PathBuf| path.starts_with(source);
            self.names.iter().any(is_within)
        };
        says_nothing(event) || (!event.paths.is_empty() && !event.paths.iter().any(concerns))
    }

    /// Whether a watched folder came, went or was renamed.
    fn is_replaced(&self, event: &Event) -> bool {
        let is_moved = matches!(
            event.kind,
            EventKind::Create(_)
                | EventKind::Remove(_)
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Any
        );
        let is_folder = |path: &PathBuf| self.names.contains(path);
        event.need_rescan() || (is_moved && event.paths.iter().any(is_folder))
    }
}

/// Reading changes nothing, and ingesting reads.
fn says_nothing(event: &Event) -> bool {
    let is_written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    event.kind.is_access() && event.kind != is_written && !event.need_rescan()
}

/// What to watch. Of a file its folder: whoever replaces a file leaves another in its place.
fn folders(paths: &[PathBuf]) -> BTreeMap<PathBuf, RecursiveMode> {
    let mut folders = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            folders.insert(path.clone(), RecursiveMode::Recursive);
            continue;
        }
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let entry = folders.entry(folder.to_owned());
        entry.or_insert(RecursiveMode::NonRecursive);
    }
    folders
}

fn refused(error: notify::Error) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("the system does not watch these paths: {error}"),
    )
    .with_help("give --watch-poll SECONDS to look for changes instead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_wakes_nobody_and_writing_does() {
        let event = |kind| Event::new(kind);
        let closed = |mode| event(EventKind::Access(AccessKind::Close(mode)));
        assert!(says_nothing(&event(EventKind::Access(AccessKind::Read))));
        assert!(says_nothing(&closed(AccessMode::Read)));
        assert!(!says_nothing(&closed(AccessMode::Write)));
        assert!(!says_nothing(&event(EventKind::Any)));
        let overflow = event(EventKind::Access(AccessKind::Read));
        let overflow = overflow.set_flag(notify::event::Flag::Rescan);
        assert!(!says_nothing(&overflow), "events were lost");
    }

    #[test]
    fn a_file_is_watched_through_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.md");
        let found = folders(&[file.clone(), PathBuf::from("b.md")]);
        let flat = RecursiveMode::NonRecursive;
        let expected = [(".".into(), flat), (folder.path().to_owned(), flat)];
        assert_eq!(found, BTreeMap::from(expected));
        let found = folders(&[folder.path().to_owned(), file]);
        assert_eq!(found[folder.path()], RecursiveMode::Recursive);
    }

    /// Events of the system, each waited for.
    async fn wakes_on_write(file: &Path, wakes: &mut mpsc::Receiver<()>) {
        // A few late events may still come: each write must wake all the same.
        for round in 0..20 {
            let _ = wakes.try_recv();
            std::fs::write(file, round.to_string()).unwrap();
            let woken = tokio::time::timeout(Duration::from_secs(20), wakes.recv());
            assert_eq!(woken.await, Ok(Some(())), "deaf to {}", file.display());
        }
    }

    #[tokio::test]
    async fn a_folder_that_took_the_place_of_a_watched_one_is_watched() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir(at("docs")).unwrap();
        let (mut wakes, _source) = begin(&[at("docs")], None).unwrap();
        wakes_on_write(&at("docs/a.md"), &mut wakes).await;
        // Another one is renamed to its name, as whoever deploys a folder whole does.
        std::fs::create_dir(at("next")).unwrap();
        std::fs::rename(at("docs"), at("old")).unwrap();
        std::fs::rename(at("next"), at("docs")).unwrap();
        assert_eq!(wakes.recv().await, Some(()));
        wakes_on_write(&at("docs/b.md"), &mut wakes).await;
        // Removed, and made anew.
        std::fs::remove_dir_all(at("docs")).unwrap();
        assert_eq!(wakes.recv().await, Some(()));
        std::fs::create_dir(at("docs")).unwrap();
        wakes_on_write(&at("docs/c.md"), &mut wakes).await;
    }

    #[test]
    fn what_is_beside_a_source_wakes_nobody() {
        let place = tempfile::tempdir().unwrap();
        let docs = place.path().join("docs");
        std::fs::create_dir(&docs).unwrap();
        let watched = Watched::of(std::slice::from_ref(&docs)).unwrap();
        let event = |path: PathBuf| Event::new(EventKind::Any).add_path(path);
        assert!(watched.is_idle(&event(place.path().join("beside.md"))));
        assert!(!watched.is_idle(&event(docs.join("a.md"))));
        assert!(!watched.is_replaced(&event(docs.join("a.md"))));
        assert!(watched.is_replaced(&event(docs)));
    }
}
