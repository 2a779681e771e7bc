//! Fetches a known data set's files: from several mirrors in turn, within limits, checked, and whole or not at all.

mod network;
mod transfer;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

use ureq::Agent;

use super::known::{KnownFile, KnownSet};
use crate::error::{Error, Result};
pub(super) use network::Connection;
pub(super) use transfer::Checksum;
use transfer::{Failure, fetch};

/// Fetches into `folder` those of the set's files that it does not hold, as published or unpacked, from the first of
/// `mirrors` that delivers each. What came of a file before the connection broke is kept and continued. Reports on stderr.
/// Whether all files were there.
///
/// # Errors
/// A data error where no mirror delivers a file: it tells why each did not, and what to do by hand. A configuration
/// error where `folder` cannot be made, an internal one where a file cannot be written.
pub(super) fn complete(set: &KnownSet, folder: &Path, mirrors: &[String], network: &Connection) -> Result<bool> {
    let missing: Vec<&KnownFile> = set.files.iter().filter(|file| !is_there(file, folder)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    fs::create_dir_all(folder).map_err(|source| {
        Error::config("cannot make the folder for downloaded data").at_path(folder).because(source)
    })?;
    eprintln!("downloading {} to {}\nlicence: {}", set.name, folder.display(), set.licence);
    let agent = agent(network);
    missing.into_iter().try_for_each(|file| download(&agent, set, file, folder, mirrors, network)).map(|()| false)
}

/// Whether the file is there, as published or decompressed; of an archive, whether its members are.
fn is_there(file: &KnownFile, folder: &Path) -> bool {
    let has = |name: &str| [name, name.trim_end_matches(".gz")].iter().any(|name| folder.join(name).is_file());
    match file.members {
        [] => has(file.name),
        members => members.iter().all(|member| has(member)),
    }
}

fn download(
    agent: &Agent,
    set: &KnownSet,
    file: &KnownFile,
    folder: &Path,
    mirrors: &[String],
    network: &Connection,
) -> Result<()> {
    let mut reasons = Vec::new();
    for mirror in mirrors {
        let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        eprintln!("  {url}");
        match fetch(agent, &url, (file.name, Checksum::Md5(file.md5)), folder, network) {
            Ok(()) if file.members.is_empty() => return Ok(()),
            Ok(()) => return unpack::members(&folder.join(file.name), file.members, folder),
            Err(Failure::Mirror(reason)) => reasons.push(format!("{url}: {reason}")),
            Err(Failure::Disk(error)) => return Err(error),
        }
    }
    let kept = if transfer::is_begun(folder, file.name) { " (what came is kept)" } else { "" };
    let names: Vec<&str> = set.files.iter().map(|file| file.name).collect();
    let by_hand = match file.members {
        [] => "",
        _ => ", unpacked,",
    };
    Err(Error::data(format!("cannot download {} of {}", file.name, set.name)).got(reasons.join("; ")).help(format!(
        "try again later{kept}, or put {}{by_hand} into {} by hand, or name with `data` a folder that holds \
         them",
        names.join(", "),
        folder.display()
    )))
}

/// Fetches the one file at `url` into `folder`, unless it is there. What came of it before the connection broke is kept and
/// continued. Reports on stderr.
///
/// # Errors
/// As [`complete`].
pub(super) fn one_file(url: &str, checksum: Checksum, folder: &Path, network: &Connection) -> Result<PathBuf> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(folder).map_err(|source| {
        Error::config("cannot make the folder for downloaded weights").at_path(folder).because(source)
    })?;
    eprintln!("downloading {url} to {}", folder.display());
    match fetch(&agent(network), url, (name, checksum), folder, network) {
        Ok(()) => Ok(path),
        Err(Failure::Disk(error)) => Err(error),
        Err(Failure::Mirror(reason)) => {
            let kept = if transfer::is_begun(folder, name) { " (what came is kept)" } else { "" };
            Err(Error::data(format!("cannot download {name}")).got(reason).help(format!(
                "try again later{kept}, or download {url} elsewhere and put it into {}",
                folder.display()
            )))
        }
    }
}

fn agent(network: &Connection) -> Agent {
    let config = Agent::config_builder()
        .user_agent(concat!("convnet/", env!("CARGO_PKG_VERSION")))
        .proxy(network.proxy.clone())
        .timeout_resolve(Some(network.connect))
        .timeout_connect(Some(network.connect))
        .timeout_recv_response(Some(network.silence))
        .timeout_per_read(Some(network.silence))
        .timeout_global(Some(network.whole));
    config.build().new_agent()
}

#[cfg(test)]
pub(super) mod tests;
