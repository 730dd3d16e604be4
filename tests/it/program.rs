//! The program, started as a person would, but for what their account at AWS could add.

use tokio::process::Command;

/// Returns the program to start, without the caller's `AWS_*` variables: no test may reach, or pay for, an account.
pub fn opsdeck() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsdeck"));
    clear(&mut command, std::env::vars_os().map(|(name, _)| name));
    command
}

fn clear(command: &mut Command, names: impl Iterator<Item = std::ffi::OsString>) {
    for name in names.filter(|name| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
}

#[test]
fn what_the_caller_has_for_aws_is_not_handed_on() {
    let mut command = Command::new("true");
    command.env("AWS_PROFILE", "prod").env("HOME", "/home/a");
    clear(&mut command, ["AWS_PROFILE", "HOME"].into_iter().map(Into::into));
    let left: Vec<_> = command.as_std().get_envs().filter(|(_, value)| value.is_some()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0, "HOME");
}
