//! The site that a command is about: its configuration, from a file or from the command line.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, ConfigError};
use crate::platform::paths::CONFIG_FILE;

/// A site from a file, or in the simple case from the command line alone.
#[derive(Debug, Clone, Args)]
pub struct Site {
    /// The configuration file [default: /etc/renumberd.toml, unless there is an --uplink or --downlink]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["uplink", "downlink"])]
    pub config: Option<PathBuf>,
    /// An interface towards the provider
    #[arg(long, value_name = "IF")]
    pub uplink: Vec<String>,
    /// An interface towards hosts and further routers
    #[arg(long, value_name = "IF")]
    pub downlink: Vec<String>,
    /// Short for one --uplink, and a --downlink for each interface behind it
    #[arg(value_name = "IF", conflicts_with_all = ["config", "uplink", "downlink"])]
    pub interfaces: Vec<String>,
    /// Give a part of the prefix to each router that asks on a downlink
    #[arg(long, conflicts_with = "config")]
    pub delegate: bool,
    /// Switch forwarding of IPv6 on; what it was before comes back as other settings do (`on-stop`)
    #[arg(long)]
    pub forward: bool,
}

impl Site {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// Every [`ConfigError`] found, or one that says why the file cannot be read.
    pub fn load(&self) -> Result<Config, Vec<ConfigError>> {
        let mut config = match (self.interfaces.split_first(), self.file()) {
            (Some((uplink, downlinks)), _) => {
                Config::from_args(std::slice::from_ref(uplink), downlinks)?
            }
            (None, Some(file)) => load_file(file)?,
            (None, None) => Config::from_args(&self.uplink, &self.downlink)?,
        };
        config.forward |= self.forward;
        if self.delegate {
            config.delegate_everywhere();
        }
        Ok(config)
    }

    /// The configuration's file, unless the command line says it all.
    pub(super) fn file(&self) -> Option<&Path> {
        let named = [&self.interfaces, &self.uplink, &self.downlink];
        let default = named.iter().all(|names| names.is_empty()).then(|| Path::new(CONFIG_FILE));
        self.config.as_deref().or(default)
    }
}

/// Reads a configuration file.
///
/// # Errors
///
/// Every [`ConfigError`] found, or one that says why the file cannot be read.
pub fn load_file(file: &Path) -> Result<Config, Vec<ConfigError>> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let remedy = if error.kind() == std::io::ErrorKind::PermissionDenied {
            "run this command as root, or as a user who may read it"
        } else {
            "name another file with --config, or name interfaces with --uplink and --downlink"
        };
        vec![ConfigError {
            file: name.clone(),
            line: None,
            key: String::new(),
            problem: format!("cannot be read: {error}"),
            remedy: remedy.to_owned(),
        }]
    })?;
    crate::config::file::parse(&name, &text)
}
