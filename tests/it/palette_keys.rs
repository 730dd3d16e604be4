//! Keys in, effects out, for the palette: where a line leads, and what is said of one that leads nowhere.

use opsdeck::app::application::Pane;
use opsdeck::app::effect::Effect;
use opsdeck::app::history::View;
use opsdeck::app::message::Message;
use opsdeck::app::session::{Environment, Reachable};
use opsdeck::app::state::Overlay;
use opsdeck::identity::Context;
use serde_json::json;

use crate::keys::{go, press, said, selected, table, type_in, with_application};
use crate::stage::{self, Stage, object};

#[test]
fn one_line_of_the_palette_carries_kind_namespace_filter_and_context() {
    let mut stage = with_application();
    let reachable = |name: &str| Reachable {
        context: Context::new(name),
        cluster: name.to_owned(),
        environment: Environment::Dev,
    };
    stage.state.session.contexts = vec![reachable("prod-eu-1"), reachable("dev-1")];
    go(&mut stage, "pods -n tenant-2 /checkout restarts>3");
    assert_eq!(stage.state.scope.namespace.as_deref(), Some("tenant-2"));
    assert_eq!(table(&stage).filter.text, "checkout restarts>3");
    assert_eq!(&*table(&stage).resource.plural, "pods");
    let effects = go(&mut stage, "po @dev-1");
    assert_eq!(effects, [Effect::Connect(Context::new("dev-1"))]);
    assert_eq!(stage.state.session.environment, Environment::Dev);
    assert_eq!(&*table(&stage).resource.plural, "pods");
    assert!(stage.state.scope.namespace.is_none(), "the namespace was the other context's");
}

#[test]
fn a_tenant_that_hurts_opens_at_the_application_that_hurts() {
    let mut stage = with_application();
    let mut well = stage::application();
    well["metadata"]["name"] = json!("tenant-2-accounts");
    well["metadata"]["uid"] = json!("uid-accounts");
    well["status"] = json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}});
    stage.list("applications", &[well, stage::application()]);
    stage.state.settle(&stage.store);
    go(&mut stage, "tenant-2");
    stage.state.settle(&stage.store);
    assert_eq!(table(&stage).len(), 2);
    assert_eq!(selected(&stage), "tenant-2-checkout");
}

#[test]
fn what_is_said_of_connecting_goes_when_it_is_so_no_longer() {
    let mut stage = with_application();
    let context = Context::new("dev-1");
    let reachable =
        Reachable { context: context.clone(), cluster: "dev-1".to_owned(), environment: Environment::Dev };
    stage.state.session.contexts = vec![reachable];
    go(&mut stage, "ctx dev-1");
    assert!(stage.state.status.as_ref().unwrap().text.contains("connecting"));
    let link = opsdeck::app::session::Link::Live { version: "v1.32.5".to_owned(), user: "kim".to_owned() };
    said(&mut stage, Message::Link { context, link, namespace: None });
    assert!(stage.state.status.is_none(), "{:?}", stage.state.status);
}

#[test]
fn a_second_word_is_a_namespace_or_else_a_name() {
    let mut stage = with_application();
    go(&mut stage, "pods tenant-2");
    assert_eq!(stage.state.scope.namespace.as_deref(), Some("tenant-2"));
    go(&mut stage, "app tenant-2-checkout");
    let Some(View::Application(app)) = stage.state.view() else { panic!("no application is shown") };
    assert_eq!(&*app.object.name, "tenant-2-checkout");
}

#[test]
fn a_sync_takes_a_revision_and_resources_from_the_palette_and_the_selected_one_from_its_tree() {
    let mut stage = with_application();
    let error = |stage: &Stage| match &stage.state.overlay {
        Some(Overlay::Palette(palette)) => palette.error.clone().unwrap_or_default(),
        other => panic!("no palette but {other:?}"),
    };
    go(&mut stage, "sync 3f9c1a2");
    assert!(error(&stage).contains("select one first"), "{}", error(&stage));
    press(&mut stage, &["esc"]);
    go(&mut stage, "app tenant-2-checkout");
    let options = |effects: &[Effect]| match effects {
        [Effect::Plan { request, .. }] => {
            let mut names: Vec<String> = Vec::new();
            for one in &request.options.resources {
                names.push(format!("{}:{}:{}/{}", one.group, one.kind, one.namespace, one.name));
            }
            (request.options.revision.clone(), names)
        }
        other => panic!("no plan but {other:?}"),
    };
    let effects = go(&mut stage, "sync 3f9c1a2 apps:Deployment:tenant-2/checkout");
    let both = (Some("3f9c1a2".to_owned()), vec!["apps:Deployment:tenant-2/checkout".to_owned()]);
    assert_eq!(options(&effects), both);
    press(&mut stage, &["esc"]);

    let object = object("argoproj.io", "applications", "argocd", "tenant-2-checkout");
    let document = stage::application();
    said(&mut stage, Message::Document { object, result: Ok(document.into()) });
    stage.state.settle(&stage.store);
    let Some(View::Application(app)) = stage.state.views.last_mut() else { panic!("no application") };
    let row = app.tree.iter().position(|node| node.name == "Deployment/checkout").unwrap();
    app.views[Pane::Resources as usize].cursor = row;
    press(&mut stage, &["s"]);
    let effects = press(&mut stage, &["ctrl-s"]);
    assert_eq!(options(&effects).1, ["apps:Deployment:tenant-2/checkout"]);
    let effects = press(&mut stage, &["ctrl-s"]);
    assert_eq!(options(&effects).1, Vec::<String>::new());
}

#[test]
fn a_line_that_leads_nowhere_is_answered_with_the_nearest_names() {
    let mut stage = with_application();
    let error = |stage: &mut Stage, line: &str| {
        go(stage, line);
        let Some(Overlay::Palette(palette)) = &stage.state.overlay else { panic!("{line} was taken") };
        let error = palette.error.clone().unwrap_or_else(|| panic!("{line}: no error"));
        press(stage, &["esc"]);
        error
    };
    assert!(error(&mut stage, "deploymnets").contains("did you mean deployments?"));
    assert!(error(&mut stage, "pods -n tenant-22").contains("did you mean tenant-2?"));
    assert!(error(&mut stage, "pods -x").contains("-x is not understood"));
    assert!(error(&mut stage, "theme drak").contains("no theme is called"));
    assert!(error(&mut stage, "pods /colour=red").contains("colour"));
    assert!(error(&mut stage, "cordon").contains("does not apply here"));
}

#[test]
fn suggestions_put_whole_and_short_names_first() {
    let mut stage = with_application();
    let first = |stage: &mut Stage, text: &str| {
        press(stage, &[":"]);
        type_in(stage, text);
        let Some(Overlay::Palette(palette)) = &stage.state.overlay else { panic!("no palette") };
        let first = palette.suggestions.first().map(|one| one.text.clone());
        press(stage, &["esc"]);
        first.unwrap_or_default()
    };
    assert_eq!(first(&mut stage, "po"), "pods");
    assert_eq!(first(&mut stage, "deploy"), "deployments");
    assert_eq!(first(&mut stage, "dplymnts"), "deployments", "fuzzy");
    assert_eq!(first(&mut stage, "tenant-2"), "tenant-2");
    assert_eq!(first(&mut stage, "tenant-2-che"), "tenant-2-checkout");
    assert_eq!(first(&mut stage, "pods -n ten"), "tenant-2");
}
