//! The id table: every owner and group number of the image once, so that inodes need 16 bits for each.

use std::collections::HashMap;

use super::Error;

/// Most numbers that the superblock's 16-bit count can tell.
const LIMIT: usize = u16::MAX as usize;

#[derive(Default)]
pub(super) struct Ids {
    order: Vec<u32>,
    index: HashMap<u32, u16>,
}

impl Ids {
    /// Where `id` is in the table; added when it is new.
    pub(super) fn index(&mut self, id: u32) -> Result<u16, Error> {
        if let Some(&index) = self.index.get(&id) {
            return Ok(index);
        }
        if self.order.len() == LIMIT {
            return Err(Error::Full("more than 65535 different owners and groups"));
        }
        let index = self.order.len() as u16;
        self.order.push(id);
        self.index.insert(id, index);
        Ok(index)
    }

    pub(super) fn count(&self) -> u16 {
        self.order.len() as u16
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.order.iter().flat_map(|id| id.to_le_bytes()).collect()
    }
}
