//! What the commands of workloads ask for: words of the command line to a verb, its options and its objects.

use color_eyre::eyre::Result;

use super::Usage;
use crate::actions::{Cascade, Options, Verb};
use crate::args::workloads as args;
use crate::args::{Acting, Command};
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::Kinds;
use crate::nearest::did_you_mean;
use crate::sources::kubernetes::Connection;

/// What a command asks for; the objects by the words that name them, kind and name.
pub(super) struct Asked {
    pub verb: Verb,
    pub options: Options,
    pub objects: Vec<(String, String)>,
    pub acting: Acting,
}

/// Reads a command; gives back one that is not about workloads.
pub(super) fn asked(command: Command) -> Result<std::result::Result<Asked, Command>> {
    let plain = Options::default();
    let of = |verb, options, words: &[String], acting| {
        Ok(Ok(Asked { verb, options, objects: objects(words)?, acting }))
    };
    match command {
        Command::Scale(args) => {
            let options = Options { replicas: Some(args.replicas), ..plain };
            of(Verb::Scale, options, &args.objects, args.acting)
        }
        Command::Rollout(args::Rollout { what }) => match what {
            args::RolloutWhat::Undo { objects, to_revision, acting } => {
                of(Verb::RolloutUndo, Options { rollout_revision: to_revision, ..plain }, &objects, acting)
            }
            args::RolloutWhat::Pause(args) => of(Verb::Pause, plain, &args.objects, args.acting),
            args::RolloutWhat::Resume(args) => of(Verb::Resume, plain, &args.objects, args.acting),
        },
        Command::Pause(args) => {
            let options = Options { replicas: args.replicas, ..plain };
            of(Verb::Pause, options, &args.objects, args.acting)
        }
        Command::Suspend(args) => of(Verb::Suspend, plain, &args.objects, args.acting),
        Command::Resume(args) => of(Verb::Resume, plain, &args.objects, args.acting),
        Command::SetImage(args) => {
            let options = Options { images: args.images, ..plain };
            of(Verb::SetImage, options, &[args.object], args.acting)
        }
        Command::SetBounds(args) => {
            let options = Options { min_replicas: args.min, max_replicas: args.max, ..plain };
            of(Verb::SetBounds, options, &args.objects, args.acting)
        }
        Command::Run(args) => {
            of(Verb::RunJob, Options { job_name: args.name, ..plain }, &args.objects, args.acting)
        }
        Command::Edit(args) => of(Verb::Edit, plain, &args.objects, args.acting),
        Command::Delete(args) => {
            let found = objects(&args.objects)?;
            let pods = found.iter().filter(|(kind, _)| is_pod(kind)).count();
            let verb = match (args.force, pods) {
                (true, pods) if pods == found.len() => Verb::ForceDelete,
                (true, _) => return Err(Usage::report("--force is for pods that do not end")),
                (false, 0) => Verb::Delete,
                (false, pods) if pods == found.len() => Verb::DeletePod,
                (false, _) => return Err(Usage::report("delete pods and other objects one after the other")),
            };
            let cascade = match args.cascade {
                args::Cascade::Background => Cascade::Background,
                args::Cascade::Foreground => Cascade::Foreground,
                args::Cascade::Orphan => Cascade::Orphan,
            };
            let options = Options { cascade, ..plain };
            Ok(Ok(Asked { verb, options, objects: found, acting: args.acting }))
        }
        other => Ok(Err(other)),
    }
}

fn is_pod(word: &str) -> bool {
    matches!(word, "pod" | "pods" | "po")
}

/// Reads `KIND/NAME...` or `KIND NAME...`, as kubectl takes them.
fn objects(words: &[String]) -> Result<Vec<(String, String)>> {
    let wrong = |word: &str| Usage::report(format!("{word}: write KIND/NAME, or KIND NAME"));
    let Some((first, rest)) = words.split_first() else { return Err(wrong("")) };
    if first.contains('/') {
        return words
            .iter()
            .map(|word| match word.split_once('/') {
                Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
                    Ok((kind.to_owned(), name.to_owned()))
                }
                _ => Err(wrong(word)),
            })
            .collect();
    }
    if rest.is_empty() {
        return Err(wrong(first));
    }
    match rest.iter().find(|name| name.contains('/')) {
        Some(name) => Err(wrong(name)),
        None => Ok(rest.iter().map(|name| (first.clone(), name.clone())).collect()),
    }
}

/// Names the objects: kinds that the console knows, else those that the server has.
pub(super) async fn references(
    connection: &Connection,
    objects: &[(String, String)],
    namespace: Option<&str>,
) -> Result<Vec<ObjectRef>> {
    let kinds = Kinds::new();
    let own = connection.entry().namespace.as_deref();
    let namespace = namespace.or(own).unwrap_or("default");
    let mut found = Vec::new();
    for (word, name) in objects {
        let (resource, namespaced): (Resource, bool) = if let Some(kind) = kinds.find(word) {
            (kind.resource.clone(), kind.namespaced)
        } else {
            let served = connection.served().await?;
            if let Some(one) = served.named(word) {
                (one.resource.clone(), one.namespaced)
            } else {
                let names: Vec<String> =
                    served.types().iter().map(|one| one.resource.plural.to_string()).collect();
                let near = did_you_mean(word, names.iter().map(String::as_str));
                return Err(Usage::report(format!("the server has no kind {word}{near}")));
            }
        };
        found.push(ObjectRef {
            context: connection.context().clone(),
            resource,
            namespace: namespaced.then(|| Text::from(namespace)),
            name: Text::from(name.as_str()),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_one_by_one_or_after_their_kind() {
        let read = |line: &str| objects(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let two = [("pod".to_owned(), "a".to_owned()), ("pod".to_owned(), "b".to_owned())];
        assert_eq!(read("pod a b").unwrap(), two);
        assert_eq!(read("pod/a pod/b").unwrap(), two);
        for wrong in ["pod", "a/", "pod/a b", "pod a/b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
