//! What the client protocol is told: its port, and who is let in.
//!
//! Law: it is on unless it is switched off; it shares its port with the REST; credentials lie in a file and nowhere else.
//! Must not know: what a client may ask.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::documents::Document;
use super::launch::Launch;

/// Port when nothing else is said.
pub const PORT: u16 = 5701;

const ENABLED: &str = "hazelcast.network.client-protocol.enabled";
const PORT_KEY: &str = "hazelcast.network.port.port";
const GONE_KEY: &str = "hazelcast.network.client-protocol.locks-kept-seconds";
/// Seconds: a client that was cut off has come back by then. The original waits for nobody.
const GONE_AFTER: u64 = 5;

/// The client protocol, switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Where it is served.
    pub port: u16,
    /// File with names and passwords; without it the cluster's name lets in.
    pub credentials: Option<PathBuf>,
    /// A client of which no member has a connection for so long is gone, and what it has locked is free.
    pub gone_after: Duration,
}

impl Clients {
    /// `None`: it is off.
    pub fn decide(launch: &Launch, document: &Document) -> Result<Option<Self>, ConfigError> {
        let port = port(launch, document)?;
        if !document.parsed::<bool>(ENABLED, "it is true or false")?.unwrap_or(true) {
            return Ok(None);
        }
        let credentials = launch.client_credentials_file.clone().filter(|path| !path.as_os_str().is_empty());
        Ok(Some(Self { port, credentials, gone_after: gone_after(document)? }))
    }
}

fn gone_after(document: &Document) -> Result<Duration, ConfigError> {
    let wanted = "it must be a number of seconds from 1 to 86400";
    let seconds = document.parsed::<u64>(GONE_KEY, wanted)?.unwrap_or(GONE_AFTER);
    match (1..=86_400).contains(&seconds) {
        true => Ok(Duration::from_secs(seconds)),
        false => Err(document.wrong(GONE_KEY, &format!("'{seconds}'"), wanted)),
    }
}

/// The port that clients and the REST share.
pub fn port(launch: &Launch, document: &Document) -> Result<u16, ConfigError> {
    let wanted = "it must be a port number from 1 to 65535";
    let told = document.parsed::<u16>(PORT_KEY, wanted)?;
    if told == Some(0) {
        return Err(document.wrong(PORT_KEY, "'0'", wanted));
    }
    Ok(launch.client_port.or(told).unwrap_or(PORT))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    fn decide(network: &str, more: &[&str]) -> Result<Option<Clients>, ConfigError> {
        let arguments = ["jet-member", "--ordinal", "0"].into_iter().chain(more.iter().copied());
        let mut document = Document::default();
        document.add(Path::new("hazelcast.yaml"), &format!("hazelcast: {{network: {{{network}}}}}\n"))?;
        Clients::decide(&Launch::parse_from(arguments), &document)
    }

    #[test]
    fn clients_are_served_until_that_is_switched_off() {
        assert_eq!(
            decide("", &[]),
            Ok(Some(Clients { port: PORT, credentials: None, gone_after: Duration::from_secs(5) }))
        );
        assert_eq!(decide("client-protocol: {enabled: false}", &[]), Ok(None));
        let said = decide("client-protocol: {enabled: perhaps}", &[]).unwrap_err().to_string();
        assert!(said.contains(ENABLED), "{said}");
    }

    #[test]
    fn port_and_credentials_are_those_of_the_launch() {
        let told = ["--client-port", "5799", "--client-credentials-file", "/run/secrets/clients"];
        let clients = decide("port: 5711", &told).unwrap().unwrap();
        assert_eq!(clients.credentials.as_deref(), Some(Path::new("/run/secrets/clients")));
        assert_eq!((clients.port, decide("port: 5711", &[]).unwrap().unwrap().port), (5799, 5711));
        assert!(decide("port: 0", &[]).is_err());
    }

    #[test]
    fn a_client_is_gone_after_as_many_seconds_as_are_told() {
        let seconds = |told: &str| decide(&format!("client-protocol: {{locks-kept-seconds: {told}}}"), &[]);
        assert_eq!(seconds("3").unwrap().unwrap().gone_after, Duration::from_secs(3));
        assert!(seconds("0").unwrap_err().to_string().contains("from 1 to 86400"));
    }
}
