//! Points of imports, by dry runs: no image is made.

use super::super::ask::Ask;
use super::lab::{Lab, Seen};
use super::{Found, Point};
use crate::protocol::ecs::code;

/// Length of the disk that is asked about, in bytes.
const DISK: usize = 2 << 20;

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "dry-run-code",
        question: "The code that a successful dry run of ImportImage answers with.",
        settle: |lab| Box::pin(dry_run(lab)),
    },
    Point {
        id: "import-suffix",
        question: "Dry runs of ImportImage of keys that end in `.bin`, in `.img` and without a suffix.",
        settle: |lab| Box::pin(suffix(lab)),
    },
    Point {
        id: "import-aes256",
        question: "A dry run of ImportImage of an object that is encrypted with AES256.",
        settle: |lab| Box::pin(aes256(lab)),
    },
    Point {
        id: "import-disk-size",
        question: "Dry runs of ImportImage with DiskImageSize 5, 39, 501 and 2048.",
        settle: |lab| Box::pin(size(lab)),
    },
    Point {
        id: "image-name-search",
        question: "DescribeImages with ImageName of the beginning, the end and the middle of an own image's name.",
        settle: |lab| Box::pin(name_search(lab)),
    },
];

/// A small disk that boots: boot code, an active partition, the magic of ext4.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; DISK];
    disk[0] = 0xEB;
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[(1 << 20) + 1080..(1 << 20) + 1082].copy_from_slice(&[0x53, 0xEF]);
    disk
}

async fn import(lab: &Lab, key: &str, more: &[(&str, &str)]) -> Seen {
    let key = lab.key(key);
    let mut params = vec![
        ("DiskDeviceMapping.1.OSSBucket", lab.bucket.as_str()),
        ("DiskDeviceMapping.1.OSSObject", key.as_str()),
        ("DiskDeviceMapping.1.Format", "RAW"),
        ("ImageName", "ossup-fidelity"),
        ("DryRun", "true"),
    ];
    params.extend(more);
    lab.send(Ask::ecs("ImportImage", lab.client.region(), &params)).await
}

fn went_well(seen: &Seen) -> bool {
    [code::DRYRUN_SUCCESS, code::DRY_RUN_OPERATION].contains(&seen.code.as_str())
}

async fn dry_run(lab: &Lab) -> Found {
    lab.put("disk.raw", disk()).await;
    let seen = import(lab, "disk.raw", &[("DiskDeviceMapping.1.DiskImageSize", "40")]).await;
    if !went_well(&seen) {
        return Found::open(
            seen.shown(),
            "the dry run did not succeed: the role may be missing (NoSetRoletoECSServiceAcount), or the permission",
        );
    }
    Found::either(
        seen.shown(),
        seen.code == code::DRY_RUN_OPERATION,
        "the emulator's default; `ossup` takes either",
        "the other documented code, which `ossup` takes too; the emulator's other state is \
         `--ecs dry_run_code=DRYRUN.SUCCESS`",
    )
}

async fn suffix(lab: &Lab) -> Found {
    let mut shown = Vec::new();
    let mut refused = false;
    for key in ["x.bin", "x.img", "x"] {
        lab.put(key, disk()).await;
        let seen = import(lab, key, &[("DiskDeviceMapping.1.DiskImageSize", "40")]).await;
        refused |= seen.code == code::UNSUPPORTED_SUFFIX_OSS_OBJECT;
        if !refused && !went_well(&seen) {
            return Found::open(
                format!("`{key}`: {}", seen.shown()),
                "the dry run was refused for another reason",
            );
        }
        shown.push(format!("`{key}`: {}", seen.shown()));
    }
    Found::either(
        shown.join("; "),
        !refused,
        "the suffix does not matter",
        "keys need a suffix that is known; the emulator's other state is `--ecs check_suffix`",
    )
}

async fn aes256(lab: &Lab) -> Found {
    let ask = lab.about("PutObject", http::Method::PUT, "encrypted.raw", &[]);
    let ask = ask.with_header("x-oss-server-side-encryption", "AES256").with_body(disk());
    let put = lab.send(ask).await;
    if !put.is_ok() {
        return Found::open(put.shown(), "no encrypted object could be made");
    }
    let seen = import(lab, "encrypted.raw", &[("DiskDeviceMapping.1.DiskImageSize", "40")]).await;
    let refused = seen.code.contains("EncryptUnsupported");
    if !refused && !went_well(&seen) {
        return Found::open(seen.shown(), "the dry run was refused for another reason");
    }
    Found::either(
        seen.shown(),
        !refused,
        "what AES256 encrypts can be imported",
        "what AES256 encrypts is refused: `ossup` must refuse such a bucket, and not only warn; the emulator's other \
         state is `--ecs refuse_aes256`",
    )
}

async fn size(lab: &Lab) -> Found {
    lab.put("disk.raw", disk()).await;
    let mut shown = Vec::new();
    let mut all = true;
    for size in ["5", "39", "501", "2048"] {
        let seen = import(lab, "disk.raw", &[("DiskDeviceMapping.1.DiskImageSize", size)]).await;
        let known = went_well(&seen) || seen.code.contains("Size");
        if !known {
            return Found::open(
                format!("{size}: {}", seen.shown()),
                "the dry run was refused for another reason",
            );
        }
        all &= went_well(&seen);
        shown.push(format!("{size}: {}", seen.shown()));
    }
    Found::either(
        shown.join("; "),
        all,
        "disks of 1 to 2048 GiB are taken",
        "the range is narrower here; the emulator's other states are `--ecs system_disk_gib=LOW-HIGH`",
    )
}

async fn name_search(lab: &Lab) -> Found {
    let region = lab.client.region();
    let own = lab
        .send(Ask::ecs("DescribeImages", region, &[("ImageOwnerAlias", "self"), ("PageSize", "50")]))
        .await;
    let names = |seen: &Seen| -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(&seen.body()).unwrap_or_default();
        let images = value.pointer("/Images/Image").and_then(serde_json::Value::as_array);
        let name = |image: &serde_json::Value| Some(image.get("ImageName")?.as_str()?.to_owned());
        images.into_iter().flatten().filter_map(name).collect()
    };
    let Some(name) = names(&own).into_iter().find(|name| name.chars().count() > 3) else {
        return Found::open(
            own.shown(),
            "the account has no image in this region whose name could be searched",
        );
    };
    let characters: Vec<char> = name.chars().collect();
    let last = characters.len() - 1;
    let mut shown = Vec::new();
    let mut all = true;
    for (what, part) in
        [("beginning", &characters[..last]), ("end", &characters[1..]), ("middle", &characters[1..last])]
    {
        let part: String = part.iter().collect();
        let query = [("ImageOwnerAlias", "self"), ("ImageName", part.as_str())];
        let seen = lab.send(Ask::ecs("DescribeImages", region, &query)).await;
        if !seen.is_ok() {
            return Found::open(seen.shown(), "no answer to the search");
        }
        let found = names(&seen).contains(&name);
        all &= found;
        shown.push(format!("by its {what} {}", if found { "found" } else { "not found" }));
    }
    Found::either(
        shown.join(", "),
        all,
        "a search finds all images whose names contain the text; `ossup` compares what it finds",
        "a search is stricter; `ossup` searches for whole names where it needs one image, and must not search for a part of \
         one. The emulator's other state is `--ecs whole_names`",
    )
}
