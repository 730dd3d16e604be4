//! The embedded platform: a small but honest Kubernetes platform inside this binary.
//!
//! It is the demo, the test bed, the load generator and the photographer of the README. It speaks the real
//! wire protocols on the loopback interface only, and it never reads the user's kubeconfig or AWS profile.
//! Nothing outside `main`, `cli` and the tests may use it: no part of the console knows that it talks to it.

pub mod argo_diff;
pub mod argo_health;
pub mod argo_manifests;
pub mod argo_render;
pub mod argo_window;
pub mod daemonsets;
pub mod deletion;
pub mod deployments;
pub mod estate;
pub mod fields;
pub mod git;
pub mod gitops;
pub mod images;
pub mod karpenter;
pub mod kubelet;
pub mod manifests;
pub mod nodes;
pub mod objects;
pub mod platform;
pub mod pods;
pub mod quota;
pub mod recorder;
pub mod replicasets;
pub mod scheduler;
pub mod seed;
pub mod selector;
pub mod statefulsets;
pub mod status;
pub mod tenancy;
pub mod types;
pub mod untyped;
pub mod usage;
pub mod view;
pub mod world;
