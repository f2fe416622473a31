//! A client of the tests' own: it says what it is told to say, in order, and takes what comes.
//!
//! Law: a wait has a bound; an answer is found by its correlation, and what came before it is kept. Must not know: what is
//! tested.

#![allow(dead_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use bytes::{BufMut, BytesMut};
use jet_protocol::PREAMBLE;
use jet_protocol::data::{Data, Value};
use jet_protocol::frames::{Decoder, Message};
use jet_protocol::message::client::{add_cluster_view_listener, authentication, status};
use jet_protocol::message::{Ask, Body, NO_PARTITION, NoAnswer, put_request, take, take_answer};
use uuid::Uuid;

use crate::world::{CLUSTER, PATIENCE};

pub struct Caller {
    stream: TcpStream,
    decoder: Decoder,
    next: i64,
    /// What came and was not looked for.
    pub others: Vec<Message>,
}

/// A value as clients write text.
pub fn text(text: &str) -> Data {
    Value::String(text.into()).data()
}

/// What a well-behaved client says first.
pub fn hello() -> authentication::Request {
    authentication::Request {
        uuid: Some(Uuid::new_v4()),
        serialization_version: 1,
        cluster_name: CLUSTER.into(),
        username: None,
        password: None,
        client_type: "TST".into(),
        client_version: "1".into(),
        client_name: "test".into(),
        labels: Vec::new(),
        routing_mode: None,
        cp_direct_to_leader: None,
    }
}

impl Caller {
    /// Connected, and nothing said but which protocol it is.
    pub fn stranger(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&PREAMBLE).unwrap();
        Self { stream, decoder: Decoder::new(), next: 1, others: Vec::new() }
    }

    /// A client that was let in.
    pub fn new(address: &str) -> Self {
        Self::tried(address, &hello()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same, or why not.
    pub fn tried(address: &str, hello: &authentication::Request) -> Result<Self, String> {
        let mut caller = Self::stranger(address);
        let answer = caller.ask(hello).map_err(|why| format!("{why:?}"))?;
        match answer.status {
            status::AUTHENTICATED => {
                caller.decoder.authenticated();
                Ok(caller)
            }
            other => Err(format!("status {other}")),
        }
    }

    /// The same of an address where perhaps nobody is let in yet.
    pub fn tried_again(address: &str) -> Result<Self, String> {
        let mut caller = Self::stranger(address);
        let correlation = caller.send(&hello());
        let Some(message) = caller.read() else { return Err("closed".into()) };
        assert_eq!(message.correlation(), correlation);
        take_answer::<authentication::Request>(&message).map_err(|why| why.to_string())?;
        caller.decoder.authenticated();
        Ok(caller)
    }

    /// Who answers, and for which cluster.
    pub fn identities(address: &str) -> Result<(Uuid, Uuid), String> {
        let answer = Self::stranger(address).ask(&hello()).map_err(|why| format!("{why:?}"))?;
        Ok((answer.member.ok_or("no member")?, answer.cluster))
    }

    pub fn send<R: Ask>(&mut self, request: &R) -> i64 {
        let mut out = BytesMut::new();
        let correlation = self.put(request, &mut out);
        self.write(&out);
        correlation
    }

    /// Appends a request, to be sent with others.
    pub fn put<R: Ask>(&mut self, request: &R, out: &mut BytesMut) -> i64 {
        let correlation = self.next;
        self.next += 1;
        put_request(request, correlation, NO_PARTITION, out).unwrap();
        correlation
    }

    /// A message of nobody's table, with one frame.
    pub fn put_raw(&mut self, kind: u32, payload: &[u8], out: &mut BytesMut) -> i64 {
        let correlation = self.next;
        self.next += 1;
        out.put_i32_le(6 + 16 + payload.len() as i32);
        out.put_u16_le(0xe000);
        out.put_u32_le(kind);
        out.put_i64_le(correlation);
        out.put_i32_le(NO_PARTITION);
        out.put_slice(payload);
        correlation
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The answer to one of the requests that were sent.
    pub fn answer<R: Ask>(&mut self, correlation: i64) -> Result<R::Answer, NoAnswer> {
        let message = self.of(correlation);
        take_answer::<R>(&message)
    }

    fn of(&mut self, correlation: i64) -> Message {
        if let Some(at) = self.others.iter().position(|message| message.correlation() == correlation) {
            return self.others.remove(at);
        }
        loop {
            let message = self.read().expect("an answer, and not the end");
            if message.correlation() == correlation {
                return message;
            }
            self.others.push(message);
        }
    }

    pub fn ask<R: Ask>(&mut self, request: &R) -> Result<R::Answer, NoAnswer> {
        let correlation = self.send(request);
        self.answer::<R>(correlation)
    }

    /// The same, of a partition.
    pub fn ask_of<R: Ask>(&mut self, partition: i32, request: &R) -> Result<R::Answer, NoAnswer> {
        let (mut out, correlation) = (BytesMut::new(), self.next);
        self.next += 1;
        put_request(request, correlation, partition, &mut out).unwrap();
        self.write(&out);
        self.answer::<R>(correlation)
    }

    /// The code of the error that it is answered with, and its words.
    pub fn refused<R: Ask>(&mut self, request: &R) -> (i32, String) {
        let correlation = self.send(request);
        self.refused_as::<R>(correlation)
    }

    pub fn refused_as<R: Ask>(&mut self, correlation: i64) -> (i32, String) {
        match self.answer::<R>(correlation) {
            Err(NoAnswer::Failed(answer)) => {
                let first = &answer.errors[0];
                (first.code, first.message.as_ref().map(|text| text.to_string()).unwrap_or_default())
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{} was not refused", R::NAME),
        }
    }

    /// The next message; none when the connection is closed.
    pub fn read(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.decoder.next_message().unwrap() {
                return Some(message);
            }
            let mut room = [0; 64 << 10];
            match self.stream.read(&mut room) {
                Ok(0) => return None,
                Ok(read) => self.decoder.feed(&room[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// What comes until it is closed by the other side.
    pub fn closed(mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.read()).collect()
    }

    /// Asks to be told of the cluster.
    pub fn watch(&mut self) -> i64 {
        let correlation = self.send(&add_cluster_view_listener::Request {});
        self.answer::<add_cluster_view_listener::Request>(correlation).unwrap();
        correlation
    }

    /// The next event of its kind.
    pub fn told<E: Body>(&mut self) -> E {
        if let Some(at) = self.others.iter().position(|message| message.kind() == E::KIND) {
            return take(&self.others.remove(at)).unwrap();
        }
        loop {
            let message = self.read().expect("an event, and not the end");
            if message.kind() == E::KIND {
                return take(&message).unwrap();
            }
            self.others.push(message);
        }
    }
}
