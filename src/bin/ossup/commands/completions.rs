use clap_complete::Shell;
use clap_complete::env::Shells;
use serde_json::json;

use crate::args::CompletionsArgs;
use crate::complete;
use crate::failure::Failure;
use crate::ui::Output;

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, output: Output) -> Result<(), Failure> {
    let script = script(args.shell);
    output.print(json!({"shell": args.shell.to_string(), "script": script}), script.trim_end())
}

/// Returns the script. It asks the command for every completion, so that values complete too that only this machine has.
pub(crate) fn script(shell: Shell) -> String {
    // Written to memory first: the generator panics if its reader goes away.
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&shell.to_string()) {
        shell
            .write_registration(complete::VARIABLE, "ossup", "ossup", "ossup", &mut script)
            .expect("memory takes every write");
    }
    let script = String::from_utf8_lossy(&script);
    match shell {
        // Without it the shell takes `oss:` for a word of its own.
        Shell::Bash => format!("{script}COMP_WORDBREAKS=${{COMP_WORDBREAKS//:/}}\n"),
        // Found by its name and loaded at the first key press, it has to answer that one as well.
        Shell::Zsh => {
            format!(
                "{script}if [ \"$funcstack[1]\" = _ossup ]; then _clap_dynamic_completer_ossup \"$@\"; fi\n"
            )
        }
        _ => script.into_owned(),
    }
}
