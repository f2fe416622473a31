//! What frames are made of: fixed fields, which share a frame, and framed ones, which have frames of their own.
//!
//! Law: what is put is taken back as it was; what is taken was checked. Must not know: which message a field is of.

mod lists;
mod text;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::data::Data;
use crate::frames::{Cursor, Malformed, Writer, flag};

pub use text::{Secret, Text};

/// A field that a later version of the protocol added: absent when the peer is older. That it is there does not say
/// that it is not null.
pub type Later<T> = Option<T>;

/// A field of known size.
pub trait Fixed: Sized {
    /// Its bytes.
    const SIZE: usize;
    /// Appends it.
    fn put(&self, out: &mut BytesMut);
    /// Of at least [`Self::SIZE`] bytes.
    fn take(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// A field of one or more frames.
pub trait Framed: Sized {
    /// Appends its frames.
    fn put(&self, to: &mut Writer<'_>);
    /// Of the next frames.
    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed>;
}

/// The first bytes of a field.
pub(crate) fn chunk<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.first_chunk().copied().ok_or(Malformed::Short { have: bytes.len(), need: N })
}

macro_rules! fixed_number {
    ($($number:ty, $put:ident;)*) => {$(
        impl Fixed for $number {
            const SIZE: usize = size_of::<$number>();

            fn put(&self, out: &mut BytesMut) {
                out.$put(*self);
            }

            fn take(bytes: &[u8]) -> Result<Self, Malformed> {
                chunk(bytes).map(Self::from_le_bytes)
            }
        }
    )*};
}

fixed_number! {
    i8, put_i8;
    i16, put_i16_le;
    i32, put_i32_le;
    i64, put_i64_le;
    f32, put_f32_le;
    f64, put_f64_le;
}

impl Fixed for bool {
    const SIZE: usize = 1;

    fn put(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }

    fn take(bytes: &[u8]) -> Result<Self, Malformed> {
        chunk(bytes).map(|[byte]| byte == 1)
    }
}

impl Fixed for Option<Uuid> {
    const SIZE: usize = 17;

    fn put(&self, out: &mut BytesMut) {
        let (most, least) = self.unwrap_or_default().as_u64_pair();
        out.put_u8(u8::from(self.is_none()));
        out.put_u64_le(most);
        out.put_u64_le(least);
    }

    fn take(bytes: &[u8]) -> Result<Self, Malformed> {
        let [null, pair @ ..] = chunk::<17>(bytes)?;
        let most = u64::from_le_bytes(chunk(&pair)?);
        let least = u64::from_le_bytes(chunk(&pair[8..])?);
        Ok((null != 1).then(|| Uuid::from_u64_pair(most, least)))
    }
}

impl Fixed for Uuid {
    const SIZE: usize = <Option<Uuid> as Fixed>::SIZE;

    fn put(&self, out: &mut BytesMut) {
        Fixed::put(&Some(*self), out);
    }

    fn take(bytes: &[u8]) -> Result<Self, Malformed> {
        <Option<Uuid> as Fixed>::take(bytes)?.ok_or(Malformed::Null)
    }
}

impl<A: Fixed, B: Fixed> Fixed for (A, B) {
    const SIZE: usize = A::SIZE + B::SIZE;

    fn put(&self, out: &mut BytesMut) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(bytes: &[u8]) -> Result<Self, Malformed> {
        Ok((A::take(bytes)?, B::take(bytes.get(A::SIZE..).unwrap_or_default())?))
    }
}

impl Framed for Bytes {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(0, self);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.value().map(|frame| from.slice(frame))
    }
}

impl Framed for Text {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(0, self.as_bytes());
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Text::try_from(Bytes::take(from)?).map_err(|_| Malformed::NotText)
    }
}

impl Framed for Data {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(0, self.as_bytes());
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let bytes = Bytes::take(from)?;
        let have = bytes.len();
        Data::try_from(bytes).map_err(|_| Malformed::Short { have, need: Data::HEADER })
    }
}

impl<T: Framed> Framed for Secret<T> {
    fn put(&self, to: &mut Writer<'_>) {
        self.0.put(to);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        T::take(from).map(Self)
    }
}

/// For what is large and rare.
impl<T: Framed> Framed for Box<T> {
    fn put(&self, to: &mut Writer<'_>) {
        (**self).put(to);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.charge(size_of::<T>())?;
        T::take(from).map(Self::new)
    }
}

impl<T: Framed> Framed for Option<T> {
    fn put(&self, to: &mut Writer<'_>) {
        match self {
            Some(value) => value.put(to),
            None => to.frame(flag::NULL, &[]),
        }
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match from.null()? {
            true => Ok(None),
            false => T::take(from).map(Some),
        }
    }
}
