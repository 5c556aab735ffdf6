//! What is new in a console output that comes as a whole each time.

/// How much of what was seen is looked for when the beginning is missing.
const ANCHOR: usize = 256;

/// Returns what follows in `now` on what was seen before. The service may have dropped the beginning; then it goes on
/// behind the end of what was seen, and if not even that is there, everything is new.
pub(super) fn news<'a>(seen: &[u8], now: &'a [u8]) -> &'a [u8] {
    if let Some(rest) = now.strip_prefix(seen) {
        return rest;
    }
    // Less than before: an answer from a place that is behind.
    if seen.starts_with(now) {
        return &[];
    }
    let anchor = &seen[seen.len().saturating_sub(ANCHOR)..];
    match now.windows(anchor.len().max(1)).rposition(|window| window == anchor) {
        Some(at) => &now[at + anchor.len()..],
        None => now,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_start_is_all_new() {
        assert_eq!(news(b"GRUB loading.\nLinux", b"SeaBIOS\n"), b"SeaBIOS\n");
        assert_eq!(news(b"", b"SeaBIOS\n"), b"SeaBIOS\n");
    }

    proptest! {
        #[test]
        fn what_was_said_is_told_once_however_much_is_kept(
            said in proptest::collection::vec(any::<u8>(), 0..2000),
            cuts in proptest::collection::vec((0..2000_usize, 0..500_usize), 1..6),
        ) {
            // No place looks like another.
            let said: Vec<u8> = said.iter().enumerate().flat_map(|(at, byte)| [(at >> 8) as u8, at as u8, *byte]).collect();
            let mut ends: Vec<(usize, usize)> =
                cuts.into_iter().map(|(end, dropped)| (end.min(said.len()), dropped)).collect();
            ends.sort_unstable();
            let (mut seen, mut seen_to, mut told) = (Vec::new(), 0_usize, Vec::new());
            for (end, dropped) in ends {
                // What was seen last is still there.
                let from = dropped.min(seen_to.saturating_sub(ANCHOR));
                let now = &said[from..end];
                told.extend_from_slice(news(&seen, now));
                (seen, seen_to) = (now.to_vec(), end);
            }
            prop_assert_eq!(told, &said[..seen_to]);
        }
    }
}
