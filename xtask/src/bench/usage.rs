//! What a process has used, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};

/// The kernel's unit of processor time in `/proc`, USER_HZ, is a hundredth of a second everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a process and its threads in seconds, user and system together.
pub(crate) fn processor_time(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
    seconds(&stat).with_context(|| format!("cannot make sense of {path}"))
}

fn seconds(stat: &str) -> Option<f64> {
    // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

/// Lets [`peak_memory`] begin anew.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// The most memory that a process has held, in MiB.
pub(crate) fn peak_memory(pid: u32) -> Result<f64> {
    memory(pid, "VmHWM:")
}

/// A figure of a process's memory (proc_pid_status(5)), in MiB.
pub(crate) fn memory(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib
        .with_context(|| format!("a process without {field}"))?
        .parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn processor_time_is_user_and_system_whatever_the_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 9";
        assert_eq!(super::seconds(stat), Some(1.75));
        assert_eq!(super::seconds("7 (x) S 1"), None);
    }
}
