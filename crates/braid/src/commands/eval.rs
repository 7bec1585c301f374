//! `braid eval`: measuring. What the commands say is theirs; here it is printed.

use braid_config::Settings;
use braid_core::Result;
use braid_engine::{Engine, LoadModels, Until, retrieve_defaults};
use braid_eval::cli::{EvalCommand, RunArgs};
use braid_eval::table::{Answer, Verdict};

use crate::args::Global;
use crate::open::{self, Directory, with_engine};
use crate::output::{self, Exit};

pub(crate) async fn run(
    settings: &Settings,
    global: &Global,
    command: EvalCommand,
) -> Result<Exit> {
    match command {
        EvalCommand::Run(args) => evaluate(settings, global, *args).await,
        EvalCommand::Losses(args) => {
            let plan = args.prepare(settings)?;
            let needs = plan.request.rerank.enabled;
            opened(settings, global, needs, async |engine| {
                say(&args.answer(engine, &plan).await?, args.json)
            })
            .await
        }
        EvalCommand::Ablate(args) => {
            let plan = args.prepare(settings)?;
            let needs = plan.needs_reranker();
            opened(settings, global, needs, async |engine| {
                say(&args.answer(engine, &plan).await?, args.json)
            })
            .await
        }
        EvalCommand::Sweep(args) => {
            let plan = args.prepare(settings)?;
            let needs = plan.needs_reranker();
            opened(settings, global, needs, async |engine| {
                say(&args.answer(engine, &plan).await?, args.json)
            })
            .await
        }
        EvalCommand::Tune(args) => {
            let plan = args.prepare(settings)?;
            let needs = plan.needs_reranker();
            opened(settings, global, needs, async |engine| {
                say(&args.answer(engine, &plan).await?, args.json)
            })
            .await
        }
        EvalCommand::Cache(args) => {
            let pairs = args.prepare()?;
            opened(settings, global, false, async |engine| {
                say(&args.answer(engine, settings, &pairs).await?, args.json)
            })
            .await
        }
        EvalCommand::Score(args) => say(&args.answer()?, args.json),
        EvalCommand::Compare(args) => say(&args.answer()?, args.json),
        EvalCommand::Gate(args) => say(&args.answer()?, args.json),
        EvalCommand::Convert(args) => {
            if let Some(text) = args.run()? {
                output::line(text.trim_end());
            }
            Ok(Exit::Done)
        }
    }
}

fn say(answer: &Answer, json: bool) -> Result<Exit> {
    if json {
        output::json(&answer.json)?;
    } else {
        output::line(&answer.text);
    }
    Ok(match answer.verdict {
        Verdict::Done => Exit::Done,
        Verdict::Partly => Exit::Partly,
        Verdict::Failed => Exit::Failed,
    })
}

async fn evaluate(settings: &Settings, global: &Global, args: RunArgs) -> Result<Exit> {
    let prepared = args.prepare(&retrieve_defaults(settings)?)?;
    opened(
        settings,
        global,
        prepared.needs_reranker(),
        async |engine| {
            let report = prepared.run(engine).await?;
            say(&report.answer()?, args.json)
        },
    )
    .await
}

/// Does `work` with an engine on the data directory, or on a temporary one where none was named.
async fn opened(
    settings: &Settings,
    global: &Global,
    needs_reranker: bool,
    work: impl AsyncFnOnce(&Engine) -> Result<Exit>,
) -> Result<Exit> {
    let (settings, _temporary) = open::eval_settings(global.data_dir.as_deref(), settings)?;
    let models = if needs_reranker {
        LoadModels::All
    } else {
        LoadModels::Embedder
    };
    with_engine(&settings, Directory::Made(models), async |engine| {
        if engine.has_workers() {
            // What is measured must be indexed, whether or not a worker runs elsewhere. It ends with the
            // engine.
            let worker = engine.worker()?;
            tokio::spawn(async move { worker.run(Until::Stopped).await });
        }
        work(engine).await
    })
    .await
}
