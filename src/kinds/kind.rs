//! What a kind is: identity, columns, health, links, verbs, each said once by its family.

use std::fmt;

use jiff::Timestamp;

use super::decode::{Decoder, Slim};
use super::{Cell, Health, Kinds, Meta, Object, Owner, Tenancy, applications};
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::store::{Query, Store};

/// What a cell, a verdict or a link may look at beside its own object.
#[derive(Debug, Clone, Copy)]
pub struct Lens<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The context that the object is of.
    pub context: &'a Context,
    /// Everything that is known.
    pub store: &'a Store,
    /// Every kind.
    pub kinds: &'a Kinds,
    /// Who belongs to whom.
    pub tenants: &'a Tenancy,
}

impl Lens<'_> {
    /// Names an object of this context.
    pub fn object(&self, resource: &Resource, namespace: Option<&Text>, name: &Text) -> ObjectRef {
        ObjectRef {
            context: self.context.clone(),
            resource: resource.clone(),
            namespace: namespace.cloned(),
            name: name.clone(),
        }
    }

    /// Returns the list of everything of a type, where it is whole: the only one that can be counted.
    pub fn whole(&self, resource: &Resource) -> Option<&crate::store::Shelf> {
        self.store.shelf(&Query::all(self.context, resource)).filter(|shelf| shelf.feed().is_complete())
    }

    /// Returns the widest list of a type.
    pub fn shelf(&self, resource: &Resource) -> Option<&crate::store::Shelf> {
        self.store
            .shelf(&Query::all(self.context, resource))
            .or_else(|| self.store.shelves_of(self.context, resource).next())
    }
}

/// The type of a column's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// [`Cell::Text`].
    Text,
    /// [`Cell::Count`].
    Count,
    /// [`Cell::Ratio`].
    Ratio,
    /// [`Cell::Percent`].
    Percent,
    /// [`Cell::Quantity`].
    Quantity,
    /// [`Cell::Bar`].
    Bar,
    /// [`Cell::Age`].
    Age,
    /// [`Cell::Status`].
    Status,
    /// [`Cell::Link`].
    Link,
}

impl Shape {
    /// Tells whether its cells stand on the right.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Count | Self::Ratio | Self::Percent | Self::Quantity | Self::Age)
    }
}

type CellOf = Box<dyn Fn(&Object, &Lens<'_>) -> Cell + Send + Sync>;
type EachOf = Box<dyn Fn(&Object, &Lens<'_>) -> Vec<Text> + Send + Sync>;
type VerdictOf = Box<dyn Fn(&Object, &Lens<'_>) -> (Health, Text) + Send + Sync>;
type LinksOf = Box<dyn Fn(&Object, &Lens<'_>) -> Vec<Link> + Send + Sync>;

/// A column of a kind's table.
pub struct Column {
    /// Its name in filters, in configuration and in JSON, such as `restarts`.
    pub id: Text,
    /// Its heading, such as `RESTARTS`.
    pub title: Text,
    /// What it says, in one phrase, for the help.
    pub about: Text,
    /// The type of its cells.
    pub shape: Shape,
    /// Whether it is shown in wide mode only.
    pub wide: bool,
    /// Which columns go first where the screen is narrow: the highest; 0 never goes.
    pub priority: u8,
    /// Whether its cells look at other objects than their own.
    pub joined: bool,
    /// Whether rows can be grouped by it.
    pub groups: bool,
    cell: Option<CellOf>,
    each: Option<EachOf>,
}

impl Column {
    /// Names a column that is always shown and goes early where there is no room.
    pub(super) fn new(shape: Shape, id: &str, about: &str) -> Self {
        Self {
            id: Text::from(id),
            title: Text::from(id.to_uppercase().replace('-', " ")),
            about: Text::from(about),
            shape,
            wide: false,
            priority: 3,
            joined: false,
            groups: false,
            cell: None,
            each: None,
        }
    }

    pub(super) fn titled(mut self, title: &str) -> Self {
        self.title = Text::from(title);
        self
    }

    pub(super) fn wide(mut self) -> Self {
        self.wide = true;
        self.priority = 5;
        self
    }

    pub(super) fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    pub(super) fn groups(mut self) -> Self {
        self.groups = true;
        self
    }

    pub(super) fn joined(mut self) -> Self {
        self.joined = true;
        self
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({})", self.id)
    }
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// To one object.
    One(ObjectRef),
    /// To a table.
    Many {
        /// The type.
        resource: Resource,
        /// The namespace; `None` for all.
        namespace: Option<Text>,
        /// A filter in the filter language; empty for all.
        filter: String,
    },
}

/// A related thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is to the object, such as `owner` or `pods`.
    pub relation: &'static str,
    /// Where it leads.
    pub to: Leads,
    /// What to say of it beside its name, such as its status; may be empty.
    pub note: Text,
}

impl Link {
    /// A link to one object.
    pub(super) fn one(relation: &'static str, to: ObjectRef) -> Self {
        Self { relation, to: Leads::One(to), note: Text::from("") }
    }

    /// A link to a table.
    pub(super) fn many(
        relation: &'static str,
        resource: &Resource,
        namespace: Option<&Text>,
        filter: String,
        note: &str,
    ) -> Self {
        let to = Leads::Many { resource: resource.clone(), namespace: namespace.cloned(), filter };
        Self { relation, to, note: Text::from(note) }
    }
}

/// One object of a known slim type, with what may be looked at beside it.
pub(super) struct Row<'a, T> {
    pub(super) object: &'a Object,
    pub(super) body: &'a T,
    pub(super) lens: &'a Lens<'a>,
}

impl<T> Row<'_, T> {
    pub(super) fn meta(&self) -> &Meta {
        &self.object.meta
    }
}

/// A resource type.
pub struct Kind {
    /// Group and plural.
    pub resource: Resource,
    /// The version that is read, such as `v1`.
    pub version: Text,
    /// The kind name in objects, such as `Pod`.
    pub name: Text,
    /// What one of it is called, such as `pod`.
    pub singular: Text,
    /// Abbreviations that a person may type.
    pub shorts: Vec<Text>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What it is, in one phrase, for palette and help.
    pub about: Text,
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// The column that its table is sorted by at first, and whether the greatest comes first; `None` for the name.
    pub order: Option<(usize, bool)>,
    /// The types that must be listed too, so that columns, health and links can be worked out.
    pub needs: Vec<Resource>,
    /// What may be done with it: the words of `actions::Verb`.
    pub verbs: &'static [&'static str],
    /// Whether it is read in the Table format of the server.
    pub(super) as_table: bool,
    /// Whether the server is asked for the metadata alone, and never for the rest.
    pub(super) metadata_only: bool,
    pub(super) decoder: Decoder,
    health: VerdictOf,
    links: LinksOf,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.resource)
    }
}

impl Kind {
    /// Begins the description of a kind: it has its name, its namespace, its tenant and its age as columns.
    pub(super) fn describe<T: Slim>(group: &str, version: &str, plural: &str, name: &str) -> Describe<T> {
        Self::begin(group, version, plural, name, Decoder::of::<T>())
    }

    /// Begins the description of a kind whose objects are made and not read from the API server.
    pub(super) fn made<T: Send + Sync + 'static>(group: &str, plural: &str, name: &str) -> Describe<T> {
        Self::begin(group, "v1", plural, name, Decoder::none())
    }

    fn begin<T>(group: &str, version: &str, plural: &str, name: &str, decoder: Decoder) -> Describe<T> {
        let kind = Self {
            resource: Resource::new(group, plural),
            version: Text::from(version),
            name: Text::from(name),
            singular: Text::from(name.to_lowercase()),
            shorts: Vec::new(),
            namespaced: false,
            about: Text::from(""),
            columns: Vec::new(),
            order: None,
            needs: Vec::new(),
            verbs: &[],
            as_table: false,
            metadata_only: false,
            decoder,
            health: Box::new(|_, _| (Health::Idle, Text::from(""))),
            links: Box::new(|_, _| Vec::new()),
        };
        Describe { kind, slim: std::marker::PhantomData }
    }

    /// Returns the `apiVersion` of its objects, such as `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.resource.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.resource.group, self.version)
        }
    }

    /// Returns the media type to ask the server for when its objects are listed.
    pub fn accept(&self) -> &'static str {
        match (self.as_table, self.metadata_only) {
            (true, _) => super::table::ACCEPT,
            (_, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            _ => "application/json",
        }
    }

    /// Returns the media type to ask the server for when its objects are watched: each comes by itself.
    pub fn accept_watch(&self) -> &'static str {
        if self.metadata_only {
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        } else {
            self.accept()
        }
    }

    /// Returns the position of a column by its name.
    pub fn column(&self, id: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.id.eq_ignore_ascii_case(id))
    }

    /// Works out one cell; `Unknown` for a column that does not exist.
    pub fn cell(&self, object: &Object, column: usize, lens: &Lens<'_>) -> Cell {
        match self.columns.get(column).and_then(|column| column.cell.as_ref()) {
            Some(cell) => cell(object, lens),
            None => Cell::Unknown,
        }
    }

    /// Returns the words under which a row stands where rows are grouped by a column: those of its cell, or each of
    /// several, such as the receivers of an alert. Never empty.
    pub fn words(&self, object: &Object, column: usize, lens: &Lens<'_>) -> Vec<Text> {
        let several = self.columns.get(column).and_then(|column| column.each.as_ref());
        let words = several.map(|each| each(object, lens)).unwrap_or_default();
        if !words.is_empty() {
            return words;
        }
        vec![match self.cell(object, column, lens) {
            Cell::Text(text) | Cell::Link { text, .. } | Cell::Status { text, .. } => text,
            Cell::Empty | Cell::Unknown => Text::from(""),
            cell => Text::from(cell.text(lens.now)),
        }]
    }

    /// Says how an object is, and why in words; the words are empty where there is nothing to say.
    pub fn health(&self, object: &Object, lens: &Lens<'_>) -> (Health, Text) {
        (self.health)(object, lens)
    }

    /// Returns what is related to an object, both ways: owners first.
    pub fn links(&self, object: &Object, lens: &Lens<'_>) -> Vec<Link> {
        let mut links = owners(object, lens);
        links.extend(self.managers(object, lens));
        links.extend((self.links)(object, lens));
        links.extend(super::concern::links(&self.resource, object, lens));
        links
    }

    /// The Applications that manage an object, or what it is owned by.
    fn managers(&self, object: &Object, lens: &Lens<'_>) -> Vec<Link> {
        let applications = applications::applications();
        let Some(shelf) = lens.shelf(&applications) else { return Vec::new() };
        // A pod is managed by way of its owners: those that are known by name are enough.
        let mut names = vec![(self.resource.group.clone(), self.name.clone(), object.meta.name.clone())];
        let mut at = object.meta.owners.iter().find(|owner| owner.controller);
        for _ in 0..OWNERS {
            let Some(owner) = at else { break };
            names.push((owner.group.clone(), owner.kind.clone(), owner.name.clone()));
            at = lens
                .kinds
                .by_kind(&owner.group, &owner.kind)
                .and_then(|kind| {
                    let place = if kind.namespaced { object.meta.namespace.as_ref() } else { None };
                    lens.store.object(&lens.object(&kind.resource, place, &owner.name))
                })
                .and_then(|owner| owner.meta.owners.iter().find(|owner| owner.controller));
        }
        shelf
            .iter()
            .filter(|(_, found)| {
                found.body::<applications::Application>().is_some_and(|application| {
                    application.resources.iter().any(|managed| {
                        managed.namespace == object.meta.namespace
                            && names.iter().any(|(group, kind, name)| {
                                managed.name == *name && managed.kind == *kind && managed.group == *group
                            })
                    })
                })
            })
            .map(|(_, found)| {
                let to = lens.object(&applications, found.meta.namespace.as_ref(), &found.meta.name);
                Link::one("application", to)
            })
            .collect()
    }

    /// Names an object of this kind.
    pub fn reference(&self, context: &Context, object: &Object) -> ObjectRef {
        ObjectRef {
            context: context.clone(),
            resource: self.resource.clone(),
            namespace: object.meta.namespace.clone(),
            name: object.meta.name.clone(),
        }
    }
}

/// How many owners up a manager is looked for: pod, ReplicaSet, Deployment, and one for custom controllers.
const OWNERS: usize = 4;

fn owners(object: &Object, lens: &Lens<'_>) -> Vec<Link> {
    let to = |owner: &Owner| {
        let kind = lens.kinds.by_kind(&owner.group, &owner.kind)?;
        let namespace = if kind.namespaced { object.meta.namespace.as_ref() } else { None };
        Some(Link::one("owner", lens.object(&kind.resource, namespace, &owner.name)))
    };
    object.meta.owners.iter().filter_map(to).collect()
}

/// The description of a kind while it is being written.
pub(super) struct Describe<T> {
    kind: Kind,
    slim: std::marker::PhantomData<T>,
}

impl<T: Send + Sync + 'static> Describe<T> {
    pub(super) fn about(mut self, about: &str) -> Self {
        self.kind.about = Text::from(about);
        self
    }

    pub(super) fn singular(mut self, singular: &str) -> Self {
        self.kind.singular = Text::from(singular);
        self
    }

    pub(super) fn shorts(mut self, shorts: &[&str]) -> Self {
        self.kind.shorts = shorts.iter().copied().map(Text::from).collect();
        self
    }

    /// Its objects live in namespaces: a column says in which.
    pub(super) fn namespaced(mut self) -> Self {
        self.kind.namespaced = true;
        let column = Column::new(Shape::Text, "namespace", "the namespace").priority(1);
        self.column(column, |row| row.meta().namespace.clone().map_or(Cell::Empty, Cell::Text))
    }

    /// The server is asked for the metadata alone: what never arrives cannot leak.
    pub(super) fn metadata_only(mut self) -> Self {
        self.kind.metadata_only = true;
        self
    }

    /// It is read in the Table format of the server.
    pub(super) fn in_table_format(mut self) -> Self {
        self.kind.as_table = true;
        self
    }

    pub(super) fn needs(mut self, resources: &[(&str, &str)]) -> Self {
        self.kind.needs = resources.iter().map(|(group, plural)| Resource::new(group, plural)).collect();
        self
    }

    /// Sorts its table by the column that was described last.
    pub(super) fn sorted(mut self, descending: bool) -> Self {
        self.kind.order = self.kind.columns.len().checked_sub(1).map(|column| (column, descending));
        self
    }

    pub(super) fn verbs(mut self, verbs: &'static [&'static str]) -> Self {
        self.kind.verbs = verbs;
        self
    }

    /// The column with the name of the object.
    pub(super) fn name(self) -> Self {
        let column = Column::new(Shape::Text, "name", "the name").priority(0);
        self.column(column, |row| Cell::Text(row.meta().name.clone()))
    }

    /// The name as a column that is shown in wide mode, where names say nothing, as those of events.
    pub(super) fn name_wide(self) -> Self {
        let column = Column::new(Shape::Text, "name", "the name").wide();
        self.column(column, |row| Cell::Text(row.meta().name.clone()))
    }

    pub(super) fn column(
        mut self,
        mut column: Column,
        cell: impl Fn(Row<'_, T>) -> Cell + Send + Sync + 'static,
    ) -> Self {
        column.cell = Some(Box::new(move |object, lens| match object.body::<T>() {
            Some(body) => cell(Row { object, body, lens }),
            None => Cell::Unknown,
        }));
        self.kind.columns.push(column);
        self
    }

    /// Says which words the cell of the column that was described last is made of: a row is grouped under each.
    pub(super) fn each(mut self, each: impl Fn(Row<'_, T>) -> Vec<Text> + Send + Sync + 'static) -> Self {
        if let Some(column) = self.kind.columns.last_mut() {
            column.each = Some(Box::new(move |object, lens| match object.body::<T>() {
                Some(body) => each(Row { object, body, lens }),
                None => Vec::new(),
            }));
        }
        self
    }

    pub(super) fn health(
        mut self,
        health: impl Fn(Row<'_, T>) -> (Health, Text) + Send + Sync + 'static,
    ) -> Self {
        self.kind.health = Box::new(move |object, lens| match object.body::<T>() {
            Some(body) => health(Row { object, body, lens }),
            None => (Health::Unknown, Text::from("")),
        });
        self
    }

    pub(super) fn links(mut self, links: impl Fn(Row<'_, T>) -> Vec<Link> + Send + Sync + 'static) -> Self {
        self.kind.links = Box::new(move |object, lens| match object.body::<T>() {
            Some(body) => links(Row { object, body, lens }),
            None => Vec::new(),
        });
        self
    }

    /// Ends the description: tenant and age stand last.
    pub(super) fn done(mut self) -> Kind {
        if self.kind.namespaced && self.kind.column("tenant").is_none() {
            let resource = self.kind.resource.clone();
            let column = Column::new(Shape::Text, "tenant", "the tenant that it belongs to").wide();
            self = self.column(column, move |row| {
                row.lens.tenants.of(&resource, row.object).cloned().map_or(Cell::Empty, Cell::Text)
            });
        }
        // What is made says itself since when.
        if &*self.kind.resource.group == super::alerts::GROUP || self.kind.column("age").is_some() {
            return self.kind;
        }
        let column = Column::new(Shape::Age, "age", "time since it was created").priority(2);
        self = self.column(column, |row| row.meta().created.map_or(Cell::Unknown, Cell::Age));
        self.kind
    }
}
