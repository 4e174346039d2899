//! Programs of others that the daemon runs.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How much of what a program says is kept, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

/// What came of a command.
pub struct Ran {
    /// Whether it ended with 0.
    pub good: bool,
    /// How it ended, in words.
    pub ended: String,
    /// What it printed, and then its errors; the beginning of each.
    pub output: String,
}

/// Runs a command with this input, bounded in time and in what is kept of its output.
pub fn run(mut command: Command, input: &str, limit: Duration) -> Result<Ran, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => format!(
                "{error}. The unit lets the daemon run no other program: systemd/README.md says how to allow one"
            ),
            ErrorKind::NotFound => "there is no such program here".to_owned(),
            _ => error.to_string(),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read it ends with a reason of its own.
        let _ = stdin.write_all(input.as_bytes());
    }
    let readers = [reader(child.stdout.take()), reader(child.stderr.take())];
    let status = wait(&mut child, limit)?;
    let [output, errors] = readers.map(|reader| reader.join().unwrap_or_default());
    Ok(Ran {
        good: status.success(),
        ended: status.to_string(),
        output: output + &errors,
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus, String> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "it was not done after {} s, and was ended",
                    limit.as_secs()
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Takes in all that is said, so that nobody waits for us, and keeps the beginning.
fn reader(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut from) = from else {
            return String::new();
        };
        let mut kept = Vec::new();
        let _ = from.by_ref().take(MAX_OUTPUT).read_to_end(&mut kept);
        let _ = std::io::copy(&mut from, &mut std::io::sink());
        String::from_utf8_lossy(&kept).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_not_end_is_ended_and_a_loud_one_is_cut() {
        let started = Instant::now();
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let ended = run(sleep, "", Duration::from_millis(100));
        assert!(ended.is_err_and(|reason| reason.contains("was ended")));
        assert!(started.elapsed() < Duration::from_secs(30));
        let mut loud = Command::new("head");
        loud.args(["-c", "1000000", "/dev/zero"]);
        let ran = run(loud, "", Duration::from_secs(60)).unwrap();
        assert!(ran.good && ran.output.len() as u64 == MAX_OUTPUT);
    }
}
