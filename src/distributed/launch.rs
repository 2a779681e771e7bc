//! What the launcher says by environment variables: which of how many processes this one is, and where they meet.

use std::env;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Tells that the launcher serves the store, as torchrun does, so that no process has to.
const STORE_IS_SERVED: &str = "TORCHELASTIC_USE_AGENT_STORE";
/// How often torchrun has started the processes again.
const RESTARTS: &str = "TORCHELASTIC_RESTART_COUNT";

/// The network interface that Gloo uses.
const INTERFACE: &str = "GLOO_SOCKET_IFNAME";
/// That of a machine with itself.
const LOOPBACK: &str = if cfg!(target_os = "macos") { "lo0" } else { "lo" };

/// A process of several: PyTorch's variables, which torchrun sets and other launchers can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// `RANK`: its number, from 0.
    pub rank: usize,
    /// `WORLD_SIZE`: how many processes there are.
    pub size: usize,
    /// `LOCAL_RANK`: its number on this machine, from 0; `RANK` where absent.
    pub local_rank: usize,
    /// `LOCAL_WORLD_SIZE`: how many processes this machine has; all where absent.
    pub local_size: usize,
    /// `MASTER_ADDR`: the host where the store is.
    pub host: String,
    /// `MASTER_PORT`: the store's port.
    pub port: u16,
    /// Whether the launcher serves the store; else process 0 does.
    pub store_is_served: bool,
    /// How often the launcher has started the processes again.
    pub restarts: u64,
}

impl Launch {
    /// What the environment says; none where it says nothing of several processes.
    ///
    /// # Errors
    /// A configuration error for a variable that is missing or wrong.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        if get("RANK").is_none() && get("WORLD_SIZE").is_none() {
            return Ok(None);
        }
        let rank: usize = required(&get, "RANK")?;
        let size: usize = required(&get, "WORLD_SIZE")?;
        let local_rank = optional(&get, "LOCAL_RANK")?.unwrap_or(rank);
        let local_size = optional(&get, "LOCAL_WORLD_SIZE")?.unwrap_or(size);
        below("RANK", rank, "WORLD_SIZE", size)?;
        below("LOCAL_RANK", local_rank, "LOCAL_WORLD_SIZE", local_size)?;
        let restarts = optional(&get, RESTARTS)?.unwrap_or(0);
        let store_is_served = get(STORE_IS_SERVED).is_some_and(|value| value == "True");
        let (host, port) = match size {
            1 => (String::new(), 0),
            _ => (required(&get, "MASTER_ADDR")?, required(&get, "MASTER_PORT")?),
        };
        Ok(Some(Launch { rank, size, local_rank, local_size, host, port, store_is_served, restarts }))
    }
}

/// The variables for process `rank` of `size` on this machine, whose launcher serves a store at `port`.
pub fn local_environment(rank: usize, size: usize, port: u16) -> [(&'static str, String); 8] {
    let (rank, size) = (rank.to_string(), size.to_string());
    [
        ("RANK", rank.clone()),
        ("WORLD_SIZE", size.clone()),
        ("LOCAL_RANK", rank),
        ("LOCAL_WORLD_SIZE", size),
        ("MASTER_ADDR", "127.0.0.1".to_owned()),
        ("MASTER_PORT", port.to_string()),
        (STORE_IS_SERVED, "True".to_owned()),
        // a machine's name need not lead to it
        (INTERFACE, env::var(INTERFACE).unwrap_or_else(|_| LOOPBACK.to_owned())),
    ]
}

fn required<T: FromStr>(get: impl Fn(&str) -> Option<String>, name: &str) -> Result<T> {
    let missing = || {
        Error::config(format!(
            "the environment variable {name} is missing, and others say that there are several processes"
        ))
        .expected("RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT")
        .help("torchrun and `nproc` set them all; unset RANK and WORLD_SIZE to train in one process")
    };
    optional(get, name)?.ok_or_else(missing)
}

fn optional<T: FromStr>(get: impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<T>> {
    let Some(text) = get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong =
        |_| Error::config(format!("the environment variable {name} is no number of its kind")).got(format!("'{text}'"));
    text.parse().map(Some).map_err(wrong)
}

fn below(name: &str, number: usize, of: &str, size: usize) -> Result<()> {
    match number < size {
        true => Ok(()),
        false => Err(Error::config(format!("the environment variable {name} is not below {of}"))
            .expected(format!("0 to {}", size.saturating_sub(1)))
            .got(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Result<Option<Launch>> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Launch::from_variables(get)
    }

    #[test]
    fn the_variables_of_torchrun_are_read() {
        let all = [("RANK", "1"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")];
        let rest = [("MASTER_ADDR", "node0"), ("MASTER_PORT", "29500"), (STORE_IS_SERVED, "True"), (RESTARTS, "3")];
        let read = launch(&[&all[..], &rest[..]].concat()).unwrap().unwrap();
        assert_eq!((read.rank, read.size, read.local_rank, read.local_size), (1, 4, 1, 2));
        assert_eq!((read.host.as_str(), read.port, read.store_is_served, read.restarts), ("node0", 29500, true, 3));
        assert_eq!(launch(&[("MASTER_ADDR", "node0")]).unwrap(), None);
        assert_eq!(launch(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap().unwrap().size, 1);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |variables: &[(&str, &str)]| launch(variables).unwrap_err().to_string();
        assert!(error(&[("WORLD_SIZE", "2")]).contains("variable RANK is missing"));
        assert!(error(&[("RANK", "0"), ("WORLD_SIZE", "2")]).contains("variable MASTER_ADDR is missing"));
        assert!(error(&[("RANK", "2"), ("WORLD_SIZE", "2")]).contains("RANK is not below WORLD_SIZE"));
        assert!(error(&[("RANK", "x"), ("WORLD_SIZE", "2")]).contains("RANK is no number"));
        assert!(error(&[("RANK", "0"), ("WORLD_SIZE", "0")]).contains("not below"));
        let address = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "99999")];
        assert!(error(&address).contains("MASTER_PORT is no number"));
    }

    #[test]
    fn a_local_process_reads_what_it_is_given() {
        let given = local_environment(2, 3, 4000);
        let read =
            Launch::from_variables(|name| given.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
        let read = read.unwrap().unwrap();
        assert_eq!((read.rank, read.size, read.local_size, read.port, read.store_is_served), (2, 3, 3, 4000, true));
    }
}
