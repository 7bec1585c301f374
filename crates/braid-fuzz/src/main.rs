//! `braid-fuzz [--minutes N] [--seed S] [TARGET...]`: each target in a process of its own, bounded in
//! memory, watched for inputs that take too long, and started again when it dies. What it finds is kept
//! under `target/fuzz`; `braid-fuzz --read TARGET FILE` reads one input.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use braid_fuzz::run::{BEGUN, MOST_TIME, Tally, run};
use braid_fuzz::target::Target;

/// Address space of a process that reads inputs: what an isolated parser may take.
const MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// Exit status of one that found an input that takes too long.
const TOO_SLOW: i32 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("--work") => work(&arguments[1..]),
        Some("--read") => read(&arguments[1..]),
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
            let kept = match status {
                Some(0) => break,
                Some(TOO_SLOW) => {
                    slow += 1;
                    format!("slow-{seed}")
                }
                _ => {
                    deaths += 1;
                    format!("died-{seed}")
                }
            };
            let copied = fs::copy(folder.join("input"), folder.join(&kept));
            copied.map_err(|error| format!("{kept}: {error}"))?;
        }
        let is_clean = slow == 0 && (target.is_isolated() || tally.panics + deaths == 0);
        let verdict = if is_clean { "ok" } else { "FOUND" };
        println!(
            "{verdict:5} {:10} {} inputs, {} refused, {} chunks, {} panics, {deaths} deaths, {slow} too slow, slowest {} ms",
            target.name(),
            tally.executions,
            tally.refused,
            tally.chunks,
            tally.panics,
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
    let all = Target::all();
    let found = all.iter().find(|target| target.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|target| target.name()).collect();
        format!("unknown target {name}: use {}", names.join(", "))
    })
}

/// Runs a process over one seed; its last tally, and its exit status unless a signal ended it.
fn start_worker(
    target: Target,
    seed: u64,
    left: Duration,
    folder: &Path,
) -> Result<(Tally, Option<i32>), String> {
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
    Ok((tally.unwrap_or_default(), output.status.code()))
}

/// The process that reads inputs.
fn work(arguments: &[String]) -> Result<bool, String> {
    let [target, seed, milliseconds, folder] = arguments else {
        return Err("--work is for the program alone".to_owned());
    };
    let target = named(target)?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let (seed, time) = (number(seed)?, Duration::from_millis(number(milliseconds)?));
    bound().map_err(|error| error.to_string())?;
    let start = Instant::now();
    thread::spawn(move || watch(start));
    let mut told = Instant::now();
    let tally = run(target, seed, Path::new(folder), |tally| {
        if told.elapsed() > Duration::from_millis(200) {
            told = Instant::now();
            tell(tally);
        }
        start.elapsed() < time
    });
    tell(&tally.map_err(|error| error.to_string())?);
    Ok(true)
}

/// Reads one input, to see what is wrong with it.
fn read(arguments: &[String]) -> Result<bool, String> {
    let [target, file] = arguments else {
        return Err("use --read TARGET FILE".to_owned());
    };
    let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let read = named(target)?.read(&bytes, folder.path());
    println!("{read:?} in {} ms", start.elapsed().as_millis());
    Ok(true)
}

fn tell(tally: &Tally) {
    println!("{tally}");
    // Nobody listens any more: then nobody wants to know.
    let _ = io::stdout().flush();
}

/// Ends the process when one input takes too long.
fn watch(start: Instant) {
    loop {
        thread::sleep(Duration::from_millis(250));
        let begun = BEGUN.load(Ordering::Acquire);
        let now = start.elapsed().as_millis() as u64 + 1;
        if begun > 0 && now.saturating_sub(begun) > MOST_TIME.as_millis() as u64 {
            std::process::exit(TOO_SLOW);
        }
    }
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
