//! Logical volumes of LVM2 that lie in pieces on one partition, which is how installers make them.
//!
//! A partition begins with a label, which leads to a text that names the volumes and their extents. Mirrors, stripes,
//! thin pools, snapshots and groups over several disks are told as unread.

use super::pages::View;
use super::text::shown;
use crate::read::{le32, le64};

/// Most bytes of the text, which is as much as LVM itself has room for by default.
const LONGEST_TEXT: u64 = 1 << 20;
/// Most sections inside of each other.
const DEEPEST: usize = 16;
/// Most logical volumes, and most segments of one.
pub(super) const MOST_VOLUMES: usize = 64;
const MOST_SEGMENTS: usize = 4096;

/// A logical volume.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Logical {
    /// The names of the group and of the volume.
    pub(super) name: (String, String),
    /// Where each piece begins in the partition, and its bytes; or why they are not all there.
    pub(super) pieces: Result<Vec<(u64, u64)>, String>,
}

/// Lists the logical volumes of a physical volume.
pub(super) fn volumes(view: &View) -> Result<Vec<Logical>, String> {
    view.pages().begin();
    let read = text(view);
    if let Some(reason) = view.pages().failure() {
        return Err(reason);
    }
    let (id, text) = read?;
    let text = String::from_utf8(text).map_err(|_| "the text of LVM is no text")?;
    interpret(&id, &text).ok_or_else(|| "the text of LVM cannot be understood".to_owned())
}

/// Returns the id of the physical volume and the text of the group.
fn text(view: &View) -> Result<(String, Vec<u8>), String> {
    let unreadable = |error: super::pages::Unreadable| error.to_string();
    for sector in 0..4 {
        let label = view.head::<512>(sector * 512).map_err(unreadable)?;
        if !label.starts_with(b"LABELONE") || &label[24..32] != b"LVM2 001" {
            continue;
        }
        let at = le32(&label, 20) as usize;
        let header =
            label.get(at..).filter(|header| header.len() >= 40).ok_or("its header lies elsewhere")?;
        let id = String::from_utf8_lossy(&header[..32]).into_owned();
        let (pairs, _) = header[40..].as_chunks::<16>();
        let pairs: Vec<_> = pairs.iter().map(|pair| (le64(pair, 0), le64(pair, 8))).collect();
        // The areas of data end with zeros; then come those of metadata, which end alike.
        let mut lists = pairs.split(|pair| *pair == (0, 0));
        let areas = lists.nth(1).unwrap_or_default();
        for (start, size) in areas.iter().copied() {
            let area = view.head::<512>(start).map_err(unreadable)?;
            let (offset, length) = (le64(&area, 40), le64(&area, 48));
            if &area[4..20] != b" LVM2 x[5A%r0N*>" || length == 0 {
                continue;
            }
            if length > LONGEST_TEXT || !(512..size).contains(&offset) || length > size - 512 {
                return Err("its text does not fit its place".to_owned());
            }
            let mut text = vec![0; usize::try_from(length).expect("at most 1 MiB")];
            let before_end = usize::try_from(length.min(size - offset)).expect("at most 1 MiB");
            let (front, wrapped) = text.split_at_mut(before_end);
            view.fill(start.saturating_add(offset), front).map_err(unreadable)?;
            view.fill(start.saturating_add(512), wrapped).map_err(unreadable)?;
            let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            text.truncate(end);
            return Ok((id, text));
        }
        return Err("it has no text of LVM".to_owned());
    }
    Err("it has no label of LVM".to_owned())
}

/// A value of the text.
#[derive(Debug)]
enum Value<'a> {
    Text(&'a str),
    Number(u64),
    List(Vec<Value<'a>>),
    Section(Vec<(&'a str, Value<'a>)>),
}

impl<'a> Value<'a> {
    fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.entries()?.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn entries(&self) -> Option<&[(&'a str, Value<'a>)]> {
        match self {
            Value::Section(entries) => Some(entries),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn interpret(id: &str, text: &str) -> Option<Vec<Logical>> {
    let parsed = Parser { rest: text }.entries(0)?;
    let (group, section) = parsed.iter().find(|(_, value)| value.get("physical_volumes").is_some())?;
    let extent = section.number("extent_size")?.checked_mul(512)?;
    let is_this = |value: &Value| value.text("id").is_some_and(|text| text.replace('-', "") == id);
    let (physical, own) =
        section.get("physical_volumes")?.entries()?.iter().find(|(_, value)| is_this(value))?;
    let first = own.number("pe_start")?.checked_mul(512)?;
    let Some(volumes) = section.get("logical_volumes") else { return Some(Vec::new()) };
    let volumes = volumes.entries()?.iter().take(MOST_VOLUMES).map(|(name, volume)| {
        let pieces = pieces(volume, physical, first, extent);
        let pieces = pieces.ok_or_else(|| "it is not made of plain pieces of this partition".to_owned());
        Logical { name: (shown(group.as_bytes()), shown(name.as_bytes())), pieces }
    });
    Some(volumes.collect())
}

/// Returns the pieces of a volume in order, if all of them are plain and on this partition.
fn pieces(volume: &Value, physical: &str, first: u64, extent: u64) -> Option<Vec<(u64, u64)>> {
    let segments = volume.entries()?.iter().filter(|(name, _)| name.starts_with("segment"));
    let mut segments: Vec<_> = segments.filter(|(_, value)| value.entries().is_some()).collect();
    if segments.is_empty() || segments.len() > MOST_SEGMENTS {
        return None;
    }
    segments.sort_by_key(|(_, segment)| segment.number("start_extent"));
    let mut next = 0;
    let mut pieces = Vec::new();
    for (_, segment) in segments {
        let plain = segment.text("type") == Some("striped") && segment.number("stripe_count") == Some(1);
        if !plain || segment.number("start_extent") != Some(next) {
            return None;
        }
        let count = segment.number("extent_count")?;
        let Value::List(stripes) = segment.get("stripes")? else { return None };
        let [Value::Text(on), Value::Number(at)] = stripes[..] else { return None };
        if on != physical {
            return None;
        }
        pieces.push((first.checked_add(at.checked_mul(extent)?)?, count.checked_mul(extent)?));
        next = next.checked_add(count)?;
    }
    Some(pieces)
}

/// Reads the text: `name { … }`, `key = "text"`, `key = 7`, `key = [1, "a"]`, `# comment`.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// Reads entries up to the end of the section, or of the text.
    fn entries(&mut self, depth: usize) -> Option<Vec<(&'a str, Value<'a>)>> {
        let mut entries = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() || self.takes('}') {
                // A section ends with a brace, the text without.
                return Some(entries);
            }
            let end = self.rest.find(|char: char| char.is_whitespace() || "{}=[]#,\"".contains(char))?;
            let (name, rest) = self.rest.split_at(end);
            if name.is_empty() {
                return None;
            }
            self.rest = rest;
            self.skip();
            if self.takes('{') {
                if depth == DEEPEST {
                    return None;
                }
                entries.push((name, Value::Section(self.entries(depth + 1)?)));
            } else if self.takes('=') {
                entries.push((name, self.value()?));
            } else {
                return None;
            }
        }
    }

    fn value(&mut self) -> Option<Value<'a>> {
        self.skip();
        if !self.takes('[') {
            return self.plain();
        }
        let mut list = Vec::new();
        loop {
            self.skip();
            if self.takes(']') {
                return Some(Value::List(list));
            }
            list.push(self.plain()?);
            self.skip();
            self.takes(',');
        }
    }

    /// Reads a text in quotes, or a number.
    fn plain(&mut self) -> Option<Value<'a>> {
        if self.takes('"') {
            let mut escaped = false;
            let end = self.rest.find(|char| {
                let ends = char == '"' && !escaped;
                escaped = char == '\\' && !escaped;
                ends
            })?;
            let (text, rest) = self.rest.split_at(end);
            self.rest = &rest[1..];
            return Some(Value::Text(text));
        }
        let end = self.rest.find(|char: char| char.is_whitespace() || ",]}#".contains(char))?;
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        // There are numbers with a fraction or a sign too, of which none matters here.
        let looks_so = number.starts_with(|char: char| char.is_ascii_digit() || char == '-');
        looks_so.then(|| Value::Number(number.parse().unwrap_or(u64::MAX)))
    }

    fn takes(&mut self, char: char) -> bool {
        match self.rest.strip_prefix(char) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Passes over blanks and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefGHIJklmnOPQRstuvWXYZ01234567";

    fn group(volumes: &str) -> String {
        format!(
            "vg {{ # a group\nid = \"x\"\nseqno = 3\nstatus = [\"RESIZEABLE\", \"READ\"]\nextent_size = 8192\n\
             physical_volumes {{\npv0 {{\nid = \"abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-01234567\"\npe_start = 2048\n}}\n}}\n\
             logical_volumes {{\n{volumes}\n}}\n}}\ncontents = \"Text \\\"Format\\\" Volume Group\"\nversion = 1\n"
        )
    }

    fn segment(number: u32, start: u64, count: u64, stripes: &str) -> String {
        format!(
            "segment{number} {{\nstart_extent = {start}\nextent_count = {count}\ntype = \"striped\"\n\
             stripe_count = 1\nstripes = [\n{stripes}\n]\n}}\n"
        )
    }

    #[test]
    fn a_volume_is_put_together_from_its_pieces_in_order() {
        const EXTENT: u64 = 4 << 20;
        let root = segment(1, 3, 2, "\"pv0\", 0") + &segment(2, 0, 3, "\"pv0\", 10");
        let text = group(&format!(
            "root {{\nsegment_count = 2\n{root}}}\nswap {{\n{}}}",
            segment(1, 0, 1, "\"pv1\", 0")
        ));
        let volumes = interpret(ID, &text).unwrap();
        assert_eq!(volumes[0].name, ("vg".to_owned(), "root".to_owned()));
        let start = 1 << 20;
        assert_eq!(volumes[0].pieces, Ok(vec![(start + 10 * EXTENT, 3 * EXTENT), (start, 2 * EXTENT)]));
        assert!(volumes[1].pieces.is_err(), "on another disk");
        assert!(interpret("another", &text).is_none());
        assert_eq!(interpret(ID, &group("")).unwrap(), []);
    }

    #[test]
    fn what_has_gaps_or_numbers_beyond_all_bounds_is_no_volume() {
        for segments in [
            segment(1, 1, 1, "\"pv0\", 0"),
            segment(1, 0, u64::MAX, "\"pv0\", 0"),
            segment(1, 0, 1, "\"pv0\", 99999999999999999999"),
            segment(1, 0, 1, "\"pv0\", 0, \"pv0\", 1"),
            segment(1, 0, 1, "").replace("striped", "thin"),
            String::new(),
        ] {
            let volumes = interpret(ID, &group(&format!("root {{\n{segments}}}"))).unwrap();
            assert!(volumes[0].pieces.is_err(), "{segments}");
        }
        assert!(interpret(ID, &"a {".repeat(100)).is_none());
        for text in ["", "a", "a = ", "a = [", "a = \"", "a = [1", "= 1", "a { b = x }"] {
            assert!(interpret(ID, text).is_none(), "{text}");
        }
    }
}
