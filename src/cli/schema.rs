//! `renumberd schema`: the JSON Schema (draft 7) of the configuration file, for editors. It is made
//! of the description of the keys, from which the reader and the manual are made too.

use serde_json::{Map, Value, json};

use crate::config::keys::{self, Form, Key, Keys, Kind};

/// The schema.
pub fn schema() -> Value {
    let mut schema = object(keys::TOP.keys);
    let tables = keys::ALL.iter().filter(|table| !table.table.is_empty());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.extend(tables.map(|table| (table.table.to_owned(), named(table))));
    }
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        schema.insert("title".to_owned(), json!("The configuration of renumberd"));
    }
    schema
}

/// Tables that begin with `[table.NAME]`.
fn named(table: &Keys) -> Value {
    json!({
        "type": "object",
        "description": format!("[{}.{}]: {}", table.table, table.name, table.about),
        "additionalProperties": object(table.keys),
    })
}

/// A table with these keys and no others.
fn object(keys: &[Key]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required = keys.iter().filter(|key| key.default == "required").map(|key| key.name);
    let required: Vec<&str> = required.collect();
    let mut object =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty()
        && let Value::Object(object) = &mut object
    {
        object.insert("required".to_owned(), json!(required));
    }
    object
}

fn property(key: &Key) -> Value {
    let mut property = of_kind(key.kind);
    if let Value::Object(property) = &mut property {
        let about = format!("{} ({}; default: {})", key.meaning, key.kind, key.default);
        property.insert("description".to_owned(), json!(about));
    }
    property
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Duration => json!({ "type": "string", "pattern": "^ *([0-9]+ *[A-Za-z]+ *)+$" }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Text(form) => text(form),
        Kind::Texts(form) => texts(form),
        Kind::ChoiceOrTexts(choices, form) => {
            json!({ "anyOf": [{ "enum": choices }, texts(form)] })
        }
        Kind::Table(keys) => object(keys),
        Kind::Tables(keys) => json!({ "type": "array", "items": object(keys) }),
    }
}

fn texts(form: Form) -> Value {
    json!({ "type": "array", "items": text(form) })
}

/// The pattern of a text where a schema can express it; the reader of the configuration checks the
/// rest.
fn text(form: Form) -> Value {
    let pattern = match form {
        Form::Octets => Some("^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*$"),
        Form::Place => Some("^(-?[0-9]+|0x[0-9A-Fa-f]+)/[0-9]+$"),
        Form::File => Some("^/"),
        Form::Http => Some("^http://"),
        Form::Address
        | Form::Prefix
        | Form::AddressOrPrefix
        | Form::Interface
        | Form::Name
        | Form::Word
        | Form::Domain
        | Form::Uri
        | Form::Listen => None,
    };
    match pattern {
        Some(pattern) => json!({ "type": "string", "pattern": pattern }),
        None => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `value` breaks of `schema`: as much of JSON Schema as is used here, patterns left out.
    fn broken(schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(any) = schema.get("anyOf") {
            let any = any.as_array().unwrap();
            let fits = any.iter().any(|schema| broken(schema, value, at).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at}: none of {any:?}")] };
        }
        if let Some(choices) = schema.get("enum") {
            let fits = choices.as_array().unwrap().contains(value);
            return if fits { Vec::new() } else { vec![format!("{at}: not in {choices}")] };
        }
        match (schema["type"].as_str().unwrap(), value) {
            ("boolean", Value::Bool(_)) | ("string", Value::String(_)) => Vec::new(),
            ("integer", Value::Number(number)) => {
                let number = number.as_i64().unwrap();
                let fits = schema["minimum"].as_i64().unwrap() <= number
                    && number <= schema["maximum"].as_i64().unwrap();
                if fits { Vec::new() } else { vec![format!("{at}: {number}")] }
            }
            ("array", Value::Array(items)) => {
                items.iter().flat_map(|item| broken(&schema["items"], item, at)).collect()
            }
            ("object", Value::Object(entries)) => {
                let required = schema["required"].as_array().into_iter().flatten();
                let lacking = required.filter(|key| !entries.contains_key(key.as_str().unwrap()));
                let mut found: Vec<String> =
                    lacking.map(|key| format!("{at}: lacks {key}")).collect();
                for (key, value) in entries {
                    let below = format!("{at}.{key}");
                    let known = schema.get("properties").and_then(|known| known.get(key));
                    let schema = known.unwrap_or_else(|| &schema["additionalProperties"]);
                    if schema == false {
                        found.push(format!("{below}: unknown"));
                    } else {
                        found.extend(broken(schema, value, &below));
                    }
                }
                found
            }
            (wanted, value) => vec![format!("{at}: {value} is no {wanted}")],
        }
    }

    fn findings(text: &str) -> Vec<String> {
        let value: toml::Value = toml::from_str(text).unwrap();
        broken(&schema(), &serde_json::to_value(value).unwrap(), "")
    }

    #[test]
    fn the_examples_fit_the_schema() {
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/examples");
        let mut count = 0;
        for entry in examples.read_dir().unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(findings(&std::fs::read_to_string(&path).unwrap()), [""; 0], "{path:?}");
            count += 1;
        }
        assert!(count >= 4);
    }

    /// Each example of the manual fits, and so does each default that is a value.
    #[test]
    fn every_key_s_example_fits_the_schema() {
        for table in &keys::ALL {
            for key in table.keys {
                let values =
                    [Some(key.example), Some(key.default).filter(|text| text.starts_with('"'))];
                for value in values.into_iter().flatten() {
                    let toml: toml::Value = toml::from_str(&format!("x = {value}")).unwrap();
                    let value = serde_json::to_value(&toml["x"]).unwrap();
                    assert_eq!(broken(&property(key), &value, key.name), [""; 0]);
                }
            }
        }
    }

    #[test]
    fn wrong_files_do_not_fit_the_schema() {
        for text in [
            "[uplink.wan0]\nadress = \"::2\"\n",
            "layout = \"sideways\"\n",
            "grace = 30\n",
            "[uplink.wan0]\ndelegate = [{ iaid = 1, length = 65 }]\n",
            "[metrics]\n",
            "[what.x]\n",
        ] {
            assert!(!findings(text).is_empty(), "{text}");
        }
    }
}
