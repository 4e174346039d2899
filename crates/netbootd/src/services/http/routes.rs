//! Which path means what.

use std::fs::File;
use std::net::SocketAddrV4;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use boot::{Drivers, script};
use model::{GenerationId, ImageName, MacAddr, Report, Stage};
use tracing::{debug, warn};

use super::answer::{Answer, Body};
use super::connection::Handler;
use super::range::{Part, part};
use super::request::{Method, Request};
use crate::daemon::{Daemon, unix_seconds};
use crate::identity::{self, TOKEN_LIFE};
use crate::slice::Slice;
use crate::{damage, overlay, runs};

pub(super) struct Routes<'a> {
    pub(super) daemon: &'a Daemon,
}

impl Handler for Routes<'_> {
    fn answer(
        &self,
        peer: SocketAddrV4,
        local: SocketAddrV4,
        request: &Request,
        body: &[u8],
    ) -> Answer {
        let path: Vec<&str> = request.path.split('/').collect();
        let answer = match (request.method, path.as_slice()) {
            (Method::Post, ["client", mac, "report"]) => aside(|| self.report(mac, peer, body)),
            (Method::Post, ["client", mac, "host-key"]) => aside(|| {
                asked(mac, |client| {
                    identity::certify(self.daemon, client, *peer.ip(), body)
                })
            }),
            (Method::Post, ["client", mac, "boot-next"]) => aside(|| {
                asked(mac, |client| {
                    identity::boot_next(self.daemon, client, *peer.ip(), body)
                })
            }),
            (Method::Post, ["client", mac, "damage"]) => aside(|| {
                asked(mac, |client| {
                    damage::report(self.daemon, client, *peer.ip(), body)
                })
            }),
            (Method::Post, ["client", mac, "run"]) => aside(|| {
                asked(mac, |client| {
                    runs::report(self.daemon, client, *peer.ip(), body)
                })
            }),
            (Method::Post, _) => Some(Answer::text(
                405,
                "only reports, host keys, next boots, damage and runs are posted",
            )),
            (_, ["boot", script]) => {
                let mac = script
                    .strip_suffix(".ipxe")
                    .and_then(|mac| mac.parse().ok());
                mac.map(|mac| aside(|| self.script(mac, peer, local, request)))
            }
            (_, ["loader", script::AUTOEXEC]) => {
                let text = script::autoexec(local);
                Some(Answer::generated("text/plain", text.into_bytes()))
            }
            (_, ["loader", name]) => self.loader(name, request),
            (_, ["images", name, generation, file]) => {
                self.image_file(name, generation, file, peer, request)
            }
            (_, ["client", mac, "homes-certificate"]) => aside(|| {
                asked(mac, |client| {
                    identity::certify_homes(self.daemon, client, *peer.ip())
                })
            }),
            (_, ["client", mac, "overlay.cpio"]) => aside(|| self.overlay(mac, peer, request)),
            (_, [""]) => Some(Answer::text(
                200,
                "netbootd: see `netbootd status` on the server",
            )),
            _ => None,
        };
        let answer = answer.unwrap_or_else(Answer::not_found);
        debug!(client = %peer, path = request.path, status = answer.status, "HTTP");
        if let Some(client) = self.daemon.client_at(*peer.ip()) {
            let asked = format!("{} /{}", request.method.as_str(), request.path);
            let head = answer.head(request.keep_alive);
            let captures = &self.daemon.captures;
            captures.http(client, peer, local, &asked, &head);
        }
        answer
    }

    fn sent(&self, peer: SocketAddrV4, request: &Request, answer: &Answer) {
        let Body::Files { to_the_end, .. } = &answer.body else {
            return;
        };
        let stage = match request.path.rsplit('/').next() {
            Some("vmlinuz") => Stage::Kernel,
            Some("initrd.img") => Stage::Initrd,
            _ if request.path.starts_with("loader/") => Stage::Loader,
            _ => return,
        };
        if let (true, Some(client)) = (to_the_end, self.daemon.client_at(*peer.ip())) {
            let detail = format!("{} KiB over HTTP", answer.body.len() / 1024);
            self.daemon.fetched(client, stage, &detail);
        }
    }
}

/// Work that reads the operator's files and the image, or writes a book to the disk: others'
/// connections go on meanwhile, on another thread.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Routes<'_> {
    fn loader(&self, name: &str, request: &Request) -> Option<Answer> {
        let (file, metadata) = match self.daemon.loaders.open(name) {
            Ok(opened) => opened?,
            Err(error) => {
                warn!(name, %error, "a loader cannot be read");
                return None;
            }
        };
        let etag = format!(
            "\"{:x}-{:x}-{:x}\"",
            metadata.ino(),
            metadata.mtime(),
            metadata.len()
        );
        // UEFI 2.10 section 24.7.2: the type tells firmware that this is a program to run.
        let content_type = if name.ends_with(".efi") {
            "application/efi"
        } else {
            "application/octet-stream"
        };
        let file = Slice::head(&Arc::new(file), metadata.len());
        Some(file_answer(&[file], &etag, content_type, request))
    }

    fn image_file(
        &self,
        name: &str,
        generation: &str,
        file: &str,
        peer: SocketAddrV4,
        request: &Request,
    ) -> Option<Answer> {
        let (name, id): (ImageName, GenerationId) = (name.parse().ok()?, generation.parse().ok()?);
        if !self.daemon.exports.may_have(&name, (*peer.ip()).into()) {
            return Some(Answer::text(403, "this image is not for your network"));
        }
        let images = self.daemon.images.load();
        let generation = images.generation(&name, id)?;
        let whole = |file: &Arc<File>| Some(Slice::head(file, file.metadata().ok()?.len()));
        let card = request.query_value("card").unwrap_or_default();
        let mut kind = file.to_owned();
        let parts = match file {
            "vmlinuz" => vec![whole(&generation.kernel)?],
            "root.squashfs" => vec![whole(&generation.root.file)?],
            "initrd.img" => match generation.initrd.for_card(&card) {
                Some(parts) => {
                    kind = format!("{file}-{card}");
                    if let (Method::Get, Some(client)) =
                        (request.method, self.daemon.client_at(*peer.ip()))
                    {
                        self.daemon.learn(client, |facts| {
                            facts.drivers = Drivers::SentOfItsCard;
                        });
                    }
                    parts
                }
                None => vec![whole(&generation.initrd.file)?],
            },
            _ => return None,
        };
        let etag = format!("\"{id}-{kind}\"");
        let content_type = "application/octet-stream";
        Some(file_answer(&parts, &etag, content_type, request))
    }

    /// The files that make one client different, for `init` with a fresh token.
    fn overlay(&self, mac: &str, peer: SocketAddrV4, request: &Request) -> Option<Answer> {
        let client: MacAddr = mac.parse().ok()?;
        let daemon = self.daemon;
        let token = request.query_value("token").unwrap_or_default();
        let age = daemon
            .site_key
            .token_age(&token, client, *peer.ip(), unix_seconds());
        let spent = || {
            let timelines = daemon.timelines();
            let attempt = timelines.current(client)?;
            let current = attempt
                .facts
                .token
                .as_ref()
                .is_none_or(|current| *current == token);
            Some(!current || attempt.stage() >= Some(Stage::Switched))
        };
        if age.is_none_or(|age| age > TOKEN_LIFE) || spent().unwrap_or(false) {
            warn!(%client, address = %peer.ip(), "someone asked for a client's overlay with a token that is not good (any more)");
            return Some(Answer::text(403, "this token is not good (any more)"));
        }
        let dns = request
            .query_value("dns")
            .and_then(|server| server.parse().ok());
        match overlay::render(daemon, client, dns) {
            Ok(archive) => {
                let size = archive.len() / 1024;
                daemon.note(client, "HTTP", &format!("its overlay, {size} KiB"));
                Some(Answer::generated("application/x-cpio", archive))
            }
            Err(error) => {
                warn!(%client, "the overlay cannot be made: {error:#}");
                Some(Answer::text(
                    500,
                    "the overlay cannot be made; the server's log says why",
                ))
            }
        }
    }

    fn report(&self, mac: &str, peer: SocketAddrV4, body: &[u8]) -> Option<Answer> {
        let client: MacAddr = mac.parse().ok()?;
        let report = match Report::parse(body) {
            Ok(report) => report,
            Err(error) => return Some(Answer::text(400, &error.to_string())),
        };
        let daemon = self.daemon;
        if daemon
            .site_key
            .token_age(&report.token, client, *peer.ip(), unix_seconds())
            .is_none()
        {
            return Some(Answer::text(403, "this token is not good"));
        }
        if report.failed {
            daemon.failed(client, report.stage, &report.message);
        } else {
            daemon.reached(client, report.stage, &report.message);
        }
        if let Some(is_on) = report.secure_boot {
            daemon.firmware.secure_boot(client, is_on);
        }
        daemon.learn(client, |facts| facts.address = Some(*peer.ip()));
        Some(Answer::no_content())
    }
}

/// What a client asks of us for itself alone.
fn asked(
    mac: &str,
    grant: impl FnOnce(MacAddr) -> Result<String, (u16, String)>,
) -> Option<Answer> {
    Some(match grant(mac.parse().ok()?) {
        Ok(text) if text.is_empty() => Answer::no_content(),
        Ok(text) => Answer::generated("text/plain", text.into_bytes()),
        Err((status, reason)) => Answer::text(status, &reason),
    })
}

/// What `parts` make one behind the other, or the range of it that was asked for.
fn file_answer(parts: &[Slice], etag: &str, content_type: &str, request: &Request) -> Answer {
    let mut headers =
        format!("Content-Type: {content_type}\r\nAccept-Ranges: bytes\r\nETag: {etag}\r\n");
    let size = parts.iter().map(|part| part.len).sum();
    let (status, start, len) = match part(
        request.range.as_deref(),
        request.if_range.as_deref(),
        etag,
        size,
    ) {
        Part::Whole => (200, 0, size),
        Part::Range { start, len } => {
            headers.push_str(&format!(
                "Content-Range: bytes {start}-{}/{size}\r\n",
                start + len - 1
            ));
            (206, start, len)
        }
        Part::Unsatisfiable => {
            let mut answer = Answer::text(416, "no such bytes in the file");
            answer
                .headers
                .push_str(&format!("Content-Range: bytes */{size}\r\n"));
            return answer;
        }
    };
    Answer {
        status,
        headers,
        body: Body::Files {
            parts: Slice::cut(parts, start, len),
            to_the_end: start + len == size,
        },
    }
}
