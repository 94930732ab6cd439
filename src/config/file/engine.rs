//! `[engine.NAME]`

use crate::config::table::Table;
use crate::config::value::{self, Wrong};
use crate::config::{Engine, Program};

/// None where it is not known which program it is.
pub(super) fn engine(name: &str, table: &Table<'_>) -> Option<Engine> {
    let kind = table.get("kind", value::program);
    let kind = kind.or_else(|| (!table.has("kind")).then(|| Program::named(name)).flatten());
    if kind.is_none() && !table.has("kind") {
        let remedy = format!("say which program it is, for instance kind = \"{}\"", Program::Radvd);
        table.wrong("kind", Wrong::new("is missing", remedy));
    }
    let path = table.get("program", value::file);
    let renew = table.list("renew", value::argument).unwrap_or_default();
    let on_change = table.get("on-change", value::on_change).unwrap_or_default();
    table.finish();
    Some(Engine { program: kind?, path, renew, on_change })
}
