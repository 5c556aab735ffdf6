//! One line of progress, fitted to the terminal's width. Pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::text::printable;

/// Columns inside the brackets of a graph.
const GRAPH: usize = 10;
/// A name with fewer columns than this is left out.
const SHORTEST_NAME: usize = 8;
/// Optional details leave the name this many columns.
const GOOD_NAME: usize = 24;

/// The contents of a line, the most important first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) percent: Option<u8>,
    /// Shown before all that follows, and dropped from the end where they do not fit.
    pub(crate) facts: Vec<String>,
    /// Shown where there is room beside a name of a good length.
    pub(crate) details: Vec<String>,
    /// Comes last, shortened in the middle.
    pub(crate) name: String,
}

impl Line {
    /// Returns the line in at most `width` columns. Foreign text in it cannot move the cursor.
    pub(crate) fn fit(&self, width: usize) -> String {
        let percent = self.percent.map(|percent| format!("{percent:>3}%")).unwrap_or_default();
        let name = printable(&self.name);
        let name_width = name.width();
        let mut facts: Vec<_> = self.facts.iter().map(|fact| printable(fact).into_owned()).collect();
        let columns = |facts: &[String]| {
            let separators = 2 * facts.len().saturating_sub(1);
            let gap = usize::from(!percent.is_empty() && !facts.is_empty());
            percent.width() + gap + separators + facts.iter().map(|fact| fact.width()).sum::<usize>()
        };
        while facts.len() > 1 && columns(&facts) > width {
            facts.pop();
        }
        let graph = match self.percent {
            Some(percent) if columns(&facts) + GRAPH + 3 + 2 + SHORTEST_NAME.min(name_width) <= width => {
                format!(" {}", graph(percent))
            }
            _ => String::new(),
        };
        for detail in &self.details {
            facts.push(printable(detail).into_owned());
            if columns(&facts) + graph.len() + 2 + GOOD_NAME.min(name_width) > width {
                facts.pop();
                break;
            }
        }
        let mut line = format!("{percent}{graph}");
        if !line.is_empty() && !facts.is_empty() {
            line.push(' ');
        }
        line += &facts.join(", ");
        let room = width.saturating_sub(line.width() + 2);
        if room >= SHORTEST_NAME.min(name_width) && name_width > 0 {
            line = format!("{line}  {}", middle(&name, room));
        }
        // One fact alone may be too long.
        end(&line, width)
    }
}

fn graph(percent: u8) -> String {
    let done = usize::from(percent.min(100)) * GRAPH / 100;
    let head = if done < GRAPH { ">" } else { "" };
    format!("[{:<GRAPH$}]", format!("{}{head}", "=".repeat(done)))
}

/// Returns text in at most `width` columns, with its middle left out.
pub(crate) fn middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail: String = take(text.chars().rev(), kept / 2).chars().rev().collect();
    format!("{}…{tail}", take(text.chars(), kept - tail.width()))
}

/// Returns text in at most `width` columns, with its end cut off.
fn end(text: &str, width: usize) -> String {
    if text.width() <= width { text.to_owned() } else { take(text.chars(), width) }
}

fn take(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    chars
        .take_while(|c| {
            let columns = c.width().unwrap_or(0);
            let fits = columns <= left;
            left = left.saturating_sub(columns);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upload(name: &str) -> Line {
        Line {
            percent: Some(42),
            facts: ["112.3 MiB/s", "12 min 13 s left", "12.6 of 30.0 GiB"].map(str::to_owned).to_vec(),
            details: ["12 parts in flight", "3 retries", "1.0 GiB already there"].map(str::to_owned).to_vec(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn percent_rate_time_and_bytes_come_before_the_name() {
        let name = "rocky-linux-9.4-x86_64-web-2026-01.qcow2";
        let shown: Vec<_> = [40, 50, 80, 120].map(|width| upload(name).fit(width)).to_vec();
        let expected = [
            " 42% 112.3 MiB/s, 12 min 13 s left",
            " 42% 112.3 MiB/s, 12 min 13 s left  rocky-l….qcow2",
            " 42% [====>     ] 112.3 MiB/s, 12 min 13 s left, 12.6 of 30.0 GiB  rocky-….qcow2",
            " 42% [====>     ] 112.3 MiB/s, 12 min 13 s left, 12.6 of 30.0 GiB, 12 parts in flight  \
             rocky-linux-9.4-…eb-2026-01.qcow2",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn names_are_shortened_in_the_middle() {
        assert_eq!(middle("disk.qcow2", 10), "disk.qcow2");
        assert_eq!(middle("rocky-linux-9.qcow2", 11), "rocky…qcow2");
        assert_eq!(middle("磁盘映像文件.raw", 9), "磁盘….raw");
        assert_eq!(middle("ab", 0), "…");
    }

    #[test]
    fn foreign_text_in_a_line_moves_no_cursor() {
        let line = Line { facts: vec!["\u{1b}[2JPending".to_owned()], ..upload("a\u{202e}b\nc") };
        assert_eq!(line.fit(200).find(|c: char| c.is_control() || c == '\u{202e}'), None);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            percent in prop::option::of(0_u8..=100), facts in prop::collection::vec(".{0,30}", 0..5),
            details in prop::collection::vec(".{0,30}", 0..5), name in ".{0,60}", width in 1_usize..200
        ) {
            let line = Line { percent, facts, details, name };
            prop_assert!(line.fit(width).width() <= width);
        }
    }
}
