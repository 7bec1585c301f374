//! The child process: what it is told, what it tells, how it dies.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use braid_engine::{Breakpoint, Breakpoints};

use crate::disk::Disk;
use crate::script::{Step, chunks_of, script, write};
use crate::world::{self, Life, name};
use crate::{bounds, disk, full};

const ROLE: &str = "BRAID_CRASH_ROLE";
const SEED: &str = "BRAID_CRASH_SEED";
const DEATH: &str = "BRAID_CRASH_DEATH";
const DIRECTORY: &str = "BRAID_CRASH_DIRECTORY";
const CURED: &str = "BRAID_CRASH_CURED";
/// Begins every line the child means for its parent.
const PREFIX: &str = "crash> ";
/// What a child says before its first step.
const BEGUN: &str = "crash> begun\n";

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Never,
    /// When it comes to this point for the nth time, from 1.
    At(Breakpoint, usize),
    /// At the nth point of any kind, from 1.
    Nth(usize),
    /// So many microseconds after it began, by its parent's hand, wherever it then is.
    After(u64),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::At(point, nth) => write!(f, "at {point} {nth}"),
            Self::Nth(nth) => write!(f, "nth {nth}"),
            Self::After(micros) => write!(f, "after {micros}"),
        }
    }
}

impl FromStr for Death {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| format!("no number: {text}"))
        };
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["never"] => Ok(Self::Never),
            ["nth", nth] => Ok(Self::Nth(number(nth)?)),
            ["after", micros] => Ok(Self::After(number(micros)? as u64)),
            ["at", point, nth] => {
                let point = point.parse().map_err(|error| format!("{error}"))?;
                Ok(Self::At(point, number(nth)?))
            }
            _ => Err(format!("no death: {text}")),
        }
    }
}

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the script of the seed.
    Script,
    /// Tries to open a data directory that is in use.
    SecondOwner,
    /// Writes files, synced and not, and dies.
    Files,
    /// Fills a disk and goes on once it has room.
    FullDisk,
}

const ROLES: [(Role, &str); 4] = [
    (Role::Script, "script"),
    (Role::SecondOwner, "second owner"),
    (Role::Files, "files"),
    (Role::FullDisk, "full disk"),
];

/// One child's life.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) role: Role,
    pub(crate) seed: u64,
    pub(crate) death: Death,
    pub(crate) directory: PathBuf,
    /// Whether its model is cured from the beginning.
    pub(crate) is_cured: bool,
}

impl Task {
    pub(crate) fn new(role: Role, directory: &Path) -> Self {
        Self {
            role,
            seed: 0,
            death: Death::Never,
            directory: directory.to_owned(),
            is_cured: false,
        }
    }

    /// The task of this process, if it is a child.
    pub(crate) fn from_environment() -> Option<Self> {
        let role = std::env::var(ROLE).ok()?;
        let get = |key: &str| std::env::var(key).unwrap();
        Some(Self {
            role: ROLES.iter().find(|(_, name)| *name == role).unwrap().0,
            seed: get(SEED).parse().unwrap(),
            death: get(DEATH).parse().unwrap(),
            directory: get(DIRECTORY).into(),
            is_cured: get(CURED).parse().unwrap(),
        })
    }

    /// Runs it in a child process, to its end or death.
    pub(crate) fn run(&self, disk: Option<&Disk>) -> Ended {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let role = ROLES.iter().find(|(role, _)| *role == self.role).unwrap().1;
        command
            .args([
                "child_process",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .env(SEED, self.seed.to_string())
            .env(DEATH, self.death.to_string())
            .env(DIRECTORY, &self.directory)
            .env(CURED, self.is_cured.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(disk) = disk {
            disk.attach(&mut command, &self.directory);
        }
        let child = command.spawn().unwrap();
        let output = match self.death {
            Death::After(micros) => kill_after(child, Duration::from_micros(micros)),
            Death::Never | Death::At(..) | Death::Nth(_) => child.wait_with_output().unwrap(),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        // What is not a whole line was not said.
        let lines = said.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        let lines = lines.filter_map(|line| line.trim_end_matches('\n').split_once(PREFIX));
        let ended = Ended {
            lines: lines.map(|(_, line)| line.to_owned()).collect(),
            was_killed: is_killed(output.status),
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            ended.was_killed || output.status.success(),
            "the child failed: {self:?}: {said}\n{errors}"
        );
        ended
    }
}

/// Kills a child so long after it said that it begins, unless it has ended by then.
fn kill_after(mut child: Child, time: Duration) -> Output {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = Vec::new();
    while !said.ends_with(BEGUN.as_bytes()) && stdout.read_until(b'\n', &mut said).unwrap() > 0 {}
    let (ended, waits) = mpsc::channel::<()>();
    let killer = std::thread::spawn(move || {
        if waits.recv_timeout(time).is_err() {
            child.kill().unwrap();
        }
        child.wait_with_output().unwrap()
    });
    stdout.read_to_end(&mut said).unwrap();
    // The killer may have been quicker.
    let _ = ended.send(());
    let output = killer.join().unwrap();
    Output {
        stdout: said,
        ..output
    }
}

fn is_killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(libc::SIGKILL)
}

/// How a child ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) lines: Vec<String>,
    pub(crate) was_killed: bool,
}

impl Ended {
    /// The answers of the acknowledged steps, in order.
    pub(crate) fn answers(&self) -> Vec<&str> {
        let answers = self.lines.iter().filter_map(|l| l.strip_prefix("ack "));
        answers.collect()
    }

    /// How often each point was met, by a child that lived to its end.
    pub(crate) fn points(&self) -> Vec<(Breakpoint, usize)> {
        let points = self.lines.iter().filter_map(|l| l.strip_prefix("point "));
        let parse = |line: &str| {
            let (name, count) = line.split_once(' ').unwrap();
            (name.parse().unwrap(), count.parse().unwrap())
        };
        points.map(parse).collect()
    }
}

/// Tells the parent.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{PREFIX}{line}\n").as_bytes())
        .unwrap();
    out.flush().unwrap();
}

/// Dies at once, as by `kill -9`.
#[allow(unsafe_code)]
pub(crate) fn die() -> ! {
    loop {
        // SAFETY: sends a signal to this process; no memory is involved.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// The child's whole life.
pub(crate) fn perform(task: Task) -> ! {
    match task.role {
        Role::Script => run_script(&task),
        Role::SecondOwner => bounds::try_to_open(&task.directory),
        Role::Files => disk::write_files(&task.directory),
        Role::FullDisk => full::fill_the_disk(&task.directory),
    }
    // Without a destructor: what was not written by now is lost as well.
    std::process::exit(0);
}

fn run_script(task: &Task) {
    let counts: Arc<[AtomicUsize]> = Breakpoint::ALL.map(|_| AtomicUsize::new(0)).into();
    tell("begun");
    world::run_timeless(async {
        let hook = || hook(task.death, &counts);
        let mut life = Life::with_cure(&task.directory, hook(), task.is_cured).await;
        for (at, step) in script(task.seed).iter().enumerate() {
            let answer = if let Step::LoseIndex(index) = step {
                let is_cured = life.model.is_cured();
                life.close().await;
                lose_index(&task.directory, index);
                life = Life::with_cure(&task.directory, hook(), is_cured).await;
                String::new()
            } else {
                take(&life, at, step).await
            };
            tell(&format!("ack {answer}"));
        }
    });
    for ((_, name), count) in Breakpoint::ALL.iter().zip(&*counts) {
        tell(&format!("point {name} {}", count.load(Ordering::SeqCst)));
    }
}

async fn take(life: &Life, at: usize, step: &Step) -> String {
    match step {
        Step::Idle => life.idle().await,
        Step::Cure => life.model.cure(),
        Step::Hold => life.hold().await,
        Step::Release => life.release().await,
        Step::Rebuild(tokens) => {
            let (name, settings) = (name(), chunks_of(*tokens));
            let rebuilt = life.engine.rebuild(&name, Some(settings), |_| {});
            rebuilt.await.unwrap();
        }
        Step::LoseIndex(_) => {}
        Step::Put(_) | Step::Delete(_) | Step::Cancel(_) | Step::Retry(_) => {
            return write(life, at, step).await.unwrap().unwrap().text;
        }
    }
    String::new()
}

/// Removes an index of every generation, by renaming it: a merge may still be writing there. A
/// generation that a rebuild has left may still be waiting for its removal, its index lost before.
pub(crate) fn lose_index(directory: &Path, index: &str) {
    for generation in std::fs::read_dir(directory.join("indexes")).unwrap() {
        let index = generation.unwrap().path().join(index);
        if index.exists() {
            let lost = (0..).map(|n: u32| index.with_extension(format!("lost-{n}")));
            let free = lost.into_iter().find(|name| !name.exists()).unwrap();
            std::fs::rename(&index, free).unwrap();
        }
    }
}

fn hook(death: Death, counts: &Arc<[AtomicUsize]>) -> Breakpoints {
    let counts = Arc::clone(counts);
    Breakpoints::new(move |point| {
        let at = Breakpoint::ALL
            .iter()
            .position(|(known, _)| *known == point);
        let of_kind = counts[at.unwrap()].fetch_add(1, Ordering::SeqCst) + 1;
        let total = || {
            counts
                .iter()
                .map(|count| count.load(Ordering::SeqCst))
                .sum()
        };
        match death {
            Death::At(wanted, nth) if wanted == point && of_kind == nth => die(),
            Death::Nth(nth) if nth <= total() => die(),
            Death::Never | Death::At(..) | Death::Nth(_) | Death::After(_) => {}
        }
    })
}
