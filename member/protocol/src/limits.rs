//! Every bound of the room, by name.
//!
//! Law: at each of them there is a typed error, and it is met before memory is taken for what lies beyond.

/// Longest message of a client that has shown who it is: a `putAll` is cut into smaller ones by no client.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Frames of one message: two for each entry of the largest `putAll` of small entries.
pub const MAX_FRAMES: usize = 4 << 20;

/// Longest message of somebody unknown. An authentication with credentials and labels takes some hundred bytes.
pub const MAX_MESSAGE_BYTES_BEFORE_AUTHENTICATION: usize = 4 << 10;

/// Frames of one message of somebody unknown.
pub const MAX_FRAMES_BEFORE_AUTHENTICATION: usize = 256;

/// All that somebody unknown may send on one connection, refused attempts included.
pub const MAX_BYTES_BEFORE_AUTHENTICATION: usize = 16 << 10;

/// Messages that may lie half here in fragments, on one connection; together they are bound by [`MAX_MESSAGE_BYTES`].
pub const MAX_FRAGMENTED: usize = 8;

/// Room that is made for reading at the least.
pub const READ_CHUNK: usize = 16 << 10;

/// What the types of a message may take in memory, as a multiple of its bytes.
pub const MAX_AMPLIFICATION: usize = 4;

/// Longest message that is written.
pub const MAX_SENT_BYTES: usize = 512 << 20;
