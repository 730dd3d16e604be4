//! `EndpointSlices` and the older `Endpoints`: where the traffic of a Service goes.
//!
//! Both are made, as on a real control plane: kubectl 1.20 and others ask for `Endpoints` still.

use serde_json::{Value, json};

use super::objects::Key;
use super::pods::{letters, owner_reference};
use super::types::Type;
use super::untyped::{list, text};
use super::view::{Seen, View};
use super::world::{Controller, Cx, fnv64};

/// Endpoints that one slice or one object of `Endpoints` holds at most, as the API server and the controller enforce.
const MOST: usize = 1000;

/// The label that a headless Service's `Endpoints` carry.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The controller.
#[derive(Debug, Default)]
pub struct EndpointSlices;

impl Controller for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpoint-slice-controller"
    }

    fn watch(&self, seen: &Seen, view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Service => keys.push(seen.key.clone()),
            Type::Pod => {
                let now = view.pod(&seen.key);
                let same = match (&seen.before, now) {
                    (Some(old), Some(new)) => {
                        (old.ready.is_some(), old.deleting, old.object.field("status.podIP"))
                            == (new.ready.is_some(), new.deleting, new.object.field("status.podIP"))
                            && old.object.labels == new.object.labels
                    }
                    _ => false,
                };
                if !same {
                    keys.extend(view.selecting(Type::Service, &seen.object).cloned());
                }
            }
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(service) = cx.get(key) else {
            // The slice goes by its owner; Endpoints have none.
            let old = Key::new(Type::Endpoints, &key.namespace, &key.name);
            if cx.objects.get(&old).is_some() {
                cx.delete(&old);
            }
            return;
        };
        if service["spec"]["selector"].as_object().is_none_or(serde_json::Map::is_empty) {
            return;
        }
        let pods = cx.view.selected(key);
        let ports = ports(&service, pods.first().map(|(_, pod)| pod.object.value()));
        let endpoints: Vec<Value> = pods
            .iter()
            .filter(|(_, pod)| !pod.finished())
            .filter_map(|(key, pod)| {
                let address = pod.object.field("status.podIP").filter(|ip| !ip.is_empty())?;
                let node = pod.node.as_deref()?;
                let ready = pod.ready.is_some();
                let zone = cx.view.node(node).and_then(|node| node.object.label("topology.kubernetes.io/zone"));
                Some(json!({
                    "addresses": [address],
                    "conditions": {"ready": ready && !pod.deleting, "serving": ready, "terminating": pod.deleting},
                    "nodeName": node,
                    "targetRef": {"kind": "Pod", "namespace": &*key.namespace, "name": &*key.name, "uid": &*pod.object.uid},
                    "zone": zone,
                }))
            })
            .take(MOST)
            .collect();
        older(key, &service, &endpoints, &ports, cx);
        let name = format!(
            "{}-{}",
            key.name,
            letters(fnv64(format!("{}/{}", key.namespace, key.name).as_bytes()), 5)
        );
        let slice = Key::new(Type::EndpointSlice, &key.namespace, &name);
        if cx.objects.get(&slice).is_some() {
            cx.update(&slice, |slice| {
                slice["endpoints"] = json!(endpoints);
                slice["ports"] = ports;
            });
            return;
        }
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": name, "namespace": &*key.namespace, "generateName": format!("{}-", key.name),
                "labels": {"kubernetes.io/service-name": &*key.name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                "ownerReferences": [owner_reference(&service)],
                "creationTimestamp": service["metadata"]["creationTimestamp"],
            },
            "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
        });
        // Refused only where the namespace is going.
        let _ = cx.create(Type::EndpointSlice, object);
    }
}

/// Keeps the `Endpoints` of a Service: one subset with the addresses that are ready and those that are not.
fn older(key: &Key, service: &Value, endpoints: &[Value], ports: &Value, cx: &mut Cx<'_>) {
    let addresses = |ready: bool| -> Vec<Value> {
        let wanted = endpoints.iter().filter(|endpoint| {
            (endpoint["conditions"]["ready"] == true) == ready
                && endpoint["conditions"]["terminating"] != true
        });
        let mut addresses: Vec<Value> = wanted
            .map(|endpoint| {
                json!({
                    "ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"],
                    "targetRef": endpoint["targetRef"],
                })
            })
            .collect();
        addresses.sort_by(|one, other| text(one, "/ip").cmp(text(other, "/ip")));
        addresses
    };
    let mut subset = serde_json::Map::new();
    for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
        let addresses = addresses(ready);
        if !addresses.is_empty() {
            subset.insert(field.to_owned(), json!(addresses));
        }
    }
    let mut subsets = Vec::new();
    if !subset.is_empty() {
        if list(service, "/spec/ports").is_empty() {
            subsets.push(Value::Object(subset));
        } else {
            subset.insert("ports".to_owned(), ports.clone());
            subsets.push(Value::Object(subset));
        }
    }
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if text(service, "/spec/clusterIP") == "None" {
        labels.insert(HEADLESS.to_owned(), json!(""));
    }
    let own = Key::new(Type::Endpoints, &key.namespace, &key.name);
    if cx.objects.get(&own).is_some() {
        cx.update(&own, |own| {
            own["metadata"]["labels"] = json!(labels);
            own["subsets"] = json!(subsets);
        });
        return;
    }
    let object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": &*key.name, "namespace": &*key.namespace, "labels": labels,
            "creationTimestamp": service["metadata"]["creationTimestamp"],
        },
        "subsets": subsets,
    });
    // Refused only where the namespace is going.
    let _ = cx.create(Type::Endpoints, object);
}

/// Resolves the target ports of a Service with one of its pods.
fn ports(service: &Value, pod: Option<Value>) -> Value {
    let pod = pod.unwrap_or_default();
    list(service, "/spec/ports")
        .iter()
        .map(|port| {
            let target = &port["targetPort"];
            let number = target.as_i64().or_else(|| {
                list(&pod, "/spec/containers")
                    .iter()
                    .flat_map(|container| list(container, "/ports"))
                    .find(|found| found["name"] == *target)
                    .and_then(|found| found["containerPort"].as_i64())
            });
            let name = text(port, "/name");
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            json!({"name": name, "port": number.or_else(|| port["port"].as_i64()), "protocol": protocol})
        })
        .collect()
}
