//! Disks that are slow, and what lies on them when everything dies.
//!
//! Law: how far members are is told while it lasts, where a person looks, and not a moment longer; what was acknowledged
//! with fsync is there.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use jet_e2e::faults::{SlowReads, kill_pods};
use jet_e2e::jet::{Jet, OPERATION};
use jet_e2e::shell::{attempt, wait_for};
use jet_e2e::world::World;
use serde_json::Value;

/// Entries of 1 MiB of which each member has copies of some forty, in one piece of its log: nothing of that was read back
/// before a stop.
const LARGE: u32 = 66;
const LARGE_BYTES: usize = 1 << 20;
/// A container reads so many bytes a second, and each member needs about seventeen seconds.
const SLOW: u64 = 5 << 19;
/// Longest that what is over may be told.
const TOLD_NO_MORE: Duration = Duration::from_secs(30);

/// Bytes done as they were told one look after the other, by member and by what it does.
type Series = BTreeMap<(String, String), Vec<f64>>;

/// What a person reads while something lasts.
#[derive(Default)]
struct Told {
    status: Series,
    live: Series,
    /// Members told something before the status did.
    live_first: bool,
}

impl Told {
    /// Looks until the condition is True.
    fn until(jet: &Jet<'_>, condition: &str) -> Self {
        let mut told = Self::default();
        wait_for(&format!("{condition} with a slow disk"), OPERATION, || {
            told.look(jet);
            let (status, why) = jet.condition(condition);
            if status == "True" { Ok(()) } else { Err(why) }
        });
        told
    }

    fn look(&mut self, jet: &Jet<'_>) {
        for line in lines(jet) {
            let Some((pod, work, done)) = read(&line) else { continue };
            self.live.entry((pod, work)).or_default().push(done);
        }
        let object = jet.object();
        let members = object.pointer("/status/progress/members").and_then(Value::as_array);
        for member in members.into_iter().flatten() {
            let text = |field: &str| member[field].as_str().unwrap_or_default().to_owned();
            let done = member["doneBytes"].as_f64().expect("bytes");
            self.status.entry((text("pod"), text("doing"))).or_default().push(done);
        }
        self.live_first |= self.status.is_empty() && !self.live.is_empty();
    }

    /// Of every member, in words and in the status, which is told anew only now and then; nothing ever shrinks.
    fn shows(&self, live: &str, doing: &str) {
        println!("{:?}\n{:?}", self.live, self.status);
        let pods = ["orders-0", "orders-1", "orders-2"];
        let figures = |series: &Series, work: &str| pods.map(|pod| grown(series, pod, work));
        assert!(figures(&self.live, live).iter().all(|seen| *seen >= 4), "each grows while it lasts");
        let told = figures(&self.status, doing);
        assert!(
            told.iter().all(|seen| *seen >= 1) && told.iter().any(|seen| *seen >= 2),
            "the status follows: {told:?}"
        );
        assert!(self.live_first, "the members themselves were asked");
    }
}

/// How many different figures there are.
fn grown(series: &Series, pod: &str, work: &str) -> usize {
    let figures = series.get(&(pod.to_owned(), work.to_owned())).map_or(&[][..], Vec::as_slice);
    assert!(figures.is_sorted(), "{pod} {work}: {figures:?}");
    figures.chunk_by(|one, next| one == next).count()
}

/// `kubectl jet status`, as it is now.
fn lines(jet: &Jet<'_>) -> Vec<String> {
    let told = attempt("kubectl", &["jet", "status", &jet.name, "--namespace", &jet.world.namespace, "--once"], None);
    told.unwrap_or_else(|said| panic!("{said}")).lines().map(str::to_owned).collect()
}

/// Member, work and figure of `  orders-1: sealing, 3.1 of 44.0 MiB read back, 3.1 MB/s, 13 s left`.
fn read(line: &str) -> Option<(String, String, f64)> {
    let (pod, told) = line.trim().split_once(": ").filter(|(pod, _)| pod.starts_with("orders-"))?;
    let (verb, rest) = told.split_once(", ")?;
    let (done, rest) = rest.split_once(" of ")?;
    let what = rest.split(',').next()?.splitn(3, ' ').nth(2).map(|what| format!(" {what}")).unwrap_or_default();
    Some((pod.to_owned(), verb.to_owned() + &what, done.parse().ok()?))
}

fn nothing_is_told(jet: &Jet<'_>) -> Result<(), String> {
    let (status, lines) = (jet.status("/progress"), lines(jet));
    let live: Vec<_> = lines.iter().filter_map(|line| read(line)).collect();
    if status.is_empty() && live.is_empty() { Ok(()) } else { Err(format!("{status} {live:?}")) }
}

#[test]
fn how_far_a_slow_stop_and_return_are_is_told() {
    let world = World::new("how_far_a_slow_stop_and_return_are_is_told");
    let jet = Jet::ready(&world, "orders", 3);
    jet.ledger(10, 500, 0);
    std::thread::scope(|scope| {
        for member in 0..3 {
            let jet = &jet;
            scope.spawn(move || {
                let mine = (0..LARGE).filter(move |n| n % 3 == member);
                let entries = mine.map(|n| (format!("key-{n}"), "x".repeat(LARGE_BYTES)));
                jet.members().put_each(member, "large", entries, channel().0).unwrap();
            });
        }
    });
    let counted = jet.counted_beyond(1_000);
    assert_eq!(nothing_is_told(&jet), Ok(()));

    let slow = SlowReads::of(SLOW);
    jet.ask_stop();
    Told::until(&jet, "Stopped").shows("sealing read back", "ReadingBack");
    wait_for("what is saved is told no more", TOLD_NO_MORE, || nothing_is_told(&jet));
    jet.ask_return();
    Told::until(&jet, "DoorsOpen").shows("loading", "Loading");
    wait_for("what is loaded is told no more", TOLD_NO_MORE, || nothing_is_told(&jet));
    drop(slow);
    jet.wait("Ready", "True");
    jet.counted_beyond(counted);
}

const WRITERS: u32 = 6;
/// All die when so many are acknowledged …
const PUTS: usize = 200;
/// … and no writer makes more.
const MOST_PUTS: u32 = 10_000;

#[test]
fn what_was_acknowledged_with_fsync_survives_a_kill_of_all() {
    let world = World::new("what_was_acknowledged_with_fsync_survives_a_kill_of_all");
    let jet = Jet::ready_with(&world, "orders", 3, "  hotRestart:\n    fsync: true\n");
    jet.ledger(10, 500, 0);
    let counted = jet.counted_beyond(1_000);
    let boots =
        |jet: &Jet<'_>| (0..3).map(|n| jet.members().view(n).map(|view| view.boot)).collect::<Result<Vec<_>, _>>();
    let before = boots(&jet).unwrap();
    let keys = put_until_all_are_killed(&jet);
    wait_for("the whole roster is back and jobs run", OPERATION, || {
        let (job, now) = (jet.job("ledger")?, boots(&jet)?);
        let all_died = now.iter().zip(&before).all(|(now, before)| now > before);
        if all_died && job.verdict.is_some() && job.started_from.is_some() {
            Ok(())
        } else {
            Err(format!("{now:?} {job:?}"))
        }
    });
    println!("{} were acknowledged", keys.len());
    assert!(keys.len() >= PUTS);
    let values = wait_for("it is served", OPERATION, || jet.members().values(0, "orders", &keys));
    let lost: Vec<_> = keys.iter().zip(values).filter(|(key, value)| value.as_ref() != Some(*key)).collect();
    assert!(lost.is_empty(), "acknowledged, and not there: {lost:?}");
    jet.counted_beyond(counted);
}

/// Several writers through all members until nobody is there any more; gives the keys that were acknowledged.
fn put_until_all_are_killed(jet: &Jet<'_>) -> Vec<String> {
    let (acknowledged, told) = channel();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let acknowledged = acknowledged.clone();
            scope.spawn(move || {
                let keys = (0..MOST_PUTS).map(move |n| format!("{writer}-{n}"));
                let ended =
                    jet.members().put_each(writer % 3, "orders", keys.map(|key| (key.clone(), key)), acknowledged);
                println!("writer {writer}: {ended:?}");
            });
        }
        drop(acknowledged);
        let mut keys: Vec<_> = told.iter().take(PUTS).collect();
        kill_pods(&jet.world.namespace, &jet.pods());
        keys.extend(told);
        keys
    })
}
