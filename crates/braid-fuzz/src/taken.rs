//! What this process has taken so far: CPU time, wall-clock time and memory.
//!
//! Whether an input is slow is told by CPU time: on a busy machine a quick one may wait long. The kernel
//! counts it for the whole process, so that what a parser does on a thread of its own counts too.

use std::fs;
use std::time::{Duration, Instant};

/// Ticks of CPU time in a second, as `/proc` has them on every architecture that Braid runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A moment: what the process had taken by then.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    cpu: Option<Duration>,
    wall: Instant,
}

impl Taken {
    /// By now.
    pub fn now() -> Self {
        Self {
            cpu: cpu(),
            wall: Instant::now(),
        }
    }

    /// CPU time since, in steps of ten milliseconds; wall-clock time where the system does not say.
    pub fn cpu_since(self) -> Duration {
        match (self.cpu, cpu()) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            (None, _) | (_, None) => self.wall.elapsed(),
        }
    }

    /// Wall-clock time since.
    pub fn wall_since(self) -> Duration {
        self.wall.elapsed()
    }
}

/// User and system time of all threads of this process.
fn cpu() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?)
        .map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// Fields 14 and 15 (see proc(5)). The second, the program's name, may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Most memory that this process had resident at once, in bytes, where the system says.
pub fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 10 20 30 40 250 50 0 0 20 0 1 0 99 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says() {
        let start = Taken::now();
        assert!(start.cpu.is_some());
        assert!(start.cpu_since() <= start.wall_since() * 1024 + Duration::from_secs(1));
        assert!(peak_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
