//! A connection: what comes on it, in pieces, from somebody who is known or not; and answers, as a client reads them.
//!
//! The first byte of an input says whether the peer is known, the second how long the pieces are.
//! The law: a request that is read, written again, reads as the same. Must not know: what requests are for.

use bytes::BytesMut;
use jet_protocol::error::ErrorAnswer;
use jet_protocol::frames::{Decoder, Malformed, Message};
use jet_protocol::message::client::add_cluster_view_listener::{MembersView, PartitionsView};
use jet_protocol::message::{self, Body, DecodeError, Request, RequestError, client, map, sql};

use super::Seen;
use super::memory::bounded;

/// The law, on one input.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let [known, piece, stream @ ..] = input else { return seen };
    let mut decoder = Decoder::new();
    if known % 2 == 0 {
        decoder.authenticated();
    }
    for piece in stream.chunks(usize::from(*piece) + 1) {
        decoder.space().extend_from_slice(piece);
        while let Some(message) = next(&mut decoder, &mut seen) {
            request(&message, &mut seen);
            answers(&message, &mut seen);
        }
    }
    seen
}

fn next(decoder: &mut Decoder, seen: &mut Seen) -> Option<Message> {
    let next = decoder.next_message();
    if next.is_err() {
        seen.note(&next);
    }
    next.ok()?
}

fn request(message: &Message, seen: &mut Seen) {
    let read = bounded("a request", message.bytes().len(), || Request::take(message));
    seen.note(&read);
    let Ok(request) = read else { return };
    let mut decoder = Decoder::new();
    decoder.authenticated();
    request.put(message.correlation(), message.partition(), decoder.space()).expect("what came is not too long");
    let again = decoder.next_message().ok().flatten().expect("one message");
    let read = Request::take(&again);
    // What it is read from may have been longer, by frames that nobody knows, and so have paid for more.
    assert!(read.as_ref() == Ok(&request) || read.is_err_and(|e| is_amplified(&e)), "{request:?}");
    assert_eq!((again.correlation(), again.partition()), (message.correlation(), message.partition()));
}

fn is_amplified(error: &RequestError) -> bool {
    matches!(error, RequestError::Malformed(DecodeError::Field { why: Malformed::Amplified { .. }, .. }))
}

fn answers(message: &Message, seen: &mut Seen) {
    answer::<ErrorAnswer>(message, seen);
    answer::<client::authentication::Answer>(message, seen);
    answer::<MembersView>(message, seen);
    answer::<PartitionsView>(message, seen);
    answer::<map::get_entry_view::Answer>(message, seen);
    answer::<map::entry_set::Answer>(message, seen);
    answer::<sql::execute::Answer>(message, seen);
    answer::<sql::fetch::Answer>(message, seen);
}

fn answer<B: Body>(message: &Message, seen: &mut Seen) {
    if message.kind() == B::KIND {
        seen.note(&bounded(B::NAME, message.bytes().len(), || message::take::<B>(message)));
    }
}

/// An input of somebody known whose messages come in one piece.
pub fn input(stream: &BytesMut) -> Vec<u8> {
    [&[0, u8::MAX], &stream[..]].concat()
}
