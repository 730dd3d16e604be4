//! Auto-sync that is held: on which Applications, by whom, and whether its time is over.
//!
//! Concluded from what the cluster remembers, so that it is known after a restart and to every console. Whether
//! it is given back is a person's decision; this only says that it is due.

use jiff::Timestamp;

use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::Tenancy;
use crate::kinds::applications::{Application, Held};
use crate::store::{Query, Store};

/// An Application on which auto-sync is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// The Application.
    pub object: ObjectRef,
    /// Whose it is.
    pub tenant: Option<Text>,
    /// What is remembered of the hold.
    pub held: Held,
    /// Whether auto-sync is on all the same: somebody switched it on past the console.
    pub on: bool,
}

impl Hold {
    /// Tells whether its time is over, so that auto-sync can be given back.
    pub fn is_over(&self, now: Timestamp) -> bool {
        !self.on && self.held.until.is_some_and(|until| now >= until)
    }
}

/// Every hold of a context, the one that ends first before the others.
#[derive(Debug, Default)]
pub struct Holds {
    /// The context and the revision of the list that was read.
    read: Option<(Context, u64)>,
    entries: Vec<Hold>,
}

impl Holds {
    /// Reads the Applications again where their list has changed.
    pub fn refresh(&mut self, store: &Store, context: &Context, tenancy: &Tenancy) {
        let resource = Resource::new("argoproj.io", "applications");
        let Some(shelf) = store.shelf(&Query::all(context, &resource)) else {
            *self = Self::default();
            return;
        };
        let read = Some((context.clone(), shelf.revision()));
        if self.read == read {
            return;
        }
        self.read = read;
        self.entries.clear();
        for (_, object) in shelf.iter() {
            let Some(application) = object.body::<Application>() else { continue };
            let Some(held) = application.held.as_deref() else { continue };
            self.entries.push(Hold {
                object: ObjectRef {
                    context: context.clone(),
                    resource: resource.clone(),
                    namespace: object.meta.namespace.clone(),
                    name: object.meta.name.clone(),
                },
                tenant: tenancy.of(&resource, object).cloned(),
                held: held.clone(),
                on: application.auto_sync.is_on(),
            });
        }
        // A hold without an end ends last.
        let end = |hold: &Hold| hold.held.until.unwrap_or(Timestamp::MAX);
        self.entries.sort_by(|a, b| end(a).cmp(&end(b)).then_with(|| a.object.name.cmp(&b.object.name)));
    }

    /// Returns the holds, the one that ends first before the others.
    pub fn entries(&self) -> &[Hold] {
        &self.entries
    }

    /// Returns the holds whose time is over, the longest overdue first.
    pub fn over(&self, now: Timestamp) -> impl Iterator<Item = &Hold> {
        self.entries.iter().filter(move |hold| hold.is_over(now))
    }
}
