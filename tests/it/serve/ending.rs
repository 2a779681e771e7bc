//! How a server ends, and how its models are exchanged, while it is asked.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::Value;

use super::server::{Serving, folder, picture, predicted};
use super::unnamed;
use crate::program::write_as_before_checksums;

/// One answer on a connection that stays open: its status and body, and whether the server closes behind it; none where it has
/// closed before the request.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<(u16, Vec<u8>, bool)> {
    stream.write_all(request).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) if bytes.is_empty() => return None,
            Ok(0) => panic!("an answer was cut: {}", String::from_utf8_lossy(&bytes)),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) => panic!("an answer was cut: {error}"),
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        if bytes.len() == end + 4 + length {
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            return Some((status, bytes[end + 4..].to_vec(), head.contains("connection: close")));
        }
    }
}

fn request(address: &str, number: usize) -> Vec<u8> {
    let body = picture(number);
    let head = format!("POST /v1/predict HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

/// Asks with several clients at a time until the server closes, or `enough` says so. Each answer goes to `check`.
fn ask_on(address: &str, enough: &AtomicBool, check: impl Fn(usize, u16, &[u8]) + Sync) {
    std::thread::scope(|scope| {
        for client in 0..8 {
            let check = &check;
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                for round in 0.. {
                    let number = (client + round) % 10;
                    let Some((status, body, closes)) = exchange(&mut stream, &request(address, number)) else { return };
                    check(number, status, &body);
                    if closes || enough.load(SeqCst) {
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn nothing_that_was_taken_is_lost_when_it_ends() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut serving = Serving::start(folder(), &["models/a"]);
        let (answered, never) = (AtomicUsize::new(0), AtomicBool::new(false));
        let address = serving.address.clone();
        // no byte of this request's body has come when the signal does
        let (head, body) = {
            let whole = request(&address, 0);
            let body = picture(0);
            (whole[..whole.len() - body.len()].to_vec(), body)
        };
        let mut late = serving.connect();
        late.write_all(&head).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ask_on(&address, &never, |_, status, body| {
                    assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
                    answered.fetch_add(1, SeqCst);
                });
            });
            while answered.load(SeqCst) < 50 {
                std::thread::sleep(Duration::from_millis(2));
            }
            serving.signal(signal);
            std::thread::sleep(Duration::from_millis(600));
            let (status, _, closes) = exchange(&mut late, &body).expect("its head was taken");
            assert_eq!((status, closes), (200, true));
        });
        assert_eq!(serving.ended().code(), Some(0), "{}", serving.said());
        assert!(TcpStream::connect(&address).is_err());
    }
}

#[test]
fn what_takes_too_long_at_the_end_is_cut_and_said() {
    let mut serving = Serving::start(folder(), &["models/a", "--drain", "1", "--timeout", "30"]);
    let mut slow = serving.connect();
    slow.write_all(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(serving.get("/healthz").status, 200);
    serving.signal(libc::SIGTERM);
    assert_eq!(serving.ended().code(), Some(1));
    let said = serving.said();
    assert!(said.contains("1 connections were cut off"), "{said}");
    let mut serving = Serving::start(folder(), &["models/a"]);
    let mut slow = serving.connect();
    slow.write_all(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(serving.get("/healthz").status, 200);
    serving.signal(libc::SIGTERM);
    serving.wait_for("stopping");
    serving.signal(libc::SIGTERM);
    assert_eq!(serving.ended().code(), Some(143), "a second time at once");
}

/// Copies a model's two files over another's, the JSON last and in one step, as they are saved.
fn copy_model(from: &str, to: &Path) {
    let from = folder().join("models").join(from);
    let weights = to.with_extension("safetensors");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from.with_extension("safetensors"), &weights).unwrap();
    let aside = to.with_extension("new");
    fs::copy(from.with_extension("json"), &aside).unwrap();
    write_as_before_checksums(&aside, |document| {
        document["convnet"]["weights"]["file"] = weights.file_name().unwrap().to_str().unwrap().into();
    });
    fs::rename(aside, to.with_extension("json")).unwrap();
}

#[test]
fn a_model_is_exchanged_without_a_lost_request() {
    let place = tempfile::tempdir().unwrap();
    let stem = place.path().join("m");
    copy_model("a", &stem);
    let mut serving = Serving::start(folder(), &[stem.to_str().unwrap()]);
    let [a, b] = ["models/a", "models/b"]
        .map(|model| (0..10).map(|number| unnamed(predicted(model, number))).collect::<Vec<_>>());
    let (answered, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (of_a, of_b) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let address = serving.address.clone();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            ask_on(&address, &enough, |number, status, body| {
                assert_eq!(status, 200);
                let mut answer: Value = serde_json::from_slice(body).unwrap();
                let prediction = unnamed(answer["predictions"][0].take());
                match () {
                    () if prediction == a[number] => of_a.fetch_add(1, SeqCst),
                    () if prediction == b[number] => of_b.fetch_add(1, SeqCst),
                    () => panic!("neither model says so: {prediction}"),
                };
                answered.fetch_add(1, SeqCst);
            });
        });
        let wait = |count: usize| {
            let start = answered.load(SeqCst);
            while answered.load(SeqCst) < start + count && !asking.is_finished() {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        wait(30);
        copy_model("b", &stem);
        serving.signal(libc::SIGHUP);
        serving.wait_for("m: loaded again");
        wait(30);
        fs::write(stem.with_extension("safetensors"), "broken").unwrap();
        serving.signal(libc::SIGHUP);
        serving.wait_for("m: cannot be loaded again, the model before is served on");
        wait(30);
        enough.store(true, SeqCst);
    });
    assert!(of_a.load(SeqCst) >= 30 && of_b.load(SeqCst) >= 50, "{of_a:?} {of_b:?}");
    let metrics = String::from_utf8(serving.get("/metrics").body).unwrap();
    for line in ["{model=\"m\",outcome=\"loaded\"} 1\n", "{model=\"m\",outcome=\"failed\"} 1\n"] {
        assert!(metrics.contains(&format!("convnet_model_reloads_total{line}")), "{metrics}");
    }
}

#[test]
fn changed_files_are_noticed_when_watched() {
    let place = tempfile::tempdir().unwrap();
    let stem = place.path().join("m");
    copy_model("a", &stem);
    let mut serving = Serving::start(folder(), &[stem.to_str().unwrap(), "--watch"]);
    // a copy that is not yet complete
    fs::copy(folder().join("models/b.json"), stem.with_extension("json")).unwrap();
    serving.wait_for("m: cannot be loaded again");
    let answer = |serving: &Serving| unnamed(serving.post("/v1/predict", &picture(2)).json()["predictions"][0].take());
    assert_eq!(answer(&serving), unnamed(predicted("models/a", 2)));
    copy_model("b", &stem);
    serving.wait_for("m: loaded again");
    assert_eq!(answer(&serving), unnamed(predicted("models/b", 2)));
    assert_eq!(serving.said().matches("cannot be loaded").count(), 1, "it is said once: {}", serving.said());
}
