//! Nodes, NodeClaims and NodePools as objects, and the machines they stand for.
//!
//! Pure functions on JSON, shared by the seed and by Karpenter's controllers, so that a seeded node looks like one that
//! was provisioned. They decide nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::seconds;
use super::pods::hex64;
use super::untyped::{bytes, cpu, later};
use super::world::fnv64;

/// A machine that can be bought.
#[derive(Debug, PartialEq, Eq)]
pub struct Instance {
    /// Name, such as `m6i.xlarge`.
    pub name: &'static str,
    /// Virtual CPUs.
    pub cpus: i64,
    /// Memory in GiB.
    pub memory: i64,
    /// Price of an hour on demand, in a hundredth of a US cent, as published for eu-west-1.
    pub price: i64,
}

const fn instance(name: &'static str, cpus: i64, memory: i64, price: i64) -> Instance {
    Instance { name, cpus, memory, price }
}

/// The machines, cheapest first.
pub static INSTANCES: &[Instance] = &[
    instance("c6a.large", 2, 4, 819),
    instance("m6i.large", 2, 8, 1070),
    instance("r6i.large", 2, 16, 1410),
    instance("c6a.xlarge", 4, 8, 1638),
    instance("m6i.xlarge", 4, 16, 2140),
    instance("r6i.xlarge", 4, 32, 2820),
    instance("c6a.2xlarge", 8, 16, 3276),
    instance("m6i.2xlarge", 8, 32, 4280),
    instance("r6i.2xlarge", 8, 64, 5640),
    instance("m6i.4xlarge", 16, 64, 8560),
    instance("m6i.8xlarge", 32, 128, 17120),
    instance("m6i.16xlarge", 64, 256, 34240),
    instance("m6i.32xlarge", 128, 512, 68480),
];

impl Instance {
    /// Returns the machine of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        INSTANCES.iter().find(|instance| instance.name == name)
    }

    /// Returns the allocatable CPU in millicores: EKS keeps a little for itself.
    pub fn cpu(&self) -> i64 {
        self.cpus * 1000 - 60 - self.cpus * 5
    }

    /// Returns the pods that fit, with prefix delegation as EKS sets it.
    pub fn pods(&self) -> i64 {
        if self.cpus < 30 { 110 } else { 250 }
    }

    /// Returns the allocatable memory in bytes: EKS reserves 255 MiB and 11 MiB a pod, the kubelet evicts at 100 MiB.
    pub fn memory(&self) -> i64 {
        (self.memory * 1024 * 97 / 100 - 355 - 11 * self.pods().min(58)) << 20
    }

    fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    fn size(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// The availability zones of the region, with their ids.
pub const ZONES: [(&str, &str); 3] =
    [("eu-west-1a", "euw1-az1"), ("eu-west-1b", "euw1-az2"), ("eu-west-1c", "euw1-az3")];

/// One machine that was bought, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Which number of machine it is; addresses and ids follow from it.
    pub number: u32,
    /// What it is.
    pub instance: &'static Instance,
    /// Index into [`ZONES`].
    pub zone: usize,
    /// `spot` or `on-demand`.
    pub capacity: &'static str,
    /// Pods that fit, where a load test needs more than the machine would take.
    pub pods: i64,
}

impl Machine {
    /// Returns the address in the node network, 10.0.0.0/10.
    pub fn address(&self) -> String {
        // The first addresses of a subnet are the cloud's own.
        let host = self.number.wrapping_mul(37) + 17;
        format!("10.{}.{}.{}", (self.number >> 14) % 64, (self.number >> 7) % 128, 4 + host % 250)
    }

    /// Returns the name that EKS gives the node.
    pub fn node_name(&self) -> String {
        format!("ip-{}.eu-west-1.compute.internal", self.address().replace('.', "-"))
    }

    /// Returns the EC2 instance id.
    pub fn instance_id(&self) -> String {
        format!("i-0{}", &hex64(fnv64(format!("instance {}", self.number).as_bytes()))[..16])
    }

    /// Returns the provider id that nodes and claims carry.
    pub fn provider(&self) -> String {
        format!("aws:///{}/{}", ZONES[self.zone % 3].0, self.instance_id())
    }

    fn capacity(&self) -> Value {
        json!({
            "cpu": self.instance.cpus.to_string(),
            "memory": bytes((self.instance.memory * 1024 * 97 / 100) << 20),
            "ephemeral-storage": "80Gi",
            "pods": self.pods.to_string(),
        })
    }

    fn allocatable(&self) -> Value {
        json!({
            "cpu": cpu(self.instance.cpu()),
            "memory": bytes(self.instance.memory()),
            "ephemeral-storage": "71Gi",
            "pods": self.pods.to_string(),
        })
    }

    fn labels(&self) -> Value {
        let (zone, zone_id) = ZONES[self.zone % 3];
        let family = self.instance.family();
        json!({
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": self.instance.name,
            "topology.kubernetes.io/region": "eu-west-1",
            "topology.kubernetes.io/zone": zone,
            "topology.k8s.aws/zone-id": zone_id,
            "karpenter.k8s.aws/instance-category": &family[..1],
            "karpenter.k8s.aws/instance-family": family,
            "karpenter.k8s.aws/instance-generation": &family[1..2],
            "karpenter.k8s.aws/instance-size": self.instance.size(),
            "karpenter.k8s.aws/instance-cpu": self.instance.cpus.to_string(),
            "karpenter.k8s.aws/instance-memory": (self.instance.memory * 1024).to_string(),
        })
    }
}

/// The finalizer of Karpenter on nodes and claims.
pub const FINALIZER: &str = "karpenter.sh/termination";

/// Makes a NodeClaim that has just been created from a pool.
pub fn claim(pool: &Value, name: &str, machine: &Machine, requests: (i64, i64, i64)) -> Value {
    let template = &pool["spec"]["template"];
    let pool_name = &pool["metadata"]["name"];
    let class = &template["spec"]["nodeClassRef"];
    let mut labels = machine.labels();
    for (key, value) in template["metadata"]["labels"].as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    labels["karpenter.sh/nodepool"] = pool_name.clone();
    labels["karpenter.sh/capacity-type"] = json!(machine.capacity);
    labels["karpenter.k8s.aws/ec2nodeclass"] = class["name"].clone();
    let mut requirements = template["spec"]["requirements"].as_array().cloned().unwrap_or_default();
    requirements.retain(|one| {
        one["key"] != "node.kubernetes.io/instance-type" && one["key"] != "karpenter.sh/capacity-type"
    });
    requirements.extend([
        json!({"key": "karpenter.sh/nodepool", "operator": "In", "values": [pool_name]}),
        json!({"key": "karpenter.sh/capacity-type", "operator": "In", "values": [machine.capacity]}),
        json!({"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [machine.instance.name]}),
    ]);
    let mut spec = json!({
        "nodeClassRef": class,
        "requirements": requirements,
        "resources": {"requests": {"cpu": cpu(requests.0), "memory": bytes(requests.1), "pods": requests.2.to_string()}},
        "startupTaints": [{"key": "node.cilium.io/agent-not-ready", "value": "true", "effect": "NoExecute"}],
    });
    for field in ["expireAfter", "terminationGracePeriod", "taints"] {
        if !template["spec"][field].is_null() {
            spec[field] = template["spec"][field].clone();
        }
    }
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {
                "karpenter.sh/nodepool-hash": pool_hash(pool),
                "karpenter.sh/nodepool-hash-version": "v3",
                "karpenter.k8s.aws/ec2nodeclass-hash-version": "v4",
            },
            "finalizers": [FINALIZER],
            "ownerReferences": [{
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": pool_name,
                "uid": pool["metadata"]["uid"], "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
        "status": {},
    })
}

/// Returns the hash over what makes a pool's nodes drift when it is changed.
pub fn pool_hash(pool: &Value) -> String {
    let template = &pool["spec"]["template"];
    let spec = &template["spec"];
    let drifting = json!([
        template["metadata"],
        spec["taints"],
        spec["startupTaints"],
        spec["expireAfter"],
        spec["nodeClassRef"]
    ]);
    fnv64(drifting.to_string().as_bytes()).to_string()
}

/// Returns the hash over the static fields of a node class.
pub fn class_hash(class: &Value) -> String {
    let spec = &class["spec"];
    let drifting = json!([
        spec["amiFamily"],
        spec["userData"],
        spec["role"],
        spec["tags"],
        spec["blockDeviceMappings"],
        spec["metadataOptions"]
    ]);
    fnv64(drifting.to_string().as_bytes()).to_string()
}

/// Fills the status of a claim whose instance was bought.
pub fn launch(claim: &mut Value, machine: &Machine, image: &str) {
    claim["status"]["providerID"] = json!(machine.provider());
    claim["status"]["imageID"] = json!(image);
    claim["status"]["capacity"] = machine.capacity();
    claim["status"]["allocatable"] = machine.allocatable();
}

/// Makes the node of a claim at the moment it registers: not yet ready.
pub fn of_claim(claim: &Value, machine: &Machine, since: Timestamp) -> Value {
    let mut node = bare(machine, since);
    for (key, value) in claim["metadata"]["labels"].as_object().into_iter().flatten() {
        node["metadata"]["labels"][key] = value.clone();
    }
    node["metadata"]["labels"]["karpenter.sh/registered"] = json!("true");
    for (key, value) in claim["metadata"]["annotations"].as_object().into_iter().flatten() {
        node["metadata"]["annotations"][key] = value.clone();
    }
    node["metadata"]["finalizers"] = json!([FINALIZER]);
    node["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": claim["metadata"]["name"],
        "uid": claim["metadata"]["uid"], "blockOwnerDeletion": true,
    }]);
    let mut taints: Vec<Value> = claim["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.extend(claim["spec"]["startupTaints"].as_array().into_iter().flatten().cloned());
    taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
    node["spec"]["taints"] = json!(taints);
    node
}

/// Makes a node of a managed node group.
pub fn of_group(machine: &Machine, group: &str, since: Timestamp) -> Value {
    let mut node = bare(machine, since);
    for (key, value) in
        [("eks.amazonaws.com/nodegroup", group), ("eks.amazonaws.com/capacityType", "ON_DEMAND")]
    {
        node["metadata"]["labels"][key] = json!(value);
    }
    node
}

fn bare(machine: &Machine, since: Timestamp) -> Value {
    let name = machine.node_name();
    let address = machine.address();
    let id = hex64(u64::from(machine.number));
    let mut labels = machine.labels();
    labels["kubernetes.io/hostname"] = json!(name);
    labels["beta.kubernetes.io/arch"] = json!("amd64");
    labels["beta.kubernetes.io/os"] = json!("linux");
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "labels": labels,
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                "alpha.kubernetes.io/provided-node-ip": address,
            },
            "creationTimestamp": seconds(since),
        },
        "spec": {"providerID": machine.provider()},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "InternalDNS", "address": name},
                {"type": "Hostname", "address": name},
            ],
            "capacity": machine.capacity(),
            "allocatable": machine.allocatable(),
            "conditions": conditions(false, since),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux",
                "bootID": format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]),
                "machineID": &id[..32], "systemUUID": format!("ec{}-{}-{}-{}-{}", &id[2..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]),
                "containerRuntimeVersion": "containerd://1.7.27",
                "kernelVersion": "6.1.134-150.224.amzn2023.x86_64",
                "kubeProxyVersion": "", "kubeletVersion": "v1.32.5-eks-5d4a308",
                "osImage": "Amazon Linux 2023.7.20250609",
            },
            "images": [],
        },
    })
}

/// Returns the conditions of a node, unchanged since a time.
pub fn conditions(ready: bool, since: Timestamp) -> Value {
    let at = seconds(since);
    let one = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": at, "lastTransitionTime": at});
    let (status, reason, message) = if ready {
        ("True", "KubeletReady", "kubelet is posting ready status")
    } else {
        ("False", "KubeletNotReady", "container runtime network not ready: cni plugin not initialized")
    };
    json!([
        one(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        one("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        one("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        one("Ready", status, reason, message),
    ])
}

/// Marks a node as up: ready, without the taints it started with.
pub fn settle(node: &mut Value, since: Timestamp) {
    node["status"]["conditions"] = conditions(true, later(since, 1.0));
    if node["metadata"]["labels"]["karpenter.sh/registered"] == "true" {
        node["metadata"]["labels"]["karpenter.sh/initialized"] = json!("true");
    }
    if let Some(taints) = node["spec"]["taints"].as_array_mut() {
        taints.retain(|taint| {
            taint["key"] != "node.kubernetes.io/not-ready" && taint["key"] != "node.cilium.io/agent-not-ready"
        });
        if taints.is_empty()
            && let Some(spec) = node["spec"].as_object_mut()
        {
            spec.remove("taints");
        }
    }
}

/// Makes a lease of `kube-node-lease`, by which a kubelet says that it is alive.
pub fn lease(node: &Value, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {
            "name": node["metadata"]["name"], "namespace": "kube-node-lease",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}],
        },
        "spec": {
            "holderIdentity": node["metadata"]["name"],
            // As long as two of the heartbeats that are sent here.
            "leaseDurationSeconds": 600,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_machine_has_its_own_name_and_address() {
        let machine =
            |number| Machine { number, instance: &INSTANCES[1], zone: 0, capacity: "spot", pods: 110 };
        let names: BTreeSet<String> = (0..5_000).map(|number| machine(number).node_name()).collect();
        assert_eq!(names.len(), 5_000);
    }
}
