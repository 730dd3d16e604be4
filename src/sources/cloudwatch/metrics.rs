//! Which metrics the account has, namespace by namespace (`ListMetrics`).

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::RecentlyActive;
use jiff::Timestamp;

use super::CloudWatch;
use super::account::Account;
use super::alarms::dimensions;
use crate::identity::Text;
use crate::sources::SourceError;

/// How long a list is believed, in seconds: load balancers and databases come rarely, and a page of 500 is a call.
const BELIEVED: i64 = 600;

/// How many pages are read at most: 20,000 metrics of one namespace.
const PAGES: usize = 40;

/// A metric that the account has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    /// Its name.
    pub name: Text,
    /// Its dimensions, by name.
    pub dimensions: Vec<(Text, Text)>,
}

/// What a namespace has.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The metrics, in order.
    pub metrics: Vec<Listed>,
    /// Whether there are more than were read.
    pub cut: bool,
}

/// A list with its age, or why there is none.
type Known = (Timestamp, Result<Arc<List>, SourceError>);

/// The lists that are known, by namespace and by whether only what was active lately is on them.
pub(super) type Lists = HashMap<(Text, bool), Known>;

impl CloudWatch {
    /// Returns what a namespace has; `lately` leaves out what has had no value for three hours.
    pub(super) async fn listed(
        &self,
        account: &Account,
        namespace: &Text,
        lately: bool,
    ) -> Result<Arc<List>, SourceError> {
        // Held while it is asked, so that the panels of a board ask once.
        let mut lists = self.0.lists.lock().await;
        let now = self.now();
        let key = (namespace.clone(), lately);
        if let Some((at, known)) = lists.get(&key) {
            let patience = match known {
                Ok(_) => BELIEVED,
                Err(SourceError::Denied { .. }) => super::PATIENT,
                Err(_) => 10,
            };
            if super::seconds(now, *at) < patience {
                return known.clone();
            }
        }
        let list = self.list(account, namespace, lately).await.map(Arc::new);
        lists.insert(key, (now, list.clone()));
        list
    }

    async fn list(&self, account: &Account, namespace: &Text, lately: bool) -> Result<List, SourceError> {
        let mut list = List::default();
        let mut token = None;
        for _ in 0..PAGES {
            let asked = account
                .client
                .list_metrics()
                .namespace(namespace.to_string())
                .set_recently_active(lately.then_some(RecentlyActive::Pt3H))
                .set_next_token(token.take());
            let answer = self.call(account, "cloudwatch:ListMetrics", asked.send()).await?;
            list.metrics.extend(answer.metrics().iter().filter_map(|metric| {
                let name = crate::text::one_line(metric.metric_name()?).into();
                Some(Listed { name, dimensions: dimensions(metric.dimensions()) })
            }));
            token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                list.metrics.sort();
                list.metrics.dedup();
                return Ok(list);
            }
        }
        list.cut = true;
        list.metrics.sort();
        list.metrics.dedup();
        Ok(list)
    }
}
