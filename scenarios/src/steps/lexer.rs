//! The words of the step language, each with its place.

use std::ops::Range;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name or a keyword.
    Name(String),
    /// `$me` and the like, without the `$`.
    Parameter(String),
    /// A whole number.
    Number(i64),
    /// A text in single quotes.
    Text(String),
    /// Anything else: `(`, `->`, `!=`, ...
    Sign(&'static str),
    /// The end of a step: `;`, a new line, or the end of the text.
    End,
}

impl Word {
    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Word::Name(name) => format!("`{name}`"),
            Word::Parameter(name) => format!("`${name}`"),
            Word::Number(number) => format!("`{number}`"),
            Word::Text(_) => "a text".into(),
            Word::Sign(sign) => format!("`{sign}`"),
            Word::End => "the end of the step".into(),
        }
    }
}

/// A word and where it stands, in bytes from the beginning of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: Range<usize>,
}

/// The longest first, so that `->` is not read as `-` and `>`.
const SIGNS: [&str; 18] =
    ["<-", "->", "!=", "<=", ">=", "(", ")", "[", "]", ":", ",", ".", "=", "<", ">", "+", "-", ";"];

/// Why a text cannot be cut into words: where, and what is wrong there.
pub(super) type Slip = (Range<usize>, String);

/// Cuts a text into words; ends with [`Word::End`].
pub(super) fn words(text: &str) -> Result<Vec<Token>, Slip> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (word, length) = if c == '\n' {
            (Word::End, 1)
        } else if c == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length = name_length(rest);
            (Word::Name(rest[..length].into()), length)
        } else if c == '$' {
            let length = name_length(&rest[1..]);
            if length == 0 {
                return Err((at..at + 1, "a parameter such as $me begins with `$`".into()));
            }
            (Word::Parameter(rest[1..=length].into()), length + 1)
        } else if c.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..length]
                .parse()
                .map_err(|_| (at..at + length, String::from("this number has too many digits")))?;
            (Word::Number(number), length)
        } else if c == '\'' {
            let Some(length) =
                rest[1..].find(['\'', '\n']).filter(|end| rest[1 + end..].starts_with('\''))
            else {
                return Err((at..at + 1, "this text has no end: `'` is missing".into()));
            };
            (Word::Text(rest[1..=length].into()), length + 2)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            let word = if *sign == ";" { Word::End } else { Word::Sign(sign) };
            (word, sign.len())
        } else {
            let length = c.len_utf8();
            return Err((at..at + length, format!("`{c}` means nothing in a step")));
        };
        tokens.push(Token { word, at: at..at + length });
        at += length;
    }
    tokens.push(Token { word: Word::End, at: text.len()..text.len() });
    Ok(tokens)
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_places() {
        let tokens = words("match (a)-[:T]->(b) # why\nset a.x = 'two words'").expect("words");
        let signs: Vec<String> = tokens.iter().map(|token| token.word.describe()).collect();
        assert_eq!(signs[..5], ["`match`", "`(`", "`a`", "`)`", "`-`"]);
        assert!(signs.contains(&"`->`".into()) && signs.contains(&"a text".into()));
        let text = tokens.iter().find(|token| matches!(token.word, Word::Text(_))).expect("one");
        assert_eq!(text.word, Word::Text("two words".into()));
        assert_eq!(text.at, 36..47);
    }

    #[test]
    fn what_is_no_word_is_refused_where_it_stands() {
        assert_eq!(words("set a.x = §").expect_err("no word").0, 10..12);
        assert_eq!(words("set a.x = 'x").expect_err("no end").0, 10..11);
        assert_eq!(words("$").expect_err("no name").0, 0..1);
        assert_eq!(words("99999999999999999999").expect_err("too long").0, 0..20);
    }
}
