//! `convnet report`: a run's page, whatever is there of the run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::program::{NO_GPU, convnet, failed, succeeded, train};

/// The page that `report` writes for run `run` in `folder`, and what was said.
fn page(folder: &Path, run: &str, more: &[&str]) -> (String, String) {
    let output = convnet(folder, &[&["report", run, "--out", "page.html"], more].concat());
    succeeded(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (fs::read_to_string(folder.join("page.html")).unwrap(), said)
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn a_page_says_all_that_is_known_and_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--optimizer", "sgd"]));
    let (html, said) = page(at, "a", &[]);
    for id in ["next", "curves", "classes", "calibration", "data", "settings", "environment"] {
        assert_eq!(count(&html, &format!("<section id=\"{id}\"")), 1, "{id}");
        assert_eq!(count(&html, &format!("href=\"#{id}\"")), 1, "{id}");
    }
    // nothing is fetched
    let outside = html.match_indices("http").filter(|(at, _)| !html[*at..].starts_with("http://www.w3.org/2000/svg"));
    assert_eq!(outside.map(|(at, _)| &html[at..(at + 40).min(html.len())]).collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(count(&html, "<svg"), count(&html, "role=\"img\" aria-label=\""), "drawings have names");
    let texts = count(&html, "alt=\"test image ") + count(&html, "alt=\"training image ");
    assert_eq!(count(&html, "<img"), texts, "pictures have texts");
    assert!(html.contains("id=\"suspects\""), "the run noted what its images did");
    assert!(html.contains("<th scope=\"row\">optimizer</th><td>sgd</td>"));
    assert!(html.contains("of 100 test images are right"), "{said}");
    assert!(said.contains("wrote page.html"), "{said}");
    let (again, said) = page(at, "logs/a", &[]);
    assert_eq!(again, html);
    assert!(said.contains("replaced page.html"), "{said}");
    succeeded(&convnet(at, &["report", "a"]));
    assert_eq!(fs::read_to_string(at.join("logs/a/report.html")).unwrap(), html);
}

#[test]
fn what_is_missing_or_of_others_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    succeeded(&train(at, &["--run", "b", "--seed", "1", "--name", "b"]));
    let [a, b] = ["a", "b"].map(|run| at.join(format!("logs/{run}/predictions/test.safetensors")));
    fs::copy(&b, &a).unwrap();
    let (html, said) = page(at, "a", &["--no-images"]);
    assert!(
        said.contains("No scores on test images: the predictions that a has kept are not those of its model"),
        "{said}"
    );
    assert!(html.contains("class=\"missing\"") && !html.contains("test images are right"));
    assert!(html.contains("of 60 validation images are right"), "the validation images take their place");
    for broken in [&b"no safetensors"[..], b""] {
        fs::write(&a, broken).unwrap();
        let (_, said) = page(at, "a", &["--no-images"]);
        assert!(said.contains("No scores on test images"), "{said}");
    }
    fs::remove_dir_all(at.join("logs/a/predictions")).unwrap();
    fs::remove_file(at.join("logs/a/history.csv")).unwrap();
    let (html, _) = page(at, "a", &["--no-images"]);
    assert!(html.contains("0 of 2 epochs") && !html.contains("All epochs"));
    fs::write(at.join("logs/a/history.csv"), "nonsense\n1,2\n").unwrap();
    failed(&convnet(at, &["report", "a"]), 3, "history.csv");
    failed(&convnet(at, &["report", "nowhere"]), 2, "there is no run 'nowhere'");
    fs::create_dir(at.join("logs/foreign")).unwrap();
    failed(&convnet(at, &["report", "logs/foreign"]), 2, "there is no run");
    failed(&convnet(at, &["report", "b", "--out", "/proc/page.html"]), 2, "cannot write the page");
}

#[test]
fn a_page_says_where_the_run_stands() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a"]));
    let path = at.join("logs/a/run.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(page(at, "a", &["--no-images"]).0.contains("2 of 2 epochs, done."));
    record.as_object_mut().unwrap().remove("result").unwrap();
    fs::write(&path, record.to_string()).unwrap();
    assert!(page(at, "a", &["--no-images"]).0.contains("stopped: <code>convnet train --resume</code>"));
    let lock = fs::File::open(at.join("logs/a/lock")).unwrap();
    lock.lock().unwrap();
    assert!(page(at, "a", &["--no-images"]).0.contains("training now"));
    drop(lock);
    record["failure"] = "the loss is <not> finite".into();
    fs::write(&path, record.to_string()).unwrap();
    assert!(page(at, "a", &["--no-images"]).0.contains("the loss is &lt;not&gt; finite"));
}

#[test]
fn names_are_text_and_never_markup() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (class, shade) in [("<script>alert(1)<", 10), ("a & \"b\" `c`", 120)] {
        let class_folder = at.join("pictures").join(class);
        fs::create_dir_all(&class_folder).unwrap();
        for number in 0..20 {
            let image = image::GrayImage::from_pixel(12, 12, image::Luma([shade + number]));
            image.save(class_folder.join(format!("{number}.png"))).unwrap();
        }
    }
    let args = ["train", "pictures", "--epochs", "1", "--run", "a", "--model", "mlp", "-q"];
    succeeded(&convnet(at, &args));
    let (html, _) = page(at, "a", &[]);
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;") && html.contains("a &amp; &quot;b&quot;"));
}

/// A `report --watch` that is ended with the test.
struct Watching {
    child: Child,
    address: String,
}

impl Watching {
    fn start(folder: &Path, run: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convnet"));
        command.args(["report", run, "--watch", "--port", "0"]).current_dir(folder).env(NO_GPU, "");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        Watching { child, address }
    }

    /// The answer to `GET path` with these headers.
    fn get(&self, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_page_grows_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeeded(&train(at, &["--run", "a", "--epochs", "1"]));
    let history = fs::read_to_string(at.join("logs/a/history.csv")).unwrap();
    let watching = Watching::start(at, "a");
    let own = format!("Host: {}\r\n", watching.address);
    let first = watching.get("/", &own);
    assert!(first.starts_with("HTTP/1.1 200") && first.contains("1 of 1 epochs"), "{first}");
    assert!(first.contains("setTimeout(refresh"), "it asks again");
    let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let known = watching.get("/content", &format!("{own}If-None-Match: {tag}\r\n"));
    assert!(known.starts_with("HTTP/1.1 304"), "{known}");
    let row = history.lines().last().unwrap().replacen('1', "2", 1);
    fs::write(at.join("logs/a/history.csv"), format!("{history}{row}\n")).unwrap();
    let grown = watching.get("/content", &format!("{own}If-None-Match: {tag}\r\n"));
    assert!(grown.starts_with("HTTP/1.1 200") && grown.contains("2 of 1 epochs"), "{grown}");
    assert!(!grown.contains("<html"), "the content only");

    let foreign = watching.get("/", "Host: example.org\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
    assert!(watching.get("/other", &own).starts_with("HTTP/1.1 404"));
    fs::write(at.join("logs/a/history.csv"), "nonsense\n1,2\n").unwrap();
    let broken = watching.get("/", &own);
    assert!(broken.starts_with("HTTP/1.1 503") && broken.contains("history.csv"), "{broken}");
    let port = watching.address.rsplit_once(':').unwrap().1;
    failed(&convnet(at, &["report", "a", "--watch", "--port", port]), 2, "cannot listen on port");
}
