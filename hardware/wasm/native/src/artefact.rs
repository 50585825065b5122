//! From a module or component to an artefact, and from an artefact to one that is linked and can be started.

use crate::component::{self, OPERATIONS as COMPONENT_OPERATIONS};
use crate::describe::{Export, Import};
#[cfg(feature = "compiler")]
use crate::describe::{check, is_component};
use crate::error::{Code, Fault, Result, explain, fault};
use crate::guest::{Entry, Loaded, LoadedModule, ModuleEntry, OPERATIONS, Program, Returns};
use crate::host;
use crate::local::Local;
use crate::profile::{HOST, SLOTS_PER_COMPONENT, TABLES_PER_SLOT};
use napi_derive::napi;
use std::collections::HashSet;
#[cfg(feature = "compiler")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, ComponentExportIndex};
use wasmtime::{Engine, Module};

/// Bound: modules that one engine has loaded at once.
const MODULES_MAX: usize = 65_536;

/// A module as the bridge hands it over: `operations` are the names that requests carry, by number.
#[napi(object, use_nullable = true)]
pub struct NativeModule {
    pub id: u32,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    /// Place of the export that a guest starts at when none is named; absent where there is none.
    pub command: Option<u32>,
    pub operations: Vec<String>,
}

impl Local {
    /// Refuses an import that no guest is given, defines the requests, and finds the entries.
    pub fn link(&self, module: Module) -> Result<NativeModule> {
        let mut linker = self.linker.borrow().clone().ok_or_else(|| fault(Code::Closed, "the engine is closed"))?;
        let mut operations: Vec<String> = OPERATIONS.iter().map(|name| (*name).to_owned()).collect();
        let mut imports = Vec::new();
        let mut requests = HashSet::new();
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            let kind = match import.ty() {
                wasmtime::ExternType::Func(_) => "function",
                wasmtime::ExternType::Memory(_) => "memory",
                wasmtime::ExternType::Table(_) => "table",
                wasmtime::ExternType::Global(_) => "global",
                _ => "tag",
            };
            let import = Import::of_module(from, name, kind);
            if !import.offered {
                return Err(import.refusal("module"));
            }
            imports.push(import);
            if from == host::REQUESTS && name != host::TAKE && requests.insert(name) {
                if requests.len() > host::REQUESTS_MAX {
                    let most = host::REQUESTS_MAX;
                    return Err(fault(Code::Import, format!("the module asks its host for more than {most} things")));
                }
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
                        module.get_export_index(export.name()).map(|export| ModuleEntry { export, returns })
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
        let command = find("_start", "function");
        let initialise = if command.is_some() {
            None
        } else {
            find("_initialize", "function").and_then(|index| entries.get(index).copied().flatten())
        };
        let memory = find("memory", "memory").and_then(|_| module.get_export_index("memory"));
        let entries = entries.into_iter().map(|entry| entry.map(Entry::Module)).collect();
        let program = Program::Module(LoadedModule { module, pre, memory, initialise });
        let id = self.keep(Loaded { program, slots: 1 }, entries)?;
        Ok(NativeModule { id, imports, exports, command: command.map(|at| at as u32), operations })
    }

    /// As `link`, for a component. A guest is started at `wasi:cli/run`, or at any function of its own without parameters.
    pub fn link_component(&self, component: Component) -> Result<NativeModule> {
        let engine = self.engine()?;
        let offer = self.offer()?;
        let ty = component.component_type();
        let mut imports = Vec::new();
        for (name, import) in ty.imports(&engine) {
            if let ComponentItem::ComponentInstance(instance) = &import.ty {
                for (inner, item) in instance.exports(&engine) {
                    if let Some(kind) = kind_of(&item.ty) {
                        imports.push(offer.import(name, inner, kind));
                    }
                }
            } else if let Some(kind) = kind_of(&import.ty) {
                imports.push(offer.import("", name, kind));
            }
        }
        if let Some(import) = imports.iter().find(|import| !import.offered) {
            return Err(import.refusal("component"));
        }
        let pre = offer.linker.instantiate_pre(&component).map_err(|error| fault(Code::Import, explain(&error)))?;
        let mut exports = Vec::new();
        let mut entries = Vec::new();
        let mut put = |name: String, item: &ComponentItem, export: Option<ComponentExportIndex>| {
            let Some(kind) = kind_of(item) else { return };
            let returns = if let ComponentItem::ComponentFunc(function) = item { returns_of(function) } else { None };
            entries.push(export.zip(returns).map(|(export, returns)| Entry::Component { export, returns }));
            exports.push(Export { name, kind: kind.to_owned() });
        };
        for (name, export) in ty.exports(&engine) {
            let index = component.get_export_index(None, name);
            if let ComponentItem::ComponentInstance(instance) = &export.ty {
                for (inner, item) in instance.exports(&engine) {
                    let inner_index = index.as_ref().and_then(|index| component.get_export_index(Some(index), inner));
                    put(component::entry_name(name, inner), &item.ty, inner_index);
                }
            } else {
                put(name.to_owned(), &export.ty, index);
            }
        }
        let command = exports.iter().position(|export| component::is_command(&export.name));
        let slots = component.resources_required().map_or(SLOTS_PER_COMPONENT, |needs| {
            needs.num_memories.max(needs.num_tables.div_ceil(TABLES_PER_SLOT)).max(1)
        });
        let id = self.keep(Loaded { program: Program::Component(pre), slots }, entries)?;
        Ok(NativeModule {
            id,
            imports,
            exports,
            command: command.map(|at| at as u32),
            operations: COMPONENT_OPERATIONS.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    fn keep(&self, loaded: Loaded, entries: Vec<Option<Entry>>) -> Result<u32> {
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
            *place = Some((Arc::new(loaded), entries));
        }
        Ok(id as u32)
    }

    pub fn refuse_artefact(&self, error: &wasmtime::Error) -> Fault {
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

    pub fn runnable(&self) -> Result<()> {
        if self.resolved.target == HOST {
            return Ok(());
        }
        Err(fault(
            Code::ProfileMismatch,
            format!("this engine compiles for {}; this machine is {HOST}", self.resolved.target),
        ))
    }
}

/// What an import or export is, in words; nothing for a type, which has no code.
fn kind_of(item: &ComponentItem) -> Option<&'static str> {
    match item {
        ComponentItem::ComponentFunc(_) | ComponentItem::CoreFunc(_) => Some("function"),
        ComponentItem::Module(_) => Some("module"),
        ComponentItem::Component(_) => Some("component"),
        ComponentItem::ComponentInstance(_) => Some("instance"),
        ComponentItem::Resource(_) | ComponentItem::Type(_) => None,
    }
}

fn returns_of(function: &ComponentFunc) -> Option<Returns> {
    if function.params().len() > 0 || function.async_() {
        return None;
    }
    let mut results = function.results();
    match (results.next(), results.next()) {
        (None, _) => Some(Returns::Nothing),
        (Some(Type::S32), None) => Some(Returns::Code),
        (Some(Type::Result(outcome)), None) if outcome.ok().is_none() && outcome.err().is_none() => {
            Some(Returns::Outcome)
        }
        _ => None,
    }
}

#[cfg(feature = "compiler")]
pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
    if wasm.get(..4) != Some(b"\0asm".as_slice()) {
        return Err(fault(Code::Invalid, "not a WebAssembly module: it does not start with \\0asm"));
    }
    // Surprising: the compiler panics on some valid modules, such as one that copies a fixed 16 to 128 bytes of memory, for a
    // RISC-V without vectors (Wasmtime 48.0). Whoever pushed it is told; nothing of the process is lost.
    check(engine, wasm)?;
    let component = is_component(wasm);
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        if component { engine.precompile_component(wasm) } else { engine.precompile_module(wasm) }
    }));
    let compiled = compiled
        .map_err(|_| fault(Code::Unsupported, "the compiler gave up on making code of this module for this target"))?;
    compiled.map_err(|error| {
        fault(Code::Invalid, format!("not a WebAssembly module that can run here: {}", explain(&error)))
    })
}

#[cfg(not(feature = "compiler"))]
pub fn compile(_engine: &Engine, _wasm: &[u8]) -> Result<Vec<u8>> {
    Err(fault(Code::NoCompiler, "this build of the engine has no compiler; compile elsewhere and load the artefact"))
}
