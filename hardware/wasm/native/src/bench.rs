//! The floors that the addon is measured against: the same calls of the engine, without bridge, mailbox or options.

use crate::guest::{Loaded, LoadedModule, Program};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wasmtime::{Error, Linker, Result, Store};

fn module(loaded: &Loaded) -> Result<&LoadedModule> {
    match &loaded.program {
        Program::Module(loaded) => Ok(loaded),
        Program::Component(_) => Err(Error::msg("a module is expected, not a component")),
    }
}

/// Nanoseconds per run: new store, fuel, instantiate, call `_start`, drop. The module may import nothing.
pub fn floor(loaded: &Loaded, runs: u32) -> Result<f64> {
    let loaded = module(loaded)?;
    let engine = loaded.module.engine();
    let pre = Linker::<()>::new(engine).instantiate_pre(&loaded.module)?;
    let entry = loaded.module.get_export_index("_start").ok_or_else(|| Error::msg("no _start"))?;
    let mut context = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for _ in 0..runs {
        let pre = &pre;
        let mut call: Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> = Box::pin(async move {
            let mut store = Store::new(engine, ());
            store.set_fuel(1_000_000)?;
            store.fuel_async_yield_interval(Some(100_000))?;
            let instance = pre.instantiate_async(&mut store).await?;
            let function = instance
                .get_module_export(&mut store, &entry)
                .and_then(wasmtime::Extern::into_func)
                .ok_or_else(|| Error::msg("no _start"))?;
            function.typed::<(), ()>(&store)?.call_async(&mut store, ()).await
        });
        match call.as_mut().poll(&mut context) {
            Poll::Ready(result) => result?,
            Poll::Pending => return Err(Error::msg("the call did not end in one leg")),
        }
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(runs.max(1)))
}

/// Nanoseconds per request: a guest that calls `wasmmatrix` `ask` for ever from its export `empty` is suspended and resumed.
pub fn requests(loaded: &Loaded, runs: u32) -> Result<f64> {
    let loaded = module(loaded)?;
    let engine = loaded.module.engine();
    let mut linker = Linker::<()>::new(engine);
    linker.func_wrap_async("wasmmatrix", "ask", |_caller, (_pointer, _len): (i32, i32)| {
        let mut asked = false;
        Box::new(poll_fn(move |_| if std::mem::replace(&mut asked, true) { Poll::Ready(0) } else { Poll::Pending }))
    })?;
    let pre = linker.instantiate_pre(&loaded.module)?;
    let entry = loaded.module.get_export_index("empty").ok_or_else(|| Error::msg("no empty"))?;
    let mut context = Context::from_waker(Waker::noop());
    let mut call: Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> = Box::pin(async move {
        let mut store = Store::new(engine, ());
        store.set_fuel(u64::MAX >> 1)?;
        let instance = pre.instantiate_async(&mut store).await?;
        let function = instance
            .get_module_export(&mut store, &entry)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| Error::msg("no empty"))?;
        function.typed::<(), ()>(&store)?.call_async(&mut store, ()).await
    });
    let start = Instant::now();
    for _ in 0..runs {
        if let Poll::Ready(result) = call.as_mut().poll(&mut context) {
            result?;
            return Err(Error::msg("the call ended"));
        }
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(runs.max(1)))
}
