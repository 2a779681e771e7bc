//! How mirrors are reached, and within which limits.

use std::time::Duration;

use ureq::Proxy;

/// How to reach a mirror, how long to wait for it, and how much to take from it.
pub(in crate::data::registry) struct Connection {
    /// In between, if any.
    pub proxy: Option<Proxy>,
    /// For a mirror's address, and then for a connection.
    pub connect: Duration,
    /// For its answer, and then for each next byte.
    pub silence: Duration,
    /// For one file.
    pub whole: Duration,
    /// A file's size, in bytes.
    pub max_bytes: u64,
}

impl Default for Connection {
    fn default() -> Self {
        Connection {
            // HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
            proxy: Proxy::try_from_env(),
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            whole: Duration::from_secs(4 * 3600),
            // the largest known file has 562 MB
            max_bytes: 1 << 30,
        }
    }
}
