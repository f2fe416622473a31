//! Marks: when they are written, and when nothing is.
//!
//! Must not know: how batches reach the disk.

use super::*;
use crate::disk::simulated::SimulatedDisk;
use crate::log::record::Version;

fn begun(disk: &SimulatedDisk) -> Appender {
    disk.set_alignment(512);
    let dir = Path::new("/store");
    disk.make_dir(dir).unwrap();
    let origin = Origin { founding: Uuid::from_u128(1), member: Uuid::from_u128(2), boot: 1 };
    let limits = ChunkLimits { chunk_bytes: 1 << 20, drop_bytes: 1 << 20 };
    let mut appender = Appender::new(Arc::new(disk.clone()), dir, origin, limits, Heritage::default());
    appender.begin(1).unwrap();
    appender
}

fn put(appender: &mut Appender, sequence: u64) {
    let record = Record::put(1, 0, Version::new(1, sequence), vec![7; 9], vec![8; 90]);
    appender.write(Lot::of(&record)).unwrap();
}

#[test]
fn what_is_durable_is_marked_once_when_nothing_follows() {
    let disk = SimulatedDisk::new();
    let mut appender = begun(&disk);
    put(&mut appender, 1);
    appender.sync().unwrap();
    let calls = disk.calls();
    appender.rest();
    assert_eq!(disk.calls(), calls + 1, "a mark");
    appender.sync().unwrap();
    appender.rest();
    assert_eq!(disk.calls(), calls + 2, "a sync of the mark, and no mark of that");
}

#[test]
fn behind_an_end_nothing_is_written() {
    let disk = SimulatedDisk::new();
    let mut appender = begun(&disk);
    put(&mut appender, 1);
    appender.finish().unwrap();
    let (calls, ended) = (disk.calls(), appender.chain()[0].1);
    appender.rest();
    assert_eq!(disk.calls(), calls);
    // Who goes on says first what is durable.
    put(&mut appender, 2);
    appender.sync().unwrap();
    let file = layout::chunk(Path::new("/store"), 1, 1);
    let bytes = disk.read(&file).unwrap().unwrap();
    let mut found = Vec::new();
    let walked = chunk::walk(&file, &bytes, chunk::Extent::Open, &mut |_, raw| found.push(raw.version.sequence));
    let walked = walked.unwrap();
    assert_eq!((found, walked.good, walked.durable), (vec![1, 2], bytes.len() as u64, ended));
}
