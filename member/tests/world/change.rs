//! What is changed about a cluster between two starts of its members: its configuration, its places, its files.
//!
//! Law: as a person would do it, with files and ports alone. Must not know: what a test is about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Process, World, ports};

impl World {
    /// With ports and a certificate for one more, who stands in nobody's list and has no store.
    pub fn and_a_stranger(mut self) -> Self {
        self.pki.write_members(&self.tls_dir(), self.size + 1);
        let ports = ports::free(4);
        self.ports.push([ports[0], ports[1], ports[2], ports[3]]);
        self.hosts.push(self.hosts[0].clone());
        self
    }

    /// Adds a section to what all members read when they start.
    pub fn configure(&self, file: &str, under: &str, section: &str) {
        let path = self.dir.path().join("config").join(file);
        let text = std::fs::read_to_string(&path).unwrap().replacen(under, &format!("{under}{section}"), 1);
        assert!(text.contains(section), "{} has no '{under}'", path.display());
        std::fs::write(&path, text).unwrap();
    }

    /// Dataflow workers of one member from its next start on.
    pub fn set_workers(&self, ordinal: u32, workers: u32) {
        let instance = format!("{{lossless-restart-enabled: true, cooperative-thread-count: {workers}}}");
        std::fs::write(self.own_config(ordinal), format!("hazelcast-jet:\n  instance: {instance}\n")).unwrap();
    }

    pub(super) fn own_config(&self, ordinal: u32) -> PathBuf {
        self.dir.path().join(format!("config/hazelcast-jet-{ordinal}.yaml"))
    }

    /// As if all machines were replaced while nothing runs: other addresses, other ports, other directories.
    pub fn moves_to(&mut self, bind: &'static str) {
        assert!(self.members.is_empty());
        let elsewhere = self.dir.path().join("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        let old = std::mem::replace(&mut self.homes, elsewhere);
        for ordinal in 0..self.size {
            std::fs::rename(old.join(format!("member-{ordinal}")), self.home(ordinal)).unwrap();
        }
        let file = self.dir.path().join("config/hazelcast.yaml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (host, ports) in self.hosts.iter_mut().zip(&mut self.ports) {
            let free = ports::free(4);
            let new = [free[0], free[1], free[2], free[3]];
            text = text.replace(&format!("{}:{}", host.address, ports[0]), &format!("{bind}:{}", new[0]));
            *ports = new;
            host.address = bind.into();
        }
        std::fs::write(&file, text).unwrap();
    }

    /// A second process of this member on the same directory. Its ports: member, admin, health, client.
    pub fn start_once_more(&self, ordinal: u32) -> (Process, String) {
        let free = ports::free(4);
        let arguments = self.arguments(ordinal, [free[0], free[1], free[2], free[3]]);
        let log = self.dir.path().join(format!("member-{ordinal}-once-more.log"));
        let host = &self.hosts[ordinal as usize];
        (Process::start(&host.enter, &arguments, &log), format!("{}:{}", host.address, free[1]))
    }

    /// What a stop or a crash has left of the member's data, file by file; not its boots, owners and consensus.
    pub fn left_behind(&self, ordinal: u32) -> BTreeMap<PathBuf, String> {
        let store = self.home(ordinal).join("recovery");
        let mut found = BTreeMap::new();
        hash_all(&store.join("data"), &mut found);
        for entry in std::fs::read_dir(&store).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("seal-") {
                found.insert(entry.path(), hash(&entry.path()));
            }
        }
        found
    }

    /// Directories in the way of files that a store of `ordinal` is about to make.
    pub fn obstruct(&self, ordinal: u32, names: impl IntoIterator<Item = String>) -> Vec<PathBuf> {
        let store = self.home(ordinal).join("recovery");
        let paths: Vec<_> = names.into_iter().map(|name| store.join(format!("{name}.tmp"))).collect();
        paths.iter().for_each(|path| std::fs::create_dir(path).unwrap());
        paths
    }
}

/// What was put in the way is gone.
pub fn clear(paths: &[PathBuf]) {
    paths.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
}

fn hash(file: &Path) -> String {
    blake3::hash(&std::fs::read(file).unwrap()).to_hex().to_string()
}

fn hash_all(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            hash_all(&path, found);
        } else {
            let hash = hash(&path);
            found.insert(path, hash);
        }
    }
}
