//! One network, ready to run on one thread at a time.

use std::path::{Path, PathBuf};

use braid_core::{Error, ErrorCode, Result};
use ort::environment::Environment;
use ort::ep::CPU;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorElementType, TensorRef};

use crate::batch::Batch;
use crate::manifest::MODEL_FILE;
use crate::store::network_files;

/// A network of more than this is held once, not once per core.
const LARGE_NETWORK_BYTES: u64 = 256 * 1024 * 1024;

/// Inputs Braid can feed.
const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// How sessions of one model are opened. Every session holds the weights once.
#[derive(Clone, Debug)]
pub(crate) struct SessionSource {
    environment: Environment,
    model: PathBuf,
    outputs: OutputChoice,
    layout: Layout,
}

/// Which output of a network is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputChoice {
    /// Names to look for; the first that exists is read.
    pub(crate) names: &'static [&'static str],
    /// Whether an output under another name will do when it is the only one.
    pub(crate) any_sole: bool,
}

impl SessionSource {
    /// Sessions of the network in the model directory `dir`, for `cores` cores.
    pub(crate) fn new(
        environment: Environment,
        dir: &Path,
        outputs: OutputChoice,
        cores: usize,
    ) -> Self {
        Self {
            environment,
            model: dir.join(MODEL_FILE),
            outputs,
            layout: Layout::new(network_bytes(dir), cores),
        }
    }

    /// How many sessions to run side by side.
    pub(crate) fn sessions(&self) -> usize {
        self.layout.sessions
    }

    /// The same network for single texts that somebody waits for.
    pub(crate) fn for_single_texts(&self, cores: usize) -> Self {
        Self {
            layout: self.layout.for_single_texts(cores),
            ..self.clone()
        }
    }
}

/// How a model uses its cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Sessions side by side, each with a copy of the weights.
    sessions: usize,
    /// Threads within one run.
    threads: usize,
    /// Whether threads wait for each other busily, within a run only.
    spins: bool,
}

/// Threads of a run that spins: a text of a few tokens is too little work for more.
const SPINNING_THREADS: usize = 2;
/// Most sessions for single texts: each holds the weights.
const MOST_SINGLE_SESSIONS: usize = 4;

impl Layout {
    /// A session of one thread per core: runs side by side beat a run spread over cores. A network
    /// too large to be held once per core is spread over them all the same.
    fn new(network_bytes: u64, cores: usize) -> Self {
        let cores = cores.max(1);
        if network_bytes > LARGE_NETWORK_BYTES {
            Self {
                sessions: 1,
                threads: cores,
                spins: false,
            }
        } else {
            Self {
                sessions: cores,
                threads: 1,
                spins: false,
            }
        }
    }

    /// Pairs of threads: the least time for one text, at the cost of what spinning burns. A network
    /// that is spread over all cores stays so.
    fn for_single_texts(self, cores: usize) -> Self {
        if self.threads > 1 || cores < SPINNING_THREADS {
            return self;
        }
        Self {
            sessions: (cores / SPINNING_THREADS).clamp(1, MOST_SINGLE_SESSIONS),
            threads: SPINNING_THREADS,
            spins: true,
        }
    }
}

fn network_bytes(dir: &Path) -> u64 {
    let files = network_files(dir);
    files
        .iter()
        .filter_map(|file| Some(dir.join(file).metadata().ok()?.len()))
        .sum()
}

/// An ONNX Runtime session and what Braid needs to know of its network.
#[derive(Debug)]
pub(crate) struct ModelSession {
    session: Session,
    inputs: Vec<&'static str>,
    output: String,
}

impl ModelSession {
    /// Opens a session and checks that the network's inputs and outputs are ones Braid can use.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable).
    pub(crate) fn open(source: &SessionSource) -> Result<Self> {
        let session = build(source)?;
        let inputs = known_inputs(&session, &source.model)?;
        let output = choose_output(&session, source)?;
        Ok(Self {
            session,
            inputs,
            output,
        })
    }

    /// Runs the network and reads its output: shape and values.
    pub(crate) fn run<T>(
        &mut self,
        batch: &Batch,
        read: impl FnOnce(&[i64], &[f32]) -> Result<T>,
    ) -> Result<T> {
        let shape = [batch.rows, batch.columns];
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for name in &self.inputs {
            let data = match *name {
                "input_ids" => &batch.ids,
                "attention_mask" => &batch.mask,
                _ => &batch.types,
            };
            let tensor = TensorRef::from_array_view((shape, data.as_slice())).map_err(failed)?;
            inputs.push((*name, tensor));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        let output = outputs
            .get(self.output.as_str())
            .ok_or_else(|| Error::internal("the model left its output out"))?;
        let (shape, data) = output.try_extract_tensor::<f32>().map_err(failed)?;
        read(shape, data)
    }
}

fn failed(error: ort::Error) -> Error {
    Error::internal("inference failed").with_source(error)
}

pub(crate) fn unavailable(model: &Path, problem: impl std::fmt::Display) -> Error {
    let message = format!("the model {} cannot be used: {problem}", model.display());
    Error::new(ErrorCode::ModelUnavailable, message)
}

fn build(source: &SessionSource) -> Result<Session> {
    configure(source)
        .and_then(|mut builder| builder.commit_from_file(&source.model))
        .map_err(|error| unavailable(&source.model, error))
}

fn configure(source: &SessionSource) -> ort::Result<SessionBuilder> {
    // No arena: inputs are small, it gains no speed here and never gives memory back.
    let cpu = CPU::default().with_arena_allocator(false).build();
    let builder = Session::builder(&source.environment)?
        .with_execution_providers([cpu])?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(source.layout.threads)?
        // Spinning threads take the cores from the sessions beside this one.
        .with_intra_op_spinning(source.layout.spins)?;
    // Never after a run.
    Ok(builder.with_config_entry("session.force_spinning_stop", "1")?)
}

fn known_inputs(session: &Session, model: &Path) -> Result<Vec<&'static str>> {
    let known = |name: &str| INPUTS.into_iter().find(|known| *known == name);
    session
        .inputs()
        .iter()
        .map(|input| {
            known(input.name()).ok_or_else(|| {
                let problem = format!(
                    "it wants an input `{}`, which braid does not feed",
                    input.name()
                );
                unavailable(model, problem)
            })
        })
        .collect()
}

fn choose_output(session: &Session, source: &SessionSource) -> Result<String> {
    let outputs = session.outputs();
    let named = source
        .outputs
        .names
        .iter()
        .find_map(|wanted| outputs.iter().find(|output| output.name() == *wanted));
    let sole = || {
        outputs
            .first()
            .filter(|_| source.outputs.any_sole && outputs.len() == 1)
    };
    let Some(output) = named.or_else(sole) else {
        let found: Vec<_> = outputs.iter().map(|output| output.name()).collect();
        let wanted = source.outputs.names.join(", ");
        let problem = format!("it has the outputs {found:?} and none of {wanted}");
        return Err(unavailable(&source.model, problem));
    };
    if output.dtype().tensor_type() != Some(TensorElementType::Float32) {
        let problem = format!("its output `{}` is not of 32-bit floats", output.name());
        return Err(unavailable(&source.model, problem));
    }
    Ok(output.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_network_is_not_copied_for_every_core() {
        let small = Layout::new(23_000_000, 4);
        assert_eq!((small.sessions, small.threads), (4, 1));
        let large = Layout::new(1_300_000_000, 4);
        assert_eq!((large.sessions, large.threads), (1, 4));
        assert_eq!(Layout::new(0, 0).sessions, 1);
    }

    #[test]
    fn a_single_text_has_two_threads_where_there_are_two_cores() {
        let of = |bytes, cores: usize| {
            let layout = Layout::new(bytes, cores).for_single_texts(cores);
            (layout.sessions, layout.threads, layout.spins)
        };
        assert_eq!(of(23_000_000, 1), (1, 1, false));
        assert_eq!(of(23_000_000, 2), (1, 2, true));
        assert_eq!(of(23_000_000, 64), (4, 2, true));
        assert_eq!(of(1_300_000_000, 4), (1, 4, false));
    }
}
