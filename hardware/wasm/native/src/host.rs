//! What a guest can call: the module `wasmmatrix` (requests to the host), and WASI preview 1 (`wasi`). Nothing here can
//! reach an operating system. A call costs `CALL_FUEL`, and bytes that the host reads, writes or copies for a guest one
//! each, the same as `memory.copy`, so that fuel bounds time.

use crate::guest::{OPERATION_DENIED, OPERATION_SLEEP};
use crate::state::{Mailbox, State};
use crate::wasi;
use std::future::poll_fn;
use std::task::Poll;
use wasmtime::{AsContextMut, Caller, Engine, Linker, Memory, Result, Trap};

pub const REQUESTS: &str = "wasmmatrix";
pub const WASI: &str = "wasi_snapshot_preview1";
/// Import of `wasmmatrix` that copies the response; every other name is a request.
pub const TAKE: &str = "take";

pub type Call<'a> = Caller<'a, State>;

pub fn out_of_bounds() -> wasmtime::Error {
    Trap::MemoryOutOfBounds.into()
}

pub fn memory(caller: &mut Call<'_>) -> Result<Memory> {
    let export = caller.data().memory.ok_or_else(out_of_bounds)?;
    caller.get_module_export(&export).and_then(wasmtime::Extern::into_memory).ok_or_else(out_of_bounds)
}

/// The guest's memory from `pointer`, `len` bytes; traps when it is not all inside.
pub fn slice(bytes: &[u8], pointer: i32, len: usize) -> Result<&[u8]> {
    let start = pointer as u32 as usize;
    start.checked_add(len).and_then(|end| bytes.get(start..end)).ok_or_else(out_of_bounds)
}

pub fn slice_mut(bytes: &mut [u8], pointer: i32, len: usize) -> Result<&mut [u8]> {
    let start = pointer as u32 as usize;
    start.checked_add(len).and_then(|end| bytes.get_mut(start..end)).ok_or_else(out_of_bounds)
}

pub fn read_u32(bytes: &[u8], pointer: i32) -> Result<u32> {
    let mut word = [0; 4];
    word.copy_from_slice(slice(bytes, pointer, 4)?);
    Ok(u32::from_le_bytes(word))
}

pub fn read_u64(bytes: &[u8], pointer: i32) -> Result<u64> {
    let mut word = [0; 8];
    word.copy_from_slice(slice(bytes, pointer, 8)?);
    Ok(u64::from_le_bytes(word))
}

pub fn write(bytes: &mut [u8], pointer: i32, value: &[u8]) -> Result<()> {
    slice_mut(bytes, pointer, value.len())?.copy_from_slice(value);
    Ok(())
}

pub fn offset(pointer: i32, by: usize) -> i32 {
    (pointer as u32).wrapping_add(by as u32) as i32
}

/// Fuel of one call of the host, whatever it does: about what it takes, in simple instructions.
pub const CALL_FUEL: usize = 100;

/// Takes the fuel of a call, and of the first work that it does.
pub async fn enter<S: AsContextMut<Data = State>>(store: &mut S, amount: usize) -> Result<()> {
    charge(store, CALL_FUEL.saturating_add(amount)).await
}

/// Takes fuel for work whose size the guest chose; traps like the guest's own instructions when there is too little, and
/// ends the leg when its slice is used up (setting the fuel starts the engine's own count of the slice again).
pub async fn charge<S: AsContextMut<Data = State>>(store: &mut S, amount: usize) -> Result<()> {
    if amount == 0 {
        return Ok(());
    }
    let mut context = store.as_context_mut();
    let rest = context.get_fuel()?.saturating_sub(amount as u64);
    context.set_fuel(rest)?;
    if rest == 0 {
        return Err(Trap::OutOfFuel.into());
    }
    let state = context.data();
    let Some(slice) = state.options.fuel_slice else {
        return Ok(());
    };
    let used = state.options.fuel_max.saturating_sub(rest);
    let over = used.saturating_sub(state.mail.open().leg_fuel) >= slice;
    if over {
        let mut yielded = false;
        poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    Ok(())
}

/// Suspends the guest until the host has answered. The leg after it starts a new fuel slice.
pub async fn ask<S: AsContextMut<Data = State>>(store: &mut S, operation: u32) -> Result<i32> {
    let mail: &Mailbox = &store.as_context().data().mail;
    mail.open().request = Some(operation);
    let status = poll_fn(|_| match mail.open().answer.take() {
        Some(status) => Poll::Ready(status),
        None => Poll::Pending,
    })
    .await;
    let mut context = store.as_context_mut();
    let left = context.get_fuel()?;
    context.set_fuel(left)?;
    Ok(status)
}

/// Tells the host that a capability is missing; its answer says nothing.
pub async fn refuse<S: AsContextMut<Data = State>>(store: &mut S, function: &str) -> Result<()> {
    {
        let context = store.as_context();
        let mut mail = context.data().mail.open();
        mail.payload.clear();
        mail.payload.extend_from_slice(function.as_bytes());
        mail.response.clear();
    }
    ask(store, OPERATION_DENIED).await?;
    Ok(())
}

/// Waits; the host's status.
pub async fn sleep<S: AsContextMut<Data = State>>(store: &mut S, nanos: u64) -> Result<i32> {
    {
        let context = store.as_context();
        let mut mail = context.data().mail.open();
        mail.payload.clear();
        mail.payload.extend_from_slice(&nanos.to_le_bytes());
        mail.response.clear();
    }
    ask(store, OPERATION_SLEEP).await
}

/// Bound: requests of different names of one module.
pub const REQUESTS_MAX: usize = 256;

/// Defines one request of `wasmmatrix`: `(pointer, len) -> status or length of the response`.
pub fn define_request(linker: &mut Linker<State>, name: &str, operation: u32) -> Result<()> {
    linker.func_wrap_async(REQUESTS, name, move |mut caller: Call<'_>, (pointer, len): (i32, i32)| {
        Box::new(async move {
            let len = len as u32 as usize;
            enter(&mut caller, len).await?;
            if len > 0 {
                let memory = memory(&mut caller)?;
                let (bytes, state) = memory.data_and_store_mut(&mut caller);
                let payload = slice(bytes, pointer, len)?;
                let mut mail = state.mail.open();
                mail.payload.clear();
                mail.payload.extend_from_slice(payload);
            } else {
                caller.data().mail.open().payload.clear();
            }
            let status = ask(&mut caller, operation).await?;
            let state = caller.data_mut();
            if status < 0 {
                state.kept.clear();
                return Ok(status);
            }
            // The two buffers change places, so that a guest that asks often allocates nothing.
            std::mem::swap(&mut state.kept, &mut state.mail.open().response);
            i32::try_from(state.kept.len()).map_err(|_| out_of_bounds())
        })
    })?;
    Ok(())
}

async fn take(mut caller: Call<'_>, pointer: i32, cap: i32) -> Result<i32> {
    let len = caller.data().kept.len().min(cap as u32 as usize);
    enter(&mut caller, len).await?;
    if len > 0 {
        let memory = memory(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let from = state.kept.get(..len).ok_or_else(out_of_bounds)?;
        write(bytes, pointer, from)?;
    }
    Ok(len as i32)
}

/// Everything but the requests of `wasmmatrix`, whose names each module chooses.
pub fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap_async(REQUESTS, TAKE, |caller: Call<'_>, (pointer, cap): (i32, i32)| {
        Box::new(take(caller, pointer, cap))
    })?;
    wasi::define(&mut linker)?;
    Ok(linker)
}
