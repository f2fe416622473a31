//! The two YAML files of a member: `hazelcast-jet.yaml`, and behind a line of `===` `hazelcast.yaml`.
//!
//! The law: what is refused is refused by a sentence that is no longer than a person reads; what is taken lies within the
//! bounds of the settings. Must not know: who starts the member.

use std::path::Path;

use clap::Parser;

use crate::Seen;
use crate::config::documents::Document;
use crate::config::settings::{BACKUPS_MOST, PARTITIONS_MOST, WORKERS_MOST};
use crate::config::{Founding, Launch, Settings};

/// Between the two.
const BETWEEN: &str = "\n===\n";
/// A sentence, and what it quotes.
const LONGEST: usize = 2_000;

/// The law, on one input.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let Ok(text) = std::str::from_utf8(input) else { return seen };
    let (jet, hazelcast) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let launch = Launch::try_parse_from(["jet-member", "--ordinal", "0", "--founding", "configuration"]);
    let launch = launch.expect("as a member is started");
    let settings = read(jet, hazelcast).and_then(|document| Settings::decide(&launch, &document));
    seen.note(&settings);
    match settings {
        Err(refused) => {
            let told = refused.to_string();
            assert!(!told.is_empty() && told.len() <= LONGEST + input.len(), "{} bytes: {told}", told.len());
        }
        Ok(settings) => {
            assert!((1..=usize::from(WORKERS_MOST)).contains(&settings.workers));
            if let Founding::Configuration { members, partition_count, backup_count } = settings.founding {
                assert!(members >= 1 && (1..=PARTITIONS_MOST).contains(&partition_count));
                assert!(backup_count <= BACKUPS_MOST);
            }
            assert!(settings.clients.is_none_or(|clients| clients.port > 0));
        }
    }
    seen
}

fn read(jet: &str, hazelcast: &str) -> Result<Document, crate::config::ConfigError> {
    let mut document = Document::default();
    for (name, text) in [("hazelcast-jet.yaml", jet), ("hazelcast.yaml", hazelcast)] {
        if !text.trim().is_empty() {
            document.add(Path::new(name), text)?;
        }
    }
    Ok(document)
}
