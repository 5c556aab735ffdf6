//! The menu that a boot loader shows, and which of its entries starts by itself.

/// Most entries of one menu.
pub(super) const MOST_ENTRIES: usize = 64;

/// A menu as a configuration has it: entries and menus inside of it, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Menu {
    pub(super) file: String,
    pub(super) items: Vec<Item>,
    /// What starts by itself, as the configuration names it; the first if nothing is named.
    pub(super) default: Option<String>,
    /// Where the entries of the Boot Loader Specification are put, if they are.
    pub(super) specified_at: Option<usize>,
    /// What the loader looks for by itself.
    pub(super) searches: Vec<Search>,
}

/// A file system that the loader looks for, to read its own files and the kernel from there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) line: usize,
    /// As `fstab` would name it: `UUID=…`, `LABEL=…`.
    pub(super) device: String,
    /// The index of the entry that it is for; `None` if it is for all.
    pub(super) item: Option<usize>,
}

/// An entry, or a menu inside of a menu.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: Option<String>,
    pub(super) title: String,
    /// The index of the menu that it is in; `None` for the outermost.
    pub(super) inside: Option<usize>,
    pub(super) is_menu: bool,
    /// What it starts: nothing for an entry that starts another loader, several for one that tries one after another.
    pub(super) starts: Vec<Start>,
}

/// A kernel that is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) kernel: Option<String>,
    /// Release of the kernel, where it stands beside it.
    pub(super) release: Option<String>,
    pub(super) initrds: Vec<String>,
    pub(super) arguments: Vec<String>,
}

impl Menu {
    /// Puts entries of the Boot Loader Specification to where the configuration wants them.
    pub(super) fn put_specified(&mut self, specified: Vec<Item>) {
        let Some(at) = self.specified_at.take() else { return };
        for item in &mut self.items {
            item.inside = item.inside.map(|menu| if menu >= at { menu + specified.len() } else { menu });
        }
        for search in &mut self.searches {
            search.item = search.item.map(|item| if item >= at { item + specified.len() } else { item });
        }
        self.items.splice(at..at, specified);
    }

    /// Returns which entry starts by itself: `default` names it by its number, title or id, after those of the menus that
    /// it is in. What names nothing is the first, as for GRUB.
    pub(super) fn default_item(&self) -> Option<usize> {
        let named = self.default.as_deref().and_then(|path| self.named(path));
        let first = named.or_else(|| self.inside(None).next())?;
        self.first_in(first)
    }

    fn named(&self, path: &str) -> Option<usize> {
        // In a title a `>` is doubled.
        const DOUBLED: &str = "\u{0}";
        let mut found = None;
        for name in path.replace(">>", DOUBLED).split('>').take(8) {
            let name = name.replace(DOUBLED, ">");
            let mut inside = self.inside(found);
            let by_number = name.parse().ok().and_then(|number| inside.nth(number));
            let by_name = || {
                let is = |item: &Item| item.id.as_deref() == Some(&*name) || item.title == name;
                self.inside(found).find(|index| is(&self.items[*index]))
            };
            found = Some(by_number.or_else(by_name)?);
        }
        found
    }

    fn inside(&self, menu: Option<usize>) -> impl Iterator<Item = usize> {
        let indexes = self.items.iter().enumerate().filter(move |(_, item)| item.inside == menu);
        indexes.map(|(index, _)| index)
    }

    /// Returns the first entry of a menu, or the entry itself.
    fn first_in(&self, item: usize) -> Option<usize> {
        let mut item = item;
        // What is inside of a menu stands behind it, so that this ends.
        while self.items[item].is_menu {
            item = self.inside(Some(item)).find(|inner| *inner > item)?;
        }
        Some(item)
    }
}
