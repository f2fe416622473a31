//! jet-admin-api
