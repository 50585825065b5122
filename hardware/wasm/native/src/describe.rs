//! Imports and exports of a module, read without compiling it.

use crate::error::{Code, Result, fault};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, WasmFeatures};
use wasmtime::Engine;

/// One import: what a capability check looks at.
#[napi_derive::napi(object)]
pub struct Import {
    pub module: String,
    pub name: String,
    /// function, memory, table, global or tag
    pub kind: String,
}

#[napi_derive::napi(object)]
pub struct Export {
    pub name: String,
    pub kind: String,
}

#[napi_derive::napi(object)]
pub struct Description {
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
}

/// The proposals that the engine's profile accepts, so that what is described can also be compiled.
fn features(engine: &Engine) -> WasmFeatures {
    WasmFeatures::from_bits_truncate(engine.get_wasm_features().bits())
}

/// Validates the whole module and lists what it wants and offers.
pub fn describe(engine: &Engine, bytes: &[u8]) -> Result<Description> {
    let bad = |error: wasmparser::BinaryReaderError| {
        fault(Code::Invalid, format!("not a WebAssembly module that can run here: {error}"))
    };
    wasmparser::Validator::new_with_features(features(engine)).validate_all(bytes).map_err(bad)?;
    let mut found = Description { imports: Vec::new(), exports: Vec::new() };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(bad)? {
            Payload::Version { encoding: wasmparser::Encoding::Component, .. } => {
                return Err(fault(Code::Invalid, "a component; a core module is expected"));
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(bad)?;
                    let kind = match import.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => "function",
                        TypeRef::Table(_) => "table",
                        TypeRef::Memory(_) => "memory",
                        TypeRef::Global(_) => "global",
                        TypeRef::Tag(_) => "tag",
                    };
                    found.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        kind: kind.to_owned(),
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(bad)?;
                    let kind = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => "function",
                        ExternalKind::Table => "table",
                        ExternalKind::Memory => "memory",
                        ExternalKind::Global => "global",
                        ExternalKind::Tag => "tag",
                    };
                    found.exports.push(Export { name: export.name.to_owned(), kind: kind.to_owned() });
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
