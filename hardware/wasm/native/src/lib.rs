//! The bridge between Node.js and the engine. Norms:
//!
//! 1. Mechanical: values are checked and moved here, decisions are made in `guest`, `host` and `profile`.
//! 2. Thin for speed: what a leg needs and gives goes through one block of memory that JavaScript owns (`control`), so a
//!    leg is one call with two integers. `engine.ts` is the only other reader of the layout; the two change together.
//! 3. Absent is `null` across the bridge; errors are thrown with a `WM_ENGINE_*` code; whole numbers are doubles.
//! 4. No panic crosses: exported functions catch, guest-controlled numbers are checked before they index anything.
//! 5. What belongs to JavaScript's thread (`Local`) stays there; threads get a guest by moving it.
//! 6. A guest is closed explicitly. Its slot is free when the call ends, is dropped, or its running leg has ended.

mod bench;
mod describe;
mod error;
mod guest;
mod host;
mod hot;
mod profile;
mod workers;

use crate::describe::{Description, Export, Import};
use crate::error::{Code, Fault, Result, explain, fault};
use crate::guest::{Answer, Clocks, Entry, Guest, Limit, Loaded, OPERATIONS, Options, Slot, State, Step};
use crate::profile::{HOST, Profile, Resolved, WASMTIME_VERSION};
use crate::workers::{Done, Job, Workers};
use napi::bindgen_prelude::{Function, Object, ToNapiValue, Uint8Array};
use napi::{Env, JsValue, sys};
use napi_derive::napi;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wasmtime::{Engine, Linker, Module};

/// Layout of the control block: doubles, then the seed, then data. The same numbers are in `engine.ts`.
mod at {
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

const FUEL_CEILING: f64 = 9_007_199_254_740_992.0;
/// Bound: bytes of one output pipe.
const OUTPUT_BYTES_CEILING: f64 = 1_073_741_824.0;
/// Handles are generation * 2^21 + index, which a double holds exactly.
const INDEX_BITS: u32 = 21;
const MODULES_MAX: usize = 65_536;

const KIND_RETURNED: u32 = 0;
const KIND_TRAPPED: u32 = 1;
const KIND_EXHAUSTED: u32 = 2;
const KIND_SLICED: u32 = 3;
const KIND_REQUEST: u32 = 4;
const KIND_LIMIT: u32 = 5;
const KIND_CLOSED: i32 = -1;
const KIND_BYTES: i32 = -2;
const KIND_ERROR: i32 = -3;

/// The block of memory that JavaScript reads and writes between calls.
struct Control {
    start: *mut u8,
    /// Keeps the buffer alive; its bytes do not move.
    _owner: Uint8Array,
}

impl Control {
    fn new(mut owner: Uint8Array) -> Result<Control> {
        // Safety: the bytes are used through `start` only, on JavaScript's thread, while no JavaScript runs.
        let bytes = unsafe { owner.as_mut() };
        if bytes.len() != at::BLOCK_BYTES || !(bytes.as_ptr() as usize).is_multiple_of(8) {
            return Err(fault(Code::Bug, "the control block has a wrong size or alignment"));
        }
        Ok(Control { start: bytes.as_mut_ptr(), _owner: owner })
    }

    fn get(&self, slot: usize) -> f64 {
        debug_assert!(slot < at::SEED / 8);
        // Safety: inside the block (callers pass constants of `at`), aligned, initialised.
        unsafe { self.start.cast::<f64>().add(slot).read() }
    }

    fn set(&self, slot: usize, value: f64) {
        debug_assert!(slot < at::SEED / 8);
        // Safety: as in `get`.
        unsafe { self.start.cast::<f64>().add(slot).write(value) }
    }

    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        // Safety: the 32 bytes at SEED are inside the block.
        unsafe { std::ptr::copy_nonoverlapping(self.start.add(at::SEED), seed.as_mut_ptr(), 32) };
        seed
    }

    /// Bytes that JavaScript has put: in the block, or given before because they did not fit.
    fn with_data<T>(&self, large: &RefCell<Option<Vec<u8>>>, len: usize, use_it: impl FnOnce(&[u8]) -> T) -> Result<T> {
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
    fn put_data(&self, large: &RefCell<Option<Vec<u8>>>, parts: [&[u8]; 3]) {
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
struct Shelves {
    shelves: Vec<Shelf>,
    free: Option<usize>,
}

fn closed() -> Fault {
    fault(Code::Closed, "the guest is closed")
}

impl Shelves {
    fn put(&mut self, guest: Guest) -> Result<f64> {
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

    fn guest(&mut self, handle: f64) -> Result<&mut Guest> {
        match &mut self.shelf(handle)?.place {
            Place::Here(guest) => Ok(guest),
            Place::Away { .. } => Err(fault(Code::Busy, "a leg of this guest is running")),
            Place::Free { .. } => Err(closed()),
        }
    }

    fn send_away(&mut self, handle: f64) -> Result<(Guest, Arc<AtomicBool>)> {
        self.guest(handle)?;
        let closing = Arc::new(AtomicBool::new(false));
        let shelf = self.shelf(handle)?;
        match std::mem::replace(&mut shelf.place, Place::Away { closing: Arc::clone(&closing) }) {
            Place::Here(guest) => Ok((guest, closing)),
            _ => Err(closed()),
        }
    }

    /// Gives the guest back after its leg; false when it was closed meanwhile.
    fn bring_back(&mut self, handle: f64, guest: Guest) -> bool {
        if let Ok(shelf) = self.shelf(handle)
            && let Place::Away { closing } = &shelf.place
            && !closing.load(Ordering::Acquire)
        {
            shelf.place = Place::Here(guest);
            return true;
        }
        false
    }

    /// Idempotent. A guest whose leg runs is closed by its thread; its handle is gone now.
    fn close(&mut self, handle: f64) -> Option<Guest> {
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

/// A loaded module, and for each of its exports whether a guest can be started there.
type Linked = (Arc<Loaded>, Vec<Option<Entry>>);

/// What belongs to JavaScript's thread.
struct Local {
    resolved: Resolved,
    /// Absent when the engine is closed.
    engine: RefCell<Option<Engine>>,
    linker: RefCell<Option<Linker<State>>>,
    modules: RefCell<Vec<Option<Linked>>>,
    guests: RefCell<Shelves>,
    slots_used: Arc<AtomicU32>,
    control: Control,
    large_in: RefCell<Option<Vec<u8>>>,
    large_out: RefCell<Option<Vec<u8>>>,
    workers: Arc<Workers>,
    bell: Cell<sys::napi_threadsafe_function>,
    pending: Cell<u32>,
    env: Cell<sys::napi_env>,
}

fn whole(name: &str, value: f64, min: f64, max: f64) -> Result<u64> {
    if value >= min && value <= max && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(fault(Code::Options, format!("{name} is {value}; a whole number from {min} to {max} is expected")))
}

impl Local {
    fn engine(&self) -> Result<Engine> {
        self.engine.borrow().clone().ok_or_else(|| fault(Code::Closed, "the engine is closed"))
    }

    fn options(&self) -> Result<Options> {
        let control = &self.control;
        let fuel_per_micro = control.get(at::FUEL_PER_MICRO);
        if !(fuel_per_micro.is_finite() && fuel_per_micro > 0.0) {
            return Err(fault(
                Code::Options,
                format!("fuelPerMicro is {fuel_per_micro}; a number above 0 is expected"),
            ));
        }
        let fuel_slice = whole("fuelSlice", control.get(at::FUEL_SLICE), 0.0, FUEL_CEILING)?;
        let args = control.get(at::ARGS_BYTES) as usize;
        let environment = control.get(at::ENVIRONMENT_BYTES) as usize;
        let input = control.get(at::INPUT_BYTES) as usize;
        let (args, environment, stdin) = control.with_data(&self.large_in, args + environment + input, |data| {
            let (args, rest) = data.split_at(args.min(data.len()));
            let (environment, stdin) = rest.split_at(environment.min(rest.len()));
            (args.to_vec(), environment.to_vec(), stdin.to_vec())
        })?;
        let memory_most = self.resolved.memory_bytes_max as f64;
        Ok(Options {
            args,
            environment,
            stdin,
            fuel_max: whole("fuelMax", control.get(at::FUEL_MAX), 1.0, FUEL_CEILING)?,
            fuel_slice: (fuel_slice > 0).then_some(fuel_slice),
            memory_bytes_max: whole("memoryBytesMax", control.get(at::MEMORY_BYTES_MAX), 0.0, memory_most)? as usize,
            stdout_bytes_max: whole("stdoutBytesMax", control.get(at::STDOUT_BYTES_MAX), 0.0, OUTPUT_BYTES_CEILING)?
                as usize,
            stderr_bytes_max: whole("stderrBytesMax", control.get(at::STDERR_BYTES_MAX), 0.0, OUTPUT_BYTES_CEILING)?
                as usize,
            fuel_per_micro,
            granted: control.get(at::GRANTED) as u32,
            seed: control.seed(),
        })
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            monotonic_micros: self.control.get(at::MONOTONIC_MICROS),
            civil_micros: self.control.get(at::CIVIL_MICROS),
        }
    }

    fn start(&self, module: u32, entry: u32) -> Result<Guest> {
        let modules = self.modules.borrow();
        let (loaded, entries) = modules
            .get(module as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| fault(Code::Closed, "the module is closed"))?;
        let entry = entries.get(entry as usize).copied().flatten().ok_or_else(|| {
            fault(Code::Entry, "the module exports no such function without parameters and with at most an i32 result")
        })?;
        let reactor = loaded.initialise.is_some();
        let options = self.options()?;
        let slot = Slot::take(&self.slots_used, self.resolved.slots)?;
        Guest::start(Arc::clone(loaded), entry, reactor, slot, options)
    }

    /// Takes the answer that JavaScript has put and checks it against what the guest expects.
    fn answer(&self, guest: &Guest) -> Result<Option<Answer>> {
        let answered = self.control.get(at::ANSWERED) != 0.0;
        guest.check(answered)?;
        if !answered {
            return Ok(None);
        }
        let status = self.control.get(at::STATUS);
        if status.fract() != 0.0 || !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&status) {
            return Err(fault(Code::Options, format!("status is {status}; a 32-bit integer is expected")));
        }
        let len = self.control.get(at::INPUT_BYTES) as usize;
        self.control.with_data(&self.large_in, len, |data| {
            let mut mail = guest.mail.open();
            mail.response.clear();
            mail.response.extend_from_slice(data);
        })?;
        Ok(Some(Answer { status: status as i32 }))
    }

    /// Writes a step where JavaScript reads it. With `output`, the pipes of a guest that ended are handed over too.
    fn report(&self, guest: &Guest, step: &Step, output: bool) -> u32 {
        let control = &self.control;
        let mail = guest.mail.open();
        control.set(at::FUEL_USED, mail.fuel_used as f64);
        control.set(at::MEMORY_BYTES, mail.memory_bytes as f64);
        control.set(at::MEMORY_BYTES_PEAK, mail.memory_bytes_peak as f64);
        let trapped;
        let mut text: &[u8] = &[];
        let (kind, value) = match step {
            Step::Returned(code) => (KIND_RETURNED, f64::from(*code)),
            Step::Trapped { trap, message } => {
                trapped = format!("{trap}\n{message}");
                text = trapped.as_bytes();
                (KIND_TRAPPED, 0.0)
            }
            Step::Exhausted => (KIND_EXHAUSTED, 0.0),
            Step::Sliced => (KIND_SLICED, 0.0),
            Step::Request(operation) => {
                text = &mail.payload;
                (KIND_REQUEST, f64::from(*operation))
            }
            Step::Limit(limit) => {
                let value = match limit {
                    Limit::Memory => 0.0,
                    Limit::Stdout => 1.0,
                    Limit::Stderr => 2.0,
                    Limit::Pool => 3.0,
                };
                (KIND_LIMIT, value)
            }
        };
        let (stdout, stderr): (&[u8], &[u8]) =
            if output && step.ends() { (&mail.stdout, &mail.stderr) } else { (&[], &[]) };
        control.set(at::KIND, f64::from(kind));
        control.set(at::VALUE, value);
        control.set(at::TEXT_BYTES, text.len() as f64);
        control.set(at::STDOUT_BYTES, stdout.len() as f64);
        control.set(at::STDERR_BYTES, stderr.len() as f64);
        control.put_data(&self.large_out, [text, stdout, stderr]);
        kind
    }

    /// Makes a guest of the options in the control block; its handle is put there.
    fn start_guest(&self) -> Result<()> {
        let (module, entry) = self.subject();
        let guest = self.start(module, entry)?;
        let handle = self.guests.borrow_mut().put(guest)?;
        self.control.set(at::HANDLE, handle);
        Ok(())
    }

    /// Makes a guest and runs its first leg here. A guest that ends in it gets no handle (0) and is closed.
    fn run_guest(&self) -> Result<()> {
        let (module, entry) = self.subject();
        let mut guest = self.start(module, entry)?;
        let step = guest.leg(None, self.clocks());
        self.report(&guest, &step, true);
        let handle = if step.ends() { 0.0 } else { self.guests.borrow_mut().put(guest)? };
        self.control.set(at::HANDLE, handle);
        Ok(())
    }

    /// Runs the next leg of a guest here.
    fn resume_inline(&self) -> Result<()> {
        let mut guests = self.guests.borrow_mut();
        let guest = guests.guest(self.control.get(at::SUBJECT))?;
        let answer = self.answer(guest)?;
        let step = guest.leg(answer, self.clocks());
        self.report(guest, &step, false);
        Ok(())
    }

    /// Runs the next leg of a guest on a thread; `listen`'s callback gets the ticket.
    fn resume_away(&self) -> Result<()> {
        let handle = self.control.get(at::SUBJECT);
        let ticket = self.control.get(at::DETAIL) as u32;
        let mut guests = self.guests.borrow_mut();
        let answer = self.answer(guests.guest(handle)?)?;
        let (guest, closing) = guests.send_away(handle)?;
        let clocks = self.clocks();
        let submitted = self.submit(Job::Leg { ticket, handle, guest: Box::new(guest), answer, clocks, closing });
        if submitted.is_err() {
            guests.close(handle);
        }
        submitted
    }

    /// Idempotent. The slot is free at once, or when the leg that runs has ended.
    fn close_guest(&self) -> Result<()> {
        let guest = self.guests.borrow_mut().close(self.control.get(at::SUBJECT));
        drop(guest);
        Ok(())
    }

    fn subject(&self) -> (u32, u32) {
        (self.control.get(at::SUBJECT) as u32, self.control.get(at::DETAIL) as u32)
    }

    fn submit(&self, job: Job) -> Result<()> {
        let bell = self.bell.get();
        if bell.is_null() {
            return Err(fault(Code::Closed, "the engine is closed"));
        }
        self.workers.submit(job, bell)?;
        if self.pending.replace(self.pending.get() + 1) == 0 {
            // Safety: on the thread of `env`, while the threadsafe function is open.
            unsafe { sys::napi_ref_threadsafe_function(self.env.get(), bell) };
        }
        Ok(())
    }

    fn link(&self, engine: &Engine, module: Module) -> Result<NativeModule> {
        let mut linker = self.linker.borrow().clone().ok_or_else(|| fault(Code::Closed, "the engine is closed"))?;
        let mut operations: Vec<String> = OPERATIONS.iter().map(|name| (*name).to_owned()).collect();
        let mut imports = Vec::new();
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            let kind = match import.ty() {
                wasmtime::ExternType::Func(_) => "function",
                wasmtime::ExternType::Memory(_) => "memory",
                wasmtime::ExternType::Table(_) => "table",
                wasmtime::ExternType::Global(_) => "global",
                _ => "tag",
            };
            imports.push(Import { module: from.to_owned(), name: name.to_owned(), kind: kind.to_owned() });
            if kind != "function" || (from != host::REQUESTS && from != host::WASI) {
                return Err(fault(
                    Code::Import,
                    format!("the module imports the {kind} '{from}' '{name}', which no guest is given"),
                ));
            }
            if from == host::REQUESTS && name != host::TAKE && !operations.iter().skip(2).any(|known| known == name) {
                let operation = operations.len() as u32;
                host::define_request(&mut linker, name, operation)
                    .map_err(|error| fault(Code::Bug, explain(&error)))?;
                operations.push(name.to_owned());
            }
        }
        let pre = linker.instantiate_pre(&module).map_err(|error| fault(Code::Import, explain(&error)))?;
        let mut exports = Vec::new();
        let mut entries = Vec::new();
        for export in module.exports() {
            let kind = match export.ty() {
                wasmtime::ExternType::Func(function) => {
                    let returns = match (function.params().len(), function.results().len()) {
                        (0, 0) => Some(false),
                        (0, 1) => function.results().next().is_some_and(|ty| ty.is_i32()).then_some(true),
                        _ => None,
                    };
                    entries.push(returns.and_then(|returns| {
                        module.get_export_index(export.name()).map(|export| Entry { export, returns })
                    }));
                    "function"
                }
                other => {
                    entries.push(None);
                    match other {
                        wasmtime::ExternType::Memory(_) => "memory",
                        wasmtime::ExternType::Table(_) => "table",
                        wasmtime::ExternType::Global(_) => "global",
                        _ => "tag",
                    }
                }
            };
            exports.push(Export { name: export.name().to_owned(), kind: kind.to_owned() });
        }
        let find = |name: &str, kind: &str| exports.iter().position(|one| one.name == name && one.kind == kind);
        let command = find("_start", "function").is_some();
        let initialise = if command {
            None
        } else {
            find("_initialize", "function").and_then(|index| entries.get(index).copied().flatten())
        };
        let memory = find("memory", "memory").and_then(|_| module.get_export_index("memory"));
        debug_assert!(Engine::same(engine, module.engine()));
        let loaded = Arc::new(Loaded { module, pre, memory, initialise });
        let mut modules = self.modules.borrow_mut();
        let id = match modules.iter().position(Option::is_none) {
            Some(id) => id,
            None if modules.len() < MODULES_MAX => {
                modules.push(None);
                modules.len() - 1
            }
            None => return Err(fault(Code::Options, format!("more than {MODULES_MAX} modules are loaded"))),
        };
        if let Some(place) = modules.get_mut(id) {
            *place = Some((loaded, entries));
        }
        Ok(NativeModule { id: id as u32, imports, exports, operations })
    }

    fn refuse_artefact(&self, error: &wasmtime::Error) -> Fault {
        let text = explain(error);
        let other = ["compiled with", "compiled for", "compilation settings", "costs are incompatible"];
        if other.iter().any(|words| text.contains(words)) {
            return fault(
                Code::ProfileMismatch,
                format!("the artefact was compiled for another profile than {}: {text}", self.resolved.id),
            );
        }
        fault(Code::Artefact, format!("not an artefact of this engine: {text}"))
    }

    fn runnable(&self) -> Result<()> {
        if self.resolved.target == HOST {
            return Ok(());
        }
        Err(fault(
            Code::ProfileMismatch,
            format!("this engine compiles for {}; this machine is {HOST}", self.resolved.target),
        ))
    }

    /// Called on JavaScript's thread when jobs are done.
    fn drain(&self, env: sys::napi_env, callback: sys::napi_value) {
        for done in self.workers.drain() {
            let mut scope = std::ptr::null_mut();
            // Safety: on the thread of `env`; closed below.
            unsafe { sys::napi_open_handle_scope(env, &mut scope) };
            let mut value = std::ptr::null_mut();
            let (ticket, kind) = match done {
                Done::Leg { ticket, handle, guest, step } => match guest {
                    Some(guest) => {
                        let kind = self.report(&guest, &step, false);
                        let here = self.guests.borrow_mut().bring_back(handle, *guest);
                        (ticket, if here { kind as i32 } else { KIND_CLOSED })
                    }
                    None => (ticket, KIND_CLOSED),
                },
                Done::Compile { ticket, bytes } => match bytes {
                    Ok(bytes) => {
                        // Safety: `env` is this thread's.
                        value = unsafe { ToNapiValue::to_napi_value(env, Uint8Array::from(bytes)) }
                            .unwrap_or(std::ptr::null_mut());
                        (ticket, KIND_BYTES)
                    }
                    Err(error) => {
                        // Safety: as above.
                        value = unsafe { napi::JsError::from(error).into_value(env) };
                        (ticket, KIND_ERROR)
                    }
                },
            };
            let mut this = std::ptr::null_mut();
            let mut ticket_value = std::ptr::null_mut();
            let mut kind_value = std::ptr::null_mut();
            // Safety: values of this scope; the callback only settles promises and does not throw.
            unsafe {
                sys::napi_get_undefined(env, &mut this);
                sys::napi_create_uint32(env, ticket, &mut ticket_value);
                sys::napi_create_int32(env, kind, &mut kind_value);
                let args = [ticket_value, kind_value, if value.is_null() { this } else { value }];
                sys::napi_call_function(env, this, callback, 3, args.as_ptr(), std::ptr::null_mut());
                sys::napi_close_handle_scope(env, scope);
            }
            let pending = self.pending.get().saturating_sub(1);
            self.pending.set(pending);
            if pending == 0 && !self.bell.get().is_null() {
                // Safety: as in `submit`.
                unsafe { sys::napi_unref_threadsafe_function(env, self.bell.get()) };
            }
        }
    }

    fn close(&self) {
        self.workers.stop();
        // Jobs that waited are gone without a ring: nothing of this engine keeps the process alive any more.
        if self.pending.replace(0) > 0 && !self.bell.get().is_null() {
            // Safety: as in `submit`.
            unsafe { sys::napi_unref_threadsafe_function(self.env.get(), self.bell.get()) };
        }
        let guests = std::mem::take(&mut *self.guests.borrow_mut());
        for shelf in &guests.shelves {
            if let Place::Away { closing } = &shelf.place {
                closing.store(true, Ordering::Release);
            }
        }
        drop(guests);
        self.modules.borrow_mut().clear();
        self.linker.replace(None);
        self.engine.replace(None);
    }
}

/// Runs on JavaScript's thread for each ring; `env` is null when the environment goes away.
unsafe extern "C" fn on_ring(env: sys::napi_env, callback: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    if env.is_null() || context.is_null() || callback.is_null() {
        return;
    }
    // Safety: the context is the `Rc` that `listen` leaked; `on_silence` takes it back after the last ring.
    let local = unsafe { &*context.cast::<Local>() };
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| local.drain(env, callback)));
}

unsafe extern "C" fn on_silence(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // Safety: `data` is the pointer that `listen` made with `Rc::into_raw`, finalised once.
    let local = unsafe { Rc::from_raw(data.cast::<Local>()) };
    local.bell.set(std::ptr::null_mut());
}

/// A module as the bridge hands it over: `operations` are the names that requests carry, by number.
#[napi(object)]
pub struct NativeModule {
    pub id: u32,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    pub operations: Vec<String>,
}

#[napi(object)]
pub struct NativeStats {
    pub slots_in_use: u32,
    pub slots_max: u32,
    pub modules_loaded: u32,
}

#[napi]
pub struct NativeEngine {
    local: Rc<Local>,
}

#[napi]
impl NativeEngine {
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, profile: Profile, workers: Option<u32>, control: Uint8Array) -> Result<Self> {
        // Signal handlers and threads outlive a worker of Node that loaded the addon: the image must stay mapped.
        napi::bindgen_prelude::retain_current_module_for_unload_safety();
        let resolved = Resolved::of(&profile)?;
        let engine = resolved.engine()?;
        let linker = host::linker(&engine).map_err(|error| fault(Code::Bug, explain(&error)))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let workers = Workers::new(workers.map_or(cores.min(4), |count| count as usize));
        let local = Local {
            resolved,
            engine: RefCell::new(Some(engine)),
            linker: RefCell::new(Some(linker)),
            modules: RefCell::new(Vec::new()),
            guests: RefCell::new(Shelves::default()),
            slots_used: Arc::new(AtomicU32::new(0)),
            control: Control::new(control)?,
            large_in: RefCell::new(None),
            large_out: RefCell::new(None),
            workers,
            bell: Cell::new(std::ptr::null_mut()),
            pending: Cell::new(0),
            env: Cell::new(env.raw()),
        };
        Ok(NativeEngine { local: Rc::new(local) })
    }

    /// Puts the functions of `hot` on an object.
    #[napi(catch_unwind)]
    pub fn hot(&self, env: Env, target: Object<'_>) -> Result<()> {
        hot::functions(env.raw(), target.raw(), &self.local)
    }

    #[napi(getter)]
    pub fn profile_id(&self) -> String {
        self.local.resolved.id.clone()
    }

    #[napi(getter)]
    pub fn profile_text(&self) -> String {
        self.local.resolved.text()
    }

    #[napi(getter)]
    pub fn target(&self) -> String {
        self.local.resolved.target.clone()
    }

    /// Machine code for the profile's target; the same bytes on every host.
    #[napi(catch_unwind)]
    pub fn compile(&self, wasm: &[u8]) -> Result<Uint8Array> {
        compile(&self.local.engine()?, wasm).map(Uint8Array::from)
    }

    /// As `compile`, on a thread; `listen`'s callback gets the ticket.
    #[napi(catch_unwind)]
    pub fn compile_away(&self, wasm: &[u8], ticket: u32) -> Result<()> {
        let engine = self.local.engine()?;
        let wasm = wasm.to_vec();
        self.local.submit(Job::Compile { ticket, run: Box::new(move || compile(&engine, &wasm)) })
    }

    /// Imports and exports of a module, without compiling it. The bytes are validated as a whole.
    #[napi(catch_unwind)]
    pub fn describe(&self, wasm: &[u8]) -> Result<Description> {
        describe::describe(&self.local.engine()?, wasm)
    }

    #[napi(catch_unwind)]
    pub fn load(&self, artefact: &[u8]) -> Result<NativeModule> {
        let engine = self.local.engine()?;
        self.local.runnable()?;
        if Engine::detect_precompiled(artefact) != Some(wasmtime::Precompiled::Module) {
            return Err(fault(Code::Artefact, "not an artefact of this engine"));
        }
        // Safety: an artefact is machine code; the caller has verified who signed it (documented in engine.ts).
        let module = unsafe { Module::deserialize(&engine, artefact) };
        let module = module.map_err(|error| self.local.refuse_artefact(&error))?;
        self.local.link(&engine, module)
    }

    #[napi(catch_unwind)]
    pub fn load_file(&self, path: String) -> Result<NativeModule> {
        let engine = self.local.engine()?;
        self.local.runnable()?;
        let found = Engine::detect_precompiled_file(&path)
            .map_err(|error| fault(Code::Artefact, format!("{path}: {}", explain(&error))))?;
        if found != Some(wasmtime::Precompiled::Module) {
            return Err(fault(Code::Artefact, format!("{path}: not an artefact of this engine")));
        }
        // Safety: as in `load`; the file is not changed while it is mapped (documented in engine.ts).
        let module = unsafe { Module::deserialize_file(&engine, &path) };
        let module = module.map_err(|error| self.local.refuse_artefact(&error))?;
        self.local.link(&engine, module)
    }

    #[napi(catch_unwind)]
    pub fn close_module(&self, module: u32) {
        if let Some(place) = self.local.modules.borrow_mut().get_mut(module as usize) {
            *place = None;
        }
    }

    /// Data that do not fit into the control block, for the next call.
    #[napi(catch_unwind)]
    pub fn give_large(&self, bytes: &[u8]) {
        self.local.large_in.replace(Some(bytes.to_vec()));
    }

    /// Data of the last call that did not fit into the control block.
    #[napi(catch_unwind)]
    pub fn take_large(&self) -> Uint8Array {
        Uint8Array::from(self.local.large_out.take().unwrap_or_default())
    }

    /// The callback `(ticket, kind, value)` of legs and compilations on threads. Called once, before the first of them.
    #[napi(catch_unwind)]
    pub fn listen(&self, env: Env, callback: Function<'_, (), ()>) -> Result<()> {
        if !self.local.bell.get().is_null() {
            return Ok(());
        }
        self.local.engine()?;
        let mut bell = std::ptr::null_mut();
        let mut name = std::ptr::null_mut();
        let context = Rc::into_raw(Rc::clone(&self.local)).cast_mut().cast::<c_void>();
        let text = "wasmmatrix engine";
        // Safety: on the thread of `env`; the leaked `Rc` is taken back by `on_silence`.
        let status = unsafe {
            sys::napi_create_string_utf8(env.raw(), text.as_ptr().cast(), text.len() as isize, &mut name);
            sys::napi_create_threadsafe_function(
                env.raw(),
                callback.raw(),
                std::ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(on_silence),
                context,
                Some(on_ring),
                &mut bell,
            )
        };
        if status != sys::Status::napi_ok {
            // Safety: not handed over, so still ours.
            drop(unsafe { Rc::from_raw(context.cast::<Local>()) });
            return Err(fault(Code::Bug, "no threadsafe function could be made"));
        }
        // Safety: just made, on this thread. Only running jobs keep the process alive.
        unsafe { sys::napi_unref_threadsafe_function(env.raw(), bell) };
        self.local.bell.set(bell);
        Ok(())
    }

    /// Bytes written so far to stdout (1) or stderr (2).
    #[napi(catch_unwind)]
    pub fn output(&self, handle: f64, pipe: u32) -> Result<Uint8Array> {
        let mut guests = self.local.guests.borrow_mut();
        let mail = guests.guest(handle)?.mail.open();
        let bytes = if pipe == 1 { &mail.stdout } else { &mail.stderr };
        Ok(Uint8Array::with_data_copied(bytes))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> NativeStats {
        NativeStats {
            slots_in_use: self.local.slots_used.load(Ordering::Acquire),
            slots_max: self.local.resolved.slots,
            modules_loaded: self.local.modules.borrow().iter().flatten().count() as u32,
        }
    }

    /// Drops guests and modules; threads end after the legs they run. Idempotent.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.local.close();
    }

    /// Nanoseconds per suspension and resumption of a guest that asks for ever, without the bridge.
    #[napi(catch_unwind)]
    pub fn bench_requests_floor(&self, module: u32, runs: u32) -> Result<f64> {
        let modules = self.local.modules.borrow();
        let (loaded, _) = modules
            .get(module as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| fault(Code::Closed, "the module is closed"))?;
        bench::requests(loaded, runs).map_err(|error| fault(Code::Options, explain(&error)))
    }

    /// Nanoseconds per run of the same engine calls without the bridge (new store, instantiate, call, drop).
    #[napi(catch_unwind)]
    pub fn bench_floor(&self, module: u32, runs: u32) -> Result<f64> {
        let modules = self.local.modules.borrow();
        let (loaded, _) = modules
            .get(module as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| fault(Code::Closed, "the module is closed"))?;
        bench::floor(loaded, runs).map_err(|error| fault(Code::Options, explain(&error)))
    }
}

impl Drop for NativeEngine {
    fn drop(&mut self) {
        self.local.close();
        let bell = self.local.bell.replace(std::ptr::null_mut());
        if !bell.is_null() {
            // Safety: the creator's share of the function, given back once; threads hold their own.
            unsafe {
                sys::napi_release_threadsafe_function(bell, sys::ThreadsafeFunctionReleaseMode::release);
            }
        }
    }
}

#[cfg(feature = "compiler")]
fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
    if wasm.get(..4) != Some(b"\0asm".as_slice()) {
        return Err(fault(Code::Invalid, "not a WebAssembly module: it does not start with \\0asm"));
    }
    engine.precompile_module(wasm).map_err(|error| {
        fault(Code::Invalid, format!("not a WebAssembly module that can run here: {}", explain(&error)))
    })
}

#[cfg(not(feature = "compiler"))]
fn compile(_engine: &Engine, _wasm: &[u8]) -> Result<Vec<u8>> {
    Err(fault(Code::NoCompiler, "this build of the engine has no compiler; compile elsewhere and load the artefact"))
}

/// WebAssembly's text format to binary.
#[cfg(feature = "compiler")]
#[napi(catch_unwind)]
pub fn parse_text(text: String) -> Result<Uint8Array> {
    wat::parse_str(text).map(Uint8Array::from).map_err(|error| fault(Code::Invalid, error.to_string()))
}

/// What this build is: the engine's version, the host's triple, and whether it compiles.
#[napi(object)]
pub struct Build {
    pub version: String,
    pub wasmtime: String,
    pub host: String,
    pub compiler: bool,
}

#[napi]
pub fn build_info() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wasmtime: WASMTIME_VERSION.to_owned(),
        host: HOST.to_owned(),
        compiler: cfg!(feature = "compiler"),
    }
}
