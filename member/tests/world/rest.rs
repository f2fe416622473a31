//! The Hazelcast-shaped REST of a member as a script speaks it, and `jet-cluster-admin` as a person runs it.
//!
//! Law: what came is given back as it came: a closed connection is no answer. Must not know: what a test is about.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::{CLUSTER, PASSWORD};

/// `None`: closed without a byte.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some((status, head.to_owned(), body.to_owned()))
}

/// For those who wait for a member.
pub fn health(port: u16) -> Result<String, String> {
    TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    get(port, "/hazelcast/health").map(|(_, body)| body).ok_or_else(|| "closed".into())
}

pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    ask(port, "GET", path, "").map(|(status, _, body)| (status, body))
}

pub fn post(port: u16, name: &str, body: &str) -> Option<(u16, String)> {
    let path = format!("/hazelcast/rest/management/cluster/{name}");
    ask(port, "POST", &path, body).map(|(status, _, body)| (status, body))
}

pub fn said(status: u16, body: &str) -> Option<(u16, String)> {
    Some((status, body.to_owned()))
}

fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_jet-member")).with_file_name("jet-cluster-admin");
    assert!(program.is_file(), "{} is not built: cargo build --workspace --bins", program.display());
    program
}

/// Exit code and output.
pub async fn admin(port: u16, arguments: &str) -> (i32, String) {
    ended(command(port, arguments).output().await.unwrap())
}

/// What it must be given back to consent, if it asks for that.
pub fn consent(said: &str) -> Option<String> {
    let (_, behind) = said.split_once("with the consent ")?;
    Some(behind.split_whitespace().next()?.trim_matches(['"', '.', '\'']).to_owned())
}

fn command(port: u16, arguments: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["-p", &port.to_string(), "-c", CLUSTER]).env("JET_CLUSTER_PASSWORD", PASSWORD);
    // What is given later counts.
    command.args(["--address", "127.0.0.1"]).args(arguments.split_whitespace());
    command
}

/// Exit code and output of a call that is over.
pub fn ended(ran: Output) -> (i32, String) {
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap())
}

/// A call that goes on, and the lines that it says of each answer.
pub fn waiting(port: u16, arguments: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut command = command(port, &format!("{arguments} --debug"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, said)
}

/// Until an answer with this word came.
pub async fn hears(said: &mut Lines<BufReader<ChildStderr>>, word: &str) {
    let hears = async { while !said.next_line().await.unwrap().expect("it goes on").contains(word) {} };
    tokio::time::timeout(super::PATIENCE, hears).await.unwrap_or_else(|_| panic!("no answer with {word}"));
}

pub async fn expect(port: u16, arguments: &str, code: i32, line: &str) {
    let (ended, text) = admin(port, arguments).await;
    assert!(ended == code && text.contains(line), "{arguments}: expected {code} and '{line}', got {ended}:\n{text}");
}

/// The whole answer of a plaintext port.
pub fn ask_plain(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
