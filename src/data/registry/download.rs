//! Fetches a known data set's files: from several mirrors in turn, within limits, checked, and whole or not at all.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use md5::{Digest, Md5};
use tempfile::NamedTempFile;
use ureq::{Agent, Proxy};

use super::known::{KnownFile, KnownSet};
use crate::data::statistics::hex;
use crate::error::{Error, Result};

/// How to reach a mirror, how long to wait for it, and how much to take from it.
pub(super) struct Network {
    /// In between, if any.
    pub proxy: Option<Proxy>,
    /// For a mirror's address, and then for a connection.
    pub connect: Duration,
    /// For its answer, and then for each next byte.
    pub silence: Duration,
    /// For one file.
    pub whole: Duration,
    /// A file's size, in bytes.
    pub max_bytes: u64,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            // HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
            proxy: Proxy::try_from_env(),
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            whole: Duration::from_secs(3600),
            // the largest known file has 26 MB
            max_bytes: 64 << 20,
        }
    }
}

/// Why a file did not come: the next mirror may do better, or none would.
enum Failure {
    Mirror(String),
    Disk(Error),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Failure::Mirror(error.to_string())
    }
}

/// Fetches into `folder` those of the set's files that it does not hold, as published or decompressed, from the first
/// of `mirrors` that delivers each. Reports on stderr.
///
/// # Errors
/// A data error where no mirror delivers a file: it tells why each did not, and what to do by hand. A configuration
/// error where `folder` cannot be made, an internal one where a file cannot be written.
pub(super) fn complete(set: &KnownSet, folder: &Path, mirrors: &[String], network: &Network) -> Result<()> {
    let is_missing = |file: &&KnownFile| {
        let names = [file.name, file.name.trim_end_matches(".gz")];
        !names.iter().any(|name| folder.join(name).is_file())
    };
    let missing: Vec<&KnownFile> = set.files.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|source| {
        Error::config("cannot make the folder for downloaded data").at_path(folder).because(source)
    })?;
    eprintln!("{} is downloaded to {}; licence: {}", set.name, folder.display(), set.licence);
    let agent = agent(network);
    missing.into_iter().try_for_each(|file| download(&agent, set, file, folder, mirrors, network))
}

fn download(
    agent: &Agent,
    set: &KnownSet,
    file: &KnownFile,
    folder: &Path,
    mirrors: &[String],
    network: &Network,
) -> Result<()> {
    let mut reasons = Vec::new();
    for mirror in mirrors {
        let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        eprintln!("downloading {url}");
        match fetch(agent, &url, file, folder, network) {
            Ok(()) => return Ok(()),
            Err(Failure::Mirror(reason)) => reasons.push(format!("{url}: {reason}")),
            Err(Failure::Disk(error)) => return Err(error),
        }
    }
    let names: Vec<&str> = set.files.iter().map(|file| file.name).collect();
    Err(Error::data(format!("cannot download {} of {}", file.name, set.name)).got(reasons.join("; ")).help(format!(
        "try again later, or put {} into {} by hand, or name with --data a folder that holds them",
        names.join(", "),
        folder.display()
    )))
}

fn fetch(agent: &Agent, url: &str, file: &KnownFile, folder: &Path, network: &Network) -> Result<(), Failure> {
    let target = folder.join(file.name);
    let disk_failed = |source: std::io::Error| {
        let error = Error::internal("cannot write a downloaded file");
        Failure::Disk(error.at_path(&target).because(source))
    };
    let mut response = agent.get(url).call()?;
    let mut body = response.body_mut().with_config().limit(network.max_bytes).reader();
    let mut aside = NamedTempFile::new_in(folder).map_err(disk_failed)?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = body.read(&mut buffer).map_err(|error| Failure::Mirror(error.to_string()))?;
        if count == 0 {
            break;
        }
        md5.update(&buffer[..count]);
        aside.write_all(&buffer[..count]).map_err(disk_failed)?;
    }
    let md5 = hex(&md5.finalize());
    if md5 != file.md5 {
        return Err(Failure::Mirror(format!("wrong checksum, expected md5 {}, got {md5}", file.md5)));
    }
    aside.as_file().sync_all().map_err(disk_failed)?;
    aside.persist(&target).map_err(|error| disk_failed(error.error))?;
    Ok(())
}

fn agent(network: &Network) -> Agent {
    let config = Agent::config_builder()
        .user_agent(concat!("convnet/", env!("CARGO_PKG_VERSION")))
        .proxy(network.proxy.clone())
        .timeout_resolve(Some(network.connect))
        .timeout_connect(Some(network.connect))
        .timeout_recv_response(Some(network.silence))
        .timeout_per_read(Some(network.silence))
        .timeout_global(Some(network.whole));
    config.build().new_agent()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// What a test server sends for each request: raw bytes, and whether it then goes silent with the line open.
    #[derive(Clone)]
    pub struct Reply {
        bytes: Vec<u8>,
        stalls: bool,
    }

    impl Reply {
        pub fn new(status: &str, content_length: usize, body: &[u8]) -> Self {
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {content_length}\r\nConnection: close\r\n\r\n");
            Reply { bytes: [head.as_bytes(), body].concat(), stalls: false }
        }

        pub fn ok(body: &[u8]) -> Self {
            Reply::new("200 OK", body.len(), body)
        }
    }

    /// A server on this machine for one test: its address, and how many requests it has had.
    pub struct Server {
        pub url: String,
        pub num_requests: Arc<AtomicUsize>,
    }

    impl Server {
        /// Answers each request for a path with `reply(path)`, as long as the test process lives.
        pub fn start(reply: impl Fn(&str) -> Reply + Send + 'static) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let num_requests = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&num_requests);
            thread::spawn(move || {
                let mut open = Vec::new();
                for stream in listener.incoming().map_while(Result::ok) {
                    counter.fetch_add(1, Ordering::SeqCst);
                    open.extend(answer(stream, &reply));
                }
            });
            Server { url, num_requests }
        }
    }

    /// The connection, if it is to stay open.
    fn answer(mut stream: TcpStream, reply: &impl Fn(&str) -> Reply) -> Option<TcpStream> {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let path = lines.next()?.split(' ').nth(1)?.to_string();
        lines.find(String::is_empty)?;
        let reply = reply(&path);
        // the client may have hung up, which is its right
        let _ = stream.write_all(&reply.bytes);
        reply.stalls.then_some(stream)
    }

    /// Waits long enough for a server on this machine, busy as it may be.
    pub fn patient() -> Network {
        let wait = Duration::from_secs(10);
        Network { proxy: None, connect: wait, silence: wait, whole: wait, max_bytes: 1000 }
    }

    /// A set whose every file has the content `body`.
    fn set_of(body: &[u8]) -> KnownSet {
        let md5: &'static str = hex(&Md5::digest(body)).leak();
        let names = ["train-images", "train-labels", "t10k-images", "t10k-labels"];
        let files = names.map(|name| KnownFile { name: format!("{name}.gz").leak(), md5 });
        KnownSet { name: "tiny", classes: &["a"], licence: "none", mirrors: &[], files, train_labels_sha256: None }
    }

    /// Downloads the set of `b"content"` from a server with this answer: the error, after checking that nothing was left.
    fn failure(reply: Reply) -> String {
        failure_within(reply, &patient())
    }

    fn failure_within(reply: Reply, network: &Network) -> String {
        let server = Server::start(move |_| reply.clone());
        let folder = tempfile::tempdir().unwrap();
        let error = complete(&set_of(b"content"), folder.path(), &[server.url], network).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no partial file");
        assert_eq!(error.exit_code(), 3);
        error.to_string()
    }

    #[test]
    fn files_that_are_there_are_not_fetched_again() {
        let server = Server::start(|_| Reply::ok(b"content"));
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        let set = set_of(b"content");
        complete(&set, &folder, std::slice::from_ref(&server.url), &patient()).unwrap();
        assert_eq!(server.num_requests.load(Ordering::SeqCst), 4);
        for file in &set.files {
            assert_eq!(fs::read(folder.join(file.name)).unwrap(), b"content");
        }
        fs::remove_file(folder.join("train-labels.gz")).unwrap();
        fs::rename(folder.join("t10k-images.gz"), folder.join("t10k-images")).unwrap();
        complete(&set, &folder, &[server.url], &patient()).unwrap();
        assert_eq!(server.num_requests.load(Ordering::SeqCst), 5);
    }

    #[test]
    fn the_next_mirror_is_tried() {
        let bad = Server::start(|_| Reply::new("404 Not Found", 0, b""));
        let good = Server::start(|_| Reply::ok(b"content"));
        let folder = tempfile::tempdir().unwrap();
        complete(&set_of(b"content"), folder.path(), &[bad.url, good.url], &patient()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn wrong_bytes_are_not_kept() {
        assert!(failure(Reply::ok(b"contenT")).contains("wrong checksum"));
        assert!(failure(Reply::ok(b"")).contains("wrong checksum"));
    }

    #[test]
    fn a_refusal_is_named() {
        assert!(failure(Reply::new("404 Not Found", 0, b"")).contains("404"));
        assert!(failure(Reply::new("503 Busy", 4, b"busy")).contains("503"));
    }

    #[test]
    fn a_connection_broken_off_midway_is_an_error() {
        assert!(failure(Reply::new("200 OK", 7, b"cont")).contains("disconnected"));
        assert!(
            failure(Reply { bytes: b"HTTP/1.1 200 OK\r\nContent-".to_vec(), stalls: false }).contains("train-images")
        );
        assert!(failure(Reply { bytes: Vec::new(), stalls: false }).contains("train-images"));
    }

    #[test]
    fn a_content_length_that_lies_is_an_error() {
        assert!(failure(Reply::new("200 OK", 4, b"content")).contains("wrong checksum"));
        assert!(failure(Reply::new("200 OK", usize::MAX, b"content")).contains("disconnected"));
    }

    #[test]
    fn a_body_without_end_is_cut_at_the_limit() {
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        let endless = Reply { bytes: [&head[..], &[b'x'; 100_000]].concat(), stalls: true };
        assert!(failure(endless).contains("limit"));
    }

    #[test]
    fn a_stalled_server_is_given_up() {
        let start = Instant::now();
        let impatient = Network { silence: Duration::from_millis(200), ..patient() };
        for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncont"] {
            let error = failure_within(Reply { bytes: bytes.to_vec(), stalls: true }, &impatient);
            assert!(error.contains("timeout"), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    }

    #[test]
    fn an_unreachable_server_tells_what_to_do_by_hand() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mirrors = [format!("http://{free}/a"), "http://name.invalid/b".to_string()];
        let error = complete(&set_of(b"content"), folder.path(), &mirrors, &patient()).unwrap_err().to_string();
        for part in [
            &format!("http://{free}/a/train-images.gz: "),
            "http://name.invalid/b/train-images.gz: ",
            "put train-images.gz, train-labels.gz, t10k-images.gz, t10k-labels.gz into",
            &folder.path().display().to_string(),
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_configuration_error() {
        let file = NamedTempFile::new().unwrap();
        let error = complete(&set_of(b""), &file.path().join("data"), &[], &patient()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
