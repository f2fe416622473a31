//! Names behind which there is no file.

use super::*;
use rustix::fs::{CWD, FileType, Mode};

#[test]
fn a_pipe_or_a_device_under_a_name_of_ours_is_refused_at_once() {
    let room = tempfile::tempdir().unwrap();
    let (pipe, device) = (room.path().join("pipe"), room.path().join("device"));
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
    for path in [&pipe, &device] {
        let mut part = crate::disk::zeroed(BLOCK);
        assert!(OsDisk.read(path).is_err());
        assert!(OsDisk.read_part(path, 0, 1).is_err());
        assert!(OsDisk.read_into(path, 0, &mut part).is_err());
        assert!(OsDisk.read_past_cache(path).is_err());
        assert_eq!(OsDisk.length(path).unwrap(), None);
    }
    assert!(OsDisk.lock(&pipe).is_err());
}

/// The second batch meets a thread that has ended: what ended it is told, not that it has.
#[test]
fn a_full_disk_is_told_as_that_also_to_the_batch_behind() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut file = Appending::begin(full).unwrap();
    let batch = || std::sync::Arc::new(crate::disk::zeroed(BLOCK));
    let mut offset = 0;
    let told = loop {
        match file.append(offset, batch()) {
            Ok(()) => offset += BLOCK as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(told.kind(), io::ErrorKind::StorageFull, "{told}");
    assert!(file.append(offset, batch()).is_err() && file.sync().is_err(), "nothing goes on behind it");
}
