//! The words of a short form.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::error::{Error, Result};

/// A word with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub kind: TokenKind<'a>,
    /// Whether a blank stands before it.
    pub is_spaced: bool,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind<'a> {
    /// A name, with dots where Python has them.
    Word(&'a str),
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Real(f64),
    /// A text in quotes, without them.
    Text(&'a str),
    /// One of `( ) [ ] = , /`.
    Mark(char),
    /// The end of a line.
    LineEnd,
}

impl TokenKind<'_> {
    /// How a message names it.
    pub fn shown(&self) -> String {
        match self {
            TokenKind::Word(word) => format!("'{word}'"),
            TokenKind::Whole(number) => format!("'{number}'"),
            TokenKind::Real(number) => format!("'{number}'"),
            TokenKind::Text(text) => format!("\"{text}\""),
            TokenKind::Mark(mark) => format!("'{mark}'"),
            TokenKind::LineEnd => "the end of the line".to_owned(),
        }
    }
}

/// The words of `text`. A comment begins with `#` and ends with its line.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at_line = |error: Error| error.at(format!("line {}", index + 1));
        words_of(line, index + 1, &mut found).map_err(at_line)?;
        found.push(Token { line: index + 1, kind: TokenKind::LineEnd, is_spaced: false });
    }
    Ok(found)
}

fn words_of<'a>(line: &'a str, number: usize, found: &mut Vec<Token<'a>>) -> Result<()> {
    let mut characters = line.char_indices().peekable();
    let mut is_spaced = true;
    while let Some(&(start, character)) = characters.peek() {
        if character == '#' {
            break;
        }
        if character.is_whitespace() {
            is_spaced = true;
            characters.next();
            continue;
        }
        let kind = match character {
            '(' | ')' | '[' | ']' | '=' | ',' | '/' => {
                characters.next();
                TokenKind::Mark(character)
            }
            '"' | '\'' => quoted(line, start, character, &mut characters)?,
            _ => number_or_name(take(line, start, &mut characters))?,
        };
        found.push(Token { line: number, kind, is_spaced });
        is_spaced = false;
    }
    Ok(())
}

/// From `start` to the next blank, mark or comment.
fn take<'a>(line: &'a str, start: usize, characters: &mut Peekable<CharIndices<'a>>) -> &'a str {
    let ends = |character: char| character.is_whitespace() || "()[]=,/#\"'".contains(character);
    while characters.next_if(|(_, character)| !ends(*character)).is_some() {}
    &line[start..characters.peek().map_or(line.len(), |(end, _)| *end)]
}

fn quoted<'a>(
    line: &'a str,
    start: usize,
    quote: char,
    characters: &mut Peekable<CharIndices<'a>>,
) -> Result<TokenKind<'a>> {
    characters.next();
    match characters.by_ref().find(|(_, character)| *character == quote) {
        Some((end, _)) => Ok(TokenKind::Text(&line[start + 1..end])),
        None => Err(Error::model("a text has no end").expected(format!("a second {quote}")).got(&line[start..])),
    }
}

fn number_or_name(word: &str) -> Result<TokenKind<'_>> {
    let is_name = |first: char| first.is_alphabetic() || first == '_';
    if word.starts_with(is_name) && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
        return Ok(TokenKind::Word(word));
    }
    let digits = word.replace('_', "");
    let looks_like_one = digits.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let number = digits.parse().map(TokenKind::Whole).or_else(|_| digits.parse().map(TokenKind::Real));
    match number {
        Ok(number) if looks_like_one => Ok(number),
        _ => Err(Error::model(format!("'{word}' is no name and no number"))
            .help("a size of two numbers is written [3, 5]; a comment begins with #")),
    }
}
