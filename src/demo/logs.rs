//! Pod logs on the wire: which container, from when, how much, and on.
//!
//! The text comes from the world; here is only what the API server and the kubelet say about a request.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::objects::text;
use super::platform::Handle;
use super::podlog::scene::Scene;
use super::podlog::{Line, Log};
use super::request::{Query, Target};
use super::server::{Response, bytes, stream as streamed};
use super::status::{Cause, Reason, Status};
use super::types::Type;
use super::world::World;
use crate::contain;

const PLAIN: &str = "text/plain";
/// Pieces of a followed log that may wait for a slow reader.
const WAITING: usize = 64;
/// How often a followed log looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// What of a log is wanted.
#[derive(Debug, Clone)]
struct Wish {
    namespace: String,
    pod: String,
    container: String,
    previous: bool,
    /// UID of the pod, so that a pod of the same name does not continue its log.
    uid: String,
    timestamps: bool,
}

/// Answers a request for a log.
pub async fn answer(handle: &Handle, target: &Target, query: &Query) -> Result<Response, Status> {
    let (namespace, name) = (target.namespace.clone(), target.name.clone());
    let (found, now) = handle
        .call(move |world, now| {
            (world.objects.find(Type::Pod, &namespace, &name).map(|pod| pod.value()), now)
        })
        .await?;
    let pod = found.ok_or_else(|| Status::not_found(Type::Pod, &target.name))?;
    let since = since(query, now)?;
    let tail = bounded(query, "tailLines", 0)?;
    let limit = bounded(query, "limitBytes", 1)?;
    stream_parameter(query, tail)?;
    let container = choose(&pod, &target.name, query.get("container"))?;
    if text(&pod["spec"], "nodeName").is_empty() {
        return Ok(bytes(204, PLAIN, Bytes::new()));
    }
    let wish = Wish {
        namespace: target.namespace.clone(),
        pod: target.name.clone(),
        previous: query.flag("previous"),
        uid: text(&pod["metadata"], "uid").to_owned(),
        timestamps: query.flag("timestamps"),
        container,
    };
    started(&pod, &wish)?;
    let first = wish.clone();
    let mut lines: VecDeque<Line> =
        handle.call(move |world, now| read(world, &first, since, tail, now)).await?.into();
    if let Some(tail) = tail {
        while lines.len() > tail {
            lines.pop_front();
        }
    }
    let mut body = Vec::new();
    for line in &lines {
        spell(&mut body, line, wish.timestamps);
    }
    let follow = query.flag("follow") && !wish.previous;
    if let Some(limit) = limit
        && (body.len() >= limit || !follow)
    {
        body.truncate(limit);
        return Ok(bytes(200, PLAIN, Bytes::from(body)));
    }
    if !follow {
        return Ok(bytes(200, PLAIN, Bytes::from(body)));
    }
    let left = limit.map(|limit| limit - body.len());
    let (sender, receiver) = mpsc::channel(WAITING);
    let following = run_on(handle.clone(), wish, now, Bytes::from(body), left, sender);
    tokio::spawn(contain::future(following));
    let frames = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), receiver))
    });
    Ok(streamed(200, PLAIN, StreamBody::new(frames).boxed_unsync()))
}

/// Sends what is there, then what comes, until the container or the reader ends.
async fn run_on(
    handle: Handle,
    wish: Wish,
    from: Timestamp,
    first: Bytes,
    mut left: Option<usize>,
    sender: mpsc::Sender<Bytes>,
) {
    let mut seen = from;
    let mut piece = first;
    loop {
        if !piece.is_empty() && sender.send(piece).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = sender.closed() => return,
        }
        let (asked, after) = (wish.clone(), seen);
        let more = handle.call(move |world, now| {
            let running = world
                .objects
                .find(Type::Pod, &asked.namespace, &asked.pod)
                .filter(|pod| pod.uid.as_ref() == asked.uid)
                .is_some_and(|pod| runs(&pod.value(), &asked.container));
            (read(world, &asked, Some(after), None, now), running, now)
        });
        let Ok((lines, running, now)) = more.await else { return };
        let mut body = Vec::new();
        for line in lines.iter().filter(|line| line.at > seen) {
            spell(&mut body, line, wish.timestamps);
        }
        seen = now;
        if let Some(left) = &mut left {
            body.truncate(*left);
            *left -= body.len();
        }
        piece = Bytes::from(body);
        if !running || left == Some(0) {
            // The reader may be gone as well; then nobody misses the rest.
            let _ = sender.send(piece).await;
            return;
        }
    }
}

fn read(
    world: &mut World,
    wish: &Wish,
    since: Option<Timestamp>,
    tail: Option<usize>,
    now: Timestamp,
) -> Vec<Line> {
    let Some(pod) = world.objects.find(Type::Pod, &wish.namespace, &wish.pod) else { return Vec::new() };
    // What is refused was refused before; a container that has not started yet has written nothing.
    let log = Log::of(
        &Scene::for_container(world, &wish.container, now),
        &pod.value(),
        &wish.container,
        wish.previous,
    );
    match (log, since, tail) {
        (Err(_), ..) => Vec::new(),
        (Ok(log), None, Some(tail)) => log.tail(tail, now),
        (Ok(log), since, _) => log.lines(since.unwrap_or(Timestamp::MIN), now).collect(),
    }
}

fn spell(body: &mut Vec<u8>, line: &Line, timestamps: bool) {
    if timestamps {
        body.extend_from_slice(line.at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string().as_bytes());
    }
    body.extend_from_slice(&line.text);
    body.push(b'\n');
}

fn invalid(field: &str, message: &str) -> Status {
    let cause = Cause { reason: "FieldValueInvalid", message: message.to_owned(), field: field.to_owned() };
    Status {
        causes: vec![cause],
        kind: "PodLogOptions".into(),
        ..Status::new(Reason::Invalid, format!("PodLogOptions \"\" is invalid: {field}: {message}"))
    }
}

fn since(query: &Query, now: Timestamp) -> Result<Option<Timestamp>, Status> {
    let seconds = query.number("sinceSeconds")?;
    let time = query.get("sinceTime");
    match (seconds, time) {
        (Some(_), time) if !time.is_empty() => Err(invalid(
            "sinceSeconds",
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        )),
        (Some(seconds), _) if seconds < 1 => {
            Err(invalid("sinceSeconds", &format!("Invalid value: {seconds}: must be greater than 0")))
        }
        (Some(seconds), _) => Ok(now.checked_sub(SignedDuration::from_secs(seconds)).ok()),
        (None, "") => Ok(None),
        (None, time) => time
            .parse()
            .map(Some)
            .map_err(|error| Status::bad_request(format!("sinceTime \"{time}\" is not a time: {error}"))),
    }
}

fn bounded(query: &Query, name: &str, least: i64) -> Result<Option<usize>, Status> {
    match query.number(name)? {
        None => Ok(None),
        Some(number) if number < least => {
            Err(invalid(name, &format!("Invalid value: {number}: must be greater than or equal to {least}")))
        }
        Some(number) => Ok(usize::try_from(number).ok()),
    }
}

fn stream_parameter(query: &Query, tail: Option<usize>) -> Result<(), Status> {
    match query.get("stream") {
        "" | "All" => Ok(()),
        "Stdout" | "Stderr" if tail.is_none() => Ok(()),
        "Stdout" | "Stderr" => Err(invalid(
            "tailLines",
            "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now",
        )),
        other => Err(invalid(
            "stream",
            &format!("Unsupported value: \"{other}\": supported values: \"All\", \"Stderr\", \"Stdout\""),
        )),
    }
}

fn names<'a>(pod: &'a Value, which: &str) -> Vec<&'a str> {
    pod["spec"][which].as_array().into_iter().flatten().map(|container| text(container, "name")).collect()
}

/// Picks the container: the one that is named, or the only one.
fn choose(pod: &Value, name: &str, asked: &str) -> Result<String, Status> {
    let (containers, inits) = (names(pod, "containers"), names(pod, "initContainers"));
    if asked.is_empty() {
        if let ([only], true) = (containers.as_slice(), inits.is_empty()) {
            return Ok((*only).to_owned());
        }
        let mut message = format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            containers.join(" ")
        );
        if !inits.is_empty() {
            message = format!("{message} or one of the init containers: [{}]", inits.join(" "));
        }
        return Err(Status::bad_request(message));
    }
    if containers.contains(&asked) || inits.contains(&asked) {
        return Ok(asked.to_owned());
    }
    Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")))
}

fn container_status<'a>(pod: &'a Value, container: &str) -> &'a Value {
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .filter_map(|which| pod["status"][*which].as_array())
        .flatten()
        .find(|status| text(status, "name") == container)
        .unwrap_or(&Value::Null)
}

fn runs(pod: &Value, container: &str) -> bool {
    container_status(pod, container)["state"]["running"].is_object()
}

/// Refuses where the container has not run yet, or has no earlier run.
fn started(pod: &Value, wish: &Wish) -> Result<(), Status> {
    let status = container_status(pod, &wish.container);
    let (container, pod) = (&wish.container, &wish.pod);
    if wish.previous {
        if status["lastState"]["terminated"].is_object() {
            return Ok(());
        }
        return Err(Status::bad_request(format!(
            "previous terminated container \"{container}\" in pod \"{pod}\" not found"
        )));
    }
    let waits = !status["state"]["running"].is_object()
        && !status["state"]["terminated"].is_object()
        && !status["lastState"]["terminated"].is_object();
    if waits {
        let reason = match text(&status["state"]["waiting"], "reason") {
            "" => "ContainerCreating",
            reason => reason,
        };
        let why = match reason {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
            reason => reason.to_owned(),
        };
        return Err(Status::bad_request(format!(
            "container \"{container}\" in pod \"{pod}\" is waiting to start: {why}"
        )));
    }
    Ok(())
}
