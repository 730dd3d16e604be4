//! How images behave once they run: the one place where a story says that a version is bad.
//!
//! The kubelet asks it, so a bad version behaves badly wherever it is deployed and the good one heals. It does
//! not know which pods run what.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

/// The registry that the platform's own applications come from.
pub const REGISTRY: &str = "registry.example.com";

/// An image reference split into repository and tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Image {
    /// Everything before the tag.
    pub repository: String,
    /// The tag; `latest` where none is written.
    pub tag: String,
}

impl Image {
    /// Puts a repository and a tag together.
    pub fn new(repository: &str, tag: &str) -> Self {
        Self { repository: repository.to_owned(), tag: tag.to_owned() }
    }

    /// Reads `repository[:tag][@digest]`; a colon before the last slash belongs to the registry's port.
    pub fn parse(reference: &str) -> Self {
        let name = reference.split('@').next().unwrap_or(reference);
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        match name[slash..].find(':') {
            Some(colon) => Self::new(&name[..slash + colon], &name[slash + colon + 1..]),
            None => Self::new(name, "latest"),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// What a container does once its image runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Behaviour {
    /// Becomes ready and stays so.
    #[default]
    Healthy,
    /// Exits with code 1 some seconds after it started, again and again.
    Crash,
    /// Grows until the kernel kills it: exit code 137, reason `OOMKilled`.
    OutOfMemory,
    /// Runs, but needs a minute and a half to become ready.
    Slow,
    /// Runs, and never becomes ready; in a job it never ends.
    NeverReady,
    /// Is not in the registry: `ErrImagePull`, then `ImagePullBackOff`.
    Missing,
    /// Becomes ready, and computes without end: uses all the CPU that its limit leaves it.
    Spin,
    /// Becomes ready, and lists everything from the API server as fast as it is answered.
    Hammer,
    /// Becomes ready, and writes to its volume until that is full.
    Full,
}

/// The behaviour of every image that is not healthy.
#[derive(Debug, Clone, Default)]
pub struct Images {
    known: BTreeMap<Image, Behaviour>,
    /// The behaviour of containers by the checksum of their settings, which their pods carry as an annotation.
    settings: BTreeMap<String, Behaviour>,
    /// Since when which part of name lookups fails, for every container of whatever image.
    lookups: Vec<(Timestamp, f64)>,
}

impl Images {
    /// Sets how one image behaves from now on; containers that run already notice at their next turn.
    pub fn set(&mut self, image: Image, behaviour: Behaviour) {
        if behaviour == Behaviour::Healthy {
            self.known.remove(&image);
        } else {
            self.known.insert(image, behaviour);
        }
    }

    /// Sets how pods behave that were made with these settings, whatever their image.
    pub fn set_settings(&mut self, checksum: &str, behaviour: Behaviour) {
        self.settings.insert(checksum.to_owned(), behaviour);
    }

    /// Returns how a container of a pod behaves: as its image does, and where that is healthy, as its settings make it.
    pub fn of_pod(&self, reference: &str, checksum: &str) -> Behaviour {
        match self.of(reference) {
            Behaviour::Healthy => self.settings.get(checksum).copied().unwrap_or_default(),
            other => other,
        }
    }

    /// Sets which part of name lookups fails from a moment on.
    pub fn set_lookups(&mut self, failing: f64, now: Timestamp) {
        if (self.lookups.last().map_or(0.0, |last| last.1) - failing).abs() > f64::EPSILON {
            self.lookups.push((now, failing));
        }
    }

    /// Returns which part of name lookups failed at a moment.
    pub fn failing_lookups(&self, at: Timestamp) -> f64 {
        self.lookups.iter().rev().find(|(from, _)| *from <= at).map_or(0.0, |(_, part)| *part)
    }

    /// Tells whether an image that was named behaves in a way.
    pub fn any(&self, behaviour: Behaviour) -> bool {
        self.known.values().any(|known| *known == behaviour)
    }

    /// Returns how the image of a container behaves.
    ///
    /// Any repository can be made to misbehave by its tag, so that a person can try it from `kubectl set image`:
    /// a tag that begins with `bad`, `crash`, `oom`, `slow`, `unready`, `missing`, `spin`, `hammer` or `full`.
    pub fn of(&self, reference: &str) -> Behaviour {
        let image = Image::parse(reference);
        if let Some(behaviour) = self.known.get(&image) {
            return *behaviour;
        }
        let tag = image.tag.as_str();
        [
            ("bad", Behaviour::Crash),
            ("crash", Behaviour::Crash),
            ("oom", Behaviour::OutOfMemory),
            ("slow", Behaviour::Slow),
            ("unready", Behaviour::NeverReady),
            ("missing", Behaviour::Missing),
            ("spin", Behaviour::Spin),
            ("hammer", Behaviour::Hammer),
            ("full", Behaviour::Full),
        ]
        .into_iter()
        .find(|(word, _)| tag.starts_with(word))
        .map_or(Behaviour::Healthy, |(_, behaviour)| behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_taken_for_a_tag() {
        assert_eq!(
            Image::parse("localhost:5000/shop/cart"),
            Image::new("localhost:5000/shop/cart", "latest")
        );
        assert_eq!(
            Image::parse("localhost:5000/shop/cart:1.2"),
            Image::new("localhost:5000/shop/cart", "1.2")
        );
        assert_eq!(Image::parse("redis@sha256:abc"), Image::new("redis", "latest"));
    }

    #[test]
    fn a_behaviour_holds_for_one_version_until_it_is_set_back() {
        let mut images = Images::default();
        let bad = Image::new("registry.example.com/shop/checkout", "1.8.0");
        images.set(bad.clone(), Behaviour::Crash);
        assert_eq!(images.of("registry.example.com/shop/checkout:1.8.0"), Behaviour::Crash);
        assert_eq!(images.of("registry.example.com/shop/checkout:1.7.4"), Behaviour::Healthy);
        images.set(bad, Behaviour::Healthy);
        assert_eq!(images.of("registry.example.com/shop/checkout:1.8.0"), Behaviour::Healthy);
    }
}
