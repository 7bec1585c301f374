//! Finding and loading ONNX Runtime, once per process.

use std::env;
use std::path::{Path, PathBuf};

use braid_core::{Error, ErrorCode, Result};
use ort::environment::Environment;
use parking_lot::Mutex;

use crate::places::user_data_folder;

/// The version of ONNX Runtime that `scripts/get-ort.sh` installs. Newer ones work too.
pub const ORT_VERSION: &str = "1.31.1";

/// Names the library file; goes before every other way of finding it.
const LIBRARY_VARIABLE: &str = "BRAID_ORT_LIB";

const HELP: &str = "run `make models` or set BRAID_ORT_LIB";

/// Which rule named the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibrarySource {
    /// The variable `BRAID_ORT_LIB`.
    Variable,
    /// The configuration.
    Configured,
    /// The user's data folder, where `make models` puts it.
    DataFolder,
    /// Whatever the system's loader finds under the usual name.
    SystemLoader,
}

/// The library that would be loaded, and why: `BRAID_ORT_LIB`, else the configured path, else the
/// user's data folder where it is there, else the system's loader. A library that was named is not
/// skipped when it is broken.
pub fn library_path(configured: Option<&Path>) -> (PathBuf, LibrarySource) {
    let named = env::var_os(LIBRARY_VARIABLE).filter(|value| !value.is_empty());
    let installed = installed_library().filter(|path| path.is_file());
    choose_library(named.map(PathBuf::from), configured, installed)
}

fn choose_library(
    named: Option<PathBuf>,
    configured: Option<&Path>,
    installed: Option<PathBuf>,
) -> (PathBuf, LibrarySource) {
    if let Some(path) = named {
        return (path, LibrarySource::Variable);
    }
    if let Some(path) = configured {
        return (path.to_path_buf(), LibrarySource::Configured);
    }
    if let Some(path) = installed {
        return (path, LibrarySource::DataFolder);
    }
    let name = if cfg!(target_os = "macos") {
        "libonnxruntime.dylib"
    } else {
        "libonnxruntime.so"
    };
    (PathBuf::from(name), LibrarySource::SystemLoader)
}

fn installed_library() -> Option<PathBuf> {
    let file = if cfg!(target_os = "macos") {
        format!("libonnxruntime.{ORT_VERSION}.dylib")
    } else {
        format!("libonnxruntime.so.{ORT_VERSION}")
    };
    Some(user_data_folder()?.join("ort").join(ORT_VERSION).join(file))
}

/// The library in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryInfo {
    /// Its path, or the name under which the system's loader found it.
    pub path: PathBuf,
    /// Which rule named it.
    pub source: LibrarySource,
    /// What it says of its own build: branch, commit, compiler flags.
    pub build: String,
}

/// Loads the library, if the process has not done so, and says which it is.
///
/// # Errors
/// As [`environment`].
pub(crate) fn info(configured: Option<&Path>) -> Result<LibraryInfo> {
    environment(configured)?;
    let (path, source) = library_path(configured);
    Ok(LibraryInfo {
        path,
        source,
        build: ort::info().to_owned(),
    })
}

/// The process's one environment. The first successful call decides which library it is.
///
/// # Errors
/// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when the library is missing, broken or too
/// old; a later call tries again.
pub(crate) fn environment(configured: Option<&Path>) -> Result<Environment> {
    // Kept for good: ONNX Runtime allows one environment per process.
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut environment = ENVIRONMENT.lock();
    if let Some(loaded) = environment.as_ref() {
        return Ok(loaded.clone());
    }
    let (path, source) = library_path(configured);
    let loaded = load(&path, source)?;
    Ok(environment.insert(loaded).clone())
}

fn load(path: &Path, source: LibrarySource) -> Result<Environment> {
    if source != LibrarySource::SystemLoader && !path.is_file() {
        let message = format!("the ONNX Runtime library {} does not exist", path.display());
        return Err(unavailable(message));
    }
    let builder = ort::init_from(path).map_err(|error| {
        let message = format!(
            "the ONNX Runtime library {} cannot be loaded",
            path.display()
        );
        unavailable(message).with_source(error)
    })?;
    let environment = builder.with_name("braid").with_telemetry(false).build();
    let environment = environment.map_err(|error| {
        unavailable("ONNX Runtime does not start".to_owned()).with_source(error)
    })?;
    tracing::info!(library = %path.display(), ?source, "loaded onnx runtime");
    Ok(environment)
}

fn unavailable(message: String) -> Error {
    Error::new(ErrorCode::ModelUnavailable, message).with_help(HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_goes_before_the_configuration_and_the_data_folder() {
        let (named, installed) = (PathBuf::from("/named"), PathBuf::from("/installed"));
        let configured = Path::new("/configured");
        let all = choose_library(
            Some(named.clone()),
            Some(configured),
            Some(installed.clone()),
        );
        assert_eq!(all, (named, LibrarySource::Variable));
        let two = choose_library(None, Some(configured), Some(installed.clone()));
        assert_eq!(two, (configured.to_path_buf(), LibrarySource::Configured));
        let one = choose_library(None, None, Some(installed.clone()));
        assert_eq!(one, (installed, LibrarySource::DataFolder));
        assert_eq!(
            choose_library(None, None, None).1,
            LibrarySource::SystemLoader
        );
    }

    #[test]
    fn a_missing_library_is_reported_with_the_command_that_mends_it() {
        let error = load(
            Path::new("/nowhere/libonnxruntime.so"),
            LibrarySource::Variable,
        )
        .expect_err("there is no such file");
        assert_eq!(error.code(), ErrorCode::ModelUnavailable);
        assert!(
            error.message().contains("/nowhere/libonnxruntime.so"),
            "{error}"
        );
        assert_eq!(error.help(), Some(HELP));
    }

    #[test]
    fn a_file_that_is_no_library_is_reported_the_same_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libonnxruntime.so");
        std::fs::write(&path, "not a shared object").unwrap();
        let error = load(&path, LibrarySource::Configured).expect_err("a text file");
        assert_eq!(error.code(), ErrorCode::ModelUnavailable);
        assert!(error.message().contains("cannot be loaded"), "{error}");
        assert_eq!(error.help(), Some(HELP));
    }
}
