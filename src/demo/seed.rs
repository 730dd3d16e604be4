//! The platform as it is when a client first looks: months old, and at rest.
//!
//! It builds the steady state directly instead of rolling everything out, so that a hundred thousand pods take
//! seconds. What it writes must be what the controllers would have written: a fresh world has nothing to reconcile.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::argo_render::deployed as deployed_by_argo;
use super::belongings;
use super::certificates;
use super::component_services;
use super::components::{self, COMPONENTS, Component};
use super::daemonsets;
use super::deployments::{REVISION, replica_set};
use super::estate::{App, Environment, Stage, Tenant, Workload, ago};
use super::kubelet::pod_address;
use super::nodes::{self, INSTANCES, Instance, Machine};
use super::objects::{Key, seconds};
use super::pods;
use super::recorder::Note;
use super::replicasets::wanted;
use super::statefulsets;
use super::tenancy;
use super::types::Type;
use super::untyped::{later, list, mark, milli, number, put, set_condition, slot, text, time, units};
use super::world::{Controller, Cx, World};

/// Returns the controllers of the cluster, in the order in which they see a change.
pub fn controllers() -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(super::deployments::Deployments),
        Box::new(super::replicasets::ReplicaSets::default()),
        Box::new(super::statefulsets::StatefulSets),
        Box::new(super::daemonsets::DaemonSets),
        Box::new(super::jobs::Jobs),
        Box::new(super::cronjobs::CronJobs),
        Box::new(super::budgets::Budgets),
        Box::new(super::quota::Quotas),
        Box::new(super::endpoints::EndpointSlices),
        Box::new(super::autoscalers::Autoscalers::default()),
        Box::new(super::secrets::Secrets::default()),
        Box::new(super::reloader::Reloader::default()),
        Box::new(super::scanner::Scanner::default()),
        Box::new(super::certificates::CertManager),
        Box::new(super::activity::Activity::default()),
        Box::new(super::surroundings::Surroundings),
        Box::new(super::node_life::NodeLife),
        Box::new(super::provisioning::Provisioning::default()),
        Box::new(super::disruption::Disruption::default()),
        Box::new(super::scheduler::Scheduler::default()),
        Box::new(super::kubelet::Kubelet::default()),
    ]
}

/// Fills an empty world.
pub fn seed(world: &mut World) {
    let mut rng = super::world::rng(world.options.seed, "seed");
    let tenants = world.estate.tenants.clone();
    world.with(|cx| {
        let mut seeder = Seeder { cx, rng: rng.fork(), addresses: 0, slots: Vec::new(), clusters: 0 };
        seeder.platform();
        seeder.nodes(&tenants);
        for component in COMPONENTS {
            seeder.component(component);
        }
        for tenant in &tenants {
            for stage in &tenant.stages {
                seeder.stage(tenant, stage);
            }
        }
        seeder.belongings();
    });
    world.settle_seed();
}

/// Room on one node.
struct Slot {
    name: String,
    address: String,
    capacity: &'static str,
    since: Timestamp,
    cpu: i64,
    memory: i64,
    pods: i64,
    total_cpu: i64,
    total_memory: i64,
}

struct Seeder<'a, 'b> {
    cx: &'a mut Cx<'b>,
    rng: Rng,
    addresses: u32,
    slots: Vec<Slot>,
    clusters: u32,
}

impl Seeder<'_, '_> {
    /// Creates an object that was created at a time; one that is refused is a mistake of the seed and is logged.
    fn create(&mut self, kind: Type, mut object: Value, since: Timestamp) -> Option<Value> {
        put(&mut object, &["metadata", "creationTimestamp"], seconds(since));
        match self.cx.create(kind, object) {
            Ok(key) => self.cx.get(&key),
            Err(status) => {
                tracing::warn!(%status, "an object of the seed was refused");
                None
            }
        }
    }

    /// Makes the request and the order that a Certificate came from.
    fn issued(&mut self, certificate: Option<Value>) {
        let Some(certificate) = certificate else { return };
        let Some(since) = time(&certificate, "/status/notBefore") else { return };
        let written = seconds(since);
        let name = format!("{}-key", text(&certificate, "/metadata/name"));
        let revision = number(&certificate, "/status/revision");
        let mut request = certificates::request_of(&certificate, revision, &name);
        certificates::done(Type::CertificateRequest, &mut request, &written);
        let Some(request) = self.create(Type::CertificateRequest, request, since) else { return };
        let mut order = certificates::order_of(&request, &certificate["spec"]["dnsNames"]);
        certificates::done(Type::Order, &mut order, &written);
        self.create(Type::Order, order, since);
    }

    fn ago(&self, seconds: i64) -> Timestamp {
        ago(self.cx.now, SignedDuration::from_secs(seconds))
    }

    /// Returns a time between `least` and `most` seconds ago.
    fn between(&mut self, least: i64, most: i64) -> Timestamp {
        let seconds = self.rng.i64(least..most);
        self.ago(seconds)
    }

    /// Namespaces, classes and everything else that is there before the first workload.
    fn platform(&mut self) {
        let since = self.ago(86_400 * 720);
        for name in components::NAMESPACES {
            let labels = json!({"app.kubernetes.io/part-of": "platform", "pod-security.kubernetes.io/enforce": "privileged"});
            self.namespace(name, labels, since);
        }
        for (kind, object) in tenancy::cluster_wide() {
            self.create(kind, object, since);
        }
    }

    /// What the platform team keeps beside its workloads.
    fn belongings(&mut self) {
        let since = self.ago(86_400 * 300);
        if let Some(by) =
            self.create(Type::ClusterExternalSecret, belongings::cluster_external_secret(), since)
        {
            let made = tenancy::synced(belongings::provisioned(&by), self.ago(700));
            if let Some(stored) = self.create(Type::ExternalSecret, made, since) {
                tenancy::keep_remote(&stored, false, since, self.cx.vault, &mut self.rng);
                if let Ok(secret) = tenancy::secret_of(&stored, self.cx.vault, since) {
                    self.create(Type::Secret, secret, since);
                }
            }
        }
        if let Some(sealed) = self.create(Type::SealedSecret, belongings::sealed(since), since) {
            self.create(Type::Secret, belongings::unsealed(&sealed), since);
        }
        let (kind, names) = belongings::names();
        self.create(kind, names, since);
    }

    fn namespace(&mut self, name: &str, labels: Value, since: Timestamp) {
        self.create(Type::Namespace, json!({"metadata": {"name": name, "labels": labels}}), since);
        self.create(Type::ServiceAccount, json!({"metadata": {"name": "default", "namespace": name}}), since);
        let root = json!({
            "metadata": {"name": "kube-root-ca.crt", "namespace": name, "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc."}},
            "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIBADAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhkZW1v\n-----END CERTIFICATE-----\n"},
        });
        self.create(Type::ConfigMap, root, since);
    }

    /// Buys machines that are large enough for what will run on them, with a quarter to spare.
    fn nodes(&mut self, tenants: &[Tenant]) {
        let count = self.cx.options.nodes.max(1);
        let (mut cpu, mut memory, mut pods) = (0_i64, 0_i64, 0_i64);
        for app in tenants.iter().flat_map(|tenant| &tenant.stages).flat_map(|stage| &stage.apps) {
            let replicas = i64::from(app.replicas);
            let side = if app.profile.public { (20, 48) } else { (0, 0) };
            cpu += replicas * (app.profile.cpu + side.0);
            memory += replicas * (app.profile.memory + side.1);
            pods += replicas;
        }
        let (mut daemon_cpu, mut daemon_memory, mut daemons) = (0, 0, 0);
        for part in COMPONENTS {
            if part.kind == "DaemonSet" {
                daemon_cpu += part.cpu;
                daemon_memory += part.memory;
                daemons += 1;
            } else {
                cpu += part.cpu * part.replicas;
                memory += part.memory * part.replicas;
                pods += part.replicas;
            }
        }
        let nodes = i64::try_from(count).unwrap_or(i64::MAX);
        // Pods with a node selector crowd the on-demand nodes, which are a third.
        let need_cpu = cpu * 4 / 3 / nodes + daemon_cpu + 300;
        let need_memory = ((memory * 4 / 3 / nodes) + daemon_memory + 1100) << 20;
        let need_pods = pods * 5 / 4 / nodes + daemons;
        let fits = |instance: &&Instance| instance.cpu() >= need_cpu && instance.memory() >= need_memory;
        let instance = INSTANCES.iter().find(fits).unwrap_or(&INSTANCES[INSTANCES.len() - 1]);
        let larger =
            INSTANCES.iter().find(|other| fits(other) && other.cpus > instance.cpus).unwrap_or(instance);
        let (class, pools) = components::karpenter();
        let since = self.ago(86_400 * 400);
        self.create(Type::EC2NodeClass, super::karpenter::with_class_status(class, since), since);
        let pools: Vec<Value> =
            pools.into_iter().filter_map(|pool| self.create(Type::NodePool, pool, since)).collect();
        let managed = (count / 6).clamp(usize::from(count > 3), 3);
        for number in 0..count {
            let spot = number % 3 != 0;
            let instance = if number % 5 == 4 { larger } else { instance };
            let machine = Machine {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                instance,
                zone: number % 3,
                capacity: if number < managed || !spot { "on-demand" } else { "spot" },
                pods: instance.pods().max(need_pods),
            };
            // Spot nodes live for days, on-demand ones until they expire after thirty days; the group's are old.
            let age = if number < managed {
                86_400 * 90 + self.rng.i64(0..86_400 * 30)
            } else if spot {
                self.rng.i64(1_200..86_400 * 6)
            } else {
                self.rng.i64(86_400..86_400 * 24)
            };
            let since = self.ago(age);
            let node = if number < managed {
                self.group_node(&machine, since)
            } else {
                let pool = pools.iter().find(|pool| text(pool, "/metadata/name") == machine.capacity);
                pool.and_then(|pool| self.claimed_node(pool, &machine, since))
            };
            if let Some(node) = node {
                self.create(Type::Lease, nodes::lease(&node, self.cx.now), since);
                self.slots.push(Slot {
                    name: machine.node_name(),
                    address: machine.address(),
                    // Nodes of the group carry no capacity type of Karpenter.
                    capacity: if number < managed { "" } else { machine.capacity },
                    since,
                    cpu: instance.cpu(),
                    memory: instance.memory(),
                    pods: machine.pods,
                    total_cpu: instance.cpu(),
                    total_memory: instance.memory(),
                });
            }
        }
    }

    fn group_node(&mut self, machine: &Machine, since: Timestamp) -> Option<Value> {
        let mut node = nodes::of_group(machine, "system", since);
        nodes::settle(&mut node, since);
        self.create(Type::Node, node, since)
    }

    fn claimed_node(&mut self, pool: &Value, machine: &Machine, since: Timestamp) -> Option<Value> {
        let name = format!("{}-{}", text(pool, "/metadata/name"), self.cx.objects.suffix());
        let requests = (machine.instance.cpu() / 2, machine.instance.memory() / 2, 20);
        let claim = nodes::claim(pool, &name, machine, requests);
        let mut claim = super::karpenter::with_class_hash(claim, self.cx);
        nodes::launch(&mut claim, machine, super::karpenter::IMAGE);
        put(&mut claim, &["status", "nodeName"], machine.node_name());
        super::karpenter::settle_claim(&mut claim, since);
        let claim = self.create(Type::NodeClaim, claim, since)?;
        for (stage, after) in
            [("Launched", 4.0), ("Registered", 25.0), ("Initialized", 32.0), ("Ready", 32.0)]
        {
            let message = format!(
                "Status condition transitioned, Type: {stage}, Status: Unknown -> True, Reason: {stage}"
            );
            self.happened(&claim, stage, &message, super::provisioning::BY, later(since, after));
        }
        let registered = later(since, 25.0);
        let mut node = nodes::of_claim(&claim, machine, registered);
        nodes::settle(&mut node, registered);
        self.create(Type::Node, node, registered)
    }

    /// Places a pod that has run since some time after `from`, and creates it.
    fn run(&mut self, mut pod: Value, from: Timestamp, fixed: Option<usize>) {
        let (mut cpu, mut memory) = (0, 0);
        for container in list(&pod, "/spec/containers") {
            cpu += milli(&container["resources"]["requests"]["cpu"]);
            memory += units(&container["resources"]["requests"]["memory"]);
        }
        let capacity = text(&pod, "/spec/nodeSelector/karpenter.sh~1capacity-type").to_owned();
        let fits = |slot: &Slot| {
            slot.cpu >= cpu
                && slot.memory >= memory
                && slot.pods > 0
                && (capacity.is_empty() || slot.capacity == capacity)
        };
        let spread = self.rng.usize(..self.slots.len().max(1));
        let best = fixed.or_else(|| {
            (0..self.slots.len()).filter(|at| fits(&self.slots[*at])).max_by_key(|at| {
                let slot = &self.slots[*at];
                let free = (slot.cpu * 1000 / slot.total_cpu).min(slot.memory * 1000 / slot.total_memory);
                // A little disorder keeps replicas of one workload apart, as years of rescheduling do.
                free + i64::try_from((at * 7 + spread * 13) % 40).unwrap_or(0)
            })
        });
        let Some(at) = best else {
            self.create(Type::Pod, pod, self.cx.now);
            return;
        };
        let slot = &mut self.slots[at];
        slot.cpu -= cpu;
        slot.memory -= memory;
        slot.pods -= 1;
        let since = from.max(later(slot.since, 40.0));
        // Half of the pods are as old as they can be; the others have moved since.
        let room = (self.cx.now.as_second() - since.as_second()).max(0);
        let moved =
            if self.rng.bool() || room < 120 { self.rng.i64(0..20) } else { self.rng.i64(0..room - 60) };
        let since = Timestamp::from_second((since.as_second() + moved).min(self.cx.now.as_second() - 60))
            .unwrap_or(since);
        self.addresses += 1;
        let host_network = super::untyped::flag(&pod, "/spec/hostNetwork");
        let ip = if host_network { slot.address.clone() } else { pod_address(self.addresses) };
        let (name, address) = (slot.name.clone(), slot.address.clone());
        pods::settle_running(&mut pod, &name, &address, &ip, since);
        let age = self.cx.now.as_second() - since.as_second();
        if age > 7_200 && self.rng.u32(..25) == 0 {
            self.restarted(&mut pod, since, age);
        }
        self.create(Type::Pod, pod, since);
    }

    /// Gives a pod a container that has been restarted some hours ago.
    fn restarted(&mut self, pod: &mut Value, since: Timestamp, age: i64) {
        let before = later(since, self.rng.i64(3_600..age) as f64);
        let killed = self.rng.bool();
        let again = later(before, 2.0);
        let count = self.rng.i64(1..4);
        let status = &mut pod["status"]["containerStatuses"][0];
        status["lastState"] = json!({"terminated": {
            "exitCode": if killed { 137 } else { 1 }, "reason": if killed { "OOMKilled" } else { "Error" },
            "startedAt": status["state"]["running"]["startedAt"], "finishedAt": seconds(before),
            "containerID": status["containerID"],
        }});
        status["restartCount"] = json!(count);
        status["state"] = json!({"running": {"startedAt": seconds(again)}});
        for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
                condition["lastTransitionTime"] = json!(seconds(later(again, 6.0)));
            }
        }
    }

    fn component(&mut self, part: &Component) {
        let since = self.between(86_400 * 380, 86_400 * 381);
        let deployed = self.between(86_400 * 3, 86_400 * 60);
        let account =
            json!({"metadata": {"name": part.name, "namespace": part.namespace, "labels": part.labels()}});
        self.create(Type::ServiceAccount, account, since);
        for service in component_services::services(part) {
            let service = self.with_address(service);
            self.create(Type::Service, service, since);
        }
        let workload = part.workload();
        match part.kind {
            "DaemonSet" => self.daemon_set(workload, since, deployed),
            "StatefulSet" => self.stateful_set(workload, since, deployed),
            _ => self.deployment(vec![(workload, deployed)], since),
        }
        if part.kind == "Deployment" && part.replicas > 1 {
            let budget = json!({
                "metadata": {"name": part.name, "namespace": part.namespace, "labels": part.labels()},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": part.workload()["spec"]["selector"]["matchLabels"]}},
            });
            self.create(Type::PodDisruptionBudget, budget, since);
        }
    }

    /// Gives a Service its cluster address, as the API server does.
    fn with_address(&mut self, mut service: Value) -> Value {
        self.clusters += 1;
        if service["spec"]["clusterIP"].is_null() {
            service["spec"]["clusterIP"] = json!(cluster_address(self.clusters));
        }
        service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
        service["spec"]["internalTrafficPolicy"] = json!("Cluster");
        service["spec"]["ipFamilies"] = json!(["IPv4"]);
        service["spec"]["ipFamilyPolicy"] = json!("SingleStack");
        service["spec"]["sessionAffinity"] = json!("None");
        service["status"] = json!({"loadBalancer": {}});
        if service["spec"]["type"] == "LoadBalancer" {
            service["status"]["loadBalancer"] = json!({"ingress": [{"hostname": tenancy::BALANCER}]});
        }
        service
    }

    fn stage(&mut self, tenant: &Tenant, stage: &Stage) {
        self.namespace(&stage.namespace, tenancy::labels(tenant, stage), tenant.since);
        for (kind, object) in tenancy::namespaced(tenant, stage) {
            self.create(kind, object, tenant.since);
        }
        for app in &stage.apps {
            self.app(tenant, app);
        }
    }

    fn app(&mut self, tenant: &Tenant, app: &App) {
        let first = app.releases.first().map_or(tenant.since, |release| release.at);
        let deployed = app.releases.last().map_or(first, |release| release.at);
        for mut manifest in deployed_by_argo(app, app.version()) {
            let Some(kind) = Type::by_kind(text(&manifest, "/apiVersion"), text(&manifest, "/kind")) else {
                continue;
            };
            match kind {
                Type::Deployment => {
                    let revisions = app
                        .releases
                        .iter()
                        .map(|release| {
                            let mut workload = deployed_by_argo(app, &release.version)
                                .into_iter()
                                .find(|other| other["kind"] == "Deployment")
                                .unwrap_or_default();
                            let cause = format!("{} {}: {}", app.name, release.version, release.message);
                            mark(&mut workload, "annotations", "kubernetes.io/change-cause", &cause);
                            if workload["spec"]["replicas"].is_null() {
                                workload["spec"]["replicas"] = json!(app.replicas);
                            }
                            (workload, release.at)
                        })
                        .collect();
                    self.deployment(revisions, first);
                }
                Type::StatefulSet => self.stateful_set(manifest, first, deployed),
                Type::Service => {
                    let service = self.with_address(manifest);
                    self.create(kind, service, first);
                }
                Type::Ingress => {
                    put(
                        &mut manifest,
                        &["status"],
                        json!({"loadBalancer": {"ingress": [{"hostname": tenancy::BALANCER}]}}),
                    );
                    self.create(kind, manifest.clone(), first);
                    for (kind, object) in tenancy::certificate(app, &manifest, self.cx, &mut self.rng) {
                        let stored = self.create(kind, object, first);
                        if kind == Type::Certificate {
                            self.issued(stored);
                        }
                    }
                }
                Type::ExternalSecret => {
                    let refreshed = self.between(30, 3_500);
                    let manifest = tenancy::synced(manifest, refreshed);
                    // What is not in production has passwords that a person sets.
                    let rotates = app.environment == Environment::Prod;
                    if let Some(stored) = self.create(kind, manifest, first) {
                        tenancy::keep_remote(&stored, rotates, first, self.cx.vault, &mut self.rng);
                        if let Ok(secret) = tenancy::secret_of(&stored, self.cx.vault, first) {
                            self.create(Type::Secret, secret, first);
                        }
                    }
                }
                Type::CronJob => self.cron_job(manifest, first),
                Type::HorizontalPodAutoscaler => {
                    for (kind, reason) in
                        [("AbleToScale", "ReadyForNewScale"), ("ScalingActive", "ValidMetricFound")]
                    {
                        set_condition(&mut manifest, kind, "True", reason, "", &seconds(later(first, 30.0)));
                    }
                    put(&mut manifest, &["status", "currentReplicas"], app.replicas);
                    put(&mut manifest, &["status", "desiredReplicas"], app.replicas);
                    self.create(kind, manifest, first);
                }
                _ => {
                    self.create(kind, manifest, first);
                }
            }
        }
        debug_assert!(app.profile.workload != Workload::Deployment || deployed >= first);
    }

    /// Creates a deployment with one ReplicaSet for each revision, oldest first; the last one runs.
    fn deployment(&mut self, revisions: Vec<(Value, Timestamp)>, since: Timestamp) {
        // Revisions that the history limit has removed are not made at all.
        let skip = revisions.len().saturating_sub(5);
        let count = i64::try_from(revisions.len()).unwrap_or(0);
        let Some((mut current, deployed)) = revisions.last().cloned() else { return };
        mark(&mut current, "annotations", REVISION, &count.to_string());
        let replicas = wanted(&current);
        let hash = pods::template_hash(&current["spec"]["template"]);
        let set_name = format!("{}-{hash}", text(&current, "/metadata/name"));
        current["status"] = counted(replicas);
        put(&mut current, &["status", "observedGeneration"], 1);
        put(&mut current, &["status", "updatedReplicas"], replicas);
        let settled = later(deployed, 31.0).min(self.cx.now);
        let available =
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned());
        let message = format!("ReplicaSet \"{set_name}\" has successfully progressed.");
        for (kind, reason, message, at) in [
            (available.0, available.1, available.2, later(since, 30.0)),
            ("Progressing", "NewReplicaSetAvailable", message, since),
        ] {
            set_condition(&mut current, kind, "True", reason, &message, &seconds(at));
        }
        for condition in slot(&mut current, &["status", "conditions"]).as_array_mut().into_iter().flatten() {
            condition["lastUpdateTime"] = json!(seconds(settled));
        }
        let Some(stored) = self.create(Type::Deployment, current, since) else { return };
        let mut running = None;
        for (at, (revision, date)) in revisions.iter().enumerate().skip(skip) {
            let number = i64::try_from(at).unwrap_or(0) + 1;
            let last = number == count;
            let mut workload = revision.clone();
            workload["metadata"]["uid"] = stored["metadata"]["uid"].clone();
            let hash = pods::template_hash(&workload["spec"]["template"]);
            let mut set = replica_set(&workload, &hash, if last { replicas } else { 0 }, number);
            set["status"] = if last { counted(replicas) } else { json!({"replicas": 0}) };
            put(&mut set, &["status", "observedGeneration"], 1);
            if last {
                put(&mut set, &["status", "fullyLabeledReplicas"], replicas);
            }
            let set = self.create(Type::ReplicaSet, set, *date);
            if last {
                running = set;
            }
        }
        let Some(set) = running else { return };
        // Scanners look at the tenants' workloads; a report on every third is enough to work with.
        if stored["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm" && self.rng.u32(..3) == 0 {
            let scanned = self.between(600, 80_000).max(later(deployed, 60.0));
            self.create(Type::VulnerabilityReport, super::findings::vulnerabilities(&set, scanned), scanned);
            self.create(Type::PolicyReport, super::findings::policies(&stored, scanned), scanned);
        }
        let owner = pods::owner_reference(&set);
        let namespace = text(&set, "/metadata/namespace").to_owned();
        let stem = text(&set, "/metadata/name").to_owned();
        for _ in 0..replicas {
            let name = format!("{stem}-{}", self.cx.objects.suffix());
            let mut pod = pods::from_template(&set["spec"]["template"], &namespace, &name, &owner);
            put(&mut pod, &["metadata", "generateName"], format!("{stem}-"));
            self.run(pod, deployed, None);
        }
    }

    fn stateful_set(&mut self, mut workload: Value, since: Timestamp, deployed: Timestamp) {
        let replicas = wanted(&workload);
        let revision = statefulsets::revision_name(&workload);
        workload["status"] = counted(replicas);
        for (field, value) in [
            ("observedGeneration", json!(1)),
            ("currentReplicas", json!(replicas)),
            ("updatedReplicas", json!(replicas)),
            ("currentRevision", json!(revision)),
            ("updateRevision", json!(revision)),
            ("collisionCount", json!(0)),
        ] {
            workload["status"][field] = value;
        }
        let Some(stored) = self.create(Type::StatefulSet, workload, since) else { return };
        self.create(Type::ControllerRevision, statefulsets::revision(&stored, 1), deployed);
        for at in 0..replicas {
            let pod = statefulsets::pod(&stored, &stored["spec"]["template"], at, &revision);
            for claim in list(&stored, "/spec/volumeClaimTemplates") {
                let name = format!("{}-{}", text(claim, "/metadata/name"), text(&pod, "/metadata/name"));
                let (volume, claim) = statefulsets::volume(&stored, claim, &name);
                self.create(Type::PersistentVolume, volume, since);
                self.create(Type::PersistentVolumeClaim, claim, since);
            }
            self.run(pod, deployed, None);
        }
    }

    /// Creates a `CronJob` with the jobs of its last times, done.
    fn cron_job(&mut self, mut cron: Value, since: Timestamp) {
        // Every quarter of an hour; a run takes less than a minute.
        let last = (self.cx.now.as_second() - 60) / 900 * 900;
        let times: Vec<Timestamp> =
            (0..3).rev().filter_map(|back| Timestamp::from_second(last - 900 * back).ok()).collect();
        let Some(latest) = times.last().copied() else { return };
        let took = 26.0;
        cron["status"] =
            json!({"lastScheduleTime": seconds(latest), "lastSuccessfulTime": seconds(later(latest, took))});
        let Some(cron) = self.create(Type::CronJob, cron, since) else { return };
        for at in times {
            let end = seconds(later(at, took));
            let mut job = super::cronjobs::job(&cron, at);
            job["status"] = json!({"startTime": seconds(at), "completionTime": end, "succeeded": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}});
            for kind in ["SuccessCriteriaMet", "Complete"] {
                let message = "Reached expected number of succeeded pods";
                set_condition(&mut job, kind, "True", "CompletionsReached", message, &end);
            }
            let Some(job) = self.create(Type::Job, job, at) else { continue };
            let name = format!("{}-{}", text(&job, "/metadata/name"), self.cx.objects.suffix());
            let mut pod = super::jobs::pod(&job, &name);
            let spread = self.rng.usize(..self.slots.len().max(1));
            let Some(slot) = self.slots.get(spread) else { continue };
            let ip = pod_address(self.addresses);
            pods::settle_running(&mut pod, &slot.name.clone(), &slot.address.clone(), &ip, at);
            for number in 0..list(&pod, "/spec/containers").len() {
                pods::exit(&mut pod, number, 0, "Completed", &end);
            }
            pods::settle(&mut pod, &end);
            if let Some(pod) = self.create(Type::Pod, pod, at) {
                let image = text(&pod, "/spec/containers/0/image").to_owned();
                let node = text(&pod, "/spec/nodeName").to_owned();
                self.happened(
                    &cron,
                    "SuccessfulCreate",
                    &format!("Created job {}", text(&job, "/metadata/name")),
                    "cronjob-controller",
                    at,
                );
                self.happened(
                    &job,
                    "SuccessfulCreate",
                    &format!("Created pod: {name}"),
                    "job-controller",
                    at,
                );
                self.happened(
                    &pod,
                    "Scheduled",
                    &format!("Successfully assigned {}/{name} to {node}", text(&pod, "/metadata/namespace")),
                    "default-scheduler",
                    at,
                );
                self.happened(&pod, "Pulling", &format!("Pulling image \"{image}\""), "kubelet", at);
                self.happened(&pod, "Started", "Started container reports", "kubelet", later(at, 3.0));
                self.happened(&job, "Completed", "Job completed", "job-controller", later(at, took));
            }
        }
    }

    /// Records what happened before the platform was looked at; what is older than the retention is left out.
    fn happened(&mut self, about: &Value, reason: &str, message: &str, by: &str, at: Timestamp) {
        if self.cx.now.as_second() - at.as_second() < 3_600 {
            let note = Note { kind: "Normal", reason, message, by };
            self.cx.past_event(about, note, at, at, 1);
        }
    }

    fn daemon_set(&mut self, mut workload: Value, since: Timestamp, deployed: Timestamp) {
        let count = self.slots.len();
        workload["status"] = json!({
            "currentNumberScheduled": count, "desiredNumberScheduled": count, "numberAvailable": count,
            "numberMisscheduled": 0, "numberReady": count, "observedGeneration": 1, "updatedNumberScheduled": count,
        });
        let Some(stored) = self.create(Type::DaemonSet, workload, since) else { return };
        self.create(Type::ControllerRevision, statefulsets::revision(&stored, 1), deployed);
        let hash = daemonsets::hash(&stored);
        for at in 0..count {
            let suffix = self.cx.objects.suffix();
            let pod = daemonsets::pod(&stored, &self.slots[at].name, &hash, &suffix);
            self.run(pod, deployed, Some(at));
        }
    }
}

/// Returns the counters of a workload whose replicas are all well.
fn counted(replicas: i64) -> Value {
    if replicas == 0 {
        return json!({"replicas": 0});
    }
    json!({"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas})
}

/// Returns the `number`th address of the service network, 172.20.0.0/16.
fn cluster_address(number: u32) -> String {
    let number = number + 10;
    format!("172.20.{}.{}", (number >> 8) & 0xff, number & 0xff)
}

/// Returns the key of an app's deployment, for stories and tests.
pub fn deployment_key(app: &App) -> Key {
    Key::new(Type::Deployment, &app.namespace, &app.name)
}
