//! Counting what a source holds before it is read, so that progress has an end and the operator sees what is left out.

use std::collections::HashSet;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::{below, failed, list, nature};
use super::{Directory, Error};
use crate::progress::Progress;
use crate::scrub::{Rule, ScrubReport, Verdict};

/// How many names are counted of what a rule leaves out: home directories can hold millions.
const BUDGET: u64 = 100_000;

/// What a source holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Names that go into the image.
    pub entries: u64,
    /// What the regular files among them hold, each counted once however many names it has.
    pub bytes: u64,
    /// What does not go into the image.
    pub left_out: ScrubReport,
    /// Files and directories that should go into the image and may not be opened, at most
    /// [`Survey::LISTED`] of them.
    pub unreadable: Vec<String>,
    /// How many those are.
    pub unreadable_count: u64,
}

impl Survey {
    /// How many unreadable names are kept.
    pub const LISTED: usize = 1000;
}

impl Directory {
    /// Counts what the source holds. `progress` is advanced by one for each name.
    ///
    /// # Errors
    /// When a directory cannot be read, or with [`Error::Stopped`] soon after `stop` became true.
    pub fn survey(&self, progress: &dyn Progress, stop: &AtomicBool) -> Result<Survey, Error> {
        let mut surveyor = Surveyor {
            source: self,
            progress,
            stop,
            survey: Survey {
                entries: 1,
                ..Survey::default()
            },
            linked: HashSet::new(),
        };
        surveyor.list(b"", &self.root, None)?;
        Ok(surveyor.survey)
    }
}

struct Surveyor<'a> {
    source: &'a Directory,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
    survey: Survey,
    /// Files of several names that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Surveyor<'_> {
    /// Counts what is in a directory; `rule` is the one that left it out, if one did.
    fn list(&mut self, path: &[u8], directory: &OwnedFd, rule: Option<&Rule>) -> Result<(), Error> {
        let names = list(directory).map_err(|errno| failed("list", path, errno))?;
        let device = rustix::fs::fstat(directory);
        let device = device
            .map_err(|errno| failed("look at", path, errno))?
            .st_dev;
        for name in names.iter().rev() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let path = below(path, name);
            let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok();
            let rule = match (
                rule,
                self.source.rules.judge(&path, stat.as_ref().map(nature)),
            ) {
                (Some(rule), _) => Some(rule),
                (None, Verdict::LeaveOut(rule)) => Some(rule),
                (None, Verdict::Empty(rule)) => {
                    self.survey.entries += 1;
                    self.leave_out(rule, stat.as_ref());
                    continue;
                }
                (None, Verdict::Keep) => None,
            };
            match rule {
                Some(rule) if self.survey.left_out.tally(rule).entries >= BUDGET => {
                    self.survey.left_out.tally(rule).at_least = true;
                    return Ok(());
                }
                Some(rule) => self.leave_out(rule, stat.as_ref()),
                None => {
                    self.survey.entries += 1;
                    let first = |stat: &&Stat| {
                        stat.st_nlink < 2 || self.linked.insert((stat.st_dev, stat.st_ino))
                    };
                    self.survey.bytes += stat.as_ref().filter(first).map_or(0, bytes);
                    self.progress.advance(1);
                }
            }
            let stays = |stat: &Stat| self.source.enters(&path, device, stat.st_dev);
            let stat = stat.filter(stays);
            if rule.is_none() {
                self.check_access(directory, name, &path, stat.as_ref());
            }
            if let Some(stat) = stat
                && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            {
                self.descend(directory, name, &path, rule)?;
            }
        }
        Ok(())
    }

    fn descend(
        &mut self,
        directory: &OwnedFd,
        name: &CStr,
        path: &[u8],
        rule: Option<&Rule>,
    ) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What cannot be entered is told by the walk, which comes next; here it only goes uncounted.
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(directory) => self.list(path, &directory, rule),
            Err(_) => Ok(()),
        }
    }

    /// Writes down what the walk, which comes next, will not be able to open.
    fn check_access(&mut self, directory: &OwnedFd, name: &CStr, path: &[u8], stat: Option<&Stat>) {
        let access = match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Some(FileType::RegularFile) => Access::READ_OK,
            Some(FileType::Directory) => Access::READ_OK | Access::EXEC_OK,
            _ => return,
        };
        let result = rustix::fs::accessat(directory, name, access, AtFlags::EACCESS);
        if matches!(result, Err(Errno::ACCESS | Errno::PERM)) {
            self.survey.unreadable_count += 1;
            if self.survey.unreadable.len() < Survey::LISTED {
                self.survey.unreadable.push(crate::squash::shown(path));
            }
        }
    }

    fn leave_out(&mut self, rule: &Rule, stat: Option<&Stat>) {
        let tally = self.survey.left_out.tally(rule);
        tally.entries += 1;
        tally.bytes += stat.map_or(0, bytes);
    }
}

/// What a regular file holds.
fn bytes(stat: &Stat) -> u64 {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => stat.st_size as u64,
        _ => 0,
    }
}
