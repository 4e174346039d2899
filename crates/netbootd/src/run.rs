//! The supervisor: opens what is on disk, serves each interface as it becomes there, and ends in
//! order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use boot::SiteKey;
use config::{Config, Interface, Loaded, LogFormat, Mode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::control;
use crate::daemon::Daemon;
use crate::follow;
use crate::identity;
use crate::images::{self, Images};
use crate::leases::{from_disk, keep_those_of_running_clients, lease_clock};
use crate::names;
use crate::nat;
use crate::resolved;
use crate::serve_link::LinkContext;
use crate::services::dhcp::Shared;
use crate::services::dns::{self, Dns};

/// After this time the start's memory is given back, and after each such time what was freed since.
const STARTED: Duration = Duration::from_secs(2);
const MEMORY_RETURN: Duration = Duration::from_secs(30);
/// How long services may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the daemon until it is told to stop.
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    log_to_stderr(&loaded.config);
    loaded
        .warnings
        .iter()
        .for_each(|warning| warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(loaded.config));
    // Blocked reads of a slow disk must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn log_to_stderr(config: &Config) {
    // The configuration takes no other words than those of the levels.
    let level = config.log.level.parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("netbootd", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    // systemd's journal has its own clock and shows no colours.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = match config.log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text if journal => lines.without_time().with_ansi(false).boxed(),
        LogFormat::Text => lines.with_ansi(terminal).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
}

/// Tells this machine's systemd-resolved of the clients' names, until the process is told to end.
pub fn tell_resolved(config: &Config) -> anyhow::Result<()> {
    log_to_stderr(config);
    if !config.dns.tell_resolved {
        info!("dns.tell_resolved is not set, so there is nothing to do");
        return Ok(());
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .build()?
        .block_on(resolved::keep(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let state = &config.state_dir;
    std::fs::create_dir_all(state)
        .with_context(|| format!("cannot make the state folder {}", state.display()))?;
    let book = state.join("leases.log");
    let earlier = state.join("leases.redb");
    // Once: from now on there is a book of ours.
    if earlier.exists() && !book.exists() {
        warn!(
            "{} holds the leases of an earlier build of netbootd and is not read, so clients may get other addresses. To keep \
             them, have the earlier build print them (`netbootd leases --json`), and take them over: systemd/README.md says how",
            earlier.display()
        );
    }
    let opened = store::Leases::open(&book)?;
    opened.notes.iter().for_each(|note| warn!("{note}"));
    let key_path = state.join("handle.key");
    let key = store::key::load_or_create(&key_path)
        .with_context(|| format!("the site key {}", key_path.display()))?;
    let authority = identity::authority(state)?;
    let (images, notes) = Images::open(&config)?;
    notes.iter().for_each(|note| warn!("{note}"));
    images.describe();

    let shared = lease_book(opened);
    let daemon = Daemon::new(config, images, SiteKey(key), authority);
    let recall = |cards: &[_]| shared.with(|server| server.recall(cards));
    daemon.recognised.with(recall);
    let control = control::bind(&daemon.config.control_socket)?;

    let (stop, stopping) = watch::channel(false);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    tasks.spawn(ended(
        "control",
        control::serve(
            Arc::clone(&daemon),
            Arc::clone(&shared),
            control,
            stopping.clone(),
        ),
    ));
    tasks.spawn(images::watch(Arc::clone(&daemon), stopping.clone()));
    tasks.spawn(return_freed_memory(stopping.clone()));
    tasks.spawn(look_for_stopped_boots(
        Arc::clone(&daemon),
        stopping.clone(),
    ));
    let changes = net::changes().context("changes of interfaces cannot be heard")?;
    let system = net::interfaces().context("the interfaces cannot be listed")?;
    let own = names::own_addresses(&system);
    let dns = Dns::new(&daemon.config.dns.upstreams, &own);
    let (publish, system) = watch::channel(system);
    if daemon.config.interfaces.iter().any(nat::is_wanted) {
        tasks.spawn(nat::keep(
            Arc::clone(&daemon),
            system.clone(),
            stopping.clone(),
        ));
    }
    tasks.spawn(follow::watch(
        publish,
        changes,
        Arc::clone(&dns),
        stopping.clone(),
    ));
    tasks.spawn(ended(
        "DNS upstreams",
        dns::watch_upstreams(Arc::clone(&dns), stopping.clone()),
    ));
    tasks.spawn(names::follow(
        Arc::clone(&daemon),
        Arc::clone(&shared),
        Arc::clone(&dns),
        stopping.clone(),
    ));
    tasks.spawn(keep_those_of_running_clients(
        Arc::clone(&daemon),
        Arc::clone(&shared),
        stopping.clone(),
    ));
    let context = LinkContext::new(Arc::clone(&daemon), shared, dns);

    let wanted: Vec<Interface> = daemon
        .config
        .interfaces
        .iter()
        .filter(|wanted| wanted.mode != Mode::Off)
        .cloned()
        .collect();
    let (served, mut settled) = mpsc::channel(wanted.len().max(1));
    let count = wanted.len();
    for wanted in wanted {
        tasks.spawn(follow::interface(
            Arc::clone(&context),
            wanted,
            system.clone(),
            served.clone(),
            stopping.clone(),
        ));
    }
    let mut ready = 0;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut watchdog = watchdog();
    let result = loop {
        tokio::select! {
            Some(()) = settled.recv() => {
                ready += 1;
                if ready == count {
                    info!("ready");
                    notify(&[sd_notify::NotifyState::Ready]);
                }
            }
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => break Err(error),
                Err(panic) => break Err(anyhow::anyhow!("a service panicked: {panic}")),
            },
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = watchdog.tick() => notify(&[sd_notify::NotifyState::Watchdog]),
        }
    };
    info!("stopping");
    notify(&[sd_notify::NotifyState::Stopping]);
    let _ = stop.send(true);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        warn!("some services did not end in time");
    }
    daemon.recognised.write();
    let _ = std::fs::remove_file(&daemon.config.control_socket);
    result
}

/// The leases that the disk had.
fn lease_book(opened: store::Opened) -> Arc<Shared> {
    let now = lease_clock();
    let (leases, rewritten) = from_disk(opened.records.iter(), now);
    if let Some((changes, note)) = rewritten {
        warn!("{note}");
        if let Err(error) = opened.leases.commit(&changes) {
            error!(%error, "the leases could not be written anew by this clock");
        }
    }
    let server = dhcp::Server::new(&dhcp::Config::default(), leases, now);
    Shared::new(server, opened.leases)
}

/// Half the interval that systemd expects a sign of life in; a day where it expects none.
fn watchdog() -> tokio::time::Interval {
    let interval =
        sd_notify::watchdog_enabled().map_or(Duration::from_secs(86_400), |interval| interval / 2);
    tokio::time::interval(interval)
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd was not told");
    }
}

async fn ended(
    name: &'static str,
    service: impl Future<Output = std::io::Result<()>>,
) -> anyhow::Result<()> {
    service
        .await
        .with_context(|| format!("the {name} service ended"))
}

/// Gives back what the start, an import or a long zone needed only for a moment.
async fn return_freed_memory(mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval_at(Instant::now() + STARTED, MEMORY_RETURN);
    loop {
        tokio::select! {
            _ = tick.tick() => tokio::task::block_in_place(net::return_freed_memory),
            _ = stopping.changed() => return Ok(()),
        }
    }
}

async fn look_for_stopped_boots(
    daemon: Arc<Daemon>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = tick.tick() => {
                daemon.look_for_stopped_boots();
                daemon.recognised.write();
            }
            _ = stopping.changed() => return Ok(()),
        }
    }
}
