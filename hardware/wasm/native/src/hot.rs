//! The calls that happen for every leg, as plain Node-API functions.
//!
//! A method of a class costs most of a microsecond in the layer that generates it; a leg costs less. These functions take
//! and give everything through the control block: no arguments, no result, or a thrown error.

use crate::error::{Code, Result, fault};
use crate::local::Local;
use napi::{JsError, sys};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

type Body = fn(&Local) -> Result<()>;

const FUNCTIONS: [(&str, sys::napi_callback); 5] = [
    ("start", Some(start)),
    ("run", Some(run)),
    ("resumeInline", Some(resume_inline)),
    ("resumeAway", Some(resume_away)),
    ("closeGuest", Some(close_guest)),
];

fn call(env: sys::napi_env, info: sys::napi_callback_info, body: Body) -> sys::napi_value {
    let mut data = std::ptr::null_mut();
    let mut argc = 0;
    // Safety: called by Node-API with its own `env` and `info`; only the data pointer is asked for.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &mut argc, std::ptr::null_mut(), std::ptr::null_mut(), &mut data) };
    if status != sys::Status::napi_ok || data.is_null() {
        return std::ptr::null_mut();
    }
    // Safety: the `Rc` that `functions` leaked for this function; its finaliser takes it back when nobody can call it.
    let local = unsafe { &*data.cast::<Local>() };
    let result =
        catch_unwind(AssertUnwindSafe(|| body(local))).unwrap_or_else(|_| Err(fault(Code::Bug, "the engine panicked")));
    if let Err(error) = result {
        // Safety: `env` is this thread's; the error is thrown when we return.
        unsafe { JsError::from(error).throw_into(env) };
    }
    std::ptr::null_mut()
}

unsafe extern "C" fn start(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    call(env, info, Local::start_guest)
}

unsafe extern "C" fn run(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    call(env, info, Local::run_guest)
}

unsafe extern "C" fn resume_inline(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    call(env, info, Local::resume_inline)
}

unsafe extern "C" fn resume_away(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    call(env, info, Local::resume_away)
}

unsafe extern "C" fn close_guest(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    call(env, info, Local::close_guest)
}

unsafe extern "C" fn finalise(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // Safety: made by `Rc::into_raw` in `functions`, finalised once, on the thread that made it.
    drop(unsafe { Rc::from_raw(data.cast::<Local>()) });
}

/// Puts the functions on an object. Each holds the engine's state for as long as it can be called.
pub fn functions(env: sys::napi_env, target: sys::napi_value, local: &Rc<Local>) -> Result<()> {
    let failed = || fault(Code::Bug, "a function could not be made");
    for (name, callback) in FUNCTIONS {
        let data = Rc::into_raw(Rc::clone(local)).cast_mut().cast::<c_void>();
        let mut function = std::ptr::null_mut();
        // Safety: `env` is this thread's; `data` is handed to the finaliser, or taken back here when that fails.
        unsafe {
            let made = sys::napi_create_function(
                env,
                name.as_ptr().cast(),
                name.len() as isize,
                callback,
                data,
                &mut function,
            );
            let kept = made == sys::Status::napi_ok
                && sys::napi_add_finalizer(
                    env,
                    function,
                    data,
                    Some(finalise),
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                ) == sys::Status::napi_ok;
            if !kept {
                drop(Rc::from_raw(data.cast::<Local>()));
                return Err(failed());
            }
            let mut key = std::ptr::null_mut();
            let put = sys::napi_create_string_utf8(env, name.as_ptr().cast(), name.len() as isize, &mut key)
                == sys::Status::napi_ok
                && sys::napi_set_property(env, target, key, function) == sys::Status::napi_ok;
            if !put {
                return Err(failed());
            }
        }
    }
    Ok(())
}
