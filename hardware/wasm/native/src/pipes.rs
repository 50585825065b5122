//! Streams of WASI 0.2: the three pipes of a guest, which are always ready. What was written is kept up to its limit, as for
//! core modules.

use crate::component::{Context, Held, Offer, wasi};
use crate::host::charge;
use crate::system::Pollable;
use wasmtime::component::{ComponentType, Lower, Resource};
use wasmtime::{Error, Result};

/// Bytes that one `write` takes: what `check-write` says.
const WRITE_BYTES_MAX: usize = 65_536;
/// Bytes that `blocking-write-and-flush` takes; the interface says so.
const BLOCKING_WRITE_BYTES_MAX: usize = 4_096;
const ZEROES: [u8; 4_096] = [0; 4_096];

/// Standard input.
struct InputStream;

impl Held for InputStream {}

#[derive(Clone, Copy)]
enum OutputStream {
    Stdout = 1,
    Stderr = 2,
}

impl Held for OutputStream {}

/// Of an operation that failed; none does.
struct IoError;

impl Held for IoError {}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "a case of the interface; no operation on a pipe fails")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

type Outcome<T> = std::result::Result<T, StreamError>;

/// Takes up to `len` bytes off the input; they are closed at their end.
async fn read(store: &mut Context<'_>, len: u64) -> Result<Outcome<Vec<u8>>> {
    let state = store.data();
    let rest = state.options.stdin.len().saturating_sub(state.stdin_read);
    if rest == 0 {
        return Ok(Err(StreamError::Closed));
    }
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest);
    charge(store, len).await?;
    let state = store.data_mut();
    let start = state.stdin_read;
    state.stdin_read = start + len;
    Ok(Ok(state.options.stdin.get(start..start + len).unwrap_or_default().to_vec()))
}

async fn skip(store: &mut Context<'_>, len: u64) -> Result<Outcome<u64>> {
    Ok(read(store, len).await?.map(|bytes| bytes.len() as u64))
}

async fn write(
    store: &mut Context<'_>,
    stream: &Resource<OutputStream>,
    bytes: &[u8],
    most: usize,
) -> Result<Outcome<()>> {
    if bytes.len() > most {
        return Err(Error::msg(format!("{} bytes are written at once; at most {most} may be", bytes.len())));
    }
    charge(store, bytes.len()).await?;
    let stream = *store.data().resources.get(stream)?;
    store.data().write_pipe(stream as i32, bytes)?;
    Ok(Ok(()))
}

async fn write_zeroes(
    store: &mut Context<'_>,
    stream: &Resource<OutputStream>,
    len: u64,
    most: usize,
) -> Result<Outcome<()>> {
    if len > most as u64 {
        return Err(Error::msg(format!("{len} bytes are written at once; at most {most} may be")));
    }
    let mut rest = len as usize;
    while rest > 0 {
        let part = ZEROES.get(..rest).unwrap_or(&ZEROES);
        if write(store, stream, part, most).await?.is_err() {
            return Ok(Err(StreamError::Closed));
        }
        rest -= part.len();
    }
    Ok(Ok(()))
}

async fn splice(store: &mut Context<'_>, stream: &Resource<OutputStream>, len: u64) -> Result<Outcome<u64>> {
    match read(store, len.min(WRITE_BYTES_MAX as u64)).await? {
        Err(error) => Ok(Err(error)),
        Ok(bytes) => Ok(write(store, stream, &bytes, WRITE_BYTES_MAX).await?.map(|()| bytes.len() as u64)),
    }
}

fn define_input(offer: &mut Offer) -> Result<()> {
    let mut streams = offer.interface(wasi!("io/streams"))?;
    streams.resource::<InputStream>("input-stream")?;
    for name in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        streams.answer(name, |mut store, (_stream, len): (Resource<InputStream>, u64)| {
            Box::new(async move { Ok((read(&mut store, len).await?,)) })
        })?;
    }
    for name in ["[method]input-stream.skip", "[method]input-stream.blocking-skip"] {
        streams.answer(name, |mut store, (_stream, len): (Resource<InputStream>, u64)| {
            Box::new(async move { Ok((skip(&mut store, len).await?,)) })
        })?;
    }
    streams.call("[method]input-stream.subscribe", |mut store, (_stream,): (Resource<InputStream>,)| {
        Ok((store.data_mut().put(Pollable::Ready)?,))
    })
}

fn define_output(offer: &mut Offer) -> Result<()> {
    let mut streams = offer.interface(wasi!("io/streams"))?;
    streams.resource::<OutputStream>("output-stream")?;
    streams.call("[method]output-stream.check-write", |_store, (_stream,): (Resource<OutputStream>,)| {
        Ok((Outcome::Ok(WRITE_BYTES_MAX as u64),))
    })?;
    streams.answer(
        "[method]output-stream.write",
        |mut store, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            Box::new(async move { Ok((write(&mut store, &stream, &bytes, WRITE_BYTES_MAX).await?,)) })
        },
    )?;
    streams.answer(
        "[method]output-stream.blocking-write-and-flush",
        |mut store, (stream, bytes): (Resource<OutputStream>, Vec<u8>)| {
            Box::new(async move { Ok((write(&mut store, &stream, &bytes, BLOCKING_WRITE_BYTES_MAX).await?,)) })
        },
    )?;
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        streams.call(name, |_store, (_stream,): (Resource<OutputStream>,)| Ok((Outcome::Ok(()),)))?;
    }
    streams.call("[method]output-stream.subscribe", |mut store, (_stream,): (Resource<OutputStream>,)| {
        Ok((store.data_mut().put(Pollable::Ready)?,))
    })?;
    streams.answer(
        "[method]output-stream.write-zeroes",
        |mut store, (stream, len): (Resource<OutputStream>, u64)| {
            Box::new(async move { Ok((write_zeroes(&mut store, &stream, len, WRITE_BYTES_MAX).await?,)) })
        },
    )?;
    streams.answer(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store, (stream, len): (Resource<OutputStream>, u64)| {
            Box::new(async move { Ok((write_zeroes(&mut store, &stream, len, BLOCKING_WRITE_BYTES_MAX).await?,)) })
        },
    )?;
    for name in ["[method]output-stream.splice", "[method]output-stream.blocking-splice"] {
        streams.answer(
            name,
            |mut store, (stream, _from, len): (Resource<OutputStream>, Resource<InputStream>, u64)| {
                Box::new(async move { Ok((splice(&mut store, &stream, len).await?,)) })
            },
        )?;
    }
    Ok(())
}

pub fn define(offer: &mut Offer) -> Result<()> {
    let mut error = offer.interface(wasi!("io/error"))?;
    error.resource::<IoError>("error")?;
    error.unreachable(&["[method]error.to-debug-string"])?;
    define_input(offer)?;
    define_output(offer)?;
    offer
        .interface(wasi!("cli/stdin"))?
        .call("get-stdin", |mut store, (): ()| Ok((store.data_mut().put(InputStream)?,)))?;
    offer
        .interface(wasi!("cli/stdout"))?
        .call("get-stdout", |mut store, (): ()| Ok((store.data_mut().put(OutputStream::Stdout)?,)))?;
    offer
        .interface(wasi!("cli/stderr"))?
        .call("get-stderr", |mut store, (): ()| Ok((store.data_mut().put(OutputStream::Stderr)?,)))
}
