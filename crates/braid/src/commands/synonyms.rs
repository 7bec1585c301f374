//! `braid collection synonyms`.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use braid_config::Settings;
use braid_core::{Error, ErrorCode, FieldError, Result, Synonyms};
use braid_engine::LoadModels;
use braid_ingest::remote::segment;
use braid_server::dto::synonyms::{SynonymsAnswer, SynonymsBody};

use crate::args::SynonymsArgs;
use crate::commands::ask;
use crate::open::{Directory, with_engine};
use crate::output::{self, Exit};

/// Most bytes of a file of rules: more than the limits of the rules let through.
const MOST_BYTES: u64 = 4 << 20;

pub(super) async fn run(settings: &Settings, args: SynonymsArgs) -> Result<Exit> {
    let rules = match (&args.rules, args.clear) {
        (Some(file), _) => Some(read(file)?),
        (None, true) => Some(Vec::new()),
        (None, false) => None,
    };
    let body = rules.map(|rules| SynonymsBody { rules });
    match &args.server {
        Some(url) => print(&ask_server(url, &args, body).await?, &args),
        None => ask_directory(settings, &args, body).await,
    }
}

async fn ask_server(
    url: &str,
    args: &SynonymsArgs,
    body: Option<SynonymsBody>,
) -> Result<SynonymsAnswer> {
    let path = format!("/v1/collections/{}/synonyms", segment(args.name.as_str()));
    let Some(body) = body else {
        return ask(url, move |remote| remote.get(&path)).await;
    };
    let body = serde_json::to_value(body)
        .map_err(|error| Error::internal("cannot write as JSON").with_source(error))?;
    ask(url, move |remote| remote.put(&path, &body)).await
}

async fn ask_directory(
    settings: &Settings,
    args: &SynonymsArgs,
    body: Option<SynonymsBody>,
) -> Result<Exit> {
    let synonyms = body.map(SynonymsBody::into_synonyms).transpose()?;
    let directory = Directory::Found(LoadModels::None);
    with_engine(settings, directory, async |engine| {
        if let Some(synonyms) = synonyms {
            let set = engine.set_synonyms(&args.name, Arc::new(synonyms), None);
            set.await?;
        }
        let collection = engine.collection(&args.name).await?;
        print(&SynonymsAnswer::from(&*collection.synonyms), args)
    })
    .await
}

/// The rules of a file, one a line; empty lines and what follows a `#` at the start of one are left out.
fn read(file: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read {}", file.display());
        Error::new(ErrorCode::InvalidRequest, message).with_source(error)
    };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    let mut limited = opened.take(MOST_BYTES + 1);
    limited.read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        let message = format!("{} has more than {MOST_BYTES} bytes", file.display());
        return Err(Error::invalid(message));
    }
    let lines = (1..).zip(text.lines().map(str::trim));
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let rules: Vec<(usize, &str)> = rules.collect();
    check(file, &rules)?;
    Ok(rules.iter().map(|(_, rule)| (*rule).to_owned()).collect())
}

/// Refuses bad rules, each with the line of the file that it stands on, which nobody knows later: rules
/// are counted without empty lines and comments.
fn check(file: &Path, rules: &[(usize, &str)]) -> Result<()> {
    let lines: Vec<&str> = rules.iter().map(|(_, rule)| *rule).collect();
    let Err(error) = Synonyms::parse(&lines) else {
        return Ok(());
    };
    let in_file = |field: &FieldError| {
        let place = field.pointer.strip_prefix('/');
        let place = place.and_then(|place| place.parse::<usize>().ok());
        match place.and_then(|place| rules.get(place)) {
            Some((line, _)) => FieldError::new(
                format!("{}:{line}", file.display()),
                format!("the rule {}", field.detail),
            ),
            None => FieldError::new(file.display().to_string(), field.detail.clone()),
        }
    };
    let fields: Vec<FieldError> = error.fields().iter().map(in_file).collect();
    let message = match fields.first() {
        Some(first) => format!("{}: {}", first.pointer, first.detail),
        None => format!("{}: {}", file.display(), error.message()),
    };
    Err(Error::invalid(message).with_fields(fields))
}

fn print(answer: &SynonymsAnswer, args: &SynonymsArgs) -> Result<Exit> {
    if args.json {
        output::json(answer)?;
        return Ok(Exit::Done);
    }
    for rule in &answer.rules {
        output::line(rule);
    }
    if answer.rules.is_empty() {
        output::line(format!("{} has no synonyms", args.name));
    }
    Ok(Exit::Done)
}
