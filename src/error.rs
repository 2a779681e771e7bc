//! One error type for the library: what went wrong, what was expected, what came, where, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// The library's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is about. The command line turns each kind into one exit code (see [`ErrorKind::exit_code`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A fault of the program itself, or of the machine under it (a full disk while results are written, say).
    Internal,
    /// A flag, a configuration value or an output place that cannot be used.
    Config,
    /// A data set, an image or an array that cannot be used.
    Data,
    /// A model's architecture or weights that cannot be used.
    Model,
    /// A device or libtorch that cannot be used.
    Device,
    /// A number that stopped being finite.
    Numeric,
    /// A check that the user asked for did not hold.
    Check,
    /// Stopped by SIGHUP (1), SIGINT (2) or SIGTERM (15) after everything was saved.
    Stopped {
        /// The signal's number.
        signal: i32,
    },
}

impl ErrorKind {
    /// The process's exit code for this kind: part of the command line's contract.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Internal => 1,
            ErrorKind::Config => 2,
            ErrorKind::Data => 3,
            ErrorKind::Model => 4,
            ErrorKind::Device => 5,
            ErrorKind::Numeric => 6,
            ErrorKind::Check => 7,
            ErrorKind::Stopped { signal } => 128 + u8::try_from(signal).unwrap_or(0),
        }
    }
}

/// An error as one paragraph: what; expected and got; where; the way out.
///
/// ```
/// use convnet::error::Error;
/// let error = Error::data("the header lies about its size")
///     .expected("60000 images")
///     .got("59999")
///     .at("train-images-idx3-ubyte.gz")
///     .help("download the file again");
/// assert_eq!(
///     error.to_string(),
///     "the header lies about its size: expected 60000 images, got 59999 (train-images-idx3-ubyte.gz); download the file again"
/// );
/// ```
///
/// `Debug` says the same with what lies underneath, so that `fn main() -> convnet::error::Result<()>` ends with it.
pub struct Error(Box<Details>);

struct Details {
    kind: ErrorKind,
    what: String,
    expected: Option<String>,
    got: Option<String>,
    /// Outermost place first: a file, then a key or a byte in it.
    places: Vec<String>,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `what` went wrong.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Error(Box::new(Details {
            kind,
            what: what.into(),
            expected: None,
            got: None,
            places: Vec::new(),
            help: None,
            source: None,
        }))
    }

    /// A fault of the program or the machine: exit code 1.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, what)
    }

    /// A flag, a value or an output place that cannot be used: exit code 2.
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, what)
    }

    /// Data that cannot be used: exit code 3.
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, what)
    }

    /// A model that cannot be used: exit code 4.
    pub fn model(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Model, what)
    }

    /// A device or libtorch that cannot be used: exit code 5.
    pub fn device(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Device, what)
    }

    /// A number that is not finite: exit code 6.
    pub fn numeric(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Numeric, what)
    }

    /// What was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.0.expected = Some(expected.to_string());
        self
    }

    /// What came instead.
    #[must_use]
    pub fn got(mut self, got: impl fmt::Display) -> Self {
        self.0.got = Some(got.to_string());
        self
    }

    /// Where: a path, a layer, a key, a byte. Each call names a place around the ones named before.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.places.insert(0, place.to_string());
        self
    }

    /// As [`Error::at`], for a path.
    #[must_use]
    pub fn at_path(self, path: &Path) -> Self {
        self.at(path.display())
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The error underneath, printed behind this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, where something is known.
    pub fn advice(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// What went wrong and where, without the advice.
    pub fn fault(&self) -> String {
        let parts = &*self.0;
        let numbers = match (&parts.expected, &parts.got) {
            (Some(expected), Some(got)) => format!(": expected {expected}, got {got}"),
            (Some(expected), None) => format!(": expected {expected}"),
            (None, Some(got)) => format!(": got {got}"),
            (None, None) => String::new(),
        };
        let places = if parts.places.is_empty() { String::new() } else { format!(" ({})", parts.places.join(", ")) };
        format!("{}{numbers}{places}", parts.what)
    }

    /// Why it went wrong, where that is known, else what did and where; without the advice.
    pub fn reason(&self) -> String {
        self.source().map_or_else(|| self.fault(), ToString::to_string)
    }

    /// The process's exit code for this error.
    pub fn exit_code(&self) -> u8 {
        self.0.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault())?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An error and those underneath, on one line: what went wrong and why, then what to do about it.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let (mut faults, mut advice) = (Vec::new(), Vec::new());
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<Error>() {
            Some(own) => {
                faults.push(own.fault());
                advice.extend(own.advice().map(str::to_owned));
            }
            None => faults.push(error.to_string()),
        }
        next = error.source();
    }
    std::iter::once(faults.join(": ")).chain(advice).collect::<Vec<_>>().join("; ")
}

/// The known word nearest to `word`, as the end of a message: `, did you mean 'relu'?`; the list where none is near.
pub fn nearest(word: &str, known: &[&str]) -> String {
    let scored = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate));
    match scored.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        // 0.8: below it, words read as unrelated ("relu" and "selu" 0.83, "Dense" and "Reshape" 0.56)
        Some((score, candidate)) if score >= 0.8 => format!(", did you mean '{candidate}'?"),
        _ => format!("; known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;
