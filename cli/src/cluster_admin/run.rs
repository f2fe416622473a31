//! Asking a member, and staying until it is so.
//!
//! Law: what was asked for is asked once; waiting only looks. Every wait is bounded. Must not know: exit codes.

use std::io::Write;
use std::time::Duration;

use jet_admin_api::operation::OperationStep;
use jet_admin_api::rest::Endpoint;
use jet_admin_api::rest::client::{NoAnswer, RestClient};
use jet_admin_api::rest::reply::Reply;
use tokio::time::Instant;

use super::end::End;
use super::options::{Operation, Options, PEM_FILES};
use super::words;

/// Time for one call; a member keeps the question how a shutdown ends for twenty seconds.
const CALL: Duration = Duration::from_secs(30);
/// Longest that `--wait` stays, as long as the original gives a shutdown.
const WAIT: Duration = Duration::from_secs(900);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Does what the options say, and prints it.
pub async fn run(options: &Options, out: &mut impl Write) -> End {
    // Nobody may be there to read any more; what was asked for is done all the same.
    let mut print = |line: &str| {
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    let material = match options.material() {
        Ok(material) => material,
        Err(why) => {
            print(&why);
            return End::Usage;
        }
    };
    words::defaults(options).iter().for_each(|line| print(line));
    let Some(operation) = options.operation() else {
        print(&words::no_such_operation());
        return End::Invalid;
    };
    match words::announcement(operation, options) {
        Ok(lines) => lines.iter().for_each(|line| print(line)),
        Err(line) => {
            print(&line);
            return End::Invalid;
        }
    }
    let address = at(options.address(), options.port());
    print(&format!("Connecting to {}:{}", options.address(), options.port()));
    let client = RestClient::new(address, CALL);
    let client = match material.map_or(Ok(client.clone()), |material| client.with_tls(&material)) {
        Ok(client) => client,
        Err(why) => {
            print(&format!("{why}; {PEM_FILES}"));
            return End::Usage;
        }
    };
    let (line, end) = Caller { options, client }.do_it(operation).await;
    print(&line);
    end
}

fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

struct Caller<'a> {
    options: &'a Options,
    client: RestClient,
}

impl Caller<'_> {
    async fn do_it(&self, operation: Operation) -> (String, End) {
        let third = match operation {
            Operation::ChangeState => self.options.state(),
            Operation::ChangeClusterVersion => self.options.version.as_deref(),
            Operation::PartialStart | Operation::ForceStart => self.options.consent.as_deref(),
            _ => None,
        };
        let endpoint = match (operation, third) {
            (Operation::PartialStart, Some(_)) => Endpoint::PartialStartConsent,
            (Operation::ForceStart, Some(_)) => Endpoint::ForceStartConsent,
            _ => operation.endpoint(),
        };
        let reply = match self.ask(endpoint, third).await {
            Ok(reply) => reply,
            Err(why) => return (words::no_answer(&why), End::NoAnswer(why)),
        };
        let (line, end) = words::result(operation, self.options, &reply);
        if !self.options.wait || !reply.succeeded() {
            return (line, end);
        }
        let came = match (operation, third) {
            (Operation::Shutdown, _) => self.shut_down().await,
            (Operation::ChangeState, Some(state)) => self.in_state(state).await,
            _ => Ok(()),
        };
        match came {
            Ok(()) => (line, end),
            Err(why) => (format!("Operation {} was accepted, but {why}", operation.name()), End::Failed),
        }
    }

    async fn ask(&self, endpoint: Endpoint, third: Option<&str>) -> Result<Reply, NoAnswer> {
        let Some(route) = endpoint.route() else { return Ok(Reply::fail()) };
        let all = [self.options.clustername(), self.options.password(), third.unwrap_or_default()];
        let answer = self.client.ask(route, all.get(..route.parts).unwrap_or_default()).await;
        if self.options.debug {
            eprintln!("{:?} {} at {}: {answer:?}", route.verb, route.path, self.client.address());
        }
        answer
    }

    /// Committed, and the member that was asked is gone.
    async fn shut_down(&self) -> Result<(), String> {
        let until = Instant::now() + WAIT;
        let mut told = String::new();
        loop {
            let answer = self.ask(Endpoint::Operation, None).await;
            // Not among the lines that scripts look for.
            if let Some(news) = answer.as_ref().ok().and_then(words::under_way).filter(|news| *news != told) {
                eprintln!("{news}");
                told = news.to_owned();
            }
            match answer {
                Ok(Reply { step: Some(OperationStep::Aborted), message, .. }) => {
                    return Err(format!("the cluster is as before: {}", message.unwrap_or_default()));
                }
                Ok(Reply { step: Some(step), .. }) if step >= OperationStep::Committed => break,
                Ok(Reply { message, .. }) if Instant::now() > until => {
                    return Err(format!("it is not done after {WAIT:?}: {}", message.unwrap_or_default()));
                }
                Ok(Reply { step: Some(_), .. }) | Err(NoAnswer::Late { .. }) if Instant::now() <= until => {}
                // Under an operator there is no operation before that one has looked.
                Ok(reply) if !reply.succeeded() => {
                    return Err(format!("the cluster goes on: {}", reply.message.unwrap_or_default()));
                }
                Ok(Reply { step: None, message: Some(_), .. }) if Instant::now() <= until => {}
                Ok(strange) => return Err(format!("what became of it is not told: {strange:?}")),
                Err(why) => return Err(format!("whether it was committed is not known: {why}")),
            }
        }
        while self.client.listens().await {
            if Instant::now() > until {
                return Err(format!("{} is still there after {WAIT:?}", self.client.address()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn in_state(&self, state: &str) -> Result<(), String> {
        let until = Instant::now() + WAIT;
        loop {
            let last = match self.ask(Endpoint::State, None).await {
                Ok(reply) if reply.state.as_deref() == Some(state) => return Ok(()),
                Ok(reply) => format!("{reply:?}"),
                Err(why) => why.to_string(),
            };
            if Instant::now() > until {
                return Err(format!("the member does not show it after {WAIT:?}; last: {last}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
