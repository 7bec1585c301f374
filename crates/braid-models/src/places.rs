//! Where models and the inference library are looked for.

use std::env;
use std::path::{Path, PathBuf};

/// Braid's folder in the user's data folder (`$XDG_DATA_HOME`, by default `~/.local/share`).
/// `scripts/ort.py` puts the library there: keep the two in step.
pub(crate) fn user_data_folder() -> Option<PathBuf> {
    let base = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/share")))?;
    Some(base.join("braid"))
}

/// Folders that may hold model directories, in search order.
pub(crate) fn model_folders(configured: Option<&Path>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = configured.map(Path::to_path_buf).into_iter().collect();
    folders.push(PathBuf::from("models"));
    folders.extend(checkout_folders());
    folders.extend(user_data_folder().map(|data| data.join("models")));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())));
    folders
}

/// `models/` beside or above the executable (an installed Braid, or `target/release/braid` in a
/// checkout) and above the crate under test.
fn checkout_folders() -> Vec<PathBuf> {
    let executable = env::current_exe().ok();
    let beside = executable
        .iter()
        .flat_map(|exe| exe.ancestors().skip(1).take(4));
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = manifest.iter().flat_map(|dir| dir.ancestors().take(3));
    beside
        .chain(above)
        .map(|folder| folder.join("models"))
        .filter(|folder| folder.is_dir())
        .collect()
}
