//! Errors that cross the bridge: a stable code (JavaScript's `error.code`) and a sentence.

/// Code of an error as JavaScript sees it. One variant per thing that a caller can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A setting of the profile is out of its range, unknown, or not supported by this machine.
    Profile,
    /// The bytes are not a WebAssembly module that this profile accepts.
    Invalid,
    /// A valid module of which the compiler cannot make code for this target.
    Unsupported,
    /// This build of the addon has no compiler.
    NoCompiler,
    /// The bytes are not an artefact, or a damaged one.
    Artefact,
    /// The artefact was compiled for another profile.
    ProfileMismatch,
    /// The module imports something that no guest is given; the message names it.
    Import,
    /// The module has no such entry, or its type is neither `() -> ()` nor `() -> i32`.
    Entry,
    /// An option of a guest is out of its range.
    Options,
    /// Every slot of the pool is in use.
    PoolFull,
    /// The engine, module or guest was closed.
    Closed,
    /// A leg of this guest is running.
    Busy,
    /// The guest has ended, or an answer was given or left out where the guest did not expect it.
    State,
    /// An invariant of the addon broke.
    Bug,
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        match self {
            Code::Profile => "WM_ENGINE_PROFILE",
            Code::Invalid => "WM_ENGINE_INVALID",
            Code::Unsupported => "WM_ENGINE_UNSUPPORTED",
            Code::NoCompiler => "WM_ENGINE_NO_COMPILER",
            Code::Artefact => "WM_ENGINE_ARTEFACT",
            Code::ProfileMismatch => "WM_ENGINE_PROFILE_MISMATCH",
            Code::Import => "WM_ENGINE_IMPORT",
            Code::Entry => "WM_ENGINE_ENTRY",
            Code::Options => "WM_ENGINE_OPTIONS",
            Code::PoolFull => "WM_ENGINE_POOL_FULL",
            Code::Closed => "WM_ENGINE_CLOSED",
            Code::Busy => "WM_ENGINE_BUSY",
            Code::State => "WM_ENGINE_STATE",
            Code::Bug => "WM_ENGINE_BUG",
        }
    }
}

pub type Fault = napi::Error<Code>;
pub type Result<T> = std::result::Result<T, Fault>;

pub fn fault(code: Code, message: impl Into<String>) -> Fault {
    napi::Error::new(code, message.into())
}

/// The whole chain of causes in one line.
pub fn explain(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}
