//! Imports and exports of a module or component, read without compiling it.

use crate::component::{self, Offer};
use crate::error::{Code, Fault, Result, fault};
use crate::host;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, WasmFeatures};
use wasmtime::Engine;

/// One import: what a capability check looks at.
#[napi_derive::napi(object)]
pub struct Import {
    pub module: String,
    pub name: String,
    /// function, memory, table, global or tag; of a component also instance, module or component
    pub kind: String,
    /// Whether guests are given it.
    pub offered: bool,
}

impl Import {
    pub fn of_module(module: &str, name: &str, kind: &str) -> Import {
        let offered = kind == "function" && (module == host::REQUESTS || module == host::WASI);
        Import { module: module.to_owned(), name: name.to_owned(), kind: kind.to_owned(), offered }
    }

    pub fn refusal(&self, whose: &str) -> Fault {
        let Import { module, name, kind, .. } = self;
        fault(Code::Import, format!("the {whose} imports the {kind} '{module}' '{name}', which no guest is given"))
    }
}

#[napi_derive::napi(object)]
pub struct Export {
    pub name: String,
    pub kind: String,
}

#[napi_derive::napi(object)]
pub struct Description {
    /// A component of the component model; otherwise a core module.
    pub component: bool,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
}

/// The proposals that the engine's profile accepts, so that what is described can also be compiled.
fn features(engine: &Engine) -> WasmFeatures {
    WasmFeatures::from_bits_truncate(engine.get_wasm_features().bits()).difference(WasmFeatures::MULTI_MEMORY)
}

/// Validates the whole of a module or component.
pub fn check(engine: &Engine, bytes: &[u8]) -> Result<wasmparser::types::Types> {
    let what = if is_component(bytes) { "component" } else { "module" };
    wasmparser::Validator::new_with_features(features(engine))
        .validate_all(bytes)
        .map_err(|error| fault(Code::Invalid, format!("not a WebAssembly {what} that can run here: {error}")))
}

/// Validates the whole module and lists what it wants and offers.
pub fn describe(engine: &Engine, bytes: &[u8]) -> Result<Description> {
    let bad = |error: wasmparser::BinaryReaderError| {
        fault(Code::Invalid, format!("not a WebAssembly module that can run here: {error}"))
    };
    check(engine, bytes)?;
    let mut found = Description { component: false, imports: Vec::new(), exports: Vec::new() };
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(bad)? {
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
                    found.imports.push(Import::of_module(import.module, import.name, kind));
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

/// Whether the bytes begin as those of a component do, whatever follows.
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.get(..4) == Some(b"\0asm".as_slice()) && bytes.get(6..8) == Some([1, 0].as_slice())
}

fn kind_of(ty: ComponentEntityType) -> Option<&'static str> {
    match ty {
        ComponentEntityType::Func(_) => Some("function"),
        ComponentEntityType::Module(_) => Some("module"),
        ComponentEntityType::Component(_) => Some("component"),
        ComponentEntityType::Instance(_) => Some("instance"),
        ComponentEntityType::Value(_) => Some("value"),
        // Those of functions are compared when the component is linked.
        ComponentEntityType::Type { .. } => None,
    }
}

/// As `describe`, for a component. What an imported or exported instance holds is listed one by one, exports with the
/// instance's name and `#` before theirs.
pub fn describe_component(engine: &Engine, offer: &Offer, bytes: &[u8]) -> Result<Description> {
    let bad = |error: wasmparser::BinaryReaderError| {
        fault(Code::Invalid, format!("not a WebAssembly component that can run here: {error}"))
    };
    let types = check(engine, bytes)?;
    let types = types.as_ref();
    let mut found = Description { component: true, imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(bad)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(bad)?.name.name;
                    let Some(item) = types.component_item_for_import(name) else { continue };
                    if let ComponentEntityType::Instance(instance) = item.ty
                        && let Some(instance) = types.get(instance)
                    {
                        for (inner, item) in &instance.exports {
                            if let Some(kind) = kind_of(item.ty) {
                                found.imports.push(offer.import(name, inner, kind));
                            }
                        }
                    } else if let Some(kind) = kind_of(item.ty) {
                        found.imports.push(offer.import("", name, kind));
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(bad)?.name.name;
                    let Some(item) = types.component_item_for_export(name) else { continue };
                    if let ComponentEntityType::Instance(instance) = item.ty
                        && let Some(instance) = types.get(instance)
                    {
                        for (inner, item) in &instance.exports {
                            if let Some(kind) = kind_of(item.ty) {
                                let name = component::entry_name(name, inner);
                                found.exports.push(Export { name, kind: kind.to_owned() });
                            }
                        }
                    } else if let Some(kind) = kind_of(item.ty) {
                        found.exports.push(Export { name: name.to_owned(), kind: kind.to_owned() });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
