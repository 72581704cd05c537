//! What the terminal can show.

use std::io::IsTerminal;

/// Whether output to that stream may be coloured.
pub(crate) fn colour(is_terminal: bool) -> bool {
    is_terminal
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Whether messages may be coloured.
pub(crate) fn colour_on_stderr() -> bool {
    colour(std::io::stderr().is_terminal())
}
