//! What is installed on a disk.

use std::io::Read as _;

use crate::support::World;

const TITLE: &str = "Debian GNU/Linux 12 (bookworm)";

/// Writes a disk with a small Debian on ext4, in which texts are replaced by others, which are filled up with blanks.
pub(crate) fn debian(world: &World, texts: &[(&str, &str)]) {
    let packed = include_bytes!("../data/images/guest-ext4.raw.gz").as_slice();
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    for (old, new) in texts {
        let at = image.windows(old.len()).position(|window| window == old.as_bytes()).expect(old);
        image[at..at + old.len()].fill(b' ');
        image[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    std::fs::write(world.path("disk.raw"), image).unwrap();
}

/// What a line of the fstab names need not be there, and has to be.
pub(crate) const HARD: (&str, &str) = ("ext4 nofail", "ext4 auto");

/// With these a system certainly does not start: what is changed, what finds it, and what mends it.
const DEFECTS: [((&str, &str), &str, &str); 3] = [
    (HARD, "G-FSTAB", "sed -i"),
    (
        ("root=UUID=11111111-2222-3333-4444-555555555555", "root=UUID=99999999-0000-0000-0000-000000000000"),
        "G-GRUB",
        "sed -i",
    ),
    (("block/virtio_blk.ko", "block/virtio_old.ko"), "G-VIRTIO", "virtio_blk"),
];

#[test]
fn inspect_tells_first_what_is_installed() {
    let world = World::new();
    debian(&world, &[]);
    let text = world.ok(&["inspect", "disk.raw"]).stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[1].contains(
            "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-cloud-amd64 (and 1 more), x86_64, UEFI+BIOS"
        ),
        "{text}"
    );
    assert!(lines[1].ends_with(", NVMe ready, cloud-init 22.4.2"), "{text}");
    assert!(lines[2].contains("root on partition 3 (ext4 UUID=11111111-"), "{text}");
    assert!(lines[3].starts_with("warn "), "then what was found: {text}");
    let system = &world.json(&["inspect", "disk.raw"])["guest"]["system"]["found"];
    assert_eq!(system["platform"], "Debian");
    assert_eq!(system["os"]["found"]["version_id"], "12");
    assert_eq!(system["fstab"]["found"][2]["place"], "absent");
    assert_eq!(
        system["kernels"]["found"][0]["drivers"]["initramfs"]["unread"],
        "/boot/initrd.img-6.1.0-28-cloud-amd64, which the boot loader names, is not there"
    );
}

#[test]
fn the_worst_finding_comes_first_with_what_mends_it_and_the_vendor_s_name_for_it() {
    let world = World::new();
    debian(&world, &[HARD]);
    let text = world.run(&["inspect", "disk.raw"]).stdout;
    let lines: Vec<_> = text.lines().skip_while(|line| !line.starts_with("fix ")).collect();
    assert!(text.lines().nth(3) == lines.first().copied(), "{text}");
    assert!(
        lines[0].contains("/etc/fstab line 4: ") && lines[0].ends_with(" [G-FSTAB, GUESTOS.Fstab]"),
        "{text}"
    );
    assert!(lines[1].starts_with("  in the guest  sed -i ") && lines[1].ends_with(" /etc/fstab"), "{text}");
    let severities: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    let place = |severity| severities.iter().position(|known| *known == severity).unwrap();
    assert!(place("fix") < place("info") && place("info") < place("set"), "{text}");
    let json = world.run(&["inspect", "disk.raw", "--output=json"]).stdout;
    let worst = &serde_json::from_str::<serde_json::Value>(&json).unwrap()["findings"][0];
    assert_eq!((&worst["rule"], &worst["vendor_item"]), (&"G-FSTAB".into(), &"GUESTOS.Fstab".into()));
    assert!(worst["fix_commands"][0].as_str().unwrap().starts_with("sed -i "), "{worst}");
}

#[test]
fn what_a_guest_calls_itself_is_no_command_for_the_terminal() {
    let world = World::new();
    debian(&world, &[(TITLE, "\x1b[2J\x1b]0;owned\x07\u{9b}")]);
    for format in ["text", "json"] {
        let out = world.ok(&["inspect", "disk.raw", "--output", format]).stdout;
        assert!(out.contains("owned") && !out.contains(['\x1b', '\x07', '\u{9b}']), "{out:?}");
    }
}

/// Writes a fixture as an image.
fn fixture(world: &World, name: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    let packed = std::fs::File::open(folder.join(format!("{name}.gz"))).unwrap();
    let mut plain = std::fs::File::create(world.path(name)).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut plain).unwrap();
}

#[test]
fn an_object_is_looked_into_by_a_few_ranges_and_is_told_as_the_file_is() {
    let world = World::new();
    let local = world.local();
    for name in ["guest-ext4.raw", "guest-xfs.qcow2", "guest-btrfs.qcow2", "guest-lvm.raw"] {
        fixture(&world, name);
        let object = format!("oss://images/{name}");
        world.ok(&["upload", name, &object, &local]);
        let of_file = world.json(&["inspect", name]);
        let of_object = world.json(&["inspect", &object, "--deep", &local]);
        assert_eq!(of_object["guest"]["system"], of_file["guest"]["system"], "{name}");
        assert_eq!(of_object["findings"], of_file["findings"], "{name}");
        let inspected = world.ok(&["inspect", &object, "-v", &local]);
        let requests = inspected.stderr.lines().filter(|line| line.contains("GetObject")).count();
        assert!((1..=64).contains(&requests), "{requests} of {name}: {}", inspected.stderr);
    }
    let out = world.json(&["inspect", "oss://images/guest-ext4.raw", "--no-guest", &local]);
    assert!(out["guest"].is_null(), "{out}");
}

#[test]
fn an_import_asks_for_what_the_object_says() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[HARD]);
    world.ok(&["upload", "disk.raw", "oss://images/disk.raw", "--force", &local]);
    let import = ["import", "oss://images/disk.raw", "--name=web", "--dry-run", &local];
    assert!(world.fails(3, &import).contains("/etc/fstab line 4"));
    let request = &world.json(&[&import[..], &["--force"]].concat())["request"];
    assert_eq!((&request["Platform"], &request["OSType"]), (&"Debian".into(), &"linux".into()));
}

#[test]
fn an_answer_that_failed_is_no_property_of_the_image() {
    let mut world = World::new();
    let plan = r#"{"rules": [{"operation": "GetObject", "attempts": [5, 1000],
        "fault": {"kind": "status", "status": 403, "code": "AccessDenied"}}]}"#;
    std::fs::write(world.path("faults.json"), plan).unwrap();
    let _server = crate::support::Server::start(&mut world, &["--faults", "faults.json"]);
    fixture(&world, "guest-btrfs.qcow2");
    world.ok(&["upload", "guest-btrfs.qcow2", "oss://images/disk.qcow2"]);
    let finished = world.run(&["inspect", "oss://images/disk.qcow2"]);
    assert_eq!((finished.code, &*finished.stdout), (Some(4), ""), "{finished:?}");
    assert!(finished.stderr.contains("AccessDenied"), "{finished:?}");
}

#[test]
fn what_passes_once_is_looked_into_too_if_its_data_are_few() {
    let world = World::new();
    debian(&world, &[]);
    fixture(&world, "guest-xfs.qcow2");
    let piped = |name: &str| {
        let mut command = world.command(&["inspect", "-", "--output=json"]);
        command.stdin(std::fs::File::open(world.path(name)).unwrap());
        let finished = crate::support::finish(command.spawn().unwrap());
        serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap()
    };
    assert_eq!(piped("guest-xfs.qcow2")["guest"]["system"]["found"]["platform"], "Debian");
    let long = piped("disk.raw");
    assert_eq!(long["guest"]["system"]["found"]["platform"], "Debian", "its data are few");
    let data = world.json(&["inspect", "disk.raw", "--role", "data"]);
    assert!(data["guest"].is_null(), "{data}");
}

/// Returns the names of all files below a folder; none if it is not there.
fn files(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path.display().to_string()] })
        .collect()
}

#[test]
fn no_part_of_a_disk_that_certainly_does_not_start_is_sent() {
    let mut world = World::new();
    let server = crate::support::Server::start(&mut world, &[]);
    let upload = ["upload", "disk.raw", "oss://images/"];
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web"];
    let stored = files(&world.path("data").join("buckets"));
    for (defect, rule, mended) in DEFECTS {
        debian(&world, &[defect]);
        for command in [&upload[..], &publish] {
            let error = world.fails(3, command);
            assert!(error.contains(rule) && error.contains(mended) && error.contains("--force"), "{error}");
            assert!(world.json(&["list", "oss://images"])["uploads"].as_array().unwrap().is_empty());
            assert_eq!(files(&world.path("data").join("buckets")), stored, "{rule}");
        }
    }
    // What it mounts may be on the other disk.
    debian(&world, &[DEFECTS[0].0]);
    std::fs::write(world.path("data.raw"), vec![0; 1 << 20]).unwrap();
    world.ok(&[&publish[..], &["--data-disk=data.raw", "--dry-run", "--create-role"]].concat());
    for wish in ["--no-guest", "--force", "--no-inspect"] {
        world.ok(&[&upload[..], &["--overwrite", wish]].concat());
    }
    assert_ne!(files(&world.path("data").join("buckets")), stored, "this is where parts would be");
    drop(server);
}

#[test]
fn what_the_disk_says_is_asked_of_ecs_unless_the_user_says_otherwise() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[]);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web", "--create-role", &local];
    let asked = |more: &[&str]| {
        let planned = world.run(&[&publish[..], &["--dry-run", "--output=json"], more].concat());
        assert_eq!(planned.code, Some(0), "{planned:?}");
        let json: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
        let request = &json["request"];
        let of = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        (
            ["OSType", "Platform", "Architecture", "BootMode", "Features.NvmeSupport"].map(of).join(" "),
            planned.stderr,
        )
    };
    let (found, said) = asked(&[]);
    assert_eq!(found, "linux Debian x86_64 BIOS supported");
    assert!(said.contains("Platform is Debian: the disk holds Debian GNU/Linux 12 (bookworm)"), "{said}");
    let (wished, said) = asked(&["--platform=Ubuntu", "--boot-mode=UEFI", "--nvme=false"]);
    assert_eq!(wished, "linux Ubuntu x86_64 UEFI unsupported");
    assert!(said.contains("warning: platform Ubuntu is asked for, but the disk holds Debian"), "{said}");
    assert_eq!(asked(&["--no-guest"]).0, "   BIOS ");
    // What is wrong is told before anything is sent.
    let error = world.fails(3, &[&publish[..], &["--architecture=arm64"]].concat());
    assert!(error.contains("built for x86_64"), "{error}");
}

#[test]
fn a_publish_that_is_run_again_asks_for_the_same_and_finds_its_image() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[]);
    let publish = ["publish", "disk.raw", "oss://images/", "--name=web", "--create-role", &local];
    let first = world.json(&publish);
    assert_eq!(world.json(&publish)["image_id"], first["image_id"]);
    let id = first["image_id"].as_str().unwrap();
    let image = world.json(&["image", "show", id, "--region=cn-hangzhou", &local]);
    assert_eq!(image["platform"], "Debian", "{image}");
}

#[test]
fn the_script_of_the_remedies_can_be_run_by_any_shell_and_again() {
    let world = World::new();
    debian(&world, &[HARD]);
    let script = world.ok(&["inspect", "disk.raw", "--fix-script"]).stdout;
    std::fs::write(world.path("fix.sh"), &script).unwrap();
    let mut shell = std::process::Command::new("sh");
    assert!(shell.arg("-n").arg(world.path("fix.sh")).status().unwrap().success(), "{script}");
    assert!(script.starts_with("#!/bin/sh\n# What mends ") && script.contains("\nset -eu\n"), "{script}");
    assert!(script.contains("virt-customize -a "), "{script}");
    let mended =
        script.lines().skip_while(|line| !line.starts_with("# fix G-FSTAB: /etc/fstab line 4: ")).nth(1);
    assert!(
        mended.is_some_and(|line| line.starts_with("sed -i ") && line.ends_with(" /etc/fstab")),
        "{script}"
    );
    assert!(script.ends_with("\ncloud-init clean\n"), "{script}");
    let json = world.json(&["inspect", "disk.raw", "--fix-script"]);
    assert_eq!(json["fix_script"].as_str().unwrap(), script.trim_end());
    // A comment cannot become a command.
    debian(&world, &[HARD, (TITLE, "x\nrm -rf /")]);
    let script = world.ok(&["inspect", "disk.raw", "--fix-script"]).stdout;
    assert!(!script.lines().any(|line| line.starts_with("rm ")), "{script}");
}

#[test]
fn many_images_are_a_table_that_ends_as_the_worst_of_them() {
    let world = World::new();
    std::fs::create_dir(world.path("images")).unwrap();
    debian(&world, &[]);
    std::fs::rename(world.path("disk.raw"), world.path("images/good.raw")).unwrap();
    std::fs::write(world.path("images/.hidden"), "x").unwrap();
    let table = world.ok(&["inspect", "images"]).stdout;
    assert_eq!(table.lines().count(), 2, "{table}");
    debian(&world, &[HARD]);
    std::fs::rename(world.path("disk.raw"), world.path("images/hard.raw")).unwrap();
    let many = ["inspect", "images", "gone.raw", "--output=json"];
    let finished = world.run(&many);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        (&json["images"][1]["verdict"], &json["images"][2]["verdict"]),
        (&"refused".into(), &().into())
    );
    assert_ne!(json["images"][0]["verdict"], "refused", "{json}");
    assert!(json["images"][2]["error"].as_str().unwrap().contains("gone.raw"), "{json}");
    let table = world.run(&many[..3]).stdout;
    for (line, told) in table.lines().skip(1).zip(["good.raw", "G-FSTAB", "unread"]) {
        assert!(line.contains(told), "{table}");
    }
    assert!(table.contains("Debian GNU/Linux 12 (bookworm)"), "{table}");
    assert_eq!(world.run(&["inspect", "gone.raw", "images/good.raw"]).code, Some(2));
}

#[test]
fn what_the_image_check_of_ecs_finds_is_shown_with_our_names_and_fails_nothing() {
    let world = World::new();
    let local = world.local();
    debian(&world, &[HARD]);
    let publish = [
        "publish",
        "disk.raw",
        "oss://images/",
        "--name=web",
        "--create-role",
        "--force",
        "--detect",
        &local,
    ];
    let finished = world.ok(&[&publish[..], &["--output=json"]].concat());
    assert!(finished.stderr.contains("risk (high): GUESTOS.Fstab, /etc/fstab line 4"), "{finished:?}");
    assert!(finished.stderr.contains("[G-FSTAB]"), "{finished:?}");
    let row = |name: &str| finished.stderr.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let words = |name: &str| row(name).split_whitespace().take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("GUESTOS.Fstab"), ["GUESTOS.Fstab", "High", "G-FSTAB", "/etc/fstab"], "{finished:?}");
    assert_eq!(
        words("GUESTOS.OSVersion")[1..],
        ["-", "G-OS", "Debian"],
        "what is well is shown too: {finished:?}"
    );
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let risks = json["risks"].as_array().unwrap();
    let fstab = risks.iter().find(|risk| risk["name"] == "GUESTOS.Fstab").unwrap();
    assert_eq!((&fstab["level"], &fstab["rules"]), (&"High".into(), &serde_json::json!(["G-FSTAB"])));
    let checked = json["checked"].as_array().unwrap();
    assert!(checked.len() > risks.len() && checked.contains(fstab), "{json:#}");
    let strict = [
        "import",
        "oss://images/disk.qcow2",
        "--name=strict",
        "--wait",
        "--detect",
        "--no-guest",
        "--strict",
        &local,
    ];
    let error = world.fails(3, &strict);
    assert!(error.contains("GUESTOS.Fstab") && error.contains("G-FSTAB, G-FSDEV"), "{error}");
}

/// Writes a disk with a small Windows on NTFS.
fn windows(world: &World, packed: &[u8]) {
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    std::fs::write(world.path("windows.raw"), image).unwrap();
}

const WINDOWS_BIOS: &[u8] = include_bytes!("../data/images/guest-windows-bios.raw.gz");
const WINDOWS_UEFI: &[u8] = include_bytes!("../data/images/guest-windows-uefi.raw.gz");

#[test]
fn a_windows_is_told_and_its_settings_follow_from_inside() {
    let world = World::new();
    for (packed, mode, place) in
        [(WINDOWS_BIOS, "BIOS", "partition 1"), (WINDOWS_UEFI, "UEFI", "partition 2")]
    {
        windows(&world, packed);
        let text = world.ok(&["inspect", "windows.raw"]).stdout;
        let said = text.lines().nth(1).unwrap();
        for part in ["Windows Server 2022 Datacenter", "20348.2700", "x86_64", mode, "virtio and NVMe"] {
            assert!(said.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("warn W-") && !text.contains("fix W-"), "{text}");
        let json = world.json(&["inspect", "windows.raw"]);
        let system = &json["guest"]["windows"];
        assert_eq!((&system["root"], &system["build"]["found"]), (&place.into(), &20_348.into()), "{json:#}");
        assert_eq!(system["platform"], "Windows Server 2022");
        let settings = &json["settings"];
        for (name, value) in [
            ("os_type", "windows"),
            ("platform", "Windows Server 2022"),
            ("architecture", "x86_64"),
            ("boot_mode", mode),
        ] {
            assert_eq!(settings[name], value, "{settings:#}");
        }
    }
}

#[test]
fn what_is_asked_for_against_a_windows_is_contradicted_before_anything_is_sent() {
    let world = World::new();
    windows(&world, WINDOWS_BIOS);
    let stderr = world.fails(3, &["inspect", "windows.raw", "--os-type=linux"]);
    assert!(stderr.contains("S-WIN"), "{stderr}");
    let text = world.ok(&["inspect", "windows.raw", "--platform=Windows Server 2016"]).stdout;
    assert!(text.contains("Windows Server 2022"), "{text}");
    let local = world.local();
    let publish =
        ["publish", "windows.raw", "oss://images/", "--name=win", "--create-role", "--dry-run", &local];
    let sent = world.json(&publish);
    assert_eq!(sent["request"]["OSType"], "windows", "{sent:#}");
    assert_eq!(sent["request"]["Platform"], "Windows Server 2022", "{sent:#}");
}
