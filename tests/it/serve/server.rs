//! A server that is ended with the test, and plain requests to it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;

use crate::program::{NO_GPU, convnet, json, succeeded, train, wait_until, with_default_signals};

/// A folder with `models/a` and `models/b`, and `0.png` to `9.png`, which are images of the digits' test split.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (name, seed) in [("a", "0"), ("b", "1")] {
            let flags = ["--name", name, "--run", name, "--seed", seed, "--epochs", "1", "--tensorboard", "none"];
            succeeded(&train(at, &flags));
        }
        succeeded(&convnet(at, &["data", "export", "digits:100", "--format", "png", "--out", "png"]));
        let mut pictures = Vec::new();
        find_pictures(&at.join("png"), &mut pictures);
        pictures.sort();
        for (number, picture) in pictures.iter().step_by(pictures.len() / 10).take(10).enumerate() {
            fs::copy(picture, at.join(format!("{number}.png"))).unwrap();
        }
        folder
    });
    folder.path()
}

fn find_pictures(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => find_pictures(&entry, found),
            false if entry.extension().is_some_and(|extension| extension == "png") => found.push(entry),
            false => {}
        }
    }
}

/// The bytes of `NUMBER.png`.
pub fn picture(number: usize) -> Vec<u8> {
    fs::read(folder().join(format!("{number}.png"))).unwrap()
}

/// What `predict --json` says of `NUMBER.png`, but for the file's name.
pub fn predicted(model: &str, number: usize) -> Value {
    let file = format!("{number}.png");
    let mut document = json(&convnet(folder(), &["predict", model, &file, "--json", "--device", "cpu"]));
    document["predictions"][0].take()
}

/// `convnet serve`, running.
pub struct Serving {
    pub child: Child,
    pub address: String,
    /// What it said on stderr.
    said: Arc<Mutex<String>>,
}

/// An answer: its status, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }
}

impl Serving {
    /// `convnet serve MODELS FLAGS` in `folder`, on a port that is free.
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command.args(["serve", "--port", "0", "--device", "cpu", "-j", "1"]).args(args);
        command.current_dir(folder).env(NO_GPU, "").env_remove("CONVNET_TOKEN");
        with_default_signals(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, heard) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&said));
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| *heard.lock().unwrap() += &(line + "\n"));
        });
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("http://");
        let address = url.unwrap_or_else(|| panic!("{line}{}", said.lock().unwrap())).trim_end_matches('/').to_owned();
        Serving { child, address, said }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said `word`.
    pub fn wait_for(&mut self, word: &str) {
        let said = Arc::clone(&self.said);
        assert!(wait_until(&mut self.child, || said.lock().unwrap().contains(word)), "{word}: {}", self.said());
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: the process is ours, and not yet waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// How it ended.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Memory that it holds, in KiB.
    pub fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// The answer to bytes; none where the server says nothing.
    pub fn raw(&self, request: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // it may have answered and closed before all is sent
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
    }

    /// The answer to `METHOD PATH`, with these further headers, and a body.
    pub fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let head = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.raw(&[head.as_bytes(), body].concat()).unwrap_or_else(|| panic!("no answer to {line}: {}", self.said()))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "", b"")
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST {path}"), "", body)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A form of these files, and the header that says so.
pub fn form(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!("--limit\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--limit--\r\n");
    ("Content-Type: multipart/form-data; boundary=limit\r\n".to_owned(), body)
}
