//! What others say of each line of the table: the golden files of the protocol's authors.
//!
//! A golden file holds each message of one version of the protocol, filled with the same values for each type
//! ([`sample`]); a second one has null wherever null may stand.
//! Law: every line is in them, reads as those values, and is written as those bytes; of older versions, what was not
//! there yet is absent, and the bytes come out as they were. What they cannot show, since they fill all fields of a type
//! alike: two of one type that stand in each other's place. Real clients show that. Must not know: a single line.

mod golden;
pub(crate) mod sample;

use bytes::BytesMut;

use crate::frames::{Decoder, Message};
use crate::message::{self, Body, DecodeError, NO_PARTITION, cache, client, jet, map, sql};
use crate::sql_page::ColumnType;
use golden::{VERSIONS, golden};
use sample::{Sample, Source};

/// What can be asked of one form of a line.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub name: &'static str,
    pub kind: u32,
    /// Read and written again.
    again: fn(&Message) -> Result<BytesMut, DecodeError>,
    /// Values, written.
    written: fn(&mut Source) -> BytesMut,
    /// Whether it reads as these values.
    reads_as: fn(&Message, &mut Source) -> bool,
}

impl Line {
    pub const fn of<B: Body + Sample + PartialEq>() -> Self {
        Self {
            name: B::NAME,
            kind: B::KIND,
            again: |message| {
                let body: B = message::take(message)?;
                let mut out = BytesMut::new();
                message::put(&body, message.correlation(), NO_PARTITION, &mut out).unwrap();
                Ok(out)
            },
            written: |source| {
                let mut out = BytesMut::new();
                message::put(&B::sample(source), 0, NO_PARTITION, &mut out).unwrap();
                out
            },
            reads_as: |message, source| message::take::<B>(message).is_ok_and(|body| body == B::sample(source)),
        }
    }
}

fn lines() -> impl Iterator<Item = &'static Line> {
    [client::LINES, map::LINES, cache::LINES, sql::LINES, jet::LINES].into_iter().flatten()
}

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut decoder = Decoder::new();
    decoder.authenticated();
    decoder.space().extend_from_slice(bytes);
    let messages = std::iter::from_fn(|| decoder.next_message().unwrap()).collect();
    assert!(decoder.space().is_empty(), "bytes are left that are no message");
    messages
}

#[test]
fn every_line_is_written_and_read_as_the_newest_golden_files_have_it() {
    let newest = VERSIONS[VERSIONS.len() - 1];
    for nulls in [false, true] {
        let golden = messages(&golden(newest, nulls));
        for line in lines() {
            let Line { name, kind, .. } = *line;
            let message = golden.iter().find(|message| message.kind() == kind);
            let message = message.unwrap_or_else(|| panic!("{name} {kind:#08x} is in no golden file of {newest}"));
            assert_eq!(
                (line.written)(&mut Source::reference(nulls)),
                message.bytes(),
                "{name}, nulls {nulls}: written"
            );
            assert!((line.reads_as)(message, &mut Source::reference(nulls)), "{name}, nulls {nulls}: read");
        }
    }
}

#[test]
fn messages_of_every_version_read_and_write_to_the_byte() {
    for version in VERSIONS {
        for nulls in [false, true] {
            let mut seen = 0;
            for message in messages(&golden(version, nulls)) {
                let Some(line) = lines().find(|line| line.kind == message.kind()) else { continue };
                let again = (line.again)(&message).unwrap_or_else(|e| panic!("{version}, nulls {nulls}: {e}"));
                assert_eq!(again, message.bytes(), "{version}, nulls {nulls}: {}", line.name);
                seen += 1;
            }
            assert!(seen > lines().count() / 2, "{version} has only {seen} messages of ours");
        }
    }
}

#[test]
fn no_two_lines_have_one_kind() {
    let mut kinds: Vec<u32> = lines().map(|line| line.kind).collect();
    kinds.sort_unstable();
    assert!(kinds.windows(2).all(|pair| pair[0] < pair[1]), "{kinds:x?}");
}

proptest::proptest! {
    #[test]
    fn what_is_written_of_any_values_reads_as_them(seed: u64) {
        for line in lines() {
            let written = (line.written)(&mut Source::random(seed));
            let [message] = &messages(&written)[..] else { panic!("{}: not one message", line.name) };
            assert!((line.reads_as)(message, &mut Source::random(seed)), "{}: seed {seed}", line.name);
        }
    }

    #[test]
    fn what_a_newer_peer_appends_is_passed_over(seed: u64) {
        for line in lines() {
            let written = (line.written)(&mut Source::random_newest(seed));
            let newer = sample::appended(&written);
            let [message] = &messages(&newer)[..] else { panic!("{}: not one message", line.name) };
            assert!((line.again)(message).is_ok(), "{}: seed {seed}: {:?}", line.name, (line.again)(message));
        }
    }

    #[test]
    fn a_byte_that_is_wrong_is_refused_or_read_as_something_else(seed: u64, at: proptest::sample::Index, to: u8) {
        for line in lines() {
            let mut written = (line.written)(&mut Source::random(seed));
            let at = at.index(written.len());
            written[at] = to;
            let mut decoder = Decoder::new();
            decoder.authenticated();
            decoder.space().extend_from_slice(&written);
            while let Ok(Some(message)) = decoder.next_message() {
                let _ = (line.again)(&message);
                let _ = message::Request::take(&message);
            }
        }
    }
}

#[test]
fn types_of_columns_are_known_by_their_numbers() {
    for column_type in ColumnType::ALL {
        assert_eq!(ColumnType::try_from(*column_type as i32), Ok(*column_type));
    }
    assert!(ColumnType::try_from(16).is_err());
}
