//! Choosing and sorting runs by their columns and settings.

use std::cmp::Ordering;
use std::str::FromStr;

use glob::Pattern;
use serde_json::Value;

use super::overview::{RunOverview, check_key, value_text};
use crate::error::{Error, Result};

/// A condition on a column or a setting, such as `model=keras-*` or `val_accuracy>=0.9`.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    key: String,
    relation: Relation,
    value: String,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// The signs, those first that begin as others do.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::Unequal),
    ("=", Relation::Equal),
    (">", Relation::Above),
    ("<", Relation::Below),
];

impl FromStr for Filter {
    type Err = Error;

    /// # Errors
    /// A configuration error where there is no sign in it, or no such column or setting.
    fn from_str(text: &str) -> Result<Self> {
        let sign = RELATIONS.iter().filter_map(|(sign, relation)| Some((text.find(sign)?, *sign, *relation)));
        // the first in the text; of two there, the longer one
        let Some((place, sign, relation)) = sign.min_by_key(|(place, sign, _)| (*place, 2 - sign.len())) else {
            let error = Error::config("the filter has no sign");
            return Err(error
                .expected("such as lr=0.001, model=keras-* or val_accuracy>=0.9")
                .got(format!("'{text}'")));
        };
        let key = text[..place].trim().replace('-', "_");
        check_key(&key)?;
        Ok(Filter { key, relation, value: text[place + sign.len()..].trim().to_owned() })
    }
}

impl Filter {
    /// Whether `run` meets it. A value that is not there meets none but `!=` of another, and `=-`.
    pub fn meets(&self, run: &RunOverview) -> bool {
        let value = run.value(&self.key);
        let order = || match value {
            Value::Null => None,
            _ => Some(compare(&value, &given(&self.value))),
        };
        match self.relation {
            Relation::Equal => self.is_equal(&value),
            Relation::Unequal => !self.is_equal(&value),
            Relation::AtLeast => order().is_some_and(Ordering::is_ge),
            Relation::AtMost => order().is_some_and(Ordering::is_le),
            Relation::Above => order().is_some_and(Ordering::is_gt),
            Relation::Below => order().is_some_and(Ordering::is_lt),
        }
    }

    /// By number, by text, or by a pattern with `*` and `?`.
    fn is_equal(&self, value: &Value) -> bool {
        let text = value_text(value);
        if text == self.value {
            return true;
        }
        match value.as_f64().zip(self.value.parse::<f64>().ok()) {
            Some((value, wanted)) => value == wanted,
            None => Pattern::new(&self.value.replace('[', "[[]")).is_ok_and(|pattern| pattern.matches(&text)),
        }
    }
}

/// Sorts `runs` by a column or setting: numbers by size, what is not there last.
///
/// # Errors
/// A configuration error where there is no such column or setting.
pub fn sort_runs(runs: &mut [RunOverview], key: &str, descending: bool) -> Result<()> {
    let key = key.replace('-', "_");
    check_key(&key)?;
    runs.sort_by(|a, b| match (a.value(&key), b.value(&key)) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (a, b) if descending => compare(&b, &a),
        (a, b) => compare(&a, &b),
    });
    Ok(())
}

/// What stands in a filter, as a number where it is one.
fn given(text: &str) -> Value {
    text.parse::<f64>().map_or_else(|_| text.into(), Value::from)
}

/// Numbers by size, all else by its text.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => value_text(a).cmp(&value_text(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_key_a_sign_and_a_value() {
        let filter = |text: &str| text.parse::<Filter>();
        let parts = |text: &str| filter(text).map(|filter| (filter.key, filter.relation, filter.value)).unwrap();
        assert_eq!(parts("lr=0.001"), ("lr".into(), Relation::Equal, "0.001".into()));
        assert_eq!(parts("batch-size >= 64"), ("batch_size".into(), Relation::AtLeast, "64".into()));
        assert_eq!(parts("status!=done"), ("status".into(), Relation::Unequal, "done".into()));
        assert_eq!(parts("test_accuracy<0.9"), ("test_accuracy".into(), Relation::Below, "0.9".into()));
        assert_eq!(parts("data=a=b"), ("data".into(), Relation::Equal, "a=b".into()));
        assert!(filter("done").unwrap_err().to_string().contains("no sign"));
        let error = filter("modl=x").unwrap_err().to_string();
        assert!(error.contains("column or setting 'modl'") && error.contains("model"), "{error}");
    }
}
