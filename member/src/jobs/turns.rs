//! Threads that come one after another, in the order in which they were asked for.
//!
//! Law: the next begins when the one before is gone, whoever gets a lock first. Must not know: what they do.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// The last thread, which waits for the one before it.
#[derive(Default)]
pub struct Turns {
    last: Mutex<Option<JoinHandle<()>>>,
}

impl Turns {
    /// Does this on a thread of its own once everything that was asked for before is done.
    pub fn take(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut last = lock(&self.last);
        let before = Arc::new(Mutex::new(last.take()));
        let waited = before.clone();
        let thread = Builder::new().name(name.into()).spawn(move || {
            let before = lock(&waited).take();
            if let Some(before) = before {
                let _ = before.join();
            }
            work();
        });
        match thread {
            Ok(thread) => *last = Some(thread),
            Err(error) => {
                *last = lock(&before).take();
                return Err(error);
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn each_waits_for_the_one_before_it() {
        let turns = Turns::default();
        let (said, heard) = mpsc::channel();
        let (let_go, held) = mpsc::channel::<()>();
        let say = said.clone();
        turns
            .take("first", move || {
                let _ = held.recv();
                let _ = say.send("first");
            })
            .expect("a thread");
        for name in ["second", "third"] {
            let say = said.clone();
            turns
                .take(name, move || {
                    let _ = say.send(name);
                })
                .expect("a thread");
        }
        assert!(heard.recv_timeout(Duration::from_millis(200)).is_err(), "one began while another was at work");
        let_go.send(()).expect("it waits");
        let order: Vec<_> = heard.iter().take(3).collect();
        assert_eq!(order, ["first", "second", "third"]);
    }
}
