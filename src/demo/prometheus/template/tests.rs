//! Templates as rules have them.

use super::*;
use crate::demo::promql::Memory;

#[track_caller]
fn check(text: &str, expected: &str) {
    let mut samples = Memory::default();
    for (pod, value) in [("b", 2.0), ("a", 1.0)] {
        samples.push(Labels::new([("__name__", "up"), ("pod", pod)]), 1_000, value);
    }
    let labels = Labels::new([
        ("__name__", "x"),
        ("namespace", "shop"),
        ("pod", "api-0"),
        ("instance", "10.0.0.1:80"),
    ]);
    let scope = Scope { labels: &labels, value: 0.123_456, samples: &samples, at_ms: 2_000 };
    assert_eq!(expand_or_say(text, &scope), expected, "{text}");
}

#[test]
fn labels_and_values_stand_where_they_are_asked_for() {
    check("Pod {{ $labels.namespace }}/{{$labels.pod}}.", "Pod shop/api-0.");
    check("{{ .Labels.pod }} {{ $labels.missing }}|", "api-0 |");
    check("{{ $value }} {{ .Value }}", "0.123456 0.123456");
    check("{{ $value | humanizePercentage }}", "12.35%");
    check("{{ printf \"%.2f\" $value }}%", "0.12%");
    check("{{ $value | printf \"%5.1f|\" }}", "  0.1|");
    check("{{ $labels.instance | stripPort | toUpper }}", "10.0.0.1");
    check("{{ $externalLabels.prometheus }}", "monitoring/kube-prometheus-stack-prometheus");
    check("no action", "no action");
}

#[test]
fn blocks_choose_and_repeat() {
    check("{{ if $labels.pod }}yes{{ else }}no{{ end }}", "yes");
    check("{{ if eq $labels.pod \"x\" }}x{{ else if gt $value 0.1 }}high{{ else }}low{{ end }}", "high");
    check("a {{- with $labels.cluster }} on {{ . }}{{ end }} b", "a b");
    check("{{ with $labels.pod -}}  on {{ . }}{{ end }}", "on api-0");
    check(
        "{{ range query \"up\" | sortByLabel \"pod\" }}{{ .Labels.pod }}={{ .Value }} {{ end }}",
        "a=1 b=2 ",
    );
    check("{{ with query \"sum(up)\" }}{{ . | first | value | humanize }}{{ end }}", "3");
    check("{{ $x := $labels.pod }}{{ $x }}{{/* nothing */}}", "api-0");
    check("{{ (query \"up{pod='b'}\" | first).Value }}", "2");
}

#[test]
fn what_is_wrong_is_said_in_the_text() {
    check("{{ $nothing }}", "<error expanding template: undefined variable \"$nothing\">");
    check("{{ frobnicate 1 }}", "<error expanding template: function \"frobnicate\" not defined>");
    check("{{ if $value }}", "<error expanding template: unexpected EOF>");
    check("{{ $value", "<error expanding template: unclosed action>");
}

#[test]
fn numbers_are_told_as_prometheus_tells_them() {
    assert_eq!(humanize::humanize(1_234_567.0), "1.235M");
    assert_eq!(humanize::humanize(0.012_345), "12.35m");
    assert_eq!(humanize::humanize(0.0), "0");
    assert_eq!(humanize::humanize1024(1_610_612_736.0), "1.5Gi");
    assert_eq!(humanize::duration(93_784.0), "1d 2h 3m 4s");
    assert_eq!(humanize::duration(899.99), "14m 59s");
    assert_eq!(humanize::duration(0.3), "300ms");
    assert_eq!(humanize::duration(-12.5), "-12.5s");
    assert_eq!(humanize::percentage(0.012_345_678), "1.235%");
    assert_eq!(humanize::timestamp(1_435_065_584.128), "2015-06-23 13:19:44.128 +0000 UTC");
    assert_eq!(humanize::short(123_456.0), "1.235e+05");
    assert_eq!(humanize::short(0.000_012_345), "1.234e-05");
}
