//! WASI preview 1 without an operating system: argument lists, three pipes, clocks that follow fuel, randomness that
//! follows a seed, sleep that is a request. Everything else is refused natively or asks the host, which is told what.

use crate::host::{Call, WASI, charge, enter, memory, offset, read_u32, refuse, slice, slice_mut, write};
use crate::poll::poll_oneoff;
use crate::state::{
    CLOCK_RESOLUTION_NANOS, Clock, GRANTED_CLOCK, GRANTED_ENVIRONMENT, GRANTED_RANDOM, State, Stop, now_nanos,
};
use wasmtime::{Engine, FuncType, Linker, Result, Val, ValType};

pub mod errno {
    pub const SUCCESS: i32 = 0;
    pub const BADF: i32 = 8;
    pub const INVAL: i32 = 28;
    pub const IO: i32 = 29;
    pub const NOTSUP: i32 = 58;
    pub const SPIPE: i32 = 70;
    pub const NOTCAPABLE: i32 = 76;
}

/// Bound: vectors of one `fd_read` or `fd_write`.
const VECTORS_MAX: usize = 1_024;
/// Of each: a pointer and a length, which the host reads, and the guest pays for as bytes.
const VECTOR_BYTES: usize = 8;

/// Functions whose capability is never granted; the letters are parameters, `i` for i32 and `l` for i64.
const DENIED: [(&str, &str); 16] = [
    ("fd_readdir", "iiili"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("proc_raise", "i"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// Functions on descriptors that a pipe does not have: the errno is for an open descriptor, a closed one is BADF.
const PIPES: [(&str, &str, i32); 14] = [
    ("fd_advise", "illi", errno::SPIPE),
    ("fd_allocate", "ill", errno::BADF),
    ("fd_datasync", "i", errno::INVAL),
    ("fd_fdstat_set_flags", "ii", errno::SUCCESS),
    ("fd_fdstat_set_rights", "ill", errno::SUCCESS),
    ("fd_filestat_set_size", "il", errno::INVAL),
    ("fd_filestat_set_times", "illi", errno::NOTSUP),
    ("fd_pread", "iiili", errno::SPIPE),
    ("fd_prestat_dir_name", "iii", errno::BADF),
    ("fd_prestat_get", "ii", errno::BADF),
    ("fd_pwrite", "iiili", errno::SPIPE),
    ("fd_seek", "ilii", errno::SPIPE),
    ("fd_sync", "i", errno::INVAL),
    ("fd_tell", "ii", errno::SPIPE),
];

/// Tells the host that a capability is missing; whatever it answers, the guest gets NOTCAPABLE.
pub async fn deny(caller: &mut Call<'_>, function: &str) -> Result<i32> {
    refuse(caller, function).await?;
    Ok(errno::NOTCAPABLE)
}

/// Strings as the bridge hands them over: each ended by a zero byte, as the guest will see them.
async fn strings_sizes(caller: &mut Call<'_>, count_at: i32, size_at: i32, which: fn(&State) -> &[u8]) -> Result<i32> {
    let len = which(caller.data()).len();
    charge(caller, len).await?;
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let list = which(state);
    let count = list.iter().filter(|byte| **byte == 0).count() as u32;
    write(bytes, count_at, &count.to_le_bytes())?;
    write(bytes, size_at, &(list.len() as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

async fn strings(caller: &mut Call<'_>, pointers_at: i32, text_at: i32, which: fn(&State) -> &[u8]) -> Result<i32> {
    let len = which(caller.data()).len();
    charge(caller, len).await?;
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let list = which(state);
    write(bytes, text_at, list)?;
    let mut start = 0;
    let mut index = 0;
    for (end, byte) in list.iter().enumerate() {
        if *byte == 0 {
            let pointer = offset(text_at, start) as u32;
            write(bytes, offset(pointers_at, index * 4), &pointer.to_le_bytes())?;
            start = end + 1;
            index += 1;
        }
    }
    Ok(errno::SUCCESS)
}

pub fn granted(caller: &Call<'_>, capability: u32) -> bool {
    caller.data().options.granted & capability != 0
}

pub fn open_pipe(caller: &Call<'_>, fd: i32) -> bool {
    (0..=2).contains(&fd) && caller.data().closed & (1 << fd) == 0
}

async fn fd_write(mut caller: Call<'_>, fd: i32, vectors: i32, count: i32, written_at: i32) -> Result<i32> {
    enter(&mut caller, 0).await?;
    if !open_pipe(&caller, fd) || fd == 0 {
        return Ok(errno::BADF);
    }
    let count = count as u32 as usize;
    if count > VECTORS_MAX {
        return Ok(errno::INVAL);
    }
    charge(&mut caller, count * VECTOR_BYTES).await?;
    let memory = memory(&mut caller)?;
    let mut total = 0usize;
    for index in 0..count {
        let len = read_u32(memory.data(&caller), offset(vectors, index * VECTOR_BYTES + 4))? as usize;
        total = total.saturating_add(len);
    }
    charge(&mut caller, total).await?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    for index in 0..count {
        let at = offset(vectors, index * VECTOR_BYTES);
        let from = read_u32(bytes, at)? as i32;
        let len = read_u32(bytes, offset(at, 4))? as usize;
        state.write_pipe(fd, slice(bytes, from, len)?)?;
    }
    write(bytes, written_at, &(total as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

async fn fd_read(mut caller: Call<'_>, fd: i32, vectors: i32, count: i32, read_at: i32) -> Result<i32> {
    enter(&mut caller, 0).await?;
    if !open_pipe(&caller, fd) || fd != 0 {
        return Ok(errno::BADF);
    }
    let count = count as u32 as usize;
    if count > VECTORS_MAX {
        return Ok(errno::INVAL);
    }
    charge(&mut caller, count * VECTOR_BYTES).await?;
    let memory = memory(&mut caller)?;
    let mut total = 0usize;
    for index in 0..count {
        let at = offset(vectors, index * VECTOR_BYTES);
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let to = read_u32(bytes, at)? as i32;
        let room = read_u32(bytes, offset(at, 4))? as usize;
        let rest = state.options.stdin.get(state.stdin_read..).unwrap_or_default();
        let len = room.min(rest.len());
        write(bytes, to, rest.get(..len).unwrap_or_default())?;
        state.stdin_read += len;
        total += len;
        charge(&mut caller, len).await?;
    }
    write(memory.data_mut(&mut caller), read_at, &(total as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

/// `fdstat`: a character device with the right to read (stdin) or to write.
async fn fd_fdstat_get(mut caller: Call<'_>, fd: i32, at: i32) -> Result<i32> {
    enter(&mut caller, 0).await?;
    if !open_pipe(&caller, fd) {
        return Ok(errno::BADF);
    }
    let memory = memory(&mut caller)?;
    let mut fdstat = [0u8; 24];
    fdstat[0] = 2;
    let rights: u64 = if fd == 0 { 1 << 1 } else { 1 << 6 };
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    write(memory.data_mut(&mut caller), at, &fdstat)?;
    Ok(errno::SUCCESS)
}

async fn fd_filestat_get(mut caller: Call<'_>, fd: i32, at: i32) -> Result<i32> {
    enter(&mut caller, 0).await?;
    if !open_pipe(&caller, fd) {
        return Ok(errno::BADF);
    }
    let memory = memory(&mut caller)?;
    let mut filestat = [0u8; 64];
    filestat[16] = 2;
    write(memory.data_mut(&mut caller), at, &filestat)?;
    Ok(errno::SUCCESS)
}

async fn fd_close(mut caller: Call<'_>, fd: i32) -> Result<i32> {
    enter(&mut caller, 0).await?;
    if !open_pipe(&caller, fd) {
        return Ok(errno::BADF);
    }
    caller.data_mut().closed |= 1 << fd;
    Ok(errno::SUCCESS)
}

async fn random_get(caller: &mut Call<'_>, pointer: i32, len: i32) -> Result<i32> {
    enter(caller, 0).await?;
    if !granted(caller, GRANTED_RANDOM) {
        return deny(caller, "random_get").await;
    }
    let len = len as u32 as usize;
    charge(caller, len).await?;
    let memory = memory(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let target = slice_mut(bytes, pointer, len)?;
    state.draw(target);
    Ok(errno::SUCCESS)
}

fn signature(engine: &Engine, letters: &str) -> FuncType {
    let params = letters.bytes().map(|letter| if letter == b'l' { ValType::I64 } else { ValType::I32 });
    FuncType::new(engine, params, [ValType::I32])
}

/// Defines all of preview 1.
pub fn define(linker: &mut Linker<State>) -> Result<()> {
    let engine = linker.engine().clone();
    for (name, letters) in DENIED {
        linker.func_new_async(WASI, name, signature(&engine, letters), move |mut caller, _, results| {
            Box::new(async move {
                enter(&mut caller, 0).await?;
                results.fill(Val::I32(deny(&mut caller, name).await?));
                Ok(())
            })
        })?;
    }
    for (name, letters, errno) in PIPES {
        linker.func_new_async(WASI, name, signature(&engine, letters), move |mut caller, params, results| {
            Box::new(async move {
                enter(&mut caller, 0).await?;
                let fd = params.first().and_then(Val::i32).unwrap_or(-1);
                results.fill(Val::I32(if open_pipe(&caller, fd) { errno } else { errno::BADF }));
                Ok(())
            })
        })?;
    }
    linker.func_wrap_async(WASI, "fd_renumber", |mut caller: Call<'_>, (from, to): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            Ok(if open_pipe(&caller, from) && open_pipe(&caller, to) { errno::NOTSUP } else { errno::BADF })
        })
    })?;
    linker.func_wrap_async(
        WASI,
        "fd_write",
        |caller: Call<'_>, (fd, vectors, count, written_at): (i32, i32, i32, i32)| {
            Box::new(fd_write(caller, fd, vectors, count, written_at))
        },
    )?;
    linker.func_wrap_async(
        WASI,
        "fd_read",
        |caller: Call<'_>, (fd, vectors, count, read_at): (i32, i32, i32, i32)| {
            Box::new(fd_read(caller, fd, vectors, count, read_at))
        },
    )?;
    linker.func_wrap_async(WASI, "fd_fdstat_get", |caller: Call<'_>, (fd, at): (i32, i32)| {
        Box::new(fd_fdstat_get(caller, fd, at))
    })?;
    linker.func_wrap_async(WASI, "fd_filestat_get", |caller: Call<'_>, (fd, at): (i32, i32)| {
        Box::new(fd_filestat_get(caller, fd, at))
    })?;
    linker.func_wrap_async(WASI, "fd_close", |caller: Call<'_>, (fd,): (i32,)| Box::new(fd_close(caller, fd)))?;
    linker.func_wrap_async(WASI, "sched_yield", |mut caller: Call<'_>, (): ()| {
        Box::new(async move { enter(&mut caller, 0).await.map(|()| errno::SUCCESS) })
    })?;
    linker.func_wrap(WASI, "proc_exit", |code: i32| -> Result<()> { Err(wasmtime::Error::new(Stop::Exit(code))) })?;
    linker.func_wrap_async(WASI, "args_sizes_get", |mut caller: Call<'_>, (count_at, size_at): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            strings_sizes(&mut caller, count_at, size_at, |state| &state.options.args).await
        })
    })?;
    linker.func_wrap_async(WASI, "args_get", |mut caller: Call<'_>, (pointers_at, text_at): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            strings(&mut caller, pointers_at, text_at, |state| &state.options.args).await
        })
    })?;
    linker.func_wrap_async(WASI, "environ_sizes_get", |mut caller: Call<'_>, (count_at, size_at): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            if !granted(&caller, GRANTED_ENVIRONMENT) {
                return deny(&mut caller, "environ_sizes_get").await;
            }
            strings_sizes(&mut caller, count_at, size_at, |state| &state.options.environment).await
        })
    })?;
    linker.func_wrap_async(WASI, "environ_get", |mut caller: Call<'_>, (pointers_at, text_at): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            if !granted(&caller, GRANTED_ENVIRONMENT) {
                return deny(&mut caller, "environ_get").await;
            }
            strings(&mut caller, pointers_at, text_at, |state| &state.options.environment).await
        })
    })?;
    linker.func_wrap_async(WASI, "clock_res_get", |mut caller: Call<'_>, (clock, at): (i32, i32)| {
        Box::new(async move {
            enter(&mut caller, 0).await?;
            if !granted(&caller, GRANTED_CLOCK) {
                return deny(&mut caller, "clock_res_get").await;
            }
            if clock != 0 && clock != 1 {
                return Ok(errno::NOTSUP);
            }
            let memory = memory(&mut caller)?;
            write(memory.data_mut(&mut caller), at, &CLOCK_RESOLUTION_NANOS.to_le_bytes())?;
            Ok(errno::SUCCESS)
        })
    })?;
    linker.func_wrap_async(
        WASI,
        "clock_time_get",
        |mut caller: Call<'_>, (clock, _precision, at): (i32, i64, i32)| {
            Box::new(async move {
                enter(&mut caller, 0).await?;
                if !granted(&caller, GRANTED_CLOCK) {
                    return deny(&mut caller, "clock_time_get").await;
                }
                let Some(clock) = Clock::of_preview_1(clock) else {
                    return Ok(errno::NOTSUP);
                };
                let now = now_nanos(&caller, clock)?;
                let memory = memory(&mut caller)?;
                write(memory.data_mut(&mut caller), at, &now.to_le_bytes())?;
                Ok(errno::SUCCESS)
            })
        },
    )?;
    linker.func_wrap_async(WASI, "random_get", |mut caller: Call<'_>, (pointer, len): (i32, i32)| {
        Box::new(async move { random_get(&mut caller, pointer, len).await })
    })?;
    linker.func_wrap_async(
        WASI,
        "poll_oneoff",
        |mut caller: Call<'_>, (at, out, count, events_at): (i32, i32, i32, i32)| {
            Box::new(async move { poll_oneoff(&mut caller, at, out, count, events_at).await })
        },
    )?;
    Ok(())
}
