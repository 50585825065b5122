//! `poll_oneoff` of preview 1: pipes are ready at once, and waiting for a clock is a request to the host.

use crate::host::{Call, charge, enter, memory, offset, read_u32, read_u64, sleep, slice, write};
use crate::state::{Clock, GRANTED_SLEEP, now_nanos};
use crate::wasi::{deny, errno, granted, open_pipe};
use wasmtime::Result;

/// Bound: subscriptions of one `poll_oneoff` or `poll`.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;
/// What the host reads and writes of each: sizes of the interface, paid for as bytes.
const SUBSCRIPTION_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;

/// One subscription of `poll_oneoff` that is ready, or never will be: its user data and its type.
struct Ready {
    user: u64,
    errno: i32,
    kind: u8,
    bytes: u64,
}

/// What `poll_oneoff` finds before anything sleeps.
enum Waits {
    Ready(Vec<Ready>),
    /// Nanoseconds until the first clock, and the clocks with their own.
    Sleeps(u64, Vec<(u64, u64)>),
    Refused(i32),
}

async fn subscriptions(caller: &mut Call<'_>, at: i32, count: i32) -> Result<Waits> {
    let count = count as u32 as usize;
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Ok(Waits::Refused(errno::INVAL));
    }
    charge(caller, count * SUBSCRIPTION_BYTES).await?;
    let memory = memory(caller)?;
    let mut ready = Vec::new();
    let mut clocks = Vec::new();
    for index in 0..count {
        let one = offset(at, index * SUBSCRIPTION_BYTES);
        let bytes = memory.data(&*caller);
        let user = read_u64(bytes, one)?;
        let kind = slice(bytes, offset(one, 8), 1)?.first().copied().unwrap_or_default();
        match kind {
            0 => {
                let clock = read_u32(bytes, offset(one, 16))? as i32;
                let timeout = read_u64(bytes, offset(one, 24))?;
                let absolute = slice(bytes, offset(one, 40), 1)?.first().is_some_and(|flags| flags & 1 != 0);
                let Some(clock) = Clock::of_preview_1(clock) else {
                    return Ok(Waits::Refused(errno::NOTSUP));
                };
                let now = now_nanos(caller, clock)?;
                clocks.push((user, if absolute { timeout.saturating_sub(now) } else { timeout }));
            }
            // To read or to write: a pipe is always ready for the one that it is for.
            1 | 2 => {
                let fd = read_u32(bytes, offset(one, 16))? as i32;
                let state = caller.data();
                let (errno, bytes) = match (kind, fd) {
                    _ if !open_pipe(caller, fd) => (errno::BADF, 0),
                    (1, 0) => (errno::SUCCESS, state.options.stdin.len().saturating_sub(state.stdin_read)),
                    (2, 1 | 2) => (errno::SUCCESS, state.room(fd)),
                    _ => (errno::BADF, 0),
                };
                ready.push(Ready { user, errno, kind, bytes: bytes as u64 });
            }
            _ => return Ok(Waits::Refused(errno::NOTSUP)),
        }
    }
    if ready.is_empty() {
        let first = clocks.iter().map(|(_, nanos)| *nanos).min().unwrap_or_default();
        return Ok(Waits::Sleeps(first, clocks));
    }
    Ok(Waits::Ready(ready))
}

pub async fn poll_oneoff(caller: &mut Call<'_>, at: i32, out: i32, count: i32, events_at: i32) -> Result<i32> {
    enter(caller, 0).await?;
    let ready = match subscriptions(caller, at, count).await? {
        Waits::Refused(errno) => return Ok(errno),
        Waits::Ready(ready) => ready,
        Waits::Sleeps(first, clocks) => {
            if !granted(caller, GRANTED_SLEEP) {
                return deny(caller, "poll_oneoff").await;
            }
            let status = sleep(caller, first).await?;
            if status < 0 {
                let errno = status.saturating_neg();
                return Ok(if errno <= errno::NOTCAPABLE { errno } else { errno::IO });
            }
            let due = clocks.into_iter().filter(|(_, nanos)| *nanos <= first);
            due.map(|(user, _)| Ready { user, errno: errno::SUCCESS, kind: 0, bytes: 0 }).collect()
        }
    };
    charge(caller, ready.len() * EVENT_BYTES).await?;
    let memory = memory(caller)?;
    let bytes = memory.data_mut(&mut *caller);
    for (index, one) in ready.iter().enumerate() {
        let mut event = [0u8; EVENT_BYTES];
        event[0..8].copy_from_slice(&one.user.to_le_bytes());
        event[8..10].copy_from_slice(&(one.errno as u16).to_le_bytes());
        event[10] = one.kind;
        event[16..24].copy_from_slice(&one.bytes.to_le_bytes());
        write(bytes, offset(out, index * EVENT_BYTES), &event)?;
    }
    write(bytes, events_at, &(ready.len() as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}
