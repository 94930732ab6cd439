//! `[engine.NAME]`

use crate::config::table::Table;
use crate::config::value::{self, Wrong};
use crate::config::{Engine, HighAvailability, LeaseDatabase, Program};

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
    let lease_database = table.inner("lease-database").and_then(|inner| lease_database(&inner));
    let high_availability = table.inner("high-availability");
    let high_availability = high_availability.and_then(|inner| high_availability_of(&inner));
    table.finish();
    Some(Engine { program: kind?, path, renew, on_change, lease_database, high_availability })
}

fn lease_database(table: &Table<'_>) -> Option<LeaseDatabase> {
    let name = table.need("name", "name the database: name = \"kea\"", value::argument);
    let user = table.need("user", "name who opens it: user = \"kea\"", value::argument);
    let host = table.get("host", value::argument);
    let password_file = table.get("password-file", value::file);
    table.finish();
    Some(LeaseDatabase { host, name: name?, user: user?, password_file })
}

fn high_availability_of(table: &Table<'_>) -> Option<HighAvailability> {
    let role = table.need("role", "write \"primary\" on one of the two", value::role);
    let remedy = "write where the other one reaches this one: url = \"http://[fd00::1]:8001/\"";
    let url = table.need("url", remedy, value::http_address);
    let remedy = "write where the other one is: partner = \"http://[fd00::2]:8001/\"";
    let partner = table.need("partner", remedy, value::http_address);
    table.finish();
    Some(HighAvailability { role: role?, url: url?, partner: partner? })
}
