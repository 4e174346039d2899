//! A virtual machine that boots from its network card, diskless unless the test is about its disk.

use std::cell::OnceCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::console::Console;
use crate::disk::Disk;
use crate::lab::Lab;
use crate::process::{Process, tail, until};
use crate::slot::Slot;
use crate::wire;

/// The firmware of a machine: which PXE client asks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS; the card's own ROM is an iPXE.
    Bios,
    /// OVMF; the card has no ROM, so EDK2's own PXE stack asks, and gets an iPXE from the server.
    Uefi,
    /// OVMF that enforces Secure Boot with Microsoft's keys, as machines are sold.
    SecureBoot,
    /// OVMF told to boot over HTTP only: its first file comes from a URL, not over TFTP.
    UefiHttp,
    /// OVMF that enforces Secure Boot and boots over HTTP only.
    SecureHttp,
}

impl Firmware {
    /// `bios`, `uefi`, `secure-boot` or `uefi-http`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
            Self::SecureBoot => "secure-boot",
            Self::UefiHttp => "uefi-http",
            Self::SecureHttp => "secure-http",
        }
    }
}

/// A network card that QEMU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// What a cloud kernel has a driver for.
    Virtio,
    /// What many office machines have.
    E1000e,
}

/// A running guest. It is switched off when this is dropped.
#[derive(Debug)]
pub struct Machine {
    qemu: Process,
    /// The guest's serial console.
    pub console: Console,
    mac: String,
    tap: String,
    keyboard: OnceCell<UnixStream>,
    _slot: Slot,
}

impl Machine {
    /// Switches a machine on, on this lab's link, with `memory` MiB. Waits for a free slot first.
    pub fn start(lab: &Lab, firmware: Firmware, card: Card, memory: u32) -> Result<Self> {
        Self::plugged_in(lab, firmware, card, memory, lab.tap()?)
    }

    /// The same for a tap and a MAC address that the test has from [`Lab::tap`]: to know them before,
    /// and to switch the same machine on again.
    pub fn plugged_in(
        lab: &Lab,
        firmware: Firmware,
        card: Card,
        memory: u32,
        plug: (String, String),
    ) -> Result<Self> {
        Self::assembled(lab, firmware, card, memory, plug, None, &[])
    }

    /// The same with a disk of its own, which its firmware tries after the network: as a workstation
    /// is set up whose own system shall stay the default. Its card is a virtio one.
    pub fn with_disk(
        lab: &Lab,
        firmware: Firmware,
        memory: u32,
        plug: (String, String),
        disk: &Disk,
    ) -> Result<Self> {
        Self::assembled(lab, firmware, Card::Virtio, memory, plug, Some(disk), &[])
    }

    /// The same with a second card, which nothing boots from.
    pub fn with_second_card(
        lab: &Lab,
        memory: u32,
        plug: (String, String),
        (second, second_mac): &(String, String),
    ) -> Result<Self> {
        let words = [
            "-netdev".to_owned(),
            format!("tap,id=second,ifname={second},script=no,downscript=no"),
            "-device".to_owned(),
            format!("virtio-net-pci,romfile=,netdev=second,mac={second_mac}"),
        ];
        let (firmware, card) = (Firmware::Bios, Card::Virtio);
        Self::assembled(lab, firmware, card, memory, plug, None, &words)
    }

    /// The same on a cable of ours: each frame for the machine goes through `change`, which must leave checksums right.
    pub fn on_wire(
        lab: &Lab,
        memory: u32,
        plug: (String, String),
        change: impl FnMut(&mut [u8]) + Send + 'static,
    ) -> Result<Self> {
        let (firmware, card) = (Firmware::Bios, Card::Virtio);
        let machine = Self::assembled(lab, firmware, card, memory, plug, None, &wire::words())?;
        wire::plug(&machine, change)?;
        Ok(machine)
    }

    /// UEFI with a screen, which nobody looks at: without one some programs do not start. It has no disk.
    pub fn with_screen(lab: &Lab, memory: u32, plug: (String, String)) -> Result<Self> {
        let words = ["-device", "VGA"].map(str::to_owned);
        let (firmware, card) = (Firmware::Uefi, Card::Virtio);
        Self::assembled(lab, firmware, card, memory, plug, None, &words)
    }

    fn assembled(
        lab: &Lab,
        firmware: Firmware,
        card: Card,
        memory: u32,
        (tap, mac): (String, String),
        disk: Option<&Disk>,
        more: &[String],
    ) -> Result<Self> {
        let slot = Slot::take()?;
        // What an earlier boot said is not this one's.
        let _ = std::fs::rename(console(lab, &tap), console(lab, &format!("{tap}-before")));
        let device = match card {
            Card::Virtio => "virtio-net-pci",
            Card::E1000e => "e1000e",
        };
        let mut qemu = qemu(lab, &tap, memory)?;
        let mut device = format!("{device},netdev=link,mac={mac}");
        match firmware {
            Firmware::Bios => {
                // Without graphics, SeaBIOS and the iPXE in the card's ROM speak on the serial port.
                let order = if disk.is_some() { "nc" } else { "n" };
                qemu.args(["-machine", "pc,graphics=off", "-boot", order]);
            }
            _ => {
                device.push_str(",romfile=,bootindex=1");
                let enforces = matches!(firmware, Firmware::SecureBoot | Firmware::SecureHttp);
                let (kind, machine) = if enforces {
                    (".ms", "q35,smm=on")
                } else {
                    ("", "q35")
                };
                let variables = uefi_variables(lab, &tap, kind)?;
                qemu.args(["-machine", machine]);
                if enforces {
                    // What the operating system cannot write to.
                    qemu.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
                }
                qemu.arg("-drive")
                    .arg(format!(
                        "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M{kind}.fd"
                    ))
                    .arg("-drive")
                    .arg(format!("if=pflash,format=raw,unit=1,file={}", variables.display()));
            }
        }
        let off: &[&str] = match (firmware, disk) {
            (Firmware::UefiHttp | Firmware::SecureHttp, _) => &["IPv4PXESupport", "IPv6PXESupport"],
            // A minute in which nothing happens, on the way to the disk.
            (Firmware::Uefi, Some(_)) => &["IPv6PXESupport"],
            _ => &[],
        };
        for pxe in off {
            qemu.arg("-fw_cfg")
                .arg(format!("name=opt/org.tianocore/{pxe},string=no"));
        }
        qemu.args(["-device", &device]).args(more);
        if let Some(disk) = disk {
            // SeaBIOS goes by -boot, which an index would overrule.
            let disk_device = match firmware {
                Firmware::Bios => "virtio-blk-pci,drive=disk",
                _ => "virtio-blk-pci,drive=disk,bootindex=2",
            };
            qemu.arg("-drive")
                .arg(format!(
                    "if=none,id=disk,format=raw,file={}",
                    disk.file().display()
                ))
                .args(["-device", disk_device]);
        }
        Self::run(lab, qemu, mac, tap, slot)
    }

    /// A 64-bit ARM machine, with UEFI and a virtio card.
    pub fn arm64(lab: &Lab, memory: u32) -> Result<Self> {
        let slot = Slot::take()?;
        let (tap, mac) = lab.tap()?;
        let mut qemu = qemu_of(("aarch64", "cortex-a72"), lab, &tap, memory)?;
        let variables = firmware_variables(lab, &tap, "/usr/share/AAVMF/AAVMF_VARS.fd")?;
        qemu.args(["-machine", "virt", "-drive"])
            .arg("if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd")
            .arg("-drive")
            .arg(format!(
                "if=pflash,format=raw,unit=1,file={}",
                variables.display()
            ));
        let device = format!("virtio-net-pci,romfile=,netdev=link,mac={mac},bootindex=1");
        qemu.args(["-device", &device]);
        Self::run(lab, qemu, mac, tap, slot)
    }

    /// Starts this kernel with this initrd and these words, without a firmware's way to it: a client
    /// for tests that are not about booting. Its card is a virtio one.
    pub fn with_kernel(
        lab: &Lab,
        kernel: &Path,
        initrd: &Path,
        words: &str,
        memory: u32,
    ) -> Result<Self> {
        let slot = Slot::take()?;
        let (tap, mac) = lab.tap()?;
        let mut qemu = qemu(lab, &tap, memory)?;
        qemu.args(["-machine", "pc,graphics=off", "-append", words]);
        qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
        let device = format!("virtio-net-pci,romfile=,netdev=link,mac={mac}");
        qemu.args(["-device", &device]);
        Self::run(lab, qemu, mac, tap, slot)
    }

    fn run(lab: &Lab, mut qemu: Command, mac: String, tap: String, slot: Slot) -> Result<Self> {
        let mut qemu = Process::start(&mut qemu, &lab.folder().join(format!("qemu-{tap}.log")))?;
        qemu.must_run()?;
        Ok(Self {
            qemu,
            console: Console::new(&console(lab, &tap)),
            mac,
            tap,
            keyboard: OnceCell::new(),
            _slot: slot,
        })
    }

    /// The MAC address of its card, with colons.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// The server's interface that its card is plugged into; its counters are what went over the wire.
    pub fn tap(&self) -> &str {
        &self.tap
    }

    /// Types on its serial console.
    pub fn types(&self, keys: &str) -> Result<()> {
        // The line stays open, and the letters come as from a fast typist: the guest's port holds 16, what waits goes
        // with the line, and a port that is full while a shell takes it over never asks for more.
        if self.keyboard.get().is_none() {
            // The socket is in the lab's /run, which is the machine's process's too.
            let socket = format!("/proc/{}/root{}", self.id(), keyboard(&self.tap));
            let line = UnixStream::connect(&socket)
                .with_context(|| format!("no serial console at {socket}"))?;
            // What the machine says comes here too, letter by letter: if nobody takes it, the machine waits with the
            // 278th. The thread ends with the machine.
            let mut said = line.try_clone()?;
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            let _ = self.keyboard.set(line);
        }
        if let Some(mut line) = self.keyboard.get() {
            for letters in keys.as_bytes().chunks(4) {
                line.write_all(letters)?;
                std::thread::sleep(Duration::from_millis(40));
            }
        }
        Ok(())
    }

    /// Runs a command in the shell that is logged in on the serial console, and waits for `answer`,
    /// which must not stand in the command itself.
    pub fn shell(&mut self, command: &str, answer: &str, limit: Duration) -> Result<()> {
        self.types(&format!("{command}\n"))?;
        self.until_says(&[answer], limit).map(|_| ())
    }

    /// Its QEMU's process id.
    pub fn id(&self) -> u32 {
        self.qemu.id()
    }

    /// Waits until the console has said one of `texts`, and returns which.
    pub fn until_says<'a>(&mut self, texts: &[&'a str], limit: Duration) -> Result<&'a str> {
        let what = format!("the console to say {texts:?}");
        let (qemu, console) = (&mut self.qemu, &mut self.console);
        until(limit, &what, || {
            if let Some(text) = console.look(texts) {
                return Ok(Some(text));
            }
            console.must_not_say("Kernel panic")?;
            if qemu.ended()?.is_some() {
                // It may have said it between the look and its end.
                return match console.look(texts) {
                    Some(text) => Ok(Some(text)),
                    None => bail!(
                        "the machine went off without saying {texts:?}; it said last:\n{}",
                        tail(&console.text(), 15)
                    ),
                };
            }
            Ok(None)
        })
    }

    /// Waits until the console has said the last of `marks`, and returns when each was first seen, in
    /// time since power-on and to about 20 ms. `None`: it was not said before the last mark was.
    /// Fails as soon as one of `endings` is said, after which the last mark will not come.
    pub fn when_said(
        &mut self,
        marks: &[&str],
        endings: &[&str],
        limit: Duration,
    ) -> Result<Vec<Option<Duration>>> {
        let Some(last) = marks.last() else {
            return Ok(Vec::new());
        };
        let mut seen = vec![None; marks.len()];
        let (qemu, console) = (&mut self.qemu, &mut self.console);
        until(limit, &format!("the console to say {last:?}"), || {
            // Before the look: what is said meanwhile is seen the next time.
            let ended = qemu.ended()?.is_some();
            let now = console.elapsed();
            for (mark, seen) in marks.iter().zip(&mut seen) {
                if seen.is_none() && console.look(&[mark]).is_some() {
                    *seen = Some(now);
                }
            }
            if seen.last().is_some_and(Option::is_some) {
                return Ok(Some(()));
            }
            if let Some(ending) = console.look(endings) {
                bail!(
                    "the console says {ending:?}:\n{}",
                    tail(&console.text(), 15)
                );
            }
            if ended {
                bail!(
                    "the machine went off without saying {last:?}; it said last:\n{}",
                    tail(&console.text(), 15)
                );
            }
            Ok(None)
        })?;
        Ok(seen)
    }

    /// Waits until the guest has switched itself off.
    pub fn until_off(&mut self, limit: Duration) -> Result<ExitStatus> {
        let (qemu, console) = (&mut self.qemu, &mut self.console);
        until(limit, "the machine to switch itself off", || {
            console.look(&[]);
            qemu.ended()
        })
    }
}

/// A machine without a disk or a card, with what its console says in a file.
fn qemu(lab: &Lab, tap: &str, memory: u32) -> Result<Command> {
    qemu_of(("x86_64", "max"), lab, tap, memory)
}

/// The same with this kind of processor.
fn qemu_of((kind, model): (&str, &str), lab: &Lab, tap: &str, memory: u32) -> Result<Command> {
    let mut qemu = lab.command(&format!("qemu-system-{kind}"))?;
    // No KVM, wherever it runs: the same machine everywhere. One processor, as one core of two.
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", model, "-smp", "1"])
        .args(["-m", &memory.to_string(), "-display", "none", "-no-reboot"])
        .args(["-nodefaults", "-monitor", "none"])
        .arg("-chardev")
        .arg(format!(
            "socket,id=console,path={},server=on,wait=off,logfile={}",
            keyboard(tap),
            console(lab, tap).display()
        ))
        .args(["-serial", "chardev:console"])
        .arg("-netdev")
        .arg(format!("tap,id=link,ifname={tap},script=no,downscript=no"));
    Ok(qemu)
}

/// Where its serial console can be typed at, seen from inside of the lab.
fn keyboard(tap: &str) -> String {
    format!("/run/console-{tap}.sock")
}

fn console(lab: &Lab, tap: &str) -> PathBuf {
    lab.folder().join(format!("console-{tap}.log"))
}

/// The machine's own copy of the firmware's variables.
fn uefi_variables(lab: &Lab, tap: &str, kind: &str) -> Result<PathBuf> {
    firmware_variables(lab, tap, &format!("/usr/share/OVMF/OVMF_VARS_4M{kind}.fd"))
}

/// The machine's own copy of these variables, as its boot before left it.
fn firmware_variables(lab: &Lab, tap: &str, original: &str) -> Result<PathBuf> {
    let copy = lab.folder().join(format!("variables-{tap}.fd"));
    if !copy.exists() {
        std::fs::copy(original, &copy).with_context(|| {
            format!("cannot copy {original}; is the firmware's package installed?")
        })?;
    }
    Ok(copy)
}
