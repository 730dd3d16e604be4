//! What the server says about itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::alerts::Rules;
use super::lookup::rfc3339;
use super::recorded::Recorded;
use super::{Asked, Refusal, Told, VERSION, params, rules};
use crate::demo::promql::Samples;

/// The configuration that is shown: the parts that somebody looks for in it.
const CONFIG: &str = "\
global:
  scrape_interval: 30s
  scrape_timeout: 10s
  evaluation_interval: 30s
  external_labels:
    prometheus: monitoring/kube-prometheus-stack-prometheus
    prometheus_replica: prometheus-kube-prometheus-stack-prometheus-0
rule_files:
- /etc/prometheus/rules/prometheus-kube-prometheus-stack-prometheus-rulefiles-0/*.yaml
alerting:
  alert_relabel_configs:
  - regex: prometheus_replica
    action: labeldrop
  alertmanagers:
  - path_prefix: /
    scheme: http
    api_version: v2
    kubernetes_sd_configs:
    - role: endpoints
      namespaces:
        names:
        - monitoring
";

/// Labels that every alert gets on its way to Alertmanager.
pub const EXTERNAL_LABELS: &[(&str, &str)] = &[("prometheus", "monitoring/kube-prometheus-stack-prometheus")];

/// `/alertmanagers`
pub(super) fn alertmanagers() -> Told {
    let replica = |number: u8| {
        json!({"url": format!(
            "http://alertmanager-kube-prometheus-stack-alertmanager-{number}.alertmanager-operated.monitoring.svc:9093\
             /api/v2/alerts"
        )})
    };
    Told::from(json!({"activeAlertmanagers": [replica(0)], "droppedAlertmanagers": []}))
}

/// Answers below `status/`; `None` where there is no such page.
pub(super) fn answer(
    call: &str,
    asked: &Asked,
    samples: &Recorded<'_>,
    rules: &Rules,
) -> Option<Result<Told, Refusal>> {
    let told = match call.strip_prefix("status/")? {
        "config" => json!({"yaml": CONFIG}),
        "flags" => json!({
            "config.file": "/etc/prometheus/config_out/prometheus.env.yaml",
            "query.lookback-delta": "5m",
            "query.max-concurrency": "20",
            "query.max-samples": "50000000",
            "query.timeout": "2m",
            "storage.tsdb.path": "/prometheus",
            "storage.tsdb.retention.time": "1d",
            "web.enable-lifecycle": "true",
            "web.external-url": rules::EXTERNAL_URL,
            "web.listen-address": "0.0.0.0:9090",
            "web.route-prefix": "/",
        }),
        "buildinfo" => json!({
            "version": VERSION,
            "revision": "opsdeck",
            "branch": "HEAD",
            "buildUser": "opsdeck demo",
            "buildDate": "",
            "goVersion": "",
        }),
        "runtimeinfo" => {
            let started = rfc3339(rules.started_ms());
            json!({
                "startTime": started,
                "CWD": "/prometheus",
                "hostname": "prometheus-kube-prometheus-stack-prometheus-0",
                "serverTime": rfc3339(asked.now_ms),
                "reloadConfigSuccess": true,
                "lastConfigTime": started,
                "corruptionCount": 0,
                "goroutineCount": 0,
                "GOMAXPROCS": 2,
                "GOMEMLIMIT": i64::MAX,
                "GOGC": "75",
                "GODEBUG": "",
                "storageRetention": "1d",
            })
        }
        "tsdb" => match tsdb(asked, samples) {
            Ok(told) => told,
            Err(refusal) => return Some(Err(refusal)),
        },
        _ => return None,
    };
    Some(Ok(Told::from(told)))
}

fn tsdb(asked: &Asked, samples: &Recorded<'_>) -> Result<Value, Refusal> {
    let limit = params::limit(asked)?.unwrap_or(10);
    let all = samples.series(&[], asked.now_ms - 300_000, asked.now_ms);
    let mut by_metric: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_pair: BTreeMap<String, usize> = BTreeMap::new();
    let mut values: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
    for labels in &all {
        *by_metric.entry(labels.name().to_owned()).or_default() += 1;
        for (name, value) in labels.iter() {
            *by_pair.entry(format!("{name}={value}")).or_default() += 1;
            values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
    }
    let by_label: BTreeMap<String, usize> =
        values.iter().map(|(name, values)| (name.clone(), values.len())).collect();
    let memory: BTreeMap<String, usize> =
        values.into_iter().map(|(name, values)| (name, values.iter().map(String::len).sum())).collect();
    Ok(json!({
        "headStats": {
            "numSeries": all.len(),
            "numLabelPairs": by_pair.len(),
            "chunkCount": all.len(),
            "minTime": asked.now_ms - 300_000,
            "maxTime": asked.now_ms,
        },
        "seriesCountByMetricName": largest(by_metric, limit),
        "labelValueCountByLabelName": largest(by_label, limit),
        "memoryInUseBytesByLabelName": largest(memory, limit),
        "seriesCountByLabelValuePair": largest(by_pair, limit),
    }))
}

fn largest(counts: BTreeMap<String, usize>, limit: usize) -> Vec<Value> {
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect()
}
