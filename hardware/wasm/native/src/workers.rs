//! Threads that run legs and compilations, and the way back to the thread of JavaScript.
//!
//! A job is moved to a thread, done, and its result is moved back through a queue; a threadsafe function wakes the
//! JavaScript thread, which drains the queue. Nothing is shared but the two queues.

use crate::error::{Code, Result, fault};
use crate::guest::{Answer, Clocks, Guest, Step};
use napi::sys;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bound: threads of one engine.
pub const WORKERS_MAX: usize = 64;

pub enum Job {
    Leg {
        ticket: u32,
        handle: f64,
        guest: Box<Guest>,
        answer: Option<Answer>,
        clocks: Clocks,
        closing: Arc<AtomicBool>,
    },
    Compile {
        ticket: u32,
        run: Box<dyn FnOnce() -> Result<Vec<u8>> + Send>,
    },
}

pub enum Done {
    /// The guest is absent when it was closed while its leg ran: its slot is free already.
    Leg {
        ticket: u32,
        handle: f64,
        guest: Option<Box<Guest>>,
        step: Step,
    },
    Compile {
        ticket: u32,
        bytes: Result<Vec<u8>>,
    },
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stopped: bool,
}

pub struct Workers {
    jobs: Mutex<Jobs>,
    wake: Condvar,
    done: Mutex<VecDeque<Done>>,
    most: usize,
}

/// A threadsafe function that one thread has acquired.
struct Bell(sys::napi_threadsafe_function);

// Safety: Node-API allows calling, acquiring and releasing a threadsafe function from any thread.
unsafe impl Send for Bell {}

impl Bell {
    /// False when the environment is going away; the function must not be touched after that.
    fn ring(&self) -> bool {
        // Safety: acquired by `Workers::submit` for this thread and not released yet.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                self.0,
                std::ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        status != sys::Status::napi_closing
    }

    fn release(self) {
        // Safety: as above; the last use.
        unsafe {
            sys::napi_release_threadsafe_function(self.0, sys::ThreadsafeFunctionReleaseMode::release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    pub fn new(most: usize) -> Arc<Workers> {
        Arc::new(Workers {
            jobs: Mutex::new(Jobs::default()),
            wake: Condvar::new(),
            done: Mutex::new(VecDeque::new()),
            most: most.clamp(1, WORKERS_MAX),
        })
    }

    /// Queues a job, starting a thread when all are busy and fewer than the bound exist.
    pub fn submit(self: &Arc<Workers>, job: Job, bell: sys::napi_threadsafe_function) -> Result<()> {
        let mut jobs = lock(&self.jobs);
        if jobs.stopped {
            return Err(fault(Code::Closed, "the engine is closed"));
        }
        if jobs.idle <= jobs.waiting.len() && jobs.threads < self.most {
            // Safety: called on the thread that created it, while it is open.
            let status = unsafe { sys::napi_acquire_threadsafe_function(bell) };
            if status == sys::Status::napi_ok {
                let own = Bell(bell);
                let workers = Arc::clone(self);
                let spawned =
                    std::thread::Builder::new().name("wasmmatrix-leg".to_owned()).spawn(move || workers.work(own));
                match spawned {
                    Ok(_) => jobs.threads += 1,
                    Err(error) => {
                        Bell(bell).release();
                        if jobs.threads == 0 {
                            return Err(fault(Code::Bug, format!("no thread could be started: {error}")));
                        }
                    }
                }
            }
        }
        jobs.waiting.push_back(job);
        drop(jobs);
        self.wake.notify_one();
        Ok(())
    }

    fn work(self: Arc<Workers>, bell: Bell) {
        let mut open = true;
        loop {
            let mut jobs = lock(&self.jobs);
            let job = loop {
                if jobs.stopped {
                    break None;
                }
                if let Some(job) = jobs.waiting.pop_front() {
                    break Some(job);
                }
                jobs.idle += 1;
                jobs = self.wake.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                jobs.idle -= 1;
            };
            drop(jobs);
            let Some(job) = job else { break };
            let result = run(job);
            let first = {
                let mut done = lock(&self.done);
                done.push_back(result);
                done.len() == 1
            };
            // One ring for a batch: the drain takes everything that is there.
            if first && open {
                open = bell.ring();
            }
        }
        if open {
            bell.release();
        }
    }

    pub fn drain(&self) -> VecDeque<Done> {
        std::mem::take(&mut *lock(&self.done))
    }

    /// No job starts after this; a leg that runs ends first. Jobs that wait are dropped.
    pub fn stop(&self) {
        let waiting = {
            let mut jobs = lock(&self.jobs);
            jobs.stopped = true;
            std::mem::take(&mut jobs.waiting)
        };
        self.wake.notify_all();
        drop(waiting);
    }
}

fn run(job: Job) -> Done {
    match job {
        Job::Leg { ticket, handle, mut guest, answer, clocks, closing } => {
            if closing.load(Ordering::Acquire) {
                return Done::Leg { ticket, handle, guest: None, step: Step::Sliced };
            }
            let step = guest.leg(answer, clocks);
            let guest = if closing.load(Ordering::Acquire) {
                drop(guest);
                None
            } else {
                Some(guest)
            };
            Done::Leg { ticket, handle, guest, step }
        }
        Job::Compile { ticket, run } => {
            let bytes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
                .unwrap_or_else(|_| Err(fault(Code::Bug, "the compiler panicked")));
            Done::Compile { ticket, bytes }
        }
    }
}
