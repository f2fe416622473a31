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
