//! `wasi:keyvalue` over the requests `state_get` and `state_set`: `store` and `atomics` as `0.2.0-draft2` and `0.2.0-draft` have
//! them, `batch` as draft2. A bucket is a prefix of keys: `default` and the empty name are all of them, any other name stands for
//! the keys that begin with it and a slash. Keys are neither deleted nor listed here: those functions say so as an error.

use crate::component::{
    Context, Held, OPERATION_STATE_GET, OPERATION_STATE_SET, Offer, is_line, request, status, words,
};
use crate::host::charge;
use wasmtime::Result;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};

const STORES: [&str; 2] = ["wasi:keyvalue/store@0.2.0-draft2", "wasi:keyvalue/store@0.2.0-draft"];
const ATOMICS_SIGNED: &str = "wasi:keyvalue/atomics@0.2.0-draft2";
const ATOMICS_UNSIGNED: &str = "wasi:keyvalue/atomics@0.2.0-draft";
const BATCHES: [&str; 2] = ["wasi:keyvalue/batch@0.2.0-draft2", "wasi:keyvalue/batch@0.2.0-draft"];
/// Bound: how often `increment` begins again because another was faster.
const INCREMENTS_MAX: usize = 16;
const NO_DELETE: &str = "keys are not deleted here; set an empty value";
const NO_LIST: &str = "keys are not listed here; keep a key that names them";

struct Bucket {
    prefix: String,
}

impl Held for Bucket {
    fn bytes(&self) -> usize {
        self.prefix.len()
    }
}

/// A value as it was read, and the version that it had.
struct Cas {
    key: String,
    entry: Option<Entry>,
}

impl Held for Cas {
    fn bytes(&self) -> usize {
        self.key.len() + self.entry.as_ref().map_or(0, |entry| entry.value.len())
    }
}

struct Entry {
    version: String,
    value: Vec<u8>,
}

#[derive(ComponentType, Lift, Lower, Debug)]
#[component(variant)]
enum StoreError {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

#[derive(ComponentType, Lower)]
#[component(variant)]
enum CasError {
    #[component(name = "store-error")]
    StoreError(StoreError),
    #[component(name = "cas-failed")]
    CasFailed(Resource<Cas>),
}

type Outcome<T> = std::result::Result<T, StoreError>;

fn error(code: i32) -> StoreError {
    if code == status::DENIED { StoreError::AccessDenied } else { StoreError::Other(words(code)) }
}

fn key_of(store: &Context<'_>, bucket: &Resource<Bucket>, key: &str) -> Result<String> {
    Ok(format!("{}{key}", store.data().resources.get(bucket)?.prefix))
}

async fn get(store: &mut Context<'_>, key: &str) -> Result<Outcome<Option<Entry>>> {
    if !is_line(key) {
        charge(store, key.len()).await?;
        return Ok(Err(error(status::INVALID)));
    }
    let mut response = match request(store, OPERATION_STATE_GET, &[key.as_bytes()]).await? {
        Ok(response) => response,
        Err(status::NOT_FOUND) => return Ok(Ok(None)),
        Err(code) => return Ok(Err(error(code))),
    };
    let Some(end) = response.iter().position(|byte| *byte == b'\n') else {
        return Ok(Err(error(status::UNAVAILABLE)));
    };
    let value = response.split_off(end + 1);
    response.truncate(end);
    Ok(Ok(Some(Entry { version: String::from_utf8_lossy(&response).into_owned(), value })))
}

/// `expected`: a version, `0` for a key that must not exist, `*` for whatever is there.
async fn set(store: &mut Context<'_>, key: &str, expected: &str, value: &[u8]) -> Result<std::result::Result<(), i32>> {
    if !is_line(key) {
        charge(store, key.len() + value.len()).await?;
        return Ok(Err(status::INVALID));
    }
    let parts = [key.as_bytes(), b"\n", expected.as_bytes(), b"\n", value];
    Ok(request(store, OPERATION_STATE_SET, &parts).await?.map(|_| ()))
}

async fn increment(store: &mut Context<'_>, key: &str, delta: i128, least: i128, most: i128) -> Result<Outcome<i128>> {
    for _ in 0..INCREMENTS_MAX {
        let entry = match get(store, key).await? {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(error)),
        };
        let (version, number) = match &entry {
            None => ("0", Some(0)),
            Some(entry) => {
                let text = std::str::from_utf8(&entry.value).ok();
                (entry.version.as_str(), text.and_then(|text| text.trim().parse::<i128>().ok()))
            }
        };
        let Some(number) = number else {
            return Ok(Err(StoreError::Other("the value is not a whole number in decimal".to_owned())));
        };
        let Some(sum) = number.checked_add(delta).filter(|sum| (least..=most).contains(sum)) else {
            return Ok(Err(StoreError::Other("the sum is out of range".to_owned())));
        };
        match set(store, key, version, sum.to_string().as_bytes()).await? {
            Ok(()) => return Ok(Ok(sum)),
            Err(status::CONFLICT) => {}
            Err(code) => return Ok(Err(error(code))),
        }
    }
    Ok(Err(error(status::CONFLICT)))
}

fn other<T>(text: &str) -> (Outcome<T>,) {
    (Err(StoreError::Other(text.to_owned())),)
}

/// `C`: how a draft goes on with a list of keys.
#[derive(ComponentType, Lower)]
#[component(record)]
struct KeyResponse<C> {
    keys: Vec<String>,
    cursor: Option<C>,
}

/// Where a list goes on.
trait Cursor: ComponentType + Lift + Lower + Send + 'static {
    fn bytes(&self) -> usize;
}

impl Cursor for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Cursor for u64 {
    fn bytes(&self) -> usize {
        0
    }
}

fn define_list<C: Cursor>(offer: &mut Offer, name: &'static str) -> Result<()> {
    offer.interface(name)?.answer(
        "[method]bucket.list-keys",
        |mut store, (_bucket, cursor): (Resource<Bucket>, Option<C>)| {
            Box::new(async move {
                charge(&mut store, cursor.map_or(0, |cursor| cursor.bytes())).await?;
                Ok(other::<KeyResponse<C>>(NO_LIST))
            })
        },
    )
}

fn define_store(offer: &mut Offer, name: &'static str) -> Result<()> {
    let mut interface = offer.interface(name)?;
    interface.resource::<Bucket>("bucket")?;
    interface.answer("open", |mut store, (name,): (String,)| {
        Box::new(async move {
            charge(&mut store, name.len()).await?;
            if !is_line(&name) {
                return Ok((Err(StoreError::NoSuchStore),));
            }
            let prefix = if name.is_empty() || name == "default" { String::new() } else { format!("{name}/") };
            Ok((Outcome::Ok(store.data_mut().put(Bucket { prefix })?),))
        })
    })?;
    interface.answer("[method]bucket.get", |mut store, (bucket, key): (Resource<Bucket>, String)| {
        Box::new(async move {
            let key = key_of(&store, &bucket, &key)?;
            Ok((get(&mut store, &key).await?.map(|entry| entry.map(|entry| entry.value)),))
        })
    })?;
    interface.answer(
        "[method]bucket.set",
        |mut store, (bucket, key, value): (Resource<Bucket>, String, Vec<u8>)| {
            Box::new(async move {
                let key = key_of(&store, &bucket, &key)?;
                Ok((set(&mut store, &key, "*", &value).await?.map_err(error),))
            })
        },
    )?;
    interface.answer("[method]bucket.exists", |mut store, (bucket, key): (Resource<Bucket>, String)| {
        Box::new(async move {
            let key = key_of(&store, &bucket, &key)?;
            Ok((get(&mut store, &key).await?.map(|entry| entry.is_some()),))
        })
    })?;
    interface.answer("[method]bucket.delete", |mut store, (_bucket, key): (Resource<Bucket>, String)| {
        Box::new(async move {
            charge(&mut store, key.len()).await?;
            Ok(other::<()>(NO_DELETE))
        })
    })
}

fn define_cas(offer: &mut Offer) -> Result<()> {
    let mut interface = offer.interface(ATOMICS_SIGNED)?;
    interface.resource::<Cas>("cas")?;
    interface.answer("[static]cas.new", |mut store, (bucket, key): (Resource<Bucket>, String)| {
        Box::new(async move {
            let key = key_of(&store, &bucket, &key)?;
            Ok((match get(&mut store, &key).await? {
                Ok(entry) => Outcome::Ok(store.data_mut().put(Cas { key, entry })?),
                Err(error) => Err(error),
            },))
        })
    })?;
    interface.answer("[method]cas.current", |mut store, (cas,): (Resource<Cas>,)| {
        Box::new(async move {
            let value = store.data().resources.get(&cas)?.entry.as_ref().map(|entry| entry.value.clone());
            crate::host::charge(&mut store, value.as_ref().map_or(0, Vec::len)).await?;
            Ok((Outcome::Ok(value),))
        })
    })?;
    interface.answer("swap", |mut store, (cas, value): (Resource<Cas>, Vec<u8>)| {
        Box::new(async move {
            let Cas { key, entry } = store.data_mut().take(cas)?;
            let expected = entry.map_or_else(|| "0".to_owned(), |entry| entry.version);
            let code = match set(&mut store, &key, &expected, &value).await? {
                Ok(()) => return Ok((Ok(()),)),
                Err(code) => code,
            };
            if code != status::CONFLICT {
                return Ok((Err(CasError::StoreError(error(code))),));
            }
            let failed = match get(&mut store, &key).await? {
                Ok(entry) => CasError::CasFailed(store.data_mut().put(Cas { key, entry })?),
                Err(error) => CasError::StoreError(error),
            };
            Ok((Err(failed),))
        })
    })
}

fn define_increment(offer: &mut Offer) -> Result<()> {
    offer.interface(ATOMICS_SIGNED)?.answer(
        "increment",
        |mut store, (bucket, key, delta): (Resource<Bucket>, String, i64)| {
            Box::new(async move {
                let key = key_of(&store, &bucket, &key)?;
                let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
                Ok((increment(&mut store, &key, i128::from(delta), least, most).await?.map(|sum| sum as i64),))
            })
        },
    )?;
    offer.interface(ATOMICS_UNSIGNED)?.answer(
        "increment",
        |mut store, (bucket, key, delta): (Resource<Bucket>, String, u64)| {
            Box::new(async move {
                let key = key_of(&store, &bucket, &key)?;
                let most = i128::from(u64::MAX);
                Ok((increment(&mut store, &key, i128::from(delta), 0, most).await?.map(|sum| sum as u64),))
            })
        },
    )
}

fn define_batch(offer: &mut Offer, name: &'static str) -> Result<()> {
    type Pair = (String, Vec<u8>);
    let mut interface = offer.interface(name)?;
    interface.answer("get-many", |mut store, (bucket, keys): (Resource<Bucket>, Vec<String>)| {
        Box::new(async move {
            let mut pairs: Vec<Option<Pair>> = Vec::new();
            let mut held = 0;
            let mut outcome = Ok(());
            for key in keys {
                let full = key_of(&store, &bucket, &key)?;
                match get(&mut store, &full).await? {
                    Ok(entry) => {
                        let pair = entry.map(|entry| (key, entry.value));
                        // All of them are here before the first is the guest's: its limit counts them meanwhile.
                        let bytes =
                            size_of::<Option<Pair>>() + pair.as_ref().map_or(0, |(key, value)| key.len() + value.len());
                        store.data().occupy(0, bytes)?;
                        held += bytes;
                        pairs.push(pair);
                    }
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            store.data().release(held);
            Ok((outcome.map(|()| pairs),))
        })
    })?;
    interface.answer("set-many", |mut store, (bucket, pairs): (Resource<Bucket>, Vec<Pair>)| {
        Box::new(async move {
            for (key, value) in pairs {
                let key = key_of(&store, &bucket, &key)?;
                if let Err(code) = set(&mut store, &key, "*", &value).await? {
                    return Ok((Err(error(code)),));
                }
            }
            Ok((Outcome::Ok(()),))
        })
    })?;
    interface.answer("delete-many", |mut store, (_bucket, keys): (Resource<Bucket>, Vec<String>)| {
        Box::new(async move {
            charge(&mut store, keys.iter().map(String::len).sum()).await?;
            Ok(other::<()>(NO_DELETE))
        })
    })
}

pub fn define(offer: &mut Offer) -> Result<()> {
    for name in STORES {
        define_store(offer, name)?;
    }
    define_list::<String>(offer, STORES[0])?;
    define_list::<u64>(offer, STORES[1])?;
    define_cas(offer)?;
    define_increment(offer)?;
    for name in BATCHES {
        define_batch(offer, name)?;
    }
    Ok(())
}
