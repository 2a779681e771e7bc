//! `convnet serve`: what it answers.

mod ending;
mod hostile;
mod server;

use std::io::{Read, Write};

use serde_json::Value;

use crate::program::{convnet, failed};
use server::{Serving, folder, form, picture, predicted};

/// A prediction but for what its image is called.
fn unnamed(mut prediction: Value) -> Value {
    prediction.as_object_mut().unwrap().remove("input").unwrap();
    prediction
}

#[test]
fn predictions_are_those_of_predict_bit_by_bit() {
    let serving = Serving::start(folder(), &["models/a"]);
    let expected: Vec<Value> = (0..10).map(|number| predicted("models/a", number)).collect();
    for (number, expected) in expected.iter().enumerate() {
        let answer = serving.post("/v1/predict", &picture(number));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(unnamed(answer.json()["predictions"][0].take()), unnamed(expected.clone()), "{number}");
    }
    let pictures: Vec<_> = (0..10).map(|number| (format!("{number}.png"), picture(number))).collect();
    let files: Vec<(&str, &[u8])> = pictures.iter().map(|(name, bytes)| (&**name, &bytes[..])).collect();
    let (headers, body) = form(&files);
    let together = serving.ask("POST /v1/predict", &headers, &body);
    assert_eq!(together.json()["predictions"], Value::Array(expected.clone()), "names and order, too");
    // many at a time: however they are put together, the bits are the same
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (serving, expected) = (&serving, &expected);
            scope.spawn(move || {
                for round in 0..20 {
                    let number = (worker * 7 + round * 3) % 10;
                    let mut answer = serving.post("/v1/predict", &picture(number)).json();
                    assert_eq!(unnamed(answer["predictions"][0].take()), unnamed(expected[number].clone()));
                }
            });
        }
    });
    let metrics = String::from_utf8(serving.get("/metrics").body).unwrap();
    assert!(metrics.contains("convnet_images_total{model=\"a\"} 180\n"), "{metrics}");
    assert!(metrics.contains("convnet_requests_total{path=\"/v1/predict\",code=\"200\"} 171\n"), "{metrics}");
    assert!(metrics.contains("convnet_queue_images{model=\"a\"} 0\n"), "{metrics}");
}

#[test]
fn an_image_unlike_the_training_images_is_said_to_be() {
    let serving = Serving::start(folder(), &["models/a"]);
    let mut inverted = image::load_from_memory(&picture(3)).unwrap().to_luma8();
    inverted.pixels_mut().for_each(|pixel| pixel.0[0] = 255 - pixel.0[0]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    inverted.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let answer = serving.post("/v1/predict?top=2", bytes.get_ref()).json();
    assert_eq!(answer["predictions"][0]["unlike"], serde_json::json!(["inverted"]));
    assert_eq!(answer["predictions"][0]["top"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_answered_is_said_with_its_status() {
    let flags = ["models/a", "--max-body", "1", "--max-images", "2", "--max-pixels", "1"];
    let serving = Serving::start(folder(), &flags);
    let png = picture(0);
    let large = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::GrayImage::new(1001, 1000).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    let (form_type, two) = form(&[("a.png", &png), ("b.png", &png)]);
    let (_, three) = form(&[("a.png", &png), ("b.png", &png), ("c.png", &png)]);
    let (_, mixed) = form(&[("a.png", &png), ("b.png", &png[..60])]);
    let (_, none) = form(&[]);
    let cases: &[(&str, &str, &[u8], u16, &str)] = &[
        ("POST /v1/predict", "", &png, 200, ""),
        ("POST /v1/predict", "Content-Type: image/png\r\n", &png, 200, ""),
        ("POST /v1/predict", "Content-Type: application/x-www-form-urlencoded\r\n", &png, 200, ""),
        ("POST /v1/models/a/predict?model=a", "", &png, 200, ""),
        ("POST /v1/predict", &form_type, &two, 200, ""),
        ("POST /v1/predict", "", b"", 400, "malformed"),
        ("POST /v1/predict", &form_type, &none, 400, "malformed"),
        ("POST /v1/predict", &form_type, &two[..two.len() - 9], 400, "malformed"),
        ("POST /v1/predict", "Content-Type: multipart/form-data\r\n", &two, 400, "malformed"),
        ("POST /v1/predict?top=0", "", &png, 400, "malformed"),
        ("POST /v1/predict?top=many", "", &png, 400, "malformed"),
        ("POST /v1/predict?tpo=3", "", &png, 400, "malformed"),
        ("POST /v1/models/a/predict?model=b", "", &png, 400, "malformed"),
        ("POST /v1/models/%ff/predict", "", &png, 400, "malformed"),
        ("POST /v1/predict?model=A", "", &png, 404, "not_found"),
        ("GET /v1/models/none", "", b"", 404, "not_found"),
        ("GET /nothing", "", b"", 404, "not_found"),
        ("GET /v1/predict", "", b"", 405, "method_not_allowed"),
        ("DELETE /v1/models/a", "", b"", 405, "method_not_allowed"),
        ("POST /v1/predict", "", &vec![0; (1 << 20) + 1], 413, "too_large"),
        ("POST /v1/predict", "", &large, 413, "too_large"),
        ("POST /v1/predict", &form_type, &three, 413, "too_large"),
        ("POST /v1/predict", "", b"no image at all", 415, "unsupported"),
        ("POST /v1/predict", "Content-Type: application/json\r\n", b"{}", 415, "unsupported"),
        ("POST /v1/predict", "", &png[..60], 422, "unusable_image"),
        ("POST /v1/predict", &form_type, &mixed, 422, "unusable_image"),
        ("GET /healthz", "Host: example.org\r\n", b"", 403, "forbidden"),
        ("POST /v1/predict", "Sec-Fetch-Site: cross-site\r\n", &png, 403, "forbidden"),
    ];
    for (line, headers, body, status, code) in cases {
        let answer = serving.ask(line, headers, body);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, *status, "{line} {headers}: {text}");
        assert!(answer.head.contains("content-security-policy: default-src 'none'"), "{}", answer.head);
        if *status != 200 {
            assert_eq!(answer.code(), *code, "{line} {headers}");
            assert!(!text.contains("--"), "no flag and no path of the server: {text}");
        }
    }
    let mixed = serving.ask("POST /v1/predict", &form_type, &mixed).json();
    assert!(mixed["error"]["message"].as_str().unwrap().starts_with("b.png: "), "{mixed}");
}

#[test]
fn an_answer_is_read_by_those_who_send_all_first() {
    let folder = folder();
    std::fs::write(folder.join("word"), "a-word-of-some-length").unwrap();
    let serving = Serving::start(folder, &["models/a", "--max-body", "1", "--token", "word"]);
    let body = vec![7; 30 << 20];
    let asked = |line: &str, headers: &str| {
        let mut stream = serving.connect();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        // as proxies do: a connection that breaks meanwhile is a 502 of theirs
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .unwrap_or_else(|error| panic!("{line} {headers}: {error}"));
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8_lossy(&start).into_owned()
    };
    let token = "Authorization: Bearer a-word-of-some-length\r\n";
    assert_eq!(asked("POST /v1/predict", token), "HTTP/1.1 413");
    assert_eq!(asked("POST /v1/predict", ""), "HTTP/1.1 401");
    assert_eq!(asked("POST /nothing", token), "HTTP/1.1 404");
    assert_eq!(asked("PUT /v1/predict", token), "HTTP/1.1 405");
    // a client that asks first is told, and sends nothing
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nHost: x\r\n{token}Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"
    );
    assert_eq!(serving.raw(head.as_bytes()).unwrap().status, 413);
}

#[test]
fn a_model_says_what_it_is_and_the_page_is_there() {
    let serving = Serving::start(folder(), &["first=models/a"]);
    let model = serving.get("/v1/model").json();
    assert_eq!(model["name"], "first");
    assert_eq!(
        model["input"],
        serde_json::json!({"height": 28, "width": 28, "channels": 1, "scale": 1.0 / 255.0, "resize": "stretch"})
    );
    assert_eq!((&model["parameters"], &model["run"]), (&Value::from(34826), &Value::from("a")));
    assert!(model["labels"].as_array().unwrap().len() == 10 && model["metrics"]["val_accuracy"].is_number(), "{model}");
    assert_eq!(serving.get("/healthz").json()["status"], "ok");
    let page = serving.get("/");
    let text = String::from_utf8(page.body).unwrap();
    assert!(page.head.contains("text/html") && text.contains("<canvas"), "{text}");
    for file in ["page.css", "page.js"] {
        assert!(text.contains(file) && serving.get(&format!("/{file}")).status == 200, "{file}");
    }
    // it works without any other server
    let script = String::from_utf8(serving.get("/page.js").body).unwrap();
    assert!(!(text + &script).contains("//www.") && !script.contains("https:"));
}

#[test]
fn several_models_are_asked_by_name() {
    let serving = Serving::start(folder(), &["models/a", "logs/b", "c=models/b.json"]);
    let names: Vec<_> = serving.get("/v1/models").json()["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].clone())
        .collect();
    assert_eq!(names, ["a", "b", "c"], "a run is called by its name");
    let answer = serving.post("/v1/predict", &picture(1));
    assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"));
    let of = |path: &str| unnamed(serving.post(path, &picture(1)).json()["predictions"][0].take());
    assert_eq!(of("/v1/predict?model=a"), unnamed(predicted("models/a", 1)));
    assert_eq!(of("/v1/models/c/predict"), unnamed(predicted("models/b", 1)));
    assert_ne!(of("/v1/models/a/predict"), of("/v1/models/b/predict"));
}

#[test]
fn other_machines_are_let_in_with_a_token_only() {
    let at = folder();
    failed(&convnet(at, &["serve", "models/a", "--host", "0.0.0.0", "--port", "0"]), 2, "--token");
    std::fs::write(at.join("short"), "secret\n").unwrap();
    failed(&convnet(at, &["serve", "models/a", "--token", "short"]), 2, "the token cannot be used");
    failed(&convnet(at, &["serve", "models/a", "--token", "nowhere"]), 2, "cannot read the token");
    std::fs::write(at.join("token"), "0123456789abcdef0123\n").unwrap();
    let serving = Serving::start(at, &["models/a", "--host", "0.0.0.0", "--token", "token"]);
    let port = serving.address.rsplit_once(':').unwrap().1;
    let serving_here = |headers: &str, line: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: example.org:{port}\r\nConnection: close\r\n{headers}\r\n");
        serving.raw(request.as_bytes()).unwrap()
    };
    for headers in
        ["", "Authorization: Bearer 0123456789abcdef0124\r\n", "Authorization: Basic 0123456789abcdef0123\r\n"]
    {
        for line in ["GET /v1/model", "GET /metrics", "POST /v1/predict", "GET /nothing"] {
            let answer = serving_here(headers, line);
            assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{line}");
            assert!(answer.head.contains("www-authenticate: Bearer"), "{}", answer.head);
        }
    }
    let token = "Authorization: Bearer 0123456789abcdef0123\r\n";
    assert_eq!(serving_here(token, "GET /v1/model").status, 200);
    assert_eq!((serving_here("", "GET /").status, serving_here("", "GET /healthz").status), (200, 200));
}

#[test]
fn what_cannot_be_served_is_an_error_at_the_start() {
    let at = folder();
    failed(&convnet(at, &["serve"]), 2, "MODEL");
    failed(&convnet(at, &["serve", "models/none"]), 4, "there is no model 'models/none'");
    failed(&convnet(at, &["serve", "models/a", "x/y=models/b"]), 2, "a model cannot be called that");
    failed(&convnet(at, &["serve", "models/a", "a=models/b"]), 2, "two models are called 'a'");
    failed(&convnet(at, &["serve", "models/a", "--queue", "0"]), 2, "--queue");
    failed(&convnet(at, &["serve", "models/a", "--min-precision", "2", "--port", "0"]), 2, "precision");
    let serving = Serving::start(at, &["models/a"]);
    let port = serving.address.rsplit_once(':').unwrap().1;
    failed(&convnet(at, &["serve", "models/a", "--port", port]), 2, "cannot listen on port");
}
