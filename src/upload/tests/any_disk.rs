//! Random disks on every path: the same object whatever happens on the way, and the same disk in it.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::{ObjectFormat, Qcow2Compat};
use crate::read::ReadAt;
use crate::source::{DiskSource, Stream};
use crate::transfer::TransferError;

const CLUSTER: usize = 64 << 10;
/// The smallest part that OSS takes.
const SMALLEST: u64 = 100 << 10;

/// What a cluster of a disk holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cluster {
    Hole,
    Zeros,
    Data,
    FirstHalf,
    SecondHalf,
    LastByte,
}

#[derive(Debug, Clone)]
struct Disk {
    clusters: Vec<Cluster>,
    /// By how many bytes the last cluster is shorter.
    short: usize,
}

impl Disk {
    fn any() -> impl Strategy<Value = Self> {
        use Cluster::*;
        let cluster = prop_oneof![
            3 => Just(Data), 2 => Just(Hole), 2 => Just(Zeros), 1 => Just(FirstHalf), 1 => Just(SecondHalf), 1 => Just(LastByte)
        ];
        let short = prop_oneof![Just(0), Just(CLUSTER - 512), 1..CLUSTER];
        (prop::collection::vec(cluster, 1..40), short).prop_map(|(clusters, short)| Self { clusters, short })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.clusters.len() * CLUSTER];
        for (index, (cluster, bytes)) in self.clusters.iter().zip(bytes.chunks_mut(CLUSTER)).enumerate() {
            let data = match cluster {
                Cluster::Hole | Cluster::Zeros => 0..0,
                Cluster::Data => 0..CLUSTER,
                Cluster::FirstHalf => 0..CLUSTER / 2,
                Cluster::SecondHalf => CLUSTER / 2..CLUSTER,
                Cluster::LastByte => CLUSTER - 1..CLUSTER,
            };
            for (at, byte) in bytes[data].iter_mut().enumerate() {
                *byte = (at / 251 + at + index * 7) as u8 | 1;
            }
        }
        bytes.truncate(bytes.len() - self.short);
        bytes
    }

    /// Writes it as a file, with its holes.
    fn write(&self, file: &Path) {
        let bytes = self.bytes();
        let out = std::fs::File::create(file).unwrap();
        out.set_len(bytes.len() as u64).unwrap();
        for (index, (cluster, bytes)) in self.clusters.iter().zip(bytes.chunks(CLUSTER)).enumerate() {
            if *cluster != Cluster::Hole {
                out.write_all_at(bytes, (index * CLUSTER) as u64).unwrap();
            }
        }
    }
}

/// A way from a disk to an object.
#[derive(Debug, Clone, Copy)]
enum Way {
    File,
    Converted,
    Piped,
    PipedAndConverted,
}

impl Way {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![Just(Self::File), Just(Self::Converted), Just(Self::Piped), Just(Self::PipedAndConverted)]
    }

    fn any_stream() -> impl Strategy<Value = Self> {
        prop_oneof![Just(Self::Piped), Just(Self::PipedAndConverted)]
    }

    fn form(self) -> ObjectForm {
        let format = match self {
            Self::File | Self::Piped => ObjectFormat::AsIs,
            Self::Converted | Self::PipedAndConverted => ObjectFormat::Qcow2 { compat: Qcow2Compat::V3 },
        };
        ObjectForm { format, ..ObjectForm::default() }
    }

    /// Begins an upload of the world's file, or of these bytes as a stream that gives a few at a time.
    fn upload(self, world: &World, bytes: Vec<u8>) -> Upload {
        let upload = match self {
            Self::File | Self::Converted => world.upload(),
            Self::Piped | Self::PipedAndConverted => {
                let stream =
                    Stream::new("standard input", Drops(io::Cursor::new(bytes))).with_memory(8 * MIB);
                Upload::from_stream(world.client.clone(), stream, world.object())
                    .with_state_dir(world.folder.path().join("state"))
            }
        };
        upload.with_form(self.form())
    }
}

struct Drops(io::Cursor<Vec<u8>>);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(50_021);
        self.0.read(&mut buffer[..most])
    }
}

/// What happens to a request that sends a part, of those that none happened to before.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    AnswerLost,
    Refused,
    /// So that others are acknowledged before it.
    Late(u8),
}

fn fates() -> impl Strategy<Value = Vec<(usize, Fate)>> {
    let fate = prop_oneof![
        Just(Fate::Lost),
        Just(Fate::AnswerLost),
        Just(Fate::Refused),
        (0u8..6).prop_map(Fate::Late),
    ];
    prop::collection::vec((0usize..4, fate), 0..8)
}

fn script(world: &World, fates: &[(usize, Fate)]) {
    for (skip, fate) in fates {
        let effect = match *fate {
            Fate::Lost => Effect::LostRequest,
            Fate::AnswerLost => Effect::LostAnswer,
            Fate::Refused => Effect::Refused { status: 503, code: "ServiceUnavailable", retry_after: "0" },
            Fate::Late(ms) => Effect::First(Arc::new(move || {
                Box::pin(tokio::time::sleep(Duration::from_millis(ms.into())))
            })),
        };
        world.script.rule("UploadPart", *skip, 1, effect);
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn disk_in(object: Vec<u8>) -> Vec<u8> {
    let disk = crate::image::open_disk(Arc::new(object) as Arc<dyn ReadAt>).unwrap();
    let mut bytes = vec![0; disk.length() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn raw_to_qcow2_to_raw_is_the_same_disk_from_files_and_streams_in_any_parts(
        disk in Disk::any(),
        sizes in prop::collection::vec(SMALLEST..8 * SMALLEST, 2),
        parallel in 1usize..5,
        fates in fates(),
        more_fates in fates(),
    ) {
        let bytes = disk.bytes();
        let world = World::new(1);
        disk.write(&world.file());
        let objects = run(async {
            let mut objects = Vec::new();
            for (way, size, fates) in [(Way::Converted, sizes[0], &fates), (Way::PipedAndConverted, sizes[1], &more_fates)] {
                script(&world, fates);
                let upload = way.upload(&world, bytes.clone()).with_part_size(size).with_parallel(parallel).with_overwrite(true);
                let report = upload.run().await.unwrap();
                assert_eq!(report.image_bytes, bytes.len() as u64);
                objects.push(world.stored().await.unwrap());
                world.script.clear();
            }
            objects
        });
        prop_assert!(objects[0] == objects[1], "the object follows from the disk alone");
        let mut padded = bytes;
        padded.resize(padded.len().next_multiple_of(512), 0);
        prop_assert!(run(disk_in(objects[0].clone())) == padded);
        // And back, on the way.
        std::fs::write(world.file(), &objects[0]).unwrap();
        run(async {
            script(&world, &fates);
            let file = Arc::new(FileSource::open(world.file()).unwrap());
            let inside = Arc::new(DiskSource::open(file).unwrap());
            let upload = Upload::new(world.client.clone(), inside, world.object()).with_part_size(sizes[1]);
            upload.with_parallel(parallel).with_overwrite(true).run().await.unwrap();
            assert!(world.stored().await.unwrap() == padded);
        });
    }
}

/// The moment at which a run ends without another word.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// After so many events.
    Events(usize),
    /// When so many requests of a kind were carried out, and the answer to the next is not heard.
    Unheard(&'static str, usize),
    /// When so many requests of a kind were carried out, and the next is on its way.
    OnItsWay(&'static str, usize),
}

impl Kill {
    fn any() -> impl Strategy<Value = Self> {
        let operation =
            || prop_oneof![6 => Just("UploadPart"), 1 => Just("ListParts"), 2 => Just("Complete")];
        prop_oneof![
            3 => (1usize..60).prop_map(Self::Events),
            1 => (operation(), 0usize..6).prop_map(|(name, skip)| Self::Unheard(name, skip)),
            1 => (operation(), 0usize..6).prop_map(|(name, skip)| Self::OnItsWay(name, skip)),
        ]
    }
}

/// What the service has acknowledged in all runs, as they told.
#[derive(Debug, Clone, Default)]
struct Acknowledged(Arc<Mutex<Vec<ByteRange>>>);

impl Acknowledged {
    /// Takes in an event.
    fn hear(&self, event: &Event) {
        let mut acknowledged = self.0.lock().unwrap();
        match event {
            Event::PartDone { range, .. } => acknowledged.push(*range),
            Event::PartStarted { range, .. } => {
                let twice =
                    acknowledged.iter().any(|there| there.start < range.end && range.start < there.end);
                assert!(!twice, "{range:?} was acknowledged, and is sent again: {acknowledged:?}");
            }
            _ => {}
        }
    }
}

/// Runs an upload until it is killed. Returns its report if it ended before.
async fn until(
    world: &World,
    upload: Upload,
    kill: Kill,
    acknowledged: &Acknowledged,
) -> Option<UploadReport> {
    let killed = CancellationToken::new();
    let kill_now = killed.clone();
    match kill {
        Kill::Events(_) => {}
        Kill::Unheard(operation, skip) => world.script.rule(operation, skip, 1, Effect::SilentAnswer),
        Kill::OnItsWay(operation, skip) => {
            let kill_now = killed.clone();
            let first = move || -> BoxFuture<'static, ()> {
                kill_now.cancel();
                Box::pin(std::future::pending())
            };
            world.script.rule(operation, skip, 1, Effect::First(Arc::new(first)));
        }
    }
    let (seen, acknowledged) = (AtomicUsize::new(0), acknowledged.clone());
    let sink = EventSink::new(move |event| {
        acknowledged.hear(&event);
        if matches!(kill, Kill::Events(events) if seen.fetch_add(1, Ordering::Relaxed) + 1 == events) {
            kill_now.cancel();
        }
    });
    let upload = upload.with_events(sink);
    let report = tokio::select! {
        biased;
        () = killed.cancelled() => None,
        report = upload.run() => Some(report.unwrap()),
        // Nothing else can happen while the answer that is not heard is waited for.
        () = tokio::time::sleep(Duration::from_millis(150)), if matches!(kill, Kill::Unheard(..)) => None,
    };
    world.script.clear();
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn killed_at_any_moments_every_way_ends_in_the_same_bytes_and_sends_nothing_twice(
        disk in Disk::any(),
        way in Way::any(),
        size in SMALLEST..4 * SMALLEST,
        parallel in 1usize..4,
        kills in prop::collection::vec(Kill::any(), 1..5),
    ) {
        let bytes = disk.bytes();
        let world = World::new(1);
        disk.write(&world.file());
        let expected = match way {
            Way::File | Way::Piped => bytes.clone(),
            Way::Converted | Way::PipedAndConverted => {
                let undisturbed = World::new(1);
                disk.write(&undisturbed.file());
                run(async {
                    way.upload(&undisturbed, bytes.clone()).run().await.unwrap();
                    undisturbed.stored().await.unwrap()
                })
            }
        };
        run(async {
            let acknowledged = Acknowledged::default();
            let upload = || way.upload(&world, bytes.clone()).with_part_size(size).with_parallel(parallel);
            let (mut count, mut report) = (0, None);
            for kill in &kills {
                report = until(&world, upload(), *kill, &acknowledged).await;
                if report.is_some() {
                    break;
                }
                count += 1;
            }
            if report.is_none() {
                until(&world, upload(), Kill::Events(usize::MAX), &acknowledged).await.unwrap();
            }
            assert!(world.stored().await.unwrap() == expected);
            let parts = expected.len().div_ceil(size as usize);
            let sent = world.script.count("UploadPart");
            assert!(sent <= parts + count * parallel, "{sent} requests for {parts} parts and {count} kills");
        });
    }

    #[test]
    fn another_stream_completes_nothing_and_keeps_the_parts(
        disk in Disk::any(),
        way in Way::any_stream(),
        size in SMALLEST..3 * SMALLEST,
        changed in any::<prop::sample::Index>(),
        shorter: bool,
    ) {
        let bytes = disk.bytes();
        let world = World::new(1);
        run(async {
            let acknowledged = Acknowledged::default();
            let upload = |bytes| way.upload(&world, bytes).with_part_size(size).with_parallel(1);
            // All parts are in, and the object is not made.
            let killed = until(&world, upload(bytes.clone()), Kill::OnItsWay("Complete", 0), &acknowledged).await;
            assert!(killed.is_none());
            let mut other = bytes.clone();
            let at = changed.index(bytes.len());
            match shorter && at > 0 {
                // Of a disk that goes as QCOW2 the length is in the header, in sectors.
                true => other.truncate(at / 512 * 512),
                false => other[at] ^= 0x55,
            }
            if !other.is_empty() {
                let error = upload(other).run().await.unwrap_err();
                let refused = matches!(&error, UploadError::Transfer { source: TransferError::OtherContent { .. }, .. });
                assert!(refused, "{error:?}");
                assert_eq!((world.stored().await, world.open_uploads().await), (None, 1));
            }
            let before = world.script.count("UploadPart");
            upload(bytes).run().await.unwrap();
            // A longer stream may have sent more under the number of the last part, before it was refused.
            assert!(world.script.count("UploadPart") <= before + 1);
        });
    }
}
