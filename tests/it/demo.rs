//! The demonstration, on a small disk.

use crate::support::World;

#[test]
fn the_demonstration_goes_the_whole_way_and_cleans_up() {
    let mut world = World::new();
    let folder = world.path("tmp");
    std::fs::create_dir(&folder).unwrap();
    world.env("TMPDIR", folder.to_str().unwrap());
    world.disk("disk.raw", 64 << 20, 1);
    let finished = world.ok(&["demo", "--image=disk.raw"]);
    for part in ["Interrupted.", "already there", "are the same", "is Available", "Everything is removed"] {
        assert!(finished.stderr.contains(part), "{part}: {}", finished.stderr);
    }
    assert_eq!(finished.stdout.lines().count(), 2);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    assert!(world.path("disk.raw").exists());
}
