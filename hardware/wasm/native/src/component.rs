//! What a component can import: WASI 0.2 without an operating system, and the drafts of `wasi:keyvalue`, `wasi:messaging` and
//! `wasi:logging`, whose functions are the same requests to the host as those of a core module. Each function is defined once,
//! through `Interface`, which also remembers its name, so that an import can be refused before anything is compiled.
//!
//! Fuel: a call costs `host::CALL_FUEL`, and bytes that pass between a guest and the host one each, as for core modules. What passes between the components of
//! one composition costs the instructions that the compiler makes for it; transcoding a string costs a call.

use crate::describe::Import;
use crate::host::{ask, charge, enter, refuse};
use crate::state::{State, Stop};
use crate::{keyvalue, messaging, pipes, system};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use wasmtime::component::{
    ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, Val, types::ComponentFunc,
};
use wasmtime::{Engine, Error, Result, StoreContextMut};

/// Operations that a component asks its host for, by number.
pub const OPERATIONS: [&str; 6] = ["wasi.sleep", "wasi.denied", "state_get", "state_set", "publish", "wasi.log"];
pub const OPERATION_STATE_GET: u32 = 2;
pub const OPERATION_STATE_SET: u32 = 3;
pub const OPERATION_PUBLISH: u32 = 4;
pub const OPERATION_LOG: u32 = 5;

/// Errors of the guest ABI that the interfaces have words of their own for.
pub mod status {
    pub const DENIED: i32 = -1;
    pub const NOT_FOUND: i32 = -2;
    pub const CONFLICT: i32 = -3;
    pub const UNAVAILABLE: i32 = -4;
    pub const LIMIT_EXCEEDED: i32 = -5;
    pub const INVALID: i32 = -6;
}

/// Version of WASI 0.2 that is offered; the engine takes it for any other 0.2.
macro_rules! wasi {
    ($name:literal) => {
        concat!("wasi:", $name, "@0.2.6")
    };
}
pub(crate) use wasi;

pub type Context<'a> = StoreContextMut<'a, State>;

/// A boxed future of a host function.
pub type Answering<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

/// What a handle stands for. Counted against the guest's memory limit while it holds bytes of the guest's choosing.
pub trait Held: Send + 'static {
    fn bytes(&self) -> usize {
        0
    }
}

/// Everything that components may import.
pub struct Offer {
    pub linker: Linker<State>,
    names: BTreeSet<(&'static str, &'static str)>,
}

/// One interface while it is defined.
pub struct Interface<'a> {
    instance: LinkerInstance<'a, State>,
    names: &'a mut BTreeSet<(&'static str, &'static str)>,
    name: &'static str,
}

impl Interface<'_> {
    pub fn resource<T: Held>(&mut self, name: &'static str) -> Result<()> {
        self.instance.resource(name, ResourceType::host::<T>(), |mut store, rep| {
            let state = store.data_mut();
            let gone: T = state.resources.delete(Resource::new_own(rep))?;
            state.release(gone.bytes());
            Ok(())
        })
    }

    /// A function that asks nobody and costs the fuel of a call: for what passes no bytes whose number the guest chose.
    pub fn call<P, R>(
        &mut self,
        name: &'static str,
        body: impl Fn(Context<'_>, P) -> Result<R> + Send + Sync + 'static,
    ) -> Result<()>
    where
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentNamedList + Lower + Send + 'static,
    {
        self.names.insert((self.name, name));
        let body = Arc::new(body);
        self.instance.func_wrap_async(name, move |mut store: Context<'_>, parameters: P| {
            let body = Arc::clone(&body);
            Box::new(async move {
                enter(&mut store, 0).await?;
                body(store, parameters)
            })
        })
    }

    pub fn answer<P, R, F>(&mut self, name: &'static str, body: F) -> Result<()>
    where
        F: Fn(Context<'_>, P) -> Answering<'_, R> + Send + Sync + 'static,
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentNamedList + Lower + Send + 'static,
    {
        self.names.insert((self.name, name));
        let body = Arc::new(body);
        self.instance.func_wrap_async(name, move |mut store: Context<'_>, parameters: P| {
            let body = Arc::clone(&body);
            Box::new(async move {
                enter(&mut store, 0).await?;
                Box::into_pin(body(store, parameters)).await
            })
        })
    }

    /// A function of whatever type without handles, which gives one value.
    pub fn constant(&mut self, name: &'static str, value: fn() -> Val) -> Result<()> {
        self.names.insert((self.name, name));
        self.instance.func_new(name, move |_store, _type: ComponentFunc, _params, results| {
            if let Some(result) = results.first_mut() {
                *result = value();
            }
            Ok(())
        })
    }

    /// Functions on a resource that no guest ever gets a handle of.
    pub fn unreachable(&mut self, names: &[&'static str]) -> Result<()> {
        for name in names {
            self.names.insert((self.name, name));
            self.instance.func_new(name, |_store, _type: ComponentFunc, _params, _results| {
                Err(Error::msg("there is no such resource"))
            })?;
        }
        Ok(())
    }
}

impl Offer {
    pub fn new(engine: &Engine) -> Result<Offer> {
        let mut offer = Offer { linker: Linker::new(engine), names: BTreeSet::new() };
        system::define(&mut offer)?;
        pipes::define(&mut offer)?;
        keyvalue::define(&mut offer)?;
        messaging::define(&mut offer)?;
        Ok(offer)
    }

    pub fn interface(&mut self, name: &'static str) -> Result<Interface<'_>> {
        Ok(Interface { instance: self.linker.instance(name)?, names: &mut self.names, name })
    }

    /// One import of a component, and whether guests are given it.
    pub fn import(&self, interface: &str, name: &str, kind: &str) -> Import {
        let known = || self.names.iter().any(|(offered, item)| *item == name && same_interface(offered, interface));
        let offered = kind == "function" && known();
        Import { module: interface.to_owned(), name: name.to_owned(), kind: kind.to_owned(), offered }
    }
}

/// Versions 0.2.x that are no drafts are one interface; anything else is what it is called.
fn same_interface(offered: &str, wanted: &str) -> bool {
    match (offered.split_once('@'), wanted.split_once('@')) {
        (Some((name, version)), Some((wanted_name, wanted_version))) => {
            name == wanted_name && (version == wanted_version || (is_release(version) && is_release(wanted_version)))
        }
        (None, None) => offered == wanted,
        _ => false,
    }
}

fn is_release(version: &str) -> bool {
    version
        .strip_prefix("0.2.")
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Name of a function of an exported instance, as an entry.
pub fn entry_name(instance: &str, function: &str) -> String {
    format!("{instance}#{function}")
}

/// `run` of `wasi:cli/run`, of any version 0.2.
pub fn is_command(entry: &str) -> bool {
    entry.strip_suffix("#run").is_some_and(|instance| same_interface(wasi!("cli/run"), instance))
}

impl State {
    pub fn put<T: Held>(&mut self, thing: T) -> Result<Resource<T>> {
        self.occupy(0, thing.bytes())?;
        Ok(self.resources.push(thing)?)
    }

    /// Takes back what the guest has given away.
    pub fn take<T: Held>(&mut self, handle: Resource<T>) -> Result<T> {
        let thing: T = self.resources.delete(handle)?;
        self.release(thing.bytes());
        Ok(thing)
    }

    pub fn change<T: Held>(&mut self, handle: &Resource<T>, change: impl FnOnce(&mut T)) -> Result<()> {
        let thing = self.resources.get_mut(handle)?;
        let before = thing.bytes();
        change(thing);
        let after = thing.bytes();
        self.occupy(before, after)
    }
}

/// Ends the guest, and tells the host, unless it was granted the capability: these functions have no way to say no.
pub async fn require(store: &mut Context<'_>, capability: u32, function: &'static str) -> Result<()> {
    if store.data().options.granted & capability != 0 {
        return Ok(());
    }
    refuse(store, function).await?;
    Err(Error::new(Stop::Denied(function)))
}

/// Asks the host; its response, or its negative status. The parts are put together as they are.
pub async fn request(
    store: &mut Context<'_>,
    operation: u32,
    parts: &[&[u8]],
) -> Result<std::result::Result<Vec<u8>, i32>> {
    charge(store, parts.iter().map(|part| part.len()).sum()).await?;
    {
        let mut mail = store.data().mail.open();
        mail.payload.clear();
        for part in parts {
            mail.payload.extend_from_slice(part);
        }
    }
    let status = ask(store, operation).await?;
    if status < 0 {
        return Ok(Err(status));
    }
    let response = std::mem::take(&mut store.data().mail.open().response);
    charge(store, response.len()).await?;
    Ok(Ok(response))
}

/// A name that is one line of a request. Others are no keys or subjects anyway.
pub fn is_line(name: &str) -> bool {
    !name.contains('\n')
}

/// What a status of the guest ABI means, for the interfaces that take words.
pub fn words(status: i32) -> String {
    let text = match status {
        status::DENIED => "denied",
        status::NOT_FOUND => "not found",
        status::CONFLICT => "conflict: another was faster",
        status::UNAVAILABLE => "unavailable: it may have happened",
        status::LIMIT_EXCEEDED => "limit exceeded",
        status::INVALID => "invalid",
        other => return format!("error {other}"),
    };
    text.to_owned()
}
