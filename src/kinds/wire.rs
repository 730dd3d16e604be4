//! The pieces that Kubernetes objects are written with on the wire, decoded leniently and cleaned on the way.
//!
//! [`Str`] is where untrusted text is cleaned: everything that a slim type keeps of a text has gone through it.
//! Nothing here outlives the decoding of one object.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};

use super::{Meta, Owner, Pool};
use crate::human;
use crate::identity::Text;
use crate::text;

/// A text that is borrowed from the bytes where they allow it, cleaned, and on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Str<'a>(Cow<'a, str>);

impl Str<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn text(&self) -> Text {
        Text::from(self.as_str())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Clean;
        impl<'de> Visitor<'de> for Clean {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(text::one_line(value)))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text::one_line(value).into_owned())))
            }
        }
        deserializer.deserialize_str(Clean)
    }
}

/// An optional text.
pub(super) type Opt<'a> = Option<Str<'a>>;

pub(super) fn as_str<'b>(text: &'b Opt<'_>) -> &'b str {
    text.as_ref().map_or("", Str::as_str)
}

/// Shares a text; an empty one counts as absent.
pub(super) fn share(text: &Opt<'_>, pool: &mut Pool) -> Option<Text> {
    let text = as_str(text);
    (!text.is_empty()).then(|| pool.share(text))
}

/// Keeps a text of its own; an empty one counts as absent.
pub(super) fn own(text: &Opt<'_>) -> Option<Text> {
    let text = as_str(text);
    (!text.is_empty()).then(|| Text::from(text))
}

/// Reads a time; one that cannot be read counts as absent, as an unknown age is better than no object.
pub(super) fn time(text: &Opt<'_>) -> Option<Timestamp> {
    as_str(text).parse().ok()
}

/// A map of texts, as pairs in the order of the wire.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a>(pub(super) Vec<(Str<'a>, Str<'a>)>);

impl Pairs<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k.as_str() == key).map(|(_, value)| value.as_str())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(key) = map.next_key()? {
                    pairs.push((key, map.next_value::<Opt<'de>>()?.unwrap_or_default()));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// The annotations of an object, without the one that holds the whole object once more.
#[derive(Debug, Default)]
pub(super) struct Annotations<'a>(Pairs<'a>);

/// What `kubectl apply` writes: often longer than the rest of the object, and nothing that the console shows.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Annotations<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<Str<'de>>()? {
                    if key.as_str() == LAST_APPLIED {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        pairs.push((key, map.next_value::<Opt<'de>>()?.unwrap_or_default()));
                    }
                }
                Ok(Annotations(Pairs(pairs)))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// A Kubernetes quantity, which may be written as a text or as a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Amount(pub(super) f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Amount, E> {
                human::parse_quantity(value)
                    .map(Amount)
                    .ok_or_else(|| E::custom(format_args!("{value:?} is not a quantity")))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Amount, E> {
                Ok(Amount(value as f64))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
                Ok(Amount(value as f64))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
                Ok(Amount(value))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A map of quantities, such as requests or what a quota allows.
#[derive(Debug, Default)]
pub(super) struct Amounts<'a>(pub(super) Vec<(Str<'a>, f64)>);

impl Amounts<'_> {
    pub(super) fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(k, _)| k.as_str() == key).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Amounts<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Amounts<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of quantities")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Amounts<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(key) = map.next_key()? {
                    if let Some(Amount(value)) = map.next_value()? {
                        pairs.push((key, value));
                    }
                }
                Ok(Amounts(pairs))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// A number or a text, such as `maxUnavailable: 25%`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum IntOrText {
    Int(i64),
    Text(String),
}

impl fmt::Display for IntOrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&text::one_line(text)),
        }
    }
}

/// `metadata`, as far as it is used; `M` is what is read of `managedFields`, which is nothing for nearly all.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "M: Deserialize<'de>"))]
pub(super) struct WireMeta<'a, M = IgnoredAny> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) namespace: Opt<'a>,
    #[serde(borrow)]
    pub(super) uid: Opt<'a>,
    #[serde(borrow)]
    pub(super) resource_version: Opt<'a>,
    #[serde(borrow)]
    pub(super) creation_timestamp: Opt<'a>,
    #[serde(borrow)]
    pub(super) deletion_timestamp: Opt<'a>,
    pub(super) generation: Option<i64>,
    #[serde(borrow)]
    pub(super) labels: Option<Pairs<'a>>,
    #[serde(borrow)]
    annotations: Option<Annotations<'a>>,
    #[serde(borrow)]
    pub(super) finalizers: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    owner_references: Option<Vec<WireOwner<'a>>>,
    pub(super) managed_fields: Option<M>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOwner<'a> {
    #[serde(borrow)]
    api_version: Opt<'a>,
    #[serde(borrow)]
    kind: Opt<'a>,
    #[serde(borrow)]
    name: Opt<'a>,
    #[serde(borrow)]
    uid: Opt<'a>,
    controller: Option<bool>,
}

/// Returns the group of an `apiVersion`: `apps` of `apps/v1`, nothing of `v1`.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl<'a, M> WireMeta<'a, M> {
    /// Returns the annotations but for the last applied configuration.
    pub(super) fn annotations(&mut self) -> Pairs<'a> {
        self.annotations.take().unwrap_or_default().0
    }

    /// Keeps what the console uses.
    pub(super) fn keep(self, pool: &mut Pool) -> Meta {
        let mut labels: Vec<(Text, Text)> = self
            .labels
            .unwrap_or_default()
            .0
            .iter()
            .map(|(key, value)| (pool.share(key.as_str()), pool.share(value.as_str())))
            .collect();
        labels.sort_unstable();
        let owners = self
            .owner_references
            .unwrap_or_default()
            .iter()
            .map(|owner| Owner {
                group: pool.share(group_of(as_str(&owner.api_version))),
                kind: pool.share(as_str(&owner.kind)),
                name: pool.share(as_str(&owner.name)),
                uid: pool.share(as_str(&owner.uid)),
                controller: owner.controller.unwrap_or_default(),
            })
            .collect();
        Meta {
            namespace: share(&self.namespace, pool),
            name: self.name.text(),
            uid: Text::from(as_str(&self.uid)),
            resource_version: Text::from(as_str(&self.resource_version)),
            created: time(&self.creation_timestamp),
            deleted: time(&self.deletion_timestamp),
            labels: labels.into(),
            owners,
        }
    }
}

/// An object with `spec` and `status`, as nearly all are.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>, T: Deserialize<'de>"))]
pub(super) struct Wire<'a, P, T> {
    #[serde(borrow)]
    pub(super) metadata: WireMeta<'a>,
    pub(super) spec: Option<P>,
    pub(super) status: Option<T>,
}

/// A condition of a status.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireCondition<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) name: Opt<'a>,
    #[serde(borrow)]
    pub(super) status: Opt<'a>,
    #[serde(borrow)]
    pub(super) reason: Opt<'a>,
    #[serde(borrow)]
    pub(super) message: Opt<'a>,
}
