//! What members say to each other about partitions: a stream of frames, and in each a request or an answer.
//!
//! The first byte of an input says whether frames are made around it, so that what lies behind a checksum is reached.
//! The law: a frame is no longer than it may be; what is read of it, written again, reads as the same. Must not know: who
//! leads what.

use bytes::Bytes;
use jet_map::wire::{Request, Response};

use crate::Seen;
use crate::frame::{self, FRAME_LIMIT, HELLO_LIMIT};

/// The law, on one input.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let [framed, body @ ..] = input else { return seen };
    if framed % 2 == 0 {
        message(Bytes::copy_from_slice(body), &mut seen);
        return seen;
    }
    for limit in [HELLO_LIMIT, FRAME_LIMIT] {
        let mut from = body;
        while let Ok(payload) = futures::executor::block_on(frame::read(&mut from, limit)) {
            assert!(payload.len() <= limit);
            let mut written = Vec::new();
            futures::executor::block_on(frame::write(&mut written, &[], &payload)).expect("within the bound");
            let again = futures::executor::block_on(frame::read(&mut &written[..], limit)).expect("what was written");
            assert_eq!(again, payload);
            message(payload, &mut seen);
        }
    }
    seen
}

fn message(bytes: Bytes, seen: &mut Seen) {
    let request = Request::decode(bytes.clone());
    seen.note(&request);
    if let Ok(request) = request {
        assert_eq!(Request::decode(request.clone().encode()), Ok(request));
    }
    let response = Response::decode(bytes);
    seen.note(&response);
    if let Ok(response) = response {
        assert_eq!(Response::decode(response.clone().encode()), Ok(response));
    }
}

/// A message as an input.
pub fn input(message: &[u8]) -> Vec<u8> {
    [&[0], message].concat()
}
