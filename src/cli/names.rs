//! The values of flags that choose one of an enum's variants, by the names that strum gives them.

use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use strum::{EnumMessage, ParseError, VariantArray};

/// Takes the names of `T`'s variants. Help and completions show them with the first paragraph of their documentation; aliases
/// are accepted, but not shown.
pub fn names<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantArray + EnumMessage + ToString + FromStr<Err = ParseError> + Clone + Send + Sync,
{
    PossibleValuesParser::new(T::VARIANTS.iter().map(possible_value)).try_map(|name| name.parse())
}

fn possible_value(variant: &(impl EnumMessage + ToString)) -> PossibleValue {
    let name = variant.to_string();
    let aliases: Vec<&str> = variant.get_serializations().iter().copied().filter(|alias| *alias != name).collect();
    let value = PossibleValue::new(name).aliases(aliases);
    match variant.get_documentation() {
        Some(text) => value.help(sentence(text)),
        None => value,
    }
}

/// The first paragraph on one line, without its full stop, as clap shows documentation.
fn sentence(documentation: &str) -> String {
    let lines = documentation.lines().map(str::trim).take_while(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
