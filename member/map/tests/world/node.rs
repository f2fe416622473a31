//! One node of the world: what the map service does, without time.

use std::collections::BTreeSet;

use bytes::Bytes;
use jet_map::fence::{Process, Sender, judge_follow, judge_primary};
use jet_map::replica::no_sinks;
use jet_map::wire::{OnDisk, Request, Response, WantedOnDisk};
use jet_map::{
    Asked, Boot, Content, CopySource, Due, Followed, Follower, Lead, MemberId, Next, Op, PartitionId, PartitionTable,
    Replica, TableVersion, Version,
};

pub const P: PartitionId = PartitionId(0);

pub fn member(n: usize) -> MemberId {
    MemberId(uuid::Uuid::from_u128(n as u128))
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub asked: Asked,
    pub copy: bool,
    /// It asks about a disk.
    pub disk: bool,
}

/// What a disk has: what its replica was at some moment. It outlives the process.
#[derive(Clone, Default)]
pub struct Disk {
    pub version: Version,
    content: Content,
}

impl Disk {
    pub fn value(&self, key: u8) -> Option<u64> {
        value(&self.content, key)
    }
}

fn value(content: &Content, key: u8) -> Option<u64> {
    let value = &content.maps.get("m")?.get(&[key][..])?.value;
    Some(u64::from_le_bytes(value[..8].try_into().unwrap()))
}

pub struct Node {
    pub number: usize,
    pub boot: Boot,
    pub isolated: bool,
    /// The table version that the grant named; it holds for a holder that knows that table.
    pub lease: Option<TableVersion>,
    table: PartitionTable,
    replica: Replica,
    pub lead: Option<Lead>,
    /// Followers with something on its way.
    busy: BTreeSet<MemberId>,
    /// Written here, not acknowledged: version, key, value.
    waiting: Vec<(Version, u8, u64)>,
    /// Read here, not answered: version of the partition, key, value, least that is right.
    reading: Vec<(Version, u8, u64, u64)>,
    copies: u64,
    pub disk: Disk,
    /// Acknowledged in RAM, and not known to be on every disk.
    syncing: Vec<(Version, u8, u64)>,
    pub violation: Option<String>,
}

impl Node {
    pub fn new(number: usize, boot: Boot, table: PartitionTable) -> Self {
        let mut node = Node {
            number,
            boot,
            isolated: false,
            lease: Some(TableVersion(0)),
            table: PartitionTable::default(),
            replica: Replica::empty(P, no_sinks),
            lead: None,
            busy: BTreeSet::new(),
            waiting: Vec::new(),
            reading: Vec::new(),
            copies: 0,
            disk: Disk::default(),
            syncing: Vec::new(),
            violation: None,
        };
        node.learn(table);
        node
    }

    fn me(&self) -> Process {
        Process { member: member(self.number), boot: self.boot }
    }

    fn leased(&self) -> bool {
        self.lease.is_some_and(|granted| self.table.version >= granted)
    }

    pub fn version(&self) -> Version {
        self.replica.version()
    }

    pub fn content(&self) -> &Content {
        self.replica.content()
    }

    pub fn value(&self, key: u8) -> Option<u64> {
        value(self.content(), key)
    }

    pub fn learn(&mut self, table: PartitionTable) {
        if table.version <= self.table.version || self.isolated {
            return;
        }
        self.table = table;
        match judge_primary(&self.table, self.me(), P) {
            Ok(entry) => match &mut self.lead {
                Some(lead) if lead.installed == entry.installed => {
                    lead.follow_table(Process { member: member(self.number), boot: self.boot }, entry)
                }
                _ => {
                    let lead = Lead::begin(P, self.me(), entry);
                    self.forget_calls();
                    self.lead = Some(lead);
                }
            },
            Err(_) => {
                self.forget_calls();
                self.lead = None;
            }
        }
    }

    fn forget_calls(&mut self) {
        self.waiting.clear();
        self.reading.clear();
        self.syncing.clear();
    }

    pub fn read(&mut self, key: u8, least: u64) {
        if self.lead.is_some() {
            self.reading.push((self.version(), key, self.value(key).unwrap_or(0), least));
        }
    }

    pub fn install(&mut self, bare: bool) {
        let Some(lead) = &mut self.lead else { return };
        if self.replica.version().installed < lead.installed && !bare {
            let op = self.replica.installs();
            let size = op.size();
            let (version, ..) = match self.replica.sequence(lead.installed, op) {
                Ok(sequenced) => sequenced,
                Err(refusal) => return self.violation = Some(refusal.to_string()),
            };
            lead.sequenced(version, size);
        }
    }

    pub fn write(&mut self, key: u8, value: u64, bare: bool) {
        self.install(bare);
        let Some(lead) = &mut self.lead else { return };
        let op =
            Op::Put { map: "m".into(), key: Bytes::from(vec![key]), value: Bytes::from(value.to_le_bytes().to_vec()) };
        let size = op.size();
        let (version, ..) = match self.replica.sequence(lead.installed, op) {
            Ok(sequenced) => sequenced,
            // Whoever leads by its table holds nothing of a later installation than that table has heard of.
            Err(refusal) => return self.violation = Some(refusal.to_string()),
        };
        lead.sequenced(version, size);
        self.waiting.push((version, key, value));
    }

    pub fn next_for(&mut self, to: MemberId, _: Follower) -> Option<(Vec<Bytes>, Sent)> {
        let lead = self.lead.as_ref()?;
        if self.busy.contains(&to) {
            return None;
        }
        let (changed, asked) = (lead.changed, lead.asking(to)?);
        let next = lead.next(to, self.replica.version(), self.replica.tail());
        let due = match &next {
            Next::Nothing => Due::Nothing,
            Next::Batch { .. } => Due::Batch,
            Next::Copy => Due::Copy,
        };
        assert_eq!(lead.due(to, self.replica.version(), self.replica.tail()), due, "what is told before it is taken");
        match next {
            Next::Nothing => None,
            Next::Batch { prev, changes } => {
                self.busy.insert(to);
                Some((
                    vec![Request::Follow { partition: P, changed, prev, changes }.encode()],
                    Sent { asked, copy: false, disk: false },
                ))
            }
            Next::Copy => {
                self.busy.insert(to);
                self.copies += 1;
                let (mut source, copy) = (CopySource::of(&self.replica), self.copies);
                let mut requests = Vec::new();
                while let Some((piece, items)) = source.next_piece() {
                    requests.push(Request::CopyPiece { partition: P, changed, copy, piece, items }.encode());
                }
                let (pieces, version, digest) = (source.pieces(), source.version, source.digest());
                requests.push(Request::CopyEnd { partition: P, changed, copy, pieces, version, digest }.encode());
                Some((requests, Sent { asked, copy: true, disk: false }))
            }
        }
    }

    /// The disk gets what the replica is now.
    pub fn sync(&mut self) {
        if self.version() > Version::default() {
            self.disk = Disk { version: self.version(), content: self.content().clone() };
        }
    }

    /// Asks a follower about its disk, or looks at the own one.
    pub fn ask_disk(&mut self, of: usize) -> Option<(Bytes, Sent)> {
        let (newest, ..) = *self.syncing.last()?;
        let lead = self.lead.as_mut()?;
        let (changed, asked) = (lead.changed, lead.asking(member(of))?);
        if of == self.number {
            if self.disk.version >= newest {
                lead.on_disk(asked, self.disk.version);
            }
            return None;
        }
        let wanted = vec![WantedOnDisk { partition: P, changed, version: newest }];
        Some((Request::OnDisk { wanted }.encode(), Sent { asked, copy: false, disk: true }))
    }

    /// What is on every disk that counts: key and value. `whose`: of the disks that are lacking those that matter.
    pub fn durable(&mut self, whose: impl Fn(MemberId) -> bool, lease_ignored: bool) -> Vec<(u8, u64)> {
        let held = self.leased() || lease_ignored;
        let Some(lead) = &self.lead else { return Vec::new() };
        let there = |version: Version| !lead.lacking_on_disk(version).into_iter().any(&whose);
        let (done, syncing): (Vec<_>, Vec<_>) = self.syncing.drain(..).partition(|(version, ..)| there(*version));
        self.syncing = syncing;
        done.into_iter().filter(|_| held).map(|(_, key, value)| (key, value)).collect()
    }

    pub fn lost(&mut self, sent: Sent) {
        if sent.disk {
            return;
        }
        self.busy.remove(&sent.asked.member);
        if let Some(lead) = &mut self.lead {
            lead.unknown(sent.asked);
        }
    }

    /// As follower.
    pub fn serve(&mut self, from: MemberId, from_boot: Boot, request: Request, blind: bool) -> Option<Response> {
        let changed = match &request {
            Request::Follow { changed, .. } | Request::CopyPiece { changed, .. } | Request::CopyEnd { changed, .. } => {
                *changed
            }
            Request::OnDisk { wanted } => wanted[0].changed,
            _ => return None,
        };
        let sender = Sender { process: Process { member: from, boot: from_boot }, changed };
        if let Err(refusal) = judge_follow(&self.table, self.me(), P, sender)
            && !blind
        {
            return Some(Response::Refused(refusal));
        }
        match request {
            Request::Follow { prev, changes, .. } => Some(match self.replica.follow(prev, changes).0 {
                Followed::At(version) => Response::At(version),
                Followed::Elsewhere(version) => Response::Elsewhere(version),
            }),
            Request::CopyPiece { copy, piece, items, .. } => {
                self.replica.copy_piece(copy, piece, items).err().map(Response::Refused)
            }
            Request::CopyEnd { copy, pieces, version, digest, .. } => {
                Some(match self.replica.copy_end(copy, pieces, version, &digest) {
                    Ok(_) => Response::At(version),
                    Err(refusal) => Response::Refused(refusal),
                })
            }
            Request::OnDisk { wanted } => {
                let there = (self.disk.version >= wanted[0].version).then_some((P, self.disk.version));
                Some(Response::OnDisk(OnDisk { there: there.into_iter().collect(), failed: None }))
            }
            _ => None,
        }
    }

    pub fn answered(&mut self, from: MemberId, answer: Response, sent: Sent, by_table_only: bool) {
        if sent.disk {
            if let (Some(lead), Response::OnDisk(OnDisk { there, .. })) = (&mut self.lead, answer) {
                for (_, version) in there {
                    lead.on_disk(sent.asked, version);
                }
            }
            return;
        }
        self.busy.remove(&from);
        let Some(lead) = &mut self.lead else { return };
        match answer {
            Response::At(version) if by_table_only => {
                let counted = lead.followers().any(|(member, follower)| member == from && follower.counts);
                lead.confirmed(sent.asked, version);
                if !counted {
                    lead.forget_that_it_counts(from);
                }
            }
            Response::At(version) => lead.confirmed(sent.asked, version),
            Response::Elsewhere(version) => lead.elsewhere(sent.asked, version, self.replica.tail()),
            _ => lead.unknown(sent.asked),
        }
    }

    #[allow(clippy::type_complexity)]
    pub fn acknowledge(&mut self, early: bool, lease_ignored: bool) -> (Vec<(u8, u64)>, Vec<(u8, u64, u64)>) {
        let leased = self.leased();
        let Some(lead) = &mut self.lead else { return Default::default() };
        let current = self.replica.version();
        let upto = if early { current } else { lead.acknowledged(current) };
        let (done, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|(version, ..)| *version <= upto);
        self.waiting = waiting;
        match lead.is_alone() {
            true => self.replica.confirmed_alone(upto),
            false => self.replica.confirmed(upto),
        }
        let held = leased || lease_ignored;
        if held {
            self.syncing.extend(&done);
        }
        let written = done.into_iter().filter(|_| held).map(|(_, key, value)| (key, value)).collect();
        let (read, reading): (Vec<_>, Vec<_>) = self.reading.drain(..).partition(|(version, ..)| *version <= upto);
        self.reading = reading;
        let read = read.into_iter().filter(|_| held).map(|(_, key, value, least)| (key, value, least)).collect();
        (written, read)
    }
}
