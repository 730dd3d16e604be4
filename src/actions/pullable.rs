//! Whether the images of then can still be pulled, as far as the cluster shows it: pods that run them, and pods that
//! wait for them in vain. The registry itself is not asked: the credentials for it are the nodes'.

use std::collections::BTreeSet;

use serde_json::Value;

use super::application::list;
use super::desk::{Desk, Remote};
use super::draft::text;
use super::{Line, Mark};
use crate::identity::Resource;

/// What a container waits with whose image does not come.
const FAILED: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// Says of each image whether it is there, by the pods of a namespace.
pub(super) async fn lines<R: Remote>(
    desk: &Desk<R>,
    namespace: &str,
    images: &BTreeSet<String>,
) -> Vec<Line> {
    if images.is_empty() {
        return Vec::new();
    }
    match desk.remote.list(&Resource::new("", "pods"), Some(namespace), "", "").await {
        Ok(pods) => images.iter().map(|image| line(image, &pods)).collect(),
        Err(error) => {
            let text = format!("whether the images can still be pulled is not known: {error}");
            vec![Line::new(Mark::Note, text)]
        }
    }
}

fn line(image: &str, pods: &[Value]) -> Line {
    let (mut runs, mut fails) = (0, None);
    for pod in pods {
        let has = |container: &Value| text(container, "/image") == image;
        let names: Vec<&str> = ["/spec/initContainers", "/spec/containers"]
            .iter()
            .flat_map(|pointer| list(pod, pointer))
            .filter(|container| has(container))
            .map(|container| text(container, "/name"))
            .collect();
        if names.is_empty() {
            continue;
        }
        let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
        for status in statuses.iter().flat_map(|pointer| list(pod, pointer)) {
            if !names.contains(&text(status, "/name")) {
                continue;
            }
            let reason = text(status, "/state/waiting/reason");
            if FAILED.contains(&reason) {
                fails = Some(format!("{reason} in pod {}", text(pod, "/metadata/name")));
            } else if !text(status, "/imageID").is_empty() || status.pointer("/state/running").is_some() {
                runs += 1;
            }
        }
    }
    let short = image.rsplit('/').next().unwrap_or(image);
    match (fails, runs) {
        (Some(why), _) => {
            let text =
                format!("image {short} cannot be pulled now ({why}): new pods of then would not start");
            Line::new(Mark::Warn, text)
        }
        (None, 0) => {
            let text =
                format!("image {short}: no pod has it now; it is pulled again, if the registry still has it");
            Line::new(Mark::Note, text)
        }
        (None, runs) => {
            let pods = if runs == 1 { "1 pod has it".to_owned() } else { format!("{runs} pods have it") };
            Line::new(Mark::Ok, format!("image {short} is there: {pods} now"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_is_there_where_a_pod_has_it_and_not_where_one_waits_for_it() {
        let pod = |image: &str, state: Value| {
            json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "app", "image": image }] },
                "status": { "containerStatuses": [{ "name": "app", "imageID": "", "state": state }] } })
        };
        let running = pod("r.example.com/shop/a:1", json!({ "running": {} }));
        let waiting = pod("r.example.com/shop/a:2", json!({ "waiting": { "reason": "ImagePullBackOff" } }));
        let pods = [running, waiting];
        assert_eq!(line("r.example.com/shop/a:1", &pods).text, "image a:1 is there: 1 pod has it now");
        assert_eq!(line("r.example.com/shop/a:2", &pods).mark, Mark::Warn);
        assert_eq!(line("r.example.com/shop/a:3", &pods).mark, Mark::Note);
    }
}
