//! Tables for people: a header, and columns as wide as their contents. Pure.

use unicode_width::UnicodeWidthStr;

use super::text::printable;

/// A table of text. Foreign text in it cannot move the cursor or start a line.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&name| name.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell =
            |cell: String| if cell.is_empty() { "-".to_owned() } else { printable(&cell).into_owned() };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// Returns the lines without the header where they go to a program, which takes each for a row.
    pub(crate) fn text_for(&self, is_terminal: bool) -> String {
        let text = self.text();
        let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
        if is_terminal { text } else { rows.to_owned() }
    }

    /// Returns the lines, without a line end behind the last; nothing if there are no rows.
    pub(crate) fn text(&self) -> String {
        if self.rows.len() == 1 {
            return String::new();
        }
        let width =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.width());
        let widths: Vec<_> = (0..self.rows[0].len()).map(|column| width(column).max().unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line += cell;
                line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_foreign_text_stays_in_its_cell() {
        let mut table = Table::new(&["ID", "STATUS", "NAME"]);
        assert_eq!(table.text(), "");
        table.row(["m-1", "Avai\u{1b}[2Jlable\nm-9", "磁盘"].map(str::to_owned));
        table.row(["m-22", "", ""].map(str::to_owned));
        assert_eq!(
            table.text(),
            "ID    STATUS                      NAME\n\
             m-1   Avai\\u{1b}[2Jlable\\u{a}m-9  磁盘\n\
             m-22  -                           -"
        );
        assert_eq!(table.text_for(true), table.text());
        assert_eq!(
            table.text_for(false),
            "m-1   Avai\\u{1b}[2Jlable\\u{a}m-9  磁盘\nm-22  -                           -"
        );
    }
}
