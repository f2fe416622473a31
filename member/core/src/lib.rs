//! jet-core
