//! Bodies of several files: `multipart/form-data` (RFC 7578), which lies in memory as a whole.

use super::failure::Failure;

/// The longest boundary (RFC 2046, 5.1.1).
const MAX_BOUNDARY: usize = 70;
/// The most headers of a part.
const MAX_HEADERS: usize = 16;
/// The longest name of a file that is told, in letters.
const MAX_NAME: usize = 200;

/// One file of a body.
#[derive(Debug, PartialEq)]
pub struct Part<'a> {
    /// The file's name, where it has one, without its folders.
    pub file_name: Option<String>,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// The boundary that the header `content_type` names; none where it is no `multipart/form-data`.
///
/// # Errors
/// 400 where it names none, or one that cannot be.
pub fn boundary(content_type: &str) -> Result<Option<String>, Failure> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let found = parameter(parameters, "boundary").filter(|word| (1..=MAX_BOUNDARY).contains(&word.len()));
    found
        .map(Some)
        .ok_or_else(|| Failure::malformed("the multipart body's Content-Type names no boundary of 1 to 70 letters"))
}

/// The files of `body`, in their order; at most `max` of them.
///
/// # Errors
/// 400 where the body does not hold together, 413 where there are more.
pub fn parts<'a>(body: &'a [u8], boundary: &str, max: usize) -> Result<Vec<Part<'a>>, Failure> {
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => after(body, delimiter.as_bytes()).ok_or_else(|| broken("it does not begin with its boundary"))?.1,
    };
    let mut found = Vec::new();
    while !rest.starts_with(b"--") {
        // blanks may stand behind a boundary
        let line = after(rest, b"\r\n").ok_or_else(|| broken("it is cut short"))?;
        if !line.0.iter().all(|letter| b" \t".contains(letter)) {
            return Err(broken("something stands behind a boundary"));
        }
        let (part, behind) =
            after(line.1, delimiter.as_bytes()).ok_or_else(|| broken("its last boundary is missing"))?;
        if found.len() == max {
            return Err(Failure::too_large(format!("there are too many images in one request: at most {max}")));
        }
        found.push(read_part(part)?);
        rest = behind;
    }
    Ok(found)
}

fn broken(why: &str) -> Failure {
    Failure::malformed(format!("the multipart body is malformed: {why}"))
}

/// What lies before the first `separator`, and behind it.
fn after<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(bytes, separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

fn read_part(part: &[u8]) -> Result<Part<'_>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let (length, headers) = match httparse::parse_headers(part, &mut headers) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Err(broken("a part's headers do not end")),
        Err(error) => return Err(broken(&format!("a part's headers cannot be read: {error}"))),
    };
    let disposition = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-disposition"));
    let value = disposition.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default();
    let name = value.split_once(';').and_then(|(_, parameters)| parameter(parameters, "filename"));
    let file_name =
        name.map(|name| name.rsplit(['/', '\\']).next().unwrap_or_default().chars().take(MAX_NAME).collect());
    Ok(Part { file_name: file_name.filter(|name: &String| !name.is_empty()), bytes: &part[length..] })
}

/// The value of `name` in `; name=value; other="quoted \" value"`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut letters = text.chars().peekable();
    loop {
        let key: String = letters.by_ref().take_while(|letter| *letter != '=').collect();
        let value = match letters.peek()? {
            '"' => {
                letters.next();
                quoted(&mut letters)
            }
            _ => letters.by_ref().take_while(|letter| *letter != ';').collect(),
        };
        if key.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
    }
}

/// What stands before the closing quotation mark; it and backslashes may stand behind one.
fn quoted(letters: &mut impl Iterator<Item = char>) -> String {
    let mut value = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => value.extend(letters.next()),
            _ => value.push(letter),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<(Option<String>, String)>, Failure> {
        let parts = parts(body.as_bytes(), "xx", 2)?;
        Ok(parts.into_iter().map(|part| (part.file_name, String::from_utf8_lossy(part.bytes).into_owned())).collect())
    }

    #[test]
    fn a_boundary_may_be_quoted() {
        let of = |text: &str| boundary(text).unwrap();
        assert_eq!(of("image/png"), None);
        assert_eq!(of("multipart/form-data; boundary=a-b").as_deref(), Some("a-b"));
        assert_eq!(of("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a \\\" b\"").as_deref(), Some("a \" b"));
        for wrong in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x"] {
            assert!(boundary(wrong).is_err(), "{wrong}");
        }
        assert!(boundary(&format!("multipart/form-data; boundary={}", "a".repeat(71))).is_err());
    }

    #[test]
    fn files_come_in_order_with_their_names() {
        let body = "--xx\r\nContent-Disposition: form-data; name=\"a\"; filename=\"../x/1.png\"\r\nContent-Type: image/png\r\n\r\n\
                    one\r\n--\r\n--xx \r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--xx--\r\nbehind";
        let expected = vec![(Some("1.png".to_owned()), "one\r\n--".to_owned()), (None, String::new())];
        assert_eq!(read(body).unwrap(), expected);
        assert_eq!(read(&format!("before\r\n{body}")).unwrap(), expected);
        assert_eq!(read("--xx--").unwrap(), []);
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        let part = "--xx\r\nA: b\r\n\r\nc\r\n";
        let many = format!("{}--xx--", part.repeat(3));
        assert_eq!(read(&many).unwrap_err().status.as_u16(), 413);
        for body in
            ["", "x", "--xx", "--xx\r\n", "--xx\r\nA: b", "--xx\r\nA: b\r\n\r\nc", part, "--xxy\r\n\r\n\r\n--xx--"]
        {
            assert_eq!(read(body).unwrap_err().status.as_u16(), 400, "{body:?}");
        }
        assert_eq!(read("--xx\r\nno header\r\n\r\n\r\n--xx--").unwrap_err().status.as_u16(), 400);
    }

    #[test]
    fn random_bytes_do_not_panic() {
        use rand_chacha::rand_core::{Rng, SeedableRng};
        let words = ["--xx", "\r\n", "--", ":", "A: b", "\"", "\\", ";", "filename=", "Content-Disposition", "\0", "ÿ"];
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20_000 {
            let text: String =
                (0..random.next_u32() % 14).map(|_| words[random.next_u32() as usize % words.len()]).collect();
            let _ = (read(&text), boundary(&format!("multipart/form-data;{text}")));
        }
    }
}
