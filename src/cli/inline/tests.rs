use super::*;

fn protocol_of(variables: &[(&str, &str)]) -> Option<Protocol> {
    protocol(|name| variables.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value).to_owned())
}

#[test]
fn terminals_are_known_by_their_variables() {
    for (variables, expected) in [
        (&[("TERM", "xterm-kitty")][..], Some(Protocol::Kitty)),
        (&[("TERM", "xterm-256color"), ("KONSOLE_VERSION", "230400")], Some(Protocol::Kitty)),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], Some(Protocol::Iterm)),
        (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], Some(Protocol::Iterm)),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")], None),
        (&[("TERM", "tmux-256color"), ("KONSOLE_VERSION", "230400")], None),
        (&[("TERM", "screen"), ("LC_TERMINAL", "iTerm2")], None),
        (&[], None),
    ] {
        assert_eq!(protocol_of(variables), expected, "{variables:?}");
    }
}

#[test]
fn kitty_s_chunks_join_to_the_picture() {
    let png: Vec<u8> = (0..10_000u32).map(|n| (n * 7) as u8).collect();
    let text = sequence(Protocol::Kitty, &png, Some(80));
    let chunks: Vec<(&str, &str)> = text
        .split("\x1b_G")
        .skip(1)
        .map(|chunk| chunk.trim_end().strip_suffix("\x1b\\").unwrap().split_once(';').unwrap())
        .collect();
    let heads: Vec<&str> = chunks.iter().map(|(head, _)| *head).collect();
    assert_eq!(heads, ["f=100,a=T,q=2,c=80,m=1", "m=1", "m=1", "m=0"]);
    let data: String = chunks.iter().map(|(_, data)| *data).collect();
    assert_eq!(STANDARD.decode(data).unwrap(), png);
}

#[test]
fn iterm_gets_the_picture_in_one_piece() {
    let text = sequence(Protocol::Iterm, b"png", None);
    assert_eq!(text, "\x1b]1337;File=inline=1;size=3;width=auto:cG5n\x07\n");
}

#[test]
fn only_pictures_that_are_too_wide_are_made_to_fit() {
    assert_eq!(columns_to_fill(1000, (100, 800)), Some(100));
    assert_eq!(columns_to_fill(700, (100, 800)), None);
    assert_eq!(columns_to_fill(1000, (100, 0)), None);
}
