//! Progress on the terminal: a bar, or plain lines.
