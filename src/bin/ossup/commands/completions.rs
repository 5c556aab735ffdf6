use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::ui::Output;

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, output: Output) -> Result<(), Failure> {
    let script = script(args.shell);
    output.print(json!({"shell": args.shell.to_string(), "script": script}), script.trim_end())
}

/// Returns the script.
pub(crate) fn script(shell: Shell) -> String {
    // Written to memory first: the generator panics if its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ossup", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
