use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use std::time::Instant;

use md5::{Digest, Md5};
use tempfile::NamedTempFile;

use super::*;
use crate::files::hex;

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
        Server::start_with(move |path, _| reply(path))
    }

    /// As [`Server::start`]; `reply` gets the headers too.
    pub fn start_with(reply: impl Fn(&str, &[String]) -> Reply + Send + 'static) -> Self {
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
fn answer(mut stream: TcpStream, reply: &impl Fn(&str, &[String]) -> Reply) -> Option<TcpStream> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_string();
    let headers: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
    let reply = reply(&path, &headers);
    // the client may have hung up, which is its right
    let _ = stream.write_all(&reply.bytes);
    reply.stalls.then_some(stream)
}

/// Waits long enough for a server on this machine, busy as it may be.
pub fn patient() -> Connection {
    let wait = Duration::from_secs(10);
    Connection { proxy: None, connect: wait, silence: wait, whole: wait, max_bytes: 1000 }
}

/// A set whose every file has the content `body`.
fn set_of(body: &[u8]) -> KnownSet {
    let md5: &'static str = hex(&Md5::digest(body)).leak();
    let names = ["train-images", "train-labels", "t10k-images", "t10k-labels"];
    let files = names.map(|name| KnownFile { name: format!("{name}.gz").leak(), md5, members: &[] });
    set_with(files.into())
}

fn set_with(files: Vec<KnownFile>) -> KnownSet {
    let files = files.leak();
    KnownSet {
        name: "tiny",
        torchvision: None,
        classes: &["a"],
        licence: "none",
        mirrors: &[],
        files,
        train_labels_sha256: None,
    }
}

/// Downloads the set of `b"content"` from a server with this answer: the error, after checking that nothing was left.
fn failure(reply: Reply) -> String {
    failure_within(reply, &patient())
}

fn failure_within(reply: Reply, network: &Connection) -> String {
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
    for file in set.files {
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
    assert!(failure(Reply { bytes: b"HTTP/1.1 200 OK\r\nContent-".to_vec(), stalls: false }).contains("train-images"));
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
    let impatient = Connection { silence: Duration::from_millis(200), ..patient() };
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

/// A reply with an entity tag, which breaks off after `sent`.
fn tagged(status: &str, tag: &str, range: &str, length: usize, sent: &[u8]) -> Reply {
    let range = if range.is_empty() { String::new() } else { format!("Content-Range: {range}\r\n") };
    let head = format!("HTTP/1.1 {status}\r\nETag: {tag}\r\n{range}Content-Length: {length}\r\n\r\n");
    Reply { bytes: [head.as_bytes(), sent].concat(), stalls: false }
}

/// The byte that a request wants to begin with, and the version that it wants.
fn wanted(headers: &[String]) -> Option<(usize, String)> {
    let value = |name: &str| headers.iter().find_map(|header| header.strip_prefix(name)).map(str::trim);
    let start = value("range: bytes=")?.strip_suffix('-')?.parse().ok()?;
    Some((start, value("if-range:")?.to_owned()))
}

fn one_file(body: &[u8]) -> KnownSet {
    set_with(vec![KnownFile { name: "a.gz", md5: hex(&Md5::digest(body)).leak(), members: &[] }])
}

#[test]
fn a_file_is_continued_where_it_broke_off() {
    // three bytes a connection
    let server = Server::start_with(|_, headers| match wanted(headers) {
        None => tagged("200 OK", "\"v1\"", "", 10, b"012"),
        Some((start, version)) => {
            assert_eq!(version, "\"v1\"");
            let rest = &b"0123456789"[start..];
            let range = format!("bytes {start}-9/10");
            tagged("206 Partial Content", "\"v1\"", &range, rest.len(), &rest[..rest.len().min(3)])
        }
    });
    let folder = tempfile::tempdir().unwrap();
    complete(&one_file(b"0123456789"), folder.path(), std::slice::from_ref(&server.url), &patient()).unwrap();
    assert_eq!(fs::read(folder.path().join("a.gz")).unwrap(), b"0123456789");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(server.num_requests.load(Ordering::SeqCst), 4);
}

#[test]
fn the_next_call_continues_too_but_not_with_another_version() {
    let breaks = |tag: &'static str| {
        Server::start_with(move |_, headers| match wanted(headers) {
            None => tagged("200 OK", tag, "", 10, b"01234"),
            Some(_) => Reply::new("503 Busy", 0, b""),
        })
    };
    let set = one_file(b"0123456789");
    for (tag, is_same) in [("\"v1\"", true), ("\"v0\"", false), ("W/\"v1\"", false)] {
        let folder = tempfile::tempdir().unwrap();
        let error = complete(&set, folder.path(), &[breaks(tag).url], &patient()).unwrap_err().to_string();
        assert_eq!(error.contains("(what came is kept)"), !tag.starts_with('W'), "{error}");
        assert_eq!(folder.path().join("a.gz.part").is_file(), !tag.starts_with('W'), "a weak tag is no version");
        let server = Server::start_with(move |_, headers| match wanted(headers) {
            Some((5, version)) if version == "\"v1\"" => {
                tagged("206 Partial Content", "\"v1\"", "bytes 5-9/10", 5, b"56789")
            }
            _ => tagged("200 OK", "\"v1\"", "", 10, b"0123456789"),
        });
        complete(&set, folder.path(), std::slice::from_ref(&server.url), &patient()).unwrap();
        assert_eq!(fs::read(folder.path().join("a.gz")).unwrap(), b"0123456789", "{tag} {is_same}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_server_that_continues_elsewhere_or_not_at_all_is_no_harm() {
    let set = one_file(b"0123456789");
    for reply in [
        tagged("206 Partial Content", "\"v\"", "bytes 4-9/10", 6, b"456789"),
        tagged("206 Partial Content", "\"v\"", "nonsense", 5, b"56789"),
        tagged("206 Partial Content", "\"v\"", "bytes 5-9/10", 5, b"XXXXX"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.gz.part"), b"01234").unwrap();
        fs::write(folder.path().join("a.gz.part.version"), "\"v\"").unwrap();
        let server = Server::start(move |_| reply.clone());
        assert!(complete(&set, folder.path(), &[server.url], &patient()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing wrong is kept");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.gz.part"), b"0123456789 and more").unwrap();
    fs::write(folder.path().join("a.gz.part.version"), "\"v\"").unwrap();
    let server = Server::start_with(|_, headers| match wanted(headers) {
        Some(_) => Reply::new("416 Range Not Satisfiable", 0, b""),
        None => Reply::ok(b"0123456789"),
    });
    complete(&set, folder.path(), &[server.url], &patient()).unwrap();
    assert_eq!(fs::read(folder.path().join("a.gz")).unwrap(), b"0123456789");
}

#[test]
fn archives_are_unpacked_and_removed() {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, text) in [("gzip/a.bin", "AA"), ("../../b.bin", "B"), ("other.bin", "O")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [("set/a.bin", "AA"), ("b.bin", "B"), ("set/other.bin", "O")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap().finish().unwrap();
    for (name, bytes) in [("set.zip", zip), ("set.tar.gz", tar)] {
        let members: &[&str] = &["a.bin", "b.bin"];
        let md5 = hex(&Md5::digest(&bytes)).leak();
        let set = set_with(vec![KnownFile { name, md5, members }]);
        let lacking = set_with(vec![KnownFile { name, md5, members: &["a.bin", "none.bin"] }]);
        let server = Server::start(move |_| Reply::ok(&bytes));
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            complete(&set, folder.path(), std::slice::from_ref(&server.url), &patient()).unwrap();
        }
        assert_eq!(server.num_requests.load(Ordering::SeqCst), 1);
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), b"AA");
        assert_eq!(fs::read(folder.path().join("b.bin")).unwrap(), b"B");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let error = complete(&lacking, folder.path(), &[server.url], &patient()).unwrap_err();
        assert!(error.to_string().contains("lacks none.bin"), "{error}");
    }
}
