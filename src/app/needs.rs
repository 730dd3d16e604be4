//! What the state needs to be kept: the lists and logs of the view that is shown, and those of the header.

use crate::app::effect::Need;
use crate::app::history::View;
use crate::app::state::State;
use crate::identity::Resource;
use crate::kinds::{alerts, measured};
use crate::model::{disruption, ended};
use crate::signals::{Ask, Using, Wanted};
use crate::store::Query;

/// What tenants, header and overview are concluded from; kept as long as a context is open.
const ALWAYS: &[(&str, &str)] = &[
    ("", "namespaces"),
    ("argoproj.io", "applications"),
    ("argoproj.io", "appprojects"),
    ("", "pods"),
    ("", "nodes"),
    (alerts::GROUP, "alerts"),
];

/// What the overview is concluded from besides.
const OVERVIEW: &[(&str, &str)] = &[
    ("", "events"),
    ("", "resourcequotas"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("karpenter.sh", "nodeclaims"),
];

/// What the tree of an Application is put together from besides.
const APPLICATION: &[(&str, &str)] = &[
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("batch", "jobs"),
    ("argoproj.io", "applicationsets"),
];

impl State {
    /// Returns what must be kept for what is on screen; the runner starts and stops tasks so that it is so.
    pub fn needs(&self) -> Vec<Need> {
        let Some(context) = &self.session.context else { return Vec::new() };
        let mut needs: Vec<Need> = Vec::new();
        let mut need = |query: Query| {
            let need = Need::List(query);
            // A type whose columns are still being learned cannot be listed yet.
            let known = matches!(&need, Need::List(query) if self.kinds.get(&query.resource).is_some());
            if known && !needs.contains(&need) {
                needs.push(need);
            }
        };
        let all = |(group, plural): &(&str, &str)| Query::all(context, &Resource::new(group, plural));
        // First what somebody waits for: it is fetched before the rest.
        match self.view() {
            Some(View::Table(table)) => need(table.query(context)),
            Some(View::Detail(detail)) => need(Query::all(context, &detail.object.resource)),
            _ => {}
        }
        ALWAYS.iter().map(all).for_each(&mut need);
        let mut logs = None;
        let mut asks = Vec::new();
        let of_kind = |resource: &Resource, need: &mut dyn FnMut(Query)| {
            for other in self.kinds.get(resource).map_or(&[][..], |kind| &kind.needs) {
                need(Query::all(context, other));
            }
        };
        match self.view() {
            Some(View::Overview(_)) => {
                OVERVIEW.iter().map(all).for_each(&mut need);
                asks.push(Need::Answer(measured::ask(context, Using::Namespaces)));
                asks.push(Need::Answer(ended::ask(context)));
            }
            Some(View::Table(table)) => {
                asks.extend(measured::asks(context, &table.resource).map(Need::Answer));
                of_kind(&table.resource, &mut need);
            }
            Some(View::Detail(detail)) => {
                need(Query::all(context, &Resource::new("", "events")));
                of_kind(&detail.object.resource, &mut need);
                let graph = detail.graph.iter().flat_map(|graph| graph.asks.iter().cloned());
                asks.extend(graph.map(Need::Answer));
                if disruption::concerns(&detail.object.resource) {
                    disruption::NEEDS.iter().map(all).for_each(&mut need);
                    asks.push(Need::Answer(disruption::ask(context)));
                }
            }
            Some(View::Application(view)) => {
                APPLICATION.iter().map(all).for_each(&mut need);
                asks.extend(view.ask.iter().cloned().map(Need::Answer));
            }
            Some(View::Board(view)) => asks.extend(view.asks.iter().cloned().map(Need::Answer)),
            Some(View::Explore(view)) => match &view.pods {
                Some(pods) => {
                    need(Query::all(context, &pods.object.resource));
                    logs = Some(Need::Logs(pods.of()));
                }
                None => logs = Some(Need::Lines(view.of.clone(), view.wish.clone())),
            },
            Some(View::Actions(_)) => {
                for running in &self.running {
                    for target in &running.plan.request.targets {
                        need(Query::all(context, &target.object.resource));
                    }
                }
            }
            Some(View::Boards(_) | View::Info(_)) | None => {}
        }
        // What may be done with what is selected: the footer leaves out what may not.
        asks.extend(self.rights.iter().cloned().map(Need::Answer));
        needs.extend(logs);
        needs.extend(asks);
        // The header says how each system stands.
        needs.push(Need::Answer(Ask { context: context.clone(), wanted: Wanted::Systems }));
        needs
    }
}
