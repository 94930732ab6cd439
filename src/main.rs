//! The `renumberd` program: exit codes and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    renumberd::cli::main()
}
