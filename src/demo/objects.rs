//! The objects of the embedded platform and their history: what etcd and the API server's storage are to a
//! real cluster.
//!
//! It stores, orders and announces; it does not speak HTTP and does not decide what a controller would do.
