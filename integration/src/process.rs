//! Programs: those that run to their end, and those that run as long as we hold them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard output as text, invalid UTF-8 replaced.
    pub text: String,
    /// Its standard error as text, invalid UTF-8 replaced.
    pub errors: String,
}

impl Ran {
    /// Standard output and standard error, for messages and for tools that use either.
    pub fn everything(&self) -> String {
        format!("{}{}", self.text, self.errors)
    }
}

/// Runs a program to its end, whatever that is.
pub fn ran(command: &mut Command) -> Result<Ran> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", line(command)))?;
    Ok(Ran {
        code: output.status.code(),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        stdout: output.stdout,
    })
}

/// Runs a program that must end with 0; an error holds what it printed.
pub fn succeed(command: &mut Command) -> Result<Ran> {
    let ran = ran(command)?;
    if ran.code != Some(0) {
        let code = ran
            .code
            .map_or("a signal".to_owned(), |code| code.to_string());
        bail!(
            "`{}` ended with {code}:\n{}",
            line(command),
            ran.everything()
        );
    }
    Ok(ran)
}

/// Asks again every 20 ms until there is an answer, or fails after `limit` and says for what.
pub fn until<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The command as a person would type it, without the words that bring it into a namespace.
pub(crate) fn line(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let inner = words
        .iter()
        .rposition(|word| word == "KILL")
        .map_or(0, |at| at + 1);
    words[inner..].join(" ")
}

/// A program that runs beside the test; ended when this is dropped, and killed with the test.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts it. What it prints goes to `log`.
    ///
    /// It dies with the thread that called this, so a test starts its programs itself.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name = line(command);
        let name = name.split(' ').next().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        if log.exists() {
            // A second start: the first one's words are kept, and not taken for the second's.
            std::fs::rename(log, log.with_extension("earlier.log"))?;
        }
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            child,
            name,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it holds, in KiB.
    pub fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().next());
        Ok(size.context("a process without VmRSS")?.parse()?)
    }

    /// What it printed up to now.
    pub fn printed(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with what it printed, if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "{} ended early with {status}:\n{}",
                self.name,
                tail(&self.printed(), 30)
            );
        }
        Ok(())
    }

    /// Waits until it has printed `text`; fails when it ends before that.
    pub fn until_printed(&mut self, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{} to print {text:?}", self.name);
        until(limit, &what, || {
            if self.printed().contains(text) {
                return Ok(Some(()));
            }
            self.must_run()?;
            Ok(None)
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("process ids fit in 31 bits")?;
        let id = Pid::from_raw(id).context("process ids are not zero")?;
        kill_process(id, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for its end; fails after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        until(limit, &what, || self.ended())
    }

    /// Asks it to end, and kills it if it has not within `limit`. Returns how it ended.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        match self.wait(limit) {
            Ok(status) => Ok(status),
            Err(late) => {
                self.child.kill()?;
                self.child.wait()?;
                Err(late)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A second for a clean end (a daemon flushes, tcpdump writes its last packets), no more.
        let _ = self.stop(Duration::from_secs(1));
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
