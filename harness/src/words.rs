//! Words for the shell.

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_where_they_must_be() {
        assert_eq!(quoted("ha.pull_interval=500ms"), "ha.pull_interval=500ms");
        assert_eq!(quoted("faults.1.at=1m .. 2m"), "'faults.1.at=1m .. 2m'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
