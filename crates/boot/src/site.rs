//! What the operator wants booted, and what is there to boot.

use std::collections::BTreeMap;

use model::{GenerationId, ImageName, MacAddr, RootMode};

/// What a client should boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// An image of ours.
    Image(ImageName),
    /// Whatever is on its own disk: netbootd stays out of the way.
    LocalDisk,
}

/// The current generation of a published image, with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedImage {
    /// The generation that new boots get.
    pub generation: GenerationId,
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
    /// What it boots; `None`: the site's default.
    pub boot: Option<Choice>,
    /// How it gets its root; `None`: as its image says.
    pub root: Option<RootMode>,
    /// Added last to the kernel command line.
    pub kernel_arguments: String,
}

/// Everything that a boot decision depends on, as one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// `None`: the only published image, if there is exactly one.
    pub default: Option<Choice>,
    /// How clients get their root unless image or client say otherwise.
    pub root: RootMode,
    /// For every client, first on the kernel command line.
    pub kernel_arguments: String,
    /// What can be booted.
    pub images: BTreeMap<ImageName, PublishedImage>,
    /// What the operator says of single clients.
    pub clients: BTreeMap<MacAddr, ClientSettings>,
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
    /// Nothing can be booted; the reason, for the operator.
    Nothing(String),
}

impl Site {
    /// What `client` boots now.
    pub fn plan(&self, client: MacAddr) -> Plan {
        let settings = self.clients.get(&client);
        let choice = settings
            .and_then(|settings| settings.boot.as_ref())
            .or(self.default.as_ref());
        let name = match choice {
            Some(Choice::LocalDisk) => return Plan::LocalDisk,
            Some(Choice::Image(name)) => name,
            None => match self.only_image() {
                Ok(name) => name,
                Err(reason) => return Plan::Nothing(reason),
            },
        };
        let Some(image) = self.images.get(name) else {
            return Plan::Nothing(format!(
                "image {name} is not published; build it with: netbootd image build --name {name} SOURCE"
            ));
        };
        let client_words = settings.map(|settings| settings.kernel_arguments.as_str());
        let words = [
            Some(&*self.kernel_arguments),
            Some(&*image.kernel_arguments),
            client_words,
        ];
        let words: Vec<&str> = words
            .into_iter()
            .flatten()
            .map(str::trim)
            .filter(|words| !words.is_empty())
            .collect();
        Plan::Boot(BootPlan {
            image: name.clone(),
            generation: image.generation,
            root: settings
                .and_then(|settings| settings.root)
                .or(image.root)
                .unwrap_or(self.root),
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

#[cfg(test)]
mod tests {
    use super::*;

    const PC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn site(names: &[&str]) -> Site {
        let image = |n: u8| PublishedImage {
            generation: GenerationId([n; 16]),
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
        match site.plan(PC) {
            Plan::Boot(plan) => plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_only_image_needs_no_setting() {
        assert_eq!(booted(&site(&["demo"])).image.as_str(), "demo");
        assert!(
            matches!(site(&[]).plan(PC), Plan::Nothing(reason) if reason.contains("image build"))
        );
        let two = site(&["a", "b"]).plan(PC);
        assert!(matches!(two, Plan::Nothing(reason) if reason.contains("a, b")));
    }

    #[test]
    fn the_client_wins_over_the_image_and_the_image_over_the_site() {
        let mut site = site(&["a", "b"]);
        site.default = Some(Choice::Image("a".parse().unwrap()));
        site.kernel_arguments = "quiet".into();
        site.images.values_mut().for_each(|image| {
            image.root = Some(RootMode::Tree);
            image.kernel_arguments = " hugepages=4 ".into();
        });
        assert_eq!(booted(&site).root, RootMode::Tree);
        assert_eq!(booted(&site).kernel_arguments, "quiet hugepages=4");
        site.clients.insert(
            PC,
            ClientSettings {
                hostname: Some("pc1".into()),
                boot: Some(Choice::Image("b".parse().unwrap())),
                root: Some(RootMode::Ram),
                kernel_arguments: "debug".into(),
            },
        );
        let plan = booted(&site);
        assert_eq!((plan.image.as_str(), plan.root), ("b", RootMode::Ram));
        assert_eq!(plan.kernel_arguments, "quiet hugepages=4 debug");
        assert_eq!(plan.hostname.as_deref(), Some("pc1"));
    }

    #[test]
    fn local_disk_means_hands_off_unless_the_client_has_an_image() {
        let mut site = site(&["demo"]);
        site.default = Some(Choice::LocalDisk);
        assert_eq!(site.plan(PC), Plan::LocalDisk);
        let boot = Some(Choice::Image("demo".parse().unwrap()));
        site.clients.insert(
            PC,
            ClientSettings {
                boot,
                ..ClientSettings::default()
            },
        );
        assert_eq!(booted(&site).image.as_str(), "demo");
    }
}
