//! How a schema of Compact values is known by: its fingerprint.
//!
//! Law: the same for the same type name and fields, in whatever order they came and whichever client computed it.
//! Must not know: values.

use crate::structure::Schema;

/// Rabin's fingerprint of nothing; also its polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// The id of a schema.
pub fn fingerprint(schema: &Schema) -> i64 {
    let mut fields: Vec<_> = schema.fields.iter().collect();
    // As the clients sort: by the units of UTF-16.
    fields.sort_by(|a, b| a.name.encode_utf16().cmp(b.name.encode_utf16()));
    let mut print = text(EMPTY, &schema.type_name);
    print = number(print, fields.len() as i32);
    for field in fields {
        print = number(text(print, &field.name), field.kind);
    }
    print as i64
}

fn text(print: u64, text: &str) -> u64 {
    bytes(number(print, text.len() as i32), text.as_bytes())
}

fn number(print: u64, number: i32) -> u64 {
    bytes(print, &number.to_le_bytes())
}

fn bytes(print: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(print, |print, byte| {
        let mut low = (print ^ u64::from(*byte)) & 0xff;
        for _ in 0..8 {
            low = low >> 1 ^ if low & 1 == 1 { EMPTY } else { 0 };
        }
        print >> 8 ^ low
    })
}
