//! The ladder in words.

use model::{ClientArch, Way};

use super::{Miss, Missed};
use crate::Facts;

/// How a machine is told, as the end of a sentence that begins with "it gets".
pub fn way_in_words(way: Way) -> &'static str {
    match way {
        Way::Direct => "an offer that says it all",
        Way::BootServer => "its loader from port 4011",
        Way::Header => "its loader in the header alone",
        Way::OtherIpxe => "the other iPXE",
        Way::Shim => "shim and GRUB",
    }
}

impl Missed {
    /// Of the attempt before the one that begins.
    pub fn of_the_last(self) -> String {
        let what = match self.miss {
            Miss::NotTaken => "did not fetch what it was told",
            Miss::Refused => "fetched its loader, then silence",
            Miss::Stuck => "came to its loader, which did not ask what to boot",
        };
        let next = match self.next {
            Some(next) if next == self.way => {
                "it may have been a reset: it gets the same once more".to_owned()
            }
            Some(next) => format!("it gets {} now", way_in_words(next)),
            None => "it is sent in a circle, and left alone for two minutes".to_owned(),
        };
        format!(
            "told by {}, it {what} the last time; {next}",
            self.way.as_str()
        )
    }

    /// Why a boot stopped that fetched `loader` and went no further.
    pub(crate) fn after_loader(loader: &str, facts: &Facts) -> String {
        let (arch, missed) = (facts.arch, facts.ladder);
        let has_secure_boot =
            arch.is_none_or(|arch| !matches!(arch, ClientArch::BiosX86 | ClientArch::HttpBios));
        let is_shim = loader.contains("shim") || loader.contains("grub");
        let why = match missed.map(|missed| missed.miss) {
            Some(Miss::Stuck) if is_shim && facts.is_beside_another => {
                "then GRUB, and silence: GRUB goes on to the next server (siaddr) of the address's acknowledgement, and \
                 knows of no proxy, so the other DHCP server must name this server as the next one"
            }
            Some(Miss::Stuck) if is_shim => "then GRUB, which never asked for its configuration",
            Some(Miss::Stuck) => {
                "its iPXE was heard of and never asked for its script: it may hang on this network card"
            }
            _ if is_shim => {
                "then silence: this firmware does not trust shim (its setup may have a switch for Microsoft's \
                 third-party certificate), or GRUB hangs"
            }
            _ if has_secure_boot => {
                "then silence: Secure Boot refused it, or iPXE hangs on this network card"
            }
            _ => "then silence: iPXE hangs on this machine",
        };
        let mut text = format!("it fetched {loader}, {why}");
        let next = missed.map_or(String::new(), Self::next_time);
        text += &next;
        if has_secure_boot
            && !is_shim
            && missed.is_some_and(|missed| missed.next != Some(Way::Shim))
        {
            text += " (Secure Boot lets only shim and GRUB start: packages shim-signed and grub-efi-*-signed)";
        }
        text
    }

    /// What comes next, as the end of a sentence.
    pub(crate) fn next_time(self) -> String {
        match self.next {
            Some(next) if next == self.way => "; next time it gets the same once more".to_owned(),
            Some(next) => format!("; next time it gets {}", way_in_words(next)),
            None => "; everything has been tried, next time it begins anew".to_owned(),
        }
    }
}
