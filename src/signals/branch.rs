//! The tree of an Application as argocd-server tells it.

use crate::identity::Text;

/// A thing in the tree of an Application (`resource-tree`, contracts 1.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its UID; empty for what Git wants and the cluster does not have.
    pub uid: Text,
    /// API group.
    pub group: Text,
    /// Kind name.
    pub kind: Text,
    /// Namespace; `None` for cluster-scoped resources.
    pub namespace: Option<Text>,
    /// Name.
    pub name: Text,
    /// The UIDs of what it hangs on; empty for what the Application manages itself.
    pub parents: Vec<Text>,
    /// Argo CD's word on its health; `None` for what is neither well nor ill.
    pub health: Option<Text>,
    /// Why, in Argo CD's words.
    pub message: Text,
}
