//! Who may use what.

use std::collections::HashMap;
use std::net::IpAddr;

use model::ImageName;

use super::folder::Folder;
use super::network::Network;

/// The networks whose clients may use each export. An empty list of networks means everybody.
#[derive(Debug, Default)]
pub struct Access {
    /// For all that has no list of its own.
    pub networks: Vec<Network>,
    /// Lists of single images; never empty.
    pub images: HashMap<ImageName, Vec<Network>>,
    /// Folders beside the images, each with a list that may be empty.
    pub folders: Vec<Folder>,
}

impl Access {
    /// The networks of an image.
    pub(super) fn image_networks(&self, name: &ImageName) -> &[Network] {
        self.images.get(name).unwrap_or(&self.networks)
    }

    /// The networks of a folder.
    pub(super) fn folder_networks<'a>(&'a self, folder: &'a Folder) -> &'a [Network] {
        match folder.networks() {
            [] => &self.networks,
            own => own,
        }
    }

    /// Whether an address may use at least one export, and so see what there is.
    pub(super) fn anything(&self, address: IpAddr) -> bool {
        let folders = self.folders.iter();
        let folders = folders.map(|folder| self.folder_networks(folder));
        let images = self.images.values().map(Vec::as_slice);
        let all = [self.networks.as_slice()].into_iter();
        all.chain(images)
            .chain(folders)
            .any(|networks| holds(networks, address))
    }

    /// Whether nobody is kept from anything.
    pub(super) fn is_open(&self) -> bool {
        let mut folders = self.folders.iter();
        self.networks.is_empty()
            && self.images.is_empty()
            && folders.all(|folder| folder.networks().is_empty())
    }
}

/// Whether an address is in one of the networks.
pub(super) fn holds(networks: &[Network], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(address))
}
