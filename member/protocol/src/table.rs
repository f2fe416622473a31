//! How a line of a table becomes a type with its bytes.
//!
//! A record is `[fixed fields] (framed fields)`, each in the protocol's order, and behind a `+` those that later
//! versions added. `messages!` makes of each line a module with `Request`, `Answer` and its events, and of all lines an
//! enum to tell requests apart; `structures!` makes what travels inside messages.
//! Law: fixed fields lie in the first frame of a message, or in the frame behind the begin of a structure; framed ones
//! follow. Must not know: any line.

use bytes::BytesMut;

use crate::fields::{Fixed, Framed, Later};
use crate::frames::{Cursor, Malformed, Writer, flag};

/// Fields that stand together.
pub trait Record: Sized {
    /// Bytes of the fixed fields that were there from the start.
    const FIXED: usize;
    /// Appends the fixed fields.
    fn put_fixed(&self, out: &mut BytesMut);
    /// Appends the framed fields.
    fn put_framed(&self, to: &mut Writer<'_>);
    /// Reads all fields.
    fn take(from: &mut Fields<'_, '_>) -> Result<Self, Misfit>;
}

/// The field that cannot be read.
pub struct Misfit {
    pub field: &'static str,
    pub why: Malformed,
}

/// Fields that are read one after the other.
pub struct Fields<'c, 'm> {
    cursor: &'c mut Cursor<'m>,
    fixed: &'m [u8],
    structure: bool,
}

impl<'c, 'm> Fields<'c, 'm> {
    pub fn of_message(cursor: &'c mut Cursor<'m>, fixed: &'m [u8]) -> Self {
        Self { cursor, fixed, structure: false }
    }

    pub fn fixed<T: Fixed>(&mut self, field: &'static str) -> Result<T, Misfit> {
        let value = T::take(self.fixed).map_err(|why| Misfit { field, why })?;
        self.fixed = self.fixed.get(T::SIZE..).unwrap_or_default();
        Ok(value)
    }

    pub fn framed<T: Framed>(&mut self, field: &'static str) -> Result<T, Misfit> {
        T::take(self.cursor).map_err(|why| Misfit { field, why })
    }

    pub fn later_fixed<T: Fixed>(&mut self, field: &'static str) -> Result<Later<T>, Misfit> {
        if self.fixed.len() < T::SIZE {
            self.fixed = &[];
            return Ok(None);
        }
        self.fixed(field).map(Some)
    }

    pub fn later_framed<T: Framed>(&mut self, field: &'static str) -> Result<Later<T>, Misfit> {
        let over = if self.structure { self.cursor.at_end() } else { Ok(self.cursor.is_done()) };
        match over.map_err(|why| Misfit { field, why })? {
            true => Ok(None),
            false => self.framed(field).map(Some),
        }
    }
}

/// Writes fields of later versions: the first that is absent ends them, since nobody could tell what follows.
pub struct LaterFields {
    open: bool,
}

impl LaterFields {
    pub fn begin() -> Self {
        Self { open: true }
    }

    pub fn fixed<T: Fixed>(&mut self, field: &Later<T>, out: &mut BytesMut) {
        match field {
            Some(value) if self.open => value.put(out),
            _ => self.open = false,
        }
    }

    pub fn framed<T: Framed>(&mut self, field: &Later<T>, to: &mut Writer<'_>) {
        match field {
            Some(value) if self.open => value.put(to),
            _ => self.open = false,
        }
    }
}

pub fn put_structure<R: Record>(record: &R, to: &mut Writer<'_>) {
    to.frame(flag::BEGIN, &[]);
    if R::FIXED > 0 {
        to.open(0);
        record.put_fixed(to.put());
        to.close();
    }
    record.put_framed(to);
    to.frame(flag::END, &[]);
}

pub fn take_structure<R: Record>(from: &mut Cursor<'_>) -> Result<R, Malformed> {
    from.begin()?;
    let fixed = match R::FIXED {
        0 => &[],
        _ => {
            let frame = from.value()?;
            from.payload(frame)
        }
    };
    let record = R::take(&mut Fields { cursor: from, fixed, structure: true }).map_err(|misfit| misfit.why)?;
    from.end()?;
    Ok(record)
}

macro_rules! record {
    ($(#[$doc:meta])* $name:ident (
        [$($fixed:ident: $fixed_type:ty),*] ($($framed:ident: $framed_type:ty),*)
        $(+ [$($later_fixed:ident: $later_fixed_type:ty),*] ($($later:ident: $later_type:ty),*))?
    )) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        // The line of the table says it by the name of the field.
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $fixed: $fixed_type,)*
            $(pub $framed: $framed_type,)*
            $($(pub $later_fixed: $crate::fields::Later<$later_fixed_type>,)*
            $(pub $later: $crate::fields::Later<$later_type>,)*)?
        }

        // A line without fields of a sort does not look at what would hold them.
        #[allow(unused_variables, unused_mut)]
        impl $crate::table::Record for $name {
            const FIXED: usize = 0 $(+ <$fixed_type as $crate::fields::Fixed>::SIZE)*;

            fn put_fixed(&self, out: &mut bytes::BytesMut) {
                $($crate::fields::Fixed::put(&self.$fixed, out);)*
                $(let mut later = $crate::table::LaterFields::begin();
                $(later.fixed(&self.$later_fixed, out);)*)?
            }

            fn put_framed(&self, to: &mut $crate::frames::Writer<'_>) {
                $($crate::fields::Framed::put(&self.$framed, to);)*
                $(let mut later = $crate::table::LaterFields::begin();
                $(later.framed(&self.$later, to);)*)?
            }

            fn take(from: &mut $crate::table::Fields<'_, '_>) -> Result<Self, $crate::table::Misfit> {
                Ok(Self {
                    $($fixed: from.fixed(stringify!($fixed))?,)*
                    $($framed: from.framed(stringify!($framed))?,)*
                    $($($later_fixed: from.later_fixed(stringify!($later_fixed))?,)*
                    $($later: from.later_framed(stringify!($later))?,)*)?
                })
            }
        }

        #[cfg(test)]
        #[allow(unused_variables, unused_mut)]
        impl $crate::oracle::sample::Sample for $name {
            fn sample(source: &mut $crate::oracle::sample::Source) -> Self {
                let of = stringify!($name);
                Self {
                    $($fixed: source.field(of, stringify!($fixed)),)*
                    $($framed: source.field(of, stringify!($framed)),)*
                    $($($later_fixed: source.later(of, stringify!($later_fixed)),)*
                    $($later: source.later(of, stringify!($later)),)*)?
                }
            }
        }
    };
}

macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident $fields:tt;)*) => {$(
        record! { $(#[$doc])* $name $fields }

        impl $crate::fields::Framed for $name {
            fn put(&self, to: &mut $crate::frames::Writer<'_>) {
                $crate::table::put_structure(self, to);
            }

            fn take(from: &mut $crate::frames::Cursor<'_>) -> Result<Self, $crate::frames::Malformed> {
                $crate::table::take_structure(from)
            }
        }
    )*};
}

macro_rules! messages {
    ($service:literal: $(
        $(#[$doc:meta])* $variant:ident $room:ident = $kind:literal: $ask:tt => $answer:tt
        $(, $event:ident = $event_kind:literal: $told:tt)*;
    )*) => {
        $($(#[$doc])*
        pub mod $room {
            // Of most lines the types are those of the table's head.
            #[allow(unused_imports)]
            use super::*;

            const NAME: &str = concat!($service, ".", stringify!($room));

            record! {
                /// What is asked.
                Request $ask
            }

            impl $crate::message::Body for Request {
                const KIND: u32 = $kind;
                const FORM: $crate::message::Form = $crate::message::Form::Request;
                const NAME: &'static str = NAME;
            }

            impl $crate::message::Ask for Request {
                type Answer = Answer;
            }

            record! {
                /// What is answered.
                Answer $answer
            }

            impl $crate::message::Body for Answer {
                const KIND: u32 = $kind | 1;
                const FORM: $crate::message::Form = $crate::message::Form::Answer;
                const NAME: &'static str = NAME;
            }

            impl $crate::message::Answer for Answer {}

            $(record! {
                /// What is told.
                $event $told
            }

            impl $crate::message::Body for $event {
                const KIND: u32 = $event_kind;
                const FORM: $crate::message::Form = $crate::message::Form::Event;
                const NAME: &'static str = NAME;
            }

            impl $crate::message::Event for $event {})*
        })*

        /// A request of this service.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $($(#[$doc])* $variant($room::Request),)*
        }

        impl Request {
            /// The request that a message is; none if no line has its kind.
            pub(super) fn take(
                message: &$crate::frames::Message,
            ) -> Result<Option<Self>, $crate::message::DecodeError> {
                Ok(Some(match message.kind() {
                    $($kind => Self::$variant($crate::message::take(message)?),)*
                    _ => return Ok(None),
                }))
            }

            /// Appends the request.
            pub(super) fn put(
                &self,
                correlation: i64,
                partition: i32,
                out: &mut bytes::BytesMut,
            ) -> Result<(), $crate::frames::TooLong> {
                match self {
                    $(Self::$variant(request) => $crate::message::put(request, correlation, partition, out),)*
                }
            }

            /// What the request is called.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$room::Request as $crate::message::Body>::NAME,)*
                }
            }
        }

        #[cfg(test)]
        pub(crate) const LINES: &[$crate::oracle::Line] = &[$(
            $crate::oracle::Line::of::<$room::Request>(),
            $crate::oracle::Line::of::<$room::Answer>(),
            $($crate::oracle::Line::of::<$room::$event>(),)*
        )*];
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Decoder, Head};
    use crate::message::client::add_cluster_view_listener::ClusterVersion;
    use crate::message::{self, Body, DecodeError, Form};
    use crate::structure::Version;

    /// A cluster version of 5.7, its frames as given.
    fn told(frames: impl FnOnce(&mut Writer<'_>)) -> Result<ClusterVersion, DecodeError> {
        let mut decoder = Decoder::new();
        let head = Head { form: Form::Event, kind: ClusterVersion::KIND, correlation: 0, partition: -1 };
        let mut writer = Writer::begin(decoder.space(), head);
        writer.close();
        frames(&mut writer);
        writer.finish("test").unwrap();
        message::take(&decoder.next_message().unwrap().unwrap())
    }

    #[test]
    fn what_a_newer_peer_puts_into_a_structure_is_passed_over() {
        let newer = told(|to| {
            to.frame(flag::BEGIN, b"newer");
            to.frame(0, &[5, 7, 0, 1]);
            to.frame(flag::NULL, &[]);
            to.frame(flag::BEGIN, &[]);
            to.frame(flag::BEGIN, &[]);
            to.frame(flag::END, &[]);
            to.frame(0, b"newer");
            to.frame(flag::END, &[]);
            to.frame(flag::END, &[]);
        });
        assert_eq!(newer, Ok(ClusterVersion { version: Version { major: 5, minor: 7 } }));
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        let refused = |frames: fn(&mut Writer<'_>)| match told(frames) {
            Err(DecodeError::Field { message: "client.add_cluster_view_listener", field: "version", why }) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(|_| ()), Malformed::Ended);
        assert_eq!(refused(|to| to.frame(flag::NULL, &[])), Malformed::Null);
        assert_eq!(refused(|to| to.frame(0, &[5, 7])), Malformed::NoBegin);
        assert_eq!(refused(|to| to.frame(flag::BEGIN, &[])), Malformed::Ended);
        let short = |to: &mut Writer<'_>| {
            to.frame(flag::BEGIN, &[]);
            to.frame(0, &[5]);
            to.frame(flag::END, &[]);
        };
        assert_eq!(refused(short), Malformed::Short { have: 0, need: 1 });
        let open = |to: &mut Writer<'_>| {
            to.frame(flag::BEGIN, &[]);
            to.frame(0, &[5, 7]);
        };
        assert_eq!(refused(open), Malformed::Ended);
    }
}
