//! `wasi:messaging` (0.2.0-draft: `types` and `producer`) over the request `publish`, and `wasi:logging` over a request of its
//! own. A message's topic is a subject; content types and metadata travel nowhere, so a message that has some is not sent.

use crate::component::{Context, Held, OPERATION_LOG, OPERATION_PUBLISH, Offer, is_line, request, status, words};
use crate::host::charge;
use wasmtime::component::{ComponentType, Lift, Lower, Resource};
use wasmtime::{Error, Result};

const TYPES: &str = "wasi:messaging/types@0.2.0-draft";
const PRODUCER: &str = "wasi:messaging/producer@0.2.0-draft";
const LOGGINGS: [&str; 2] = ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"];

/// Bound: pairs of metadata of one message.
const METADATA_MAX: usize = 64;

struct Client;

impl Held for Client {}

#[derive(Default)]
struct Message {
    content_type: Option<String>,
    data: Vec<u8>,
    metadata: Option<Vec<(String, String)>>,
}

impl Held for Message {
    fn bytes(&self) -> usize {
        let metadata = self.metadata.iter().flatten().map(|(name, value)| name.len() + value.len() + 48);
        self.data.len() + self.content_type.as_ref().map_or(0, String::len) + metadata.sum::<usize>()
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum MessagingError {
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "connection")]
    Connection(String),
    #[component(name = "permission-denied")]
    PermissionDenied(String),
    #[component(name = "other")]
    Other(String),
}

type Outcome<T> = std::result::Result<T, MessagingError>;

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting, which the compiler does not see")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

async fn send(store: &mut Context<'_>, topic: &str, message: Message) -> Result<Outcome<()>> {
    // What is sent pays in `request`; what is refused before has been handed over all the same.
    if message.content_type.is_some()
        || message.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty())
        || !is_line(topic)
    {
        charge(store, topic.len() + message.bytes()).await?;
    }
    if message.content_type.is_some() || message.metadata.is_some_and(|metadata| !metadata.is_empty()) {
        let text = "a message's content type and metadata are not carried; send it without them";
        return Ok(Err(MessagingError::Other(text.to_owned())));
    }
    if !is_line(topic) {
        return Ok(Err(MessagingError::Other(words(status::INVALID))));
    }
    let sent = request(store, OPERATION_PUBLISH, &[topic.as_bytes(), b"\n", &message.data]).await?;
    Ok(sent.map(|_| ()).map_err(|code| match code {
        status::DENIED => MessagingError::PermissionDenied(words(code)),
        status::UNAVAILABLE => MessagingError::Connection(words(code)),
        _ => MessagingError::Other(words(code)),
    }))
}

fn set_metadata(store: &mut Context<'_>, message: &Resource<Message>, metadata: Vec<(String, String)>) -> Result<()> {
    if metadata.len() > METADATA_MAX {
        return Err(Error::msg(format!("a message has at most {METADATA_MAX} pairs of metadata")));
    }
    store.data_mut().change(message, |message| message.metadata = Some(metadata))
}

fn define_message(offer: &mut Offer) -> Result<()> {
    type This = Resource<Message>;
    type Metadata = Vec<(String, String)>;
    let mut types = offer.interface(TYPES)?;
    types.resource::<Message>("message")?;
    types.answer("[constructor]message", |mut store, (data,): (Vec<u8>,)| {
        Box::new(async move {
            charge(&mut store, data.len()).await?;
            Ok((store.data_mut().put(Message { data, ..Message::default() })?,))
        })
    })?;
    // Only a message that was received has one.
    types.call("[method]message.topic", |_store, (_message,): (This,)| Ok((String::new(),)))?;
    types.answer("[method]message.data", |mut store, (message,): (This,)| {
        Box::new(async move {
            let bytes = store.data().resources.get(&message)?.data.len();
            charge(&mut store, bytes).await?;
            Ok((store.data().resources.get(&message)?.data.clone(),))
        })
    })?;
    types.answer("[method]message.set-data", |mut store, (message, data): (This, Vec<u8>)| {
        Box::new(async move {
            charge(&mut store, data.len()).await?;
            store.data_mut().change(&message, |message| message.data = data)
        })
    })?;
    types.answer("[method]message.content-type", |mut store, (message,): (This,)| {
        Box::new(async move {
            let bytes = store.data().resources.get(&message)?.content_type.as_ref().map_or(0, String::len);
            charge(&mut store, bytes).await?;
            Ok((store.data().resources.get(&message)?.content_type.clone(),))
        })
    })?;
    types.answer("[method]message.set-content-type", |mut store, (message, text): (This, String)| {
        Box::new(async move {
            charge(&mut store, text.len()).await?;
            store.data_mut().change(&message, |message| message.content_type = Some(text))
        })
    })?;
    types.answer("[method]message.metadata", |mut store, (message,): (This,)| {
        Box::new(async move {
            let bytes = store.data().resources.get(&message)?.bytes();
            charge(&mut store, bytes).await?;
            Ok((store.data().resources.get(&message)?.metadata.clone(),))
        })
    })?;
    types.answer("[method]message.add-metadata", |mut store, (message, name, value): (This, String, String)| {
        Box::new(async move {
            let present = store.data().resources.get(&message)?.bytes();
            charge(&mut store, present + name.len() + value.len()).await?;
            let mut metadata = store.data().resources.get(&message)?.metadata.clone().unwrap_or_default();
            metadata.retain(|(known, _)| *known != name);
            metadata.push((name, value));
            set_metadata(&mut store, &message, metadata)
        })
    })?;
    types.answer("[method]message.set-metadata", |mut store, (message, metadata): (This, Metadata)| {
        Box::new(async move {
            charge(&mut store, metadata.iter().map(|(name, value)| name.len() + value.len()).sum()).await?;
            set_metadata(&mut store, &message, metadata)
        })
    })?;
    types.answer("[method]message.remove-metadata", |mut store, (message, name): (This, String)| {
        Box::new(async move {
            charge(&mut store, name.len()).await?;
            store.data_mut().change(&message, |message| {
                if let Some(metadata) = &mut message.metadata {
                    metadata.retain(|(known, _)| *known != name);
                }
            })
        })
    })
}

pub fn define(offer: &mut Offer) -> Result<()> {
    define_message(offer)?;
    let mut types = offer.interface(TYPES)?;
    types.resource::<Client>("client")?;
    // There is one broker; any name means it.
    types.answer("[static]client.connect", |mut store, (name,): (String,)| {
        Box::new(async move {
            charge(&mut store, name.len()).await?;
            Ok((Outcome::Ok(store.data_mut().put(Client)?),))
        })
    })?;
    types.call("[method]client.disconnect", |_store, (_client,): (Resource<Client>,)| Ok((Outcome::Ok(()),)))?;
    offer.interface(PRODUCER)?.answer(
        "send",
        |mut store, (_client, topic, message): (Resource<Client>, String, Resource<Message>)| {
            Box::new(async move {
                let message = store.data_mut().take(message)?;
                Ok((send(&mut store, &topic, message).await?,))
            })
        },
    )?;
    for name in LOGGINGS {
        offer.interface(name)?.answer("log", |mut store, (level, context, message): (Level, String, String)| {
            Box::new(async move {
                let context = if is_line(&context) { context } else { context.replace('\n', " ") };
                let parts = [level.name().as_bytes(), b"\n", context.as_bytes(), b"\n", message.as_bytes()];
                // The interface has no way to say no: the host has recorded what it refused.
                let _ = request(&mut store, OPERATION_LOG, &parts).await?;
                Ok(())
            })
        })?;
    }
    Ok(())
}
