//! Names of the simulated disk: which there are, and which of them are durable.
//!
//! The law: a change of a name is durable when its directory was synced, not before; a directory that was renamed is found
//! under its old name until then, with all that was durable below it. Must not know: bytes.

use super::World;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Clone)]
pub(super) struct Tree {
    pub files: BTreeMap<PathBuf, usize>,
    pub dirs: BTreeSet<PathBuf>,
}

impl Tree {
    /// What can be found from the root on.
    pub fn reachable(&self) -> Tree {
        let is_there = |dir: &Path| dir.as_os_str().is_empty() || self.dirs.contains(dir);
        let mut tree = self.clone();
        tree.files.retain(|path, _| path.ancestors().skip(1).all(is_there));
        tree.dirs.retain(|path| path.ancestors().skip(1).all(is_there));
        tree
    }

    pub fn move_dir(&mut self, from: &Path, to: &Path) {
        let moved = |path: &Path| match path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => to.to_path_buf(),
            Ok(rest) => to.join(rest),
            Err(_) => path.to_path_buf(),
        };
        self.files = self.files.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        self.dirs = self.dirs.iter().map(|path| moved(path)).collect();
    }

    pub fn is_empty(&self, dir: &Path) -> bool {
        let mut paths = self.files.keys().chain(&self.dirs);
        !paths.any(|path| path.parent() == Some(dir))
    }
}

impl World {
    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.named(from)?;
        let device = |path: &Path| self.elsewhere.iter().find(|dir| path.starts_with(dir));
        if device(from) != device(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let names = self.now.files.values().filter(|other| **other == inode).count();
        if self.most_names.is_some_and(|most| names >= most) {
            return Err(io::ErrorKind::TooManyLinks.into());
        }
        if !to.parent().is_some_and(|dir| self.now.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.now.files.contains_key(to) || self.now.dirs.contains(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.now.files.insert(to.to_path_buf(), inode);
        Ok(())
    }

    pub(super) fn make_durable(&mut self, dir: &Path) {
        let here = |path: &Path| path.parent() == Some(dir);
        let World { now, durable, moves, .. } = self;
        moves.retain(|(from, to)| {
            if here(to) {
                durable.move_dir(from, to);
            }
            !here(to)
        });
        durable.files.retain(|path, _| !here(path));
        durable
            .files
            .extend(now.files.iter().filter(|(path, _)| here(path)).map(|(path, inode)| (path.clone(), *inode)));
        durable.dirs.retain(|path| !here(path));
        durable.dirs.extend(now.dirs.iter().filter(|path| here(path)).cloned());
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::Disk;
    use crate::disk::simulated::{Aftermath, Fault, SimulatedDisk};
    use std::io::ErrorKind;
    use std::path::Path;

    /// `/d/a` with durable bytes.
    fn disk() -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        disk.plant(Path::new("/d/a"), b"bytes");
        disk.make_dir(Path::new("/d/e")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk
    }

    fn reads(disk: &SimulatedDisk, path: &str) -> Option<Vec<u8>> {
        disk.read(Path::new(path)).unwrap()
    }

    #[test]
    fn a_link_is_durable_with_its_directory_and_no_sooner() {
        let disk = disk();
        disk.link(Path::new("/d/a"), Path::new("/d/e/a")).unwrap();
        assert_eq!(reads(&disk.reboot(Aftermath::Lost), "/d/e/a"), None);
        assert_eq!(reads(&disk.reboot(Aftermath::NamesOnly), "/d/e/a").unwrap(), b"bytes");
        disk.sync_dir(Path::new("/d/e")).unwrap();
        disk.remove(Path::new("/d/a")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(reads(&disk.reboot(Aftermath::Lost), "/d/e/a").unwrap(), b"bytes");
    }

    #[test]
    fn a_link_makes_no_byte_durable_and_shows_what_is_written_under_the_other_name() {
        let disk = disk();
        let mut file = disk.open(Path::new("/d/a")).unwrap();
        disk.link(Path::new("/d/a"), Path::new("/d/e/a")).unwrap();
        disk.sync_dir(Path::new("/d/e")).unwrap();
        file.write_at(0, b"BYTES").unwrap();
        assert_eq!(reads(&disk, "/d/e/a").unwrap(), b"BYTES");
        assert_eq!(reads(&disk.reboot(Aftermath::Lost), "/d/e/a").unwrap(), b"bytes");
    }

    #[test]
    fn a_link_that_is_refused_changes_nothing() {
        let (from, to) = (Path::new("/d/a"), Path::new("/d/e/a"));
        let kind = |disk: &SimulatedDisk| {
            let error = disk.link(from, to).unwrap_err();
            assert_eq!(reads(disk, "/d/e/a"), None);
            error.kind()
        };
        let full = disk();
        full.fault_at(full.calls() + 1, Fault::RunsFull);
        assert_eq!(kind(&full), ErrorKind::StorageFull);
        let other = disk();
        other.put_elsewhere(Path::new("/d/e"));
        assert_eq!(kind(&other), ErrorKind::CrossesDevices);
        let many = disk();
        many.set_most_names(1);
        assert_eq!(kind(&many), ErrorKind::TooManyLinks);
        let twice = disk();
        twice.link(from, to).unwrap();
        assert_eq!(twice.link(from, to).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_renamed_directory_is_found_under_its_old_name_until_the_one_above_was_synced() {
        let disk = disk();
        disk.link(Path::new("/d/a"), Path::new("/d/e/a")).unwrap();
        disk.sync_dir(Path::new("/d/e")).unwrap();
        disk.rename(Path::new("/d/e"), Path::new("/d/f")).unwrap();
        let lost = disk.reboot(Aftermath::Lost);
        assert_eq!((reads(&lost, "/d/e/a").unwrap(), reads(&lost, "/d/f/a")), (b"bytes".to_vec(), None));
        disk.sync_dir(Path::new("/d")).unwrap();
        let kept = disk.reboot(Aftermath::Lost);
        assert_eq!((reads(&kept, "/d/e/a"), reads(&kept, "/d/f/a").unwrap()), (None, b"bytes".to_vec()));
    }

    #[test]
    fn only_an_empty_directory_can_be_removed() {
        let disk = disk();
        disk.link(Path::new("/d/a"), Path::new("/d/e/a")).unwrap();
        assert_eq!(disk.remove_dir(Path::new("/d/e")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        disk.remove(Path::new("/d/e/a")).unwrap();
        disk.remove_dir(Path::new("/d/e")).unwrap();
        assert_eq!(disk.list(Path::new("/d")).unwrap(), ["a"]);
    }
}
