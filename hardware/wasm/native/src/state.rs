//! What a guest has on the host's side: its options, its limits, its pipes and random bytes, and the mailbox between a leg's driver
//! and the host functions that run inside it.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::ResourceTable;
use wasmtime::{AsContext, ModuleExport, ResourceLimiter, Result};

/// Resolution of a guest's clocks: the host gives microseconds.
pub const CLOCK_RESOLUTION_NANOS: u64 = 1_000;

pub const GRANTED_CLOCK: u32 = 1;
pub const GRANTED_RANDOM: u32 = 2;
pub const GRANTED_ENVIRONMENT: u32 = 4;
pub const GRANTED_SLEEP: u32 = 8;

/// What a guest is started with. Sizes in bytes.
pub struct Options {
    pub args: Vec<u8>,
    pub environment: Vec<u8>,
    pub stdin: Vec<u8>,
    pub fuel_max: u64,
    pub fuel_slice: Option<u64>,
    pub memory_bytes_max: usize,
    pub stdout_bytes_max: usize,
    pub stderr_bytes_max: usize,
    pub fuel_per_micro: f64,
    pub granted: u32,
    pub seed: [u8; 32],
}

/// What passes between a leg's driver and the host functions that run inside it.
#[derive(Default)]
pub struct Mail {
    /// Operation that waits for an answer, with its payload beside it.
    pub request: Option<u32>,
    pub payload: Vec<u8>,
    /// Status of the answer to the request that the last leg ended with, with its bytes beside it.
    pub answer: Option<i32>,
    pub response: Vec<u8>,
    /// Clocks at the start of this leg, in microseconds, and the fuel used until then.
    pub monotonic_micros: f64,
    pub civil_micros: f64,
    pub leg_fuel: u64,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// All that the guest has: memories and tables of all its components, and what the host holds for their handles.
    pub memory_bytes: usize,
    pub memory_bytes_peak: usize,
    pub fuel_used: u64,
}

pub struct Mailbox(Mutex<Mail>);

impl Mailbox {
    pub fn new(mail: Mail) -> Mailbox {
        Mailbox(Mutex::new(mail))
    }

    /// A panic while the lock was held ends that guest; the data is plain and stays usable.
    pub fn open(&self) -> MutexGuard<'_, Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a host function of this guest sees.
pub struct State {
    pub mail: Arc<Mailbox>,
    pub options: Options,
    /// Bytes of stdin that were read.
    pub stdin_read: usize,
    /// Response that `take` copies from.
    pub kept: Vec<u8>,
    pub random: Option<ChaCha20Rng>,
    pub memory: Option<ModuleExport>,
    /// Descriptors 0, 1, 2 that the guest has closed, as bits.
    pub closed: u32,
    /// What the handles of a component stand for.
    pub resources: ResourceTable,
}

/// What an element of a table counts against the memory limit: a pointer of the architectures that there are.
const TABLE_ELEMENT_BYTES: usize = 8;

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // A growth past the module's own declared maximum is the guest's business: it gets -1.
        if maximum.is_some_and(|most| desired > most && most <= self.options.memory_bytes_max) {
            return Ok(false);
        }
        self.occupy(current, desired)?;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Past its own maximum, or that of the pool, a table does not grow: the guest gets -1.
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        self.occupy(current.saturating_mul(TABLE_ELEMENT_BYTES), desired.saturating_mul(TABLE_ELEMENT_BYTES))?;
        Ok(true)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Memory,
    Stdout,
    Stderr,
    /// More tables, memories or a larger instance than a slot of the pool holds.
    Pool,
}

/// Why a host function ends the guest.
#[derive(Debug)]
pub enum Stop {
    Exit(i32),
    Limit(Limit),
    /// An interface without a way to say no was not granted.
    Denied(&'static str),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Exit(code) => write!(f, "exit with code {code}"),
            Stop::Limit(limit) => write!(f, "limit of {limit:?} reached"),
            Stop::Denied(function) => write!(f, "{function} needs a capability that the guest was not granted"),
        }
    }
}

impl std::error::Error for Stop {}

impl State {
    /// Counts memory of the guest against its limit: `before` bytes become `after`.
    pub fn occupy(&self, before: usize, after: usize) -> Result<()> {
        let mut mail = self.mail.open();
        let total = mail.memory_bytes.saturating_sub(before).saturating_add(after);
        if total > self.options.memory_bytes_max {
            return Err(wasmtime::Error::new(Stop::Limit(Limit::Memory)));
        }
        mail.memory_bytes = total;
        mail.memory_bytes_peak = mail.memory_bytes_peak.max(total);
        Ok(())
    }

    /// Counts memory that is the guest's no longer.
    pub fn release(&self, bytes: usize) {
        let mut mail = self.mail.open();
        mail.memory_bytes = mail.memory_bytes.saturating_sub(bytes);
    }

    /// Bytes that stdout (1) or stderr (2) still takes.
    pub fn room(&self, fd: i32) -> usize {
        let mail = self.mail.open();
        if fd == 1 {
            self.options.stdout_bytes_max.saturating_sub(mail.stdout.len())
        } else {
            self.options.stderr_bytes_max.saturating_sub(mail.stderr.len())
        }
    }

    /// The next bytes of the guest's own stream of random bytes.
    pub fn draw(&mut self, target: &mut [u8]) {
        let seed = self.options.seed;
        self.random.get_or_insert_with(|| ChaCha20Rng::from_seed(seed)).fill_bytes(target);
    }

    /// Writes to stdout (1) or stderr (2). What fits is kept: the start of an output that is too long is what explains it.
    pub fn write_pipe(&self, fd: i32, from: &[u8]) -> Result<()> {
        let most = if fd == 1 { self.options.stdout_bytes_max } else { self.options.stderr_bytes_max };
        let mut mail = self.mail.open();
        let pipe = if fd == 1 { &mut mail.stdout } else { &mut mail.stderr };
        let room = most.saturating_sub(pipe.len());
        pipe.extend_from_slice(from.get(..room).unwrap_or(from));
        if from.len() > room {
            let limit = if fd == 1 { Limit::Stdout } else { Limit::Stderr };
            return Err(wasmtime::Error::new(Stop::Limit(limit)));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub enum Clock {
    Civil,
    Monotonic,
}

impl Clock {
    pub fn of_preview_1(number: i32) -> Option<Clock> {
        match number {
            0 => Some(Clock::Civil),
            1 => Some(Clock::Monotonic),
            _ => None,
        }
    }
}

/// Nanoseconds of a clock now: the start of the leg, and the fuel used in it at the guest's speed.
pub fn now_nanos<S: AsContext<Data = State>>(store: &S, clock: Clock) -> Result<u64> {
    let context = store.as_context();
    let state = context.data();
    let used = state.options.fuel_max.saturating_sub(context.get_fuel()?);
    let mail = state.mail.open();
    let start = match clock {
        Clock::Civil => mail.civil_micros,
        Clock::Monotonic => mail.monotonic_micros,
    };
    let ran = used.saturating_sub(mail.leg_fuel) as f64 * 1_000.0 / state.options.fuel_per_micro;
    // Determinism: whole microseconds are turned into whole nanoseconds before the fraction is added.
    Ok((start as u64).saturating_mul(1_000).saturating_add(ran as u64))
}
