//! Where wakes come from: the system's file events, or a clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use braid_core::{Error, ErrorCode, Result};
use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Sends wakes until it is dropped.
#[derive(Debug)]
pub(super) enum WakeSource {
    Events { _watcher: RecommendedWatcher },
    Clock(tokio::task::JoinHandle<()>),
}

impl Drop for WakeSource {
    fn drop(&mut self) {
        if let Self::Clock(ticking) = self {
            ticking.abort();
        }
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
    WakeSource::Clock(tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                return;
            }
        }
    }))
}

fn events(sender: mpsc::Sender<()>, paths: &[PathBuf]) -> Result<WakeSource> {
    let on_event = move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(says_nothing) {
            return;
        }
        // An error, such as too many events at once, is a reason to look as well.
        let _ = sender.try_send(());
    };
    let config = Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(on_event, config).map_err(refused)?;
    for (folder, mode) in folders(paths) {
        watcher.watch(&folder, mode).map_err(refused)?;
    }
    Ok(WakeSource::Events { _watcher: watcher })
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
}
