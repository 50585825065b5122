//! From a module to an artefact, and from an artefact to a module that is linked and can be started.

use crate::describe::{Export, Import};
use crate::error::{Code, Fault, Result, explain, fault};
use crate::guest::{Entry, Loaded, OPERATIONS};
use crate::host;
use crate::local::Local;
use crate::profile::HOST;
use napi_derive::napi;
#[cfg(feature = "compiler")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use wasmtime::{Engine, Module};

/// Bound: modules that one engine has loaded at once.
const MODULES_MAX: usize = 65_536;

/// A module as the bridge hands it over: `operations` are the names that requests carry, by number.
#[napi(object)]
pub struct NativeModule {
    pub id: u32,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    pub operations: Vec<String>,
}

impl Local {
    /// Refuses an import that no guest is given, defines the requests, and finds the entries.
    pub fn link(&self, module: Module) -> Result<NativeModule> {
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

#[cfg(feature = "compiler")]
pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
    if wasm.get(..4) != Some(b"\0asm".as_slice()) {
        return Err(fault(Code::Invalid, "not a WebAssembly module: it does not start with \\0asm"));
    }
    // Surprising: the compiler panics on some valid modules, such as one that copies a fixed 16 to 128 bytes of memory, for a
    // RISC-V without vectors (Wasmtime 48.0). Whoever pushed it is told; nothing of the process is lost.
    let compiled = catch_unwind(AssertUnwindSafe(|| engine.precompile_module(wasm)));
    let compiled = compiled.map_err(|_| {
        fault(Code::Unsupported, "the compiler gave up on making code of this module for this target")
    })?;
    compiled.map_err(|error| {
        fault(Code::Invalid, format!("not a WebAssembly module that can run here: {}", explain(&error)))
    })
}

#[cfg(not(feature = "compiler"))]
pub fn compile(_engine: &Engine, _wasm: &[u8]) -> Result<Vec<u8>> {
    Err(fault(Code::NoCompiler, "this build of the engine has no compiler; compile elsewhere and load the artefact"))
}
