//! A guest: one store, one call, run as a coroutine.
//!
//! The call is a future of the engine (a fibre underneath) that is polled by hand: it is pending when the guest has used
//! up its fuel slice or waits for an answer of the host, and ready when it has ended. There is no executor, no thread of
//! our own and no waker. Host functions and the driver talk through the mailbox; nobody else polls, so the two never hold
//! its lock at the same time.

use crate::error::{Code, Result, explain, fault};
use rand_chacha::ChaCha20Rng;
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use wasmtime::{Instance, InstancePre, Module, ModuleExport, ResourceLimiter, Store, Trap};

pub const GRANTED_CLOCK: u32 = 1;
pub const GRANTED_RANDOM: u32 = 2;
pub const GRANTED_ENVIRONMENT: u32 = 4;
pub const GRANTED_SLEEP: u32 = 8;

/// Operations that every module has before its own imports.
pub const OPERATION_SLEEP: u32 = 0;
pub const OPERATION_DENIED: u32 = 1;
pub const OPERATIONS: [&str; 2] = ["wasi.sleep", "wasi.denied"];

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
    pub memory_bytes: usize,
    pub memory_bytes_peak: usize,
    pub fuel_used: u64,
}

pub struct Mailbox(Mutex<Mail>);

impl Mailbox {
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
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.options.memory_bytes_max {
            // A growth past the module's own declared maximum is the guest's business: it gets -1.
            if maximum.is_some_and(|most| desired > most && most <= self.options.memory_bytes_max) {
                return Ok(false);
            }
            return Err(wasmtime::Error::new(Stop::Limit(Limit::Memory)));
        }
        let mut mail = self.mail.open();
        mail.memory_bytes = desired;
        mail.memory_bytes_peak = mail.memory_bytes_peak.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
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
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Exit(code) => write!(f, "exit with code {code}"),
            Stop::Limit(limit) => write!(f, "limit of {limit:?} reached"),
        }
    }
}

impl std::error::Error for Stop {}

/// How a leg ended.
pub enum Step {
    Returned(i32),
    Trapped { trap: &'static str, message: String },
    Exhausted,
    Sliced,
    Request(u32),
    Limit(Limit),
}

impl Step {
    pub fn ends(&self) -> bool {
        !matches!(self, Step::Sliced | Step::Request(_))
    }
}

/// One function that a guest can be started at.
#[derive(Clone, Copy)]
pub struct Entry {
    pub export: ModuleExport,
    /// `() -> i32` instead of `() -> ()`: the result is the exit code.
    pub returns: bool,
}

/// A module that was loaded and linked.
pub struct Loaded {
    pub module: Module,
    pub pre: InstancePre<State>,
    pub memory: Option<ModuleExport>,
    /// `_initialize` of a reactor: called before any entry but `_start`.
    pub initialise: Option<Entry>,
}

/// A slot of the pool, given back when dropped.
pub struct Slot(Arc<AtomicU32>);

impl Slot {
    pub fn take(used: &Arc<AtomicU32>, most: u32) -> Result<Slot> {
        let taken = used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < most).then_some(n + 1));
        match taken {
            Ok(_) => Ok(Slot(Arc::clone(used))),
            Err(_) => Err(fault(
                Code::PoolFull,
                format!("all {most} slots of the pool are in use; close a guest or raise poolSlots"),
            )),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

type Call = Pin<Box<dyn Future<Output = wasmtime::Result<i32>> + Send>>;

/// The store and the call that borrows it. Fields are dropped in this order: the call, the store, the slot.
struct Body {
    call: Call,
    store: Owned,
    _slot: Slot,
}

/// The store on the heap, owned by a pointer because `Body::call` holds a mutable borrow of it.
struct Owned(NonNull<Store<State>>);

// Safety: the pointer is the only owner of a `Store`, which is `Send`.
unsafe impl Send for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // Safety: made by `Box::leak`, dropped once; the call that borrowed it was dropped before (order of `Body`).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

pub struct Guest {
    body: Option<Body>,
    pub mail: Arc<Mailbox>,
    fuel_max: u64,
    /// The last leg ended with a request.
    waiting: bool,
}

/// Clocks at the start of a leg, in microseconds.
#[derive(Clone, Copy)]
pub struct Clocks {
    pub monotonic_micros: f64,
    pub civil_micros: f64,
}

/// Answer to a request; the bytes are already in the mailbox's `response`.
#[derive(Clone, Copy)]
pub struct Answer {
    pub status: i32,
}

async fn call(store: &mut Store<State>, instance: &Instance, entry: &Entry) -> wasmtime::Result<i32> {
    let function = instance
        .get_module_export(&mut *store, &entry.export)
        .and_then(wasmtime::Extern::into_func)
        .ok_or_else(|| wasmtime::Error::msg("the entry is not a function"))?;
    if entry.returns {
        function.typed::<(), i32>(&*store)?.call_async(store, ()).await
    } else {
        function.typed::<(), ()>(&*store)?.call_async(store, ()).await?;
        Ok(0)
    }
}

/// The whole life of a guest: instantiate, initialise a reactor, call the entry.
async fn live(store: &mut Store<State>, loaded: Arc<Loaded>, entry: Entry, reactor: bool) -> wasmtime::Result<i32> {
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    if reactor && let Some(initialise) = &loaded.initialise {
        call(store, &instance, initialise).await?;
    }
    call(store, &instance, &entry).await
}

impl Guest {
    /// Makes the store; no guest code runs before the first leg.
    pub fn start(loaded: Arc<Loaded>, entry: Entry, reactor: bool, slot: Slot, options: Options) -> Result<Guest> {
        let broken = |error: wasmtime::Error| fault(Code::Bug, explain(&error));
        let fuel_max = options.fuel_max;
        let fuel_slice = options.fuel_slice;
        let mail = Arc::new(Mailbox(Mutex::new(Mail::default())));
        let state = State {
            mail: Arc::clone(&mail),
            options,
            stdin_read: 0,
            kept: Vec::new(),
            random: None,
            memory: loaded.memory,
            closed: 0,
        };
        let mut store = Box::new(Store::new(loaded.module.engine(), state));
        store.limiter(|state| state);
        store.set_fuel(fuel_max).map_err(broken)?;
        store.fuel_async_yield_interval(fuel_slice).map_err(broken)?;
        let mut owned = Owned(NonNull::from(Box::leak(store)));
        // Safety: the store lives until `Owned` is dropped, which `Body` does after the call that holds this borrow.
        let borrowed: &'static mut Store<State> = unsafe { owned.0.as_mut() };
        let call: Call = Box::pin(live(borrowed, loaded, entry, reactor));
        Ok(Guest { body: Some(Body { call, store: owned, _slot: slot }), mail, fuel_max, waiting: false })
    }

    /// Refuses an answer where none is expected, and a missing one where it is.
    pub fn check(&self, answered: bool) -> Result<()> {
        if self.body.is_none() {
            return Err(fault(Code::State, "the guest has ended"));
        }
        match (self.waiting, answered) {
            (true, false) => Err(fault(Code::State, "the guest waits for an answer; none was given")),
            (false, true) => Err(fault(Code::State, "an answer was given, but the guest has asked for nothing")),
            _ => Ok(()),
        }
    }

    /// Runs the next leg on this thread. `check` has been called.
    pub fn leg(&mut self, answer: Option<Answer>, clocks: Clocks) -> Step {
        {
            let mut mail = self.mail.open();
            mail.answer = answer.map(|answer| answer.status);
            mail.monotonic_micros = clocks.monotonic_micros;
            mail.civil_micros = clocks.civil_micros;
            mail.leg_fuel = mail.fuel_used;
        }
        self.waiting = false;
        let Some(body) = self.body.as_mut() else {
            return Step::Trapped { trap: "bug", message: "the guest has ended".to_owned() };
        };
        let mut context = Context::from_waker(Waker::noop());
        // A panic in a host function is carried through the fibre to here and ends this guest only.
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body.call.as_mut().poll(&mut context)));
        // Safety: the call is suspended or has ended, and nothing else reads or writes the store. Its frames reach the
        // store through pointers that they read again when they are resumed, as the engine itself does while a fibre is
        // suspended; what is read here are two plain integers that were written before the switch.
        let fuel_left = unsafe { body.store.0.as_ref() }.get_fuel().unwrap_or(0);
        let mut mail = self.mail.open();
        mail.fuel_used = self.fuel_max.saturating_sub(fuel_left);
        let step = match polled {
            Ok(Poll::Pending) => match mail.request.take() {
                Some(operation) => {
                    self.waiting = true;
                    Step::Request(operation)
                }
                None => Step::Sliced,
            },
            Ok(Poll::Ready(Ok(code))) => Step::Returned(code),
            Ok(Poll::Ready(Err(error))) => classify(&error),
            Err(_) => Step::Trapped { trap: "bug", message: "a host function panicked".to_owned() },
        };
        // Frames have other sizes on each architecture, so where a stack ends says nothing: who falls off it has used up everything.
        if matches!(step, Step::Trapped { trap: "stack_overflow", .. }) {
            mail.fuel_used = self.fuel_max;
        }
        drop(mail);
        if step.ends() {
            self.body = None;
        }
        step
    }
}

fn classify(error: &wasmtime::Error) -> Step {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Exit(code) => Step::Returned(*code),
            Stop::Limit(limit) => Step::Limit(*limit),
        };
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Step::Limit(Limit::Pool);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return Step::Trapped { trap: "host", message: explain(error) };
    };
    let name = match trap {
        Trap::OutOfFuel => return Step::Exhausted,
        Trap::StackOverflow => "stack_overflow",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::HeapMisaligned => "heap_misaligned",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull => "indirect_call_to_null",
        Trap::BadSignature => "bad_signature",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_divide_by_zero",
        Trap::BadConversionToInteger => "bad_conversion_to_integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::NullReference => "null_reference",
        _ => "other",
    };
    Step::Trapped { trap: name, message: trap.to_string() }
}
