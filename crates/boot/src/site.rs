//! What the operator wants booted, and what is there to boot.

use std::collections::BTreeMap;

use model::{
    BootChoice, Changes, GenerationId, Group, ImageName, KnownBy, MacAddr, NamePattern, RootMode,
    Settings,
};

/// A published image, with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedImage {
    /// The generation that new boots get.
    pub generation: GenerationId,
    /// The others that are there, the newest first.
    pub older: Vec<GenerationId>,
    /// How clients of this image get their root; `None`: as the site says.
    pub root: Option<RootMode>,
    /// Added to the kernel command line after the site's.
    pub kernel_arguments: String,
}

/// What the operator says of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Its name.
    pub hostname: Option<String>,
    /// What it boots, and how.
    pub settings: Settings,
}

/// Everything that a boot decision depends on, as one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// `None`: the only published image, if there is exactly one.
    pub default: Option<BootChoice>,
    /// How clients get their root unless image or client say otherwise.
    pub root: RootMode,
    /// What clients' changes to the root may take of their memory, unless they say otherwise.
    pub changes: Changes,
    /// For every client, first on the kernel command line.
    pub kernel_arguments: String,
    /// What clients are called that nobody named.
    pub hostnames: NamePattern,
    /// What can be booted.
    pub images: BTreeMap<ImageName, PublishedImage>,
    /// What the operator says of several clients together, the lowest rank first.
    pub groups: Vec<Group>,
    /// What the operator says of single clients.
    pub clients: BTreeMap<KnownBy, ClientSettings>,
    /// The cards of those that are known by something else than a card, as far as they were heard of.
    pub recognised: BTreeMap<MacAddr, KnownBy>,
}

/// A boot, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootPlan {
    /// The image to boot.
    pub image: ImageName,
    /// Its generation: kernel, initrd and root all come from it.
    pub generation: GenerationId,
    /// How the client gets its root.
    pub root: RootMode,
    /// What its changes to the root may take of its memory.
    pub changes: Changes,
    /// The operator's kernel arguments: site, image, client.
    pub kernel_arguments: String,
    /// The client's configured name.
    pub hostname: Option<String>,
}

/// The answer to "what does this client boot?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// This image.
    Boot(BootPlan),
    /// Its own disk: it gets no boot file.
    LocalDisk,
    /// A menu.
    Menu,
    /// It is not answered at all.
    Unanswered,
    /// Nothing can be booted; the reason, for the operator.
    Nothing(String),
}

impl Site {
    /// What a client is known by: its card, unless only something else that it showed has a table.
    pub fn known_by(&self, client: MacAddr) -> KnownBy {
        let card = KnownBy::Mac(client);
        let other = self.recognised.get(&client);
        match other.filter(|_| !self.clients.contains_key(&card)) {
            Some(other) => other.clone(),
            None => card,
        }
    }

    /// What the operator says of this very client.
    pub fn settings_of(&self, client: MacAddr) -> Option<&ClientSettings> {
        self.clients.get(&self.known_by(client))
    }

    /// The cards of the clients that have a table, those of one together.
    pub fn cards(&self) -> impl Iterator<Item = MacAddr> {
        let by_card = self.clients.keys().filter_map(|client| match client {
            KnownBy::Mac(mac) => Some(*mac),
            KnownBy::Uuid(_) | KnownBy::ClientId(_) => None,
        });
        by_card.chain(self.recognised.keys().copied())
    }

    /// The card of the client that has a table and is called `name`, or known by it.
    ///
    /// # Errors
    /// That it is known by something else than a card, and was not heard of.
    pub fn card_of(&self, name: &str) -> Option<Result<MacAddr, String>> {
        let known_by: Option<KnownBy> = name.parse().ok();
        let mut clients = self.clients.iter();
        let (known_by, _) = clients.find(|(client, settings)| {
            Some(*client) == known_by.as_ref() || settings.hostname.as_deref() == Some(name)
        })?;
        let what = match known_by {
            KnownBy::Mac(card) => return Some(Ok(*card)),
            KnownBy::Uuid(_) => "UUID",
            KnownBy::ClientId(_) => "client identifier",
        };
        let mut recognised = self.recognised.iter();
        let card = recognised.find(|(_, client)| *client == known_by);
        Some(card.map(|(card, _)| *card).ok_or_else(|| {
            format!(
                "{name} is known by its {what}, {known_by}, and no network card was seen with it yet: switch it on once, so \
                 that it asks this server for an address, or write the MAC address of its card"
            )
        }))
    }

    /// The client's name: the configured one, else one that stays the same and tells which machine
    /// it is.
    pub fn hostname(&self, client: MacAddr) -> String {
        let settings = self.settings_of(client);
        let configured = settings.and_then(|settings| settings.hostname.clone());
        configured.unwrap_or_else(|| self.hostnames.name(client))
    }

    /// What `client` was told to boot; none: the only image. `instead` is a choice for this one boot: by a ticket, or
    /// in the menu.
    pub fn choice<'a>(
        &'a self,
        client: MacAddr,
        instead: Option<&'a BootChoice>,
    ) -> Option<&'a BootChoice> {
        let configured = || self.layers(client).boot().or(self.default.as_ref());
        instead.or_else(configured)
    }

    /// What `client` boots now; `instead` as for [`Site::choice`].
    pub fn plan(&self, client: MacAddr, instead: Option<&BootChoice>) -> Plan {
        let layers = self.layers(client);
        let (name, digits) = match self.choice(client, instead) {
            Some(BootChoice::LocalDisk) => return Plan::LocalDisk,
            Some(BootChoice::Menu) => return Plan::Menu,
            Some(BootChoice::Unanswered) => return Plan::Unanswered,
            Some(BootChoice::Image { name, generation }) => (name, generation.as_deref()),
            None => match self.only_image() {
                Ok(name) => (name, None),
                Err(reason) => return Plan::Nothing(reason),
            },
        };
        let Some(image) = self.images.get(name) else {
            return Plan::Nothing(format!(
                "image {name} is not published; build it with: netbootd image build --name {name} SOURCE"
            ));
        };
        let generation = match digits {
            None => image.generation,
            Some(digits) => match image.find(digits) {
                Ok(id) => id,
                Err(reason) => return Plan::Nothing(format!("image {name} has {reason}")),
            },
        };
        let words: Vec<&str> = [&*self.kernel_arguments, &*image.kernel_arguments]
            .into_iter()
            .chain(layers.kernel_arguments())
            .map(str::trim)
            .filter(|words| !words.is_empty())
            .collect();
        let settings = self.settings_of(client);
        Plan::Boot(BootPlan {
            image: name.clone(),
            generation,
            root: layers.root().or(image.root).unwrap_or(self.root),
            changes: layers.changes().unwrap_or(self.changes),
            kernel_arguments: words.join(" "),
            hostname: settings.and_then(|settings| settings.hostname.clone()),
        })
    }

    /// The image that clients get when nothing else is said.
    pub fn only_image(&self) -> Result<&ImageName, String> {
        let mut names = self.images.keys();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => {
                Err("no image is published yet; build one with: netbootd image build /".into())
            }
            (Some(_), Some(_)) => {
                let names: Vec<&str> = self.images.keys().map(ImageName::as_str).collect();
                Err(format!(
                    "{} images are published ({}) and none is the default; set boot.default",
                    names.len(),
                    names.join(", ")
                ))
            }
        }
    }
}

impl PublishedImage {
    /// The generation whose id begins with these digits; else why there is not exactly one.
    pub fn find(&self, digits: &str) -> Result<GenerationId, String> {
        let all = std::iter::once(self.generation).chain(self.older.iter().copied());
        let mut found = all.filter(|id| BootChoice::means(digits, *id));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(format!("no generation {digits} (any more)")),
            (Some(_), Some(_)) => Err(format!(
                "several generations that begin with {digits}; write more digits"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn site(names: &[&str]) -> Site {
        let image = |n: u8| PublishedImage {
            generation: GenerationId([n; 16]),
            older: vec![GenerationId([0xa0 + n; 16])],
            root: None,
            kernel_arguments: String::new(),
        };
        let images = names
            .iter()
            .zip(1..)
            .map(|(name, n)| (name.parse().unwrap(), image(n)));
        Site {
            images: images.collect(),
            ..Site::default()
        }
    }

    fn booted(site: &Site) -> BootPlan {
        match site.plan(PC, None) {
            Plan::Boot(plan) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_only_image_needs_no_setting() {
        assert_eq!(booted(&site(&["demo"])).image.as_str(), "demo");
        assert!(
            matches!(site(&[]).plan(PC, None), Plan::Nothing(reason) if reason.contains("image build"))
        );
        let two = site(&["a", "b"]).plan(PC, None);
        assert!(matches!(two, Plan::Nothing(reason) if reason.contains("a, b")));
    }

    #[test]
    fn the_client_wins_over_the_image_and_the_image_over_the_site() {
        let mut site = site(&["a", "b"]);
        site.default = Some("a".parse().unwrap());
        site.kernel_arguments = "quiet".into();
        site.images.values_mut().for_each(|image| {
            image.root = Some(RootMode::Tree);
            image.kernel_arguments = " hugepages=4 ".into();
        });
        assert_eq!(booted(&site).root, RootMode::Tree);
        assert_eq!(booted(&site).kernel_arguments, "quiet hugepages=4");
        site.clients.insert(
            PC.into(),
            ClientSettings {
                hostname: Some("pc1".into()),
                settings: Settings {
                    boot: Some("b".parse().unwrap()),
                    root: Some(RootMode::Ram),
                    kernel_arguments: Some("debug".into()),
                    ..Settings::default()
                },
            },
        );
        let plan = booted(&site);
        assert_eq!((plan.image.as_str(), plan.root), ("b", RootMode::Ram));
        assert_eq!(plan.kernel_arguments, "quiet hugepages=4 debug");
        assert_eq!(plan.hostname.as_deref(), Some("pc1"));
    }

    #[test]
    fn a_machine_without_a_card_says_what_is_missing() {
        let uuid: KnownBy = "4c4c4544-0042-3510-8052-b4c04f384431".parse().unwrap();
        let mut site = site(&["demo"]);
        let settings = ClientSettings {
            hostname: Some("pc1".into()),
            ..ClientSettings::default()
        };
        site.clients.insert(uuid.clone(), settings);
        let said = site.card_of("pc1").unwrap().unwrap_err();
        assert!(said.contains("known by its UUID, 4c4c4544-0042"), "{said}");
        assert!(said.contains("switch it on once"), "{said}");
        let card = MacAddr([2, 0, 0, 0, 0, 1]);
        site.recognised.insert(card, uuid.clone());
        for name in ["pc1", &uuid.to_string()] {
            assert_eq!(site.card_of(name), Some(Ok(card)));
        }
        assert_eq!(site.card_of("pc2"), None);
    }

    #[test]
    fn local_disk_means_hands_off_unless_the_client_has_an_image() {
        let mut site = site(&["demo"]);
        site.default = Some(BootChoice::LocalDisk);
        assert_eq!(site.plan(PC, None), Plan::LocalDisk);
        let settings = Settings {
            boot: Some("demo".parse().unwrap()),
            ..Settings::default()
        };
        site.clients.insert(
            PC.into(),
            ClientSettings {
                hostname: None,
                settings,
            },
        );
        assert_eq!(booted(&site).image.as_str(), "demo");
    }

    #[test]
    fn a_client_that_showed_its_uuid_is_the_same_in_every_way() {
        let mut site = site(&["a", "b"]);
        let known_by: KnownBy = "4c4c4544-0042-3510-8052-b4c04f384431".parse().unwrap();
        let mut settings = ClientSettings {
            hostname: Some("pc1".into()),
            settings: Settings {
                boot: Some("b".parse().unwrap()),
                ..Settings::default()
            },
        };
        site.clients.insert(known_by.clone(), settings.clone());
        assert!(matches!(site.plan(PC, None), Plan::Nothing(_)));
        site.recognised.insert(PC, known_by);
        assert_eq!(booted(&site).hostname.as_deref(), Some("pc1"));
        assert_eq!(site.hostname(PC), "pc1");
        settings.hostname = Some("by-its-card".into());
        site.clients.insert(PC.into(), settings);
        assert_eq!(site.hostname(PC), "by-its-card", "which counts first");
    }

    #[test]
    fn an_older_generation_is_named_by_its_first_digits() {
        let site = site(&["demo"]);
        let plan = |text: &str| site.plan(PC, Some(&text.parse().unwrap()));
        let id = |text| match plan(text) {
            Plan::Boot(plan) => plan.generation,
            other => panic!("{other:?}"),
        };
        assert_eq!(id("demo"), GenerationId([1; 16]));
        assert_eq!(id("demo@a1a1"), GenerationId([0xa1; 16]));
        assert!(
            matches!(plan("demo@beef"), Plan::Nothing(reason) if reason.contains("no generation beef"))
        );
    }

    #[test]
    fn a_choice_for_one_boot_wins_over_everything() {
        let mut site = site(&["demo"]);
        site.default = Some(BootChoice::Unanswered);
        assert_eq!(site.plan(PC, None), Plan::Unanswered);
        assert_eq!(site.plan(PC, Some(&BootChoice::Menu)), Plan::Menu);
        assert!(matches!(
            site.plan(PC, Some(&"demo".parse().unwrap())),
            Plan::Boot(_)
        ));
    }
}
