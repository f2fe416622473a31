//! A way to one port of one pod, as a person has it: `kubectl port-forward`.
//!
//! Law: it ends with its owner. Must not know: what is spoken over it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A port-forward.
pub struct Forward {
    child: Child,
    /// kubectl ends when nobody holds the other end of what it prints to.
    _said: BufReader<ChildStdout>,
    /// Here, on 127.0.0.1.
    pub port: u16,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forward {
    /// To `port` of `pod`, once it is open.
    pub fn to(namespace: &str, pod: &str, port: u16) -> Result<Self, String> {
        let mut child = Command::new("kubectl")
            .args(["--namespace", namespace, "port-forward", &format!("pod/{pod}"), &format!(":{port}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().ok_or("kubectl has no output")?);
        let read = said.read_line(&mut line);
        let port =
            line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|port| port.parse().ok());
        match (read, port) {
            (Ok(_), Some(port)) => Ok(Forward { child, _said: said, port }),
            _ => {
                let _ = child.kill();
                let out = child.wait_with_output().map_err(|e| e.to_string())?;
                Err(format!("port-forward {pod}: {}", String::from_utf8_lossy(&out.stderr).trim()))
            }
        }
    }
}
