//! A file system of its own in an image on the real disk.
//!
//! Law: whatever becomes of a case, nothing stays mounted, attached or on the disk. Must not know: stores.

use crate::tools::{run, wait_until};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file system that is made anew for each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
    Btrfs,
}

pub const KINDS: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];

/// Room of an image: the least that mkfs of XFS takes, and some; what is not written takes none.
const IMAGE_BYTES: u64 = 320 << 20;

impl Kind {
    pub fn name(self) -> &'static str {
        ["ext4", "xfs", "btrfs"][self as usize]
    }

    fn make(self, device: &Path) {
        let device = device.to_str().unwrap();
        match self {
            Kind::Ext4 => run(&["mkfs.ext4", "-q", "-F", "-m", "0", device]),
            Kind::Xfs => run(&["mkfs.xfs", "-q", "-f", device]),
            Kind::Btrfs => run(&["mkfs.btrfs", "-q", "-f", device]),
        };
    }

    /// What is not synced stays away from the device, so that a copy of the image is what a power cut would leave.
    fn options(self) -> &'static str {
        match self {
            Kind::Ext4 | Kind::Btrfs => "commit=300",
            Kind::Xfs => "noatime",
        }
    }
}

/// A mounted image.
pub struct Volume {
    pub kind: Kind,
    room: PathBuf,
    image: PathBuf,
    at: PathBuf,
}

impl Volume {
    /// An image below `room`, which lies on the real disk.
    pub fn new(room: &Path, kind: Kind) -> Volume {
        let volume = Volume { kind, room: room.to_path_buf(), image: room.join("image"), at: room.join("mount") };
        fs::create_dir_all(&volume.at).unwrap();
        fs::File::create(&volume.image).unwrap().set_len(IMAGE_BYTES).unwrap();
        kind.make(&volume.image);
        volume.mount();
        volume
    }

    /// The same on a device that fails when a file system in RAM below it is full.
    pub fn on_failing_device(room: &Path, kind: Kind, bytes: u64) -> Volume {
        let below = room.join("below");
        fs::create_dir_all(&below).unwrap();
        let volume = Volume { kind, room: room.to_path_buf(), image: below.join("image"), at: room.join("mount") };
        run(&["mount", "-t", "tmpfs", "-o", &format!("size={bytes}"), "below", below.to_str().unwrap()]);
        fs::create_dir_all(&volume.at).unwrap();
        fs::File::create(&volume.image).unwrap().set_len(IMAGE_BYTES).unwrap();
        kind.make(&volume.image);
        volume.mount();
        volume.of_short_requests();
        volume
    }

    /// A loop device says of a request of which only a part fits that all of it is written. What a page takes fits or does not.
    fn of_short_requests(&self) {
        let device = run(&["findmnt", "--noheadings", "--output", "SOURCE", self.at.to_str().unwrap()]);
        let name = device.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/block/{name}/queue/max_sectors_kb"), "4").unwrap();
    }

    /// The device of [`Volume::on_failing_device`] takes so many bytes from now on.
    pub fn heal_device(&self, bytes: u64) {
        run(&["mount", "-o", &format!("remount,size={bytes}"), self.image.parent().unwrap().to_str().unwrap()]);
    }

    /// A directory for a store.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    pub fn at(&self) -> &Path {
        &self.at
    }

    fn mount(&self) {
        let options = format!("loop,{}", self.kind.options());
        run(&[
            "mount",
            "-t",
            self.kind.name(),
            "-o",
            &options,
            self.image.to_str().unwrap(),
            self.at.to_str().unwrap(),
        ]);
    }

    pub fn unmount(&self) {
        wait_until("the volume is free", || rustix_unmount(&self.at));
    }

    /// Detached and attached again, as after a restart of the node.
    pub fn again(&self) {
        self.unmount();
        self.mount();
    }

    pub fn remount(&self, how: &str) {
        run(&["mount", "-o", &format!("remount,{how}"), self.at.to_str().unwrap()]);
    }

    /// Everything written so far reaches the device, and what was freed may be used.
    pub fn settle(&self) {
        run(&["sync", "-f", self.at.to_str().unwrap()]);
    }

    /// What the device has in this moment; taken while nobody writes.
    pub fn photograph(&self) -> PathBuf {
        let copy = self.room.join("photograph");
        run(&["cp", "--sparse=always", self.image.to_str().unwrap(), copy.to_str().unwrap()]);
        copy
    }

    /// The power was cut when the photograph was taken.
    pub fn cut_power(&self, photograph: &Path) {
        self.unmount();
        fs::rename(photograph, &self.image).unwrap();
        self.mount();
    }

    /// A file that leaves only so many bytes free.
    pub fn leave_free(&self, bytes: u64) -> PathBuf {
        let ballast = self.at.join("ballast");
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        let length = (stat.f_bavail * stat.f_frsize).checked_sub(bytes).expect("there is more room than that");
        run(&["fallocate", "-l", &length.to_string(), ballast.to_str().unwrap()]);
        self.settle();
        ballast
    }

    /// Major and minor number of the device.
    pub fn device(&self) -> String {
        let device = run(&["findmnt", "-n", "-o", "SOURCE", self.at.to_str().unwrap()]);
        let number = fs::metadata(device.trim()).unwrap().rdev();
        format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
    }
}

fn rustix_unmount(at: &Path) -> bool {
    let done = std::process::Command::new("umount").arg(at).stderr(std::process::Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Takes everything away that is mounted below a directory, the last first, and then the directory.
pub fn clear(room: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below =
        mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)).filter(|at| Path::new(at).starts_with(room));
    for at in below {
        // Whoever still has a file open there ends with it.
        let lazily = ["umount", "--lazy", at];
        if !rustix_unmount(Path::new(at)) {
            let _ = std::process::Command::new(lazily[0]).args(&lazily[1..]).status();
        }
    }
    let _ = fs::remove_dir_all(room);
}
