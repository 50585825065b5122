//! The block of memory that JavaScript reads and writes between calls. `control.ts` repeats the layout; the two change
//! together.

use crate::error::{Code, Result, fault};
use napi::bindgen_prelude::Uint8Array;
use std::cell::RefCell;

/// Layout of the control block: doubles, then the seed, then data.
pub mod at {
    pub const FUEL_MAX: usize = 0;
    pub const FUEL_SLICE: usize = 1;
    pub const MEMORY_BYTES_MAX: usize = 2;
    pub const STDOUT_BYTES_MAX: usize = 3;
    pub const STDERR_BYTES_MAX: usize = 4;
    pub const FUEL_PER_MICRO: usize = 5;
    pub const GRANTED: usize = 6;
    pub const MONOTONIC_MICROS: usize = 7;
    pub const CIVIL_MICROS: usize = 8;
    pub const ANSWERED: usize = 9;
    pub const STATUS: usize = 10;
    pub const ARGS_BYTES: usize = 11;
    pub const ENVIRONMENT_BYTES: usize = 12;
    pub const INPUT_BYTES: usize = 13;
    /// Module and entry of a start, or guest and ticket of a leg.
    pub const SUBJECT: usize = 14;
    pub const DETAIL: usize = 15;

    pub const KIND: usize = 16;
    pub const FUEL_USED: usize = 17;
    pub const MEMORY_BYTES: usize = 18;
    pub const MEMORY_BYTES_PEAK: usize = 19;
    pub const VALUE: usize = 20;
    pub const TEXT_BYTES: usize = 21;
    pub const STDOUT_BYTES: usize = 22;
    pub const STDERR_BYTES: usize = 23;
    pub const HANDLE: usize = 24;
    pub const LARGE: usize = 25;

    pub const SEED: usize = 256;
    pub const DATA: usize = 512;
    pub const DATA_BYTES: usize = 65_536;
    pub const BLOCK_BYTES: usize = DATA + DATA_BYTES;
}

pub const KIND_RETURNED: u32 = 0;
pub const KIND_TRAPPED: u32 = 1;
pub const KIND_EXHAUSTED: u32 = 2;
pub const KIND_SLICED: u32 = 3;
pub const KIND_REQUEST: u32 = 4;
pub const KIND_LIMIT: u32 = 5;
pub const KIND_CLOSED: i32 = -1;
pub const KIND_BYTES: i32 = -2;
pub const KIND_ERROR: i32 = -3;

/// One engine's block.
pub struct Control {
    start: *mut u8,
    /// Keeps the buffer alive; its bytes do not move.
    _owner: Uint8Array,
}

impl Control {
    pub fn new(mut owner: Uint8Array) -> Result<Control> {
        // Safety: the bytes are used through `start` only, on JavaScript's thread, while no JavaScript runs.
        let bytes = unsafe { owner.as_mut() };
        if bytes.len() != at::BLOCK_BYTES || !(bytes.as_ptr() as usize).is_multiple_of(8) {
            return Err(fault(Code::Bug, "the control block has a wrong size or alignment"));
        }
        Ok(Control { start: bytes.as_mut_ptr(), _owner: owner })
    }

    pub fn get(&self, slot: usize) -> f64 {
        debug_assert!(slot < at::SEED / 8);
        // Safety: inside the block (callers pass constants of `at`), aligned, initialised.
        unsafe { self.start.cast::<f64>().add(slot).read() }
    }

    pub fn set(&self, slot: usize, value: f64) {
        debug_assert!(slot < at::SEED / 8);
        // Safety: as in `get`.
        unsafe { self.start.cast::<f64>().add(slot).write(value) }
    }

    pub fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        // Safety: the 32 bytes at SEED are inside the block.
        unsafe { std::ptr::copy_nonoverlapping(self.start.add(at::SEED), seed.as_mut_ptr(), 32) };
        seed
    }

    /// Bytes that JavaScript has put: in the block, or given before because they did not fit.
    pub fn with_data<T>(
        &self,
        large: &RefCell<Option<Vec<u8>>>,
        len: usize,
        use_it: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        if len <= at::DATA_BYTES {
            // Safety: inside the block; nothing writes to it while `use_it` runs, which calls no JavaScript.
            let data = unsafe { std::slice::from_raw_parts(self.start.add(at::DATA), len) };
            return Ok(use_it(data));
        }
        match large.take() {
            Some(bytes) if bytes.len() == len => Ok(use_it(&bytes)),
            _ => Err(fault(Code::Bug, "large data were announced but not given")),
        }
    }

    /// Hands parts to JavaScript, one after the other: in the block, or kept for `takeLarge`.
    pub fn put_data(&self, large: &RefCell<Option<Vec<u8>>>, parts: [&[u8]; 3]) {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > at::DATA_BYTES {
            large.replace(Some(parts.concat()));
            self.set(at::LARGE, 1.0);
            return;
        }
        self.set(at::LARGE, 0.0);
        let mut offset = at::DATA;
        for part in parts {
            // Safety: the parts fit into the data area, as checked above, and do not overlap it.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.start.add(offset), part.len()) };
            offset += part.len();
        }
    }
}
