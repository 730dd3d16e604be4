//! Whose an alarm is: its dimensions and tags say, or its name holds that of a namespace of the cluster.
//!
//! It guesses only with whole words: `tenant-2-checkout-5xx` is of `tenant-2`, and not of `tenant-22`.

use jiff::Timestamp;
use serde::Deserialize;

use crate::identity::Text;
use crate::sources::kubernetes::Connection;

/// How long names of namespaces are believed, in seconds.
const BELIEVED: i64 = 300;

/// Namespaces whose names are ordinary words.
const ORDINARY: [&str; 2] = ["default", "system"];

/// The namespaces of the cluster, longest name first.
#[derive(Debug, Default)]
pub(super) struct Tenancy {
    at: Option<Timestamp>,
    namespaces: Vec<Text>,
}

impl Tenancy {
    /// Looks which namespaces there are, where that is not known or old.
    pub(super) async fn renew(&mut self, connection: &Connection) {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Metadata {
            name: String,
        }
        let now = connection.now();
        if self.at.is_some_and(|at| super::seconds(now, at) < BELIEVED) {
            return;
        }
        self.at = Some(now);
        let asked = connection.asked("list", "namespaces");
        let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        let names = match connection.get(&asked, "/api/v1/namespaces?limit=5000", accept).await {
            Ok(body) => serde_json::from_slice::<List>(&body)
                .map(|list| list.items.into_iter().map(|item| Text::from(item.metadata.name)).collect())
                .unwrap_or_default(),
            // Whoever may not list them has named those that count.
            Err(_) => connection.namespaces().to_vec(),
        };
        self.set(names);
    }

    fn set(&mut self, mut names: Vec<Text>) {
        names.retain(|name| !ORDINARY.contains(&&**name));
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        self.namespaces = names;
    }

    /// Returns the namespace that is named by one of several texts, the best text first.
    pub(super) fn of<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Option<&Text> {
        let texts: Vec<&str> = texts.collect();
        texts.iter().find_map(|text| self.namespaces.iter().find(|name| holds_word(text, name)))
    }
}

/// Tells whether a text holds a word that nothing continues on either side.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(part)
            && !text[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_it_is_by_whole_words() {
        let mut tenancy = Tenancy::default();
        tenancy.set(["tenant-2", "tenant-22", "default", "shop", "shop-eu"].map(Text::from).to_vec());
        let of = |text: &str| tenancy.of([text].into_iter()).map(ToString::to_string);
        assert_eq!(of("tenant-2-checkout-5xx").as_deref(), Some("tenant-2"));
        assert_eq!(of("prod/tenant-22/cpu").as_deref(), Some("tenant-22"));
        assert_eq!(of("shop-eu-errors").as_deref(), Some("shop-eu"), "the longest name");
        assert_eq!(of("workshop-cpu"), None);
        assert_eq!(of("default-cpu"), None);
        let both = tenancy.of(["nothing", "shop-cpu"].into_iter());
        assert_eq!(both.map(|name| &**name), Some("shop"));
    }
}
