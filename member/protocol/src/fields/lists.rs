//! Lists and maps: items in frames between a begin and an end, or items of known size packed into one frame.
//!
//! Law: a list is charged before it is made. Must not know: what is listed.

use uuid::Uuid;

use super::{Fixed, Framed};
use crate::frames::{Cursor, Malformed, Writer, flag};

impl<T: Framed> Framed for Vec<T> {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(flag::BEGIN, &[]);
        self.iter().for_each(|item| item.put(to));
        to.frame(flag::END, &[]);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.begin()?;
        let items = from.count()?;
        let mut list = from.room(items)?;
        for _ in 0..items {
            list.push(T::take(from)?);
        }
        from.end()?;
        Ok(list)
    }
}

/// A map, or a list of entries: key, value, key, value.
impl<K: Framed, V: Framed> Framed for Vec<(K, V)> {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(flag::BEGIN, &[]);
        for (key, value) in self {
            key.put(to);
            value.put(to);
        }
        to.frame(flag::END, &[]);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.begin()?;
        let items = from.count()?;
        if items % 2 != 0 {
            return Err(Malformed::Unpaired { keys: items.div_ceil(2), values: items / 2 });
        }
        let mut entries = from.room(items / 2)?;
        for _ in 0..items / 2 {
            entries.push((K::take(from)?, V::take(from)?));
        }
        from.end()?;
        Ok(entries)
    }
}

/// The values as a list of packed lists, and behind it all keys, packed.
impl Framed for Vec<(Uuid, Vec<i32>)> {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(flag::BEGIN, &[]);
        self.iter().for_each(|(_, numbers)| numbers.put(to));
        to.frame(flag::END, &[]);
        put_packed(self.iter().map(|(key, _)| key), to);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let lists = Vec::<Vec<i32>>::take(from)?;
        let keys = Vec::<Uuid>::take(from)?;
        if keys.len() != lists.len() {
            return Err(Malformed::Unpaired { keys: keys.len(), values: lists.len() });
        }
        let mut entries = from.room(keys.len())?;
        entries.extend(keys.into_iter().zip(lists));
        Ok(entries)
    }
}

macro_rules! packed {
    ($($item:ty),*) => {$(
        impl Framed for Vec<$item> {
            fn put(&self, to: &mut Writer<'_>) {
                put_packed(self.iter(), to);
            }

            fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
                take_packed(from)
            }
        }
    )*};
}

packed!(i32, i64, Uuid, (i32, i32), (i32, i64), (i32, Uuid));

fn put_packed<'a, T: Fixed + 'a>(items: impl Iterator<Item = &'a T>, to: &mut Writer<'_>) {
    to.open(0);
    items.for_each(|item| item.put(to.put()));
    to.close();
}

fn take_packed<T: Fixed>(from: &mut Cursor<'_>) -> Result<Vec<T>, Malformed> {
    let frame = from.value()?;
    let bytes = from.payload(frame);
    if !bytes.len().is_multiple_of(T::SIZE) {
        return Err(Malformed::Uneven { have: bytes.len(), item: T::SIZE });
    }
    let mut list = from.room(bytes.len() / T::SIZE)?;
    for item in bytes.chunks_exact(T::SIZE) {
        list.push(T::take(item)?);
    }
    Ok(list)
}
