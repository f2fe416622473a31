//! Between a client's bytes and those that are stored.
//!
//! Law: one stored form for each that clients send, and back to the same: all bytes as they came, except JSON, of which
//! the text is stored. Nothing that is stored keeps the memory of what was read with it. Must not know: maps.

use bytes::{BufMut, Bytes, BytesMut};
use jet_protocol::data::{Data, type_id};
use jet_protocol::error::ErrorCode;

use super::fault::Fault;

/// What a stored [`Data`] begins with: no partition hash of its own.
const NO_HASH: [u8; 4] = [0; 4];
/// Bytes of a length.
const LENGTH: usize = 4;

/// As it is stored.
pub fn stored(data: &Data) -> Result<Bytes, Fault> {
    looked_for(data).map(|bytes| Bytes::copy_from_slice(&bytes))
}

/// The same as a slice of what was read, for who only looks.
pub fn looked_for(data: &Data) -> Result<Bytes, Fault> {
    let bytes = data.as_bytes();
    if !bytes.starts_with(&NO_HASH) {
        return Err(Fault::new(
            ErrorCode::IllegalArgument,
            "a key or value that carries a partition hash of its own (PartitionAware, a partitioning strategy) is not \
             offered: use one without",
        ));
    }
    Ok(text(data).unwrap_or_else(|| bytes.clone()))
}

/// The text of JSON that is whole and could not be taken for a header.
fn text(data: &Data) -> Option<Bytes> {
    if data.type_id() != type_id::JSON {
        return None;
    }
    let content = data.content();
    let length = u32::from_be_bytes(*content.first_chunk()?);
    let text = content.slice(LENGTH..);
    let whole = usize::try_from(length).is_ok_and(|length| length == text.len());
    (whole && !text.is_empty() && !is_data(&text)).then_some(text)
}

/// Stored bytes are what a client sent, and not the text of JSON.
fn is_data(bytes: &[u8]) -> bool {
    bytes.len() >= Data::HEADER && bytes.starts_with(&NO_HASH)
}

/// As a client is given it.
pub fn told(bytes: Bytes) -> Data {
    if is_data(&bytes)
        && let Ok(data) = Data::try_from(bytes.clone())
    {
        return data;
    }
    let mut content = BytesMut::with_capacity(LENGTH + bytes.len());
    content.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    content.put_slice(&bytes);
    Data::new(type_id::JSON, &content)
}

#[cfg(test)]
mod tests {
    use jet_protocol::data::Value;
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Data {
        Value::Json(text.into()).data()
    }

    #[test]
    fn json_is_stored_as_its_text_and_everything_else_as_it_came() {
        assert_eq!(stored(&json(r#"{"a":1}"#)).unwrap(), r#"{"a":1}"#);
        for data in [Value::String("k".into()).data(), Value::Long(7).data(), json(""), json("\0\0\0\0\0\0\0\0\0")] {
            assert_eq!(stored(&data).unwrap(), *data.as_bytes());
        }
    }

    #[test]
    fn what_a_job_wrote_is_json_to_a_client() {
        assert_eq!(told(Bytes::from_static(b"7")), json("7"));
        assert_eq!(told(Bytes::from_static(b"")), json(""));
    }

    #[test]
    fn a_hash_of_ones_own_is_refused_by_what_it_is() {
        let mut bytes = Value::Integer(1).data().as_bytes().to_vec();
        bytes[3] = 9;
        let fault = stored(&Data::try_from(Bytes::from(bytes)).unwrap()).unwrap_err();
        assert!(fault.code == ErrorCode::IllegalArgument && fault.message.contains("partition hash"), "{fault:?}");
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back_as_it_was(type_id in -131..0, content: Vec<u8>, is_json: bool) {
            let data = Data::new(if is_json { type_id::JSON } else { type_id }, &content);
            prop_assert_eq!(told(stored(&data).unwrap()), data);
        }

        #[test]
        fn any_text_comes_back(text: String) {
            let data = json(&text);
            prop_assert_eq!(told(stored(&data).unwrap()), data);
        }
    }
}
