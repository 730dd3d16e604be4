//! The person's editor on a text: which one, a private file, and the wait for it.
//!
//! The file lies in a directory of its own that only its owner may enter, and both are gone when the editor ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use color_eyre::eyre::Result;

use super::Desk;
use crate::actions::sheet::{Edited, Returned, SECRET, Sheet, is_secret};
use crate::identity::Target;
use crate::sources::kubernetes::Connection;

/// The variables that name the editor, the first that is set (`KUBE_EDITOR` first, as kubectl has it).
const VARIABLES: [&str; 3] = ["KUBE_EDITOR", "VISUAL", "EDITOR"];

/// How often a text that cannot be read or is refused is given back to the editor.
const PATIENCE: usize = 10;

/// Says which editor the person wants; `vi` where nothing says so.
pub(super) fn chosen(variable: impl Fn(&str) -> Option<String>) -> String {
    let named = VARIABLES.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()));
    named.unwrap_or_else(|| "vi".to_owned())
}

/// A directory that only its owner may enter, removed with what is in it.
#[derive(Debug)]
struct Private(PathBuf);

impl Private {
    fn make() -> io::Result<Self> {
        let mut last = io::Error::other("no name was free");
        for _ in 0..PATIENCE {
            let path = std::env::temp_dir().join(format!("opsdeck-edit-{:016x}", fastrand::u64(..)));
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            // Fails where the name is taken: what is there already is somebody else's.
            match builder.create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the directory of an edit cannot be removed");
        }
    }
}

/// Runs the editor on a text and returns what it left; the terminal must have been given back.
pub(super) fn run(editor: &str, text: &str) -> io::Result<String> {
    let private = Private::make()?;
    let file = private.0.join("object.yaml");
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(&file)?, text.as_bytes())?;
    let child = command(editor, &file).spawn()?;
    if !wait(child)? {
        return Err(io::Error::other(format!("{editor} ended with an error; nothing is changed")));
    }
    fs::read_to_string(&file)
}

/// The variable may hold arguments, such as `code --wait`: the shell reads it, and the file is its last word.
#[cfg(unix)]
fn command(editor: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("opsdeck").arg(file);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, file: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("notepad"));
    command.args(words).arg(file);
    command
}

/// Waits until it ends, and tells whether well. Where it is stopped by ctrl-z this program stops with it, or the shell
/// would never have the terminal back.
#[cfg(unix)]
fn wait(child: Child) -> io::Result<bool> {
    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return Err(io::Error::other("the editor has no process")) };
    loop {
        match waitpid(Some(pid), WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => {
                kill_process(getpid(), Signal::STOP)?;
                kill_process(pid, Signal::CONT)?;
            }
            Ok(Some((_, status))) => return Ok(status.exit_status() == Some(0)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(unix))]
fn wait(mut child: Child) -> io::Result<bool> {
    Ok(child.wait()?.success())
}

/// Lets the person edit an object until it can be read; `kept` is a change of before, with why it is edited again.
///
/// The inner error is a sentence: there is no change.
pub(super) async fn edited(
    desk: &mut Desk<'_>,
    connection: &Connection,
    target: &Target,
    kept: Option<(&Edited, &str)>,
) -> Result<std::result::Result<Arc<Edited>, String>> {
    if is_secret(&target.object.resource) {
        return Ok(Err(SECRET.to_owned()));
    }
    let document = connection.document(&target.object).await?;
    let mut sheet = match kept {
        Some((kept, why)) => Sheet::again(kept, &document, why),
        None => Sheet::open(&document, ""),
    };
    let editor = chosen(|name| std::env::var(name).ok());
    for _ in 0..PATIENCE {
        let (editor, text) = (editor.clone(), sheet.text.clone());
        let returned = tokio::task::spawn_blocking(move || run(&editor, &text)).await?;
        let returned = match returned {
            Ok(returned) => returned,
            Err(error) => return Ok(Err(format!("the editor cannot be used: {error}"))),
        };
        match sheet.read(&returned) {
            Returned::Edited(edited) => return Ok(Ok(edited)),
            Returned::Nothing(why) => return Ok(Err(why.to_owned())),
            Returned::GivenUp(why) => return Ok(Err(why)),
            Returned::Again(again) => {
                let why = again.text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
                desk.err.line(&why)?;
                sheet = *again;
            }
        }
    }
    Ok(Err("it could not be read time and again: nothing is changed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_of_kubectl_comes_first_and_an_empty_variable_names_none() {
        let with = |set: &'static [(&str, &str)]| {
            chosen(|name| set.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(
            with(&[("EDITOR", "ed"), ("VISUAL", "vim"), ("KUBE_EDITOR", "code --wait")]),
            "code --wait"
        );
        assert_eq!(with(&[("EDITOR", "ed"), ("VISUAL", " ")]), "ed");
        assert_eq!(with(&[]), "vi");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_while_it_is_edited_and_gone_afterwards() {
        let seen = tempfile::NamedTempFile::new().unwrap();
        // A program with an argument, as `code --wait` is.
        let script = format!(
            "f() {{ stat -c '%a %n' \"$2\" \"$(dirname \"$2\")\" > {}; echo more >> \"$2\"; }}; f --wait",
            seen.path().display()
        );
        assert_eq!(run(&script, "text\n").unwrap(), "text\nmore\n");
        let seen = fs::read_to_string(seen.path()).unwrap();
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines[0].starts_with("600 ") && lines[1].starts_with("700 "), "{seen}");
        assert!(!Path::new(lines[1].split_once(' ').unwrap().1).exists());
        assert!(run("false", "text").unwrap_err().to_string().contains("ended with an error"));
    }
}
