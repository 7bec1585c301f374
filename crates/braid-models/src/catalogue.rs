//! fastembed's built-in models, by the name of their repository's last part.

use braid_core::{Error, Result};
use fastembed::{EmbeddingModel, RerankerModel, TextEmbedding, TextRerank};

/// A built-in model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Builtin {
    /// The name it is pulled and stored under.
    pub(crate) name: String,
    /// Which of fastembed's models it is.
    pub(crate) model: BuiltinModel,
    /// Its repository on the hub, `organisation/name`.
    pub(crate) repository: String,
    /// Path of the network in the repository.
    pub(crate) file: String,
    /// Paths of what the network's file needs beside it.
    pub(crate) more_files: Vec<String>,
}

/// Which of fastembed's models it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BuiltinModel {
    /// An embedder.
    Embedder(EmbeddingModel),
    /// A cross-encoder.
    Reranker(RerankerModel),
}

/// Every name that [`find`] knows.
pub(crate) fn names() -> Vec<String> {
    all().into_iter().map(|builtin| builtin.name).collect()
}

/// The built-in model of that name, whatever its case.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) when there is none.
pub(crate) fn find(name: &str) -> Result<Builtin> {
    let known = all()
        .into_iter()
        .find(|builtin| builtin.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| {
        Error::invalid(format!("there is no built-in model {name}"))
            .with_help(format!("choose one of: {}", names().join(", ")))
    })
}

fn all() -> Vec<Builtin> {
    let embedders = TextEmbedding::list_supported_models()
        .into_iter()
        .map(|info| Builtin {
            name: name_of(&info.model_code, &info.model_file),
            model: BuiltinModel::Embedder(info.model),
            repository: info.model_code,
            file: info.model_file,
            more_files: info.additional_files,
        });
    let rerankers = TextRerank::list_supported_models()
        .into_iter()
        .map(|info| Builtin {
            name: name_of(&info.model_code, &info.model_file),
            model: BuiltinModel::Reranker(info.model),
            repository: info.model_code,
            file: info.model_file,
            more_files: info.additional_files,
        });
    let mut builtins: Vec<Builtin> = embedders.chain(rerankers).collect();
    builtins.sort_by(|a, b| a.name.cmp(&b.name));
    builtins.dedup_by(|a, b| a.name == b.name);
    builtins
}

/// The repository's last part, and what sets the network's file apart from `model.onnx` where one
/// repository holds several (`model_quantized.onnx` gives `NAME-quantized`).
fn name_of(repository: &str, file: &str) -> String {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let variant = last(file)
        .trim_start_matches("model")
        .trim_end_matches(".onnx")
        .to_owned();
    match variant.trim_start_matches('_') {
        "" | "optimized" => last(repository),
        variant => format!("{}-{variant}", last(repository)),
    }
}

#[cfg(test)]
mod tests {
    use braid_core::ErrorCode;

    use super::*;

    #[test]
    fn built_in_models_have_names_of_their_own() {
        let names = names();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert!(names.iter().all(|name| !name.contains('/')));
        let reranker = find("BGE-reranker-base").unwrap();
        assert_eq!(
            reranker.model,
            BuiltinModel::Reranker(RerankerModel::BGERerankerBase)
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = find("word2vec").expect_err("not built in");
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
        assert!(
            error
                .help()
                .is_some_and(|help| help.contains("bge-small-en-v1.5")),
            "{error}"
        );
    }
}
