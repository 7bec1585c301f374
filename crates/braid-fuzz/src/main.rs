//! `braid-fuzz [--minutes N] [--seed S] [TARGET...]`: each target in a process of its own, bounded in
//! memory, watched for inputs that take too long, and started again when it dies. What it finds is kept
//! under `target/fuzz`; `braid-fuzz --replay [--target T] [--json] FILE|FOLDER...` reads it again.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use braid_fuzz::replay::{Kept, Replayed, kept};
use braid_fuzz::run::{MOST_CPU, MOST_WALL, Overdue, Tally, count_panics, overdue, read_one, run};
use braid_fuzz::taken::peak_bytes;
use braid_fuzz::target::Target;
use serde_json::{Value, json};

const USAGE: &str = "\
usage: braid-fuzz [--minutes N] [--seed S] [TARGET...]   fuzz targets, 10 minutes each; all of them if none is named
       braid-fuzz --replay [--target T] [--json] FILE|FOLDER...
                                                         read kept inputs again: outcome, CPU seconds, memory
A slow input is one that takes more than 10 s of CPU time; one that takes 300 s by the clock is stuck.
Inputs that panic, are slow, or end the process are kept in target/fuzz/TARGET. Exit status: 0 nothing
found, 1 something found, 2 wrong usage.";

/// Address space of a process that reads inputs: what an isolated parser may take.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// Exit status of one that found an input that takes too long, of either kind.
const SLOW: i32 = 3;
const STUCK: i32 = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(true)
        }
        Some("--work") => work(&arguments[1..]),
        Some("--read") => read(&arguments[1..]),
        Some("--replay") => Replay::of(&arguments[1..]).and_then(|replay| replay.carry_out()),
        _ => Plan::of(&arguments).and_then(|plan| plan.carry_out()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("braid-fuzz: {reason}");
            ExitCode::from(2)
        }
    }
}

/// What is to be run.
struct Plan {
    targets: Vec<Target>,
    time: Duration,
    seed: u64,
    folder: PathBuf,
}

impl Plan {
    fn of(arguments: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            targets: Vec::new(),
            time: Duration::from_secs(600),
            seed: std::process::id().into(),
            folder: PathBuf::from("target/fuzz"),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--minutes" => plan.time = minutes(value()?)?,
                "--seed" => plan.seed = value()?.parse().map_err(|_| "--seed is a whole number")?,
                name => plan.targets.push(named(name)?),
            }
        }
        if plan.targets.is_empty() {
            plan.targets = Target::all();
        }
        Ok(plan)
    }

    /// Whether there is nothing to mend.
    fn carry_out(&self) -> Result<bool, String> {
        println!("seed {}, {} s each", self.seed, self.time.as_secs());
        let mut is_clean = true;
        for target in &self.targets {
            is_clean &= self.fuzz(*target)?;
        }
        Ok(is_clean)
    }

    fn fuzz(&self, target: Target) -> Result<bool, String> {
        let folder = self.folder.join(target.name());
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let start = Instant::now();
        let (mut tally, mut deaths, mut slow) = (Tally::default(), 0, 0);
        while let Some(left) = self.time.checked_sub(start.elapsed()) {
            if left.is_zero() {
                break;
            }
            let seed = self.seed + deaths + slow;
            let (done, status) = start_worker(target, seed, left, &folder)?;
            tally = tally.plus(done);
            let kept = match status.code() {
                Some(0) => break,
                Some(SLOW) => {
                    slow += 1;
                    format!("slow-{seed}")
                }
                Some(STUCK) => {
                    slow += 1;
                    format!("stuck-{seed}")
                }
                Some(_) | None => {
                    deaths += 1;
                    format!("died-{seed}")
                }
            };
            let copied = fs::copy(folder.join("input"), folder.join(&kept));
            copied.map_err(|error| format!("{kept}: {error}"))?;
        }
        let is_clean = slow + tally.panics + deaths == 0;
        let verdict = if is_clean { "ok" } else { "FOUND" };
        // Whether more than the document's own process would end.
        let alone = if target.is_isolated() {
            " (isolated)"
        } else {
            ""
        };
        println!(
            "{verdict:5} {:10} {} inputs, {} refused, {} chunks, {} panics ({} contained), {deaths} deaths{alone}, {slow} too slow, slowest {} ms of CPU",
            target.name(),
            tally.executions,
            tally.refused,
            tally.chunks,
            tally.panics,
            tally.contained,
            tally.slowest_ms,
        );
        Ok(is_clean)
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse().ok().filter(|minutes: &f64| *minutes > 0.0);
    let duration = minutes.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
    duration.ok_or(format!("--minutes {text}: use a number above 0"))
}

fn named(name: &str) -> Result<Target, String> {
    Target::named(name).ok_or_else(|| {
        let all = Target::all();
        let names: Vec<&str> = all.iter().map(|target| target.name()).collect();
        format!("unknown target {name}: use {}", names.join(", "))
    })
}

/// Inputs to be read again.
struct Replay {
    inputs: Vec<Kept>,
    as_json: bool,
}

impl Replay {
    fn of(arguments: &[String]) -> Result<Self, String> {
        let (mut target, mut as_json, mut paths) = (None, false, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => as_json = true,
                "--target" => {
                    let name = arguments.next().ok_or("--target needs a value")?;
                    target = Some(named(name)?);
                }
                path => paths.push(Path::new(path)),
            }
        }
        if paths.is_empty() {
            return Err("--replay needs a file or folder of kept inputs".to_owned());
        }
        let inputs = paths.into_iter().map(|path| kept(path, target));
        Ok(Self {
            inputs: inputs.collect::<Result<Vec<_>, _>>()?.concat(),
            as_json,
        })
    }

    /// Whether there is nothing to mend.
    fn carry_out(&self) -> Result<bool, String> {
        let mut found = Vec::new();
        let mut unsound = 0;
        for Kept { target, file } in &self.inputs {
            let replayed = replay(*target, file)?;
            unsound += usize::from(!replayed.is_sound());
            if self.as_json {
                let mut value = replayed.to_json();
                value["target"] = target.name().into();
                value["file"] = file.display().to_string().into();
                found.push(value);
            } else {
                println!(
                    "{:10} {}: {}",
                    target.name(),
                    file.display(),
                    replayed.line()
                );
            }
        }
        if self.as_json {
            println!("{}", json!({"inputs": found, "unsound": unsound}));
        } else {
            println!("{} inputs, {unsound} to be mended", self.inputs.len());
        }
        Ok(unsound == 0)
    }
}

/// Has a process read one input.
fn replay(target: Target, file: &Path) -> Result<Replayed, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--read", target.name()])
        .arg(file)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let said: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let replayed = said.as_ref().and_then(Replayed::from_json);
    Ok(replayed.unwrap_or_else(|| match output.status.code() {
        Some(SLOW) => {
            let seconds = MOST_CPU.as_secs();
            Replayed::ended(Some(Overdue::Slow), format!("more than {seconds} s of CPU"))
        }
        Some(STUCK) => {
            let seconds = MOST_WALL.as_secs();
            Replayed::ended(Some(Overdue::Stuck), format!("longer than {seconds} s"))
        }
        Some(_) | None => Replayed::ended(None, output.status.to_string()),
    }))
}

/// Runs a process over one seed; its last tally, and how it ended.
fn start_worker(
    target: Target,
    seed: u64,
    left: Duration,
    folder: &Path,
) -> Result<(Tally, ExitStatus), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .arg("--work")
        .args([
            target.name(),
            &seed.to_string(),
            &left.as_millis().to_string(),
        ])
        .arg(folder)
        .stderr(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let tally = said.lines().rev().find_map(Tally::of);
    Ok((tally.unwrap_or_default(), output.status))
}

/// The process that reads inputs.
fn work(arguments: &[String]) -> Result<bool, String> {
    let [target, seed, milliseconds, folder] = arguments else {
        return Err("--work is for the program alone".to_owned());
    };
    let target = named(target)?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let (seed, time) = (number(seed)?, Duration::from_millis(number(milliseconds)?));
    be_careful()?;
    let start = Instant::now();
    let mut told = Instant::now();
    let tally = run(target, seed, Path::new(folder), |tally| {
        if told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            tell(tally);
        }
        start.elapsed() < time
    });
    tell(tally.map_err(|error| error.to_string())?);
    Ok(true)
}

/// The process that reads one input.
fn read(arguments: &[String]) -> Result<bool, String> {
    let [target, file] = arguments else {
        return Err("--read is for the program alone: use --replay".to_owned());
    };
    let target = named(target)?;
    let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    be_careful()?;
    let outcome = read_one(target, &bytes, folder.path());
    tell(Replayed::of(&outcome, peak_bytes()).to_json());
    Ok(true)
}

fn tell(what: impl std::fmt::Display) {
    println!("{what}");
    // Nobody listens any more: then nobody wants to know.
    let _ = io::stdout().flush();
}

/// Bounds this process, counts its panics, and ends it when one input takes too long.
fn be_careful() -> Result<(), String> {
    bound().map_err(|error| error.to_string())?;
    count_panics();
    thread::spawn(|| {
        loop {
            thread::sleep(Duration::from_millis(250));
            match overdue() {
                Some(Overdue::Slow) => std::process::exit(SLOW),
                Some(Overdue::Stuck) => std::process::exit(STUCK),
                None => {}
            }
        }
    });
    Ok(())
}

#[cfg(unix)]
fn bound() -> io::Result<()> {
    rlimit::Resource::CORE.set(0, 0)?;
    rlimit::Resource::AS.set(MEMORY_BYTES, MEMORY_BYTES)
}

#[cfg(not(unix))]
fn bound() -> io::Result<()> {
    Ok(())
}
