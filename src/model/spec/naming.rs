//! Layers' names: given in the file, or Keras's own.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// The longest name a layer may have, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// The names given so far: unique, and Keras's own where the file says none.
#[derive(Default)]
pub(super) struct Names {
    taken: HashMap<String, ()>,
    per_class: HashMap<String, usize>,
}

impl Names {
    /// The name of a layer of the class `class_name`, which the file may give.
    ///
    /// # Errors
    /// A model error where another layer has it, or it is too long.
    pub fn take(&mut self, given: Option<String>, class_name: &str) -> Result<String> {
        let base = snake_case(class_name);
        let count = self.per_class.entry(base.clone()).or_default();
        let automatic = if *count == 0 { base } else { format!("{base}_{count}") };
        *count += 1;
        let name = given.unwrap_or(automatic);
        if name.len() > MAX_NAME_BYTES {
            return Err(Error::model("a layer's name is too long")
                .expected(format!("at most {MAX_NAME_BYTES} bytes"))
                .got(format!("{} bytes", name.len()))
                .at("name"));
        }
        match self.taken.insert(name.clone(), ()) {
            None => Ok(name),
            Some(()) => Err(Error::model("two layers have one name").got(format!("'{name}' twice")).at("name")),
        }
    }
}

/// Keras's automatic layer name for a class: `MaxPooling2D` → `max_pooling2d`, `PReLU` → `p_re_lu`.
pub(crate) fn snake_case(class_name: &str) -> String {
    let characters: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| characters[before]);
        let after_is_lower = characters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        if character.is_ascii_uppercase() && before.is_some_and(|before| after_is_lower || before.is_ascii_lowercase())
        {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests;
