//! What the EFI partition configures: menus of GRUB and of systemd-boot, unified kernel images, and the few lines by which
//! a GRUB there finds the configuration that is elsewhere.

use super::super::tree::Tree;
use super::super::volume::{Read, Reason};
use super::menu::{Item, Menu};
use super::{LONGEST, MOST_FILES, grub, script, specified, specified_default, unified};

/// Most vendors whose folders are looked into.
const MOST_VENDORS: usize = 16;

/// Reads what is configured on the EFI partition that is mounted at `point`: the menus, and apart from them what only
/// says where a menu is. Entries that the system has in its own `/boot` are not read again.
pub(super) fn read(tree: &mut Tree, point: &str) -> Result<(Vec<Menu>, Vec<Menu>), Reason> {
    let (mut menus, mut pointers) = (Vec::new(), Vec::new());
    let vendors = tree.list(&format!("{point}/EFI"))?.unwrap_or_default();
    for vendor in vendors.iter().take(MOST_VENDORS).filter_map(|name| std::str::from_utf8(name).ok()) {
        let folder = format!("{point}/EFI/{vendor}");
        let file = format!("{folder}/grub.cfg");
        let Some(bytes) = tree.read(&file, LONGEST)? else { continue };
        let block = tree.read(&format!("{folder}/grubenv"), 4096)?.unwrap_or_default();
        let menu = grub::read(&file, &bytes, &mut script::environment(&block));
        let is_menu = !menu.items.is_empty() || menu.specified_at.is_some();
        if is_menu { menus.push(menu) } else { pointers.push(menu) }
    }
    let mut items = Vec::new();
    if point != "/boot" {
        items = entries(tree, point)?.unwrap_or_default();
    }
    let folder = format!("{point}/EFI/Linux");
    for name in tree.list(&folder)?.unwrap_or_default().iter().take(MOST_FILES) {
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| name.ends_with(".efi")) else {
            continue;
        };
        items.extend(unified::read(tree, &format!("{folder}/{name}"))?);
    }
    if !items.is_empty() {
        specified::sort(&mut items);
        let default = specified_default(tree, point, &items)?;
        menus.push(Menu { items, default, ..Menu::default() });
    }
    Ok((menus, pointers))
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
