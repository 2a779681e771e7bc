//! Where a serialised object comes from: only Keras's own classes can be computed.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Refuses an object of a class that is not Keras's own, whatever its name.
pub(in super::super) fn check_origin(object: &Map<String, Value>) -> Result<()> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let class_name = text("class_name").unwrap_or_default();
    let is_of_keras = |module: &str| {
        let package = module.split('.').next().unwrap_or(module);
        ["keras", "tf_keras", "tensorflow", "builtins"].contains(&package)
    };
    let registered = text("registered_name").filter(|name| name.contains('>') && !name.starts_with("keras"));
    let foreign = text("module").filter(|module| !is_of_keras(module)).or(registered);
    let foreign = foreign.or_else(|| class_name.contains('>').then_some(class_name));
    match foreign {
        None => Ok(()),
        Some(origin) => Err(Error::model(format!("the custom class '{class_name}' is not supported"))
            .expected("a class of Keras's own")
            .got(format!("one of '{origin}', which only its Python code can compute"))
            .at("class_name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn custom_classes_are_known_by_their_origin() {
        let check = |object: Value| check_origin(object.as_object().unwrap());
        assert!(check(json!({ "module": "keras.layers", "class_name": "Dense", "registered_name": null })).is_ok());
        assert!(check(json!({ "class_name": "Dense" })).is_ok());
        assert!(check(json!({ "module": "mine", "class_name": "Dense" })).is_err());
        assert!(check(json!({ "module": null, "class_name": "Dense", "registered_name": "mine>Dense" })).is_err());
        assert!(check(json!({ "class_name": "Custom>Dense" })).is_err());
    }
}
