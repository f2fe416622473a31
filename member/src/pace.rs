//! How far the store is with a seal or a load, for the member's view and its log.
//!
//! Law: telling decides nothing: a slow store is called slow and waited for. What lasts shorter than [`TOLD_EVERY`] is not
//! told in the log. Must not know: why the store saves or loads.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jet_admin_api::progress::{Slowness, StoreProgress, StoreWork};
use jet_hotstore::{Doing, Progress, Slow, Store};
use tracing::{info, warn};

/// Pause between two looks.
pub const LOOK: Duration = Duration::from_millis(200);
/// A line in the log after so much time of a work, and after so much again.
pub const TOLD_EVERY: Duration = Duration::from_secs(5);

/// What is under way, since it began; `None`: nothing is.
pub fn view(progress: &Progress) -> Option<StoreProgress> {
    since(progress, None)
}

fn since(progress: &Progress, earlier: Option<&Progress>) -> Option<StoreProgress> {
    let doing = match progress.doing {
        Doing::Idle => return None,
        Doing::Flushing => StoreWork::Flushing,
        Doing::ReadingBack => StoreWork::ReadingBack,
        Doing::Hashing => StoreWork::Hashing,
        Doing::Loading => StoreWork::Loading,
    };
    let pace = progress.pace(earlier);
    Some(StoreProgress {
        doing,
        done_bytes: progress.done,
        total_bytes: progress.total,
        lasts_ms: millis(progress.lasts),
        bytes_per_second: pace.bytes_per_second,
        left_ms: pace.left.map(millis),
        slow: pace.slow.map(|slow| match slow {
            Slow::Still { .. } => Slowness::Still,
            Slow::Below { .. } => Slowness::Below,
        }),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the log was told last.
#[derive(Debug, Default)]
pub struct Told(Option<Progress>);

impl Told {
    /// What is to be told now, if anything: how far it is, as fast as it went since it was told last.
    pub fn look(&mut self, now: Progress) -> Option<StoreProgress> {
        let last = self.0.filter(|last| last.work == now.work);
        let before = last.map_or(Duration::ZERO, |last| last.lasts);
        let due = now.lasts.saturating_sub(before) >= TOLD_EVERY;
        let news = since(&now, last.as_ref()).filter(|_| due)?;
        self.0 = Some(now);
        Some(news)
    }

    /// Tells the log, if anything is to be told now.
    pub fn tell(&mut self, now: Progress) {
        match self.look(now) {
            Some(far) if far.slow.is_some() => warn!("the store: {far}"),
            Some(far) => info!("the store: {far}"),
            None => {}
        }
    }
}

/// Tells the log how far it is while this works: before a member listens, nobody can ask it.
pub fn tell_while<T>(store: &Store, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (over, until) = channel::<()>();
        scope.spawn(move || {
            let mut told = Told::default();
            while until.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                told.tell(store.progress());
            }
        });
        let done = work();
        drop(over);
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(work: u64, doing: Doing, done: u64, seconds: u64) -> Progress {
        Progress { work, doing, done, total: 1 << 40, lasts: Duration::from_secs(seconds), still: Duration::ZERO }
    }

    #[test]
    fn what_lasts_is_told_now_and_then_as_fast_as_it_went_since() {
        let (mut told, mib) = (Told::default(), 1 << 20);
        let mut rate = |now| told.look(now).map(|news| (news.bytes_per_second, news.slow));
        for (now, news) in [
            (look(1, Doing::Flushing, mib, 4), None),
            (look(2, Doing::Loading, 100 * mib, 1), None),
            (look(2, Doing::Loading, 500 * mib, 5), Some((Some(100 * mib), None))),
            (look(2, Doing::Loading, 550 * mib, 9), None),
            (look(2, Doing::Loading, 600 * mib, 15), Some((Some(10 * mib), Some(Slowness::Below)))),
            (look(2, Doing::Idle, 600 * mib, 60), None),
            (look(3, Doing::Loading, 0, 1), None),
            (look(3, Doing::Loading, 0, 6), Some((Some(0), None))),
        ] {
            assert_eq!(rate(now), news, "{now:?}");
        }
    }

    #[test]
    fn a_view_shows_only_what_is_under_way() {
        assert_eq!(view(&look(4, Doing::Idle, 5, 9)), None);
        let loading = view(&look(4, Doing::ReadingBack, 5, 1)).unwrap();
        assert_eq!((loading.doing, loading.done_bytes, loading.lasts_ms), (StoreWork::ReadingBack, 5, 1000));
        let still = Progress { still: Duration::from_secs(5), ..look(4, Doing::Flushing, 5, 6) };
        assert_eq!(view(&still).unwrap().slow, Some(Slowness::Still));
    }
}
