//! What `jet-cluster-admin` prints.
//!
//! Law: the lines of what succeeds are the original's to the letter, because scripts look for them; of what fails they say
//! what the member said. Must not know: sockets.

use jet_admin_api::operation::OperationStep;
use jet_admin_api::rest::client::NoAnswer;
use jet_admin_api::rest::reply::{Reply, UNAUTHENTICATED};

use super::end::{End, curl_code};
use super::options::{Operation, Options, STATES};

/// One line for each option that was left to its default.
pub fn defaults(options: &Options) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |given: bool, what: &str, default: &str| {
        if !given {
            lines.push(format!("No {what} specified, using '{default}'."));
        }
    };
    say(options.operation.is_some(), "operation", Operation::GetState.name());
    say(options.port.is_some(), "port", &options.port().to_string());
    say(options.clustername.is_some(), "cluster name", options.clustername());
    say(options.password.is_some(), "password", options.password());
    say(options.address.is_some(), "IP address", options.address());
    lines
}

/// What is said before anybody is called; the error is a line that names what may stand there.
pub fn announcement(operation: Operation, options: &Options) -> Result<Vec<String>, String> {
    let line = |line: String| Ok(vec![line]);
    match operation {
        Operation::GetState => Ok(Vec::new()),
        Operation::ChangeState => match options.state() {
            Some(state) => line(format!("Changing cluster state to {state}")),
            None => Err(format!("Not a valid cluster state, valid states are {}.", quoted(&STATES))),
        },
        Operation::Shutdown => line("Shutting down the cluster.".into()),
        Operation::ForceStart => Ok([
            "Force start is for a cluster that waits for members which will never come back.",
            "Expected situation: the members that are there wait, and no client is served.",
            "Expected outcome: what would be given up is told; only --consent with its digest does it: every store that is there \
             goes to quarantine, and the cluster starts empty.",
        ]
        .map(String::from)
        .into()),
        Operation::PartialStart => Ok([
            "Partial start is for a cluster that waits for members which will not come back soon.",
            "Expected situation: some members have loaded their data, others have not.",
            "Expected outcome: what would be missing is told, and only --consent with its digest ejects who is not back.",
        ]
        .map(String::from)
        .into()),
        Operation::GetClusterVersion => line("Getting cluster version.".into()),
        Operation::ChangeClusterVersion => match &options.version {
            Some(version) => line(format!("Changing cluster version to {version}.")),
            None => Err("Not a valid cluster version, give one with -v MAJOR.MINOR.".into()),
        },
    }
}

/// There is no such operation.
pub fn no_such_operation() -> String {
    format!("Not a valid operation, valid operations are {}.", quoted(&Operation::ALL.map(Operation::name)))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// The result line of an answer.
pub fn result(operation: Operation, options: &Options, reply: &Reply) -> (String, End) {
    if !reply.succeeded() {
        return failure(operation, reply);
    }
    let state = reply.state.as_deref().or(options.state()).unwrap_or_default();
    let version = reply.version.as_deref().unwrap_or_default();
    let line = match operation {
        Operation::GetState => format!("The cluster state is '{state}'."),
        Operation::ChangeState => format!("The cluster is now in the '{state}' state"),
        Operation::Shutdown => match &reply.message {
            // Under an operator: who carries it out, and how it is taken back.
            Some(message) => format!("{message}\nCluster shutdown completed."),
            None => "Cluster shutdown completed.".into(),
        },
        Operation::ForceStart => and_what(reply, "Cluster force-start completed."),
        Operation::PartialStart => and_what(reply, "Cluster partial-start completed."),
        Operation::GetClusterVersion => format!("Cluster is at version {version}."),
        Operation::ChangeClusterVersion => format!("Cluster version changed to {version}."),
    };
    (line, End::Done)
}

/// What was done, and how it goes on.
fn and_what(reply: &Reply, line: &str) -> String {
    reply.message.as_ref().map_or_else(|| line.into(), |message| format!("{message}\n{line}"))
}

/// What is waited for while a shutdown is not committed, and how far the member is that was asked.
pub fn under_way(reply: &Reply) -> Option<&str> {
    let open = reply.succeeded() && reply.step.is_some_and(|step| step < OperationStep::Committed);
    reply.message.as_deref().filter(|_| open)
}

/// The original prints every failed change of state as "already in the state"; we print that only where it is so.
fn failure(operation: Operation, reply: &Reply) -> (String, End) {
    match (operation, &reply.state, reply.message.as_deref()) {
        (Operation::ChangeState, Some(state), None) => {
            (format!("Cluster is already in the '{state}' state."), End::Done)
        }
        (_, _, Some(UNAUTHENTICATED)) => {
            ("The member does not take this cluster name and password; give its own with -c and -P (JET_CLUSTER_PASSWORD).".into(), End::NotPermitted)
        }
        (_, _, Some(message)) => (format!("Operation {} failed: {message}", operation.name()), End::Failed),
        (_, _, None) => (format!("Operation {} failed; the member's log says why.", operation.name()), End::Failed),
    }
}

/// The line where no answer came.
pub fn no_answer(why: &NoAnswer) -> String {
    match curl_code(why) {
        Some(7) => "Unable to connect to the host. Is the server running?".into(),
        Some(52 | 55 | 56) => {
            "Unable to send or receive data from the server. Is REST API enabled on the server?".into()
        }
        Some(code) => format!("Failed with exit code {code}: {why}"),
        None => format!("Invalid response: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn options(arguments: &str) -> Options {
        let mut all = vec!["jet-cluster-admin"];
        all.extend(arguments.split_whitespace());
        Options { password: None, ..Options::try_parse_from(all).unwrap() }
    }

    fn said(operation: Operation, reply: Reply) -> (String, End) {
        result(operation, &options("-s frozen"), &reply)
    }

    fn state(state: &str, reply: Reply) -> Reply {
        Reply { state: Some(state.into()), ..reply }
    }

    #[test]
    fn results_are_the_originals_to_the_letter() {
        let version = Reply { version: Some("1.0".into()), ..Reply::success() };
        for (operation, reply, line) in [
            (Operation::GetState, state("active", Reply::success()), "The cluster state is 'active'."),
            (Operation::ChangeState, state("frozen", Reply::success()), "The cluster is now in the 'frozen' state"),
            (Operation::ChangeState, state("frozen", Reply::fail()), "Cluster is already in the 'frozen' state."),
            (Operation::Shutdown, Reply::success(), "Cluster shutdown completed."),
            (Operation::ForceStart, Reply::success(), "Cluster force-start completed."),
            (Operation::PartialStart, Reply::success(), "Cluster partial-start completed."),
            (Operation::GetClusterVersion, version.clone(), "Cluster is at version 1.0."),
            (Operation::ChangeClusterVersion, version, "Cluster version changed to 1.0."),
        ] {
            assert_eq!(said(operation, reply), (line.into(), End::Done));
        }
    }

    /// Where we differ on purpose: the original prints both as "Cluster is already in the 'frozen' state."
    #[test]
    fn a_failed_change_is_not_printed_as_a_done_one() {
        let (line, end) = said(Operation::ChangeState, Reply::failed("member 2 is not back"));
        assert_eq!((line.as_str(), end), ("Operation change-state failed: member 2 is not back", End::Failed));
        let (line, end) = said(Operation::ChangeState, Reply::failed(UNAUTHENTICATED));
        assert_eq!(end, End::NotPermitted);
        assert!(line.contains("name and password"));
        assert_eq!(said(Operation::ForceStart, Reply::fail()).1, End::Failed);
    }

    #[test]
    fn announcements_and_defaults_are_the_originals() {
        let none = options("");
        assert_eq!(
            defaults(&none),
            [
                "No operation specified, using 'get-state'.",
                "No port specified, using '5701'.",
                "No cluster name specified, using 'jet'.",
                "No password specified, using 'jet-pass'.",
                "No IP address specified, using '127.0.0.1'.",
            ]
        );
        for (arguments, operation, lines) in [
            ("", Operation::GetState, vec![]),
            ("-s frozen", Operation::ChangeState, vec!["Changing cluster state to frozen"]),
            ("", Operation::Shutdown, vec!["Shutting down the cluster."]),
            ("", Operation::GetClusterVersion, vec!["Getting cluster version."]),
            ("-v 4.1", Operation::ChangeClusterVersion, vec!["Changing cluster version to 4.1."]),
        ] {
            assert_eq!(announcement(operation, &options(arguments)).unwrap(), lines, "{operation:?}");
        }
        for operation in [Operation::ForceStart, Operation::PartialStart] {
            assert_eq!(announcement(operation, &none).unwrap().len(), 3);
        }
    }

    #[test]
    fn what_is_invalid_is_answered_with_what_would_be_valid() {
        for bad in ["", "-s sleepy", "-s in_transition"] {
            let said = announcement(Operation::ChangeState, &options(bad)).unwrap_err();
            assert!(said.ends_with("'active', 'no_migration', 'frozen', 'passive'."), "{said}");
        }
        assert_eq!(options("-o stop").operation(), None);
        assert!(no_such_operation().contains("'partial-start'"));
        assert!(Options::try_parse_from(["jet-cluster-admin", "--unknown"]).is_err());
    }
}
