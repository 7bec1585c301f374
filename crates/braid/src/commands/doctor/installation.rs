//! What every data directory needs: ONNX Runtime and the models.

use std::sync::Arc;

use braid_config::Settings;
use braid_core::{Embedder, Error, Fingerprint, Result};
use braid_engine::model_files::{LibraryInfo, LibrarySource, ModelStore};
use braid_engine::{
    ServerCheck, check_model_servers, load_embedder, load_reranker, model_store, runs_models_here,
};

use super::{Finding, Report};

/// Checks library and models. Gives the embedder, where it works.
pub(super) async fn check(
    settings: &Settings,
    report: &mut Report,
) -> Result<Option<Arc<dyn Embedder>>> {
    let settings = settings.clone();
    let checked = tokio::task::spawn_blocking(move || check_models(&settings));
    let (findings, embedder) = checked
        .await
        .map_err(|error| Error::internal("a check stopped").with_source(error))?;
    findings.into_iter().for_each(|finding| report.add(finding));
    Ok(embedder)
}

fn check_models(settings: &Settings) -> (Vec<Finding>, Option<Arc<dyn Embedder>>) {
    let store = model_store(settings);
    let library = store.library();
    let needed = runs_models_here(settings).unwrap_or(true);
    let mut findings = vec![match &library {
        Ok(info) => Finding::ok("library", describe(info)),
        Err(_) if !needed => Finding::ok("library", "not needed: the models run elsewhere"),
        Err(error) => Finding::error("library", error),
    }];
    let servers = match check_model_servers(settings) {
        Ok(servers) => servers,
        Err(error) => {
            findings.push(Finding::error("model servers", &error));
            Vec::new()
        }
    };
    findings.extend(servers.iter().map(server));
    let is_served = |model: &str| servers.iter().any(|server| server.model == model);
    let (embedder, reranker) = (&settings.models.embedder, &settings.models.reranker);
    if library.is_err() && needed {
        findings.push(check_files(&store, "embedder", embedder));
        if reranker != "none" {
            findings.push(check_files(&store, "reranker", reranker));
        }
        return (findings, None);
    }
    let loaded = load_embedder(settings);
    findings.push(match &loaded {
        Ok(embedder) => works("embedder", embedder.fingerprint(), is_served("embedder")),
        Err(error) => Finding::error("embedder", error),
    });
    findings.push(match load_reranker(settings) {
        Ok(Some(reranker)) => works("reranker", reranker.fingerprint(), is_served("reranker")),
        Ok(None) => Finding::ok("reranker", "none is configured"),
        Err(error) => Finding::error("reranker", &error),
    });
    (findings, loaded.ok())
}

/// A server that cannot be asked now is waited for: the rest works without it.
fn server(check: &ServerCheck) -> Finding {
    let (name, endpoint) = (server_check_name(check.model), &check.endpoint);
    match &check.outcome {
        Ok(()) => Finding::ok(name, format!("{endpoint}: probe texts as expected")),
        Err(error) if error.code().is_retryable() => {
            let finding = Finding::warning(name, error.chain());
            match error.help() {
                Some(help) => finding.remedy(help),
                None => finding,
            }
        }
        Err(error) => Finding::error(name, error),
    }
}

fn server_check_name(model: &str) -> &'static str {
    match model {
        "embedder" => "embedder server",
        _ => "reranker server",
    }
}

fn works(check: &'static str, fingerprint: &Fingerprint, is_served: bool) -> Finding {
    let probes = match is_served {
        false => "probe texts as expected",
        true => "its servers' answers are above",
    };
    Finding::ok(check, format!("{fingerprint}: files as listed, {probes}"))
}

/// Looks at the files alone: without the library nothing can be run.
fn check_files(store: &ModelStore, check: &'static str, name: &str) -> Finding {
    let verified = store.find(name).and_then(|model| {
        if !model.has_manifest {
            return Ok(None);
        }
        store.verify(name).map(Some)
    });
    let unrun = "was not run, for want of the library";
    match verified {
        Err(error) => Finding::error(check, &error),
        Ok(None) => Finding::warning(check, format!("{name} {unrun}; it has no manifest")),
        Ok(Some(files)) => match files.iter().find(|file| !file.state.is_good()) {
            None => Finding::warning(check, format!("{name} {unrun}; its files are as listed"))
                .remedy("mend the library first"),
            Some(bad) => {
                let (file, state) = (&bad.file, bad.state.describe());
                Finding::problem(check, format!("{name}: {file} is {state}"))
                    .remedy(store.mend(name))
            }
        },
    }
}

fn describe(info: &LibraryInfo) -> String {
    let rule = match info.source {
        LibrarySource::Variable => "BRAID_ORT_LIB",
        LibrarySource::Configured => "models.ort_library",
        LibrarySource::DataFolder => "the user's data folder",
        LibrarySource::SystemLoader => "the system's loader",
    };
    let path = info.path.display();
    format!("ONNX Runtime {}, {path} (from {rule})", release(info))
}

/// The release in the name of the file, such as `libonnxruntime.so.1.31.1`, behind links; else the
/// commit that it says it was built from.
fn release(info: &LibraryInfo) -> String {
    let file = info.path.canonicalize().ok();
    let name = file.as_deref().and_then(|path| path.file_name()?.to_str());
    let version = name.and_then(|name| {
        let rest = name.strip_prefix("libonnxruntime.")?;
        let rest = rest.strip_suffix(".dylib").or(rest.strip_prefix("so."))?;
        rest.starts_with(|c: char| c.is_ascii_digit())
            .then_some(rest)
    });
    if let Some(version) = version {
        return version.to_owned();
    }
    let commit = info.build.split("git-commit-id=").nth(1);
    let commit = commit.and_then(|rest| rest.split([',', ' ']).next());
    commit.map_or_else(
        || info.build.clone(),
        |commit| format!("of commit {commit}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_the_file_s_or_the_build_s() {
        let root = tempfile::tempdir().unwrap();
        let info = |name: &str, build: &str| LibraryInfo {
            path: root.path().join(name),
            source: LibrarySource::Variable,
            build: build.to_owned(),
        };
        for name in ["libonnxruntime.so.1.31.1", "libonnxruntime.1.31.1.dylib"] {
            std::fs::write(root.path().join(name), "").unwrap();
            assert_eq!(release(&info(name, "")), "1.31.1");
        }
        let link = root.path().join("libonnxruntime.so");
        std::os::unix::fs::symlink("libonnxruntime.so.1.31.1", link).unwrap();
        assert_eq!(release(&info("libonnxruntime.so", "")), "1.31.1");
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=6af1a93, build type=Release";
        assert_eq!(release(&info("ort.so", build)), "of commit 6af1a93");
        assert_eq!(release(&info("ort.so", "unknown")), "unknown");
    }
}
