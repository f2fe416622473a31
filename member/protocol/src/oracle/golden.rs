//! The golden files themselves: from the test classes of the protocol's authors, fetched once, never committed.
//!
//! Law: where they cannot be had, the tests fail and say in one line what is missing. Must not know: what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// Versions of the protocol of which there are golden files, the newest last.
pub const VERSIONS: [&str; 12] =
    ["2.0", "2.0.1", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "2.10"];

/// They lie in its classes for tests.
const RELEASE: &str = "5.7.0";

/// One that unpacks without a project.
const MAVEN_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

static ROOM: LazyLock<Result<PathBuf, String>> = LazyLock::new(room);

pub fn golden(version: &str, nulls: bool) -> Vec<u8> {
    let room = ROOM.as_ref().unwrap_or_else(|missing| panic!("golden files of the client protocol: {missing}"));
    let path = room.join(name(version, nulls));
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn name(version: &str, nulls: bool) -> String {
    format!("{version}.protocol.compatibility{}.binary", if nulls { ".null" } else { "" })
}

fn room() -> Result<PathBuf, String> {
    let kept = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let kept = kept.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let cache = env::var_os("JET_CACHE").map(PathBuf::from).or_else(|| kept.map(|kept| kept.join("lossless-jet")));
    let cache = cache.ok_or("no place to keep them: set JET_CACHE to a directory")?;
    let room = cache.join("protocol").join(RELEASE);
    if !is_whole(&room) {
        fetch(&room)?;
    }
    Ok(room)
}

fn is_whole(room: &Path) -> bool {
    let mut files = VERSIONS.iter().flat_map(|version| [name(version, false), name(version, true)]);
    files.all(|file| fs::metadata(room.join(file)).is_ok_and(|file| file.len() > 0))
}

/// Unpacked beside their place and then put there: whoever comes at the same time finds all or nothing.
fn fetch(room: &Path) -> Result<(), String> {
    let partial = room.with_extension(format!("partial-{}", std::process::id()));
    // Maven leaves marks where it runs.
    let files = partial.join("files");
    fs::create_dir_all(&files).map_err(|e| format!("{} cannot be made: {e}", files.display()))?;
    let out = Command::new("mvn")
        .args(["--batch-mode", "--quiet", &format!("{MAVEN_PLUGIN}:unpack")])
        .arg(format!("-Dartifact=com.hazelcast:hazelcast:{RELEASE}:jar:tests"))
        .arg(format!("-DoutputDirectory={}", files.display()))
        .arg("-Dmdep.unpack.includes=*.protocol.compatibility*.binary")
        .current_dir(&partial)
        .output();
    let fetched = match out {
        Err(e) => Err(format!("mvn does not start ({e}): apt-get install maven")),
        // Somebody else's are the same.
        Ok(_) if is_whole(&files) => fs::rename(&files, room).or_else(|e| kept_by_another(room, &e)),
        Ok(out) => {
            let told = String::from_utf8_lossy(&out.stdout);
            let error = told.lines().find(|line| line.contains("ERROR")).unwrap_or("it says nothing");
            Err(format!("Maven does not get com.hazelcast:hazelcast:{RELEASE}:jar:tests: {error}"))
        }
    };
    let _ = fs::remove_dir_all(&partial);
    fetched
}

fn kept_by_another(room: &Path, error: &std::io::Error) -> Result<(), String> {
    is_whole(room).then_some(()).ok_or_else(|| format!("{} cannot be made: {error}", room.display()))
}
