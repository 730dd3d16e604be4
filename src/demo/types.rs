//! The resource types that the embedded platform serves: what discovery tells about each.
//!
//! One line a type. Names, scopes and short names are those of Kubernetes 1.32 and of the projects' own CRDs.
//! It holds no objects.

/// What one resource type is called and what can be done with it.
#[derive(Debug)]
pub struct TypeInfo {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// The one version that is served.
    pub version: &'static str,
    /// Name in paths, such as `pods`.
    pub plural: &'static str,
    /// Name that a person types, such as `pod`.
    pub singular: &'static str,
    /// Name in objects, such as `Pod`.
    pub kind: &'static str,
    /// Abbreviations, such as `po`.
    pub short_names: &'static [&'static str],
    /// Groups of types, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` is written through its own path only.
    pub status: bool,
    /// Whether it has a `scale` subresource.
    pub scale: bool,
    /// Whether it is defined by a CRD: no strategic merge patch, and unknown fields are pruned.
    pub custom: bool,
    /// Whether the server counts `metadata.generation`.
    pub generation: bool,
}

macro_rules! types {
    ($($(#[$note:meta])* $kind:ident: $group:literal $version:literal $plural:literal $singular:literal
        [$($short:literal)*] [$($category:literal)*] $($flag:ident)*;)*) => {
        /// A resource type; the variant is the `kind` of its objects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the variants are the kinds of Kubernetes")]
        pub enum Type { $($kind,)* }

        impl Type {
            /// Every type, in the order of discovery.
            pub const ALL: &'static [Type] = &[$(Type::$kind,)*];
        }

        static INFO: &[TypeInfo] = &[$(TypeInfo {
            group: $group,
            version: $version,
            plural: $plural,
            singular: $singular,
            kind: stringify!($kind),
            short_names: &[$($short),*],
            categories: &[$($category),*],
            namespaced: has(&[$(stringify!($flag)),*], "namespaced"),
            status: has(&[$(stringify!($flag)),*], "status"),
            scale: has(&[$(stringify!($flag)),*], "scale"),
            custom: has(&[$(stringify!($flag)),*], "custom"),
            generation: has(&[$(stringify!($flag)),*], "generation"),
        },)*];
    };
}

/// Tells whether a flag stands in a line of the table; byte by byte, because this runs in the compiler.
const fn has(flags: &[&str], flag: &str) -> bool {
    let mut at = 0;
    while at < flags.len() {
        let (a, b) = (flags[at].as_bytes(), flag.as_bytes());
        let mut same = a.len() == b.len();
        let mut i = 0;
        while same && i < a.len() {
            same = a[i] == b[i];
            i += 1;
        }
        if same {
            return true;
        }
        at += 1;
    }
    false
}

types! {
    Namespace: "" "v1" "namespaces" "namespace" ["ns"] [] status;
    Node: "" "v1" "nodes" "node" ["no"] [] status;
    Pod: "" "v1" "pods" "pod" ["po"] ["all"] namespaced status;
    Service: "" "v1" "services" "service" ["svc"] ["all"] namespaced status;
    Endpoints: "" "v1" "endpoints" "endpoints" ["ep"] [] namespaced;
    ConfigMap: "" "v1" "configmaps" "configmap" ["cm"] [] namespaced;
    Secret: "" "v1" "secrets" "secret" [] [] namespaced;
    ServiceAccount: "" "v1" "serviceaccounts" "serviceaccount" ["sa"] [] namespaced;
    Event: "" "v1" "events" "event" ["ev"] [] namespaced;
    ResourceQuota: "" "v1" "resourcequotas" "resourcequota" ["quota"] [] namespaced status;
    LimitRange: "" "v1" "limitranges" "limitrange" ["limits"] [] namespaced;
    PersistentVolumeClaim: "" "v1" "persistentvolumeclaims" "persistentvolumeclaim" ["pvc"] [] namespaced status;
    PersistentVolume: "" "v1" "persistentvolumes" "persistentvolume" ["pv"] [] status;
    ReplicationController: "" "v1" "replicationcontrollers" "replicationcontroller" ["rc"] ["all"]
        namespaced status scale generation;
    Deployment: "apps" "v1" "deployments" "deployment" ["deploy"] ["all"] namespaced status scale generation;
    ReplicaSet: "apps" "v1" "replicasets" "replicaset" ["rs"] ["all"] namespaced status scale generation;
    StatefulSet: "apps" "v1" "statefulsets" "statefulset" ["sts"] ["all"] namespaced status scale generation;
    DaemonSet: "apps" "v1" "daemonsets" "daemonset" ["ds"] ["all"] namespaced status generation;
    ControllerRevision: "apps" "v1" "controllerrevisions" "controllerrevision" [] [] namespaced;
    Job: "batch" "v1" "jobs" "job" [] ["all"] namespaced status generation;
    CronJob: "batch" "v1" "cronjobs" "cronjob" ["cj"] ["all"] namespaced status generation;
    HorizontalPodAutoscaler: "autoscaling" "v2" "horizontalpodautoscalers" "horizontalpodautoscaler" ["hpa"] ["all"]
        namespaced status;
    Ingress: "networking.k8s.io" "v1" "ingresses" "ingress" ["ing"] [] namespaced status generation;
    NetworkPolicy: "networking.k8s.io" "v1" "networkpolicies" "networkpolicy" ["netpol"] [] namespaced generation;
    PodDisruptionBudget: "policy" "v1" "poddisruptionbudgets" "poddisruptionbudget" ["pdb"] []
        namespaced status generation;
    Role: "rbac.authorization.k8s.io" "v1" "roles" "role" [] [] namespaced;
    RoleBinding: "rbac.authorization.k8s.io" "v1" "rolebindings" "rolebinding" [] [] namespaced;
    ClusterRole: "rbac.authorization.k8s.io" "v1" "clusterroles" "clusterrole" [] [];
    ClusterRoleBinding: "rbac.authorization.k8s.io" "v1" "clusterrolebindings" "clusterrolebinding" [] [];
    StorageClass: "storage.k8s.io" "v1" "storageclasses" "storageclass" ["sc"] [];
    Lease: "coordination.k8s.io" "v1" "leases" "lease" [] [] namespaced;
    PriorityClass: "scheduling.k8s.io" "v1" "priorityclasses" "priorityclass" ["pc"] [] generation;
    EndpointSlice: "discovery.k8s.io" "v1" "endpointslices" "endpointslice" [] [] namespaced generation;
    CustomResourceDefinition: "apiextensions.k8s.io" "v1" "customresourcedefinitions" "customresourcedefinition"
        ["crd" "crds"] ["api-extensions"] status generation;
    Application: "argoproj.io" "v1alpha1" "applications" "application" ["app" "apps"] []
        namespaced custom generation;
    AppProject: "argoproj.io" "v1alpha1" "appprojects" "appproject" ["appproj" "appprojs"] []
        namespaced custom generation;
    ApplicationSet: "argoproj.io" "v1alpha1" "applicationsets" "applicationset" ["appset" "appsets"] []
        namespaced status custom generation;
    NodePool: "karpenter.sh" "v1" "nodepools" "nodepool" [] ["karpenter"] status scale custom generation;
    NodeClaim: "karpenter.sh" "v1" "nodeclaims" "nodeclaim" [] ["karpenter"] status custom generation;
    EC2NodeClass: "karpenter.k8s.aws" "v1" "ec2nodeclasses" "ec2nodeclass" ["ec2nc" "ec2ncs"] ["karpenter"]
        status custom generation;
    ExternalSecret: "external-secrets.io" "v1" "externalsecrets" "externalsecret" ["es"] ["external-secrets"]
        namespaced status custom generation;
    SecretStore: "external-secrets.io" "v1" "secretstores" "secretstore" ["ss"] ["external-secrets"]
        namespaced status custom generation;
    ClusterSecretStore: "external-secrets.io" "v1" "clustersecretstores" "clustersecretstore" ["css"]
        ["external-secrets"] status custom generation;
    ClusterExternalSecret: "external-secrets.io" "v1" "clusterexternalsecrets" "clusterexternalsecret" ["ces"]
        ["external-secrets"] status custom generation;
    SealedSecret: "bitnami.com" "v1alpha1" "sealedsecrets" "sealedsecret" [] [] namespaced status custom generation;
    Certificate: "cert-manager.io" "v1" "certificates" "certificate" ["cert" "certs"] ["cert-manager"]
        namespaced status custom generation;
    CertificateRequest: "cert-manager.io" "v1" "certificaterequests" "certificaterequest" ["cr" "crs"] ["cert-manager"]
        namespaced status custom generation;
    Issuer: "cert-manager.io" "v1" "issuers" "issuer" ["iss"] ["cert-manager"] namespaced status custom generation;
    ClusterIssuer: "cert-manager.io" "v1" "clusterissuers" "clusterissuer" ["ciss"] ["cert-manager"]
        status custom generation;
    Order: "acme.cert-manager.io" "v1" "orders" "order" [] ["cert-manager" "cert-manager-acme"]
        namespaced status custom generation;
    Challenge: "acme.cert-manager.io" "v1" "challenges" "challenge" [] ["cert-manager" "cert-manager-acme"]
        namespaced status custom generation;
    DNSEndpoint: "externaldns.k8s.io" "v1alpha1" "dnsendpoints" "dnsendpoint" [] [] namespaced status custom generation;
    ScaledObject: "keda.sh" "v1alpha1" "scaledobjects" "scaledobject" ["so"] [] namespaced status custom generation;
    PolicyReport: "wgpolicyk8s.io" "v1alpha2" "policyreports" "policyreport" ["polr"] [] namespaced custom generation;
    VulnerabilityReport: "aquasecurity.github.io" "v1alpha1" "vulnerabilityreports" "vulnerabilityreport"
        ["vuln" "vulns"] [] namespaced custom generation;
}

impl Type {
    /// Returns what discovery tells about the type.
    pub fn info(self) -> &'static TypeInfo {
        // The enum and the table come from the same lines, so the index is always within.
        &INFO[self as usize]
    }

    /// Returns `v1` or `apps/v1`, as objects spell it.
    pub fn api_version(self) -> String {
        let info = self.info();
        if info.group.is_empty() {
            info.version.to_owned()
        } else {
            format!("{}/{}", info.group, info.version)
        }
    }

    /// Returns `pods` or `deployments.apps`, as messages spell it.
    pub fn qualified(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) }
    }

    /// Finds the type of a path; `None` where the platform has no such resource.
    pub fn by_path(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| {
            let info = kind.info();
            info.plural == plural && info.group == group && info.version == version
        })
    }

    /// Finds the type of an object by its `apiVersion` and `kind`.
    pub fn by_kind(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::ALL.iter().copied().find(|candidate| {
            let info = candidate.info();
            info.kind == kind && info.group == group && info.version == version
        })
    }

    /// Finds the type by group and kind, as owner references and Argo resources name it.
    pub fn by_group_kind(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|candidate| {
            let info = candidate.info();
            info.kind == kind && info.group == group
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_have_no_status_subresource_and_deployments_do() {
        assert!(!Type::Application.info().status);
        assert!(Type::Application.info().custom);
        assert!(Type::Deployment.info().status && Type::Deployment.info().scale);
        assert_eq!(Type::by_path("apps", "v1", "deployments"), Some(Type::Deployment));
        assert_eq!(Type::by_kind("argoproj.io/v1alpha1", "Application"), Some(Type::Application));
        assert_eq!(Type::by_path("", "v1", "deployments"), None);
    }

    #[test]
    fn no_two_types_share_a_path() {
        for (at, kind) in Type::ALL.iter().enumerate() {
            let info = kind.info();
            assert_eq!(Type::by_path(info.group, info.version, info.plural), Some(Type::ALL[at]));
        }
    }
}
