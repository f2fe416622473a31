//! Redis: a server of its own for each run, spoken to over a Unix socket.
//!
//! What it saves is what it has in RAM already (SAVE only), and it loads while it starts.

use crate::content::{Content, key};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const SETTINGS: &str = "filled over a unix socket in pipelines of 1000 (not counted), then SAVE, which syncs; \
    rdbcompression no, rdbchecksum yes, no AOF; load: start of the program until it answers (polled every 2 ms), into its own table";
const PIPELINE: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(600);

struct Server {
    child: Child,
    socket: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is lost: what counts was saved, or is not wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(dir: &Path) -> Result<Server> {
    let socket = dir.join("s");
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--rdbcompression", "no", "--rdbchecksum", "yes"])
        .args(["--daemonize", "no", "--protected-mode", "no"])
        .arg("--dir")
        .arg(dir)
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .context("redis-server")?;
    Ok(Server { child, socket })
}

struct Line {
    to: UnixStream,
    from: BufReader<UnixStream>,
}

impl Server {
    /// A connection, once the server answers.
    fn ready(&mut self) -> Result<Line> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("redis-server ended: {status}");
            }
            if let Ok(to) = UnixStream::connect(&self.socket) {
                let mut line = Line { from: BufReader::with_capacity(1 << 20, to.try_clone()?), to };
                line.to.write_all(b"PING\r\n")?;
                // Until it has loaded it answers with an error.
                if line.reply()? == "+PONG" {
                    return Ok(line);
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("redis-server does not answer")
    }
}

impl Line {
    fn reply(&mut self) -> Result<String> {
        let mut reply = String::new();
        self.from.read_line(&mut reply)?;
        Ok(reply.trim_end().to_owned())
    }

    fn value(&mut self, key: &[u8]) -> Result<Vec<u8>> {
        let mut order = format!("*2\r\n$3\r\nGET\r\n${}\r\n", key.len()).into_bytes();
        order.extend_from_slice(key);
        order.extend_from_slice(b"\r\n");
        self.to.write_all(&order)?;
        let head = self.reply()?;
        let length: usize = head.trim_start_matches('$').parse().with_context(|| format!("GET: {head}"))?;
        let mut value = vec![0; length + 2];
        self.from.read_exact(&mut value)?;
        value.truncate(length);
        Ok(value)
    }

    fn fill(&mut self, content: &Content) -> Result<()> {
        let (mut from, mut orders) = (0, Vec::new());
        while from < content.records {
            let upto = (from + PIPELINE).min(content.records);
            orders.clear();
            for n in from..upto {
                let (key, value) = (key(n), content.value(n, 0));
                write!(orders, "*3\r\n$3\r\nSET\r\n${}\r\n", key.len())?;
                orders.extend_from_slice(&key);
                write!(orders, "\r\n${}\r\n", value.len())?;
                orders.extend_from_slice(&value);
                orders.extend_from_slice(b"\r\n");
            }
            self.to.write_all(&orders)?;
            for _ in from..upto {
                let reply = self.reply()?;
                if reply != "+OK" {
                    bail!("SET: {reply}");
                }
            }
            from = upto;
        }
        Ok(())
    }
}

pub(super) fn save(dir: &Path, content: &Content) -> Result<Duration> {
    let mut server = start(dir)?;
    let mut line = server.ready()?;
    line.fill(content)?;
    let begin = Instant::now();
    line.to.write_all(b"SAVE\r\n")?;
    match line.reply()?.as_str() {
        "+OK" => Ok(begin.elapsed()),
        other => bail!("SAVE: {other}"),
    }
}

pub(super) fn load(dir: &Path, content: &Content) -> Result<Duration> {
    let begin = Instant::now();
    let mut server = start(dir)?;
    let mut line = server.ready()?;
    let took = begin.elapsed();
    line.to.write_all(b"DBSIZE\r\n")?;
    let size = line.reply()?;
    if size != format!(":{}", content.records) {
        bail!("redis loaded {size} of {} records", content.records);
    }
    for n in (0..content.records).step_by((content.records / 100).max(1) as usize) {
        if line.value(&key(n))? != content.value(n, 0) {
            bail!("redis gave another value for record {n}");
        }
    }
    Ok(took)
}
