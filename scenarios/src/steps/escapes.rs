//! Where in a text of TOML a place of what it means stands: a basic string with escapes is longer
//! in the file than what is read from it.

/// Where in the string, quotes and all, the byte of what it means stands; none if it is no basic
/// string, or not one of those escapes.
pub(super) fn offset(raw: &str, byte: usize) -> Option<usize> {
    let quote = if raw.starts_with("\"\"\"") { 3 } else { 1 };
    let mut rest = raw.strip_prefix(&"\"\"\""[..quote])?.strip_suffix(&"\"\"\""[..quote])?;
    if quote == 3 {
        // The first line end is not part of the text.
        rest = rest.strip_prefix("\r\n").or(rest.strip_prefix('\n')).unwrap_or(rest);
    }
    let begin = raw.len() - quote - rest.len();
    let mut meant = 0;
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        if meant >= byte {
            return Some(begin + at);
        }
        if c != '\\' {
            meant += c.len_utf8();
            continue;
        }
        let (_, escape) = chars.next()?;
        let digits = match escape {
            'u' => 4,
            'U' => 8,
            'x' => 2,
            c if c.is_whitespace() => {
                // At the end of a line, it takes away what is empty after it.
                let after = chars.as_str();
                let empty = after.len() - after.trim_start().len();
                while chars.as_str().len() > after.len() - empty {
                    chars.next();
                }
                continue;
            }
            _ => 0,
        };
        let code = chars.as_str().get(..digits)?;
        meant += match digits {
            0 => 1,
            _ => char::from_u32(u32::from_str_radix(code, 16).ok()?)?.len_utf8(),
        };
        for _ in 0..digits {
            chars.next();
        }
    }
    (meant >= byte).then_some(begin + rest.len())
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn places_are_those_of_the_file() {
        // What it means: a, quote, b, line end, e with an accent, c.
        let raw = "\"a\\\"b\\n\\u00e9c\"";
        let places = [0, 1, 2, 3, 4, 6, 7].map(|byte| offset(raw, byte).map(|at| &raw[at..at + 1]));
        let expected = ["a", "\\", "b", "\\", "\\", "c", "\""];
        assert_eq!(places, expected.map(Some));
        assert_eq!(offset(raw, 8), None);
        assert_eq!(offset("'a'", 0), None, "a literal string has no escapes");
    }

    #[test]
    fn texts_of_several_lines_begin_after_the_first_line_end() {
        let raw = "\"\"\"\na \\\n   b\\tc\"\"\"";
        let places = [0, 2, 3, 4].map(|byte| offset(raw, byte).map(|at| &raw[at..at + 1]));
        assert_eq!(places, [Some("a"), Some("\\"), Some("\\"), Some("c")]);
    }
}
