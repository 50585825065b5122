//! The bridge between Node.js and the engine. Norms:
//!
//! 1. Mechanical: values are checked and moved here, decisions are made in `guest`, `host` and `profile`.
//! 2. Thin for speed: what a leg needs and gives goes through one block of memory that JavaScript owns (`control`), so a
//!    leg is one call without arguments. `control.ts` is the only other reader of the layout; the two change together.
//! 3. Absent is `null` across the bridge; errors are thrown with a `WM_ENGINE_*` code; whole numbers are doubles.
//! 4. No panic crosses: exported functions catch, guest-controlled numbers are checked before they index anything.
//! 5. What belongs to JavaScript's thread (`Local`) stays there; threads get a guest by moving it.
//! 6. A guest is closed explicitly. Its slot is free when the call ends, is dropped, or its running leg has ended.

mod artefact;
mod bench;
mod component;
mod control;
mod describe;
mod error;
mod guest;
mod host;
mod hot;
mod keyvalue;
mod local;
mod messaging;
mod pipes;
mod poll;
mod profile;
mod shelves;
mod state;
mod system;
mod wasi;
mod workers;

use crate::artefact::{NativeModule, compile};
use crate::control::Control;
use crate::describe::Description;
use crate::error::{Code, Result, explain, fault};
use crate::local::{Local, on_ring, on_silence};
use crate::profile::{HOST, Profile, Resolved, WASMTIME_VERSION};
use crate::shelves::Shelves;
use crate::workers::{Job, Workers};
use napi::bindgen_prelude::{Function, Object, Uint8Array};
use napi::{Env, JsValue, sys};
use napi_derive::napi;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

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
            offer: RefCell::new(None),
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

    /// Imports and exports of a module or component, without compiling it. The bytes are validated as a whole.
    #[napi(catch_unwind)]
    pub fn describe(&self, wasm: &[u8]) -> Result<Description> {
        let engine = self.local.engine()?;
        if describe::is_component(wasm) {
            return describe::describe_component(&engine, self.local.offer()?.as_ref(), wasm);
        }
        describe::describe(&engine, wasm)
    }

    #[napi(catch_unwind)]
    pub fn load(&self, artefact: &[u8]) -> Result<NativeModule> {
        let engine = self.local.engine()?;
        self.local.runnable()?;
        let refuse = |error: wasmtime::Error| self.local.refuse_artefact(&error);
        match Engine::detect_precompiled(artefact) {
            Some(Precompiled::Module) => {
                // Safety: an artefact is machine code; the caller has verified who signed it (documented in engine.ts).
                let module = unsafe { Module::deserialize(&engine, artefact) };
                self.local.link(module.map_err(refuse)?)
            }
            Some(Precompiled::Component) => {
                // Safety: as above.
                let component = unsafe { Component::deserialize(&engine, artefact) };
                self.local.link_component(component.map_err(refuse)?)
            }
            None => Err(fault(Code::Artefact, "not an artefact of this engine")),
        }
    }

    #[napi(catch_unwind)]
    pub fn load_file(&self, path: String) -> Result<NativeModule> {
        let engine = self.local.engine()?;
        self.local.runnable()?;
        let found = Engine::detect_precompiled_file(&path)
            .map_err(|error| fault(Code::Artefact, format!("{path}: {}", explain(&error))))?;
        let refuse = |error: wasmtime::Error| self.local.refuse_artefact(&error);
        match found {
            Some(Precompiled::Module) => {
                // Safety: as in `load`; the file is not changed while it is mapped (documented in engine.ts).
                let module = unsafe { Module::deserialize_file(&engine, &path) };
                self.local.link(module.map_err(refuse)?)
            }
            Some(Precompiled::Component) => {
                // Safety: as above.
                let component = unsafe { Component::deserialize_file(&engine, &path) };
                self.local.link_component(component.map_err(refuse)?)
            }
            None => Err(fault(Code::Artefact, format!("{path}: not an artefact of this engine"))),
        }
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

/// WebAssembly's text format to binary.
#[cfg(feature = "text")]
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
