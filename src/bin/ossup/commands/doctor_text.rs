//! The checks on one screen. Pure.

use std::fmt::Write as _;

use ossup::doctor::{Area, Check, Verdict};

/// Says what a permission rests on that no answer showed.
const ASSUMED: &str = "assumed, since the service only said that what was asked about does not exist:";

/// Columns of a line of permissions, without what stands before it.
const WIDTH: usize = 88;

/// The areas in the order in which they are shown.
const ORDER: [Area; 8] = [
    Area::Settings,
    Area::Credentials,
    Area::Network,
    Area::Bucket,
    Area::Import,
    Area::Permissions,
    Area::Machine,
    Area::Speed,
];

/// Returns a line for each check, below each the way out. Permissions that are granted share a line.
pub(super) fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for area in ORDER {
        let (granted, others): (Vec<_>, Vec<_>) =
            checks.iter().filter(|check| check.area == area).partition(|check| is_granted(check));
        if granted.is_empty() && others.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", area.as_str());
        for check in others {
            let _ = writeln!(text, "  {:<8}{}", check.verdict, check.text);
            if let Some(way_out) = &check.way_out {
                let _ = writeln!(text, "          -> {way_out}");
            }
        }
        let (assumed, shown): (Vec<_>, Vec<_>) =
            granted.into_iter().partition(|check| check.facts["assumed"] == true);
        let lines_of =
            |checks: &[&Check]| wrapped(&checks.iter().map(|check| check.id.as_str()).collect::<Vec<_>>());
        let (shown, mut assumed) = (lines_of(&shown), lines_of(&assumed));
        if !assumed.is_empty() {
            assumed.insert(0, ASSUMED.to_owned());
        }
        for lines in [shown, assumed] {
            for (at, line) in lines.iter().enumerate() {
                let verdict = if at == 0 { Verdict::Ok.as_str() } else { "" };
                let _ = writeln!(text, "  {verdict:<8}{line}");
            }
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns words joined by commas, in lines that fit a narrow terminal.
fn wrapped(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 2 <= WIDTH => *line = format!("{line}, {word}"),
            Some(line) => {
                line.push(',');
                lines.push((*word).to_owned());
            }
            None => lines.push((*word).to_owned()),
        }
    }
    lines
}

fn is_granted(check: &Check) -> bool {
    check.area == Area::Permissions && check.verdict == Verdict::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_area_has_its_lines_and_what_is_granted_shares_one() {
        let check = |area, id: &str, verdict, text: &str| Check::new(area, id, verdict, text);
        let checks = [
            check(Area::Permissions, "oss:PutObject", Verdict::Ok, "oss:PutObject: upload"),
            check(Area::Permissions, "oss:ListParts", Verdict::Fail, "oss:ListParts is not allowed")
                .with_way_out("grant it"),
            check(Area::Permissions, "ecs:CopyImage", Verdict::Ok, "ecs:CopyImage: publish"),
            check(Area::Permissions, "ecs:DeleteImage", Verdict::Ok, "ecs:DeleteImage: image delete")
                .with_facts(serde_json::json!({"assumed": true})),
            check(Area::Network, "clock", Verdict::Unknown, "no service answered"),
        ];
        assert_eq!(
            text(&checks),
            "network\n  unknown no service answered\npermissions\n  fail    oss:ListParts is not allowed\n\
             \x20         -> grant it\n  ok      oss:PutObject, ecs:CopyImage\n  ok      assumed, since the service \
             only said that what was asked about does not exist:\n          ecs:DeleteImage"
        );
        assert_eq!(text(&[]), "");
    }
}
