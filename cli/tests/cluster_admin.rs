//! `jet-cluster-admin` as a process: what it sends, prints and ends with, against a member that is played.
//!
//! Law: the member's part is a script of bytes. Must not know: real members (`member/tests/rest.rs` has them).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Output};
use std::thread::JoinHandle;

/// Answers one request after another, each on its own connection, and tells what was sent.
fn member(answers: Vec<&'static str>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let played = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            asked.push(request(&mut stream));
            stream.write_all(answer.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Both).unwrap();
        }
        asked
    });
    (port, played)
}

/// Request line and body.
fn request(stream: &mut impl Read) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    let length = text.to_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    format!("{} {}", text.split(" HTTP").next().unwrap(), String::from_utf8(body).unwrap())
}

fn ran(port: u16, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jet-cluster-admin"));
    command.env_remove("JET_CLUSTER_PASSWORD").args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    command.args(arguments).output().unwrap()
}

fn admin(port: u16, arguments: &[&str]) -> (i32, String) {
    let ran = ran(port, arguments);
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap())
}

fn json(status: &str, body: &str) -> &'static str {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    (head + body).leak()
}

const AT: &str = "/hazelcast/rest/management/cluster";

#[test]
fn options_left_out_are_told_and_the_form_is_encoded() {
    let (port, member) = member(vec![json("200 OK", r#"{"status":"success","state":"frozen"}"#)]);
    let (code, text) = admin(port, &["-o", "change-state", "-s", "frozen", "-c", "or&ders", "-P", "p%w"]);
    assert_eq!(code, 0);
    assert_eq!(
        text,
        format!(
            "Changing cluster state to frozen\nConnecting to 127.0.0.1:{port}\nThe cluster is now in the 'frozen' state\n"
        )
    );
    assert_eq!(member.join().unwrap(), [format!("POST {AT}/changeState or%26ders&p%25w&frozen")]);
}

#[test]
fn the_defaults_are_the_originals() {
    let (port, member) = member(vec![json("200 OK", r#"{"status":"success","state":"active"}"#)]);
    let (code, text) = admin(port, &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((code, lines[0]), (0, "No operation specified, using 'get-state'."));
    assert_eq!(lines.last(), Some(&"The cluster state is 'active'."));
    assert_eq!(member.join().unwrap(), [format!("POST {AT}/state jet&jet-pass")]);
}

#[test]
fn what_does_not_come_is_curls_code_and_what_comes_is_zero_or_strict() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (answer, plain, strict, line) in [
        (None, 7, 7, "Unable to connect to the host. Is the server running?"),
        (Some(""), 52, 52, "Unable to send or receive data from the server. Is REST API enabled on the server?"),
        (Some(json("500 Internal Server Error", r#"{"status":"fail","message":"no"}"#)), 0, 3, "failed: no"),
        (Some(json("403 Forbidden", r#"{"status":"fail","message":"unauthenticated"}"#)), 0, 4, "name and password"),
        (Some(json("200 OK", "pong")), 0, 3, "Invalid response"),
    ] {
        for (more, expected) in [(&[][..], plain), (&["--strict"], strict)] {
            let played = answer.map(|answer| member(vec![answer]));
            let (code, text) = admin(played.as_ref().map_or(free, |(port, _)| *port), more);
            assert!(code == expected && text.contains(line), "{answer:?} {more:?}: {code}\n{text}");
            played.map(|(_, member)| member.join().unwrap());
        }
    }
}

#[test]
fn waiting_tells_a_shutdown_that_did_not_come_about() {
    let done = json("200 OK", r#"{"status":"success"}"#);
    let freezing = json("200 OK", r#"{"status":"success","operation":"1-a","step":"Freezing"}"#);
    let aborted = json("200 OK", r#"{"status":"success","operation":"1-a","step":"Aborted","message":"it was slow"}"#);
    let committed = json("200 OK", r#"{"status":"success","operation":"1-a","step":"Committed"}"#);
    for (answers, code, line) in [
        (vec![done, freezing, aborted], 3, "the cluster is as before: it was slow"),
        (vec![done, freezing, ""], 3, "whether it was committed is not known"),
        (vec![done, freezing, committed], 0, "Cluster shutdown completed."),
    ] {
        let (port, member) = member(answers);
        let (ended, text) = admin(port, &["-o", "shutdown", "--wait"]);
        assert!(ended == code && text.contains(line), "{ended}\n{text}");
        assert_eq!(member.join().unwrap().last().unwrap(), &format!("POST {AT}/operation jet&jet-pass"));
    }
}

/// On standard error, once each: the lines on the other are the original's.
#[test]
fn who_waits_for_a_shutdown_is_told_how_far_it_is() {
    let done = json("200 OK", r#"{"status":"success"}"#);
    let far = |step: &str, message: &str| {
        json("200 OK", &format!(r#"{{"status":"success","operation":"1-a","step":"{step}","message":"{message}"}}"#))
    };
    let said = "seals: 0 of 3; this member is sealing, 1.0 of 2.0 GiB read back";
    let (sealing, committed) = (far("Quiesced", said), far("Committed", "no news any more"));
    let (port, member) = member(vec![done, far("Freezing", "comparing all replicas"), sealing, sealing, committed]);
    let ran = ran(port, &["-o", "shutdown", "--wait"]);
    let [lines, told] = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(lines.ends_with("Cluster shutdown completed.\n") && !lines.contains("GiB"), "{lines}");
    assert_eq!(told, format!("comparing all replicas\n{said}\n"));
    assert_eq!(member.join().unwrap().len(), 5);
}
