//! How fast a change goes through a site: `renumberd bench`, with the agent built as it is shipped.
//!
//! `cargo bench --bench convergence -- --hops 2 --runs 20`; `-- --help` names all there is.
#![allow(clippy::print_stdout, reason = "the result goes to standard output")]

use std::process::ExitCode;

use clap::Parser;
use renumberd::cli::bench::{self, Bench};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    bench: Bench,
    /// Said by `cargo bench`
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match bench::run(&arguments.bench, env!("CARGO_BIN_EXE_renumberd").into()) {
        Ok((code, text)) => {
            print!("{text}");
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
