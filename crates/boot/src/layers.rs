//! What holds for one client: its own settings over those of its groups.

use model::{
    BootChoice, Changes, DhcpOption, Group, Home, MacAddr, RootMode, Settings, SshHostKey, Way,
};

use crate::Site;

/// Who says something of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// A group that it belongs to, by itself or because another group includes it.
    Group(&'a str),
    /// Its own table.
    Client,
}

/// All that is said of one client, the lowest rank first.
#[derive(Clone, Debug, Default)]
pub struct Layers<'a>(pub Vec<(Speaker<'a>, &'a Settings)>);

impl Site {
    /// What is said of `client`: the groups in the order of the configuration, each after those that
    /// it includes and none twice, then its own table.
    pub fn layers(&self, client: MacAddr) -> Layers<'_> {
        let hostname = self.hostname(client);
        let mut layers = Vec::new();
        for group in &self.groups {
            if group.has(client, &hostname) {
                self.add_group(group, &mut layers);
            }
        }
        if let Some(own) = self.settings_of(client) {
            layers.push((Speaker::Client, &own.settings));
        }
        Layers(layers)
    }

    fn add_group<'a>(&'a self, group: &'a Group, layers: &mut Vec<(Speaker<'a>, &'a Settings)>) {
        let speaker = Speaker::Group(&group.name);
        if layers.iter().any(|(known, _)| *known == speaker) {
            return;
        }
        // Its place is kept before its includes are looked at, so that a circle would end too.
        let place = layers.len();
        layers.push((speaker, &group.settings));
        for included in &group.include {
            let included = self.groups.iter().find(|group| group.name == *included);
            if let Some(included) = included {
                self.add_group(included, layers);
            }
        }
        let own = layers.remove(place);
        layers.push(own);
    }
}

impl<'a> Layers<'a> {
    fn settings(&self) -> impl DoubleEndedIterator<Item = &'a Settings> {
        self.0.iter().map(|(_, settings)| *settings)
    }

    fn last<T>(&self, of: impl Fn(&'a Settings) -> Option<T>) -> Option<T> {
        self.settings().rev().find_map(of)
    }

    /// The names of its groups, the lowest rank first.
    pub fn groups(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(|(speaker, _)| match speaker {
            Speaker::Group(name) => Some(*name),
            Speaker::Client => None,
        })
    }

    /// What it boots.
    pub fn boot(&self) -> Option<&'a BootChoice> {
        self.last(|settings| settings.boot.as_ref())
    }

    /// How it gets its root.
    pub fn root(&self) -> Option<RootMode> {
        self.last(|settings| settings.root)
    }

    /// What its changes to the root may take of its memory.
    pub fn changes(&self) -> Option<Changes> {
        self.last(|settings| settings.changes)
    }

    /// What is added to its kernel command line, in order.
    pub fn kernel_arguments(&self) -> impl Iterator<Item = &'a str> {
        self.settings()
            .filter_map(|settings| settings.kernel_arguments.as_deref())
    }

    /// The units that are masked, given those that are for every client.
    pub fn masked(&self, always: &[&'a str]) -> Vec<&'a str> {
        let mut masked = always.to_vec();
        for settings in self.settings() {
            masked.retain(|unit| !settings.unmask.iter().any(|kept| kept == unit));
            for unit in &settings.mask {
                if !masked.contains(&unit.as_str()) {
                    masked.push(unit);
                }
            }
        }
        masked
    }

    /// The program and its words that restart it.
    pub fn reboot(&self) -> Option<&'a [String]> {
        self.last(|settings| Some(settings.reboot.as_slice()).filter(|words| !words.is_empty()))
    }

    /// Where its Redfish service is.
    pub fn redfish(&self) -> Option<&'a str> {
        self.last(|settings| settings.redfish.as_deref())
    }

    /// Lines of fstab(5).
    pub fn fstab(&self) -> impl Iterator<Item = &'a str> {
        self.settings()
            .flat_map(|settings| &settings.fstab)
            .map(String::as_str)
    }

    /// Commands for the end of the boot.
    pub fn commands(&self) -> impl Iterator<Item = &'a str> {
        self.settings()
            .flat_map(|settings| &settings.commands)
            .map(String::as_str)
    }

    /// The account that the console is logged in as.
    pub fn autologin(&self) -> Option<&'a str> {
        self.last(|settings| settings.autologin.as_deref())
    }

    /// Where the homes of the server's accounts are.
    pub fn home(&self) -> Option<Home> {
        self.last(|settings| settings.home)
    }

    /// How long it has its ssh host key.
    pub fn ssh_host_key(&self) -> SshHostKey {
        self.last(|settings| settings.ssh_host_key)
            .unwrap_or_default()
    }

    /// Whether its firmware enforces Secure Boot, if that is said.
    pub fn secure_boot(&self) -> Option<bool> {
        self.last(|settings| settings.secure_boot)
    }

    /// The way its firmware is brought to a loader, if that is said.
    pub fn way(&self) -> Option<Way> {
        self.last(|settings| settings.way)
    }

    /// What DHCP tells it besides; of several values for one option the last counts.
    pub fn options(&self) -> Vec<&'a DhcpOption> {
        let mut options: Vec<&DhcpOption> = Vec::new();
        for option in self.settings().flat_map(|settings| &settings.options) {
            options.retain(|other| other.code != option.code);
            options.push(option);
        }
        options
    }

    /// Whether it has this account of the configuration or the server.
    pub fn has_user(&self, name: &str) -> bool {
        self.last(|settings| settings.users.as_ref())
            .is_none_or(|users| users.iter().any(|user| user == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientSettings;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn group(name: &str, members: &[&str], include: &[&str], settings: Settings) -> Group {
        Group {
            name: name.into(),
            members: members.iter().map(|text| text.parse().unwrap()).collect(),
            include: include.iter().map(|&name| name.into()).collect(),
            settings,
        }
    }

    fn words(text: &str) -> Settings {
        Settings {
            kernel_arguments: Some(text.into()),
            ..Settings::default()
        }
    }

    fn site(groups: Vec<Group>) -> Site {
        Site {
            groups,
            ..Site::default()
        }
    }

    fn said(site: &Site) -> Vec<&str> {
        site.layers(PC).kernel_arguments().collect()
    }

    #[test]
    fn a_client_without_a_name_is_in_groups_by_its_address_and_its_made_up_name() {
        let site = site(vec![
            group("a", &["02:00:*"], &[], words("a")),
            group("b", &["pc-000001"], &[], words("b")),
            group("c", &["lab*"], &[], words("c")),
        ]);
        assert_eq!(said(&site), ["a", "b"]);
    }

    #[test]
    fn what_a_group_includes_ranks_below_it_and_counts_once() {
        let site = site(vec![
            group("gpu", &["*"], &["base", "big"], words("gpu")),
            group("big", &["*"], &["base"], words("big")),
            group("base", &[], &[], words("base")),
        ]);
        assert_eq!(said(&site), ["base", "big", "gpu"]);
    }

    #[test]
    fn of_several_values_for_one_option_the_last_counts() {
        let options = |options: &[(u8, u8)]| Settings {
            options: options
                .iter()
                .map(|&(code, byte)| DhcpOption {
                    code,
                    bytes: vec![byte],
                })
                .collect(),
            ..Settings::default()
        };
        let mut site = site(vec![
            group("a", &["*"], &[], options(&[(42, 1), (7, 1)])),
            group("b", &["*"], &[], options(&[(42, 2), (26, 2)])),
        ]);
        let own = ClientSettings {
            hostname: None,
            settings: options(&[(26, 3)]),
        };
        site.clients.insert(PC.into(), own);
        let layers = site.layers(PC);
        let options = layers.options();
        let pairs: Vec<_> = options.iter().map(|o| (o.code, o.bytes[0])).collect();
        assert_eq!(pairs, [(7, 1), (42, 2), (26, 3)]);
    }

    #[test]
    fn a_circle_ends() {
        let site = site(vec![
            group("a", &["*"], &["b"], words("a")),
            group("b", &["*"], &["a"], words("b")),
        ]);
        assert_eq!(said(&site), ["b", "a"]);
    }

    #[test]
    fn the_client_says_the_last_word() {
        let mask = |mask: &[&str], unmask: &[&str]| Settings {
            mask: mask.iter().map(|&unit| unit.into()).collect(),
            unmask: unmask.iter().map(|&unit| unit.into()).collect(),
            root: Some(RootMode::Tree),
            ..Settings::default()
        };
        let mut site = site(vec![group(
            "all",
            &["*"],
            &[],
            mask(&["cups.service"], &["x.timer"]),
        )]);
        assert_eq!(
            site.layers(PC).masked(&["x.timer", "y.timer"]),
            ["y.timer", "cups.service"]
        );
        let mut own = mask(&["x.timer"], &["cups.service"]);
        own.root = Some(RootMode::Ram);
        own.users = Some(vec!["alice".into()]);
        let own = ClientSettings {
            hostname: None,
            settings: own,
        };
        site.clients.insert(PC.into(), own);
        let layers = site.layers(PC);
        assert_eq!(layers.masked(&["x.timer"]), ["x.timer"]);
        assert_eq!(layers.root(), Some(RootMode::Ram));
        assert!(layers.has_user("alice") && !layers.has_user("bob"));
        assert_eq!(layers.groups().collect::<Vec<_>>(), ["all"]);
    }
}
