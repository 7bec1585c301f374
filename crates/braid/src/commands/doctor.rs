//! `braid doctor`: looks at everything an installation needs, each thing on its own, and says what
//! to do about what is wrong. It changes nothing.

mod boilerplate;
mod collection;
mod directory;
mod installation;
mod server;

use braid_config::Settings;
use braid_core::{Error, Result};
use braid_engine::retrieve_defaults;
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::output::{self, Exit};

use boilerplate::Boilerplate;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// Something does not work.
    Problem,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Finding {
    /// What was checked.
    check: &'static str,
    /// The collection that it is about.
    collection: Option<String>,
    level: Level,
    message: String,
    /// What to do about it.
    remedy: Option<String>,
    /// What the check of that name found.
    #[serde(skip_serializing_if = "Option::is_none")]
    boilerplate: Option<Boilerplate>,
}

impl Finding {
    fn new(check: &'static str, level: Level, message: impl Into<String>) -> Self {
        Self {
            check,
            collection: None,
            level,
            message: message.into(),
            remedy: None,
            boilerplate: None,
        }
    }

    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, message)
    }

    fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Warning, message)
    }

    fn problem(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Level::Problem, message)
    }

    /// A problem that an error describes, with what helps.
    fn error(check: &'static str, error: &Error) -> Self {
        let finding = Self::problem(check, output::cause(error));
        match error.help() {
            Some(help) => finding.remedy(help),
            None => finding,
        }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn about(mut self, collection: &str) -> Self {
        self.collection = Some(collection.to_owned());
        self
    }

    /// One line: level, what was checked, what was found, what to do.
    fn line(&self) -> String {
        let level = self.level.as_str();
        let about = self.collection.as_ref();
        let about = about.map(|name| format!("{name}: ")).unwrap_or_default();
        let remedy = self.remedy.as_ref();
        let remedy = remedy.map(|remedy| format!("; {remedy}"));
        let remedy = remedy.unwrap_or_default();
        format!("{level:<8} {about}{}: {}{remedy}", self.check, self.message)
    }
}

/// Findings, printed as they come unless they are wanted as JSON.
#[derive(Debug)]
struct Report {
    json: bool,
    findings: Vec<Finding>,
}

/// The findings as JSON.
#[derive(Serialize)]
struct Answer<'f> {
    /// The worst of all findings.
    level: Level,
    findings: &'f [Finding],
}

impl Report {
    fn add(&mut self, finding: Finding) {
        if !self.json {
            output::line(finding.line());
            for text in finding.boilerplate.iter().flat_map(|it| &it.texts) {
                output::line(format!("           {}", text.line()));
            }
        }
        self.findings.push(finding);
    }

    /// Prints what is left to be said.
    fn finish(&self) -> Result<Exit> {
        let levels = self.findings.iter().map(|finding| finding.level);
        let worst = levels.max().unwrap_or(Level::Ok);
        if self.json {
            output::json(&Answer {
                level: worst,
                findings: &self.findings,
            })?;
        } else {
            let count = |level| self.findings.iter().filter(|it| it.level == level).count();
            let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
            output::line(format!("problems: {problems}, warnings: {warnings}"));
        }
        Ok(if worst == Level::Problem {
            Exit::Failed
        } else {
            Exit::Done
        })
    }
}

/// `settings` are what was read, or why they could not be.
pub(crate) async fn run(settings: Result<Settings>, args: &DoctorArgs) -> Result<Exit> {
    let mut report = Report {
        json: args.json,
        findings: Vec::new(),
    };
    let checked = settings.and_then(|settings| {
        retrieve_defaults(&settings)?;
        Ok(settings)
    });
    let settings = match checked {
        Ok(settings) => settings,
        Err(error) => {
            // What the other checks would look at is not known.
            let findings = misconfigured(&error);
            findings.into_iter().for_each(|it| report.add(it));
            return report.finish();
        }
    };
    report.add(Finding::ok("configuration", "readable and valid"));
    if let Some(url) = &args.server {
        server::check(url, &mut report).await;
        return report.finish();
    }
    let embedder = installation::check(&settings, &mut report).await?;
    directory::check(&settings, embedder, args.quick, &mut report).await?;
    report.finish()
}

/// What is wrong with each setting.
fn misconfigured(error: &Error) -> Vec<Finding> {
    if error.fields().is_empty() {
        return vec![Finding::error("configuration", error)];
    }
    let remedy = "correct it where it is set; docs/configuration.md lists every key";
    let fields = error.fields().iter().map(|field| {
        let message = format!("{}: {}", field.pointer, field.detail);
        Finding::problem("configuration", message).remedy(remedy)
    });
    fields.collect()
}
