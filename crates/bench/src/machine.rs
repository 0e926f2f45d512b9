//! What the kernel says of processes: processor time and memory. The same source for every system that is measured.

use std::fs;
use std::ops::{Add, Sub};

use anyhow::Context;

/// Ticks of a second in proc_pid_stat(5), on every architecture that Linux runs on today.
const TICKS: f64 = 100.0;

/// What processes have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    /// Seconds of a processor, user and system.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) peak_bytes: f64,
}

impl Used {
    /// What one process has used since it started.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("process {pid}"))
        };
        Ok(Self { cpu_seconds: cpu_seconds(&read("stat")?)?, peak_bytes: peak_bytes(&read("status")?)? })
    }

    /// What several processes have used together.
    pub(crate) fn of_all(pids: impl IntoIterator<Item = u32>) -> anyhow::Result<Self> {
        pids.into_iter().try_fold(Self::default(), |sum, pid| Ok(sum + Self::of(pid)?))
    }
}

impl Add for Used {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            peak_bytes: self.peak_bytes + other.peak_bytes,
        }
    }
}

impl Sub for Used {
    type Output = Self;

    /// Processor time since `earlier`. A peak does not go down, so it stays what it is.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

/// Seconds of a processor that a process's first thread has used, exact to less than a tick (proc_pid_schedstat, in the
/// kernel's documentation of scheduler statistics: the first field, in nanoseconds).
pub(crate) fn main_thread_seconds(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))
        .with_context(|| format!("process {pid}"))?;
    let nanoseconds: f64 = text.split(' ').next().context("an empty file")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Fields 14 and 15 of proc_pid_stat(5), the 12th and 13th behind the name.
fn cpu_seconds(stat: &str) -> anyhow::Result<f64> {
    let (_, fields) = stat.rsplit_once(") ").context("a name in parentheses")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// `VmHWM` of proc_pid_status(5), in kibibytes there.
fn peak_bytes(status: &str) -> anyhow::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak is told")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat).ok(), Some(3.0));
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(peak_bytes("VmPeak:\t 9 kB\nVmHWM:\t     2 kB\n").ok(), Some(2048.0));
        assert!(peak_bytes("Name: kthreadd\n").is_err());
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(Used::of(std::process::id()).is_ok_and(|used| used.peak_bytes > 0.0));
    }
}
