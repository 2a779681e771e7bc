//! Who may ask: the token, and which names a request may call this machine by.

use std::fmt;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::failure::Failure;
use crate::error::{Error, Result};

/// The fewest letters of a token: 16 of base64 are 96 bits.
const MIN_LETTERS: usize = 16;

/// A word that requests have to bring; its SHA-256 is kept, not the word.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token `word`; blanks and line ends around it do not count.
    ///
    /// # Errors
    /// A configuration error where it is too short to be secret, or cannot stand in a header.
    pub fn new(word: &str) -> Result<Self> {
        let word = word.trim();
        let error = |got: String| {
            let expected = format!("one word of {MIN_LETTERS} or more letters and digits");
            Err(Error::config("the token cannot be used").expected(expected).got(got).help("openssl rand -hex 32"))
        };
        match () {
            () if word.len() < MIN_LETTERS => error(format!("{} letters", word.len())),
            () if !word.bytes().all(|letter| letter.is_ascii_graphic()) => {
                error("blanks or letters beyond ASCII".into())
            }
            () => Ok(Token(Sha256::digest(word).into())),
        }
    }

    /// Whether `word` is the token; how long that takes says nothing about it.
    fn is(&self, word: &[u8]) -> bool {
        let other: [u8; 32] = Sha256::digest(word).into();
        self.0.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

/// Refuses requests without the token.
///
/// # Errors
/// 401.
pub(super) fn check_token(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(token) = token else { return Ok(()) };
    let brought = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let (scheme, word) = brought.split_at_checked(7).unwrap_or_default();
    match scheme.eq_ignore_ascii_case(b"bearer ") && token.is(word.trim_ascii()) {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the token is missing or another: Authorization: Bearer …",
        )),
    }
}

/// Refuses what a foreign page in this machine's browser may send: a request to a name that was made to lead here, and one
/// across sites. `is_guarded` is false where a token guards, which such pages do not have.
///
/// # Errors
/// 403.
pub(super) fn check_origin(is_guarded: bool, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !is_guarded {
        return Ok(());
    }
    let host = text(HOST.as_str()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(_) => host.split_inclusive(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let forbidden = |message: &str| Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", message));
    match () {
        () if !["127.0.0.1", "localhost", "[::1]"].contains(&name) => {
            forbidden("this server is for this machine: ask it as 127.0.0.1 or localhost, or start it with a token")
        }
        () if text("sec-fetch-site") == Some("cross-site") => forbidden("a page of another site may not ask"),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_one_long_word() {
        for word in ["", "short", "two words of some length", "çççççççççççç"] {
            assert_eq!(Token::new(word).unwrap_err().exit_code(), 2, "{word}");
        }
        let token = Token::new("0123456789abcdef\n").unwrap();
        let ask = |value: &str| check_token(Some(&token), &headers(&[("authorization", value)])).is_ok();
        assert!(ask("Bearer 0123456789abcdef") && ask("bearer  0123456789abcdef"));
        assert!(!ask("Bearer 0123456789abcdeg") && !ask("Basic 0123456789abcdef") && !ask("Bearer") && !ask(""));
        assert!(check_token(Some(&token), &HeaderMap::new()).is_err() && check_token(None, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn foreign_names_and_sites_are_refused() {
        let ask = |pairs: &[(&'static str, &str)]| check_origin(true, &headers(pairs)).is_ok();
        for host in ["127.0.0.1", "127.0.0.1:8000", "localhost:80", "[::1]:8000", "[::1]"] {
            assert!(ask(&[("host", host)]), "{host}");
        }
        for host in ["example.org", "example.org:8000", "127.0.0.1.example.org", "", "[::2]:1"] {
            assert!(!ask(&[("host", host)]), "{host}");
        }
        assert!(!ask(&[]) && !ask(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
        assert!(ask(&[("host", "localhost"), ("sec-fetch-site", "same-origin")]));
        assert!(check_origin(false, &headers(&[("host", "example.org")])).is_ok());
    }
}
