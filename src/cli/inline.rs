//! Pictures in the terminal, where it can show them.
//!
//! Which terminals can is told from the environment alone: to ask a terminal is to wait for an answer that may never come.

use std::io::{self, IsTerminal};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;

use super::output;
use convnet::data::grid::png_bytes;
use convnet::error::Result;

/// How a terminal is told to show a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// <https://sw.kovidgoyal.net/kitty/graphics-protocol/>: kitty, Ghostty, Konsole.
    Kitty,
    /// <https://iterm2.com/documentation-images.html>: iTerm2, WezTerm, VS Code, mintty, Tabby, rio.
    Iterm,
}

/// The most base64 that one of Kitty's escape sequences may carry, in bytes.
const KITTY_CHUNK_BYTES: usize = 4096;

/// Shows `picture` on stdout, where that is a terminal that can; elsewhere does nothing.
///
/// # Errors
/// An internal error where stdout takes nothing more.
pub fn show(picture: &RgbImage) -> Result<()> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let Some(protocol) = protocol(|name| std::env::var(name).unwrap_or_default()) else { return Ok(()) };
    let columns = columns_to_fill(picture.width(), terminal_size());
    output::result(&sequence(protocol, &png_bytes(picture)?, columns))
}

/// `variable` gives an environment variable's value, empty where it is not set.
fn protocol(variable: impl Fn(&str) -> String) -> Option<Protocol> {
    let terminal = variable("TERM");
    // multiplexers hand no pictures on, but do hand on the variables of the terminal that they run in
    if terminal.starts_with("screen") || terminal.starts_with("tmux") || terminal == "dumb" {
        return None;
    }
    let is_kitty = ["xterm-kitty", "xterm-ghostty"].contains(&terminal.as_str());
    if is_kitty || !variable("KONSOLE_VERSION").is_empty() {
        return Some(Protocol::Kitty);
    }
    let programs = ["iTerm.app", "WezTerm", "vscode", "mintty", "Tabby", "rio"];
    let is_iterm = programs.contains(&variable("TERM_PROGRAM").as_str()) || variable("LC_TERMINAL") == "iTerm2";
    is_iterm.then_some(Protocol::Iterm)
}

/// How many columns a picture of `width_px` is to be brought to: all of them where it is wider than the terminal, whose
/// columns and width in pixels (0 where it does not tell) are given; else its own size.
fn columns_to_fill(width_px: u32, (columns, terminal_px): (u16, u16)) -> Option<u16> {
    (terminal_px > 0 && columns > 0 && width_px > u32::from(terminal_px)).then_some(columns)
}

/// Columns and width in pixels of the terminal that stdout is.
fn terminal_size() -> (u16, u16) {
    rustix::termios::tcgetwinsize(io::stdout()).map_or((0, 0), |size| (size.ws_col, size.ws_xpixel))
}

/// What shows the picture `png`, and goes to the next line.
fn sequence(protocol: Protocol, png: &[u8], columns: Option<u16>) -> String {
    let data = STANDARD.encode(png);
    match protocol {
        Protocol::Kitty => {
            let width = columns.map_or(String::new(), |columns| format!(",c={columns}"));
            let num_chunks = data.len().div_ceil(KITTY_CHUNK_BYTES);
            let chunks = data.as_bytes().chunks(KITTY_CHUNK_BYTES).zip(1..).map(|(chunk, number)| {
                // f=100: a PNG; a=T: show it at once; q=2: answer nothing; m=1: more is to come
                let head = if number == 1 { format!("f=100,a=T,q=2{width},") } else { String::new() };
                let more = u8::from(number < num_chunks);
                format!("\x1b_G{head}m={more};{}\x1b\\", String::from_utf8_lossy(chunk))
            });
            chunks.chain(["\n".to_owned()]).collect()
        }
        Protocol::Iterm => {
            let width = columns.map_or("auto".to_owned(), |columns| columns.to_string());
            format!("\x1b]1337;File=inline=1;size={};width={width}:{data}\x07\n", png.len())
        }
    }
}

#[cfg(test)]
mod tests;
