//! jet-cli
