//! The source changes while it is read.

use super::*;

#[tokio::test]
async fn a_source_that_changes_meanwhile_makes_no_object() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let touch = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(async move {
            use std::io::Write;
            std::fs::File::options().append(true).open(file).unwrap().write_all(b"more").unwrap();
        })
    }));
    world.script.rule("UploadPart", 2, 1, touch);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(world.script.count("Complete"), 0);
    assert!(world.stored().await.is_none());
}

#[tokio::test]
async fn a_source_that_is_cut_short_is_said_to_have_changed() {
    let world = World::new(3 * MIB);
    let file = world.file();
    let cut = Effect::First(Arc::new(move || {
        let file = file.clone();
        Box::pin(
            async move { std::fs::File::options().write(true).open(file).unwrap().set_len(MIB).unwrap() },
        )
    }));
    world.script.rule("Initiate", 0, 1, cut);
    let error = world.upload().run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}
