//! The wire format of objects, lists and watches: the one place that knows it is JSON.
//!
//! A slim type says how it is made from the wire ([`Slim`]); this reads one object, one page of a list or one
//! frame of a watch into it. It fetches nothing.
//!
//! # Why
//!
//! A page is read in one pass straight into slim types, without a tree and without a second copy of the text.
//! Nine tenths of it are fields that nothing uses: `sonic-rs` passes over those 32 bytes at a time.
//! One object that cannot be read would end such a pass, so a page with one is read again, object by object,
//! and only that object is lost.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::wire::{Opt, Str, as_str};
use super::{Garbled, Kind, Meta, Object, Pool};
use crate::identity::{Resource, Text};

/// A slim type and how it is made.
pub(super) trait Slim: Sized + Send + Sync + 'static {
    /// The fields that are read.
    type Wire<'a>: Deserialize<'a>;

    /// Keeps what is used.
    fn keep(wire: Self::Wire<'_>, pool: &mut Pool) -> (Meta, Self);
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Arc<Object>>,
    /// Those that could not be decoded.
    pub garbled: Vec<Garbled>,
    /// The `continue` token of the next page; empty after the last.
    pub next: String,
    /// How many are still to come, where the server says.
    pub remaining: Option<u64>,
    /// The version of the list: where a watch begins.
    pub resource_version: String,
}

/// One frame of a watch.
#[derive(Debug)]
pub enum Frame {
    /// An object is new or different.
    Put(Arc<Object>),
    /// An object is gone.
    Gone {
        /// Its namespace.
        namespace: Option<Text>,
        /// Its name.
        name: Text,
        /// The version at which it went.
        resource_version: Text,
    },
    /// Nothing changed up to a version.
    Bookmark {
        /// The version.
        resource_version: Text,
        /// Whether it ends the initial events of a streaming list.
        initial_events_end: bool,
    },
    /// The server ends the watch: 410 asks for a new list.
    Error {
        /// The HTTP status that it stands for; 0 where there is none.
        code: u16,
        /// The reason, such as `Expired`.
        reason: String,
        /// The sentence.
        message: String,
    },
    /// An object changed that cannot be decoded.
    Garbled {
        /// What was wrong.
        garbled: Garbled,
        /// The version, as far as it could be read.
        resource_version: Text,
    },
}

/// How a kind is decoded: functions for its slim type.
#[derive(Clone, Copy)]
pub(super) struct Decoder {
    object: fn(&[u8], &mut Pool) -> Result<Object, serde_json::Error>,
    page: fn(&str, &mut Pool) -> Result<Page, sonic_rs::Error>,
}

impl Decoder {
    pub(super) fn of<T: Slim>() -> Self {
        Self { object: object::<T>, page: page::<T> }
    }

    /// Decodes nothing: the kind is no resource of the API server.
    pub(super) fn none() -> Self {
        Self { object: |_, _| Err(no_resource()), page: |_, _| Err(no_resource()) }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl Kind {
    /// Decodes one object.
    pub fn decode(&self, json: &[u8], pool: &mut Pool) -> Result<Object, Garbled> {
        (self.decoder.object)(json, pool).map_err(|error| garbled(&self.resource, json, &error))
    }

    /// Decodes one page of a list; objects that cannot be read are told apart from the rest.
    ///
    /// The error is that of a body that is no list.
    pub fn decode_page(&self, json: &[u8], pool: &mut Pool) -> Result<Page, Garbled> {
        // Looked at once and here: sonic-rs does not look at bytes itself before it hands out texts of them.
        let text = String::from_utf8_lossy(json);
        if let Ok(page) = (self.decoder.page)(&text, pool) {
            return Ok(page);
        }
        let list: WireList<'_> =
            serde_json::from_str(&text).map_err(|error| garbled(&self.resource, json, &error))?;
        let mut page = list.metadata.unwrap_or_default().page();
        let none = || garbled(&self.resource, json, &de::Error::missing_field("items"));
        for item in list.items.or(list.rows).ok_or_else(none)? {
            match self.decode(item.get().as_bytes(), pool) {
                Ok(object) => page.objects.push(Arc::new(object)),
                Err(garbled) => page.garbled.push(garbled),
            }
        }
        Ok(page)
    }

    /// Decodes one frame of a watch.
    ///
    /// The error is that of a line that is no frame.
    pub fn decode_frame(&self, json: &[u8], pool: &mut Pool) -> Result<Frame, Garbled> {
        let wrong = |error: serde_json::Error| garbled(&self.resource, json, &error);
        let frame: WireFrame<'_> = serde_json::from_slice(json).map_err(wrong)?;
        let body = frame.object.get().as_bytes();
        match frame.event.as_str() {
            "ADDED" | "MODIFIED" => {
                let row = self.row(body).map_err(wrong)?;
                Ok(match self.decode(row, pool) {
                    Ok(object) => Frame::Put(Arc::new(object)),
                    Err(garbled) => {
                        Frame::Garbled { garbled, resource_version: label(row).resource_version() }
                    }
                })
            }
            "DELETED" => {
                let label: Label<'_> =
                    serde_json::from_slice(self.row(body).map_err(wrong)?).map_err(wrong)?;
                let label = label.inner();
                let meta = label.metadata.unwrap_or_default();
                Ok(Frame::Gone {
                    namespace: super::wire::share(&meta.namespace, pool),
                    name: Text::from(as_str(&meta.name)),
                    resource_version: Text::from(as_str(&meta.resource_version)),
                })
            }
            "BOOKMARK" => {
                let label: Label<'_> = serde_json::from_slice(body).map_err(wrong)?;
                let meta = label.metadata.unwrap_or_default();
                Ok(Frame::Bookmark {
                    resource_version: Text::from(as_str(&meta.resource_version)),
                    initial_events_end: meta
                        .annotations
                        .is_some_and(|pairs| pairs.get("k8s.io/initial-events-end") == Some("true")),
                })
            }
            "ERROR" => {
                let status: WireStatus<'_> = serde_json::from_slice(body).map_err(wrong)?;
                Ok(Frame::Error {
                    code: status.code.unwrap_or_default(),
                    reason: as_str(&status.reason).to_owned(),
                    message: as_str(&status.message).to_owned(),
                })
            }
            other => Err(Garbled {
                resource: self.resource.clone(),
                name: "?".to_owned(),
                reason: format!("a watch cannot say {other:?}"),
            }),
        }
    }
}

impl Kind {
    /// Returns the object of an event: itself, or the one row of the Table that it comes in.
    fn row<'a>(&self, body: &'a [u8]) -> Result<&'a [u8], serde_json::Error> {
        if !self.as_table {
            return Ok(body);
        }
        let table: WireList<'a> = serde_json::from_slice(body)?;
        let row = table.rows.and_then(|rows| rows.into_iter().next());
        Ok(row.map_or(body, |row| row.get().as_bytes()))
    }
}

fn no_resource<E: de::Error>() -> E {
    E::custom("no resource of the API server")
}

fn object<T: Slim>(json: &[u8], pool: &mut Pool) -> Result<Object, serde_json::Error> {
    let wire: T::Wire<'_> = serde_json::from_slice(json)?;
    let (meta, slim) = T::keep(wire, pool);
    Ok(Object { meta, slim: Box::new(slim) })
}

fn page<T: Slim>(json: &str, pool: &mut Pool) -> Result<Page, sonic_rs::Error> {
    let mut reader = sonic_rs::Deserializer::from_str(json);
    let page = ListSeed::<T> { pool, slim: PhantomData }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(page)
}

struct ListSeed<'p, T> {
    pool: &'p mut Pool,
    slim: PhantomData<T>,
}

impl<'de, T: Slim> DeserializeSeed<'de> for ListSeed<'_, T> {
    type Value = Page;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Page, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Slim> Visitor<'de> for ListSeed<'_, T> {
    type Value = Page;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let mut about = ListMeta::default();
        let mut items = None;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match key.as_str() {
                "metadata" => about = map.next_value::<Option<ListMeta<'de>>>()?.unwrap_or_default(),
                // A Table has rows where a list has items.
                "items" | "rows" => {
                    let seed = ItemsSeed::<T> { pool: self.pool, slim: PhantomData };
                    items = Some(map.next_value_seed(seed)?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let mut page = about.page();
        // An empty list has its items, too; what has none is another answer, and not "there is nothing".
        page.objects = items.ok_or_else(|| de::Error::missing_field("items"))?.unwrap_or_default();
        Ok(page)
    }
}

struct ItemsSeed<'p, T> {
    pool: &'p mut Pool,
    slim: PhantomData<T>,
}

impl<'de, T: Slim> DeserializeSeed<'de> for ItemsSeed<'_, T> {
    type Value = Option<Vec<Arc<Object>>>;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Slim> Visitor<'de> for ItemsSeed<'_, T> {
    type Value = Option<Vec<Arc<Object>>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a list")
    }
    // An empty list of Go is `null`.
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(wire) = items.next_element::<T::Wire<'de>>()? {
            let (meta, slim) = T::keep(wire, self.pool);
            objects.push(Arc::new(Object { meta, slim: Box::new(slim) }));
        }
        Ok(Some(objects))
    }
}

#[derive(Debug, Deserialize)]
struct WireList<'a> {
    #[serde(borrow)]
    metadata: Option<ListMeta<'a>>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    rows: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta<'a> {
    #[serde(borrow)]
    resource_version: Opt<'a>,
    #[serde(borrow, rename = "continue")]
    next: Opt<'a>,
    remaining_item_count: Option<u64>,
}

impl ListMeta<'_> {
    fn page(self) -> Page {
        Page {
            next: as_str(&self.next).to_owned(),
            remaining: self.remaining_item_count,
            resource_version: as_str(&self.resource_version).to_owned(),
            ..Page::default()
        }
    }
}

#[derive(Debug, Deserialize)]
struct WireFrame<'a> {
    #[serde(borrow, rename = "type")]
    event: Str<'a>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Debug, Deserialize)]
struct WireStatus<'a> {
    code: Option<u16>,
    #[serde(borrow)]
    reason: Opt<'a>,
    #[serde(borrow)]
    message: Opt<'a>,
}

/// Who an object says it is, read on its own where the rest cannot be.
#[derive(Debug, Default, Deserialize)]
struct Label<'a> {
    #[serde(borrow)]
    metadata: Option<LabelMeta<'a>>,
    /// The object that a row of a Table is about.
    #[serde(borrow)]
    object: Option<Box<Label<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LabelMeta<'a> {
    #[serde(borrow)]
    namespace: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    resource_version: Opt<'a>,
    #[serde(borrow)]
    annotations: Option<super::wire::Pairs<'a>>,
}

impl Label<'_> {
    /// Returns the label of the object that a row of a Table is about, or this one.
    fn inner(self) -> Self {
        match self.object {
            Some(object) if self.metadata.is_none() => *object,
            _ => self,
        }
    }

    fn resource_version(&self) -> Text {
        self.metadata
            .as_ref()
            .map_or_else(|| Text::from(""), |meta| Text::from(as_str(&meta.resource_version)))
    }
}

fn label(json: &[u8]) -> Label<'_> {
    serde_json::from_slice::<Label<'_>>(json).map(Label::inner).unwrap_or_default()
}

fn garbled(resource: &Resource, json: &[u8], error: &serde_json::Error) -> Garbled {
    let meta = label(json).metadata.unwrap_or_default();
    let name = match (as_str(&meta.namespace), as_str(&meta.name)) {
        (_, "") => "?".to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    Garbled {
        resource: resource.clone(),
        name,
        reason: crate::text::one_line(&error.to_string()).into_owned(),
    }
}
