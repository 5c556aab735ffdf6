//! The `ossup` command: all that prints, reads the environment or asks the user.

mod args;
mod commands;
mod complete;
mod context;
mod failure;
mod origin;
mod settings;
mod signals;
mod threads;
mod ui;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use context::Context;
use failure::{Failure, Kind};
use signals::Stop;
use ui::{Output, printable, printable_lines, terminal};

/// Longest file that is read as configuration or as certificates, in bytes.
const MAX_FILE: u64 = 8 << 20;

fn main() -> ExitCode {
    if let Some(code) = commands::boot::helper::run() {
        return code;
    }
    complete::run(complete::Outside { env, read, home: home() });
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(args::with_suggestion(error)),
    };
    let output = Output::new(&cli.output);
    ui::start(output, cli.output.verbose);
    run(cli, output).unwrap_or_else(|failure| {
        output.failure(&failure);
        terminal::finish(&|| false);
        ExitCode::from(failure.kind.exit_code())
    })
}

/// Runs the command and returns its exit code. The error is that nothing could be started.
fn run(cli: Cli, output: Output) -> Result<ExitCode, Failure> {
    let runtime = threads::runtime()?;
    let code = runtime.block_on(async {
        let stop = Stop::listen(output).map_err(|error| Failure::from_error(Kind::Other, &error))?;
        let context = Context { output, stop: stop.clone(), env, read, home: home() };
        let code = match commands::run(cli.command, &context).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                output.failure(&failure);
                ExitCode::from(failure.kind.exit_code())
            }
        };
        // Here and not later: signals are handled for as long as this waits for a reader.
        terminal::finish(&|| stop.is_asked());
        Ok(code)
    });
    // An unanswered question, or the read of a slow disk, must not delay the exit.
    runtime.shutdown_background();
    code
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that knows a home directory")]
fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    // A shell's `<(…)` has a writer. A named pipe may have none, and reading it would block forever.
    let of_the_shell = ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|shell| path.starts_with(shell));
    if !(kind.is_file() || kind.is_char_device() || kind.is_fifo() && of_the_shell) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Shows what is wrong with the arguments, or the requested help.
fn usage(error: clap::Error) -> ExitCode {
    let text = error.to_string();
    // Help goes to stdout and errors to stderr; if either is closed, nothing can be reported.
    let words: Vec<_> = std::env::args_os().collect();
    match words.iter().all(|word| matches!(printable(&word.to_string_lossy()), Cow::Borrowed(_))) {
        true => drop(error.print()),
        // An argument, such as a file name, would move the cursor or change colours.
        false => terminal::write(printable_lines(&text).as_bytes()),
    }
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    // The arguments could not be parsed, so look for the JSON option in them as typed.
    let json = words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    if json {
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        ui::print_json(&Failure::new(Kind::Usage, first).json());
    }
    terminal::finish(&|| false);
    ExitCode::from(Kind::Usage.exit_code())
}
