//! Connections, each with its requests under way.
//!
//! Law: one thread asks and takes all answers; a request is sent when an answer came, and not before. Must not know: what
//! is spoken.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use jet_protocol::PREAMBLE;
use jet_protocol::frames::Decoder;
use jet_protocol::message::client::add_cluster_view_listener::PartitionsView;
use jet_protocol::message::client::{add_cluster_view_listener, authentication};
use jet_protocol::message::{Body, put_request, take, take_answer};
use rustix::event::epoll;
use uuid::Uuid;

use crate::Op;
use crate::spread::Spread;
use crate::wire::{Wire, next};

/// Requests on one connection while keys are set first.
const FILLING: u32 = 200;

struct Connection {
    stream: TcpStream,
    /// Keys that it asks for.
    keys: Vec<u32>,
    read: BytesMut,
    /// When what is under way was sent, oldest first.
    sent: std::collections::VecDeque<Instant>,
}

/// A server under load.
pub struct Load<'a> {
    wire: &'a Wire,
    connections: Vec<Connection>,
    pipeline: usize,
    seed: u64,
}

/// What a run gave.
pub struct Ran {
    /// Answers.
    pub requests: u64,
    /// In this time.
    pub took: Duration,
    /// Latencies.
    pub spread: Spread,
}

impl<'a> Load<'a> {
    /// Connects, in turn to each address.
    pub fn connect(
        wire: &'a Wire,
        addresses: &[SocketAddr],
        cluster: &str,
        connections: usize,
        pipeline: usize,
    ) -> Result<Self> {
        let one = |n: usize| {
            let address = addresses[n % addresses.len()];
            let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            let led = if wire.is_client() { Some(introduce(&stream, cluster)?) } else { None };
            let keys = (0..wire.keys).filter(|key| led.as_ref().is_none_or(|led| led.leads(*key))).collect();
            Ok(Connection { stream, keys, read: BytesMut::new(), sent: Default::default() })
        };
        let connections = (0..connections.max(addresses.len())).map(one).collect::<Result<Vec<_>>>()?;
        Ok(Self { wire, connections, pipeline, seed: 1 })
    }

    /// Sets every key.
    pub fn fill(&mut self) -> Result<()> {
        let mut filled = std::collections::BTreeSet::new();
        for connection in &mut self.connections {
            let keys: Vec<u32> = connection.keys.iter().copied().filter(|key| filled.insert(*key)).collect();
            for keys in keys.chunks(FILLING as usize) {
                let mut out = BytesMut::new();
                for key in keys {
                    self.wire.put(Op::Set, *key, &mut out)?;
                }
                connection.stream.write_all(&out)?;
                let mut left = keys.len();
                while left > 0 {
                    connection.receive()?;
                    while self.wire.take(Op::Set, &mut connection.read)? {
                        left -= 1;
                    }
                }
            }
        }
        ensure!(filled.len() == self.wire.keys as usize, "no connection asks the primary of some keys");
        Ok(())
    }

    /// Asks for so long.
    pub fn run(&mut self, op: Op, time: Duration) -> Result<Ran> {
        let queue = epoll::create(epoll::CreateFlags::empty())?;
        for (n, connection) in self.connections.iter_mut().enumerate() {
            connection.stream.set_nonblocking(true)?;
            epoll::add(&queue, &connection.stream, epoll::EventData::new_u64(n as u64), epoll::EventFlags::IN)?;
            connection.ask(self.wire, op, self.pipeline, &mut self.seed)?;
        }
        let begun = Instant::now();
        let mut ran = Ran { requests: 0, took: Duration::ZERO, spread: Spread::default() };
        let mut events = Vec::with_capacity(256);
        while begun.elapsed() < time {
            events.clear();
            epoll::wait(&queue, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                let place = event.data.u64() as usize;
                let Some(connection) = self.connections.get_mut(place) else { continue };
                connection.receive()?;
                let came = connection.take(self.wire, op, &mut ran)?;
                connection.ask(self.wire, op, came, &mut self.seed)?;
            }
        }
        ran.took = begun.elapsed();
        for connection in &mut self.connections {
            connection.stream.set_nonblocking(false)?;
            while !connection.sent.is_empty() {
                connection.receive()?;
                connection.take(self.wire, op, &mut ran)?;
            }
        }
        Ok(ran)
    }
}

impl Connection {
    fn receive(&mut self) -> Result<()> {
        let mut room = [0; 64 << 10];
        match self.stream.read(&mut room) {
            Ok(0) => anyhow::bail!("the server closed a connection"),
            Ok(read) => self.read.extend_from_slice(&room[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Answers that are here.
    fn take(&mut self, wire: &Wire, op: Op, ran: &mut Ran) -> Result<usize> {
        let mut came = 0;
        let now = Instant::now();
        while wire.take(op, &mut self.read)? {
            let sent = self.sent.pop_front().context("an answer to nothing")?;
            ran.spread.note(now - sent);
            ran.requests += 1;
            came += 1;
        }
        Ok(came)
    }

    fn ask(&mut self, wire: &Wire, op: Op, count: usize, seed: &mut u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let mut out = BytesMut::new();
        for _ in 0..count {
            let key = self.keys[(next(seed) % self.keys.len() as u64) as usize];
            wire.put(op, key, &mut out)?;
        }
        let now = Instant::now();
        self.sent.extend(std::iter::repeat_n(now, count));
        let mut left = &out[..];
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Which partitions the member at the other end leads.
struct Led {
    partitions: NonZeroU32,
    own: std::collections::BTreeSet<i32>,
}

impl Led {
    fn leads(&self, key: u32) -> bool {
        self.own.contains(&(Wire::data(key).partition(self.partitions) as i32))
    }
}

/// Says who we are, and asks which keys the member leads.
fn introduce(mut stream: &TcpStream, cluster: &str) -> Result<Led> {
    let hello = authentication::Request {
        uuid: Some(Uuid::new_v4()),
        serialization_version: 1,
        cluster_name: cluster.into(),
        username: None,
        password: None,
        client_type: "BEN".into(),
        client_version: "1".into(),
        client_name: "bench-map".into(),
        labels: Vec::new(),
        routing_mode: None,
        cp_direct_to_leader: None,
    };
    let mut out = BytesMut::from(&PREAMBLE[..]);
    put_request(&hello, 1, -1, &mut out)?;
    stream.write_all(&out)?;
    let (mut decoder, mut member, mut partitions) = (Decoder::new(), None, 0);
    loop {
        let Some(message) = decoder.next_message()? else {
            let mut room = [0; 64 << 10];
            let read = stream.read(&mut room)?;
            ensure!(read > 0, "the member closed the connection");
            decoder.feed(&room[..read]);
            continue;
        };
        if message.correlation() == 1 {
            let answer = take_answer::<authentication::Request>(&message)?;
            ensure!(answer.status == 0, "the member does not let us in: status {}", answer.status);
            decoder.authenticated();
            (member, partitions) = (answer.member, answer.partition_count as u32);
            // A real member cuts off who asks before it is known.
            out.clear();
            put_request(&add_cluster_view_listener::Request {}, 2, -1, &mut out)?;
            stream.write_all(&out)?;
        } else if message.kind() == PartitionsView::KIND {
            let view: PartitionsView = take(&message)?;
            let own = view.partitions.into_iter().filter(|(owner, _)| Some(*owner) == member);
            let own = own.flat_map(|(_, partitions)| partitions).collect();
            return Ok(Led { partitions: NonZeroU32::new(partitions).context("no partitions")?, own });
        }
    }
}
