//! WASI 0.2 beside streams: arguments, environment, exit, clocks that follow fuel, randomness that follows a seed, waiting as a
//! request to the host, and a file system without a single directory.

use crate::component::{Context, Held, Offer, require, wasi};
use crate::host::{charge, sleep};
use crate::poll::SUBSCRIPTIONS_MAX;
use crate::state::{
    CLOCK_RESOLUTION_NANOS, Clock, GRANTED_CLOCK, GRANTED_ENVIRONMENT, GRANTED_RANDOM, GRANTED_SLEEP, State, Stop,
    now_nanos,
};
use wasmtime::component::{ComponentType, Lower, Resource, Val};
use wasmtime::{Error, Result};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Something that a guest waits for.
#[derive(Clone, Copy)]
pub enum Pollable {
    /// Pipes are always ready.
    Ready,
    /// Nanoseconds of the monotonic clock.
    Until(u64),
}

impl Held for Pollable {}

/// Of a directory or file; there are none.
struct Descriptor;

impl Held for Descriptor {}

struct DirectoryEntryStream;

impl Held for DirectoryEntryStream {}

/// Of a terminal; there are none.
struct TerminalInput;

impl Held for TerminalInput {}

struct TerminalOutput;

impl Held for TerminalOutput {}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl Datetime {
    fn of_nanos(nanos: u64) -> Datetime {
        Datetime { seconds: nanos / NANOS_PER_SECOND, nanoseconds: (nanos % NANOS_PER_SECOND) as u32 }
    }
}

/// Strings as the bridge hands them over: each ended by a zero byte.
fn strings(list: &[u8]) -> Vec<String> {
    let list = list.strip_suffix(&[0]).unwrap_or(list);
    if list.is_empty() {
        return Vec::new();
    }
    list.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn define_cli(offer: &mut Offer) -> Result<()> {
    let mut environment = offer.interface(wasi!("cli/environment"))?;
    environment.answer("get-environment", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_ENVIRONMENT, "wasi:cli/environment#get-environment").await?;
            let len = store.data().options.environment.len();
            charge(&mut store, len).await?;
            let pairs = strings(&store.data().options.environment);
            let split = |pair: &String| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), value.to_owned())
            };
            Ok((pairs.iter().map(split).collect::<Vec<_>>(),))
        })
    })?;
    environment.answer("get-arguments", |mut store, (): ()| {
        Box::new(async move {
            let len = store.data().options.args.len();
            charge(&mut store, len).await?;
            Ok((strings(&store.data().options.args),))
        })
    })?;
    environment.call("initial-cwd", |_store, (): ()| Ok((None::<String>,)))?;

    let mut exit = offer.interface(wasi!("cli/exit"))?;
    exit.call("exit", |_store, (outcome,): (std::result::Result<(), ()>,)| -> Result<()> {
        Err(Error::new(Stop::Exit(i32::from(outcome.is_err()))))
    })?;
    exit.call("exit-with-code", |_store, (code,): (u8,)| -> Result<()> {
        Err(Error::new(Stop::Exit(i32::from(code))))
    })?;

    offer.interface(wasi!("cli/terminal-input"))?.resource::<TerminalInput>("terminal-input")?;
    offer.interface(wasi!("cli/terminal-output"))?.resource::<TerminalOutput>("terminal-output")?;
    let none = || Val::Option(None);
    offer.interface(wasi!("cli/terminal-stdin"))?.constant("get-terminal-stdin", none)?;
    offer.interface(wasi!("cli/terminal-stdout"))?.constant("get-terminal-stdout", none)?;
    offer.interface(wasi!("cli/terminal-stderr"))?.constant("get-terminal-stderr", none)
}

fn define_clocks(offer: &mut Offer) -> Result<()> {
    let mut monotonic = offer.interface(wasi!("clocks/monotonic-clock"))?;
    monotonic.answer("now", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_CLOCK, "wasi:clocks/monotonic-clock#now").await?;
            Ok((now_nanos(&store, Clock::Monotonic)?,))
        })
    })?;
    monotonic.call("resolution", |_store, (): ()| Ok((CLOCK_RESOLUTION_NANOS,)))?;
    monotonic
        .call("subscribe-instant", |mut store, (when,): (u64,)| Ok((store.data_mut().put(Pollable::Until(when))?,)))?;
    monotonic.call("subscribe-duration", |mut store, (duration,): (u64,)| {
        let until = now_nanos(&store, Clock::Monotonic)?.saturating_add(duration);
        Ok((store.data_mut().put(Pollable::Until(until))?,))
    })?;

    let mut wall = offer.interface(wasi!("clocks/wall-clock"))?;
    wall.answer("now", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_CLOCK, "wasi:clocks/wall-clock#now").await?;
            Ok((Datetime::of_nanos(now_nanos(&store, Clock::Civil)?),))
        })
    })?;
    wall.call("resolution", |_store, (): ()| Ok((Datetime::of_nanos(CLOCK_RESOLUTION_NANOS),)))
}

async fn random_bytes(mut store: Context<'_>, len: u64, function: &'static str) -> Result<Vec<u8>> {
    require(&mut store, GRANTED_RANDOM, function).await?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    // Counted while they are here and not yet the guest's.
    store.data().occupy(0, len)?;
    charge(&mut store, len).await?;
    let mut bytes = vec![0; len];
    store.data_mut().draw(&mut bytes);
    store.data().release(len);
    Ok(bytes)
}

fn word(state: &mut State) -> u64 {
    let mut bytes = [0; 8];
    state.draw(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn define_random(offer: &mut Offer) -> Result<()> {
    let mut random = offer.interface(wasi!("random/random"))?;
    random.answer("get-random-bytes", |store, (len,): (u64,)| {
        Box::new(async move { Ok((random_bytes(store, len, "wasi:random/random#get-random-bytes").await?,)) })
    })?;
    random.answer("get-random-u64", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_RANDOM, "wasi:random/random#get-random-u64").await?;
            Ok((word(store.data_mut()),))
        })
    })?;
    let mut insecure = offer.interface(wasi!("random/insecure"))?;
    insecure.answer("get-insecure-random-bytes", |store, (len,): (u64,)| {
        Box::new(
            async move { Ok((random_bytes(store, len, "wasi:random/insecure#get-insecure-random-bytes").await?,)) },
        )
    })?;
    insecure.answer("get-insecure-random-u64", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_RANDOM, "wasi:random/insecure#get-insecure-random-u64").await?;
            Ok((word(store.data_mut()),))
        })
    })?;
    let mut seed = offer.interface(wasi!("random/insecure-seed"))?;
    seed.answer("insecure-seed", |mut store, (): ()| {
        Box::new(async move {
            require(&mut store, GRANTED_RANDOM, "wasi:random/insecure-seed#insecure-seed").await?;
            let state = store.data_mut();
            Ok(((word(state), word(state)),))
        })
    })
}

/// Waits until one of them is ready; the places of those that are. Reading how far a clock is needs the right to wait for it.
async fn wait(store: &mut Context<'_>, on: &[Pollable], function: &'static str) -> Result<Vec<u32>> {
    let places = |ready: &dyn Fn(&Pollable) -> bool| -> Vec<u32> {
        on.iter().enumerate().filter(|(_, one)| ready(one)).map(|(place, _)| place as u32).collect()
    };
    let ready = places(&|one| matches!(one, Pollable::Ready));
    if !ready.is_empty() {
        return Ok(ready);
    }
    require(store, GRANTED_SLEEP, function).await?;
    let now = now_nanos(store, Clock::Monotonic)?;
    let until = |one: &Pollable| match one {
        Pollable::Ready => now,
        Pollable::Until(nanos) => *nanos,
    };
    let first = on.iter().map(until).min().unwrap_or(now);
    if first > now {
        let status = sleep(store, first - now).await?;
        if status < 0 {
            return Err(Error::msg(format!("the host cannot wait (status {status})")));
        }
    }
    Ok(places(&|one| until(one) <= first.max(now)))
}

fn define_poll(offer: &mut Offer) -> Result<()> {
    let mut poll = offer.interface(wasi!("io/poll"))?;
    poll.resource::<Pollable>("pollable")?;
    poll.answer("[method]pollable.ready", |mut store, (pollable,): (Resource<Pollable>,)| {
        Box::new(async move {
            match *store.data_mut().resources.get(&pollable)? {
                Pollable::Ready => Ok((true,)),
                Pollable::Until(nanos) => {
                    require(&mut store, GRANTED_SLEEP, "wasi:io/poll#[method]pollable.ready").await?;
                    Ok((nanos <= now_nanos(&store, Clock::Monotonic)?,))
                }
            }
        })
    })?;
    poll.answer("[method]pollable.block", |mut store, (pollable,): (Resource<Pollable>,)| {
        Box::new(async move {
            let one = *store.data_mut().resources.get(&pollable)?;
            wait(&mut store, &[one], "wasi:io/poll#[method]pollable.block").await?;
            Ok(())
        })
    })?;
    poll.answer("poll", |mut store, (pollables,): (Vec<Resource<Pollable>>,)| {
        Box::new(async move {
            if pollables.is_empty() || pollables.len() > SUBSCRIPTIONS_MAX {
                return Err(Error::msg(format!("a list of 1 to {SUBSCRIPTIONS_MAX} pollables is expected")));
            }
            charge(&mut store, pollables.len() * 4).await?;
            let table = &store.data_mut().resources;
            let on = pollables.iter().map(|one| table.get(one).copied()).collect::<std::result::Result<Vec<_>, _>>()?;
            Ok((wait(&mut store, &on, "wasi:io/poll#poll").await?,))
        })
    })
}

/// Toolchains import the file system whether or not a program opens a file.
fn define_files(offer: &mut Offer) -> Result<()> {
    let mut preopens = offer.interface(wasi!("filesystem/preopens"))?;
    preopens.constant("get-directories", || Val::List(Vec::new()))?;
    let mut files = offer.interface(wasi!("filesystem/types"))?;
    files.resource::<Descriptor>("descriptor")?;
    files.resource::<DirectoryEntryStream>("directory-entry-stream")?;
    files.constant("filesystem-error-code", || Val::Option(None))?;
    files.unreachable(&[
        "[method]descriptor.read-via-stream",
        "[method]descriptor.write-via-stream",
        "[method]descriptor.append-via-stream",
        "[method]descriptor.advise",
        "[method]descriptor.sync-data",
        "[method]descriptor.get-flags",
        "[method]descriptor.get-type",
        "[method]descriptor.set-size",
        "[method]descriptor.set-times",
        "[method]descriptor.read",
        "[method]descriptor.write",
        "[method]descriptor.read-directory",
        "[method]descriptor.sync",
        "[method]descriptor.create-directory-at",
        "[method]descriptor.stat",
        "[method]descriptor.stat-at",
        "[method]descriptor.set-times-at",
        "[method]descriptor.link-at",
        "[method]descriptor.open-at",
        "[method]descriptor.readlink-at",
        "[method]descriptor.remove-directory-at",
        "[method]descriptor.rename-at",
        "[method]descriptor.symlink-at",
        "[method]descriptor.unlink-file-at",
        "[method]descriptor.is-same-object",
        "[method]descriptor.metadata-hash",
        "[method]descriptor.metadata-hash-at",
        "[method]directory-entry-stream.read-directory-entry",
    ])
}

pub fn define(offer: &mut Offer) -> Result<()> {
    define_cli(offer)?;
    define_clocks(offer)?;
    define_random(offer)?;
    define_poll(offer)?;
    define_files(offer)
}
