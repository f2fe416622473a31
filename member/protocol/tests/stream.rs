//! A stream of bytes as a peer sends it: cut anywhere, in fragments, beyond every bound, or never meant for us.

#![allow(clippy::unwrap_used, missing_docs)]

use bytes::{BufMut, BytesMut};
use jet_protocol::data::Value;
use jet_protocol::error::{ErrorAnswer, ErrorCode};
use jet_protocol::frames::{Decoder, FrameError, Message, flag};
use jet_protocol::limits::{self, READ_CHUNK};
use jet_protocol::message::{self, NO_PARTITION, NoAnswer, Request, RequestError, client, map};
use proptest::prelude::*;
use uuid::Uuid;

fn known() -> Decoder {
    let mut decoder = Decoder::new();
    decoder.authenticated();
    decoder
}

fn frame(flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i32_le(payload.len() as i32 + 6);
    out.put_u16_le(flags);
    out.put_slice(payload);
    out
}

/// A frame of which only the header comes.
fn announced(length: i32, flags: u16) -> Vec<u8> {
    [length.to_le_bytes().as_slice(), &flags.to_le_bytes()].concat()
}

fn read(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Message>, FrameError> {
    decoder.space().extend_from_slice(bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next_message()? {
        messages.push(message);
    }
    Ok(messages)
}

fn put(key: &str, value: &str) -> map::put::Request {
    map::put::Request {
        thread: 1,
        ttl: -1,
        name: "x".into(),
        key: Value::String(key.into()).data(),
        value: Value::String(value.into()).data(),
    }
}

fn written(values: &[String]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (i, value) in values.iter().enumerate() {
        message::put_request(&put("k", value), i as i64, 41, &mut out).unwrap();
    }
    out.to_vec()
}

#[test]
fn requests_are_the_bytes_that_clients_send() {
    let mut out = BytesMut::new();
    message::put_request(&put("k", "v1"), 6, 41, &mut out).unwrap();
    let sent = [
        b"\x26\0\0\0\0\xc0\0\x01\x01\0\x06\0\0\0\0\0\0\0\x29\0\0\0".as_slice(),
        b"\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x07\0\0\0\0\0x",
        b"\x13\0\0\0\0\0\0\0\0\0\xff\xff\xff\xf5\0\0\0\x01k",
        b"\x14\0\0\0\0\x20\0\0\0\0\xff\xff\xff\xf5\0\0\0\x02v1",
    ];
    assert_eq!(out, sent.concat());
    assert_eq!(out.len(), 84);

    out.clear();
    message::put_answer(&map::put::Answer { former: None }, 6, &mut out).unwrap();
    assert_eq!(&out[..], b"\x13\0\0\0\0\xc0\x01\x01\x01\0\x06\0\0\0\0\0\0\0\0\x06\0\0\0\0\x24");
}

#[test]
fn an_authentication_is_understood_as_clients_without_later_fields_send_it() {
    let uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    let bytes = [
        b"\x28\0\0\0\0\xc1\0\x01\0\0\x01\0\0\0\0\0\0\0\xff\xff\xff\xff".as_slice(),
        b"\0\xef\xcd\xab\x89\x67\x45\x23\x01\x77\x66\x55\x44\x33\x22\x11\0\x01",
        &frame(0, b"dev"),
        &frame(flag::NULL, b""),
        &frame(flag::NULL, b""),
        &frame(0, b"PYH"),
        &frame(0, b"5.7.0"),
        &frame(0, b"hz.client_0"),
        &frame(flag::BEGIN, b""),
        &frame(flag::END | flag::FINAL, b""),
    ]
    .concat();
    assert_eq!(bytes.len(), 110);
    let [message] = &read(&mut Decoder::new(), &bytes).unwrap()[..] else { panic!("not one message") };
    assert_eq!((message.correlation(), message.partition()), (1, NO_PARTITION));
    assert_ne!(message.flags() & flag::BACKUP_AWARE, 0);
    let asked = client::authentication::Request {
        uuid: Some(uuid),
        serialization_version: 1,
        cluster_name: "dev".into(),
        username: None,
        password: None,
        client_type: "PYH".into(),
        client_version: "5.7.0".into(),
        client_name: "hz.client_0".into(),
        labels: vec![],
        routing_mode: None,
        cp_direct_to_leader: None,
    };
    let asked = Request::Client(client::Request::Authentication(asked));
    assert_eq!(Request::take(message), Ok(asked.clone()));
    assert_eq!(asked.name(), "client.authentication");
}

#[test]
fn what_is_not_spoken_is_told_apart_from_what_is_malformed() {
    let mut head = [0u8; 16];
    head[..4].copy_from_slice(&0x01_2e00_u32.to_le_bytes());
    let asked = |head: &[u8]| {
        let bytes = frame(flag::UNFRAGMENTED | flag::FINAL, head);
        Request::take(&read(&mut Decoder::new(), &bytes).unwrap()[0]).unwrap_err()
    };
    let unknown = asked(&head);
    assert_eq!(unknown, RequestError::Unknown { kind: 0x01_2e00 });
    assert_eq!(unknown.code(), ErrorCode::UnsupportedOperation);
    head[..4].copy_from_slice(&0x01_0100_u32.to_le_bytes());
    let malformed = asked(&head);
    assert_eq!(malformed.to_string(), "map.put, field thread: its frame has 0 bytes, 8 are needed");
    assert_eq!(malformed.code(), ErrorCode::Serialization);
    assert!(!malformed.code().is_always_retried() && !unknown.code().is_always_retried());
    assert_eq!(asked(&head[..13]).to_string(), "map.put, field head: its frame has 13 bytes, 16 are needed");
}

#[test]
fn a_client_gets_the_answer_or_the_error() {
    let mut out = BytesMut::new();
    message::put_answer(&ErrorAnswer::of(ErrorCode::IllegalMonitorState, "not yours"), 5, &mut out).unwrap();
    message::put_answer(&map::size::Answer { size: 3 }, 6, &mut out).unwrap();
    let answers = read(&mut known(), &out).unwrap();
    let Err(NoAnswer::Failed(failed)) = message::take_answer::<map::size::Request>(&answers[0]) else {
        panic!("no error")
    };
    assert_eq!(failed, ErrorAnswer::of(ErrorCode::IllegalMonitorState, "not yours"));
    assert_eq!(message::take_answer::<map::size::Request>(&answers[1]), Ok(map::size::Answer { size: 3 }));
    assert!(message::take_answer::<map::clear::Request>(&answers[1]).is_err());
}

/// Whether the peer is known, what it sends, what it is told.
type Case = (bool, Vec<u8>, FrameError);

fn too_long_or_too_many() -> Vec<Case> {
    let many = |frames: usize| {
        let first = frame(flag::UNFRAGMENTED, &[0; 16]);
        [first, announced(6, 0).repeat(frames - 1)].concat()
    };
    let limit = limits::MAX_MESSAGE_BYTES;
    let unknown = limits::MAX_MESSAGE_BYTES_BEFORE_AUTHENTICATION;
    let (frames, few) = (limits::MAX_FRAMES, limits::MAX_FRAMES_BEFORE_AUTHENTICATION);
    let all = limits::MAX_BYTES_BEFORE_AUTHENTICATION;
    vec![
        (true, announced(5, 0), FrameError::Length { length: 5 }),
        (true, announced(-1, 0), FrameError::Length { length: -1 }),
        (true, announced(i32::MAX, 0), FrameError::TooLong { bytes: i32::MAX as usize, limit }),
        (true, announced(limit as i32 + 1, 0), FrameError::TooLong { bytes: limit + 1, limit }),
        (false, announced(unknown as i32 + 1, 0), FrameError::TooLong { bytes: unknown + 1, limit: unknown }),
        (true, many(frames + 1), FrameError::TooManyFrames { limit: frames }),
        (false, many(few + 1), FrameError::TooManyFrames { limit: few }),
        (false, smallest().repeat(all / smallest().len() + 1), FrameError::TooMuchUnknown { limit: all }),
        (true, frame(flag::UNFRAGMENTED | flag::FINAL, &[0; 12]), FrameError::Head { payload: 12, need: 13 }),
    ]
}

fn unfit_fragments() -> Vec<Case> {
    let begun = |id: i64| frame(flag::BEGIN_FRAGMENT | flag::FINAL, &id.to_le_bytes());
    let last = frame(flag::END_FRAGMENT | flag::FINAL, &7i64.to_le_bytes());
    let limit = limits::MAX_FRAGMENTED;
    vec![
        (false, begun(1), FrameError::FragmentUnknown),
        (true, frame(flag::BEGIN_FRAGMENT | flag::FINAL, &[0; 7]), FrameError::Head { payload: 7, need: 8 }),
        (true, frame(flag::FINAL, &7i64.to_le_bytes()), FrameError::NoSuchFragment { id: 7 }),
        (true, begun(7).repeat(2), FrameError::FragmentTwice { id: 7 }),
        (true, (0..=limit as i64).flat_map(begun).collect(), FrameError::TooManyFragmented { limit }),
        (true, [begun(7), last].concat(), FrameError::FragmentsUnfit { id: 7 }),
    ]
}

fn smallest() -> Vec<u8> {
    frame(flag::UNFRAGMENTED | flag::FINAL, &[0; 16])
}

#[test]
fn every_bound_has_its_error() {
    for (is_known, bytes, error) in too_long_or_too_many().into_iter().chain(unfit_fragments()) {
        let mut decoder = if is_known { known() } else { Decoder::new() };
        assert_eq!(read(&mut decoder, &bytes), Err(error.clone()));
        // Nobody knows where the next message begins.
        assert_eq!(read(&mut decoder, &smallest()), Err(error));
    }
}

#[test]
fn the_wider_bounds_hold_from_authentication_on() {
    let large = written(&["v".repeat(limits::MAX_BYTES_BEFORE_AUTHENTICATION)]);
    let mut decoder = Decoder::new();
    assert_eq!(read(&mut decoder, &smallest()).unwrap().len(), 1);
    decoder.authenticated();
    assert_eq!(read(&mut decoder, &large).unwrap().len(), 1);
}

#[test]
fn a_length_that_is_only_announced_takes_no_memory() {
    let mut decoder = known();
    decoder.space().extend_from_slice(&announced(limits::MAX_MESSAGE_BYTES as i32, flag::UNFRAGMENTED));
    assert_eq!(decoder.next_message(), Ok(None));
    assert!(decoder.space().capacity() <= 2 * READ_CHUNK, "{}", decoder.space().capacity());
    // What came already is matched, so that a long message is not copied a thousand times.
    decoder.space().extend_from_slice(&vec![0; 8 * READ_CHUNK]);
    let (came, capacity) = (decoder.space().len(), decoder.space().capacity());
    assert!(capacity >= 2 * came && capacity <= 4 * came, "{came} bytes came, there is room for {capacity}");
}

/// The frames of a message, dealt out to fragments.
fn fragments(message: &[u8], id: i64, frames_of_each: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let end = at + i32::from_le_bytes(message[at..at + 4].try_into().unwrap()) as usize;
        frames.push(message[at..end].to_vec());
        at = end;
    }
    let count = frames.len().div_ceil(frames_of_each);
    let fragment = |(i, frames): (usize, &[Vec<u8>])| {
        let begin = if i == 0 { flag::BEGIN_FRAGMENT } else { 0 };
        let end = if i + 1 == count { flag::END_FRAGMENT } else { 0 };
        let mut fragment = frames.to_vec();
        // A writer of fragments ends each of them as a message ends.
        fragment.last_mut().unwrap()[5] |= (flag::FINAL >> 8) as u8;
        [frame(begin | end, &id.to_le_bytes()), fragment.concat()].concat()
    };
    frames.chunks(frames_of_each).enumerate().map(fragment).collect()
}

/// The first of a message, half as long as a message may be and a little more.
fn half(id: i64) -> Vec<u8> {
    let content = vec![0; limits::MAX_MESSAGE_BYTES / 2 + 1];
    [frame(flag::BEGIN_FRAGMENT, &id.to_le_bytes()), frame(flag::FINAL, &content)].concat()
}

#[test]
fn fragments_of_all_messages_together_are_bound_like_one() {
    let mut decoder = known();
    assert_eq!(read(&mut decoder, &half(1)), Ok(vec![]));
    assert!(matches!(read(&mut decoder, &half(2)), Err(FrameError::TooLong { .. })));
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_messages_wherever_it_is_cut(
        values in prop::collection::vec(".{0,40}", 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = written(&values);
        let whole = read(&mut known(), &stream).unwrap();
        prop_assert_eq!(whole.len(), values.len());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut decoder = known();
        let mut pieces = Vec::new();
        for cut in cuts.windows(2) {
            pieces.extend(read(&mut decoder, &stream[cut[0]..cut[1]]).unwrap());
        }
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn messages_in_fragments_are_put_together(a in ".{0,40}", b in ".{0,40}", of_each in 1..4usize, other in 1..4usize) {
        let (a, b) = (written(&[a]), written(&[b]));
        let (one, two) = (fragments(&a, 1, of_each), fragments(&b, 2, other));
        let mut decoder = known();
        let mut seen = Vec::new();
        for i in 0..one.len().max(two.len()) {
            for fragment in [one.get(i), two.get(i)].into_iter().flatten() {
                seen.extend(read(&mut decoder, fragment).unwrap());
            }
        }
        seen.sort_by_key(|message| *message.bytes() != a);
        let bytes: Vec<_> = seen.iter().map(|message| message.bytes().to_vec()).collect();
        prop_assert_eq!(bytes, [a, b]);
    }

    #[test]
    fn bytes_that_nobody_of_ours_wrote_are_read_or_refused(bytes: Vec<u8>, is_known: bool) {
        let mut decoder = if is_known { known() } else { Decoder::new() };
        for message in read(&mut decoder, &bytes).unwrap_or_default() {
            let _ = Request::take(&message);
        }
    }

    /// Lengths that fit, so that what is behind them is reached.
    #[test]
    fn frames_that_nobody_of_ours_wrote_are_read_or_refused(
        kind in prop_oneof![0u32..0x1700, 0x01_0000u32..0x01_4a00, 0x21_0000u32..0x21_0700, 0xfe_0000u32..0xfe_1600],
        head in prop::collection::vec(any::<u8>(), 0..60),
        frames in prop::collection::vec((0u16..8, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        // Begin, end and null in any order.
        let frames = frames.iter().map(|(flags, payload)| frame(flags << 10, payload));
        let head = [&(kind & !0xff).to_le_bytes(), &[0; 8][..], &head].concat();
        let bytes = [frame(flag::UNFRAGMENTED, &head)].into_iter().chain(frames).collect::<Vec<_>>().concat();
        let bytes = [bytes, frame(flag::FINAL, b"")].concat();
        for message in read(&mut known(), &bytes).unwrap_or_default() {
            let _ = Request::take(&message);
        }
    }
}

#[test]
fn no_password_is_in_a_log() {
    let secret = jet_protocol::fields::Secret(jet_protocol::fields::Text::from("geheim"));
    assert_eq!(format!("{secret:?}"), "Secret");
    let key = Value::String("geheim".into()).data();
    assert_eq!(format!("{key:?}"), "Data(type -11, 18 bytes)");
}
