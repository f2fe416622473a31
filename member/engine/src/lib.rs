//! jet-engine
