//! From the text of one value to its meaning, or to the [`Fault`] that says what to write instead.

mod address;
mod dhcp_option;
mod kernel;
mod name;
mod ssh_key;
mod system;
mod time;

pub(crate) use address::{address, hosts_of, ip_address, mask, network, pool};
pub(crate) use dhcp_option::{code as option_code, option};
pub(crate) use kernel::kernel_arguments;
pub(crate) use name::{
    account_name, boot_choice, client, client_group, dns_name, domain, export, file_name, group,
    hostname, image, interface, name_pattern, nfs_folder, path, pattern, place, server_user,
    service, shell, uplink, user,
};
pub(crate) use ssh_key::ssh_key;
pub(crate) use system::{changes, fstab_line, member, redfish, shell_command, unit, word};
pub(crate) use time::lease_time;

/// A value shortened for a sentence.
fn short(text: &str) -> String {
    let one_line = text.lines().next().unwrap_or_default();
    let mut letters = one_line.chars();
    let start: String = letters.by_ref().take(40).collect();
    if letters.next().is_some() || one_line.len() < text.len() {
        format!("{start}…")
    } else {
        start
    }
}
