//! A whole tenant goes back: which of its Applications have something to go back to, and which stay as they are.
//!
//! It only chooses; each Application's own entry is chosen where its plan is made, from the whole object.

use crate::identity::{Context, ObjectRef, Resource};
use crate::kinds::applications::Application;
use crate::kinds::{Tenancy, natural};
use crate::store::Store;

/// The Applications of a tenant, parted by whether their history holds something else than what runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Retreat {
    /// Those that go back, as people count.
    pub going: Vec<ObjectRef>,
    /// The names of those that stay, because nothing else was ever deployed.
    pub staying: Vec<String>,
}

impl Retreat {
    /// Parts the Applications of a tenant as the store knows them.
    pub fn of(store: &Store, context: &Context, tenancy: &Tenancy, tenant: &str) -> Self {
        let resource = Resource::new("argoproj.io", "applications");
        let mut retreat = Self::default();
        for (namespace, name) in tenancy.applications_of(tenant) {
            let object = ObjectRef {
                context: context.clone(),
                resource: resource.clone(),
                namespace: Some(namespace.clone()),
                name: name.clone(),
            };
            let known = store.object(&object).and_then(|object| object.body::<Application>());
            match known {
                Some(application) if application.entry_before().is_some() => retreat.going.push(object),
                Some(_) => retreat.staying.push(name.to_string()),
                // It is gone, and the tenancy will notice.
                None => {}
            }
        }
        retreat.going.sort_by(|a, b| natural(&a.name, &b.name));
        retreat.staying.sort_by(|a, b| natural(a, b));
        retreat
    }

    /// Says why nothing of the tenant goes back; `None` where something does.
    pub fn refusal(&self, tenant: &str) -> Option<String> {
        if !self.going.is_empty() {
            return None;
        }
        Some(match self.staying.as_slice() {
            [] => format!("{tenant} has no Application"),
            names => format!("nothing else than what runs is in the history of {}", names.join(", ")),
        })
    }
}
