//! Which records of the log are live, per partition. Pure: fed with every record in order, asked afterwards.
//!
//! The law: the content of a partition is a prefix by version. A rewrite counts only once it is complete; behind a hole
//! nothing counts without a completed rewrite; what was valid before stays valid until then. What has moved away from old
//! chunks is told while nothing is broken and no rewrite is under way, or it is not heard.
//! Must not know: files, keys, values.

use super::chunk::ChunkId;
use super::record::{self, Kind, Raw, Record, Version};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Chunk.
    pub chunk: ChunkId,
    /// Offset in it.
    pub offset: u64,
}

/// The part of a record that the plan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// What it says.
    pub kind: Kind,
    /// Part of a rewrite.
    pub copy: bool,
    /// Partition.
    pub partition: u16,
    /// Version.
    pub version: Version,
    /// Bytes in the log.
    pub size: u64,
    /// Where content has moved to, if it says that.
    pub moved: Option<ChunkId>,
}

impl From<&Record> for Head {
    fn from(r: &Record) -> Head {
        let (size, moved) = (r.size() as u64, record::moved_to(r.kind, &r.value));
        Head { kind: r.kind, copy: r.copy, partition: r.partition, version: r.version, size, moved }
    }
}

impl From<&Raw<'_>> for Head {
    fn from(r: &Raw<'_>) -> Head {
        let (size, moved) = (r.size() as u64, record::moved_to(r.kind, r.value));
        Head { kind: r.kind, copy: r.copy, partition: r.partition, version: r.version, size, moved }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Rewrite {
    from: Place,
    seen: Version,
}

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Track {
    /// Where live content begins.
    start: Option<Place>,
    /// That was said; otherwise it is where the first record lies that was seen.
    #[serde(default)]
    settled: bool,
    /// End of the rewrite at `start`; copies behind it do not count yet.
    copies_until: Option<Place>,
    /// Live records from here on do not count.
    broken: Option<Place>,
    rewrite: Option<Rewrite>,
    /// Version of the content that counts.
    pub version: Version,
    /// Content that counts was there at least once.
    pub held: bool,
    /// Changes were seen since `start`.
    changed: bool,
}

impl Track {
    /// A rewrite is needed or under way before new records count.
    pub fn pending(&self) -> bool {
        self.broken.is_some()
    }

    /// A rewrite is under way.
    pub fn rewrites(&self) -> bool {
        self.rewrite.is_some()
    }

    /// A forgotten partition needs nothing: whatever its `Forget` kills lies before it and goes first.
    fn needed_from(&self) -> Option<Place> {
        let content = if self.held { self.start } else { self.broken.or(self.start.filter(|_| self.changed)) };
        content.into_iter().chain(self.rewrite.map(|rewrite| rewrite.from)).min()
    }

    fn note(&mut self, place: Place, head: Head) {
        match head.kind {
            Kind::Space | Kind::Mark | Kind::Pad => {}
            Kind::Put | Kind::Remove | Kind::Clear => self.change(place, head),
            Kind::Hole => {
                self.broken.get_or_insert(place);
                self.rewrite = None;
            }
            Kind::RewriteBroken | Kind::RewriteContinues => {
                if head.kind == Kind::RewriteBroken {
                    self.broken.get_or_insert(place);
                }
                self.rewrite = Some(Rewrite { from: place, seen: Version::default() });
            }
            Kind::Complete => self.complete(place, head),
            Kind::Moved => self.moved(place, head),
            // Nothing before counts, and nothing needs the chunk in which this is said.
            Kind::Forget => *self = Track { version: head.version, ..Track::default() },
        }
    }

    fn change(&mut self, place: Place, head: Head) {
        self.start.get_or_insert(place);
        self.changed = true;
        if let Some(rewrite) = &mut self.rewrite {
            rewrite.seen = rewrite.seen.max(head.version);
        }
        if self.broken.is_none() && !head.copy {
            self.version = self.version.max(head.version);
            self.held = true;
        }
    }

    fn complete(&mut self, place: Place, head: Head) {
        if let Some(rewrite) = self.rewrite.take() {
            let version = head.version.max(rewrite.seen);
            *self = Track {
                start: Some(rewrite.from),
                settled: true,
                copies_until: Some(place),
                version,
                held: true,
                changed: true,
                ..Track::default()
            };
        } else if self.broken.is_none() {
            self.start.get_or_insert(place);
            self.version = self.version.max(head.version);
            self.held = true;
        }
    }

    fn moved(&mut self, place: Place, head: Head) {
        let Some(chunk) = head.moved.filter(|chunk| *chunk <= place.chunk) else { return };
        if self.broken.is_some() || self.rewrite.is_some() {
            return;
        }
        let to = Place { chunk, offset: 0 };
        if !self.settled || self.start.is_none_or(|start| start < to) {
            // Copies behind it count no more, as they do not for whoever reads from there and knows of no rewrite.
            (self.start, self.settled, self.copies_until) = (Some(to), true, None);
        }
        self.version = self.version.max(head.version);
        self.held = true;
    }

    /// Its content can be appended again and be said to have moved to `chunk`.
    fn can_move_to(&self, chunk: ChunkId) -> bool {
        let before = self.start.is_some_and(|start| start.chunk < chunk);
        self.held && before && self.broken.is_none() && self.rewrite.is_none()
    }

    fn counts(&self, place: Place, copy: bool) -> bool {
        let after_start = self.start.is_some_and(|start| place >= start);
        let in_time = match copy {
            true => self.copies_until.is_some_and(|end| place < end),
            false => self.broken.is_none_or(|broken| place < broken),
        };
        after_start && in_time
    }
}

/// What counts, by partition.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where in `tracks` a partition is; 0: nowhere. A number costs less than a track, and the highest partition says how many.
    places: Vec<u32>,
    tracks: Vec<Track>,
}

impl Table {
    /// The chunk that a record which counts is as old as: a copy counts as long as the beginning of its rewrite is there.
    pub fn age(&self, place: Place, partition: u16, copy: bool) -> u64 {
        let start = self.track(partition).and_then(|track| track.start).filter(|_| copy);
        start.unwrap_or(place).chunk.number
    }

    fn track(&self, partition: u16) -> Option<&Track> {
        self.places.get(usize::from(partition)).and_then(|at| self.tracks.get(*at as usize))
    }

    /// As [`Plan::counts`], of a data record.
    pub fn counts(&self, place: Place, partition: u16, copy: bool) -> bool {
        self.track(partition).is_some_and(|track| track.counts(place, copy))
    }
}

/// Spreads numbers of partitions. Every record asks for one, so it must cost nothing; nobody can choose them to collide at a
/// price, there are 65,536.
#[derive(Debug, Clone, Copy, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u16(u16::from(*byte)));
    }

    fn write_u16(&mut self, number: u16) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The plan of the whole log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Plan {
    tracks: HashMap<u16, Track, BuildHasherDefault<Spread>>,
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.tracks())
    }
}

impl Plan {
    /// Takes the next record of the log.
    pub fn note(&mut self, place: Place, head: Head) {
        if !matches!(head.kind, Kind::Space | Kind::Mark | Kind::Pad) {
            self.tracks.entry(head.partition).or_default().note(place, head);
        }
    }

    /// The same content counts by both. Of what is neither held nor pending one of them may know nothing: it lay in chunks
    /// that are gone.
    pub fn says_as_much_as(&self, other: &Plan) -> bool {
        let told = |plan: &Plan| -> Vec<_> {
            let told = plan.tracks().filter(|(_, track)| track.held || track.pending());
            let content = |t: &Track| t.held.then_some((t.start, t.copies_until, t.version));
            told.map(|(p, t)| (p, t.broken, content(t))).collect()
        };
        told(self) == told(other)
    }

    /// Whether a data record belongs to the content.
    pub fn counts(&self, place: Place, head: Head) -> bool {
        matches!(head.kind, Kind::Put | Kind::Remove | Kind::Clear)
            && self.tracks.get(&head.partition).is_some_and(|track| track.counts(place, head.copy))
    }

    /// What counts, quickly found by partition.
    pub fn table(&self) -> Table {
        let length = self.tracks.keys().max().map_or(0, |last| usize::from(*last) + 1);
        let mut tracks = Vec::with_capacity(self.tracks.len() + 1);
        tracks.push(Track::default());
        let mut places = vec![0; length];
        for (partition, track) in &self.tracks {
            places[usize::from(*partition)] = tracks.len() as u32;
            tracks.push(*track);
        }
        Table { places, tracks }
    }

    /// All partitions, in order.
    pub fn tracks(&self) -> impl Iterator<Item = (u16, &Track)> {
        let mut tracks: Vec<_> = self.tracks.iter().map(|(partition, track)| (*partition, track)).collect();
        tracks.sort_unstable_by_key(|(partition, _)| *partition);
        tracks.into_iter()
    }

    /// Partitions whose newer records do not count yet.
    pub fn pending(&self) -> Vec<u16> {
        self.tracks().filter(|(_, t)| t.pending()).map(|(p, _)| p).collect()
    }

    /// Pending partitions for which no rewrite is under way.
    pub fn stuck(&self) -> Vec<u16> {
        self.tracks().filter(|(_, t)| t.pending() && t.rewrite.is_none()).map(|(p, _)| p).collect()
    }

    /// Partitions held that may have content in this chunk, and for which no rewrite is under way.
    pub fn in_or_before(&self, chunk: ChunkId) -> Vec<u16> {
        let begins = |track: &Track| track.start.is_some_and(|start| start.chunk <= chunk);
        self.tracks().filter(|(_, t)| t.held && t.rewrite.is_none() && begins(t)).map(|(p, _)| p).collect()
    }

    /// The oldest chunk that is still needed; `None`: nothing is.
    pub fn floor(&self) -> Option<ChunkId> {
        self.tracks.values().filter_map(|track| track.needed_from().map(|place| place.chunk)).min()
    }

    /// Partitions whose content can be moved to `chunk`, away from older ones.
    pub fn can_move_to(&self, chunk: ChunkId) -> Vec<u16> {
        self.tracks().filter(|(_, track)| track.can_move_to(chunk)).map(|(partition, _)| partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds kinds in order (offset = index); returns the indexes that count, and the track.
    fn run(script: &[(Kind, bool, u64)]) -> (Vec<usize>, Track) {
        let chunk = ChunkId { generation: 1, number: 1 };
        let heads: Vec<(Place, Head)> = script
            .iter()
            .enumerate()
            .map(|(i, (kind, copy, v))| {
                let head = Head {
                    kind: *kind,
                    copy: *copy,
                    partition: 5,
                    version: Version::new(1, *v),
                    size: 40,
                    moved: None,
                };
                (Place { chunk, offset: i as u64 }, head)
            })
            .collect();
        let mut plan = Plan::default();
        heads.iter().for_each(|(place, head)| plan.note(*place, *head));
        let live = heads.iter().enumerate().filter(|(_, (p, h))| plan.counts(*p, *h)).map(|(i, _)| i).collect();
        (live, plan.tracks[&5])
    }

    #[test]
    fn what_counts() {
        use Kind::*;
        let put = |v| (Put, false, v);
        let copy = |v| (Put, true, v);
        let full = (Complete, false, 9);
        type Row<'a> = (&'a str, Vec<(Kind, bool, u64)>, Vec<usize>, u64, bool, bool);
        let table: Vec<Row<'_>> = vec![
            ("plain", vec![put(1), put(2)], vec![0, 1], 2, true, false),
            ("held in full, empty", vec![full], vec![], 9, true, false),
            ("hole ends the prefix", vec![put(1), (Hole, false, 0), put(3)], vec![0], 1, true, true),
            (
                "transfer not complete: nothing held",
                vec![(RewriteBroken, false, 0), copy(4), put(5)],
                vec![],
                0,
                false,
                true,
            ),
            (
                "transfer not complete: old prefix stays",
                vec![put(1), (RewriteBroken, false, 0), copy(4), put(5)],
                vec![0],
                1,
                true,
                true,
            ),
            (
                "transfer complete",
                vec![put(1), (RewriteBroken, false, 0), copy(4), put(10), full],
                vec![2, 3],
                10,
                true,
                false,
            ),
            (
                "live after complete",
                vec![(RewriteBroken, false, 0), copy(4), full, put(10)],
                vec![1, 3],
                10,
                true,
                false,
            ),
            (
                "collecting, not complete",
                vec![put(1), (RewriteContinues, false, 0), copy(1), put(2)],
                vec![0, 3],
                2,
                true,
                false,
            ),
            (
                "collecting, complete",
                vec![put(1), (RewriteContinues, false, 0), copy(1), put(2), (Complete, false, 1), put(3)],
                vec![2, 3, 5],
                3,
                true,
                false,
            ),
            (
                "second rewrite not complete",
                vec![(RewriteContinues, false, 0), copy(1), full, (RewriteContinues, false, 0), copy(9), put(10)],
                vec![1, 5],
                10,
                true,
                false,
            ),
            (
                "hole voids the rewrite",
                vec![put(1), (RewriteContinues, false, 0), copy(1), (Hole, false, 0), full, put(7)],
                vec![0],
                1,
                true,
                true,
            ),
            ("given away", vec![put(1), (Forget, false, 2)], vec![], 2, false, false),
            (
                "given away and back",
                vec![put(1), (Forget, false, 2), (RewriteBroken, false, 0), copy(3), full],
                vec![3],
                9,
                true,
                false,
            ),
        ];
        for (name, script, live, version, held, pending) in table {
            let (found, track) = run(&script);
            assert_eq!(found, live, "{name}");
            assert_eq!((track.version.sequence, track.held, track.pending()), (version, held, pending), "{name}");
        }
    }

    /// What has moved into the middle of a rewrite is the same for who reads all and for who reads from there.
    #[test]
    fn copies_of_a_rewrite_count_no_more_once_content_has_moved_behind_its_beginning() {
        let chunk = |number| ChunkId { generation: 1, number };
        let place = |number, offset| Place { chunk: chunk(number), offset };
        let head = |kind, copy| Head { kind, copy, partition: 1, version: Version::new(1, 1), size: 40, moved: None };
        let moved = |to| Head { moved: Some(chunk(to)), ..head(Kind::Moved, false) };
        let log = [
            (place(1, 0), head(Kind::RewriteBroken, false)),
            (place(1, 1), head(Kind::Put, true)),
            (place(2, 1), head(Kind::Put, true)),
            (place(2, 2), head(Kind::Complete, false)),
            (place(3, 0), head(Kind::Put, false)),
            (place(3, 1), moved(2)),
            (place(3, 2), head(Kind::Put, false)),
        ];
        let read = |from: u64| {
            let mut plan = Plan::default();
            log.iter().filter(|(at, _)| at.chunk.number >= from).for_each(|(at, head)| plan.note(*at, *head));
            plan
        };
        let (all, rest) = (read(1), read(2));
        assert!(all.says_as_much_as(&rest) && rest.says_as_much_as(&all), "{all:?} {rest:?}");
        let counted = |plan: &Plan| {
            log.iter().filter(|(at, head)| plan.counts(*at, *head)).map(|(at, _)| *at).collect::<Vec<_>>()
        };
        assert_eq!((counted(&all), all.floor()), (vec![place(3, 0), place(3, 2)], Some(chunk(2))));
        assert_eq!(counted(&rest), counted(&all));
        let mut before = Plan::default();
        log[..5].iter().for_each(|(at, head)| before.note(*at, *head));
        assert_eq!((before.table().age(place(2, 1), 1, true), before.table().age(place(3, 0), 1, false)), (1, 3));
    }

    #[test]
    fn floor_moves_only_with_completed_rewrites() {
        let place = |number, offset| Place { chunk: ChunkId { generation: 1, number }, offset };
        let head =
            |kind, partition| Head { kind, copy: false, partition, version: Version::new(1, 1), size: 40, moved: None };
        let mut plan = Plan::default();
        plan.note(place(1, 0), head(Kind::Put, 1));
        plan.note(place(1, 1), head(Kind::Put, 2));
        plan.note(place(2, 0), head(Kind::RewriteContinues, 1));
        plan.note(place(2, 1), head(Kind::Complete, 1));
        plan.note(place(3, 0), head(Kind::RewriteContinues, 2));
        assert_eq!(plan.floor().unwrap().number, 1);
        plan.note(place(3, 1), head(Kind::Complete, 2));
        assert_eq!(plan.floor().unwrap().number, 2);
    }
}
