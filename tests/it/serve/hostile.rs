//! What is sent by those who mean no good, or whose line is bad: it is refused, and neither ends the server nor makes it grow.

use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::server::{Serving, folder, form, picture};

/// Requests of the committed test; `CONVNET_TEST_HOSTILE=10000` sends more.
fn num_requests() -> u64 {
    std::env::var("CONVNET_TEST_HOSTILE").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

/// Files that are not what they seem: large sizes of few bytes, other kinds, cut ones.
fn files() -> Vec<Vec<u8>> {
    let encoded = |image: DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let mut files: Vec<Vec<u8>> =
        [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Tiff]
            .into_iter()
            .map(|format| encoded(DynamicImage::new_rgb8(40, 30), format))
            .collect();
    // 7000×7000 black pixels in 48 kB, which is within the limit; and 20000×20000, which is not
    files.push(encoded(DynamicImage::new_luma8(7000, 7000), ImageFormat::Png));
    let mut bomb = picture(0);
    bomb[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    files.push(bomb);
    files.push(b"P6 20000 20000 255\n".to_vec());
    files.push(b"GIF89a\xff\xff\xff\xff\x80\0\0".to_vec());
    files.push(b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda".to_vec());
    files.push(b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff/\xff\xff\xff\xff".to_vec());
    files.push(b"II*\0\x08\0\0\0\xff\xff".to_vec());
    files.push(b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec());
    files.push(b"PK\x03\x04".to_vec());
    files.push(picture(1));
    files
}

/// One request, as unlike others as `random` makes it.
fn request(random: &mut ChaCha8Rng, files: &[Vec<u8>]) -> Vec<u8> {
    let mut pick = |below: usize| random.next_u32() as usize % below;
    let mut file = files[pick(files.len())].clone();
    match pick(4) {
        0 => file.truncate(pick(file.len() + 1)),
        1 => (0..1 + pick(8)).for_each(|_| {
            let at = pick(file.len());
            file[at] = pick(256) as u8;
        }),
        _ => {}
    }
    let kinds =
        ["", "Content-Type: image/png\r\n", "Content-Type: text/html\r\n", "Content-Type: multipart/form-data\r\n"];
    let (headers, mut body) = match pick(3) {
        0 => form(&vec![("a/../b\0.png", &file[..]); 1 + pick(3)]),
        _ => (kinds[pick(kinds.len())].to_owned(), file),
    };
    if pick(8) == 0 {
        let at = pick(body.len() + 1);
        body.truncate(at);
    }
    let lengths =
        [body.len(), body.len(), body.len(), body.len(), 0, body.len() + 9, body.len() / 2, usize::MAX, 1 << 40];
    let length = lengths[pick(lengths.len())];
    let paths = [
        "/v1/predict",
        "/v1/predict",
        "/v1/predict?top=18446744073709551615",
        "/v1/predict?top=%ff",
        "/v1/models/%2e%2e/predict",
        "/../../etc/passwd",
    ];
    let path = paths[pick(paths.len())];
    let framing = match pick(8) {
        0 => "Transfer-Encoding: chunked\r\n".to_owned(),
        1 => format!("Content-Length: {length}\r\nContent-Length: 3\r\n"),
        2 => "Content-Length: -1\r\n".to_owned(),
        _ => format!("Content-Length: {length}\r\n"),
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{framing}{headers}\r\n");
    let mut bytes = [head.as_bytes(), &body].concat();
    match pick(12) {
        0 => bytes = (0..pick(3000)).map(|_| pick(256) as u8).collect(),
        1 => bytes.splice(0..0, b"\x16\x03\x01\x02\0\x01\0".iter().copied()).for_each(drop),
        2 => {
            bytes =
                format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(pick(200_000))).into_bytes()
        }
        3 => bytes = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(pick(300))).into_bytes(),
        _ => {}
    }
    bytes
}

#[test]
fn hostile_requests_are_refused_and_change_nothing() {
    let mut serving = Serving::start(folder(), &["models/a", "--timeout", "1"]);
    let files = files();
    let good = serving.post("/v1/predict", &picture(1)).body;
    let send = |from: u64, to: u64| {
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let (serving, files, good) = (&serving, &files, &good);
                scope.spawn(move || {
                    for seed in (from..to).filter(|seed| seed % 8 == worker) {
                        let bytes = request(&mut ChaCha8Rng::seed_from_u64(seed), files);
                        let mut stream = serving.connect();
                        let _ = stream.write_all(&bytes);
                        if seed % 5 == 0 {
                            // gone before the answer
                            continue;
                        }
                        // what is missing never comes
                        let _ = stream.shutdown(std::net::Shutdown::Write);
                        let mut answer = Vec::new();
                        let _ = stream.read_to_end(&mut answer);
                        let answer = String::from_utf8_lossy(&answer);
                        assert!(!answer.contains(" 500 "), "{seed}: {answer}");
                        if seed % 50 == 1 {
                            assert_eq!(&serving.post("/v1/predict", &picture(1)).body, good, "{seed}");
                        }
                    }
                });
            }
        });
    };
    let count = num_requests();
    send(0, count / 2);
    let before = serving.memory();
    send(count / 2, count);
    let after = serving.memory();
    assert!(serving.child.try_wait().unwrap().is_none(), "{}", serving.said());
    assert_eq!(serving.post("/v1/predict", &picture(1)).body, good);
    assert!(!serving.said().contains("panicked"), "{}", serving.said());
    eprintln!("{count} requests: {before} KiB after the first half, {after} KiB at the end");
    assert!(after < before + (300 << 10), "{before} KiB, then {after} KiB");
}

#[test]
fn slow_senders_are_cut_off_and_keep_nobody_out() {
    let serving = Serving::start(folder(), &["models/a", "--timeout", "1", "--connections", "20"]);
    let head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx";
    let start = Instant::now();
    // a head that does not end, bodies that do not come, and connections that say nothing
    let slow: Vec<_> = [&b"GET / HT"[..], head, b""]
        .iter()
        .cycle()
        .take(60)
        .map(|bytes| {
            let mut stream = serving.connect();
            stream.write_all(bytes).unwrap();
            stream
        })
        .collect();
    assert_eq!(serving.post("/v1/predict", &picture(0)).status, 200, "three times 20 before it, a second each");
    assert!(start.elapsed() < Duration::from_secs(30));
    let answers: Vec<String> = slow
        .into_iter()
        .map(|mut stream| {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
        .collect();
    let too_slow = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 408")).count();
    assert_eq!(too_slow, 20, "{answers:?}");
}

#[test]
fn a_sender_of_single_bytes_gets_no_more_time() {
    let serving = Serving::start(folder(), &["models/a", "--timeout", "1"]);
    let mut stream = serving.connect();
    stream.write_all(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n").unwrap();
    let start = Instant::now();
    while stream.write_all(b"x").is_ok() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn more_than_the_queue_holds_is_answered_429_as_a_whole() {
    let serving = Serving::start(folder(), &["models/a", "--queue", "4"]);
    let png = picture(0);
    let (headers, body) = form(&[("a.png", &png[..]); 5]);
    let answer = serving.ask("POST /v1/predict", &headers, &body);
    assert_eq!((answer.status, answer.code().as_str()), (429, "busy"));
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert_eq!(serving.post("/v1/predict", &png).status, 200);
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let serving = Serving::start(folder(), &["models/a"]);
    let body = picture(0);
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = serving.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
