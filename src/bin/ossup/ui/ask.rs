//! Questions.

use std::io::{self, BufRead, IsTerminal};

use super::{printable, terminal};
use crate::failure::{Failure, Kind};

/// Asks a yes-or-no question, which needs a terminal.
///
/// # Errors
///
/// When there is no terminal, or the answer is no.
pub(crate) async fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !terminal::is_terminal() {
        let failure = Failure::new(Kind::Usage, "confirmation needs a terminal");
        return Err(failure.hint("pass --yes"));
    }
    terminal::write(format!("{} [y/N] ", printable(question)).as_bytes());
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.map_err(io::Error::other).and_then(|line| line);
    match answer {
        Ok(line) if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        Ok(_) => Err(Failure::new(Kind::Other, "nothing was done")),
        Err(error) => Err(Failure::from_error(Kind::Other, &error)),
    }
}
