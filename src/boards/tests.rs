use super::*;
use crate::signals::Labels;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
}

fn tenant() -> Subject {
    Subject { tenant: Some("tenant-2".into()), namespaces: vec!["tenant-2".into()], ..Subject::default() }
}

fn refused(text: &str) -> String {
    Board::read("mine", "mine.toml", text).unwrap_err().to_string()
}

const HEAD: &str =
    "title = \"Mine\"\n\n[variables]\nnamespace = { from = \"namespace\", default = \".+\" }\n\n";

fn with_panel(panel: &str) -> String {
    format!("{HEAD}[[panels]]\ntitle = \"One\"\n{panel}")
}

#[test]
fn every_shipped_board_is_read_and_says_what_it_needs() {
    let boards = Boards::shipped();
    assert!(boards.wrong().is_empty(), "{:?}", boards.wrong());
    assert_eq!(boards.len(), SHIPPED.len());
    for board in boards.iter() {
        assert!(!board.about.is_empty(), "{} says nothing of itself", board.name);
        let (cloud, _) = board.asks();
        assert!(cloud || !board.needs().is_empty(), "{} needs nothing", board.name);
    }
}

#[test]
fn every_shipped_expression_is_promql_whatever_is_selected() {
    let subjects = [Subject::default(), tenant()];
    for board in Boards::shipped().iter() {
        for subject in &subjects {
            for step in [15, 120, 7_200] {
                let values = board.values(subject).unwrap().over(43_200, step);
                for expr in board.expressions(&values) {
                    let parsed = promql_parser::parser::parse(&expr);
                    assert!(parsed.is_ok(), "{}: {expr}: {parsed:?}", board.name);
                    let left = expr.replace("\"$1\"", "");
                    assert!(!left.contains('$'), "{}: {expr}", board.name);
                }
            }
        }
    }
}

#[test]
fn the_board_of_what_is_selected_is_the_one_made_for_it() {
    let boards = Boards::shipped();
    let of = |facet| boards.fitting(&[facet]).map(|board| board.name.to_string()).unwrap_or_default();
    assert_eq!(of(Facet::Tenant), "tenant");
    assert_eq!(of(Facet::Application), "tenant");
    assert_eq!(of(Facet::Pod), "pod");
    assert_eq!(of(Facet::Workload), "pod");
    assert_eq!(of(Facet::Node), "nodes");
    assert_eq!(of(Facet::Namespace), "usage");
    assert!(boards.fitting(&[]).is_none());
}

#[test]
fn a_selection_narrows_the_expressions_and_nothing_selected_means_everything() {
    let board = Board::read(
        "mine",
        "mine.toml",
        &with_panel("[[panels.queries]]\nexpr = 'rate(x{namespace=~\"$namespace\"}[$rate])'\n"),
    )
    .unwrap();
    let of = |subject: &Subject, step| {
        board.expressions(&board.values(subject).unwrap().over(3_600, step)).join(" ")
    };
    assert_eq!(of(&tenant(), 30), "rate(x{namespace=~\"tenant-2\"}[5m])");
    assert_eq!(of(&Subject::default(), 30), "rate(x{namespace=~\".+\"}[5m])");
    // A rate reaches back to the value before: nothing falls between two.
    assert_eq!(of(&tenant(), 1_800), "rate(x{namespace=~\"tenant-2\"}[30m])");
}

#[test]
fn a_board_without_a_default_says_what_to_select() {
    let text = "title = \"One pod\"\n[variables]\npod = { from = \"pod\" }\n[[panels]]\ntitle = \"One\"\n\
                [[panels.queries]]\nexpr = 'up{pod=~\"$pod\"}'\n";
    let board = Board::read("mine", "mine.toml", text).unwrap();
    assert_eq!(board.values(&tenant()).unwrap_err(), "board mine needs a pod: select one");
}

#[test]
fn what_an_expression_needs_is_read_from_it() {
    let needs = |expr: &str| {
        let formula = Formula::read(expr, &[]).unwrap();
        formula.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(needs("sum(rate(a[5m])) / sum(rate(b[5m]))"), "a, b");
    assert_eq!(needs("a{exported_namespace=~\"x\"}"), "a, a with the label exported_namespace");
    assert_eq!(needs("sum(a) or 0 * sum(a)"), "a");
    // Either side of `or` will do, and what is to be absent need not be there.
    assert_eq!(needs("a or b"), "");
    assert_eq!(needs("absent(a) * b"), "b");
    assert_eq!(needs("histogram_quantile(0.9, sum by (le) (rate(c_bucket[5m]))) > 1"), "c_bucket");
}

#[test]
fn a_legend_names_a_series_and_a_label_that_is_absent_leaves_nothing() {
    let legend = Legend::read("{{namespace}}/{{ pod }}{{gone}}").unwrap();
    assert_eq!(legend.name(&labels(&[("namespace", "shop"), ("pod", "web-1")])), "shop/web-1");
    let all = Legend::default();
    assert_eq!(all.name(&labels(&[("job", "x")])), "{job=\"x\"}");
    assert_eq!(all.name(&labels(&[])), "value");
    let only = Legend::read("{{gone}}").unwrap();
    assert_eq!(only.name(&labels(&[("job", "x")])), "{job=\"x\"}");
    assert!(Legend::read("{{open").is_err());
}

#[test]
fn a_file_that_is_wrong_is_refused_at_its_line_with_what_is_allowed() {
    for (text, said) in [
        ("titel = \"x\"\n".to_owned(), "mine.toml:1: unknown key \"titel\"; did you mean title?"),
        (HEAD.to_owned(), "needs \"panels\""),
        (
            with_panel("kind = \"pie\"\n"),
            "mine.toml:8: panels[0].kind: unknown value \"pie\" (allowed: graph, stat, bar)",
        ),
        (
            with_panel("unit = \"byte\"\n"),
            "mine.toml:8: panels[0].unit: unknown value \"byte\"; did you mean bytes",
        ),
        (with_panel("low = 3\nhigh = 1\n"), "mine.toml:9: panels[0].high must be above low"),
        (with_panel(""), "needs \"queries\""),
        (
            with_panel("[[panels.queries]]\nlegend = \"x\"\n"),
            "a query needs either \"expr\", \"known\" or \"cloudwatch\"",
        ),
        (
            with_panel("[[panels.queries]]\nexpr = 'up{x=\"$namespcae\"}'\n"),
            "mine.toml:9: unknown variable \"namespcae\"; did you mean namespace?",
        ),
        (with_panel("[[panels.queries]]\nexpr = [\n  'up',\n  'sum(',\n]\n"), "mine.toml:11: not PromQL: "),
        (
            with_panel("thresholds = [{ health = \"warning\" }]\n[[panels.queries]]\nexpr = 'up'\n"),
            "mine.toml:8: a threshold needs either \"at\" or \"target\"",
        ),
        (
            with_panel("thresholds = [{ target = \"uptime\" }]\n[[panels.queries]]\nexpr = 'up'\n"),
            "unknown value \"uptime\" (allowed: deployment, rollback, availability",
        ),
        (
            "title = \"x\"\n[variables]\nrate = { default = \"5m\" }\n".to_owned(),
            "mine.toml:3: variable \"rate\" is there",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(said), "{text}\n{found}\nnot: {said}");
    }
}

#[test]
fn a_wrong_file_costs_itself_and_one_of_the_person_replaces_a_shipped_one() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("broken.toml"), "title = 3\n").unwrap();
    std::fs::write(directory.path().join("notes.txt"), "not a board").unwrap();
    let own = with_panel("[[panels.queries]]\nexpr = 'up'\n");
    std::fs::write(directory.path().join("nodes.toml"), own).unwrap();
    let boards = Boards::with_directory(directory.path());
    assert_eq!(boards.wrong().len(), 1);
    assert!(boards.wrong()[0].to_string().contains("broken.toml:1"), "{}", boards.wrong()[0]);
    assert_eq!(boards.len(), SHIPPED.len());
    assert_eq!(&*boards.get("nodes").unwrap().title, "Mine");
}
