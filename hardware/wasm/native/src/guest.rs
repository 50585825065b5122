//! A guest: one store, one call, run as a coroutine.
//!
//! The call is a future of the engine (a fibre underneath) that is polled by hand: it is pending when the guest has used
//! up its fuel slice or waits for an answer of the host, and ready when it has ended. There is no executor, no thread of
//! our own and no waker. Host functions and the driver talk through the mailbox; nobody else polls, so the two never hold
//! its lock at the same time.

use crate::error::{Code, Result, explain, fault};
use crate::state::{Limit, Mail, Mailbox, Options, State, Stop};
use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use wasmtime::component::{self, ComponentExportIndex, ResourceTable};
use wasmtime::{Engine, Instance, InstancePre, Module, ModuleExport, Store, Trap};

/// Operations that every module has before its own imports.
pub const OPERATION_SLEEP: u32 = 0;
pub const OPERATION_DENIED: u32 = 1;
pub const OPERATIONS: [&str; 2] = ["wasi.sleep", "wasi.denied"];

/// Bound: resources of the host that one guest of a component has at a time (streams, pollables, buckets, messages).
const RESOURCES_MAX: usize = 1_024;
/// Bound: handles that the components of one guest have at a time, their own resources among them.
const HANDLES_MAX: usize = 16_384;
/// Bound: bytes that a component hands to the host in one call.
const CALL_BYTES_MAX: usize = 8 << 20;

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
pub enum Entry {
    Module(ModuleEntry),
    Component { export: ComponentExportIndex, returns: Returns },
}

#[derive(Clone, Copy)]
pub struct ModuleEntry {
    pub export: ModuleExport,
    /// `() -> i32` instead of `() -> ()`: the result is the exit code.
    pub returns: bool,
}

/// How a function of a component tells its exit code.
#[derive(Clone, Copy)]
pub enum Returns {
    Nothing,
    /// `result`: 0 or 1, as `wasi:cli/run`.
    Outcome,
    /// `s32`
    Code,
}

/// A module or a component that was loaded and linked.
pub struct Loaded {
    pub program: Program,
    /// Slots that one guest of it takes.
    pub slots: u32,
}

pub enum Program {
    Module(LoadedModule),
    Component(component::InstancePre<State>),
}

pub struct LoadedModule {
    pub module: Module,
    pub pre: InstancePre<State>,
    pub memory: Option<ModuleExport>,
    /// `_initialize` of a reactor: called before any entry but `_start`.
    pub initialise: Option<ModuleEntry>,
}

impl Loaded {
    fn engine(&self) -> &Engine {
        match &self.program {
            Program::Module(loaded) => loaded.module.engine(),
            Program::Component(pre) => pre.engine(),
        }
    }
}

/// Slots of the pool, given back when dropped.
pub struct Slot {
    used: Arc<AtomicU32>,
    count: u32,
}

impl Slot {
    pub fn take(used: &Arc<AtomicU32>, most: u32, count: u32) -> Result<Slot> {
        let taken = used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_add(count).filter(|after| *after <= most));
        match taken {
            Ok(_) => Ok(Slot { used: Arc::clone(used), count }),
            Err(in_use) if count > 1 => Err(fault(
                Code::PoolFull,
                format!(
                    "the component takes {count} slots of the pool; {in_use} of {most} are in use; close a guest or raise poolSlots"
                ),
            )),
            Err(_) => Err(fault(
                Code::PoolFull,
                format!("all {most} slots of the pool are in use; close a guest or raise poolSlots"),
            )),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.used.fetch_sub(self.count, Ordering::AcqRel);
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
    is_component: bool,
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

async fn call(store: &mut Store<State>, instance: &Instance, entry: &ModuleEntry) -> wasmtime::Result<i32> {
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

async fn call_component(
    store: &mut Store<State>,
    instance: &component::Instance,
    export: &ComponentExportIndex,
    returns: Returns,
) -> wasmtime::Result<i32> {
    let function =
        instance.get_func(&mut *store, export).ok_or_else(|| wasmtime::Error::msg("the entry is not a function"))?;
    match returns {
        Returns::Nothing => {
            function.typed::<(), ()>(&*store)?.call_async(store, ()).await?;
            Ok(0)
        }
        Returns::Outcome => {
            let (outcome,) =
                function.typed::<(), (std::result::Result<(), ()>,)>(&*store)?.call_async(store, ()).await?;
            Ok(i32::from(outcome.is_err()))
        }
        Returns::Code => Ok(function.typed::<(), (i32,)>(&*store)?.call_async(store, ()).await?.0),
    }
}

/// The whole life of a guest: instantiate, initialise a reactor, call the entry.
async fn live(store: &mut Store<State>, loaded: Arc<Loaded>, entry: Entry) -> wasmtime::Result<i32> {
    match (&loaded.program, &entry) {
        (Program::Module(loaded), Entry::Module(entry)) => {
            let instance = loaded.pre.instantiate_async(&mut *store).await?;
            if let Some(initialise) = &loaded.initialise {
                call(store, &instance, initialise).await?;
            }
            call(store, &instance, entry).await
        }
        (Program::Component(pre), Entry::Component { export, returns }) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            call_component(store, &instance, export, *returns).await
        }
        _ => Err(wasmtime::Error::msg("the entry is of another kind of program")),
    }
}

impl Guest {
    /// Makes the store; no guest code runs before the first leg.
    pub fn start(loaded: Arc<Loaded>, entry: Entry, slot: Slot, options: Options) -> Result<Guest> {
        let broken = |error: wasmtime::Error| fault(Code::Bug, explain(&error));
        let fuel_max = options.fuel_max;
        let fuel_slice = options.fuel_slice;
        let mail = Arc::new(Mailbox::new(Mail::default()));
        let (is_component, memory) = match &loaded.program {
            Program::Module(loaded) => (false, loaded.memory),
            Program::Component(_) => (true, None),
        };
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES_MAX);
        let state = State {
            mail: Arc::clone(&mail),
            options,
            stdin_read: 0,
            kept: Vec::new(),
            random: None,
            memory,
            closed: 0,
            resources,
        };
        let mut store = Box::new(Store::new(loaded.engine(), state));
        if is_component {
            store.set_hostcall_fuel(CALL_BYTES_MAX);
            store.set_max_component_handles(HANDLES_MAX);
        }
        store.limiter(|state| state);
        store.set_fuel(fuel_max).map_err(broken)?;
        store.fuel_async_yield_interval(fuel_slice).map_err(broken)?;
        let mut owned = Owned(NonNull::from(Box::leak(store)));
        // Safety: the store lives until `Owned` is dropped, which `Body` does after the call that holds this borrow.
        let borrowed: &'static mut Store<State> = unsafe { owned.0.as_mut() };
        let call: Call = Box::pin(live(borrowed, loaded, entry));
        let body = Some(Body { call, store: owned, _slot: slot });
        Ok(Guest { body, mail, fuel_max, is_component, waiting: false })
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
            Ok(Poll::Ready(Err(error))) => classify(&error, self.is_component),
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

fn classify(error: &wasmtime::Error, is_component: bool) -> Step {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Exit(code) => Step::Returned(*code),
            Stop::Limit(limit) => Step::Limit(*limit),
            Stop::Denied(_) => Step::Trapped { trap: "denied", message: stop.to_string() },
        };
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Step::Limit(Limit::Pool);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        // A component that breaks the rules of an interface is told so in the engine's words: a handle that there is not,
        // text that is not Unicode.
        if is_component {
            return Step::Trapped { trap: "interface", message: error.root_cause().to_string() };
        }
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
        Trap::CannotEnterComponent => "cannot_enter_component",
        Trap::CannotLeaveComponent => "cannot_leave_component",
        Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer => "interface",
        _ => "other",
    };
    Step::Trapped { trap: name, message: trap.to_string() }
}
