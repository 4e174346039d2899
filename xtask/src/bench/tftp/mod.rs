//! `cargo xtask bench tftp`: a file of 60 MB, netbootd beside dnsmasq and rs-tftpd.
//!
//! A case is called `wW_cC`: windows of W blocks (RFC 7440) of 1468 bytes, C clients at once, each with an
//! address of its own, which fetch the file again and again until the time is over. dnsmasq knows no
//! windows: it sends block by block whatever it is asked for.
//!
//! | metric | is |
//! |---|---|
//! | `cpu_s_per_gb` | processor seconds of the server's process for 10⁹ bytes |
//! | `mb_per_s` | 10⁶ bytes in a second |
//! | `rss_mib` | the most memory that the process held |

mod load;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use integration::dnsmasq::ALONE;
use integration::{Lab, Process};

use super::ground::Ground;
use super::turns::{Brought, Service, Unit};
use crate::command::{cargo, run};
use crate::workspace;

/// Who sends files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Ours, with its defaults
    Netbootd,
    /// dnsmasq
    Dnsmasq,
    /// The server of the crate tftpd
    RsTftpd,
}

/// The version of the crate tftpd.
const RS_TFTPD: &str = "1.0.0";

pub(super) struct Tftp;

impl Service for Tftp {
    type Subject = Subject;
    const NAME: &'static str = "tftp";
    const CASES: &'static [(&'static str, Unit)] = &[
        ("w1_c1", Unit::Bytes),
        ("w16_c1", Unit::Bytes),
        ("w64_c1", Unit::Bytes),
        ("w1_c64", Unit::Bytes),
        ("w16_c64", Unit::Bytes),
    ];

    fn start(&self, subject: Subject, ground: &Ground) -> Result<Vec<Process>> {
        let folder = files(ground)?;
        let server = match subject {
            Subject::Netbootd => {
                ground.netbootd(&format!("[loaders]\nfolders = [{folder:?}]\n"))?
            }
            Subject::Dnsmasq => {
                let mut dnsmasq = ground.lab.command("dnsmasq")?;
                dnsmasq.args(ALONE).args(["--port=0", "--quiet-tftp"]);
                dnsmasq.args(["--enable-tftp", "--tftp-max=200"]);
                dnsmasq.arg(format!("--tftp-root={}", folder.display()));
                let log = ground.lab.folder().join("dnsmasq.log");
                let mut process = Process::start(&mut dnsmasq, &log)?;
                process.until_printed("started", Duration::from_secs(10))?;
                process
            }
            Subject::RsTftpd => {
                let program = rs_tftpd()?;
                let mut tftpd = ground.lab.command(&program.display().to_string())?;
                tftpd.args(["--ip-address", &Lab::SERVER.to_string(), "--port", "69"]);
                tftpd.arg("--read-only").arg("--directory").arg(&folder);
                let log = ground.lab.folder().join("tftpd.log");
                let mut process = Process::start(&mut tftpd, &log)?;
                process.until_printed("Running", Duration::from_secs(10))?;
                process
            }
        };
        Ok(vec![server])
    }

    fn load(&self, case: &str, ground: &Ground, seconds: f64) -> Result<Brought> {
        let numbers = case
            .strip_prefix('w')
            .and_then(|case| case.split_once("_c"));
        let (window, clients) = numbers.context("a case is wW_cC")?;
        let (window, clients) = (window.parse()?, clients.parse()?);
        ground.load(|| load::fetch(window, clients, Duration::from_secs_f64(seconds)))
    }
}

/// A folder with the file.
pub(super) fn files(ground: &Ground) -> Result<PathBuf> {
    let folder = ground.lab.folder().join("files");
    fs::create_dir(&folder)?;
    fs::write(folder.join(load::FILE), load::content())?;
    Ok(folder)
}

/// The crate's program, installed into our own target folder, once.
fn rs_tftpd() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("peers");
    let program = folder.join("bin/tftpd");
    if !program.exists() {
        let mut install = cargo(["install", "tftpd", "--version", RS_TFTPD, "--root"]);
        run(install.arg(&folder))?;
    }
    Ok(program)
}
