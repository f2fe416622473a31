//! jet-hotstore
