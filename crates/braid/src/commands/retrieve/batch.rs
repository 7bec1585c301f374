//! `braid retrieve --batch`: a retrieval a line.

use std::path::Path;

use braid_config::Settings;
use braid_core::limits::{MAX_BATCH_HITS, MAX_TOP_K};
use braid_core::{Error, ErrorCode, Result};
use braid_engine::query::RetrieveRequest;
use braid_engine::{Engine, LoadModels, retrieve_defaults};
use braid_ingest::remote::Remote;
use braid_server::dto::retrieve::{BatchAnswer, BatchResponse, RetrieveBody};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use uuid::Uuid;

use super::{body, print_text};
use crate::args::RetrieveArgs;
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Lines that are asked together, of one state: as many as a batch takes of the largest.
const LINES_AT_ONCE: usize = MAX_BATCH_HITS / MAX_TOP_K;
/// Longest line, in bytes: some times the longest query with its filter.
const MAX_LINE_BYTES: u64 = 1 << 20;

pub(super) async fn run(settings: &Settings, args: &RetrieveArgs, file: &Path) -> Result<Exit> {
    let mut lines = Lines::open(file, body(args)?).await?;
    let mut told = Told::default();
    match &args.asked.server {
        Some(url) => {
            while let Some(questions) = lines.next().await? {
                let responses = ask_server(url, &questions).await?;
                told.print(&questions, &responses, args.asked.json);
            }
            Ok(told.exit())
        }
        None => {
            let models = match args.asked.no_rerank {
                true => LoadModels::Embedder,
                false => LoadModels::All,
            };
            let defaults = retrieve_defaults(settings)?;
            with_engine(settings, Directory::Found(models), async |engine| {
                while let Some(questions) = lines.next().await? {
                    let responses = ask_engine(engine, &questions, &defaults).await;
                    told.print(&questions, &responses, args.asked.json);
                }
                Ok(told.exit())
            })
            .await
        }
    }
}

/// A line: the request, or why it is none.
type Question = Result<Value>;

/// Asks those that are requests; the others are refused here.
async fn ask_server(url: &str, questions: &[Question]) -> Result<Vec<BatchResponse>> {
    let requests: Vec<Value> = questions.iter().flatten().cloned().collect();
    let mut answered = Vec::new();
    if !requests.is_empty() {
        let body = json!({ "requests": requests });
        let post = move |remote: &Remote| remote.post("/v1/retrieve/batch", &body, None);
        let answer: BatchAnswer = ask(url, post).await?;
        answered = answer.responses;
    }
    let mut answered = answered.into_iter();
    let responses = questions.iter().map(|question| match question {
        Ok(_) => answered
            .next()
            .ok_or_else(|| Error::internal("the server answered fewer retrievals than were asked")),
        Err(error) => Ok(refused(error)),
    });
    responses.collect()
}

async fn ask_engine(
    engine: &Engine,
    questions: &[Question],
    defaults: &RetrieveRequest,
) -> Vec<BatchResponse> {
    let requests: Vec<Result<RetrieveRequest>> = questions
        .iter()
        .map(|question| match question {
            Ok(body) => read(body, defaults),
            Err(error) => Err(Error::new(error.code(), error.message())),
        })
        .collect();
    let collections = requests.iter().flatten();
    let collections: Vec<_> = collections.map(|one| one.collection.clone()).collect();
    let batch = engine.batch(collections).await;
    let mut responses = Vec::new();
    for request in requests {
        let response = match request {
            Ok(request) => {
                let explain = request.explain;
                let mut outcome = engine.retrieve_of(&batch, request).await;
                if let Ok(response) = &mut outcome {
                    // The list ends with the process.
                    response.next_cursor = None;
                }
                BatchResponse::new(Uuid::now_v7().to_string(), outcome, explain)
            }
            Err(error) => refused(&error),
        };
        responses.push(response);
    }
    responses
}

fn read(body: &Value, defaults: &RetrieveRequest) -> Result<RetrieveRequest> {
    let body = RetrieveBody::parse(body.to_string().as_bytes())?;
    // The configured deadline is for a server, whose models are warm and whose callers wait.
    let deadline_ms = body.rerank.and_then(|rerank| rerank.deadline_ms);
    let mut request = body.into_request(defaults)?;
    request.rerank.deadline_ms = deadline_ms;
    Ok(request)
}

fn refused(error: &Error) -> BatchResponse {
    BatchResponse::refused(Uuid::now_v7().to_string(), error)
}

/// What was printed.
#[derive(Default)]
struct Told {
    answered: usize,
    failed: usize,
}

impl Told {
    fn print(&mut self, questions: &[Question], responses: &[BatchResponse], json: bool) {
        for (question, response) in questions.iter().zip(responses) {
            let is_problem = matches!(response, BatchResponse::Problem(_));
            self.failed += usize::from(is_problem);
            self.answered += usize::from(!is_problem);
            if json {
                output::json_line(response);
                continue;
            }
            let query = question.as_ref().ok();
            let query = query.and_then(|body| body["query"].as_str());
            output::line(format!("== {}", query.unwrap_or("not a request")));
            match response {
                BatchResponse::Answer(answer) => print_text(answer),
                BatchResponse::Problem(problem) => {
                    output::line(format!("error: {}", problem.detail));
                }
            }
        }
    }

    fn exit(&self) -> Exit {
        if self.failed == 0 {
            return Exit::Done;
        }
        let of = self.answered + self.failed;
        output::note(format!("{} of {of} retrievals failed", self.failed));
        Exit::Partly
    }
}

/// The requests of a file, a few at a time.
struct Lines {
    reader: Box<dyn AsyncBufRead + Unpin + Send>,
    /// What a line leaves open.
    base: Value,
    read: usize,
}

impl Lines {
    async fn open(file: &Path, base: Value) -> Result<Self> {
        let reader: Box<dyn AsyncBufRead + Unpin + Send> = if file == Path::new("-") {
            Box::new(BufReader::new(tokio::io::stdin()))
        } else {
            let opened = tokio::fs::File::open(file).await;
            Box::new(BufReader::new(
                opened.map_err(|error| unreadable(file, error))?,
            ))
        };
        Ok(Self {
            reader,
            base,
            read: 0,
        })
    }

    /// The next few requests; `None` at the end. Empty lines are passed over.
    async fn next(&mut self) -> Result<Option<Vec<Question>>> {
        let mut questions = Vec::new();
        while questions.len() < LINES_AT_ONCE {
            let mut line = Vec::new();
            let mut reader = (&mut self.reader).take(MAX_LINE_BYTES + 1);
            let read = reader.read_until(b'\n', &mut line).await;
            let read = read.map_err(|error| unreadable(Path::new("the batch"), error))?;
            if read == 0 {
                break;
            }
            self.read += 1;
            if line.len() as u64 > MAX_LINE_BYTES {
                let message = format!("line {} is longer than {MAX_LINE_BYTES} bytes", self.read);
                return Err(Error::new(ErrorCode::TooLarge, message));
            }
            if !line.trim_ascii().is_empty() {
                questions.push(self.question(&line));
            }
        }
        Ok((!questions.is_empty()).then_some(questions))
    }

    fn question(&self, line: &[u8]) -> Question {
        let given = serde_json::from_slice(line.trim_ascii_end());
        let given: Map<String, Value> = given.map_err(|error| {
            let message = format!("line {} is not a JSON object: {}", self.read, fault(&error));
            Error::new(ErrorCode::MalformedJson, message)
        })?;
        let mut question = self.base.clone();
        merge(&mut question, Value::Object(given));
        Ok(question)
    }
}

/// What is wrong with a line, and in which column where it is not JSON at all. The parser was given the
/// line alone: its own number of it is always 1.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cause = text.rsplit_once(" at line ");
    let cause = cause.map_or(text.as_str(), |(cause, _)| cause);
    if error.is_data() {
        return cause.to_owned();
    }
    format!("{cause} in column {}", error.column())
}

/// Puts what is given over what is there, object by object.
fn merge(there: &mut Value, given: Value) {
    match (there, given) {
        (Value::Object(there), Value::Object(given)) => {
            for (key, value) in given {
                merge(there.entry(key).or_insert(Value::Null), value);
            }
        }
        (there, given) => *there = given,
    }
}

fn unreadable(file: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot read {}", file.display());
    Error::new(ErrorCode::InvalidRequest, message).with_source(error)
}
