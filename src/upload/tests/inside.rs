//! The disk inside an image is uploaded like any other source.

use super::*;
use crate::image::testing::{dynamic_vhd, mbr_disk, qcow2};
use crate::source::DiskSource;

#[tokio::test]
async fn the_object_is_the_disk_inside_and_a_stopped_upload_of_it_goes_on() {
    let disk = mbr_disk();
    for image in [qcow2(&disk), dynamic_vhd(&disk)] {
        let world = World::new(MIB);
        std::fs::write(world.file(), &image).unwrap();
        let upload = || {
            let file = Arc::new(FileSource::open(world.file()).unwrap());
            let source = Arc::new(DiskSource::open(file).unwrap());
            Upload::new(world.client.clone(), source, world.object())
                .with_state_dir(world.folder.path().join("state"))
                .with_part_size(MIB)
                .with_parallel(1)
        };
        let refused = "<Error><Code>AccessDenied</Code></Error>".to_owned();
        world.script.rule("UploadPart", 3, 1, Effect::Answer(403, refused));
        assert!(upload().run().await.unwrap_err().is_resumable());
        let report = upload().run().await.unwrap();
        assert!(world.stored().await.unwrap() == disk);
        assert!(report.resumed_parts > 0);
        assert_eq!(report.bytes_sent, 8 * MIB - report.resumed_parts as u64 * MIB);
    }
}
