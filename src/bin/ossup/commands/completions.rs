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

/// What bash needs beside: `:` no end of a word, or it takes `oss:` for one; and a platform's space escaped, since it
/// inserts a value as it is. Within quotes neither is done: there bash hands over the word without them.
const BASH: &str = r#"COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
_ossup_words() {
    local word="$2" escape='\ ' at
    case "${COMP_WORDS[COMP_CWORD]}" in
        [\"\']*) escape=' ' ;;
        *) word="${word//\\/}" ;;
    esac
    _clap_complete_ossup "$1" "$word" "${3-}"
    for at in "${!COMPREPLY[@]}"; do
        COMPREPLY[at]="${COMPREPLY[at]// /$escape}"
    done
}
complete -o nospace -o bashdefault -F _ossup_words ossup
"#;

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
        Shell::Bash => format!("{script}{BASH}"),
        // Found by its name and loaded at the first key press, it has to answer that one as well.
        Shell::Zsh => {
            format!(
                "{script}if [ \"$funcstack[1]\" = _ossup ]; then _clap_dynamic_completer_ossup \"$@\"; fi\n"
            )
        }
        _ => script.into_owned(),
    }
}
