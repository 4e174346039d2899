//! Who is called what.

use std::net::Ipv4Addr;

use super::LeaseBook;
use crate::client_id::ClientKey;

impl LeaseBook {
    /// Names and addresses of the leases that are active at `unix`: the operator's name first, else
    /// the client's own unless the operator gave it to somebody else.
    pub(crate) fn names(&self, unix: u64) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.leases()
            .filter(move |lease| lease.is_active(unix))
            .filter_map(|lease| {
                if let Some(reserved) = self.reserved_name(lease.mac, lease.client_id.as_deref()) {
                    return Some((reserved, lease.address));
                }
                let name = lease.hostname.as_deref()?;
                let is_first = self.by_name.candidates(name).any(|at| at == lease.address);
                (is_first && !self.reserved_names.contains(name)).then_some((name, lease.address))
            })
    }

    /// A client's own name for itself goes to whoever has it first.
    pub(super) fn grantable_name(
        &self,
        unix: u64,
        key: &ClientKey,
        wanted: Option<&str>,
    ) -> Option<String> {
        if let Some(reserved) = self.reserved_name(key.mac, key.client_id.as_deref()) {
            return Some(reserved.to_owned());
        }
        let wanted = wanted?;
        let holder = self.holder_of(wanted);
        let is_held = holder.is_some_and(|lease| lease.mac != key.mac && lease.is_active(unix));
        (!is_held && !self.reserved_names.contains(wanted)).then(|| wanted.to_owned())
    }
}
