//! The lines of a short form: each a layer with what it is given, in Python's or in the short spelling.

use super::lex::{Token, TokenKind, tokens};
use crate::error::{Error, Result};

/// How deeply brackets may be nested in one another.
const MAX_DEPTH: usize = 32;

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// A number, `True`, `False`, `None`.
    Plain(serde_json::Value),
    /// A text in quotes.
    Text(String),
    /// A name without quotes, without the module before it.
    Word(String),
    /// Several in brackets.
    List(Vec<Written>),
    /// A name with arguments.
    Call(Call),
}

/// A name with arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// From 1.
    pub line: usize,
    /// The name, without the module before it.
    pub name: String,
    /// The arguments in order: with their parameter's name, where that is written.
    pub arguments: Vec<(Option<String>, Written)>,
}

/// The layers of `text`.
pub(super) fn layers(text: &str) -> Result<Vec<Call>> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0 };
    let mut layers = Vec::new();
    while let Some(token) = parser.peek() {
        if token.kind == TokenKind::LineEnd {
            parser.next += 1;
            continue;
        }
        let line = token.line;
        layers.push(parser.layer().map_err(|error| error.at(format!("line {line}")))?);
    }
    Ok(layers)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.next)
    }

    /// What comes next, within brackets: lines do not end there.
    fn peek_inside(&mut self) -> Option<&'a Token<'a>> {
        while self.peek().is_some_and(|token| token.kind == TokenKind::LineEnd) {
            self.next += 1;
        }
        self.peek()
    }

    fn takes(&mut self, mark: char) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == TokenKind::Mark(mark));
        self.next += usize::from(found);
        found
    }

    fn is_at_line_end(&self) -> bool {
        self.peek().is_none_or(|token| token.kind == TokenKind::LineEnd)
    }

    /// A line: `Conv2D 32 3 relu`, `layers.Conv2D(32, 3, activation="relu"),` or `model = Sequential([...])`.
    fn layer(&mut self) -> Result<Call> {
        let (line, name) = self.name()?;
        if ["import", "from", "def", "class", "return"].contains(&name) || name.ends_with(".add") {
            return Err(Error::model(format!("'{name}' is Python code, not a layer"))
                .expected("one layer a line, such as Conv2D 32 3 relu, or a Sequential([...])"));
        }
        if self.takes('=') {
            return self.assigned();
        }
        let opens = self.peek().filter(|token| token.kind == TokenKind::Mark('('));
        let arguments = match opens {
            Some(token) if !token.is_spaced => self.bracketed_arguments()?,
            Some(_) => {
                return Err(Error::model("a blank stands before the bracket")
                    .help(format!("write {name}(...), or [3, 5] where a size of two numbers is meant")));
            }
            None => self.bare_arguments()?,
        };
        self.takes(',');
        if !self.is_at_line_end() {
            return Err(unexpected(self.peek()).expected("the end of the line: one layer a line"));
        }
        Ok(Call { line, name: without_module(name), arguments })
    }

    /// What stands behind `model =`.
    fn assigned(&mut self) -> Result<Call> {
        let value = self.value()?;
        match value {
            Written::Call(call) if call.name == "Sequential" && self.is_at_line_end() => Ok(call),
            _ => Err(Error::model("a layer is not assigned").expected("Sequential([...]) behind the =")),
        }
    }

    fn name(&mut self) -> Result<(usize, &'a str)> {
        match self.peek() {
            Some(Token { kind: TokenKind::Word(word), line, .. }) => {
                self.next += 1;
                Ok((*line, word))
            }
            other => Err(unexpected(other).expected("a layer's name first, such as Conv2D")),
        }
    }

    /// Arguments up to the end of the line.
    fn bare_arguments(&mut self) -> Result<Vec<(Option<String>, Written)>> {
        let mut arguments = Vec::new();
        while !self.is_at_line_end() {
            arguments.push(self.argument()?);
            self.takes(',');
        }
        Ok(arguments)
    }

    /// Arguments in round brackets.
    fn bracketed_arguments(&mut self) -> Result<Vec<(Option<String>, Written)>> {
        self.inside('(', ')', Self::argument)
    }

    fn argument(&mut self) -> Result<(Option<String>, Written)> {
        let is_named = matches!(
            self.tokens.get(self.next..self.next + 2),
            Some([Token { kind: TokenKind::Word(_), .. }, Token { kind: TokenKind::Mark('='), .. }])
        );
        if !is_named {
            return Ok((None, self.value()?));
        }
        let (_, name) = self.name()?;
        self.next += 1;
        Ok((Some(name.to_owned()), self.value()?))
    }

    /// What `read` finds between two brackets, separated by commas.
    fn inside<T>(&mut self, open: char, close: char, read: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.takes(open);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::model("brackets are nested too deeply").expected(format!("at most {MAX_DEPTH} levels")));
        }
        let mut found = Vec::new();
        loop {
            self.peek_inside();
            if self.takes(close) {
                break;
            }
            found.push(read(self)?);
            match self.peek_inside() {
                Some(Token { kind: TokenKind::Mark(','), .. }) => self.next += 1,
                Some(Token { kind: TokenKind::Mark(mark), .. }) if *mark == close => {}
                other => return Err(unexpected(other).expected(format!("',' or '{close}'"))),
            }
        }
        self.depth -= 1;
        Ok(found)
    }

    fn value(&mut self) -> Result<Written> {
        let Some(token) = self.peek() else { return Err(unexpected(None).expected("a value")) };
        match token.kind {
            TokenKind::Mark('[') => Ok(Written::List(self.inside('[', ']', Self::value)?)),
            TokenKind::Mark('(') => Ok(Written::List(self.inside('(', ')', Self::value)?)),
            TokenKind::Whole(_) | TokenKind::Real(_) => self.number(),
            TokenKind::Text(text) => {
                self.next += 1;
                Ok(Written::Text(text.to_owned()))
            }
            TokenKind::Word(word) => {
                self.next += 1;
                let opens = self.peek().is_some_and(|next| next.kind == TokenKind::Mark('(') && !next.is_spaced);
                if opens {
                    let arguments = self.bracketed_arguments()?;
                    return Ok(Written::Call(Call { line: token.line, name: without_module(word), arguments }));
                }
                Ok(plain(word).unwrap_or_else(|| Written::Word(without_module(word))))
            }
            TokenKind::Mark(_) | TokenKind::LineEnd => Err(unexpected(Some(token)).expected("a value")),
        }
    }

    /// A number, or one divided by another: `1/255`.
    fn number(&mut self) -> Result<Written> {
        let first = self.digits()?;
        if !self.takes('/') {
            return Ok(Written::Plain(first));
        }
        let second = self.digits()?;
        let quotient = first.as_f64().unwrap_or(f64::NAN) / second.as_f64().unwrap_or(f64::NAN);
        let number = serde_json::Number::from_f64(quotient);
        number.map(|number| Written::Plain(number.into())).ok_or_else(|| Error::model("a division without a result"))
    }

    fn digits(&mut self) -> Result<serde_json::Value> {
        let token = self.peek();
        self.next += 1;
        let number = match token.map(|token| token.kind) {
            Some(TokenKind::Whole(number)) => Some(number.into()),
            Some(TokenKind::Real(number)) => serde_json::Number::from_f64(number),
            _ => None,
        };
        number.map(Into::into).ok_or_else(|| unexpected(token).expected("a finite number"))
    }
}

fn plain(word: &str) -> Option<Written> {
    match word {
        "True" | "true" => Some(Written::Plain(true.into())),
        "False" | "false" => Some(Written::Plain(false.into())),
        "None" | "null" => Some(Written::Plain(serde_json::Value::Null)),
        _ => None,
    }
}

/// `keras.layers.Conv2D` is Conv2D.
fn without_module(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

fn unexpected(token: Option<&Token>) -> Error {
    let got = token.map_or_else(|| "the end of the file".to_owned(), |token| token.kind.shown());
    Error::model("the line cannot be read").got(got)
}
