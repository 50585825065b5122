//! Guests by handle, while they are here and while their legs run on threads.

use crate::error::{Code, Fault, Result, fault};
use crate::guest::Guest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Handles are generation * 2^21 + index, which a double holds exactly.
const INDEX_BITS: u32 = 21;

enum Place {
    Free { next: Option<usize> },
    Here(Guest),
    Away { closing: Arc<AtomicBool> },
}

struct Shelf {
    generation: u32,
    place: Place,
}

/// Guests by handle. A handle of a closed guest never finds another guest.
#[derive(Default)]
pub struct Shelves {
    shelves: Vec<Shelf>,
    free: Option<usize>,
}

fn closed() -> Fault {
    fault(Code::Closed, "the guest is closed")
}

impl Shelves {
    pub fn put(&mut self, guest: Guest) -> Result<f64> {
        let index = match self.free {
            Some(index) => index,
            None if self.shelves.len() < 1 << INDEX_BITS => {
                self.shelves.push(Shelf { generation: 0, place: Place::Free { next: None } });
                self.shelves.len() - 1
            }
            None => return Err(fault(Code::PoolFull, "too many guests that ended are still open; close them")),
        };
        let shelf = self.shelves.get_mut(index).ok_or_else(closed)?;
        if let Place::Free { next } = shelf.place {
            self.free = next;
        }
        shelf.generation = shelf.generation.wrapping_add(1);
        shelf.place = Place::Here(guest);
        Ok(f64::from(shelf.generation) * f64::from(1u32 << INDEX_BITS) + index as f64)
    }

    fn index(handle: f64) -> (usize, u32) {
        let handle = handle as u64;
        ((handle & ((1 << INDEX_BITS) - 1)) as usize, (handle >> INDEX_BITS) as u32)
    }

    fn shelf(&mut self, handle: f64) -> Result<&mut Shelf> {
        let (index, generation) = Shelves::index(handle);
        self.shelves.get_mut(index).filter(|shelf| shelf.generation == generation).ok_or_else(closed)
    }

    pub fn guest(&mut self, handle: f64) -> Result<&mut Guest> {
        match &mut self.shelf(handle)?.place {
            Place::Here(guest) => Ok(guest),
            Place::Away { .. } => Err(fault(Code::Busy, "a leg of this guest is running")),
            Place::Free { .. } => Err(closed()),
        }
    }

    pub fn send_away(&mut self, handle: f64) -> Result<(Guest, Arc<AtomicBool>)> {
        self.guest(handle)?;
        let closing = Arc::new(AtomicBool::new(false));
        let shelf = self.shelf(handle)?;
        match std::mem::replace(&mut shelf.place, Place::Away { closing: Arc::clone(&closing) }) {
            Place::Here(guest) => Ok((guest, closing)),
            _ => Err(closed()),
        }
    }

    /// Gives the guest back after its leg; false when it was closed meanwhile.
    pub fn bring_back(&mut self, handle: f64, guest: Guest) -> bool {
        if let Ok(shelf) = self.shelf(handle)
            && let Place::Away { closing } = &shelf.place
            && !closing.load(Ordering::Acquire)
        {
            shelf.place = Place::Here(guest);
            return true;
        }
        false
    }

    /// Closes all: those here at once, those away when their legs have ended.
    pub fn abandon(self) {
        for shelf in &self.shelves {
            if let Place::Away { closing } = &shelf.place {
                closing.store(true, Ordering::Release);
            }
        }
    }

    /// Idempotent. A guest whose leg runs is closed by its thread; its handle is gone now.
    pub fn close(&mut self, handle: f64) -> Option<Guest> {
        let (index, _) = Shelves::index(handle);
        let free = self.free;
        let shelf = self.shelf(handle).ok()?;
        let place = std::mem::replace(&mut shelf.place, Place::Free { next: free });
        match place {
            Place::Free { next } => {
                shelf.place = Place::Free { next };
                None
            }
            Place::Here(guest) => {
                self.free = Some(index);
                Some(guest)
            }
            Place::Away { closing } => {
                closing.store(true, Ordering::Release);
                self.free = Some(index);
                None
            }
        }
    }
}
