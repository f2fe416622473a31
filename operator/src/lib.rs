//! jet-operator
