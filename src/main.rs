//! The `opsdeck` program: parses, dispatches, and says by its exit code how it ended.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    opsdeck::install_crypto_provider();
    opsdeck::cli::main(opsdeck::args::Cli::parse())
}
