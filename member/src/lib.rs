//! jet-member
