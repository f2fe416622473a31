//! One frame: `[length u32][crc32c u32][payload]`, little endian.
//!
//! Law: nothing is allocated before the length was held against the bound; nothing is decoded before the checksum
//! was. Must not know: what a payload means.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest payload.
pub const FRAME_LIMIT: usize = 16 << 20;
/// Longest payload before the peer has said who it is.
pub const HELLO_LIMIT: usize = 4 << 10;

/// Why a frame cannot be used. The connection ends with it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FrameError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("a frame of {length} bytes is longer than {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("a frame of {length} bytes does not match its checksum")]
    Checksum { length: usize },
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// Writes one frame; the caller flushes.
pub async fn write<W: AsyncWrite + Unpin>(to: &mut W, head: &[u8], body: &[u8]) -> Result<(), FrameError> {
    let length = head.len() + body.len();
    if length > FRAME_LIMIT {
        return Err(FrameError::TooLong { length, limit: FRAME_LIMIT });
    }
    let sum = crc32c::crc32c_append(crc32c::crc32c(head), body);
    let mut prefix = BytesMut::with_capacity(8 + head.len());
    prefix.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    prefix.extend_from_slice(&sum.to_le_bytes());
    prefix.extend_from_slice(head);
    to.write_all(&prefix).await?;
    to.write_all(body).await?;
    Ok(())
}

/// Reads one frame of at most `limit` bytes.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R, limit: usize) -> Result<Bytes, FrameError> {
    let mut prefix = [0u8; 8];
    match from.read_exact(&mut prefix).await {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(FrameError::Closed),
        other => other?,
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = prefix;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    let mut payload = BytesMut::zeroed(length);
    from.read_exact(&mut payload).await?;
    if crc32c::crc32c(&payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(FrameError::Checksum { length });
    }
    Ok(payload.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &payload[..1], &payload[1..]).await.unwrap();
        out
    }

    #[tokio::test]
    async fn a_frame_survives_and_every_flipped_bit_is_seen() {
        let payload = b"partition 7, version 3";
        let good = written(payload).await;
        assert_eq!(&read(&mut good.as_slice(), 100).await.unwrap()[..], payload);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&mut bad.as_slice(), 100).await.is_err(), "bit {bit}");
        }
    }

    #[tokio::test]
    async fn a_length_beyond_the_bound_is_refused_before_reading() {
        let huge = [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0];
        assert!(matches!(read(&mut huge.as_slice(), HELLO_LIMIT).await, Err(FrameError::TooLong { .. })));
    }
}
