//! What the EFI partition configures: menus of GRUB and of systemd-boot, unified kernel images, and the few lines by which
//! a GRUB there finds the configuration that is elsewhere. What firmware starts by itself tells whether any of these counts.

use super::super::tree::Tree;
use super::super::volume::{Read, Reason};
use super::menu::{Item, Menu};
use super::program::Program;
use super::{LONGEST, MOST_FILES, grub, script, specified, specified_default, unified};

/// Most vendors whose folders are looked into.
const MOST_VENDORS: usize = 16;

/// What firmware starts by itself: the program of this name in `EFI/BOOT`.
const FALLBACKS: [&str; 2] = ["BOOTX64.EFI", "BOOTAA64.EFI"];
/// What shim starts, or has beside it: then the loader is GRUB.
const WITH_SHIM: [&str; 3] = ["grub", "fb", "mm"];
/// Where Flatcar, and CoreOS before it, have their kernels; what starts them is in the loader itself.
const FLATCAR: [&str; 2] = ["flatcar", "coreos"];

/// What the EFI partition has.
#[derive(Default)]
pub(super) struct Found {
    /// Menus, the one that counts first.
    pub(super) menus: Vec<Menu>,
    /// What only says where a menu is.
    pub(super) pointers: Vec<Menu>,
    /// The kernel that firmware starts itself.
    pub(super) direct: Option<Menu>,
    /// The loader that finds what it starts by other means than those that are read here.
    pub(super) other: Option<String>,
}

/// Reads what is configured on the EFI partition that is mounted at `point`. Entries that the system has in its own
/// `/boot` are not read again.
pub(super) fn read(tree: &mut Tree, point: &str) -> Result<Found, Reason> {
    let mut found = Found::default();
    let vendors = tree.list(&format!("{point}/EFI"))?.unwrap_or_default();
    for vendor in vendors.iter().take(MOST_VENDORS).filter_map(|name| std::str::from_utf8(name).ok()) {
        let folder = format!("{point}/EFI/{vendor}");
        let file = format!("{folder}/grub.cfg");
        let Some(bytes) = tree.read(&file, LONGEST)? else { continue };
        let block = tree.read(&format!("{folder}/grubenv"), 4096)?.unwrap_or_default();
        let menu = grub::read(&file, &bytes, &mut script::environment(&block));
        let is_menu = !menu.items.is_empty() || menu.specified_at.is_some();
        if is_menu { found.menus.push(menu) } else { found.pointers.push(menu) }
    }
    let mut items = Vec::new();
    if point != "/boot" {
        items = entries(tree, point)?.unwrap_or_default();
        // A partition of its own for `/boot` (XBOOTLDR) may have images too.
        items.extend(images(tree, "/boot")?);
    }
    items.extend(images(tree, point)?);
    if !items.is_empty() {
        specified::sort(&mut items);
        let default = specified_default(tree, point, &items)?;
        found.menus.push(Menu { items, default, ..Menu::default() });
    }
    fallback(tree, point, &mut found)?;
    Ok(found)
}

/// Looks at what firmware starts by itself.
fn fallback(tree: &mut Tree, point: &str, found: &mut Found) -> Result<(), Reason> {
    for folder in FLATCAR {
        if tree.has(&format!("{point}/{folder}"))? {
            found.other = Some("GRUB of Flatcar has its configuration in itself".to_owned());
        }
    }
    let folder = format!("{point}/EFI/BOOT");
    let names = tree.list(&folder)?.unwrap_or_default();
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name).to_lowercase()).collect();
    let has_shim = names.iter().any(|name| WITH_SHIM.iter().any(|front| name.starts_with(front)));
    for name in FALLBACKS {
        let file = format!("{folder}/{name}");
        let Some(mut open) = tree.open(&file)? else { continue };
        let program = Program::of(&mut open)?;
        if let Some(item) = unified::read(tree, point, &file)? {
            found.direct = Some(Menu { items: vec![item], ..Menu::default() });
        } else if !has_shim && !program.needs_configuration() {
            let kind = match names.iter().any(|name| name == "refind.conf") {
                true => "is rEFInd, which looks for kernels by itself",
                false => "is no loader whose configuration is known here",
            };
            found.other = Some(format!("\\EFI\\BOOT\\{name} {kind}"));
        }
    }
    Ok(())
}

/// Lists the unified kernel images below `point`.
fn images(tree: &mut Tree, point: &str) -> Result<Vec<Item>, Reason> {
    let folder = format!("{point}/EFI/Linux");
    let mut items = Vec::new();
    for name in tree.list(&folder)?.unwrap_or_default().iter().take(MOST_FILES) {
        let is_program = |name: &&str| name.to_ascii_lowercase().ends_with(".efi");
        let Some(name) = std::str::from_utf8(name).ok().filter(is_program) else { continue };
        items.extend(unified::read(tree, point, &format!("{folder}/{name}"))?);
    }
    Ok(items)
}

fn entries(tree: &mut Tree, point: &str) -> Read<Vec<Item>> {
    let folder = format!("{point}/loader/entries");
    let Some(names) = tree.list(&folder)? else { return Ok(None) };
    let mut items = Vec::new();
    let names = names.iter().filter_map(|name| std::str::from_utf8(name).ok());
    for name in names.filter(|name| name.ends_with(".conf")).take(MOST_FILES) {
        let file = format!("{folder}/{name}");
        if let Some(bytes) = tree.read(&file, LONGEST)? {
            items.extend(specified::read(&file, &bytes, &script::Variables::new()));
        }
    }
    Ok(Some(items))
}
