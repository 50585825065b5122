//! The compile profile: everything that decides the bytes and the results of compiled code, and its digest.
//!
//! The engine does not compare NaN canonicalisation, RISC-V features or patch versions when it loads an artefact, so the
//! digest over all of it stands where the engine keeps its version: an artefact of another profile is refused.

use crate::error::{Code, Result, explain, fault};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig};

/// The version of the engine, kept equal to the pinned dependency by a test of the build.
pub const WASMTIME_VERSION: &str = "48.0.8";
/// Triple this addon was built for.
pub const HOST: &str = env!("WASMMATRIX_TARGET");

const PAGE_BYTES: f64 = 65_536.0;
const MEMORY_BYTES_CEILING: f64 = 4_294_967_296.0;
/// Bound: most guests of one pool.
const SLOTS_CEILING: f64 = 100_000.0;
const TABLE_ELEMENTS_CEILING: f64 = 10_000_000.0;
/// Bound: tables of one module, and of one slot.
pub const TABLES_PER_SLOT: u32 = 4;
/// Bound: slots that a guest of one component takes: as many memories, or as many times the tables of a slot, as it has.
pub const SLOTS_PER_COMPONENT: u32 = 4;
/// Bound: core instances of one component, those that the compiler makes between its parts among them. A number of the engine's
/// books, which reserves nothing.
const CORE_INSTANCES_PER_COMPONENT: u32 = 32;
/// Stack that a guest may use, in bytes; decides when `stack_overflow` is raised.
const GUEST_STACK_BYTES: usize = 512 << 10;
/// Stack of a fibre: the guest's and the host functions' on top of it.
const FIBRE_STACK_BYTES: usize = 1 << 20;
/// Memory of a slot that is cleared by writing instead of by giving pages back, in bytes.
const KEEP_RESIDENT_BYTES: usize = 128 << 10;

/// Settings of an engine. Numbers are whole; absent is null.
#[napi_derive::napi(object, use_nullable = true)]
#[derive(Clone)]
pub struct Profile {
    pub memory_reservation_bytes: f64,
    pub memory_guard_bytes: f64,
    pub memory_bytes_max: f64,
    pub table_elements_max: f64,
    pub pool_slots: f64,
    pub target: Option<String>,
    pub cpu_features: Vec<String>,
    pub optimise: String,
    pub canonical_nans: bool,
}

/// A profile that was checked, with its text and digest.
pub struct Resolved {
    pub reservation_bytes: u64,
    pub guard_bytes: u64,
    pub memory_bytes_max: u64,
    pub table_elements_max: u64,
    pub slots: u32,
    pub target: String,
    pub features: Vec<String>,
    pub speed: bool,
    pub canonical_nans: bool,
    pub id: String,
}

fn whole(name: &str, value: f64, min: f64, max: f64) -> Result<u64> {
    if value.fract() == 0.0 && value >= min && value <= max {
        return Ok(value as u64);
    }
    Err(fault(Code::Profile, format!("{name} is {value}; a whole number from {min} to {max} is expected")))
}

fn pages(name: &str, value: f64, min: f64, max: f64) -> Result<u64> {
    let bytes = whole(name, value, min, max)?;
    if bytes % PAGE_BYTES as u64 == 0 {
        return Ok(bytes);
    }
    Err(fault(Code::Profile, format!("{name} is {value}; a multiple of 65536 is expected")))
}

impl Resolved {
    pub fn of(profile: &Profile) -> Result<Resolved> {
        let memory_bytes_max = pages("memoryBytesMax", profile.memory_bytes_max, PAGE_BYTES, MEMORY_BYTES_CEILING)?;
        let reservation_bytes = pages(
            "memoryReservationBytes",
            profile.memory_reservation_bytes,
            memory_bytes_max as f64,
            MEMORY_BYTES_CEILING * 2.0,
        )?;
        let guard_bytes = pages("memoryGuardBytes", profile.memory_guard_bytes, 0.0, MEMORY_BYTES_CEILING)?;
        let table_elements_max = whole("tableElementsMax", profile.table_elements_max, 1.0, TABLE_ELEMENTS_CEILING)?;
        let slots = whole("poolSlots", profile.pool_slots, 1.0, SLOTS_CEILING)? as u32;
        let target = profile.target.clone().unwrap_or_else(|| HOST.to_owned());
        let mut features = profile.cpu_features.clone();
        features.sort();
        features.dedup();
        if let Some(bad) = features
            .iter()
            .find(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            return Err(fault(Code::Profile, format!("cpuFeatures holds '{bad}', which is not a feature's name")));
        }
        let speed = match profile.optimise.as_str() {
            "speed" => true,
            "none" => false,
            other => {
                return Err(fault(Code::Profile, format!("optimise is '{other}'; 'speed' or 'none' is expected")));
            }
        };
        let mut resolved = Resolved {
            reservation_bytes,
            guard_bytes,
            memory_bytes_max,
            table_elements_max,
            slots,
            target,
            features,
            speed,
            canonical_nans: profile.canonical_nans,
            id: String::new(),
        };
        let digest = Sha256::digest(resolved.text().as_bytes());
        let mut id = String::with_capacity(64);
        for byte in digest {
            let _ = write!(id, "{byte:02x}");
        }
        resolved.id = id;
        Ok(resolved)
    }

    /// What the digest is taken over: one setting a line, in a fixed order.
    pub fn text(&self) -> String {
        format!(
            "wasmmatrix engine profile 2\nwasmtime {WASMTIME_VERSION}\ntarget {}\nfeatures {}\noptimise {}\n\
             reservation {}\nguard {}\nmemory {}\ntable {}\nslots {}\nstack {GUEST_STACK_BYTES}\n\
             fuel on\nnan {}\nsimd {}\nrelaxed-simd off\nthreads off\npool on\ncow on\nconcurrency off\nepoch off\n\
             components on\n",
            self.target,
            self.features.join(","),
            if self.speed { "speed" } else { "none" },
            self.reservation_bytes,
            self.guard_bytes,
            self.memory_bytes_max,
            self.table_elements_max,
            self.slots,
            if self.canonical_nans { "canonical" } else { "as computed" },
            if self.has_vectors() { "on" } else { "off" },
        )
    }

    /// Whether modules may use 128-bit vectors: on RISC-V they need its extension V, and the compiler panics without it.
    fn has_vectors(&self) -> bool {
        !self.target.starts_with("riscv64") || self.features.iter().any(|feature| feature == "has_v")
    }

    pub fn engine(&self) -> Result<Engine> {
        let bad = |error: wasmtime::Error| fault(Code::Profile, explain(&error));
        let mut pool = PoolingAllocationConfig::default();
        pool.total_core_instances(self.slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
            .total_component_instances(self.slots)
            .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
            .max_memories_per_component(SLOTS_PER_COMPONENT)
            .max_tables_per_component(SLOTS_PER_COMPONENT * TABLES_PER_SLOT)
            .total_memories(self.slots)
            .total_tables(self.slots.saturating_mul(TABLES_PER_SLOT))
            .total_stacks(self.slots)
            .max_memories_per_module(1)
            .max_tables_per_module(TABLES_PER_SLOT)
            .max_memory_size(self.memory_bytes_max as usize)
            .table_elements(self.table_elements_max as usize)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(KEEP_RESIDENT_BYTES)
            .async_stack_keep_resident(0);
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .epoch_interruption(false)
            .shared_memory(false)
            .wasm_simd(self.has_vectors())
            .wasm_relaxed_simd(false)
            .wasm_memory64(false)
            // What the compiler makes between the parts of a composition has several memories; of a guest `describe` refuses that.
            .wasm_multi_memory(true)
            .concurrency_support(false)
            .wasm_component_model(true)
            .signals_based_traps(true)
            .memory_init_cow(true)
            .memory_may_move(false)
            .memory_reservation(self.reservation_bytes)
            .memory_reservation_for_growth(0)
            .memory_guard_size(self.guard_bytes)
            .max_wasm_stack(GUEST_STACK_BYTES)
            .async_stack_size(FIBRE_STACK_BYTES)
            .generate_address_map(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        config.target(&self.target).map_err(bad)?;
        config.module_version(ModuleVersionStrategy::Custom(self.id.clone())).map_err(bad)?;
        #[cfg(feature = "compiler")]
        {
            config.cranelift_nan_canonicalization(self.canonical_nans).cranelift_opt_level(if self.speed {
                wasmtime::OptLevel::Speed
            } else {
                wasmtime::OptLevel::None
            });
            for feature in &self.features {
                // Safety: an artefact that uses a feature this machine lacks is refused when it is loaded.
                unsafe { config.cranelift_flag_enable(feature) };
            }
        }
        Engine::new(&config).map_err(bad)
    }
}
