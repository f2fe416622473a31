//! One connection on a clock that stands still unless everybody waits, with requests that are answered when the test says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jet_protocol::data::Value;
use jet_protocol::message::map::{entry_set, get, lock};
use jet_protocol::message::{Ask, Body, NO_PARTITION, put_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::open::{ASKED_BYTES_MOST, IN_FLIGHT_MOST, PARKED_BYTES_MOST};
use super::super::unwritten::ANSWERS_MOST;
use super::*;

const MIB: usize = 1 << 20;
const CLUSTER: Uuid = Uuid::from_u128(9);

/// What was begun, by correlation; the test answers.
#[derive(Clone, Default)]
struct Asked {
    begun: Arc<Mutex<BTreeMap<i64, Option<oneshot::Sender<usize>>>>>,
    refused: Arc<Mutex<Vec<i64>>>,
    /// Places that are held as long as something is not over.
    held: Arc<()>,
}

impl Begins for Asked {
    type Caller = ();

    fn caller(&self, _: Arc<Session>) {}

    fn tell((): &mut (), _: &View, _: &mut BytesMut) {}

    fn poll_told((): &mut (), _: &mut Context<'_>, _: &mut BytesMut) -> Poll<Result<(), Lost>> {
        Poll::Pending
    }

    fn may_park(&self, message: &Message) -> bool {
        Calls::may_park(message)
    }

    fn begin(&self, message: &Message, (): &mut (), _: &View, _: &mut BytesMut) -> Begun {
        let (tell, told) = oneshot::channel::<usize>();
        self.begun.lock().unwrap().insert(message.correlation(), Some(tell));
        let held = self.held.clone();
        let answer = Box::pin(async move {
            let size = told.await.unwrap_or_default();
            drop(held);
            BytesMut::zeroed(size)
        });
        match message.kind() {
            lock::Request::KIND => Begun::Parks(answer),
            entry_set::Request::KIND => Begun::Large(answer),
            _ => Begun::Waits(answer),
        }
    }

    fn refuse(&self, message: &Message, _: usize, _: &mut BytesMut) {
        self.refused.lock().unwrap().push(message.correlation());
    }
}

impl Asked {
    fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// Answers the first that is not answered with so many bytes.
    fn answer(&self, size: usize) {
        let mut begun = self.begun.lock().unwrap();
        let tell = begun.values_mut().find_map(Option::take).expect("something that is not answered");
        let _ = tell.send(size);
    }

    fn held(&self) -> usize {
        Arc::strong_count(&self.held) - 1
    }
}

struct Client {
    stream: DuplexStream,
    asked: Asked,
    next: i64,
    served: JoinHandle<Over>,
    _view: watch::Sender<Arc<View>>,
}

impl Client {
    /// Between the two lie at most 16 KiB.
    fn new() -> Self {
        let (stream, mut here) = duplex(16 << 10);
        let from = std::net::SocketAddr::from(([127, 0, 0, 1], 5701));
        let client = Uuid::from_u128(1);
        let session =
            Arc::new(Session { client, owner: client, name: "test".into(), cluster: CLUSTER, own: from, from });
        let (tell, view) = watch::channel(Arc::new(View { cluster: Some(CLUSTER), ..View::default() }));
        let asked = Asked::default();
        let calls = Asked { held: asked.held.clone(), ..asked.clone() };
        let mut decoder = Decoder::new();
        decoder.authenticated();
        let ending = CancellationToken::new();
        let served =
            tokio::spawn(async move { serve(&mut here, decoder, session, Arc::new(calls), view, ending).await });
        Self { stream, asked, next: 1, served, _view: tell }
    }

    fn put<R: Ask>(&mut self, request: &R, out: &mut BytesMut) {
        put_request(request, self.next, NO_PARTITION, out).unwrap();
        self.next += 1;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        settle().await;
    }
}

/// Everybody else does what there is to do.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn get(bytes: usize) -> get::Request {
    get::Request { thread: 1, name: "m".into(), key: Value::String("k".repeat(bytes).as_str().into()).data() }
}

fn lock(bytes: usize) -> lock::Request {
    let key = Value::String("k".repeat(bytes).as_str().into()).data();
    lock::Request { name: "m".into(), key, thread: 1, ttl: -1, reference: 1 }
}

#[tokio::test(start_paused = true)]
async fn what_is_begun_goes_on_though_nothing_is_read() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    (0..40).for_each(|_| client.put(&get(1), &mut out));
    (0..10).for_each(|_| client.put(&lock(1), &mut out));
    client.write(&out).await;
    assert_eq!((client.asked.begun(), client.asked.held()), (50, 50 + 1));
    // Twenty times what may wait before nothing more is read, and nothing of it is taken.
    for _ in 0..40 {
        client.asked.answer(MIB);
    }
    settle().await;
    assert_eq!(client.asked.held(), 10 + 1, "what is over holds nothing");
    (0..10).for_each(|_| client.asked.answer(1));
    settle().await;
    assert_eq!(client.asked.held(), 1, "also of what waited for locks");
    let mut taken = vec![0; 40 * MIB + 10];
    client.stream.read_exact(&mut taken).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_lets_too_much_wait_is_cut_off() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    (0..100).for_each(|_| client.put(&get(1), &mut out));
    client.write(&out).await;
    (0..100).for_each(|_| client.asked.answer(MIB));
    let over = client.served.await.unwrap();
    assert!(matches!(over, Over::TooMuch { unwritten } if unwritten > ANSWERS_MOST), "{over}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_byte_now_and_then_is_cut_off_and_who_takes_enough_is_not() {
    for (bytes, every, is_cut_off) in [(1, 10, true), (8_000, 2, false)] {
        let mut client = Client::new();
        let mut out = BytesMut::new();
        client.put(&get(1), &mut out);
        client.write(&out).await;
        client.asked.answer(MIB);
        let mut taken = vec![0; bytes];
        for _ in 0..100 / every {
            tokio::time::sleep(Duration::from_secs(every)).await;
            let _ = client.stream.read_exact(&mut taken).await;
        }
        assert_eq!(client.served.is_finished(), is_cut_off, "{bytes} bytes every {every} s");
        if is_cut_off {
            assert!(matches!(client.served.await.unwrap(), Over::Stalled { .. }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_asked_are_bounded() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    (0..40).for_each(|_| client.put(&get(MIB), &mut out));
    let begun = Instant::now();
    let sent = tokio::time::timeout(Duration::from_secs(20), client.stream.write_all(&out)).await;
    assert!(sent.is_err() && begun.elapsed() >= Duration::from_secs(20), "all of it is read");
    assert_eq!(client.asked.begun(), ASKED_BYTES_MOST / MIB);
}

#[tokio::test(start_paused = true)]
async fn fewer_are_begun_where_answers_are_large() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    client.put(&get(1), &mut out);
    client.write(&out).await;
    client.asked.answer(8 * MIB);
    let mut taken = vec![0; 8 * MIB];
    client.stream.read_exact(&mut taken).await.unwrap();
    out.clear();
    (0..IN_FLIGHT_MOST).for_each(|_| client.put(&get(1), &mut out));
    client.write(&out).await;
    assert_eq!(client.asked.begun(), 1 + 2, "two such answers are expected at a time");
}

#[tokio::test(start_paused = true)]
async fn large_answers_are_made_one_at_a_time() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    let all = entry_set::Request { name: "m".into() };
    (0..3).for_each(|_| client.put(&all, &mut out));
    client.put(&get(1), &mut out);
    client.write(&out).await;
    let polled = |client: &Client| client.asked.held() - 1;
    // All are taken up, and what is small is not held up.
    assert_eq!((client.asked.begun(), polled(&client)), (4, 4));
    client.asked.answer(4 * MIB);
    client.asked.answer(4 * MIB);
    settle().await;
    assert_eq!(polled(&client), 3, "the second is not made while nothing is taken of the first");
    let mut taken = vec![0; 4 * MIB];
    client.stream.read_exact(&mut taken).await.unwrap();
    settle().await;
    assert_eq!(polled(&client), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_may_not_wait_is_refused_before_it_is_begun() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    for _ in 0..PARKED_MOST + 1 {
        client.put(&lock(1), &mut out);
    }
    client.write(&out).await;
    assert_eq!((client.asked.begun(), client.asked.refused.lock().unwrap().len()), (PARKED_MOST, 1));
    let mut client = Client::new();
    out.clear();
    (0..PARKED_BYTES_MOST / MIB + 2).for_each(|_| client.put(&lock(MIB), &mut out));
    client.put(&get(1), &mut out);
    client.write(&out).await;
    assert_eq!(client.asked.refused.lock().unwrap().len(), 3, "bytes count too");
    assert_eq!(client.asked.begun(), PARKED_BYTES_MOST / MIB, "and what does not wait for locks is read on");
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_cut_off_also_where_it_waits_for_a_lock() {
    for waits in [false, true] {
        let mut client = Client::new();
        let mut out = BytesMut::new();
        if waits {
            client.put(&lock(1), &mut out);
            client.write(&out).await;
        }
        let begun = Instant::now();
        let over = client.served.await.unwrap();
        assert!(matches!(over, Over::Silent), "{over}");
        assert!((SILENT..SILENT + LOOK * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_with_its_cluster_whatever_it_waits_for() {
    let mut client = Client::new();
    let mut out = BytesMut::new();
    client.put(&get(1), &mut out);
    client.put(&lock(1), &mut out);
    client.write(&out).await;
    let begun = Instant::now();
    client._view.send_replace(Arc::new(View::default()));
    let over = client.served.await.unwrap();
    assert!(matches!(over, Over::Closed), "{over}");
    assert!(begun.elapsed() <= ENDING * 2);
    assert_eq!(client.asked.held(), 0, "nothing is held by who is gone");
}
