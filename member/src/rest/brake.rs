//! A brake on guessing the password.
//!
//! Law: who is wrong too often in a row waits longer each time, to a bound; who waits is not judged, so that a guess tells
//! nothing. What is remembered is bounded in number and time. Must not know: what a password is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong ones in a row that nobody waits for: people mistype, and several may come from behind one address.
pub const FREE: u32 = 10;
/// The first wait; each further wrong one doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// Without a further wrong one for so long, it is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Addresses that are remembered; beyond them the one that was wrong longest ago is forgotten.
const MOST_ADDRESSES: usize = 1024;

#[derive(Clone, Copy)]
struct Wrong {
    times: u32,
    last: Instant,
}

/// Who was wrong how often.
#[derive(Default)]
pub struct Brake {
    wrong: BTreeMap<IpAddr, Wrong>,
}

impl Brake {
    /// How long this address has to wait before it is judged again.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.wrong.get(&network(address))?;
        let doubled = wrong.times.checked_sub(FREE)?;
        let wait = LONGEST.min(FIRST.saturating_mul(2_u32.saturating_pow(doubled)));
        (wrong.last + wait).checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// It was wrong.
    pub fn wrong(&mut self, address: IpAddr, now: Instant) {
        self.wrong.retain(|_, wrong| now.saturating_duration_since(wrong.last) < FORGOTTEN);
        let times = self.wrong.get(&network(address)).map_or(0, |wrong| wrong.times);
        self.wrong.insert(network(address), Wrong { times: times.saturating_add(1), last: now });
        if self.wrong.len() > MOST_ADDRESSES {
            let oldest = self.wrong.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address);
            oldest.map(|oldest| self.wrong.remove(&oldest));
        }
    }

    /// It was right.
    pub fn right(&mut self, address: IpAddr) {
        self.wrong.remove(&network(address));
    }
}

/// Whoever has one address of such a network has all of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_wrong_again_and_again_waits_longer_to_a_bound_and_who_is_right_is_free() {
        let (mut brake, mut now, guesser) = (Brake::default(), Instant::now(), address("10.0.0.7"));
        for _ in 0..FREE - 1 {
            brake.wrong(guesser, now);
            assert_eq!(brake.wait(guesser, now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            brake.wrong(guesser, now);
            assert_eq!(brake.wait(guesser, now), Some(Duration::from_secs(seconds)));
            assert_eq!(brake.wait(address("10.0.0.8"), now), None, "a neighbour does not wait");
            now += Duration::from_secs(seconds);
            assert_eq!(brake.wait(guesser, now), None);
        }
        brake.right(guesser);
        brake.wrong(guesser, now);
        assert_eq!(brake.wait(guesser, now), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_time_and_number() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for _ in 0..FREE {
            brake.wrong(address("10.0.0.7"), now);
        }
        brake.wrong(address("10.0.0.8"), now + FORGOTTEN);
        assert_eq!(brake.wrong.len(), 1, "the first is forgotten");
        for n in 0..3 * u32::try_from(MOST_ADDRESSES).unwrap() {
            brake.wrong(IpAddr::V4(n.into()), now + FORGOTTEN + Duration::from_millis(n.into()));
        }
        assert_eq!(brake.wrong.len(), MOST_ADDRESSES);
    }

    #[test]
    fn one_network_is_one_guesser() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..FREE {
            brake.wrong(address(&format!("2001:db8::{n:x}")), now);
        }
        assert!(brake.wait(address("2001:db8::ffff"), now).is_some());
        assert!(brake.wait(address("2001:db8:0:1::1"), now).is_none());
        for _ in 0..FREE {
            brake.wrong(address("::ffff:10.0.0.7"), now);
        }
        assert!(brake.wait(address("10.0.0.7"), now).is_some());
    }
}
