//! The settings of a server.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::access::Token;
use crate::error::{Error, Result};

/// The most connections: as many as there are ports.
const MAX_CONNECTIONS: usize = 65_535;
/// The longest time that may be set.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a server is told.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 for one that is free.
    pub port: u16,
    /// What requests must bring; none only where other machines cannot reach the address.
    pub token: Option<Token>,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most pixels of an image, as it was sent.
    pub max_pixels: usize,
    /// The most images in a request.
    pub max_images: usize,
    /// The most images that go through a network at once.
    pub max_batch: usize,
    /// How long images wait for others that are being decoded.
    pub max_delay: Duration,
    /// The most images that wait for a network.
    pub queue: usize,
    /// The most connections at a time; others wait until one ends.
    pub connections: usize,
    /// How long a client may take to send a request, and to take what is sent to it.
    pub timeout: Duration,
    /// How long requests may take to be answered once the server was told to stop.
    pub drain: Duration,
    /// How many of the most probable classes an answer has where the request does not say.
    pub top_k: usize,
    /// Threads that an operator may use on the CPU: see [`crate::device::configure`].
    pub threads: Option<usize>,
    /// Whether models are loaded again when their files change.
    pub watch: bool,
}

impl Default for ServeConfig {
    fn default() -> Self {
        ServeConfig {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8000,
            token: None,
            max_body_bytes: 16 << 20,
            max_pixels: 50_000_000,
            max_images: 64,
            max_batch: 32,
            max_delay: Duration::from_millis(2),
            queue: 256,
            connections: 512,
            timeout: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            top_k: 3,
            threads: None,
            watch: false,
        }
    }
}

impl ServeConfig {
    /// # Errors
    /// A configuration error where other machines could reach the server without a token, or a limit is 0 or beyond all use.
    pub fn check(&self) -> Result<()> {
        if !self.host.is_loopback() && self.token.is_none() {
            return Err(Error::config("other machines can reach that address, and no token is set")
                .expected("`token`, or the address 127.0.0.1")
                .got(format!("`host = '{}'`", self.host))
                .help("write a long random word into a file and name it with `token`, or set CONVNET_TOKEN"));
        }
        self.check_limits()
    }

    fn check_limits(&self) -> Result<()> {
        let limits = [
            ("max_body", self.max_body_bytes),
            ("max_pixels", self.max_pixels),
            ("max_images", self.max_images),
            ("max_batch", self.max_batch),
            ("queue", self.queue),
            ("connections", self.connections),
            ("top_k", self.top_k),
        ];
        let unusable = |name: &str, expected: String, got: String| {
            Err(Error::config(format!("`{name}` cannot be used")).expected(expected).got(got))
        };
        if let Some((name, limit)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return unusable(name, "1 or more".into(), limit.to_string());
        }
        if self.connections > MAX_CONNECTIONS {
            return unusable("connections", format!("1 to {MAX_CONNECTIONS}"), self.connections.to_string());
        }
        let times = [("max_delay", self.max_delay), ("timeout", self.timeout), ("drain", self.drain)];
        match times.iter().find(|(_, time)| *time > MAX_TIME) {
            Some((name, time)) => unusable(name, "a day at most".into(), format!("{} s", time.as_secs())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_token() {
        let mut config = ServeConfig { host: Ipv4Addr::UNSPECIFIED.into(), ..ServeConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("`token`") && error.contains("0.0.0.0"), "{error}");
        config.token = Some(Token::new("a-token-of-some-length").unwrap());
        config.check().unwrap();
        config.queue = 0;
        assert!(config.check().unwrap_err().to_string().starts_with("`queue` cannot be used"));
        config = ServeConfig { timeout: Duration::MAX, ..ServeConfig::default() };
        assert!(config.check().unwrap_err().to_string().starts_with("`timeout` cannot be used: expected a day"));
        config = ServeConfig { connections: usize::MAX, ..ServeConfig::default() };
        assert!(config.check().unwrap_err().to_string().starts_with("`connections` cannot be used"));
    }
}
