//! Whether to take, renew or await the Lease: pure.
//!
//! Law: clocks of different machines are never compared; another's lease has run out when it did not change for its
//! whole duration on *our* monotonic clock. Must not know: the API server.

use std::time::Duration;

/// A lease that did not change for this long may be taken.
pub const DURATION: Duration = Duration::from_secs(15);
/// The holder renews this often.
pub const RENEW_EVERY: Duration = Duration::from_secs(4);
/// A holder that could not renew for this long stops working: before anybody else may begin.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// A candidate looks again after this.
pub const RETRY_EVERY: Duration = Duration::from_secs(2);

/// The Lease as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Holder; `None` or empty: released.
    pub holder: Option<String>,
    /// Changes with every write.
    pub resource_version: String,
    /// What its holder promised.
    pub duration: Duration,
}

/// When the Lease was last seen to change, on our monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// As it was then.
    pub lease: LeaseView,
    /// When.
    pub since: Duration,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// No Lease exists: make it.
    Create,
    /// Nobody holds it, it ran out, or it is ours from before: take it.
    Take,
    /// It is ours: write it again.
    Renew,
    /// Another one holds it: look again.
    Await {
        /// Who.
        holder: String,
    },
}

/// What is known after a new look at `now`.
pub fn sight(before: Option<Sighting>, lease: LeaseView, now: Duration) -> Sighting {
    match before {
        Some(before) if before.lease == lease => before,
        _ => Sighting { lease, since: now },
    }
}

/// What `me` does about it. `held`: we hold it already.
pub fn decide(seen: Option<&Sighting>, me: &str, held: bool, now: Duration) -> Move {
    let Some(seen) = seen else {
        return Move::Create;
    };
    match seen.lease.holder.as_deref() {
        None | Some("") => Move::Take,
        Some(holder) if holder == me && held => Move::Renew,
        Some(holder) if holder == me => Move::Take,
        Some(_) if now.saturating_sub(seen.since) >= seen.lease.duration => Move::Take,
        Some(holder) => Move::Await { holder: holder.to_owned() },
    }
}

/// Whether a holder that last renewed at `renewed` must stop working.
pub fn must_stop(renewed: Duration, now: Duration) -> bool {
    now.saturating_sub(renewed) >= RENEW_DEADLINE
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lease(holder: &str, version: &str) -> LeaseView {
        LeaseView { holder: Some(holder.into()), resource_version: version.into(), duration: DURATION }
    }

    #[test]
    fn table() {
        let other = sight(None, lease("other", "7"), at(100));
        let mine = sight(None, lease("me", "7"), at(100));
        let free = sight(None, lease("", "7"), at(100));
        assert_eq!(decide(None, "me", false, at(100)), Move::Create);
        assert_eq!(decide(Some(&free), "me", false, at(100)), Move::Take);
        assert_eq!(decide(Some(&mine), "me", true, at(100)), Move::Renew);
        assert_eq!(decide(Some(&mine), "me", false, at(100)), Move::Take, "our own from before a crash");
        assert_eq!(decide(Some(&other), "me", false, at(114)), Move::Await { holder: "other".into() });
        assert_eq!(decide(Some(&other), "me", false, at(115)), Move::Take);
        assert_eq!(decide(Some(&other), "me", true, at(101)), Move::Await { holder: "other".into() }, "we lost it");
    }

    #[test]
    fn any_change_starts_the_wait_again() {
        let first = sight(None, lease("other", "7"), at(100));
        let same = sight(Some(first.clone()), lease("other", "7"), at(110));
        assert_eq!(same, first);
        let renewed = sight(Some(same), lease("other", "8"), at(112));
        assert_eq!(decide(Some(&renewed), "me", false, at(126)), Move::Await { holder: "other".into() });
        assert_eq!(decide(Some(&renewed), "me", false, at(127)), Move::Take);
    }

    #[test]
    fn the_holder_stops_before_anybody_else_may_begin() {
        const { assert!(RENEW_DEADLINE.as_secs() + RENEW_EVERY.as_secs() < DURATION.as_secs()) };
        assert!(!must_stop(at(100), at(109)));
        assert!(must_stop(at(100), at(110)));
    }
}
