//! Who is called what.

use std::net::Ipv4Addr;

use model::MacAddr;

use super::LeaseBook;

impl LeaseBook {
    /// The name that the operator gave a client.
    pub(crate) fn reserved_name(&self, mac: MacAddr) -> Option<&str> {
        self.reservations.get(&mac)?.hostname.as_deref()
    }

    /// Names and addresses of the leases that are active at `unix`: the operator's name first, else
    /// the client's own unless the operator gave it to somebody else.
    pub(crate) fn names(&self, unix: u64) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.leases()
            .filter(move |lease| lease.is_active(unix))
            .filter_map(|lease| {
                if let Some(reserved) = self.reserved_name(lease.mac) {
                    return Some((reserved, lease.address));
                }
                let name = lease.hostname.as_deref()?;
                let is_first = self.by_name.get(name) == Some(&lease.address);
                (is_first && !self.reserved_names.contains_key(name))
                    .then_some((name, lease.address))
            })
    }

    /// A client's own name for itself goes to whoever has it first.
    pub(super) fn grantable_name(
        &self,
        unix: u64,
        mac: MacAddr,
        wanted: Option<&str>,
    ) -> Option<String> {
        if let Some(reserved) = self.reserved_name(mac) {
            return Some(reserved.to_owned());
        }
        let wanted = wanted?;
        let holder = self
            .by_name
            .get(wanted)
            .and_then(|address| self.lease(*address));
        let is_held = holder.is_some_and(|lease| lease.mac != mac && lease.is_active(unix));
        (!is_held && !self.reserved_names.contains_key(wanted)).then(|| wanted.to_owned())
    }
}
