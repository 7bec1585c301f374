//! Probe texts: known outputs, compared when a model is loaded, so that a CPU on which a quantized
//! kernel misbehaves (or a tokenizer that changed) is noticed before anything is indexed.

use braid_core::{Error, ErrorCode, Result};

use crate::manifest::{EmbedderManifest, EmbedderProbe, RerankerManifest, RerankerProbe};

/// Compares what `embed` makes of the probe texts.
pub(crate) fn probe_embedder(
    section: &EmbedderManifest,
    mut embed: impl FnMut(&str) -> Result<Vec<f32>>,
) -> Result<()> {
    for probe in &section.probes {
        let vector = embed(&probe.text)?;
        compare_vector(section, probe, &vector).map_err(misbehaves)?;
    }
    Ok(())
}

/// Compares what was made of a probe's text; an error says how it differs.
pub(crate) fn compare_vector(
    section: &EmbedderManifest,
    probe: &EmbedderProbe,
    vector: &[f32],
) -> Result<(), String> {
    let EmbedderProbe {
        text,
        vector_starts,
    } = probe;
    let start = &vector[..vector_starts.len().min(vector.len())];
    let cosine = cosine(start, vector_starts);
    let enough = start.len() == vector_starts.len() && cosine >= section.probe_min_cosine;
    if enough {
        return Ok(());
    }
    Err(format!(
        "cosine {cosine:.4} to the expected vector of {text:?}"
    ))
}

/// Compares what `score` makes of the probe pairs.
pub(crate) fn probe_reranker(
    section: &RerankerManifest,
    mut score: impl FnMut(&str, &str) -> Result<f32>,
) -> Result<()> {
    for probe in &section.probes {
        let found = score(&probe.query, &probe.passage)?;
        compare_score(section, probe, found).map_err(misbehaves)?;
    }
    Ok(())
}

/// Compares what was made of a probe's pair; an error says how it differs.
pub(crate) fn compare_score(
    section: &RerankerManifest,
    probe: &RerankerProbe,
    found: f32,
) -> Result<(), String> {
    let RerankerProbe { query, logit, .. } = probe;
    if (found - logit).abs() <= section.probe_tolerance {
        return Ok(());
    }
    Err(format!(
        "score {found:.3} for {query:?} where {logit:.3} is expected"
    ))
}

fn misbehaves(detail: String) -> Error {
    let message = format!("the model does not give its known outputs on this machine: {detail}");
    Error::new(ErrorCode::ModelUnavailable, message)
        .with_help("run `braid models verify`; if the files are good, use another ONNX Runtime library or model")
}

/// Cosine similarity; 0 when either is zero, NaN when either is not finite.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 {
        0.0
    } else {
        dot(a, b) / lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::PoolingKind;

    fn embedder(vector_starts: Vec<f32>) -> EmbedderManifest {
        EmbedderManifest {
            dimension: Some(3),
            pooling: PoolingKind::Mean,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            scripts: Vec::new(),
            probe_min_cosine: 0.98,
            probes: vec![EmbedderProbe {
                text: "t".to_owned(),
                vector_starts,
            }],
        }
    }

    #[test]
    fn a_vector_near_the_expected_one_passes_and_another_does_not() {
        let section = embedder(vec![0.6, 0.8]);
        probe_embedder(&section, |_| Ok(vec![0.61, 0.79, 0.1])).unwrap();
        for wrong in [
            vec![0.8, -0.6, 0.0],
            vec![f32::NAN, 0.8, 0.0],
            vec![0.6],
            vec![0.0; 3],
        ] {
            let error = probe_embedder(&section, |_| Ok(wrong.clone())).expect_err("far off");
            assert_eq!(error.code(), ErrorCode::ModelUnavailable);
        }
    }

    #[test]
    fn a_logit_near_the_expected_one_passes_and_another_does_not() {
        let probe = RerankerProbe {
            query: "q".to_owned(),
            passage: "p".to_owned(),
            logit: 1.0,
        };
        let section = RerankerManifest {
            recommended_blend: 0.3,
            languages: Vec::new(),
            calibration: None,
            probe_tolerance: 0.5,
            probes: vec![probe],
        };
        probe_reranker(&section, |_, _| Ok(1.4)).unwrap();
        for wrong in [1.6, 0.4, f32::NAN] {
            assert!(
                probe_reranker(&section, |_, _| Ok(wrong)).is_err(),
                "{wrong}"
            );
        }
    }
}
