//! What belongs to JavaScript's thread: one engine's modules, guests and threads, and the calls of every leg.

use crate::component::Offer;
use crate::control::{
    Control, KIND_BYTES, KIND_CLOSED, KIND_ERROR, KIND_EXHAUSTED, KIND_LIMIT, KIND_REQUEST, KIND_RETURNED, KIND_SLICED,
    KIND_TRAPPED, at,
};
use crate::error::{Code, Result, explain, fault};
use crate::guest::{Answer, Clocks, Entry, Guest, Loaded, Program, Slot, Step};
use crate::profile::Resolved;
use crate::shelves::Shelves;
use crate::state::{Limit, Options, State};
use crate::workers::{Done, Job, Workers};
use napi::bindgen_prelude::{ToNapiValue, Uint8Array};
use napi::sys;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use wasmtime::{Engine, Linker};

const FUEL_CEILING: f64 = 9_007_199_254_740_992.0;
/// Bound: bytes of one output pipe.
const OUTPUT_BYTES_CEILING: f64 = 1_073_741_824.0;

/// A loaded module, and for each of its exports whether a guest can be started there.
pub type Linked = (Arc<Loaded>, Vec<Option<Entry>>);

/// What belongs to JavaScript's thread.
pub struct Local {
    pub resolved: Resolved,
    /// Absent when the engine is closed.
    pub engine: RefCell<Option<Engine>>,
    pub linker: RefCell<Option<Linker<State>>>,
    /// What components may import; made when the first of them is seen.
    pub offer: RefCell<Option<Rc<Offer>>>,
    pub modules: RefCell<Vec<Option<Linked>>>,
    pub guests: RefCell<Shelves>,
    pub slots_used: Arc<AtomicU32>,
    pub control: Control,
    pub large_in: RefCell<Option<Vec<u8>>>,
    pub large_out: RefCell<Option<Vec<u8>>>,
    pub workers: Arc<Workers>,
    pub bell: Cell<sys::napi_threadsafe_function>,
    pub pending: Cell<u32>,
    pub env: Cell<sys::napi_env>,
}

fn whole(name: &str, value: f64, min: f64, max: f64) -> Result<u64> {
    if value >= min && value <= max && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(fault(Code::Options, format!("{name} is {value}; a whole number from {min} to {max} is expected")))
}

impl Local {
    pub fn engine(&self) -> Result<Engine> {
        self.engine.borrow().clone().ok_or_else(|| fault(Code::Closed, "the engine is closed"))
    }

    pub fn offer(&self) -> Result<Rc<Offer>> {
        let engine = self.engine()?;
        let mut offer = self.offer.borrow_mut();
        if let Some(offer) = offer.as_ref() {
            return Ok(Rc::clone(offer));
        }
        let made = Offer::new(&engine).map_err(|error| fault(Code::Bug, explain(&error)))?;
        Ok(Rc::clone(offer.insert(Rc::new(made))))
    }

    pub fn options(&self) -> Result<Options> {
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

    pub fn clocks(&self) -> Clocks {
        Clocks {
            monotonic_micros: self.control.get(at::MONOTONIC_MICROS),
            civil_micros: self.control.get(at::CIVIL_MICROS),
        }
    }

    pub fn start(&self, module: u32, entry: u32) -> Result<Guest> {
        let modules = self.modules.borrow();
        let (loaded, entries) = modules
            .get(module as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| fault(Code::Closed, "the module is closed"))?;
        let entry = entries.get(entry as usize).copied().flatten().ok_or_else(|| {
            let wanted = match loaded.program {
                Program::Module(_) => {
                    "the module exports no such function without parameters and with at most an i32 result"
                }
                Program::Component(_) => {
                    "the component exports no such function without parameters and with at most a plain result or s32"
                }
            };
            fault(Code::Entry, wanted)
        })?;
        let options = self.options()?;
        let slot = Slot::take(&self.slots_used, self.resolved.slots, loaded.slots)?;
        Guest::start(Arc::clone(loaded), entry, slot, options)
    }

    /// Takes the answer that JavaScript has put and checks it against what the guest expects.
    pub fn answer(&self, guest: &Guest) -> Result<Option<Answer>> {
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
    pub fn report(&self, guest: &Guest, step: &Step, output: bool) -> u32 {
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
    pub fn start_guest(&self) -> Result<()> {
        let (module, entry) = self.subject();
        let guest = self.start(module, entry)?;
        let handle = self.guests.borrow_mut().put(guest)?;
        self.control.set(at::HANDLE, handle);
        Ok(())
    }

    /// Makes a guest and runs its first leg here. A guest that ends in it gets no handle (0) and is closed.
    pub fn run_guest(&self) -> Result<()> {
        let (module, entry) = self.subject();
        let mut guest = self.start(module, entry)?;
        let step = guest.leg(None, self.clocks());
        self.report(&guest, &step, true);
        let handle = if step.ends() { 0.0 } else { self.guests.borrow_mut().put(guest)? };
        self.control.set(at::HANDLE, handle);
        Ok(())
    }

    /// Runs the next leg of a guest here.
    pub fn resume_inline(&self) -> Result<()> {
        let mut guests = self.guests.borrow_mut();
        let guest = guests.guest(self.control.get(at::SUBJECT))?;
        let answer = self.answer(guest)?;
        let step = guest.leg(answer, self.clocks());
        self.report(guest, &step, false);
        Ok(())
    }

    /// Runs the next leg of a guest on a thread; `listen`'s callback gets the ticket.
    pub fn resume_away(&self) -> Result<()> {
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
    pub fn close_guest(&self) -> Result<()> {
        let guest = self.guests.borrow_mut().close(self.control.get(at::SUBJECT));
        drop(guest);
        Ok(())
    }

    pub fn subject(&self) -> (u32, u32) {
        (self.control.get(at::SUBJECT) as u32, self.control.get(at::DETAIL) as u32)
    }

    pub fn submit(&self, job: Job) -> Result<()> {
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

    /// Called on JavaScript's thread when jobs are done.
    pub fn drain(&self, env: sys::napi_env, callback: sys::napi_value) {
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

    pub fn close(&self) {
        self.workers.stop();
        // Jobs that waited are gone without a ring: nothing of this engine keeps the process alive any more.
        if self.pending.replace(0) > 0 && !self.bell.get().is_null() {
            // Safety: as in `submit`.
            unsafe { sys::napi_unref_threadsafe_function(self.env.get(), self.bell.get()) };
        }
        let guests = std::mem::take(&mut *self.guests.borrow_mut());
        guests.abandon();
        self.modules.borrow_mut().clear();
        self.linker.replace(None);
        self.offer.replace(None);
        self.engine.replace(None);
    }
}

/// Runs on JavaScript's thread for each ring; `env` is null when the environment goes away.
pub unsafe extern "C" fn on_ring(
    env: sys::napi_env,
    callback: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() || context.is_null() || callback.is_null() {
        return;
    }
    // Safety: the context is the `Rc` that `listen` leaked; `on_silence` takes it back after the last ring.
    let local = unsafe { &*context.cast::<Local>() };
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| local.drain(env, callback)));
}

pub unsafe extern "C" fn on_silence(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // Safety: `data` is the pointer that `listen` made with `Rc::into_raw`, finalised once.
    let local = unsafe { Rc::from_raw(data.cast::<Local>()) };
    local.bell.set(std::ptr::null_mut());
}
