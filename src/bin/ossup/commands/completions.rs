use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::ui::Output;

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, output: Output) -> Result<(), Failure> {
    // Written to memory first: the generator panics if its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ossup", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.print(json!({"shell": args.shell.to_string(), "script": script}), script.trim_end())
}
