//! The world of the replication test: nodes, a committed table that nodes learn late, a supervisor, a bad network.
//!
//! Everything is decided by the seed. Messages travel as bytes.

mod node;

use std::collections::BTreeMap;

use bytes::Bytes;
use jet_map::digest::digest_of;
use jet_map::wire::{Request, Response};
use jet_map::{Boot, Follower, Lead, MemberId, PartitionEntry, PartitionTable, Position, TableVersion};

pub use node::{Node, Sent, member};

/// A rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Acknowledges when the primary has it.
    AckBeforeFollowers,
    /// Acknowledges without looking at the lease.
    LeaseIgnored,
    /// A lease counts whatever table its holder knows.
    LeaseWithoutTable,
    /// The receiver takes changes whatever its table says.
    StaleSenderTaken,
    /// A follower that is being filled is called synced at once.
    SyncedBeforeComplete,
    /// A follower is called synced as soon as its copy is complete, without what was acknowledged meanwhile.
    SyncedWithoutTheMeanwhile,
    /// A follower counts only once the primary's table says so.
    CountsByTableOnly,
    /// A new primary goes on under the old installation.
    BareVersion,
    /// Says that a change is on disk when the own one has it.
    OwnDiskOnly,
    /// Says it when those of the followers have it.
    DisksOfFollowersOnly,
    /// Says it without looking at the lease once more.
    DisksWithoutLease,
}

impl Mutant {
    pub const ALL: [Mutant; 7] = [
        Mutant::AckBeforeFollowers,
        Mutant::LeaseIgnored,
        Mutant::StaleSenderTaken,
        Mutant::SyncedBeforeComplete,
        Mutant::SyncedWithoutTheMeanwhile,
        Mutant::CountsByTableOnly,
        Mutant::BareVersion,
    ];
    pub const OF_DISKS: [Mutant; 2] = [Mutant::OwnDiskOnly, Mutant::DisksOfFollowersOnly];
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub acknowledged: usize,
    pub promotions: usize,
    pub copies: usize,
    pub crashes: usize,
    pub refused_stale: usize,
    pub elsewhere: usize,
    pub on_disk: usize,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.acknowledged += other.acknowledged;
        self.promotions += other.promotions;
        self.copies += other.copies;
        self.crashes += other.crashes;
        self.refused_stale += other.refused_stale;
        self.elsewhere += other.elsewhere;
        self.on_disk += other.on_disk;
    }
}

pub enum Message {
    Ask { from: usize, from_boot: Boot, to: usize, bytes: Bytes, sent: Sent },
    Answer { from: usize, to: usize, to_boot: Boot, bytes: Bytes, sent: Sent },
}

pub struct World {
    random: u64,
    mutant: Option<Mutant>,
    pub table: PartitionTable,
    nodes: Vec<Node>,
    network: Vec<Message>,
    next_value: u64,
    /// By key: last acknowledged value.
    acknowledged: BTreeMap<u8, u64>,
    /// By key: last value that was said to be on disk.
    on_disk: BTreeMap<u8, u64>,
    stale_read: Option<String>,
    pub counts: Counts,
    quiet: bool,
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let replica = |n| jet_core::Replica { member: member(n), boot: Boot(1), synced: true };
        let entry = PartitionEntry {
            installed: TableVersion(1),
            changed: TableVersion(1),
            replicas: vec![replica(0), replica(1)],
        };
        let table = PartitionTable { version: TableVersion(1), partitions: vec![entry] };
        let nodes = (0..3).map(|n| Node::new(n, Boot(1), table.clone())).collect();
        World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            mutant,
            table,
            nodes,
            network: Vec::new(),
            next_value: 0,
            acknowledged: BTreeMap::new(),
            on_disk: BTreeMap::new(),
            stale_read: None,
            counts: Counts::default(),
            quiet: false,
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn entry(&self) -> &PartitionEntry {
        &self.table.partitions[0]
    }

    pub fn step(&mut self) {
        let n = self.draw(3) as usize;
        match self.draw(100) {
            0..14 => self.write(n),
            14..26 => self.read(n),
            26..46 => self.pump(n),
            46..70 => self.deliver(),
            70..80 => self.nodes[n].learn(self.table.clone()),
            80..85 => self.supervise(),
            85..87 => self.nodes[n].isolated = !self.nodes[n].isolated && self.draw(2) == 0,
            87..91 => self.expire(n),
            91 if self.draw(2) == 0 => self.crash(n),
            _ => self.acknowledge(n),
        }
    }

    /// A step of the disks: one gets what its replica has, one is asked about, or somebody is told.
    pub fn disk_step(&mut self) {
        let n = self.draw(3) as usize;
        match self.draw(4) {
            0 => self.nodes[n].sync(),
            1 => {
                let of = self.draw(3) as usize;
                self.ask_disk(n, of);
            }
            2 => self.tell_what_is_on_disk(n),
            _ => {}
        }
    }

    fn ask_disk(&mut self, n: usize, to: usize) {
        if let Some((bytes, sent)) = self.nodes[n].ask_disk(to) {
            self.network.push(Message::Ask { from: n, from_boot: self.nodes[n].boot, to, bytes, sent });
        }
    }

    fn tell_what_is_on_disk(&mut self, n: usize) {
        let (own, followers) = (self.is(Mutant::OwnDiskOnly), self.is(Mutant::DisksOfFollowersOnly));
        let matters = |of: MemberId| if of == member(n) { !followers } else { !own };
        let lease_ignored = self.is(Mutant::DisksWithoutLease);
        for (key, value) in self.nodes[n].durable(matters, lease_ignored) {
            self.counts.on_disk += 1;
            let last = self.on_disk.entry(key).or_default();
            *last = (*last).max(value);
            if let Some(lacking) = self.lacks_on_disk(key, value) {
                self.stale_read =
                    Some(format!("{value} of key {key} was said to be on disk and node {lacking} lacks it"));
            }
        }
    }

    /// A disk of those that the table calls synced, under their boots, without this value.
    fn lacks_on_disk(&self, key: u8, value: u64) -> Option<usize> {
        let nodes = self.entry().synced().map(|replica| (replica.member.0.as_u128() as usize, replica.boot));
        let lacks = |n: usize| self.nodes[n].disk.value(key).is_none_or(|held| held < value);
        nodes.filter(|(n, boot)| self.nodes[*n].boot == *boot).map(|(n, _)| n).find(|n| lacks(*n))
    }

    /// If the power of all went now: what the newest disk has is what comes back.
    pub fn check_disks(&self) -> Result<(), String> {
        let Some(newest) = self.nodes.iter().max_by_key(|node| node.disk.version) else { return Ok(()) };
        for (key, value) in &self.on_disk {
            let held = newest.disk.value(*key);
            if held.is_none_or(|held| held < *value) {
                let version = newest.disk.version;
                return Err(format!("the newest disk at {version} has {held:?} for key {key}, {value} was on disk"));
            }
        }
        Ok(())
    }

    fn write(&mut self, n: usize) {
        // Few clients reach an isolated node; its reads stay interesting while no write of it waits.
        if self.nodes[n].isolated && self.draw(8) > 0 {
            return;
        }
        let key = self.draw(6) as u8;
        self.next_value += 1;
        let value = self.next_value;
        let bare = self.is(Mutant::BareVersion);
        self.nodes[n].write(key, value, bare);
    }

    fn read(&mut self, n: usize) {
        let key = self.draw(6) as u8;
        let least = self.acknowledged.get(&key).copied().unwrap_or(0);
        self.nodes[n].read(key, least);
    }

    /// The lease of an isolated node runs out; of others it is renewed.
    fn expire(&mut self, n: usize) {
        let granted_by = if self.is(Mutant::LeaseWithoutTable) { TableVersion(0) } else { self.table.version };
        self.nodes[n].lease = (!self.nodes[n].isolated).then_some(granted_by);
    }

    fn crash(&mut self, n: usize) {
        let survivors = self.entry().synced().filter(|replica| replica.member != member(n)).count();
        if survivors == 0 || self.quiet {
            return;
        }
        self.counts.crashes += 1;
        let boot = Boot(self.nodes[n].boot.0 + 1);
        let disk = std::mem::take(&mut self.nodes[n].disk);
        self.nodes[n] = Node::new(n, boot, self.table.clone());
        self.nodes[n].disk = disk;
        self.drop_from_table(n);
    }

    fn change(&mut self, make: impl FnOnce(&mut PartitionEntry, TableVersion)) {
        self.table.version = self.table.version.next();
        let version = self.table.version;
        let entry = &mut self.table.partitions[0];
        make(entry, version);
        entry.changed = version;
    }

    fn drop_from_table(&mut self, n: usize) {
        let bare = self.is(Mutant::BareVersion);
        let was_primary = self.entry().primary().is_some_and(|replica| replica.member == member(n));
        if self.entry().replica(member(n)).is_none() {
            return;
        }
        self.counts.promotions += usize::from(was_primary);
        self.change(|entry, version| {
            entry.replicas.retain(|replica| replica.member != member(n));
            entry.replicas.sort_by_key(|replica| !replica.synced);
            if was_primary && !bare {
                entry.installed = version;
            }
        });
    }

    fn supervise(&mut self) {
        let n = self.draw(3) as usize;
        let entry = self.entry().clone();
        let others = entry.synced().filter(|replica| replica.member != member(n)).count();
        let gone = self.nodes[n].isolated && self.nodes[n].lease.is_none();
        if gone && others > 0 {
            return self.drop_from_table(n);
        }
        if !gone && entry.replica(member(n)).is_none() {
            let boot = self.nodes[n].boot;
            let synced = self.is(Mutant::SyncedBeforeComplete);
            return self.change(|entry, _| entry.replicas.push(jet_core::Replica { member: member(n), boot, synced }));
        }
        self.propose_synced();
    }

    fn propose_synced(&mut self) {
        let entry = self.entry().clone();
        let Some(primary) = entry.primary() else { return };
        let node = &self.nodes[primary.member.0.as_u128() as usize];
        let fits = |lead: &&Lead| node.boot == primary.boot && lead.changed == entry.changed;
        let Some(lead) = node.lead.as_ref().filter(fits) else { return };
        let early = self.is(Mutant::SyncedWithoutTheMeanwhile);
        let copied = |f: &Follower| early && f.counts && !f.synced && matches!(f.position, Position::At(_));
        let early = lead.followers().find(|(_, f)| copied(f)).map(|(who, f)| (who, f.boot));
        let Some((who, boot)) = early.or_else(|| lead.complete_copies().next()) else { return };
        self.change(|entry, _| {
            for replica in entry.replicas.iter_mut().filter(|replica| replica.member == who && replica.boot == boot) {
                replica.synced = true;
            }
        });
    }

    /// A primary sends one follower what is next, if nothing of it is on its way.
    fn pump(&mut self, n: usize) {
        self.nodes[n].install(self.mutant == Some(Mutant::BareVersion));
        let Some(lead) = &self.nodes[n].lead else { return };
        let followers: Vec<_> = lead.followers().collect();
        if followers.is_empty() {
            return;
        }
        let (to, follower) = followers[self.draw(followers.len() as u64) as usize];
        let Some((requests, sent)) = self.nodes[n].next_for(to, follower) else { return };
        self.counts.copies += usize::from(sent.copy);
        let from_boot = self.nodes[n].boot;
        for bytes in requests {
            self.network.push(Message::Ask { from: n, from_boot, to: to.0.as_u128() as usize, bytes, sent });
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let (lossy, reorder) = (!self.quiet, self.draw(10) == 0 && !self.quiet);
        let at = if reorder { self.draw(self.network.len() as u64) as usize } else { 0 };
        let luck = if lossy { self.draw(100) } else { 99 };
        let message = self.network.remove(at);
        let (from, to, sent) = match &message {
            Message::Ask { from, to, sent, .. } | Message::Answer { from, to, sent, .. } => (*from, *to, *sent),
        };
        let lost = luck < 8 || self.nodes[from].isolated || self.nodes[to].isolated;
        if lost {
            // The sender notices after its time limit.
            let sender = if matches!(message, Message::Ask { .. }) { from } else { to };
            return self.nodes[sender].lost(sent);
        }
        match message {
            Message::Ask { from, from_boot, to, bytes, sent } => {
                if luck < 14 {
                    self.network.push(Message::Ask { from, from_boot, to, bytes: bytes.clone(), sent });
                }
                self.serve(from, from_boot, to, bytes, sent);
            }
            Message::Answer { from, to, to_boot, bytes, sent } => {
                let answer = Response::decode(bytes).unwrap();
                self.counts.elsewhere += usize::from(matches!(answer, Response::Elsewhere(_)));
                self.counts.refused_stale += usize::from(matches!(answer, Response::Refused(_)));
                if self.nodes[to].boot == to_boot {
                    self.nodes[to].answered(member(from), answer, sent, self.mutant == Some(Mutant::CountsByTableOnly));
                }
            }
        }
    }

    fn serve(&mut self, from: usize, from_boot: Boot, to: usize, bytes: Bytes, sent: Sent) {
        // Connections of a lower boot are dropped by the network.
        if from_boot < self.nodes[from].boot {
            return;
        }
        let request = Request::decode(bytes).unwrap();
        let blind = self.is(Mutant::StaleSenderTaken);
        let answer = self.nodes[to].serve(member(from), from_boot, request, blind);
        let Some(answer) = answer else { return };
        let answer = Message::Answer { from: to, to: from, to_boot: from_boot, bytes: answer.encode(), sent };
        self.network.push(answer);
    }

    fn acknowledge(&mut self, n: usize) {
        let early = self.is(Mutant::AckBeforeFollowers);
        let lease_kept = self.is(Mutant::LeaseIgnored);
        let (written, read) = self.nodes[n].acknowledge(early, lease_kept);
        for (key, value, least) in read {
            if value < least {
                self.stale_read = Some(format!("node {n} answered {value} for key {key} when {least} was known"));
            }
            // What was read was there: later reads must not go back behind it.
            if value == 0 {
                continue;
            }
            let last = self.acknowledged.entry(key).or_default();
            *last = (*last).max(value);
        }
        for (key, value) in written {
            self.counts.acknowledged += 1;
            let last = self.acknowledged.entry(key).or_default();
            *last = (*last).max(value);
        }
    }

    /// Whoever the table calls synced, under its boot, has every acknowledged write; no read was stale.
    pub fn check(&self) -> Result<(), String> {
        if let Some(stale) = &self.stale_read {
            return Err(stale.clone());
        }
        if let Some(violation) = self.nodes.iter().find_map(|node| node.violation.clone()) {
            return Err(violation);
        }
        for replica in self.entry().synced() {
            let node = &self.nodes[replica.member.0.as_u128() as usize];
            if node.boot == replica.boot {
                self.holds_all(node)?;
            }
        }
        Ok(())
    }

    fn holds_all(&self, node: &Node) -> Result<(), String> {
        for (key, value) in &self.acknowledged {
            let held = node.value(*key);
            if held.is_none_or(|held| held < *value) {
                return Err(format!(
                    "node {} at {} has {held:?} for key {key}, {value} was acknowledged",
                    node.number,
                    node.version()
                ));
            }
        }
        Ok(())
    }

    /// A primary is cut off and replaced; it comes back, gets a new lease before it learns the table, and is asked.
    pub fn deposed_primary_with_a_new_lease_is_asked(&mut self) -> Result<(), String> {
        self.quiet = true;
        self.nodes[0].isolated = true;
        self.expire(0);
        self.drop_from_table(0);
        self.nodes[1].learn(self.table.clone());
        for key in 0..6 {
            self.next_value += 1;
            self.nodes[1].write(key, self.next_value, false);
        }
        self.acknowledge(1);
        assert_eq!(self.acknowledged.len(), 6);
        self.nodes[0].isolated = false;
        self.expire(0);
        self.read(0);
        self.acknowledge(0);
        self.check()
    }

    /// A change is in RAM of both replicas and on the disk of the follower; the primary is cut off, the follower leads and
    /// has a new one, whose disk lacks the change; then the first gets its own disk written.
    pub fn deposed_primary_learns_of_the_disks(&mut self) -> Result<(), String> {
        self.quiet = true;
        self.nodes[0].write(0, 1, false);
        for _ in 0..4 {
            self.pump(0);
            self.deliver();
            self.deliver();
        }
        self.acknowledge(0);
        self.nodes[1].sync();
        self.ask_disk(0, 1);
        self.deliver();
        self.deliver();
        self.nodes[0].isolated = true;
        self.expire(0);
        self.drop_from_table(0);
        let third = jet_core::Replica { member: member(2), boot: self.nodes[2].boot, synced: false };
        self.change(|entry, _| entry.replicas.push(third));
        for _ in 0..40 {
            self.nodes[1].learn(self.table.clone());
            self.nodes[2].learn(self.table.clone());
            self.pump(1);
            self.deliver();
            self.deliver();
            self.propose_synced();
        }
        assert_eq!((self.entry().synced().count(), self.nodes[2].value(0)), (2, Some(1)));
        self.nodes[0].sync();
        self.ask_disk(0, 0);
        self.tell_what_is_on_disk(0);
        self.check()
    }

    /// Everything works again: all become synced and equal, and nothing acknowledged is missing.
    pub fn heal(&mut self) -> Result<(), String> {
        self.quiet = true;
        for node in &mut self.nodes {
            (node.isolated, node.lease) = (false, Some(TableVersion(0)));
        }
        for _ in 0..600 {
            self.supervise();
            for n in 0..3 {
                self.nodes[n].learn(self.table.clone());
                self.pump(n);
                self.deliver();
                self.deliver();
                self.acknowledge(n);
            }
        }
        self.check()?;
        let synced = self.entry().synced().count();
        let first = &self.nodes[0];
        for node in &self.nodes {
            let same = digest_of(node.content(), None) == digest_of(first.content(), None)
                && node.version() == first.version();
            if !same || synced < 3 {
                let leads =
                    self.nodes.iter().map(|node| node.lead.as_ref().map(|lead| lead.followers().collect::<Vec<_>>()));
                return Err(format!(
                    "{synced} synced, node {} at {} and 0 at {}; {:?} {:?}",
                    node.number,
                    node.version(),
                    first.version(),
                    self.entry(),
                    leads.collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }
}
