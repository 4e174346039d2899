//! `cargo xtask bench AREA`: netbootd's figures, beside its peers' in the same run.
//!
//! Every bench runs its subjects in turn, prints one row per figure,
//! `area.case.metric.subject: value`, and exits with 0 whatever the figures are; another exit code
//! means that something could not be measured. A figure is the median of its rounds.

mod boot;
mod dhcp;
mod dns;
mod ground;
mod http;
mod image;
mod memory;
mod nfs;
mod rows;
mod tftp;
mod turns;
mod usage;

use anyhow::Result;
use turns::Turns;

/// What `cargo xtask bench` can measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// Power-on to login prompt: netbootd, what an operator has today, and the best that is known
    Boot(boot::Arguments),
    /// Addresses: netbootd, dnsmasq and Kea
    Dhcp(dhcp::Arguments),
    /// Making root images: netbootd, mksquashfs and gensquashfs
    Image(image::Arguments),
    /// What netbootd holds in memory with 10 000 leases and names, idle and under load
    Memory(turns::Measure),
    /// READs and metadata over NFS: netbootd, nfs-ganesha, and a server of the crate nfsserve
    Nfs(nfs::Arguments),
    /// Files over TFTP: netbootd, dnsmasq, and the server of the crate tftpd
    Tftp(Turns<tftp::Subject>),
    /// Names and addresses: netbootd, dnsmasq and Knot
    Dns(Turns<dns::Subject>),
    /// Files over HTTP: netbootd and nginx
    Http(Turns<http::Subject>),
    /// The load of `nfs`, which starts it itself
    #[command(hide = true)]
    NfsClient(nfs::ClientArguments),
}

/// Measures, and prints the rows.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Boot(arguments) => boot::measure(arguments),
        Bench::Dhcp(arguments) => dhcp::measure(arguments),
        Bench::Image(arguments) => image::measure(arguments),
        Bench::Memory(arguments) => memory::measure(arguments),
        Bench::Nfs(arguments) => nfs::measure(arguments),
        Bench::Tftp(turns) => turns.measure(&tftp::Tftp),
        Bench::Dns(turns) => turns.measure(&dns::Dns),
        Bench::Http(turns) => turns.measure(&http::Http),
        Bench::NfsClient(arguments) => nfs::client(arguments),
    }
}
