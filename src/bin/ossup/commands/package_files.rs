//! What a package installs beside the command: a manual page for each command, and completion scripts.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use super::completions;
use crate::args::{Cli, PackageFilesArgs};
use crate::failure::{Failure, Kind};
use crate::ui::Output;

/// Completion scripts by the names under which shells look for them.
const COMPLETIONS: [(Shell, &str); 3] =
    [(Shell::Bash, "bash/ossup"), (Shell::Zsh, "zsh/_ossup"), (Shell::Fish, "fish/ossup.fish")];

/// Writes the files.
pub(crate) fn run(args: &PackageFilesArgs, output: Output) -> Result<(), Failure> {
    let files = files().and_then(|files| {
        files.iter().try_for_each(|(name, bytes)| write(&args.dir.join(name), bytes))?;
        Ok(files)
    });
    let files = files.map_err(|error| {
        Failure::from_error(Kind::Other, &error).hint(format!("cannot write to `{}`", args.dir.display()))
    })?;
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    output.print(json!({"dir": args.dir, "files": names}), &names.join("\n"))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, bytes)
}

/// Returns the files, by their names in the folder. They are the same for the same version of the command.
fn files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &mut files)?;
    files.extend(COMPLETIONS.map(|(shell, name)| (name.to_owned(), completions::script(shell).into_bytes())));
    Ok(files)
}

fn pages(command: &Command, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    files.push((format!("man1/{name}.1"), page(command)?));
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| pages(sub, files))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("ossup");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    page.extend(after.map(|after| examples(&after.to_string())).unwrap_or_default().into_bytes());
    Ok(page)
}

/// Returns the text that ends a command's help as a section. Its lines stay as they are: it is made of examples, and a
/// paragraph filled from them could not be pasted.
fn examples(text: &str) -> String {
    let text: String = text.lines().map(|line| format!("{}\n", roff(line))).collect();
    format!(".SH EXAMPLES\n.nf\n{text}.fi\n")
}

/// Returns a line as roff shows it unchanged.
fn roff(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    // At the start of a line these would begin a request.
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_with_its_examples() {
        fn count(command: &Command) -> usize {
            1 + command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(count).sum::<usize>()
        }
        let files = files().unwrap();
        let pages: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("man1/")).collect();
        assert_eq!(pages.len(), count(&Cli::command()));
        for (name, page) in pages {
            let page = std::str::from_utf8(page).unwrap();
            let title = page.lines().find(|line| line.starts_with(".TH ")).expect(name);
            assert!(title.contains(name.trim_start_matches("man1/").trim_end_matches(".1")), "{title}");
        }
        let (_, upload) = files.iter().find(|(name, _)| name == "man1/ossup-upload.1").unwrap();
        let upload = String::from_utf8_lossy(upload);
        assert!(upload.contains("\n  ossup upload disk.qcow2 oss://images/"), "{upload}");
        assert!(files.iter().all(|(name, _)| !name.contains("package")), "a hidden command has no page");
    }

    #[test]
    fn a_line_of_an_example_is_no_request() {
        assert_eq!(roff(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(roff("'a"), "\\&'a");
        assert_eq!(roff(r"--a \n"), r"\-\-a \en");
    }
}
