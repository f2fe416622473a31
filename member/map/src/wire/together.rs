//! Several messages in one.
//!
//! The law: each is as it would be alone, and answered in the same order; what is put together is not put together again. What
//! is kept of one, a value that is stored, keeps nothing of the others in memory: each is read from bytes of its own.
//! Must not know: what becomes of one for the others.

use bytes::Bytes;
use prost::Message;

use super::{Request, Response};

/// Messages, each with bytes of its own.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TogetherWire {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    messages: Vec<Bytes>,
}

impl TogetherWire {
    /// Each with memory of its own: what came together would else lie in memory as long as the smallest value of it.
    pub(super) fn apart(self) -> impl Iterator<Item = Bytes> {
        self.messages.into_iter().map(|message| Bytes::copy_from_slice(&message))
    }
}

impl From<Vec<Request>> for TogetherWire {
    fn from(requests: Vec<Request>) -> Self {
        Self { messages: requests.into_iter().map(Request::encode).collect() }
    }
}

impl From<Vec<Response>> for TogetherWire {
    fn from(responses: Vec<Response>) -> Self {
        Self { messages: responses.into_iter().map(Response::encode).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Op, PartitionId, Refusal, Sequenced, TableVersion, Version};

    fn follow(partition: u16) -> Request {
        Request::Follow {
            partition: PartitionId(partition),
            changed: TableVersion(7),
            prev: Version { installed: TableVersion(3), seq: u64::from(partition) },
            changes: Vec::new(),
        }
    }

    #[test]
    fn what_is_together_comes_apart_in_the_same_order() {
        let requests = Request::Together((0..3).map(follow).collect());
        assert_eq!(Request::decode(requests.clone().encode()), Ok(requests));
        let at = |seq| Response::At(Version { installed: TableVersion(3), seq });
        let refused = Response::Refused(Refusal::NotNow { what: "t".into() });
        let responses = Response::Together(vec![at(1), refused, at(2)]);
        assert_eq!(Response::decode(responses.clone().encode()), Ok(responses));
    }

    #[test]
    fn what_is_kept_of_one_keeps_nothing_of_the_others() {
        let put = |partition, value: Vec<u8>| {
            let op = Op::Put { map: "m".into(), key: Bytes::from_static(b"k"), value: value.into() };
            let version = Version { installed: TableVersion(3), seq: 8 };
            let prev = Version { seq: 7, ..version };
            let changes = vec![Sequenced { prev, version, tick: 0, op }];
            Request::Follow { partition: PartitionId(partition), changed: TableVersion(7), prev, changes }
        };
        let frame = Request::Together(vec![put(0, vec![1; 3]), put(1, vec![2; 1 << 20])]).encode();
        let Ok(Request::Together(mut came)) = Request::decode(frame.clone()) else { panic!("it does not come apart") };
        came.truncate(1);
        let Some(Request::Follow { changes, .. }) = came.first() else { panic!("{came:?}") };
        assert_eq!(changes.len(), 1);
        assert!(frame.is_unique(), "a value of three bytes holds a frame of {}", frame.len());
    }

    #[test]
    fn what_is_together_is_not_put_together_again() {
        let mut deep = Request::Together(vec![follow(0)]);
        let mut said = Response::Together(Vec::new());
        for _ in 0..2 {
            deep = Request::Together(vec![deep]);
            said = Response::Together(vec![said]);
            assert!(matches!(Request::decode(deep.clone().encode()), Err(Refusal::Unreadable { .. })));
            assert!(matches!(Response::decode(said.clone().encode()), Err(Refusal::Unreadable { .. })));
        }
    }
}
