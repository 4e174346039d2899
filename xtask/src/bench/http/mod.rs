//! `cargo xtask bench http`: files from the page cache, netbootd beside nginx.
//!
//! | case | is |
//! |---|---|
//! | `f60m_c1`, `f60m_c64` | a file of 60 MB, again and again, by 1 and by 64 clients |
//! | `f1k` | a file of 1 KB, again and again, on 16 connections that stay open (wrk) |
//!
//! | metric | is |
//! |---|---|
//! | `cpu_s_per_gb`, `mb_per_s` | processor seconds of the server's process for 10⁹ bytes; 10⁶ bytes in a second |
//! | `cpu_us`, `per_s` | microseconds of it for a request; requests in a second |
//! | `rss_mib` | the most memory that the process held |

mod load;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use integration::{Lab, Process, succeed};

use super::ground::Ground;
use super::turns::{Brought, Service, Unit};

/// Who sends files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Ours, with its defaults
    Netbootd,
    /// nginx, one process, with sendfile
    Nginx,
}

/// The long file's length in bytes.
const LONG: usize = 60_000_000;
/// Connections of `f1k`.
const CONNECTIONS: &str = "16";

pub(super) struct Http;

impl Service for Http {
    type Subject = Subject;
    const NAME: &'static str = "http";
    const CASES: &'static [(&'static str, Unit)] = &[
        ("f60m_c1", Unit::Bytes),
        ("f60m_c64", Unit::Bytes),
        ("f1k", Unit::Each),
    ];

    fn start(&self, subject: Subject, ground: &Ground) -> Result<Vec<Process>> {
        let folder = ground.lab.folder();
        // nginx finds them where netbootd has its loaders.
        let files = folder.join("loader");
        fs::create_dir(&files)?;
        fs::write(files.join("f60m"), vec![0x5a; LONG])?;
        fs::write(files.join("f1k"), [0x5a; 1024])?;
        if subject == Subject::Netbootd {
            let config = format!("[loaders]\nfolders = [{files:?}]\n");
            return Ok(vec![ground.netbootd(&config)?]);
        }
        let config = folder.join("nginx.conf");
        let (root, server) = (folder.display(), Lab::SERVER);
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on; sendfile_max_chunk 2m; keepalive_requests 100000000;
    client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root};
    uwsgi_temp_path {root}; scgi_temp_path {root};
    server {{ listen {server}:80; root {root}; }}
}}
"
            ),
        )?;
        let mut nginx = ground.lab.command("nginx")?;
        nginx.arg("-c").arg(&config);
        let process = Process::start(&mut nginx, &folder.join("nginx.log"))?;
        let answers = || {
            let mut curl = ground.command("curl")?;
            let url = format!("http://{server}/loader/f1k");
            let ran = integration::ran(curl.args(["--silent", "--fail", &url]))?;
            Ok((ran.code == Some(0)).then_some(()))
        };
        integration::until(Duration::from_secs(10), "nginx to answer", answers)?;
        Ok(vec![process])
    }

    fn load(&self, case: &str, ground: &Ground, seconds: f64) -> Result<Brought> {
        if let Some(clients) = case.strip_prefix("f60m_c") {
            let clients = clients.parse()?;
            let length = Duration::from_secs_f64(seconds);
            return ground.load(|| load::fetch(clients, length));
        }
        let mut wrk = ground.command("wrk")?;
        // It counts whole seconds only.
        let whole = format!("{}s", seconds.ceil());
        wrk.args(["--threads", "1", "--connections", CONNECTIONS]);
        wrk.args(["--duration", &whole]);
        let said = succeed(wrk.arg(format!("http://{}/loader/f1k", Lab::SERVER)))?.text;
        wrk_said(&said).with_context(|| format!("wrk said {said}"))
    }
}

/// How many requests were answered, and in what time: `  45231 requests in 2.10s, 56.10MB read`.
fn wrk_said(said: &str) -> Option<Brought> {
    if said.contains("Non-2xx") {
        return None;
    }
    let line = said.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = line.trim().split_once(" requests in ")?;
    let (seconds, _) = rest.split_once("s,")?;
    Some(Brought {
        units: requests.parse().ok()?,
        seconds: seconds.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood_and_errors_are_no_figures() {
        let good = "  45231 requests in 2.10s, 56.10MB read\nRequests/sec:  21538.5\n";
        let brought = wrk_said(good).unwrap();
        assert_eq!((brought.units, brought.seconds), (45231.0, 2.1));
        assert!(wrk_said(&format!("{good}  Non-2xx or 3xx responses: 1\n")).is_none());
    }
}
