//! The embedded platform: a small but honest Kubernetes platform inside this binary.
//!
//! It is the demo, the test bed, the load generator and the photographer of the README. It speaks the real
//! wire protocols on the loopback interface only, and it never reads the user's kubeconfig or AWS profile.
//! Nothing outside `main`, `cli` and the tests may use it: no part of the console knows that it talks to it.

pub mod access;
pub mod activity;
pub mod admission;
pub mod alertmanager;
pub mod argo;
pub mod argo_auto;
pub mod argo_compare;
pub mod argo_diff;
pub mod argo_health;
pub mod argo_manifests;
pub mod argo_operation;
pub mod argo_render;
pub mod argo_seed;
pub mod argo_sets;
pub mod argo_sync;
pub mod argo_window;
pub mod autoscalers;
pub mod backends;
pub mod budgets;
pub mod cells;
pub mod columns;
pub mod component_services;
pub mod components;
pub mod crds;
pub mod credentials;
pub mod cronjobs;
pub mod daemonsets;
pub mod deletion;
pub mod deployments;
pub mod director;
pub mod discovery;
pub mod disruption;
pub mod endpoints;
pub mod estate;
pub mod eviction;
pub mod fields;
pub mod fieldset;
pub mod findings;
pub mod git;
pub mod gitops;
pub mod go_regex;
pub mod images;
pub mod jobs;
pub mod karpenter;
pub mod kubelet;
pub mod logql;
pub mod logs;
pub mod manifests;
pub mod metrics;
pub mod node_life;
pub mod nodes;
pub mod numbers;
pub mod objects;
pub mod openapi;
pub mod owner;
pub mod ownership;
pub mod paging;
pub mod patch;
pub mod plain;
pub mod platform;
pub mod pod_cells;
pub mod podlog;
pub mod pods;
pub mod prometheus;
pub mod promql;
pub mod protobuf;
pub mod provisioning;
pub mod proxy;
pub mod quota;
pub mod read;
pub mod recorder;
pub mod replicasets;
pub mod request;
pub mod review;
pub mod route;
pub mod scale;
pub mod scheduler;
pub mod schema;
pub mod secrets;
pub mod seed;
pub mod selector;
pub mod server;
pub mod statefulsets;
pub mod status;
pub mod stories;
pub mod structural;
pub mod table;
pub mod tenancy;
pub mod types;
pub mod untyped;
pub mod usage;
pub mod versions;
pub mod view;
pub mod watch;
pub mod world;
pub mod write;

pub use platform::Platform;

#[cfg(test)]
mod argo_tests;
#[cfg(test)]
mod story_tests;
