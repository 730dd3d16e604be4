//! Verbs that need a word or a number before there is a question: `:scale 3`, `:set-image app=registry/app:1.2`.
//!
//! The key of such a verb opens the palette with the line begun and what is there now, to be changed.

use crate::app::asking;
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::line::Line;
use crate::app::palette::Palette;
use crate::app::state::{Overlay, State};
use crate::app::typing;
use crate::identity::Target;
use crate::kinds::batch::Autoscaler;
use crate::kinds::keda::ScaledObject;
use crate::kinds::workloads::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use crate::store::Store;

/// Says what must be said after a verb; `None` for one that needs nothing more.
pub fn needed(command: Command) -> Option<&'static str> {
    Some(match command {
        Command::Scale => "scale N: how many pods there are to be",
        Command::SetImage => "set-image CONTAINER=IMAGE: which container runs what",
        Command::SetBounds => "set-bounds MIN MAX: the fewest and the most pods",
        _ => return None,
    })
}

/// Tells whether a verb takes words after it.
pub fn takes_words(command: Command) -> bool {
    needed(command).is_some() || matches!(command, Command::RolloutUndo | Command::Pause | Command::RunJob)
}

/// Opens the palette with the line of a verb begun: what is there now stands behind it.
pub fn begin(state: &mut State, store: &Store, command: Command, targets: &[Target]) -> Vec<Effect> {
    let now = match targets {
        [one] => present(store, command, one),
        // What holds for one need not hold for the others.
        _ => String::new(),
    };
    let line = Line::new(&format!("{} {now}", command.name()));
    state.overlay = Some(Overlay::Palette(Palette { line, ..Palette::default() }));
    typing::changed(state, store);
    Vec::new()
}

/// Returns what an object has now of what a verb changes.
fn present(store: &Store, command: Command, target: &Target) -> String {
    let Some(object) = store.object(&target.object) else { return String::new() };
    let containers = object
        .body::<Deployment>()
        .map(|one| &one.containers)
        .or_else(|| object.body::<StatefulSet>().map(|one| &one.containers))
        .or_else(|| object.body::<DaemonSet>().map(|one| &one.containers));
    let wanted = object
        .body::<Deployment>()
        .map(|one| one.wanted)
        .or_else(|| object.body::<StatefulSet>().map(|one| one.wanted))
        .or_else(|| object.body::<ReplicaSet>().map(|one| one.wanted));
    let bounds = object
        .body::<Autoscaler>()
        .map(|one| (one.min, one.max))
        .or_else(|| object.body::<ScaledObject>().map(|one| (one.min, one.max)));
    match command {
        Command::Scale => wanted.map_or_else(String::new, |wanted| wanted.to_string()),
        Command::SetBounds => bounds.map_or_else(String::new, |(least, most)| format!("{least} {most}")),
        Command::SetImage => containers
            .and_then(|containers| containers.first())
            .map_or_else(String::new, |first| format!("{}={}", first.name, first.image)),
        _ => String::new(),
    }
}

/// Opens the question of a verb with its words.
pub fn ask(
    state: &mut State,
    store: &Store,
    command: Command,
    words: &[String],
) -> Result<Vec<Effect>, String> {
    let palette = state.overlay.take();
    if !state.applies(store, command) {
        state.overlay = palette;
        return Err(format!("{} does not apply here", command.name()));
    }
    let mut request = match asking::request(state, store, command) {
        Ok(request) => request,
        Err(why) => {
            state.overlay = palette;
            return Err(why);
        }
    };
    let number = |word: &str| word.parse::<i64>().map_err(|_| format!("{word} is no number"));
    let options = &mut request.options;
    let read = match (command, words) {
        (Command::Scale | Command::Pause, [one]) => number(one).map(|n| options.replicas = Some(n)),
        (Command::RolloutUndo, [one]) => number(one).map(|n| options.rollout_revision = Some(n)),
        (Command::SetImage, [_, ..]) => {
            options.images = words.to_vec();
            Ok(())
        }
        (Command::SetBounds, [least, most]) => number(least).and_then(|least| {
            options.min_replicas = Some(least);
            options.max_replicas = Some(number(most)?);
            Ok(())
        }),
        (Command::RunJob, [name]) => {
            options.job_name = Some(name.clone());
            Ok(())
        }
        _ => Err(needed(command)
            .map_or_else(|| format!("{}: one word is enough", command.name()), ToOwned::to_owned)),
    };
    if let Err(why) = read {
        state.overlay = palette;
        return Err(why);
    }
    Ok(asking::begin(state, request))
}
