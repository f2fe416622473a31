//! How long an entry lives.
//!
//! Time is logical: ticks of milliseconds that the primary of a partition counts and that every change carries. A replica
//! knows the tick of the last change that it has, and no other clock.
//!
//! The law: whether an entry is dead is told by the tick of a change and by nothing else, so equal replicas bury the same
//! entries; ticks never go back within a replica. An entry that may live for ever has no record here, in no copy and in no
//! digest. Kept on disk are the limits, not the deadlines: after a return of the whole cluster every entry has its full
//! time again, as with the original. A read puts off the end of an entry that may not be idle too long only when a
//! [`PUT_OFF_AT`]th of that time is over since the last, and the entry is given that much longer: never buried too early.
//! Must not know: clocks, who counts.

use bytes::{BufMut, Bytes, BytesMut};

use crate::timed::{Ends, NEVER, Timed};

/// Reads within this part of the idle time of an entry count as one.
pub const PUT_OFF_AT: u64 = 16;

/// What a value with limits begins with on disk, and one without that begins the same by chance.
const MARK: [u8; 8] = [0xff, 0x00, b'l', b'i', b'f', b'e', 0x00, 0xff];
/// Bytes that limits take on disk.
pub const KEPT_BYTES: usize = MARK.len() + 16;

/// How long an entry may live, in milliseconds; 0: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Since it was written.
    pub ttl: u64,
    /// Since it was written or read.
    pub idle: u64,
}

impl Limits {
    /// For ever.
    pub const NONE: Limits = Limits { ttl: 0, idle: 0 };

    /// Whether it may end at all.
    pub fn is_mortal(self) -> bool {
        self != Limits::NONE
    }
}

/// What a change wishes; what it leaves open the configuration of the map says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wished {
    /// See [`Limits`].
    pub ttl: Option<u64>,
    /// See [`Limits`].
    pub idle: Option<u64>,
}

impl Wished {
    /// Nothing is left open.
    pub fn exactly(limits: Limits) -> Self {
        Wished { ttl: Some(limits.ttl), idle: Some(limits.idle) }
    }

    /// What is left open is as these say.
    pub fn or(self, limits: Limits) -> Limits {
        Limits { ttl: self.ttl.unwrap_or(limits.ttl), idle: self.idle.unwrap_or(limits.idle) }
    }
}

/// The life of one entry with limits, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How long it may be.
    pub limits: Limits,
    /// The key came.
    pub created: u64,
    /// Its value, or its time to live, was set.
    pub updated: u64,
    /// It was read, as far as that counts, or set.
    pub used: u64,
}

impl Life {
    /// Begins now; who was there before was created then.
    pub fn begin(limits: Limits, now: u64, before: Option<&Life>) -> Self {
        Life { limits, created: before.map_or(now, |before| before.created), updated: now, used: now }
    }

    /// A read now puts its end off.
    pub fn is_put_off(&self, now: u64) -> bool {
        self.limits.idle > 0 && now > self.used.saturating_add(self.limits.idle / PUT_OFF_AT)
    }
}

impl Ends for Life {
    fn end(&self) -> u64 {
        let after = |since: u64, time: u64| if time == 0 { NEVER } else { since.saturating_add(time) };
        let idle = self.limits.idle.saturating_add(self.limits.idle / PUT_OFF_AT);
        after(self.updated, self.limits.ttl).min(after(self.used, idle))
    }
}

/// Lives of the entries of one partition that have limits.
pub type Lives = Timed<Life>;

/// A value as the log keeps it: as it is, or behind its limits.
pub fn keep(value: &Bytes, limits: Limits) -> Bytes {
    if !limits.is_mortal() && !value.starts_with(&MARK) {
        return value.clone();
    }
    let mut bytes = BytesMut::with_capacity(KEPT_BYTES + value.len());
    bytes.put_slice(&MARK);
    bytes.put_u64_le(limits.ttl);
    bytes.put_u64_le(limits.idle);
    bytes.put_slice(value);
    bytes.freeze()
}

/// Reads back what [`keep`] gave.
pub fn kept(mut bytes: Bytes) -> (Bytes, Limits) {
    let number = |at: usize| bytes.get(at..at + 8).and_then(|n| n.try_into().ok()).map(u64::from_le_bytes);
    match (bytes.starts_with(&MARK), number(MARK.len()), number(MARK.len() + 8)) {
        (true, Some(ttl), Some(idle)) => (bytes.split_off(KEPT_BYTES), Limits { ttl, idle }),
        _ => (bytes, Limits::NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_lives_for_ever_costs_nothing() {
        let mortal = Limits { ttl: 7, idle: u64::MAX };
        let plain: [&[u8]; 5] = [b"", b"value", &MARK, &MARK[..7], &[&MARK[..], &[1; 40]].concat()];
        for value in plain.map(Bytes::copy_from_slice) {
            for limits in [Limits::NONE, mortal] {
                let bytes = keep(&value, limits);
                let marked = limits == mortal || value.starts_with(&MARK);
                assert_eq!(bytes.len(), value.len() + if marked { KEPT_BYTES } else { 0 });
                assert_eq!(kept(bytes), (value.clone(), limits));
            }
        }
    }

    #[test]
    fn who_is_read_lives_on_and_is_never_buried_too_early() {
        let limits = Limits { ttl: 0, idle: 160 };
        let life = Life::begin(limits, 1_000, None);
        assert_eq!((life.is_put_off(1_010), life.is_put_off(1_011)), (false, true));
        assert!(life.end() >= 1_010 + 160);
        let both = Life::begin(Limits { ttl: 100, idle: 160 }, 1_000, Some(&Life { created: 3, ..life }));
        assert_eq!((both.end(), both.created), (1_100, 3));
        assert_eq!(Life::begin(Limits { ttl: u64::MAX, idle: 0 }, 5, None).end(), NEVER);
    }
}
