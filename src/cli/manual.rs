//! `opsdeck completions` and `opsdeck man`: both follow from the description of the command line.

use std::io::Write as _;

use clap::CommandFactory as _;
use color_eyre::eyre::Result;

use super::{Desk, Exit};
use crate::args::Cli;

/// Prints a completion script.
pub fn completions(desk: &mut Desk<'_>, shell: clap_complete::Shell) -> Result<Exit> {
    // The generator panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "opsdeck", &mut script);
    desk.out.write_all(&script)?;
    desk.out.flush()?;
    Ok(Exit::Done)
}

/// Prints the manual page, with one section a command.
pub fn man(desk: &mut Desk<'_>) -> Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render(&mut desk.out)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        let mut text = Vec::new();
        writeln!(text, ".SH OPSDECK {}", sub.get_name().to_uppercase())?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        // Sections of a command stand below the section that names it.
        let text = String::from_utf8_lossy(&text).replacen(".SH SYNOPSIS", ".SS SYNOPSIS", 1);
        let text = text.replace(".SH DESCRIPTION", ".SS DESCRIPTION").replace(".SH OPTIONS", ".SS OPTIONS");
        desk.out.write_all(text.as_bytes())?;
    }
    desk.out.flush()?;
    Ok(Exit::Done)
}
